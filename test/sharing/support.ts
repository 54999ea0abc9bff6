import { createHash } from 'node:crypto';
import type { Rng } from '../../src/core/rng.ts';
import { bitBytes, type BitTriples, type OtPair } from '../../src/protocols/ot/types.ts';
import {
  createSharing,
  elementsFromWord,
  packBits,
  unpackBits,
  wordFromElements,
  type RingVector,
  type Sharing,
  type TripleProvider,
  type Wire,
  type Word,
} from '../../src/protocols/sharing/index.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { memoryLink, runBoth, type Frame, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { twoParty } from '../support/two-party.ts';

/** A trusted dealer of bit triples; whoever asks first makes both halves. */
export function dealerTriples(seed: string): [TripleProvider, TripleProvider] {
  const rng = seededRng(`${seed}/dealer`);
  const waiting: [BitTriples[], BitTriples[]] = [[], []];
  const end = (party: 0 | 1): TripleProvider => ({
    async take(nBits) {
      const ready = waiting[party].shift();
      if (ready !== undefined) return ready;
      const bytes = bitBytes(nBits);
      const own = { a: rng(bytes), b: rng(bytes), c: rng(bytes) };
      const theirs = { a: rng(bytes), b: rng(bytes), c: new Uint8Array(bytes) };
      const [oa, ob, oc, ta, tb, tc] = [own.a, own.b, own.c, theirs.a, theirs.b, theirs.c].map(
        (x) => new Uint32Array(x.buffer, x.byteOffset, bytes / 4),
      ) as [Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array];
      for (let i = 0; i < tc.length; i++) {
        tc[i] = ((oa[i]! ^ ta[i]!) & (ob[i]! ^ tb[i]!)) ^ oc[i]!;
      }
      waiting[party === 0 ? 1 : 0].push(theirs);
      return own;
    },
  });
  return [end(0), end(1)];
}

/** Bit triples from random OTs by the formula of protocols.md section 3, bit by bit. */
export function otTriples(ot: OtPair, rng: Rng): TripleProvider {
  return {
    async take(nBits) {
      const a = rng(bitBytes(nBits));
      const [{ k0, k1 }, chosen] = await Promise.all([
        ot.sender.random(nBits),
        ot.receiver.random(a, nBits),
      ]);
      const bit = (keys: Uint8Array, i: number): number => keys[16 * i]! & 1;
      const b = packBits(Array.from({ length: nBits }, (_, i) => bit(k0, i) ^ bit(k1, i)));
      const plainA = unpackBits(a, nBits);
      const plainB = unpackBits(b, nBits);
      const c = packBits(
        Array.from(plainA, (ai, i) => (ai & plainB[i]!) ^ bit(k0, i) ^ bit(chosen, i)),
      );
      return { a, b, c };
    },
  };
}

/** What a sharing was asked for: AND gates (pairs · rows) and rounds (calls). */
export interface Gates {
  ands: number;
  rounds: number;
}

export interface Pair {
  readonly ends: readonly [Sharing, Sharing];
  readonly frames: readonly Frame[];
  readonly gates: Gates;
  /** COTs asked for at end 0, as `sender|receiver n lanes`. */
  readonly cots: string[];
  /** Runs both ends of one protocol. */
  run<T>(half: (ctx: Sharing) => Promise<T>): Promise<[T, T]>;
}

export interface PairOptions {
  readonly seed?: string;
  readonly tap?: Tap;
  readonly rngs?: readonly [Rng, Rng];
  readonly triples?: 'dealer' | 'ot';
  readonly record?: boolean;
}

const untouched: Tap = (frame) => frame;

export function makePair(options: PairOptions = {}): Pair {
  const { seed = 'sharing', tap = untouched, triples: kind = 'dealer', record = true } = options;
  const link = memoryLink(tap, 'test', record);
  const ots = idealOtPair(seededRng(`${seed}/ot`));
  const rngs = options.rngs ?? [seededRng(`${seed}/0`), seededRng(`${seed}/1`)];
  const gates: Gates = { ands: 0, rounds: 0 };
  const cots: string[] = [];
  const triples =
    kind === 'dealer'
      ? dealerTriples(seed)
      : ([otTriples(ots[0], rngs[0]), otTriples(ots[1], rngs[1])] as const);
  const end = (party: 0 | 1): Sharing => {
    const ot = party === 0 ? countCots(ots[0], cots) : ots[1];
    const channel = link.ends[party];
    const inner = createSharing({
      ...twoParty(party, channel, ot),
      triples: triples[party],
      rng: rngs[party],
    });
    if (party === 1) return inner;
    return {
      ...inner,
      and(xs, ys, rows) {
        gates.ands += xs.length * rows;
        gates.rounds += 1;
        return inner.and(xs, ys, rows);
      },
    };
  };
  const ends = [end(0), end(1)] as const;
  return {
    ends,
    frames: link.frames,
    gates,
    cots,
    run: (half) =>
      runBoth(
        link,
        () => half(ends[0]),
        () => half(ends[1]),
      ),
  };
}

function countCots(ot: OtPair, cots: string[]): OtPair {
  return {
    sender: {
      ...ot.sender,
      correlatedRing64(delta, n, lanes) {
        cots.push(`sender ${n} ${lanes}`);
        return ot.sender.correlatedRing64(delta, n, lanes);
      },
    },
    receiver: {
      ...ot.receiver,
      correlatedRing64(choices, n, lanes) {
        cots.push(`receiver ${n} ${lanes}`);
        return ot.receiver.correlatedRing64(choices, n, lanes);
      },
    },
  };
}

/** SHA-256 of a transcript: sender, path, step and bytes of every message, per direction. */
export function transcriptDigest(frames: readonly Frame[]): string {
  const hash = createHash('sha256');
  for (const from of [0, 1]) {
    for (const frame of frames) {
      if (frame.from !== from) continue;
      hash.update(`${from} ${frame.path}/${frame.step} ${frame.bytes.length}\n`);
      hash.update(frame.bytes);
    }
  }
  return hash.digest('hex');
}

/** What an observer of sizes sees. */
export function transcriptShape(frames: readonly Frame[]): string[] {
  return frames.map((f) => `${f.from} ${f.path}/${f.step} ${f.bytes.length}`).sort();
}

export function xorBytes(x: Uint8Array, y: Uint8Array): Uint8Array {
  return x.map((byte, i) => byte ^ y[i]!);
}

/** XOR-shares plain bits; padding bits are random too. */
export function shareBits(bits: ArrayLike<number>, rng: Rng): [Wire, Wire] {
  const plain = packBits(bits);
  const mask = rng(plain.length);
  const noisy = rng(plain.length);
  const padded = plain.map((byte, i) => {
    const used = Math.min(8, Math.max(0, bits.length - 8 * i));
    const keep = (1 << used) - 1;
    return (byte & keep) | (noisy[i]! & ~keep);
  });
  return [xorBytes(padded, mask), mask];
}

/** XOR-shares unsigned or two's complement integers as words of `bits` wires. */
export function shareIntegers(values: readonly bigint[], bits: number, rng: Rng): [Word, Word] {
  const shares = Array.from({ length: bits }, (_, i) =>
    shareBits(
      values.map((v) => Number((v >> BigInt(i)) & 1n)),
      rng,
    ),
  );
  return [shares.map((s) => s[0]), shares.map((s) => s[1])];
}

export function openBits(shares: readonly [Wire, Wire], rows: number): number[] {
  return [...unpackBits(xorBytes(shares[0], shares[1]), rows)];
}

/** Opens a word as unsigned integers. */
export function openIntegers(shares: readonly [Word, Word], rows: number): bigint[] {
  const word = shares[0].map((wire, i) => xorBytes(wire, shares[1][i]!));
  return elementsToBigints(elementsFromWord(word, rows));
}

export function elementsToBigints(elements: Uint8Array): bigint[] {
  const view = new DataView(elements.buffer, elements.byteOffset, elements.length);
  return Array.from({ length: elements.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}

export function elementsFromBigints(values: readonly bigint[]): RingVector {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((v, i) => {
    view.setBigUint64(8 * i, BigInt.asUintN(64, v), true);
  });
  return new Uint8Array(view.buffer);
}

/** Additive shares in Z_2^64. */
export function shareRing(values: readonly bigint[], rng: Rng): [RingVector, RingVector] {
  const mask = elementsToBigints(rng(8 * values.length));
  return [elementsFromBigints(values.map((v, i) => v - mask[i]!)), elementsFromBigints(mask)];
}

export function openRing(shares: readonly [RingVector, RingVector]): bigint[] {
  const [x, y] = shares.map(elementsToBigints) as [bigint[], bigint[]];
  return x.map((v, i) => BigInt.asUintN(64, v + y[i]!));
}

export function plainWord(values: readonly bigint[]): Word {
  return wordFromElements(elementsFromBigints(values), values.length);
}
