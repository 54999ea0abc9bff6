// Goal: an input passes in order and whole, a slow enclave holds its party back, and no more is taken
// than the plan says.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputSink } from '../../src/coordinator/input-sink.ts';
import { ParleyError } from '../../src/core/errors.ts';

async function read(sink: InputSink): Promise<number[]> {
  const all: number[] = [];
  for await (const chunk of sink.chunks()) all.push(...chunk);
  return all;
}

describe('an input on its way', () => {
  it('passes in order, in whatever pieces it comes', async () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const whole = parts.flatMap((part) => [...part]);
        const sink = new InputSink('shopgood', whole.length);
        const passed = read(sink);
        for (const part of parts) {
          sink.take(part);
          await Promise.resolve();
        }
        expect(await passed).toEqual(whole);
      }),
    );
  });

  it.each([
    ['more bytes than the plan has', [3, 2]],
    ['an empty piece, which costs nothing to send', [2, 0]],
  ])('%s end it', async (_, sizes) => {
    const sink = new InputSink('shopgood', 4);
    for (const size of sizes) sink.take(new Uint8Array(size));
    await expect(read(sink)).rejects.toMatchObject({
      code: 'PEER_BAD_LENGTH',
      detail: { party: 'shopgood' },
    });
  });

  it('holds its party back from 1 MiB on, and lets it go as the enclave reads', async () => {
    const piece = 256 * 1024;
    const sink = new InputSink('shopgood', 8 * piece);
    for (let i = 0; i < 4; i += 1) sink.take(new Uint8Array(piece));
    expect(sink.hasRoom).toBe(true);
    sink.take(new Uint8Array(piece));
    expect(sink.hasRoom).toBe(false);
    let room = false;
    const waited = sink.room().then(() => (room = true));
    await new Promise((go) => setTimeout(go, 5));
    expect(room).toBe(false);
    const chunks = sink.chunks();
    await chunks.next();
    await waited;
    expect(room).toBe(true);
  });

  it('ends with its run: the reader hears why, and a held party is let go', async () => {
    const sink = new InputSink('shopgood', 4 * 1024 * 1024);
    sink.take(new Uint8Array(2 * 1024 * 1024));
    const room = sink.room();
    sink.end(new ParleyError('CANCELLED', 'the query is over'));
    await room;
    await expect(read(sink)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
