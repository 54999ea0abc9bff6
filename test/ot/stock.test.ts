// Goal: OTs made ahead and turned to chosen choices stand in the relation the live ones stand in, for
// every use and size; what crosses says nothing of the choices; a dry stock changes over to live at
// the same call at both ends; nothing is handed out twice.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRng } from '../../src/core/rng.ts';
import {
  bitBytes,
  createTriples,
  createTripleSource,
  keyBytes,
  makeReceiverPool,
  makeSenderPool,
  stockedPair,
  stockedTriples,
  type OtCount,
  type OtPair,
} from '../../src/protocols/ot/index.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { memoryLink, runBoth, type MemoryLink, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { bitOf, trustedPairs } from './trusted.ts';

/** Pearson's statistic of bytes against the uniform law, 255 degrees; above 400 once in 10^8. */
function chiSquareOfBytes(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte]! += 1;
  const mean = bytes.length / 256;
  return counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
}

type Source = 'ideal' | 'real';

interface Stocked {
  readonly link: MemoryLink;
  readonly pairs: readonly [OtPair, OtPair];
  /** Calls that went to the live pair, by end. */
  readonly live: readonly [string[], string[]];
}

/** Both ends' pairs over a stock of `counts` in each direction, made over `source`. */
async function stocked(source: Source, counts: readonly OtCount[], tap?: Tap): Promise<Stocked> {
  const link = memoryLink();
  const made = source === 'ideal' ? idealOtPair() : trustedPairs(link.ends, 4, `stock ${source}`);
  const stocks = await Promise.all(
    made.map(async (pair) => {
      const sends = [];
      const receives = [];
      for (const count of counts) {
        const [s, r] = await Promise.all([
          makeSenderPool(pair.sender, count),
          makeReceiverPool(pair.receiver, count, systemRng),
        ]);
        sends.push(s);
        receives.push(r);
      }
      return { sends, receives };
    }),
  );
  const online = memoryLink(tap);
  const live: [string[], string[]] = [[], []];
  const ends = idealOtPair().map((pair, party) => watched(pair, live[party]!));
  const pairs = ([0, 1] as const).map((party) =>
    stockedPair({
      channel: online.ends[party],
      party,
      stock: stocks[party]!,
      live: ends[party]!,
    }),
  ) as [OtPair, OtPair];
  return { link: online, pairs, live };
}

function watched({ sender, receiver }: OtPair, calls: string[]): OtPair {
  const note = <T>(name: string, result: T): T => {
    calls.push(name);
    return result;
  };
  return {
    sender: {
      random: (n, blocks) => note(`send random ${n}`, sender.random(n, blocks)),
      correlatedRing64: (d, n, l) => note(`send ring64 ${n}`, sender.correlatedRing64(d, n, l)),
      correlatedRing6: (d, n) => note(`send ring6 ${n}`, sender.correlatedRing6(d, n)),
    },
    receiver: {
      random: (c, n, blocks) => note(`take random ${n}`, receiver.random(c, n, blocks)),
      correlatedRing64: (c, n, l) => note(`take ring64 ${n}`, receiver.correlatedRing64(c, n, l)),
      correlatedRing6: (c, n) => note(`take ring6 ${n}`, receiver.correlatedRing6(c, n)),
    },
  };
}

type Ends = readonly [OtPair, OtPair];

async function checkRandom(pairs: Ends, from: 0 | 1, n: number, blocks: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const [{ k0, k1 }, chosen] = await Promise.all([
    pairs[from].sender.random(n, blocks),
    pairs[1 - from]!.receiver.random(choices, n, blocks),
  ]);
  const bytes = 16 * blocks;
  expect([k0.length, k1.length, chosen.length]).toEqual([n * bytes, n * bytes, n * bytes]);
  for (let i = 0; i < n; i++) {
    const own = (keys: Uint8Array) => Buffer.from(keys.subarray(i * bytes, (i + 1) * bytes));
    const [yes, no] = bitOf(choices, i) === 1 ? [k1, k0] : [k0, k1];
    expect(own(chosen).equals(own(yes))).toBe(true);
    expect(own(chosen).equals(own(no))).toBe(false);
  }
}

async function checkRing64(pairs: Ends, from: 0 | 1, n: number, lanes: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const delta = systemRng(8 * n * lanes);
  const shares = await Promise.all([
    pairs[from].sender.correlatedRing64(delta, n, lanes),
    pairs[1 - from]!.receiver.correlatedRing64(choices, n, lanes),
  ]);
  const [d, x, y] = [delta, ...shares].map((b) => new DataView(b.buffer));
  for (let i = 0; i < n * lanes; i++) {
    const sum = x!.getBigUint64(8 * i, true) + y!.getBigUint64(8 * i, true);
    const c = BigInt(bitOf(choices, Math.floor(i / lanes)));
    expect(BigInt.asUintN(64, sum)).toBe(c * d!.getBigUint64(8 * i, true));
  }
}

async function checkRing6(pairs: Ends, from: 0 | 1, n: number): Promise<void> {
  const choices = systemRng(bitBytes(n));
  const delta = systemRng(n).map((x) => x & 63);
  const [x, y] = await Promise.all([
    pairs[from].sender.correlatedRing6(delta, n),
    pairs[1 - from]!.receiver.correlatedRing6(choices, n),
  ]);
  expect([x.length, y.length]).toEqual([n, n]);
  expect(x.map((s, i) => (s + y[i]!) & 63)).toEqual(delta.map((d, i) => d * bitOf(choices, i)));
}

type Call =
  | { readonly kind: 'ring6'; readonly from: 0 | 1; readonly n: number; readonly width: 1 }
  | {
      readonly kind: 'ring64' | 'blocks';
      readonly from: 0 | 1;
      readonly n: number;
      readonly width: number;
    };

function check(pairs: Ends, { kind, from, n, width }: Call): Promise<void> {
  if (kind === 'ring6') return checkRing6(pairs, from, n);
  return kind === 'ring64'
    ? checkRing64(pairs, from, n, width)
    : checkRandom(pairs, from, n, width);
}

const from = fc.constantFrom(0 as const, 1 as const);
const size = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 120, max: 400 }));
const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ kind: fc.constant('ring6' as const), from, n: size, width: fc.constant(1 as const) }),
  fc.record({
    kind: fc.constantFrom('ring64' as const, 'blocks' as const),
    from,
    n: size,
    width: fc.integer({ min: 1, max: 3 }),
  }),
);

const count = (kind: OtCount['kind'], width: number, n: number): OtCount => ({ kind, width, n });

describe.each(['ideal', 'real'] as const)('stocked OTs, made over %s ones', (source) => {
  it('stand in the live relation whatever is called in which order, dry or not', () =>
    fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
        const counts = [
          count('ring6', 1, 512),
          ...[1, 2, 3].flatMap((w) => [count('ring64', w, 384), count('blocks', w, 256)]),
        ];
        const { pairs, live } = await stocked(source, counts);
        for (const each of calls) await check(pairs, each);
        // Both ends went over at the same calls.
        const other = (names: string[]): string[] =>
          names.map((name) =>
            name.replace('send', 'x').replace('take', 'send').replace('x', 'take'),
          );
        expect(live[0]).toEqual(other(live[1]));
      }),
      { numRuns: 12 },
    ));

  it('go to the live pair exactly when a call wants more than is left', async () => {
    const { pairs, live, link } = await stocked(source, [count('ring64', 2, 384)]);
    await check(pairs, { kind: 'ring64', from: 0, n: 129, width: 2 });
    await check(pairs, { kind: 'ring64', from: 0, n: 129, width: 2 });
    await check(pairs, { kind: 'ring64', from: 0, n: 128, width: 2 });
    await check(pairs, { kind: 'ring64', from: 0, n: 1, width: 2 });
    await check(pairs, { kind: 'ring64', from: 0, n: 1, width: 1 });
    await check(pairs, { kind: 'ring64', from: 1, n: 384, width: 2 });
    expect(live[0]).toEqual(['send ring64 129', 'send ring64 1', 'send ring64 1']);
    expect(live[1]).toEqual(['take ring64 129', 'take ring64 1', 'take ring64 1']);
    expect(link.frames.map((f) => [f.path, f.step, f.bytes.length])).toEqual([
      ['test/ot.0', 'choices', 32],
      ['test/ot.0', 'ring64', 129 * 16],
      ['test/ot.0', 'choices', 16],
      ['test/ot.0', 'ring64', 128 * 16],
      ['test/ot.1', 'choices', 48],
      ['test/ot.1', 'ring64', 384 * 16],
    ]);
  });

  it('cross chunk borders', async () => {
    const n = (1 << 17) + 129;
    const counts = [count('ring6', 1, n + 127), count('ring64', 4, n + 127)];
    const { pairs, live } = await stocked(source, counts);
    await checkRing6(pairs, 0, n);
    const choices = systemRng(bitBytes(n));
    const delta = systemRng(32 * n);
    const [x, y] = await Promise.all([
      pairs[1].sender.correlatedRing64(delta, n, 4),
      pairs[0].receiver.correlatedRing64(choices, n, 4),
    ]);
    const words = [x, y, delta].map((b) => new BigUint64Array(b.buffer));
    const wrong = Array.from({ length: 4 * n }, (_, i) => i).filter(
      (i) =>
        BigInt.asUintN(64, words[0]![i]! + words[1]![i]!) !==
        (bitOf(choices, i >> 2) === 1 ? words[2]![i]! : 0n),
    );
    expect(wrong).toEqual([]);
    expect(live).toEqual([[], []]);
  });
});

describe('what crosses', () => {
  it('is uniform, with all choices 0, all 1 and all corrections 0', async () => {
    const n = 1 << 15;
    const sent: Uint8Array[] = [];
    for (const fill of [0, 0xff]) {
      const { pairs, link } = await stocked('real', [count('ring6', 1, n), count('ring64', 1, n)]);
      const choices = (): Uint8Array => new Uint8Array(bitBytes(n)).fill(fill);
      await Promise.all([
        pairs[0].sender.correlatedRing6(new Uint8Array(n), n),
        pairs[1].receiver.correlatedRing6(choices(), n),
      ]);
      await Promise.all([
        pairs[0].sender.correlatedRing64(new Uint8Array(8 * n), n, 1),
        pairs[1].receiver.correlatedRing64(choices(), n, 1),
      ]);
      sent.push(...link.frames.map((f) => f.bytes));
    }
    expect(sent).toHaveLength(8);
    for (const bytes of sent) expect(chiSquareOfBytes(bytes)).toBeLessThan(400);
  });

  it('is refused when it is cut, and when padding is set', async () => {
    const edits: readonly (readonly [string, string, (b: Uint8Array) => Uint8Array])[] = [
      ['choices', 'PEER_BAD_LENGTH', (b) => b.subarray(1)],
      ['ring6', 'PEER_BAD_LENGTH', (b) => b.subarray(1)],
      ['ring6', 'PEER_BAD_ENCODING', (b) => b.map((x, i) => (i === b.length - 1 ? x | 0x80 : x))],
    ];
    for (const [step, code, edit] of edits) {
      const tap: Tap = (f) => (f.step === step ? { ...f, bytes: edit(f.bytes) } : f);
      const { pairs, link } = await stocked('ideal', [count('ring6', 1, 128)], tap);
      const both = runBoth(
        link,
        () => pairs[0].sender.correlatedRing6(new Uint8Array(1), 1),
        () => pairs[1].receiver.correlatedRing6(new Uint8Array(16), 1),
      );
      await expect(both).rejects.toMatchObject({ code });
    }
  });
});

describe('single use', () => {
  it('leaves zeros where keys were taken', async () => {
    const [first, second] = idealOtPair();
    const counts = [count('ring64', 1, 256), count('blocks', 2, 256), count('ring6', 1, 256)];
    const sends = await Promise.all(
      counts
        .map(
          (c) =>
            [
              makeSenderPool(first.sender, c),
              makeReceiverPool(second.receiver, c, systemRng),
            ] as const,
        )
        .map((both) => Promise.all(both)),
    );
    const link = memoryLink();
    const [a, b] = ([0, 1] as const).map((party) =>
      stockedPair({
        channel: link.ends[party],
        party,
        stock:
          party === 0
            ? { sends: sends.map(([s]) => s), receives: [] }
            : { sends: [], receives: sends.map(([, r]) => r) },
        live: idealOtPair()[party],
      }),
    ) as [OtPair, OtPair];
    await checkRing64([a, b], 0, 100, 1);
    await checkRandom([a, b], 0, 100, 2);
    await checkRing6([a, b], 0, 100);
    sends.forEach(([s, r]) => {
      const bytes = keyBytes(s);
      const heads = [s.k0, s.k1, r.keys].map((keys) => keys.subarray(0, 128 * bytes));
      for (const head of [...heads, r.choices.subarray(0, 16)]) {
        expect(head.every((byte) => byte === 0)).toBe(true);
      }
      const rest = s.k0.subarray(128 * bytes);
      expect(rest.some((byte) => byte !== 0)).toBe(true);
    });
  });

  it('of triples: each once, in order, then live at both ends', async () => {
    const [first, second] = idealOtPair();
    const [x, y] = await Promise.all([
      createTriples(first, 512, seededRng('x')),
      createTriples(second, 512, seededRng('y')),
    ]);
    const blocks = [0, 16, 32, 48].map((at) =>
      Buffer.from(x.a.subarray(at, at + 16)).toString('hex'),
    );
    const live = idealOtPair();
    const ends = [x, y].map((stock, party) =>
      stockedTriples(stock, createTripleSource({ pair: live[party]!, rng: seededRng(`${party}`) })),
    );
    const seen: string[] = [];
    for (const n of [128, 512, 256, 128, 128]) {
      const [s, t] = await Promise.all(ends.map((end) => end.take(n)));
      for (let i = 0; i < n / 8; i++) {
        const bit = (name: 'a' | 'b' | 'c'): number => s![name][i]! ^ t![name][i]!;
        expect(bit('a') & bit('b')).toBe(bit('c'));
      }
      for (let at = 0; at < n / 8; at += 16) {
        seen.push(Buffer.from(s!.a.subarray(at, at + 16)).toString('hex'));
      }
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((block) => blocks.includes(block))).toEqual(blocks);
    expect(x.a.every((byte) => byte === 0) && x.c.every((byte) => byte === 0)).toBe(true);
  });
});
