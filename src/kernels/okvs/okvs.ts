import { expect, ParleyError } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { loadKernel, type Arena } from '../load.ts';
import { BLOCK_BYTES, EXPAND_KEYS, openExpansion } from './expand.ts';

/** SECURITY. Band width w; see {@link okvsShape}. */
export const BAND_BITS = 128;

/**
 * LOCAL. Encoding attempts before giving up. Distinct uniform keys fail with about 2^-45 each time,
 * so more than a few failures mean that two keys are equal.
 */
const ATTEMPTS_MAX = 8;

/** AGREEMENT. Public numbers of one store. */
export interface OkvsShape {
  /** Exact number of keys encoded. */
  readonly keys: number;
  /** Rows M of the table. */
  readonly rows: number;
  readonly valueBytes: number;
  /** Band width w, 1 to 128. */
  readonly bandBits: number;
}

/** An encoded store: what the encoder sends. */
export interface Okvs {
  /** 16 bytes that fix the row and the pad of every key. */
  readonly seed: Uint8Array;
  /** rows · valueBytes. */
  readonly table: Uint8Array;
}

interface OkvsExports {
  split(
    inner: number,
    expanded: number,
    n: number,
    stride: number,
    starts: number,
    maskLo: bigint,
    maskHi: bigint,
    startOut: number,
    bandOut: number,
    pads: number,
  ): void;
  xorPacked(rows: number, packed: number, n: number, stride: number, width: number): void;
  repack(dst: number, src: number, n: number, to: number, from: number, width: number): void;
  eliminate(
    n: number,
    columns: number,
    stride: number,
    starts: number,
    bands: number,
    values: number,
    heads: number,
    order: number,
    pivots: number,
    table: number,
  ): number;
  substitute(columns: number, stride: number, pivots: number, table: number): void;
  evaluate(
    n: number,
    stride: number,
    starts: number,
    bands: number,
    table: number,
    values: number,
  ): void;
}

const kernel = loadKernel<OkvsExports>('okvs', [
  'split',
  'xorPacked',
  'repack',
  'eliminate',
  'substitute',
  'evaluate',
]);

/**
 * Table size for a public number of keys: M = ceil(1.25·keys) + w.
 *
 * SECURITY. With w = 128 and 25 % slack, 3·2^16 distinct uniform keys are linearly dependent with
 * probability about 2^-55 (a line fitted to measured failure rates at w = 20 to 48, slope 0.56 per
 * band bit); {@link okvsEncode} retries then, unseen by the decoder.
 *
 * @param valueBytes - 1 to 3,952 bytes. @param bandBits - below 128 only to study failures.
 */
export function okvsShape(keys: number, valueBytes: number, bandBits = BAND_BITS): OkvsShape {
  expect(Number.isSafeInteger(keys) && keys >= 1 && keys < 1 << 24, 'keys is 1 to 2^24 - 1');
  expect(valueBytes >= 1 && strideOf(valueBytes) < 16 * 248, 'values are 1 to 3,952 bytes');
  expect(bandBits >= 1 && bandBits <= BAND_BITS, 'the band is 1 to 128 bits');
  return { keys, valueBytes, bandBits, rows: Math.ceil((5 * keys) / 4) + bandBits };
}

/**
 * Encodes `keys` onto `values`: {@link okvsDecode} returns values[i] for keys[i], and bytes that
 * look uniform for any other key the decoder may hold. Row and pad of a key are both derived from
 * the key and the seed, so a decoder without the key learns nothing about its value.
 *
 * Source: Bienstock, Patel, Seo, Yeo, USENIX Security 2023 (RB-OKVS, ePrint 2023/903); elimination
 * by Dietzfelbinger and Walzer, ESA 2019. Free columns are uniform (Raghuraman and Rindal, CCS 2022,
 * section 2: doubly oblivious), so the table is uniform whenever the pads are.
 * Cost: about 1.4 row XORs per key to eliminate and 64 per table row to solve.
 *
 * @param keys - keys·16 bytes, distinct and uniform (OPRF outputs).
 * @param values - keys·valueBytes. @param rng - seed and free columns.
 * @throws ParleyError INTERNAL when eight seeds fail: two keys are equal.
 */
export function okvsEncode(shape: OkvsShape, keys: Uint8Array, values: Uint8Array, rng: Rng): Okvs {
  expect(keys.length === shape.keys * BLOCK_BYTES, 'as many OKVS keys as agreed');
  expect(values.length === shape.keys * shape.valueBytes, 'one OKVS value per key');
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const seed = rng(BLOCK_BYTES);
    const table = kernel.run((arena) => tryEncode(arena, shape, seed, keys, values, rng));
    if (table !== null) return { seed, table };
  }
  throw new ParleyError('INTERNAL', 'contract broken: OKVS keys are distinct');
}

function tryEncode(
  arena: Arena,
  shape: OkvsShape,
  seed: Uint8Array,
  keys: Uint8Array,
  values: Uint8Array,
  rng: Rng,
): Uint8Array | null {
  const { keys: n, rows, valueBytes } = shape;
  const stride = strideOf(valueBytes);
  const packed = arena.put(values);
  const heads = arena.alloc(4 * rows);
  const order = arena.alloc(4 * n);
  const pivots = arena.alloc(BLOCK_BYTES * rows);
  const table = arena.alloc(stride * rows);
  const { starts, bands, pads } = expandInto(arena, shape, seed, keys);
  kernel.fn.xorPacked(pads, packed, n, stride, valueBytes);
  // Free columns keep these bytes; those of pivot columns are overwritten. Fresh on every attempt.
  const fill = arena.put(rng(rows * valueBytes));
  kernel.fn.repack(table, fill, rows, stride, valueBytes, valueBytes);
  const solvable = kernel.fn.eliminate(
    n,
    rows,
    stride,
    starts,
    bands,
    pads,
    heads,
    order,
    pivots,
    table,
  );
  if (solvable === 0) return null;
  kernel.fn.substitute(rows, stride, pivots, table);
  kernel.fn.repack(fill, table, rows, valueBytes, stride, valueBytes);
  return arena.get(fill, rows * valueBytes);
}

/**
 * Evaluates a store at `count` keys of 16 bytes. @returns count·valueBytes: the encoded value of
 * each encoded key, pseudorandom bytes for others. Cost: 64 row XORs per key on average.
 */
export function okvsDecode(
  shape: OkvsShape,
  okvs: Okvs,
  keys: Uint8Array,
  count: number,
): Uint8Array {
  const { rows, valueBytes } = shape;
  expect(keys.length === count * BLOCK_BYTES, 'one OKVS key per value asked for');
  expect(okvs.table.length === rows * valueBytes, 'an OKVS table of the agreed size');
  const stride = strideOf(valueBytes);
  return kernel.run((arena) => {
    const packed = arena.put(okvs.table);
    const table = arena.alloc(stride * rows);
    kernel.fn.repack(table, packed, rows, stride, valueBytes, valueBytes);
    const out = arena.alloc(valueBytes * count);
    const { starts, bands, pads } = expandInto(arena, shape, okvs.seed, keys);
    kernel.fn.evaluate(count, stride, starts, bands, table, pads);
    kernel.fn.repack(out, pads, count, valueBytes, stride, valueBytes);
    return arena.get(out, valueBytes * count);
  });
}

interface Expanded {
  readonly starts: number;
  readonly bands: number;
  readonly pads: number;
}

/** Rows and pads of all `keys`, in kernel memory; slices keep the host side small. */
function expandInto(arena: Arena, shape: OkvsShape, seed: Uint8Array, keys: Uint8Array): Expanded {
  const n = keys.length / BLOCK_BYTES;
  const stride = strideOf(shape.valueBytes);
  const blocks = 2 + stride / BLOCK_BYTES;
  const expand = openExpansion(seed, blocks);
  const out = {
    starts: arena.alloc(4 * n),
    bands: arena.alloc(BLOCK_BYTES * n),
    pads: arena.alloc(stride * n),
  };
  const slice = Math.min(n, EXPAND_KEYS);
  const inner = arena.alloc(BLOCK_BYTES * slice);
  const outer = arena.alloc(BLOCK_BYTES * blocks * slice);
  for (let at = 0; at < n; at += slice) {
    const count = Math.min(slice, n - at);
    const part = expand(keys.subarray(BLOCK_BYTES * at, BLOCK_BYTES * (at + count)));
    arena.view(inner, part.inner.length).set(part.inner);
    arena.view(outer, part.outer.length).set(part.outer);
    kernel.fn.split(
      inner,
      outer,
      count,
      stride,
      shape.rows - shape.bandBits + 1,
      bandMask(shape.bandBits, 0),
      bandMask(shape.bandBits, 64),
      out.starts + 4 * at,
      out.bands + BLOCK_BYTES * at,
      out.pads + stride * at,
    );
  }
  return out;
}

/** The 64 bits of the band mask from bit `from` on. */
function bandMask(bandBits: number, from: number): bigint {
  const bits = Math.min(64, Math.max(0, bandBits - from));
  return (1n << BigInt(bits)) - 1n;
}

/** Values are padded to whole v128 lanes inside the kernel. */
function strideOf(valueBytes: number): number {
  return Math.ceil(valueBytes / BLOCK_BYTES) * BLOCK_BYTES;
}
