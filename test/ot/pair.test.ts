// Goal: every correlation is right on every index at every awkward size, in both directions at
// once; and a peer that cuts or alters a message is blamed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRng } from '../../src/core/rng.ts';
import type { BitOtPair, FieldBits } from '../../src/protocols/ot/index.ts';
import { bitBytes, type OtPair } from '../../src/protocols/ot/types.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { memoryLink, runBoth, type MemoryLink, type Tap } from '../support/memory-channel.ts';
import { bitOf, trustedPairs } from './trusted.ts';

type Pairs = readonly [OtPair, OtPair];

function trusted(k: FieldBits, tap?: Tap): { pairs: [BitOtPair, BitOtPair]; link: MemoryLink } {
  const link = memoryLink(tap);
  return { pairs: trustedPairs(link.ends, k, `pair ${k}`), link };
}

/** One random-OT call from party `from`; throws unless each chosen key is the right one. */
async function checkRandom(pairs: Pairs, from: 0 | 1, n: number, blocks: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const [{ k0, k1 }, chosen] = await Promise.all([
    pairs[from].sender.random(n, blocks),
    pairs[1 - from]!.receiver.random(choices, n, blocks),
  ]);
  const bytes = 16 * blocks;
  const expected = new Uint8Array(n * bytes);
  for (let i = 0; i < n; i++) {
    const key = bitOf(choices, i) === 1 ? k1 : k0;
    expected.set(key.subarray(i * bytes, (i + 1) * bytes), i * bytes);
  }
  expect(k0.length).toBe(n * bytes);
  expect(Buffer.compare(chosen, expected)).toBe(0);
  expect(n > 0 && Buffer.compare(k0, k1) === 0).toBe(false);
}

async function checkRing64(pairs: Pairs, from: 0 | 1, n: number, lanes: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const delta = systemRng(8 * n * lanes);
  const shares = await Promise.all([
    pairs[from].sender.correlatedRing64(delta, n, lanes),
    pairs[1 - from]!.receiver.correlatedRing64(choices, n, lanes),
  ]);
  const [d, x, y] = [delta, ...shares].map((b) => new DataView(b.buffer));
  const wrong: number[] = [];
  for (let i = 0; i < n * lanes; i++) {
    const sum = x!.getBigUint64(8 * i, true) + y!.getBigUint64(8 * i, true);
    const c = BigInt(bitOf(choices, Math.floor(i / lanes)));
    if (BigInt.asUintN(64, sum) !== c * d!.getBigUint64(8 * i, true)) wrong.push(i);
  }
  expect(shares.map((s) => s.length)).toEqual([8 * n * lanes, 8 * n * lanes]);
  expect(wrong).toEqual([]);
}

async function checkRing6(pairs: Pairs, from: 0 | 1, n: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const delta = systemRng(n).map((x) => x & 63);
  const [x, y] = await Promise.all([
    pairs[from].sender.correlatedRing6(delta, n),
    pairs[1 - from]!.receiver.correlatedRing6(choices, n),
  ]);
  expect([x.length, y.length]).toEqual([n, n]);
  const sums = x.map((s, i) => (s + y[i]!) & 63);
  expect(sums).toEqual(delta.map((d, i) => d * bitOf(choices, i)));
  expect(x.every((s) => s < 64) && y.every((s) => s < 64)).toBe(true);
}

const sizes = [0, 1, 127, 128, 129, 8191, 8192 + 5];

describe.each([1, 2, 4, 8] as const)('correlations, k = %i', (k) => {
  const { pairs } = trusted(k);

  it.each(sizes)('random OTs, n = %i', async (n) => {
    await checkRandom(pairs, 0, n, 1);
    await checkRandom(pairs, 1, n, 3);
  });

  it.each([1, 2, 3, 4, 5])('over Z_2^64, %i lanes', async (lanes) => {
    for (const n of [1, 130, 8192 + 3]) await checkRing64(pairs, 0, n, lanes);
  });

  it.each(sizes)('over Z_64, n = %i', (n) => checkRing6(pairs, 1, n));

  it('any order of calls, both directions at once', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(call(), { maxLength: 4 }),
        fc.array(call(), { maxLength: 4 }),
        both,
      ),
      { numRuns: 8 },
    ));

  type Call = readonly ['random' | 'ring64' | 'ring6', number, number];
  function call(): fc.Arbitrary<Call> {
    const kind = fc.constantFrom('random' as const, 'ring64' as const, 'ring6' as const);
    return fc.tuple(kind, fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 5 }));
  }
  async function both(first: Call[], second: Call[]): Promise<void> {
    const one = async (from: 0 | 1, calls: Call[]): Promise<void> => {
      for (const [kind, n, width] of calls) {
        if (kind === 'random') await checkRandom(pairs, from, n, width);
        else if (kind === 'ring64') await checkRing64(pairs, from, n, width);
        else await checkRing6(pairs, from, n);
      }
    };
    await Promise.all([one(0, first), one(1, second)]);
  }
});

describe('chunks', () => {
  const { pairs, link } = trusted(4);

  it('more OTs than one chunk, replies not awaited one by one', async () => {
    const n = (1 << 17) + 259;
    await checkRandom(pairs, 0, n, 1);
    await checkRing6(pairs, 0, n);
    const sent = (party: 0 | 1, step: string): number[] =>
      link.frames.filter((f) => f.from === party && f.step === step).map((f) => f.bytes.length);
    const corrections = [4 * (1 << 17), 4 * 384];
    expect(sent(1, 'corrections')).toEqual([...corrections, ...corrections]);
    expect(sent(0, 'ring6')).toEqual([(3 << 17) / 4, 195]);
  });

  it('shrinks chunks so that a message of many lanes stays below 4 MiB', async () => {
    const before = link.frames.length;
    await checkRing64(pairs, 0, 4096 + 1, 128);
    const replies = link.frames.slice(before).filter((f) => f.step === 'ring64');
    expect(replies.map((f) => f.bytes.length)).toEqual([4096 * 1024, 1024]);
  });
});

describe('a peer that misbehaves', () => {
  const choices = new Uint8Array(bitBytes(130)).fill(0x5a);

  it.each([
    ['corrections', 'PEER_BAD_LENGTH', (p: Pairs) => halves(p, 'random')],
    ['ring64', 'PEER_BAD_LENGTH', (p: Pairs) => halves(p, 'ring64')],
    ['ring6', 'PEER_BAD_LENGTH', (p: Pairs) => halves(p, 'ring6')],
  ])('is blamed for a cut %s', async (step, code, run) => {
    const { pairs, link } = trusted(4, (f) =>
      f.step === step ? { ...f, bytes: f.bytes.subarray(1) } : f,
    );
    await expect(runBoth(link, ...run(pairs))).rejects.toMatchObject({ code, fault: 'peer' });
  });

  it('is blamed for padding bits in the six-bit words', async () => {
    const { pairs, link } = trusted(4, (f) => {
      if (f.step === 'ring6') f.bytes[f.bytes.length - 1]! |= 0x80;
      return f;
    });
    await expect(runBoth(link, ...halves(pairs, 'ring6'))).rejects.toMatchObject({
      code: 'PEER_BAD_ENCODING',
      detail: { step: 'test/ot.0/ring6' },
    });
  });

  it('is blamed for another correlation than ours', async () => {
    const { pairs, link } = trusted(4);
    const [send] = halves(pairs, 'ring64');
    const [, receive] = halves(pairs, 'ring6');
    await expect(runBoth(link, send, receive)).rejects.toMatchObject({ code: 'PEER_OUT_OF_STEP' });
  });

  it('leaves a face closed after a failure', async () => {
    const { pairs, link } = trusted(4, (f) => ({ ...f, bytes: f.bytes.subarray(1) }));
    await expect(runBoth(link, ...halves(pairs, 'random'))).rejects.toThrow();
    await expect(pairs[0].sender.random(1)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  function halves(
    pairs: Pairs,
    kind: 'random' | 'ring64' | 'ring6',
  ): [() => Promise<unknown>, () => Promise<unknown>] {
    const [{ sender }, { receiver }] = pairs;
    switch (kind) {
      case 'random':
        return [() => sender.random(130), () => receiver.random(choices, 130)];
      case 'ring64':
        return [
          () => sender.correlatedRing64(new Uint8Array(8 * 130), 130, 1),
          () => receiver.correlatedRing64(choices, 130, 1),
        ];
      case 'ring6':
        return [
          () => sender.correlatedRing6(new Uint8Array(130), 130),
          () => receiver.correlatedRing6(choices, 130),
        ];
    }
  }
});

describe('the ideal pair of upper layers', () => {
  const pairs = idealOtPair();

  it('keeps the same promises', async () => {
    for (const n of [0, 1, 130]) {
      await Promise.all([checkRandom(pairs, 0, n, 2), checkRandom(pairs, 1, n, 1)]);
      await checkRing64(pairs, 0, n, 3);
      await checkRing6(pairs, 1, n);
    }
  });

  it('refuses ends that disagree', async () => {
    const [first, second] = idealOtPair();
    const done = await Promise.allSettled([
      first.sender.correlatedRing64(new Uint8Array(8 * 5), 5, 1),
      second.receiver.correlatedRing64(new Uint8Array(16), 6, 1),
    ]);
    expect(done.map((d) => d.status)).toEqual(['rejected', 'rejected']);
  });
});

describe('contracts', () => {
  const { pairs } = trusted(4);
  const [{ sender, receiver }] = pairs;

  it.each([
    ['a delta of another length', () => sender.correlatedRing64(new Uint8Array(9), 1, 1)],
    ['a six-bit delta of 64', () => sender.correlatedRing6(Uint8Array.of(64), 1)],
    ['too few choices', () => receiver.random(new Uint8Array(15), 120)],
    ['too many choices', () => receiver.correlatedRing6(new Uint8Array(32), 120)],
    ['no lane', () => receiver.correlatedRing64(new Uint8Array(16), 5, 0)],
    ['too many lanes', () => receiver.correlatedRing64(new Uint8Array(16), 5, 129)],
  ])('refuse %s', async (_, run) => {
    await expect(run()).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
