import { expect } from '../../core/errors.ts';
import { loadKernel, type Arena } from '../load.ts';

/** Bytes of an encoded element and of a scalar. */
export const POINT_BYTES = 32;

/** Uniform bytes that the one-way map takes. */
export const MAP_BYTES = 64;

/** Elements of ristretto255 (RFC 9496) as the kernel holds them; any representatives. */
export interface Points {
  readonly n: number;
  /** Not for anybody to read; as secret as the elements. */
  readonly limbs: Uint8Array;
}

interface Exports {
  pointBytes(n: number): number;
  pointScratchBytes(): number;
  decodePoints(points: number, encoded: number, n: number, scratch: number): number;
  encodePoints(out: number, points: number, n: number, scratch: number): void;
  mapPoints(points: number, wide: number, n: number, scratch: number): void;
  addPoints(
    ...addresses: [out: number, p: number, q: number, n: number, minus: number, scratch: number]
  ): void;
  multiplyEach(out: number, points: number, scalars: number, n: number, scratch: number): void;
}

/** An instance apart from that of `index.ts`, of the same module. */
const kernel = loadKernel<Exports>('curve25519', [
  'pointBytes',
  'pointScratchBytes',
  'decodePoints',
  'encodePoints',
  'mapPoints',
  'addPoints',
  'multiplyEach',
]);

/**
 * Decodes elements strictly (RFC 9496, section 4.3.1).
 * @returns `good`: how many are canonical encodings of elements other than the identity. `points`
 *   is of use when all are.
 */
export function decodePoints(encoded: Uint8Array): {
  readonly points: Points;
  readonly good: number;
} {
  const n = countOf(encoded, POINT_BYTES);
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.pointScratchBytes());
    const out = arena.alloc(kernel.fn.pointBytes(n));
    const good = kernel.fn.decodePoints(out, arena.put(encoded), n, scratch);
    return { points: { n, limbs: arena.get(out, kernel.fn.pointBytes(n)) }, good };
  });
}

/** The canonical encodings (section 4.3.2), 32 bytes each. */
export function encodePoints({ n, limbs }: Points): Uint8Array {
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.pointScratchBytes());
    const out = arena.alloc(n * POINT_BYTES);
    kernel.fn.encodePoints(out, arena.put(limbs), n, scratch);
    return arena.get(out, n * POINT_BYTES);
  });
}

/** The one-way map (section 4.3.4) of every 64 bytes. */
export function mapToPoints(wide: Uint8Array): Points {
  const n = countOf(wide, MAP_BYTES);
  return computed(n, (out, arena, scratch) => {
    kernel.fn.mapPoints(out, arena.put(wide), n, scratch);
  });
}

/** p + q, element by element. */
export function addPoints(p: Points, q: Points): Points {
  return combined(p, q, 0);
}

/** p − q, element by element. */
export function subtractPoints(p: Points, q: Points): Points {
  return combined(p, q, 1);
}

function combined(p: Points, q: Points, minus: 0 | 1): Points {
  expect(p.n === q.n, 'pairs of elements');
  return computed(p.n, (out, arena, scratch) => {
    const left = arena.put(p.limbs);
    kernel.fn.addPoints(out, left, arena.put(q.limbs), p.n, minus, scratch);
  });
}

/**
 * Every element times its own scalar. Constant shape: no branch and no address depends on a scalar
 * or an element. Cost: about that of four scalars for every four begun.
 *
 * @param scalars - n·32 bytes, little-endian, of any value below 2^256.
 */
export function multiplyEach({ n, limbs }: Points, scalars: Uint8Array): Points {
  expect(scalars.length === n * POINT_BYTES, 'a scalar for every element');
  return computed(n, (out, arena, scratch) => {
    // In whole vectors, zero past n.
    const own = arena.alloc(Math.ceil(n / 4) * 4 * POINT_BYTES);
    arena.view(own, scalars.length).set(scalars);
    kernel.fn.multiplyEach(out, arena.put(limbs), own, n, scratch);
  });
}

function computed(
  n: number,
  compute: (out: number, arena: Arena, scratch: number) => void,
): Points {
  return kernel.run((arena) => {
    const bytes = kernel.fn.pointBytes(n);
    const scratch = arena.alloc(kernel.fn.pointScratchBytes());
    const out = arena.alloc(bytes);
    compute(out, arena, scratch);
    return { n, limbs: arena.get(out, bytes) };
  });
}

function countOf(bytes: Uint8Array, each: number): number {
  const n = bytes.length / each;
  expect(Number.isInteger(n), `items of ${each} bytes`);
  return n;
}
