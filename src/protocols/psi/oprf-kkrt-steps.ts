import { createCipheriv, createHash, type Cipher } from 'node:crypto';
import { concat, u32be, utf8 } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { blake2sState, HASH_SCRATCH_BYTES, kkrtKernel } from '../../kernels/kkrt/index.ts';
import type { Arena } from '../../kernels/load.ts';
import { otKernel, TRANSPOSE_SCRATCH_BYTES } from '../../kernels/ot/index.ts';
import { KEY_BYTES, POINT_BYTES } from './types.ts';

/**
 * The synchronous part of the KKRT OPRF; OPRF-KKRT.md has the protocol. Rows of 512 bits are four
 * planes of 16-byte blocks: block g of row i at 16·(g·n + i) for n rows.
 */

/**
 * SECURITY. Bits W of a code word. Two random words differ in fewer than 128 bits with probability
 * 2^-66.5 at W = 448, the least that keeps 2^24 pairs below 2^-40, and 2^-102 at four AES blocks.
 */
export const WIDTH = 512;

const BLOCK_BYTES = 16;
const PLANES = WIDTH / (8 * BLOCK_BYTES);

/** Bytes of a row: of one bin's correction, and of the choices s. */
export const ROW_BYTES = WIDTH / 8;

/** Bits of a row that one transposition handles, and the granularity of its columns. */
const LANE = 128;

/** Parts of a point in its CBC-MAC: 16, 16 and 1 bytes. */
const POINT_PARTS = 3;

/** Bytes of the sender's nonce that fixes the code. */
export const CODE_SEED_BYTES = 16;

/** What both ends derive from the session, the path and the sender's nonce; all public. */
export interface Code {
  /** AES-128 key that compresses points. */
  readonly pointKey: Uint8Array;
  /** AES-128 key of each plane. */
  readonly planeKeys: readonly Uint8Array[];
  /** Initial state of the output hash. */
  readonly state: Uint8Array;
}

/**
 * The code C and output hash H of one run. Since the nonce comes after both ends' points are fixed,
 * no pair of points is likelier to have close code words than another.
 */
export function codeOf(session: Uint8Array, path: string, seed: Uint8Array): Code {
  expect(seed.length === CODE_SEED_BYTES, 'a code seed of 16 bytes');
  const name = utf8(path);
  const binding = concat([u32be(session.length), session, u32be(name.length), name, seed]);
  const derive = (use: string): Uint8Array =>
    createHash('sha512')
      .update(utf8(`parley/psi/oprf-kkrt/v1/${use}`))
      .update(binding)
      .digest();
  const code = derive('code');
  const point = derive('point');
  return {
    pointKey: blockOf(point, 0),
    planeKeys: Array.from({ length: PLANES }, (_, g) => blockOf(code, g)),
    state: blake2sState(point.subarray(16, 24)),
  };
}

function blockOf(bytes: Uint8Array, i: number): Uint8Array {
  return bytes.subarray(BLOCK_BYTES * i, BLOCK_BYTES * (i + 1));
}

/**
 * Each point as one block: AES CBC-MAC of its three parts under the code's first key.
 * @param points - n·POINT_BYTES. @returns n·16 bytes.
 */
export function compress(code: Code, points: Uint8Array): Uint8Array {
  const bytes = (points.length / POINT_BYTES) * BLOCK_BYTES;
  return kkrtKernel.run((arena) => {
    const blocks = arena.alloc(bytes);
    const from = arena.put(points);
    const cipher = openCipher(code.pointKey);
    for (let part = 0; part < POINT_PARTS; part++) {
      kkrtKernel.fn.absorb(blocks, from, points.length / POINT_BYTES, part);
      arena.view(blocks, bytes).set(cipher.update(arena.view(blocks, bytes)));
    }
    return arena.get(blocks, bytes);
  });
}

/** C of compressed points: their encryptions under one key per plane. @returns n rows. */
function encode(arena: Arena, { planeKeys }: Code, blocks: Uint8Array, n: number): number {
  const bytes = BLOCK_BYTES * n;
  const planes = arena.alloc(PLANES * bytes);
  planeKeys.forEach((key, g) => {
    const cipher = openCipher(key);
    arena.view(planes + g * bytes, blocks.length).set(cipher.update(blocks));
  });
  return planes;
}

function openCipher(key: Uint8Array): Cipher {
  return createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
}

/** H(i, row) of n rows, n a multiple of 4. @param salts - the row number i of each. */
function hashInto(arena: Arena, code: Code, rows: number, salts: number, n: number): number {
  const out = arena.alloc(KEY_BYTES * n);
  const scratch = arena.alloc(HASH_SCRATCH_BYTES);
  kkrtKernel.fn.hashRows(out, rows, BLOCK_BYTES * n, salts, arena.put(code.state), n, scratch);
  return out;
}

function bytesOf(numbers: Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Key streams of the 512 columns: AES-128-CTR, each continued from one chunk to the next. */
export function openColumns(keys: Uint8Array): readonly Cipher[] {
  expect(keys.length === WIDTH * BLOCK_BYTES, 'one key per column');
  const counter = new Uint8Array(BLOCK_BYTES);
  return Array.from({ length: WIDTH }, (_, column) =>
    createCipheriv('aes-128-ctr', blockOf(keys, column), counter),
  );
}

/** Columns of one chunk, as bit vectors of `bytes` bytes one behind the other. */
export interface Columns {
  readonly bits: Uint8Array;
  readonly bytes: number;
}

/** Bytes of the columns of a chunk of `rows` rows: whole lanes. */
export function columnBytes(rows: number): number {
  return Math.ceil(rows / LANE) * (LANE / 8);
}

/** The next chunk of every column. */
export function nextColumns(streams: readonly Cipher[], rows: number): Columns {
  const bytes = columnBytes(rows);
  const zeros = new Uint8Array(bytes);
  const bits = new Uint8Array(WIDTH * bytes);
  streams.forEach((stream, column) => bits.set(stream.update(zeros), column * bytes));
  return { bits, bytes };
}

/**
 * Rows `from` to `from + n` of the transposed columns. @param from - a multiple of 128.
 * @returns four planes of `8·columnBytes(n)` blocks.
 */
export function rowsOf(columns: Columns, from: number, n: number): Uint8Array {
  const bytes = columnBytes(n);
  // Columns of a power of two would fall into one cache set.
  const step = bytes + 64;
  const at = from / 8;
  return otKernel.run((arena) => {
    const source = arena.alloc(LANE * step);
    const plane = LANE * bytes;
    const out = arena.alloc(PLANES * plane);
    const scratch = arena.alloc(TRANSPOSE_SCRATCH_BYTES);
    for (let g = 0; g < PLANES; g++) {
      for (let k = 0; k < LANE; k++) {
        const start = (LANE * g + k) * columns.bytes + at;
        arena.view(source + k * step, bytes).set(columns.bits.subarray(start, start + bytes));
      }
      otKernel.fn.transpose128(out + g * plane, source, step, bytes, scratch);
    }
    return arena.get(out, PLANES * plane);
  });
}

/** The receiver's outcome for a slice of bins. */
export interface MaskedCodes {
  /** n·ROW_BYTES: the message, four planes of n blocks. */
  readonly corrections: Uint8Array;
  /** n·KEY_BYTES. */
  readonly keys: Uint8Array;
}

/**
 * Receiver: u_i = t0_i xor t1_i xor C(x_i), and its keys H(i, t0_i).
 * @param t0 - rows of the slice from {@link rowsOf}. @param t1 - the other keys' rows.
 * @param points - n·POINT_BYTES. @param first - number of the slice's first row.
 */
export function maskCodes(
  code: Code,
  t0: Uint8Array,
  t1: Uint8Array,
  points: Uint8Array,
  first: number,
): MaskedCodes {
  const n = points.length / POINT_BYTES;
  const rows = t0.length / ROW_BYTES;
  const plane = BLOCK_BYTES * rows;
  const blocks = compress(code, points);
  const numbers = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) numbers[i] = first + i;
  return kkrtKernel.run((arena) => {
    const mask = encode(arena, code, blocks, rows);
    const own = arena.put(t0);
    kkrtKernel.fn.xorInto(mask, own, t0.length);
    kkrtKernel.fn.xorInto(mask, arena.put(t1), t1.length);
    const corrections = new Uint8Array(ROW_BYTES * n);
    for (let g = 0; g < PLANES; g++) {
      corrections.set(arena.view(mask + g * plane, BLOCK_BYTES * n), g * BLOCK_BYTES * n);
    }
    const out = hashInto(arena, code, own, arena.put(bytesOf(numbers)), rows);
    return { corrections, keys: arena.get(out, KEY_BYTES * n) };
  });
}

/**
 * Sender: q_i = (rows of its keys' columns) xor (u_i and s), that is t0_i xor (C(x_i) and s).
 * @param rows - of the slice from {@link rowsOf}. @param corrections - n·ROW_BYTES.
 * @param s - its choices, one row. @returns rows like `rows`.
 */
export function correctRows(rows: Uint8Array, corrections: Uint8Array, s: Uint8Array): Uint8Array {
  const n = corrections.length / ROW_BYTES;
  const plane = rows.length / PLANES;
  return kkrtKernel.run((arena) => {
    const q = arena.put(rows);
    const u = arena.put(corrections);
    const masks = arena.put(s);
    for (let g = 0; g < PLANES; g++) {
      const at = BLOCK_BYTES * g;
      kkrtKernel.fn.xorMasked(q + g * plane, u + at * n, masks + at, BLOCK_BYTES * n);
    }
    return arena.get(q, rows.length);
  });
}

/** Some of the sender's own points, all in one slice. */
export interface OwnPoints {
  /** n·16 bytes, from {@link compress}. */
  readonly blocks: Uint8Array;
  /** The row of each, counted from the slice's first. */
  readonly rows: Uint32Array;
  /** Number of the slice's first row. */
  readonly first: number;
}

/**
 * Sender: F_i(y) = H(i, q_i xor (C(y) and s)) at its own points.
 * @param q - rows of the slice from {@link correctRows}. @returns n·KEY_BYTES.
 */
export function evaluateOwn(
  code: Code,
  q: Uint8Array,
  s: Uint8Array,
  { blocks, rows, first }: OwnPoints,
): Uint8Array {
  const n = rows.length;
  // Hashes come in groups of four; the last group is filled with row 0 and a zero code word.
  const padded = Math.ceil(n / 4) * 4;
  const numbers = new Uint32Array(2 * padded);
  for (let i = 0; i < n; i++) {
    numbers[i] = rows[i]!;
    numbers[padded + i] = first + rows[i]!;
  }
  return kkrtKernel.run((arena) => {
    const codes = encode(arena, code, blocks, padded);
    const table = arena.put(q);
    const masks = arena.put(s);
    const at = arena.put(bytesOf(numbers));
    const step = BLOCK_BYTES * padded;
    kkrtKernel.fn.selectRows(codes, table, q.length / PLANES, codes, step, masks, at, padded);
    const out = hashInto(arena, code, codes, at + 4 * padded, padded);
    return arena.get(out, KEY_BYTES * n);
  });
}
