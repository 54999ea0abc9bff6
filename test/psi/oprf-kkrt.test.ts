// Goal: both ends get the same F_i, recomputed here bit by bit from the transfers; it is equal for
// equal points of one bin only; what crosses is uniform, pinned and of one shape; and a peer that
// sends another length is named by code.
import { createCipheriv, createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat, toHex, u32be, utf8 } from '../../src/core/bytes.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { Rng } from '../../src/core/rng.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';
import { CHUNK_BINS, SLICE_BINS } from '../../src/protocols/psi/limits.ts';
import { WIDTH } from '../../src/protocols/psi/oprf-kkrt-steps.ts';
import { createKkrtOprf } from '../../src/protocols/psi/oprf-kkrt.ts';
import type { KkrtOprfOptions } from '../../src/protocols/psi/oprf-kkrt.ts';
import { KEY_BYTES, POINT_BYTES } from '../../src/protocols/psi/types.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { memoryLink } from '../support/memory-channel.ts';
import type { Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { blake2s } from './blake2s-reference.ts';
import { byteBias, range } from './support.ts';

describe('both ends', () => {
  it('get F as OPRF-KKRT.md defines it', async () => {
    const mine = somePoints(300, 0);
    const theirs = somePoints(40, 290);
    const bins = Uint32Array.from({ length: 40 }, (_, i) => (i < 10 ? 290 + i : (7 * i) % 300));
    const made = await run(mine, { points: theirs, bins }, { session: utf8('q1') });
    const plain = plainF(made, mine, 'q1');
    expect(made.receiver).toEqual(range(0, 300).map((i) => plain(i, pointAt(mine, i))));
    expect(made.sender).toEqual(range(0, 40).map((i) => plain(bins[i]!, pointAt(theirs, i))));
    // Own points 0 to 9 are the receiver's of the same bin; no other key meets.
    expect(made.sender.slice(0, 10)).toEqual(made.receiver.slice(290));
    expect(new Set([...made.receiver, ...made.sender]).size).toBe(330);
  });

  it('agree exactly where point and bin do', async () => {
    const n = 500;
    const mine = somePoints(n, 0);
    // Every point of the receiver at its own bin, at another, and with another index byte.
    const other = mine.slice();
    for (let i = 0; i < n; i++) other[POINT_BYTES * (i + 1) - 1]! ^= 1;
    const bins = Uint32Array.from(
      { length: 3 * n },
      (_, i) => (i < n || i >= 2 * n ? i % n : i + 1) % n,
    );
    const { receiver, sender } = await run(mine, { points: concat([mine, mine, other]), bins });
    expect(sender.slice(0, n)).toEqual(receiver);
    expect(new Set([...receiver, ...sender.slice(n)]).size).toBe(3 * n);
  });

  it('separate sessions, channel paths and runs', async () => {
    const one = { points: somePoints(1, 0), bins: Uint32Array.of(0) };
    const keyOf = async (options: RunOptions) => (await run(one.points, one, options)).receiver[0];
    const keys = await Promise.all([
      keyOf({}),
      keyOf({ session: utf8('a') }),
      keyOf({ session: utf8('b') }),
      keyOf({ path: 'elsewhere' }),
      keyOf({ rng: seededRng('another code') }),
      keyOf({ dealer: seededRng('other transfers') }),
    ]);
    expect(new Set(keys).size).toBe(6);
  });

  it.each([
    [0, 0],
    [1, 0],
    [3, 9],
    [128, 5],
    [129, 1],
  ])('work at n = %i, m = %i', async (n, m) => {
    const points = somePoints(m, 0);
    const bins = new Uint32Array(m).map((_, i) => i % n);
    const { receiver, sender } = await run(somePoints(n, 0), { points, bins });
    expect([receiver.length, sender.length]).toEqual([n, m]);
    expect(sender.slice(0, n)).toEqual(receiver.slice(0, m));
  });

  it('cross slices and chunks', async () => {
    const n = CHUNK_BINS + SLICE_BINS + 77;
    const mine = systemRng(POINT_BYTES * n);
    const bins = Uint32Array.from(
      [
        0,
        1,
        127,
        128,
        SLICE_BINS - 1,
        SLICE_BINS,
        CHUNK_BINS - 1,
        CHUNK_BINS,
        n - 78,
        n - 1,
      ].flatMap((bin) => [bin, bin]),
    );
    const points = concat(
      [...bins].map((bin, i) => pointAt(mine, i % 2 === 0 ? bin : (bin + 1) % n)),
    );
    const events: ProgressEvent[] = [];
    const onProgress = (event: ProgressEvent) => events.push(event);
    const made = await run(mine, { points, bins }, { onProgress });
    bins.forEach((bin, i) => {
      const equal = made.sender[i] === made.receiver[bin];
      expect(equal).toBe(i % 2 === 0);
    });
    const lengths = made.wire.filter((f) => f.step === 'corrections').map((f) => f.bytes.length);
    expect(lengths).toEqual([...Array<number>(9).fill(64 * SLICE_BINS), 64 * 77]);
    const finished = events.filter((event) => event.done === event.total);
    expect(new Set(finished.map((event) => event.total))).toEqual(new Set([n, n + bins.length]));
  });
});

describe('the wire', () => {
  it('carries the pinned bytes under seeded randomness', async () => {
    const own = { points: somePoints(3, 2), bins: Uint32Array.of(2, 3, 0) };
    const { wire } = await run(somePoints(5, 0), own, { session: utf8('pin') });
    expect(wire.map((f) => [f.from, f.step, f.bytes.length])).toEqual([
      [1, 'code-seed', 16],
      [0, 'corrections', 320],
    ]);
    expect(toHex(sha512(...wire.map((f) => f.bytes)).subarray(0, 16))).toBe(
      '0994c7301b4f36f07abe8a13d8f363ce',
    );
  });

  it('is uniform and never twice the same, also for equal points in all bins', async () => {
    const points = concat(Array<Uint8Array>(2_000).fill(somePoints(1, 0)));
    const own = { points: somePoints(0, 0), bins: new Uint32Array(0) };
    const runs = [await run(points, own), await run(points, own, { dealer: systemRng })];
    const sent = runs.map((r) => r.wire.find((f) => f.step === 'corrections')!.bytes);
    for (const bytes of sent) expect(byteBias(bytes)).toBeLessThan(5);
    const blocks = sent.flatMap((bytes) => split(bytes, 16));
    expect(new Set(blocks).size).toBe(blocks.length);
  });

  it('has one shape for any points', async () => {
    const shapes = await Promise.all(
      [0, 5_000].map(async (from) => {
        const bins = Uint32Array.from({ length: 30 }, (_, i) => (from === 0 ? i : 7));
        const { wire } = await run(somePoints(200, from), { points: somePoints(30, 0), bins });
        return wire.map((f) => `${f.from} ${f.step} ${f.bytes.length}`);
      }),
    );
    expect(shapes[0]).toEqual(shapes[1]);
  });
});

describe('a dishonest peer', () => {
  const own = { points: somePoints(3, 0), bins: Uint32Array.of(0, 1, 2) };
  const bad = (tap: Tap) => run(somePoints(5, 0), own, { tap });

  it.each(['code-seed', 'corrections'])('is blamed for a %s of another length', async (step) => {
    for (const edit of [
      (bytes: Uint8Array) => bytes.subarray(1),
      (bytes: Uint8Array) => concat([bytes, new Uint8Array(1)]),
      () => new Uint8Array(0),
    ]) {
      const tap: Tap = (f) => (f.step === step ? { ...f, bytes: edit(f.bytes) } : f);
      await expect(bad(tap)).rejects.toMatchObject({
        code: 'PEER_BAD_LENGTH',
        fault: 'peer',
        detail: { step: `test/${step}` },
      });
    }
  });

  it('is blamed for another message', async () => {
    const tap: Tap = (f) => (f.step === 'corrections' ? { ...f, step: 'other' } : f);
    await expect(bad(tap)).rejects.toMatchObject({ code: 'PEER_OUT_OF_STEP' });
  });

  it('only spoils the bin whose correction it changes', async () => {
    const tap: Tap = (f) => {
      // Rows lie in planes of 5 blocks; all bits of row 1.
      if (f.step === 'corrections')
        for (let g = 0; g < 4; g++) f.bytes.fill(255, 80 * g + 16, 80 * g + 32);
      return f;
    };
    const { receiver, sender } = await bad(tap);
    expect(sender.map((key, i) => key === receiver[i])).toEqual([true, false, true]);
  });
});

describe('contracts', () => {
  it('has words far enough apart at its width, and at no width below 448', () => {
    // log2 P[Binomial(W, 1/2) < 128], with 2^24 pairs of words.
    expect(24 + closeWords(WIDTH)).toBeLessThan(-78);
    expect(24 + closeWords(448)).toBeLessThan(-40);
    expect(24 + closeWords(440)).toBeGreaterThan(-40);
  });

  it('refuses bins outside the table and another number of bins than points', async () => {
    const points = somePoints(2, 0);
    for (const bins of [Uint32Array.of(0, 5), Uint32Array.of(0)]) {
      await expect(run(somePoints(5, 0), { points, bins })).rejects.toMatchObject({
        code: 'INTERNAL',
      });
    }
  });

  it('draws 80 bytes at the sender and nothing at the receiver', async () => {
    const drawn: number[] = [];
    const rng: Rng = (bytes) => {
      drawn.push(bytes);
      return systemRng(bytes);
    };
    await run(somePoints(3, 0), { points: somePoints(1, 0), bins: Uint32Array.of(0) }, { rng });
    expect(drawn).toEqual([16, 64]);
  });
});

interface RunOptions extends Omit<KkrtOprfOptions, 'pair'> {
  readonly tap?: Tap;
  readonly path?: string;
  /** The sender's. */
  readonly rng?: Rng;
  /** Of the ideal transfers. */
  readonly dealer?: Rng;
}

interface Own {
  readonly points: Uint8Array;
  readonly bins: Uint32Array;
}

type Outcome = Awaited<ReturnType<typeof run>>;

async function run(mine: Uint8Array, own: Own, options: RunOptions = {}) {
  const link = memoryLink(options.tap, options.path);
  const keys = { k0: new Uint8Array(0), k1: new Uint8Array(0), s: new Uint8Array(0) };
  const [a, b] = spiedPair(idealOtPair(options.dealer ?? seededRng('dealer')), keys);
  const n = mine.length / POINT_BYTES;
  const rng = options.rng ?? seededRng('sender');
  const none: Rng = () => {
    throw new Error('the receiver draws nothing');
  };
  const [x, y] = link.ends;
  // Fails with the first end that fails: the other may be waiting at the dealer for ever.
  const [receiver, sender] = await Promise.all([
    createKkrtOprf({ ...options, pair: a }).receive(x, mine, none),
    createKkrtOprf({ ...options, pair: b }).send(y, n, own.points, own.bins, rng),
  ]);
  return {
    receiver: split(receiver, KEY_BYTES),
    sender: split(sender, KEY_BYTES),
    wire: link.frames,
    keys,
  };
}

/** The pair, with the transfers' outcomes written down. */
function spiedPair(
  [a, b]: [OtPair, OtPair],
  keys: { k0: Uint8Array; k1: Uint8Array; s: Uint8Array },
): [OtPair, OtPair] {
  const sender: OtPair['sender'] = {
    ...a.sender,
    async random(n) {
      const made = await a.sender.random(n);
      keys.k0 = made.k0.slice();
      keys.k1 = made.k1.slice();
      return made;
    },
  };
  const receiver: OtPair['receiver'] = {
    ...b.receiver,
    random(choices, n) {
      keys.s = choices.slice();
      return b.receiver.random(choices, n);
    },
  };
  return [
    { ...a, sender },
    { ...b, receiver },
  ];
}

/** F of OPRF-KKRT.md, one row and one bit at a time, on channel path `test`. */
function plainF(
  { keys, wire }: Outcome,
  mine: Uint8Array,
  label: string,
): (bin: number, point: Uint8Array) => string {
  const seed = wire.find((f) => f.step === 'code-seed')!.bytes;
  const binding = [u32be(label.length), utf8(label), u32be(4), utf8('test'), seed];
  const derive = (use: string) => sha512(utf8(`parley/psi/oprf-kkrt/v1/${use}`), ...binding);
  const [codeKeys, pointKeys] = [derive('code'), derive('point')];
  const code = (point: Uint8Array): Uint8Array => {
    const mac = createCipheriv('aes-128-cbc', pointKeys.subarray(0, 16), new Uint8Array(16));
    const block = mac.update(concat([point, new Uint8Array(15)])).subarray(32);
    return concat(
      [0, 1, 2, 3].map((g) => {
        const key = codeKeys.subarray(16 * g, 16 * g + 16);
        return createCipheriv('aes-128-ecb', key, null).update(block);
      }),
    );
  };
  const bytes = Math.ceil(mine.length / POINT_BYTES / 8);
  const t0 = range(0, WIDTH).map((column) => {
    const key = keys.k0.subarray(16 * column, 16 * column + 16);
    const stream = createCipheriv('aes-128-ctr', key, new Uint8Array(16));
    return stream.update(new Uint8Array(bytes));
  });
  return (bin, point) => {
    const row = new Uint8Array(WIDTH / 8);
    t0.forEach((column, j) => {
      row[j >> 3]! |= ((column[bin >> 3]! >> (bin & 7)) & 1) << (j & 7);
    });
    const [x, y] = [code(pointAt(mine, bin)), code(point)];
    const z = row.map((byte, k) => byte ^ ((x[k]! ^ y[k]!) & keys.s[k]!));
    const salt = new Uint8Array(8);
    salt[0] = bin & 255;
    salt[1] = bin >> 8;
    return toHex(blake2s(z, { digestBytes: KEY_BYTES, salt, person: pointKeys.subarray(16, 24) }));
  };
}

/** log2 of the probability that two random words of `width` bits differ in fewer than 128. */
function closeWords(width: number): number {
  let binomial = 1n;
  let sum = 0n;
  for (let k = 0n; k < 128n; k++) {
    sum += binomial;
    binomial = (binomial * (BigInt(width) - k)) / (k + 1n);
  }
  const digits = sum.toString();
  return Math.log2(Number(`0.${digits}`)) + digits.length * Math.log2(10) - width;
}

/** Points number `from` to `from + n`: a 32-byte hash, then an index of 0, 1 or 2. */
function somePoints(n: number, from: number): Uint8Array {
  return concat(
    range(from, n).map((i) => concat([sha512(u32be(i)).subarray(0, 32), Uint8Array.of(i % 3)])),
  );
}

function pointAt(points: Uint8Array, i: number): Uint8Array {
  return points.subarray(POINT_BYTES * i, POINT_BYTES * (i + 1));
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  return createHash('sha512').update(concat(parts)).digest();
}

function split(bytes: Uint8Array, each: number): string[] {
  return range(0, bytes.length / each).map((i) => toHex(bytes.subarray(each * i, each * (i + 1))));
}
