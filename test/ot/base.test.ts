// Goal: the group is ristretto255 and strict, base OTs give each end its keys and no more, and a
// peer that sends anything but group elements is blamed.
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import {
  BASE_RECEIVER_SEED_BYTES,
  BASE_SENDER_SEED_BYTES,
  baseReceive,
  baseSend,
} from '../../src/protocols/ot/base.ts';
import {
  decodeElements,
  elementsOf,
  encodeElements,
  generateEach,
} from '../../src/protocols/ot/group.ts';
import { bindingOf, hash } from '../../src/protocols/ot/label.ts';
import { memoryLink, runBoth, type Frame, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';

interface Vectors {
  readonly small_multiples_of_base: readonly string[];
  readonly bad_encodings_must_be_rejected: readonly string[];
  readonly sha512_label_to_group: readonly { readonly label: string; readonly encoded: string }[];
  readonly one_way_map: readonly { readonly uniform_bytes: string; readonly encoded: string }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/rfc9496/ristretto255.json', import.meta.url), 'utf8'),
) as Vectors;
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const SESSION = new Uint8Array(32).fill(7);

interface Outcome {
  readonly keys: Uint8Array;
  readonly chosen: Uint8Array;
  readonly frames: readonly Frame[];
}

async function run(
  choices: Uint8Array,
  tap?: Tap,
  sessions = [SESSION, SESSION],
): Promise<Outcome> {
  const link = memoryLink(tap);
  const rng = seededRng('base');
  const senderSeed = rng(BASE_SENDER_SEED_BYTES);
  const receiverSeeds = rng(choices.length * BASE_RECEIVER_SEED_BYTES);
  const [keys, chosen] = await runBoth(
    link,
    (ch) => baseSend(ch, choices.length, bindingOf(sessions[0]!, ch.path), senderSeed),
    (ch) => baseReceive(ch, choices, bindingOf(sessions[1]!, ch.path), receiverSeeds),
  );
  return { keys, chosen, frames: link.frames };
}

const key = (keys: Uint8Array, i: number): string => hex(keys.subarray(16 * i, 16 * i + 16));

describe('ristretto255', () => {
  it('has the multiples of RFC 9496 A.1, without the identity', () => {
    const [identity, ...multiples] = vectors.small_multiples_of_base;
    multiples.forEach((encoded, i) => {
      const scalar = new Uint8Array(32);
      scalar[0] = i + 1;
      expect(hex(encodeElements(generateEach(scalar)))).toBe(encoded);
      expect(hex(encodeElements(decodeElements(unhex(encoded), 's')))).toBe(encoded);
    });
    expect(multiples).toHaveLength(15);
    expect(() => decodeElements(unhex(identity!), 's')).toThrow(
      expect.objectContaining({ code: 'PEER_BAD_ENCODING', fault: 'peer', detail: { step: 's' } }),
    );
  });

  it('refuses the encodings of RFC 9496 A.2', () => {
    expect(vectors.bad_encodings_must_be_rejected).toHaveLength(29);
    for (const bad of vectors.bad_encodings_must_be_rejected) {
      expect(() => decodeElements(unhex(bad), 's')).toThrow(
        expect.objectContaining({ code: 'PEER_BAD_ENCODING' }),
      );
    }
  });

  it('maps uniform bytes and hashed labels as RFC 9496 A.3', () => {
    for (const { label, encoded } of vectors.sha512_label_to_group) {
      const wide = new Uint8Array(createHash('sha512').update(label).digest());
      expect(hex(encodeElements(elementsOf(wide)))).toBe(encoded);
    }
    for (const { uniform_bytes, encoded } of vectors.one_way_map) {
      expect(hex(encodeElements(elementsOf(unhex(uniform_bytes))))).toBe(encoded);
    }
  });
});

describe('base OT', () => {
  const choices = Uint8Array.of(0, 1, 1, 0, 1);

  it('gives the receiver the chosen key of two different ones', async () => {
    const { keys, chosen, frames } = await run(choices);
    choices.forEach((c, i) => {
      expect(key(chosen, i)).toBe(key(keys, 2 * i + c));
      expect(key(chosen, i)).not.toBe(key(keys, 2 * i + 1 - c));
    });
    expect(new Set(Array.from(choices, (_, i) => key(chosen, i))).size).toBe(choices.length);
    expect(frames.map((f) => [f.from, f.step, f.bytes.length])).toEqual([
      [0, 'base.sender', 32],
      [1, 'base.receiver', 64 * choices.length],
    ]);
  });

  it('puts the agreed bytes on the wire and derives the agreed keys', async () => {
    const { keys, frames } = await run(choices);
    const digest = createHash('sha256');
    for (const frame of frames) digest.update(frame.step).update(frame.bytes);
    expect(digest.update(keys).digest('hex')).toMatchInlineSnapshot(
      `"f72fb057e520647cb3a88613344af8a733dcb9b85da918a42ff92b074024f47e"`,
    );
  });

  it('shares no key with another session', async () => {
    const { keys, chosen } = await run(choices, undefined, [SESSION, new Uint8Array(32)]);
    choices.forEach((c, i) => expect(key(chosen, i)).not.toBe(key(keys, 2 * i + c)));
  });

  it.each([
    ['the identity', new Uint8Array(32)],
    ['a field element above p', unhex(vectors.bad_encodings_must_be_rejected[2]!)],
    ['a negative field element', unhex(vectors.bad_encodings_must_be_rejected[5]!)],
    ['a point off the group', unhex(vectors.bad_encodings_must_be_rejected[12]!)],
  ])('blames the peer for %s, from either side', async (_, bad) => {
    for (const [step, at] of [
      ['base.sender', 0],
      ['base.receiver', 64 + 32],
    ] as const) {
      const cheat: Tap = (f) => {
        if (f.step === step) f.bytes.set(bad, at);
        return f;
      };
      await expect(run(choices.subarray(0, 2), cheat)).rejects.toMatchObject({
        code: 'PEER_BAD_ENCODING',
        fault: 'peer',
        detail: { step: `test/${step}` },
      });
    }
  });

  it.each(['base.sender', 'base.receiver'])('blames the peer for a cut %s', async (step) => {
    const cut: Tap = (f) => (f.step === step ? { ...f, bytes: f.bytes.subarray(1) } : f);
    await expect(run(choices.subarray(0, 2), cut)).rejects.toMatchObject({
      code: 'PEER_BAD_LENGTH',
    });
  });
});

describe('labels', () => {
  it('keep session, path and domain apart', () => {
    const a = bindingOf(SESSION, 'q1/ot.0');
    expect(bindingOf(SESSION, 'q1/ot.1')).not.toEqual(a);
    expect(bindingOf(new Uint8Array(32), 'q1/ot.0')).not.toEqual(a);
    expect(hash('x', [utf8('ab')])).not.toEqual(hash('y', [utf8('ab')]));
    expect(hash('xa', [utf8('b')])).not.toEqual(hash('x', [utf8('ab')]));
  });
});
