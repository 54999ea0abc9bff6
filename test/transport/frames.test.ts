// Goal: frames have the agreed bytes; decoders are total, canonical and strict on any input.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { ParleyError } from '../../src/core/errors.ts';
import { parseGreeting, parseHello, parseOrder, parseReport } from '../../src/transport/control.ts';
import {
  decodeFrames,
  encodeAlive,
  encodeClose,
  encodeCredit,
  encodeMore,
  encodeOpen,
  encodeStart,
  encodeWant,
  type Frame,
} from '../../src/transport/frames.ts';
import { decodeRelayFrame, encodeRelayHeader } from '../../src/transport/relay-frame.ts';

it('writes the agreed bytes', () => {
  expect(toHex(encodeOpen(258, 'a/b'))).toBe('0101020003612f62');
  expect(toHex(encodeStart(1, 2, 70_000, 'st', 65_000))).toBe('0200010000000200011170027374fde8');
  expect(toHex(encodeMore(1, 5000))).toBe('0300011388');
  expect(toHex(encodeCredit(1 << 20))).toBe('0400100000');
  expect(toHex(encodeWant(3, 9))).toBe('05000300000009');
  expect(toHex(encodeClose('TIMEOUT'))).toBe('060754494d454f5554');
  expect(toHex(encodeClose(null))).toBe('0600');
  expect(toHex(encodeAlive())).toBe('07');
  expect(toHex(encodeRelayHeader('ab', 'q'.repeat(16)))).toBe(`0102616210${'71'.repeat(16)}`);
});

it('decodes any bytes to frames that encode to them again, or refuses them', () => {
  const noise = fc.uint8Array({ maxLength: 60 });
  const parts = fc.array(
    fc.oneof(
      fc.constantFrom(encodeOpen(1, 'p'), encodeCredit(7), encodeWant(1, 1), encodeClose(null)),
      fc.constantFrom(encodeStart(1, 0, 3, 's', 3), encodeMore(1, 3), encodeAlive()),
      fc.uint8Array({ minLength: 3, maxLength: 3 }),
    ),
    { maxLength: 6 },
  );
  let decoded = 0;
  fc.assert(
    fc.property(fc.oneof(noise, parts.map(concat)), (bytes) => {
      const frames = orRefused(() => decodeFrames(bytes));
      if (frames === null) return;
      decoded += 1;
      expect(toHex(concat(frames.map(encode)))).toBe(toHex(bytes));
    }),
    { numRuns: 2000 },
  );
  expect(decoded).toBeGreaterThan(100);
});

it('decodes any relay frame or refuses it', () => {
  const header = fc.constantFrom(encodeRelayHeader('party', 'q'.repeat(16)), new Uint8Array(0));
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 100 }), fc.nat(40), (head, tail, at) => {
      const bytes = concat([head, tail]);
      if (bytes.length > at) bytes[at] = (bytes[at] ?? 0) ^ (tail[0] ?? 0);
      const frame = orRefused(() => decodeRelayFrame(bytes));
      if (frame === null) return;
      const again = concat([encodeRelayHeader(frame.peer, frame.queryId), frame.payload]);
      expect(toHex(again)).toBe(toHex(bytes));
    }),
    { numRuns: 2000 },
  );
});

it('reads any JSON as a control message or refuses it', () => {
  const type = fc.constantFrom('challenge', 'hello', 'query', 'gos', 'go', 'answer', 'progress');
  const value = fc.oneof(
    fc.jsonValue(),
    fc.tuple(type, fc.dictionary(fc.string(), fc.jsonValue())).map(([t, d]) => ({ ...d, type: t })),
  );
  fc.assert(
    fc.property(value, (json) => {
      for (const parse of [parseGreeting, parseHello, parseOrder, parseReport]) {
        orRefused(() => parse(json));
      }
    }),
    { numRuns: 500 },
  );
});

it.each([
  { type: 'progress', query_id: 'q'.repeat(16), stage: 's', done: -1, total: 1 },
  { type: 'progress', query_id: 'q'.repeat(16), stage: 's', done: 1, total: 1e300 },
  { type: 'fail', query_id: 'q'.repeat(16), error: { code: 'NONE', fault: 'bug', message: '' } },
  { type: 'ready', query_id: 'q'.repeat(15) },
  { type: 'ready', query_id: 'q'.repeat(16), more: 1 },
])('refuses the report %o', (report) => {
  expect(() => parseReport(report)).toThrow(expect.objectContaining({ code: 'FRAME_MALFORMED' }));
});

function orRefused<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ParleyError);
    expect((error as ParleyError).code).toMatch(/^FRAME_/);
    return null;
  }
}

function encode(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case 'open':
      return encodeOpen(frame.channel, frame.path);
    case 'start': {
      const { channel, sequence, total, step, fragment } = frame;
      return concat([encodeStart(channel, sequence, total, step, fragment.length), fragment]);
    }
    case 'more':
      return concat([encodeMore(frame.channel, frame.fragment.length), frame.fragment]);
    case 'credit':
      return encodeCredit(frame.bytes);
    case 'want':
      return encodeWant(frame.channel, frame.sequence);
    case 'close':
      return encodeClose(frame.code);
    case 'alive':
      return encodeAlive();
  }
}
