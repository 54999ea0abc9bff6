import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import type { OtPair } from '../ot/types.ts';
import { CHUNK_BINS, POINTS_PER_TURN, SLICE_BINS } from './limits.ts';
import {
  CODE_SEED_BYTES,
  codeOf,
  compress,
  correctRows,
  evaluateOwn,
  maskCodes,
  nextColumns,
  openColumns,
  ROW_BYTES,
  rowsOf,
  WIDTH,
  type Code,
} from './oprf-kkrt-steps.ts';
import { KEY_BYTES, POINT_BYTES, type Oprf } from './types.ts';

export interface KkrtOprfOptions {
  /** Bound into code and hash together with the channel's path; equal at both ends. */
  readonly session?: Uint8Array;
  /** This end's transfers with the peer; each run takes 512 from the receiver's sending end. */
  readonly pair: OtPair;
  /** Stage `join.oprf`; the unit is one point. */
  readonly onProgress?: OnProgress;
}

/**
 * The batched OPRF from OT extension (BaRK-OPRF), with a key per bin:
 * F_i(y) = H(i, q_i xor (C(y) and s)), C a pseudorandom code of 512 bits, s the sender's.
 *
 * The receiver learns F_i at its one point of each bin i, the sender s and all q_i, so F everywhere;
 * it sees uniform corrections. Semi-honest; AES a PRF, H = BLAKE2s a Hamming-correlation-robust
 * hash, the OTs. Source: Kolesnikov, Kumaresan, Rosulek, Trieu, CCS 2016 (ePrint 2016/799).
 * Departures: OPRF-KKRT.md. Cost: 512 random OTs in the opposite direction, then 64 bytes per bin
 * from the receiver; no further round. Randomness: 80 bytes at the sender.
 *
 * Errors of both halves: what the channel and the OTs throw. Every message of the right length is
 * well formed.
 */
export function createKkrtOprf(options: KkrtOprfOptions): Oprf {
  return {
    perBin: true,
    receive: (channel, points) => receive(channel, points, options),
    send: (channel, receiverCount, points, bins, rng) =>
      send(channel, receiverCount, { points, bins }, rng, options),
  };
}

/** 32-bit words of a compressed point and of a key. */
const BLOCK_WORDS = KEY_BYTES / 4;

const NO_SESSION = new Uint8Array(0);

async function receive(
  channel: Channel,
  points: Uint8Array,
  { session = NO_SESSION, pair, onProgress }: KkrtOprfOptions,
): Promise<Uint8Array> {
  const n = countOf(points);
  const keys = new Uint8Array(n * KEY_BYTES);
  const code = codeOf(session, channel.path, await channel.recv('code-seed', CODE_SEED_BYTES));
  const { k0, k1 } = await pair.sender.random(WIDTH);
  const streams = [openColumns(k0), openColumns(k1)] as const;
  wipe(k0, k1);
  for (const chunk of spans(0, n, CHUNK_BINS)) {
    const columns = streams.map((each) => nextColumns(each, chunk.to - chunk.from));
    await breathe();
    for (const { from, to } of spans(chunk.from, chunk.to, SLICE_BINS)) {
      const [t0, t1] = columns.map((each) => rowsOf(each, from - chunk.from, to - from));
      const slice = points.subarray(POINT_BYTES * from, POINT_BYTES * to);
      const masked = maskCodes(code, t0!, t1!, slice, from);
      keys.set(masked.keys, KEY_BYTES * from);
      wipe(t0!, t1!, masked.keys);
      await channel.send('corrections', masked.corrections);
      onProgress?.({ stage: 'join.oprf', done: to, total: n });
      await breathe();
    }
    for (const { bits } of columns) wipe(bits);
  }
  return keys;
}

async function send(
  channel: Channel,
  receiverCount: number,
  { points, bins }: { readonly points: Uint8Array; readonly bins: Uint32Array },
  rng: Rng,
  { session = NO_SESSION, pair, onProgress }: KkrtOprfOptions,
): Promise<Uint8Array> {
  const m = countOf(points);
  expect(bins.length === m, 'one bin per own point');
  const order = bySlice(bins, receiverCount);
  const keys = new Uint8Array(m * KEY_BYTES);
  const seed = rng(CODE_SEED_BYTES);
  const code = codeOf(session, channel.path, seed);
  const s = rng(ROW_BYTES);
  await channel.send('code-seed', seed);
  const chosen = await pair.receiver.random(s, WIDTH);
  const streams = openColumns(chosen);
  wipe(chosen);
  const blocks = await compressAll(code, points);
  let done = 0;
  for (const chunk of spans(0, receiverCount, CHUNK_BINS)) {
    const columns = nextColumns(streams, chunk.to - chunk.from);
    await breathe();
    for (const { from, to } of spans(chunk.from, chunk.to, SLICE_BINS)) {
      const rows = rowsOf(columns, from - chunk.from, to - from);
      const corrections = await channel.recv('corrections', ROW_BYTES * (to - from));
      const q = correctRows(rows, corrections, s);
      const members = order(from / SLICE_BINS);
      await evaluate(code, { q, s, first: from }, { blocks, bins, members }, keys);
      wipe(rows, q);
      done += to - from + members.length;
      onProgress?.({ stage: 'join.oprf', done, total: receiverCount + m });
      await breathe();
    }
    wipe(columns.bits);
  }
  wipe(s);
  return keys;
}

/** What the sender holds of one slice of bins. */
interface Slice {
  readonly q: Uint8Array;
  readonly s: Uint8Array;
  /** Number of the first bin. */
  readonly first: number;
}

/** {@link compress}, some of the points per turn. */
async function compressAll(code: Code, points: Uint8Array): Promise<Uint32Array> {
  const m = countOf(points);
  const blocks = new Uint32Array(BLOCK_WORDS * m);
  for (const { from, to } of spans(0, m, POINTS_PER_TURN)) {
    const part = compress(code, points.subarray(POINT_BYTES * from, POINT_BYTES * to));
    blocks.set(wordsOf(part), BLOCK_WORDS * from);
    await breathe();
  }
  return blocks;
}

/** The sender's own points, and which of them lie in the slice at hand. */
interface Own {
  /** Compressed, four words each. */
  readonly blocks: Uint32Array;
  readonly bins: Uint32Array;
  readonly members: Uint32Array;
}

/** F at the members, written to their places among all own keys. */
async function evaluate(
  code: Code,
  { q, s, first }: Slice,
  { blocks, bins, members }: Own,
  keys: Uint8Array,
): Promise<void> {
  const to = wordsOf(keys);
  for (const span of spans(0, members.length, POINTS_PER_TURN)) {
    const n = span.to - span.from;
    const own = new Uint32Array(BLOCK_WORDS * n);
    const rows = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const point = members[span.from + i]!;
      rows[i] = bins[point]! - first;
      for (let k = 0; k < BLOCK_WORDS; k++) {
        own[BLOCK_WORDS * i + k] = blocks[BLOCK_WORDS * point + k]!;
      }
    }
    const out = evaluateOwn(code, q, s, { blocks: new Uint8Array(own.buffer), rows, first });
    const words = wordsOf(out);
    for (let i = 0; i < n; i++) {
      const at = BLOCK_WORDS * members[span.from + i]!;
      for (let k = 0; k < BLOCK_WORDS; k++) to[at + k] = words[BLOCK_WORDS * i + k]!;
    }
    wipe(out);
    await breathe();
  }
}

/** The words of whole, aligned blocks. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Counting sort of points by the slice their bin lies in; a function to the points of a slice. */
function bySlice(bins: Uint32Array, binCount: number): (slice: number) => Uint32Array {
  const slices = Math.ceil(binCount / SLICE_BINS);
  const starts = new Uint32Array(slices + 1);
  let last = 0;
  for (let point = 0; point < bins.length; point++) {
    const bin = bins[point]!;
    last = Math.max(last, bin);
    starts[Math.floor(bin / SLICE_BINS) + 1]! += 1;
  }
  expect(bins.length === 0 || last < binCount, 'own points lie in bins of the table');
  for (let slice = 0; slice < slices; slice++) starts[slice + 1]! += starts[slice]!;
  const next = starts.slice(0, slices);
  const order = new Uint32Array(bins.length);
  for (let point = 0; point < bins.length; point++) {
    const slice = Math.floor(bins[point]! / SLICE_BINS);
    order[next[slice]!] = point;
    next[slice]! += 1;
  }
  return (slice) => order.subarray(starts[slice], starts[slice + 1]);
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** [from, to) in steps. */
function spans(from: number, to: number, step: number): readonly Span[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => ({
    from: from + i * step,
    to: Math.min(to, from + (i + 1) * step),
  }));
}

function countOf(points: Uint8Array): number {
  const n = points.length / POINT_BYTES;
  expect(Number.isInteger(n), 'points of POINT_BYTES');
  return n;
}
