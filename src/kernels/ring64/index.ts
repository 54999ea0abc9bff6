import { expect } from '../../core/errors.ts';
import { loadKernel } from '../load.ts';
import type { Arena } from '../load.ts';

interface Ring64Exports {
  xorTo(dst: number, x: number, y: number, bytes: number): void;
  beaverTo(
    z: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    adds: number,
    bytes: number,
  ): void;
  addTo(dst: number, x: number, y: number, bytes: number): void;
  subTo(dst: number, x: number, y: number, bytes: number): void;
  flipTo(dst: number, step: number, src: number, bits: number, n: number): void;
  flipOneTo(dst: number, step: number, bits: number, n: number): void;
  addSelected(dst: number, src: number, bits: number, n: number): void;
  addBits(dst: number, bits: number, n: number): void;
  stride(dst: number, dstStep: number, src: number, srcStep: number, n: number): void;
  addSum(dst: number, src: number, step: number, n: number): void;
  addScattered(dst: number, src: number, index: number, n: number): void;
  elementsToWires(wires: number, elements: number, wireBytes: number): void;
  wiresToElements(elements: number, wires: number, wireBytes: number, count: number): void;
}

const kernel = loadKernel<Ring64Exports>('ring64', [
  'xorTo',
  'beaverTo',
  'addTo',
  'subTo',
  'flipTo',
  'flipOneTo',
  'addSelected',
  'addBits',
  'stride',
  'addSum',
  'addScattered',
  'elementsToWires',
  'wiresToElements',
]);
const { fn } = kernel;

/** Bytes of one element of Z_2^64, little-endian. */
export const ELEMENT_BYTES = 8;

/** Elements per row and their owner's bits: a lane of ones needs no memory. */
export type Lane = Uint8Array | 'one';

function whole16(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

/** Copies `parts`, all of one length, one behind the other. */
function putAll(arena: Arena, parts: readonly Uint8Array[]): number {
  const bytes = parts[0]?.length ?? 0;
  const address = arena.alloc(bytes * parts.length);
  const view = arena.view(address, bytes * parts.length);
  parts.forEach((part, i) => {
    expect(part.length === bytes, 'the vectors of a call have one length');
    view.set(part, i * bytes);
  });
  return address;
}

/**
 * First half of a GMW AND: (x ^ a) followed by (y ^ b).
 * @param xs - wires of one length, a multiple of 16 bytes. @param a - as long as all wires of `xs`.
 */
export function maskWires(
  xs: readonly Uint8Array[],
  ys: readonly Uint8Array[],
  a: Uint8Array,
  b: Uint8Array,
): Uint8Array {
  const bytes = a.length;
  return kernel.run((arena) => {
    const out = arena.alloc(2 * bytes);
    const x = putAll(arena, xs);
    const y = putAll(arena, ys);
    fn.xorTo(out, x, arena.put(a), bytes);
    fn.xorTo(out + bytes, y, arena.put(b), bytes);
    return arena.get(out, 2 * bytes);
  });
}

/**
 * Second half: c ^ d·b ^ e·a, and ^ d·e at the end that `adds`, with d ‖ e = own ^ theirs.
 * @returns as many bytes as `c`.
 */
export function beaver(
  triple: { readonly a: Uint8Array; readonly b: Uint8Array; readonly c: Uint8Array },
  own: Uint8Array,
  theirs: Uint8Array,
  adds: boolean,
): Uint8Array {
  const bytes = triple.c.length;
  return kernel.run((arena) => {
    const z = arena.alloc(bytes);
    const opened = arena.put(own);
    fn.xorTo(opened, opened, arena.put(theirs), 2 * bytes);
    const a = arena.put(triple.a);
    const b = arena.put(triple.b);
    const c = arena.put(triple.c);
    fn.beaverTo(z, a, b, c, opened, opened + bytes, adds ? 1 : 0, bytes);
    return arena.get(z, bytes);
  });
}

/** x + y in Z_2^64, element by element. */
export function addRing(x: Uint8Array, y: Uint8Array): Uint8Array {
  return elementwise('addTo', x, y);
}

/** x − y in Z_2^64, element by element. */
export function subRing(x: Uint8Array, y: Uint8Array): Uint8Array {
  return elementwise('subTo', x, y);
}

/** −x in Z_2^64, element by element. */
export function negateRing(x: Uint8Array): Uint8Array {
  return elementwise('subTo', new Uint8Array(x.length), x);
}

function elementwise(op: 'addTo' | 'subTo', x: Uint8Array, y: Uint8Array): Uint8Array {
  expect(x.length === y.length && x.length % ELEMENT_BYTES === 0, 'ring vectors of one length');
  return kernel.run((arena) => {
    const dst = arena.put(x);
    fn[op](dst, dst, arena.put(y), whole16(x.length));
    return arena.get(dst, x.length);
  });
}

/** The sum of all elements: 8 bytes. */
export function sumRing(x: Uint8Array): Uint8Array {
  return sumSegments(x, 1, x.length / ELEMENT_BYTES, 1);
}

/**
 * Sums per segment and lane.
 * @param x - `segments`·`rows`·`lanes` elements, lanes innermost.
 * @returns `lanes`·`segments` elements, lane-major.
 */
export function sumSegments(
  x: Uint8Array,
  segments: number,
  rows: number,
  lanes: number,
): Uint8Array {
  expect(x.length === segments * rows * lanes * ELEMENT_BYTES, 'segments cover the vector');
  return kernel.run((arena) => {
    const out = arena.alloc(lanes * segments * ELEMENT_BYTES);
    const src = arena.put(x);
    const step = lanes * ELEMENT_BYTES;
    for (let s = 0; s < segments; s++) {
      for (let lane = 0; lane < lanes; lane++) {
        const to = out + (lane * segments + s) * ELEMENT_BYTES;
        fn.addSum(to, src + s * rows * step + lane * ELEMENT_BYTES, step, rows);
      }
    }
    return arena.get(out, lanes * segments * ELEMENT_BYTES);
  });
}

/** Sums of `x` by `index`; rows with index −1 are left out. @returns `groups` elements. */
export function sumByIndex(x: Uint8Array, index: Int32Array, groups: number): Uint8Array {
  expect(x.length === index.length * ELEMENT_BYTES, 'one index per element');
  return kernel.run((arena) => {
    const out = arena.alloc(groups * ELEMENT_BYTES);
    const src = arena.put(x);
    const at = arena.put(new Uint8Array(index.buffer, index.byteOffset, index.byteLength));
    fn.addScattered(out, src, at, index.length);
    return arena.get(out, groups * ELEMENT_BYTES);
  });
}

/** Interleaves lanes: element (row, lane) at row·lanes + lane. */
export function joinLanes(vectors: readonly Uint8Array[], rows: number): Uint8Array {
  const step = vectors.length * ELEMENT_BYTES;
  return kernel.run((arena) => {
    const out = arena.alloc(rows * step);
    vectors.forEach((vector, lane) => {
      expect(vector.length === rows * ELEMENT_BYTES, 'a ring vector has 8 bytes per row');
      fn.stride(out + lane * ELEMENT_BYTES, step, arena.put(vector), ELEMENT_BYTES, rows);
    });
    return arena.get(out, rows * step);
  });
}

/**
 * Interleaved lanes of (1 − 2·bit)·v.
 * @param bits - packed, one per row. @returns `rows`·`lanes` elements, lanes innermost.
 */
export function flipLanes(lanes: readonly Lane[], bits: Uint8Array, rows: number): Uint8Array {
  const step = lanes.length * ELEMENT_BYTES;
  return kernel.run((arena) => {
    const out = arena.alloc(rows * step);
    const mask = arena.put(bits);
    lanes.forEach((lane, i) => {
      const dst = out + i * ELEMENT_BYTES;
      if (lane === 'one') {
        fn.flipOneTo(dst, step, mask, rows);
        return;
      }
      expect(lane.length === rows * ELEMENT_BYTES, 'a ring vector has 8 bytes per row');
      fn.flipTo(dst, step, arena.put(lane), mask, rows);
    });
    return arena.get(out, rows * step);
  });
}

/**
 * Takes lanes apart and adds to each bit·v of the lane of the same number, where there is one.
 * @param mixed - `rows`·`count` elements, lanes innermost.
 */
export function splitLanes(
  mixed: Uint8Array,
  count: number,
  rows: number,
  selected: readonly Lane[] = [],
  bits: Uint8Array = new Uint8Array(0),
): Uint8Array[] {
  expect(mixed.length === count * rows * ELEMENT_BYTES, 'lanes cover the vector');
  return kernel.run((arena) => {
    const src = arena.put(mixed);
    const mask = arena.put(bits);
    const out = arena.alloc(rows * ELEMENT_BYTES);
    const step = count * ELEMENT_BYTES;
    return Array.from({ length: count }, (_, i) => {
      fn.stride(out, ELEMENT_BYTES, src + i * ELEMENT_BYTES, step, rows);
      const lane = selected[i];
      if (lane === 'one') fn.addBits(out, mask, rows);
      else if (lane !== undefined) fn.addSelected(out, arena.put(lane), mask, rows);
      return arena.get(out, rows * ELEMENT_BYTES);
    });
  });
}

/** 64 wires of `wireBytes` each from 64-bit elements; rows beyond the elements are zero. */
export function elementsToWires(elements: Uint8Array, wireBytes: number): Uint8Array {
  expect(elements.length <= 64 * wireBytes, 'the wires hold every element');
  return kernel.run((arena) => {
    const wires = arena.alloc(64 * wireBytes);
    const src = arena.alloc(64 * wireBytes);
    arena.view(src, elements.length).set(elements);
    fn.elementsToWires(wires, src, wireBytes);
    return arena.get(wires, 64 * wireBytes);
  });
}

/** 64-bit elements of the first `rows` rows of at most 64 wires; missing high wires are zero. */
export function wiresToElements(wires: readonly Uint8Array[], rows: number): Uint8Array {
  const wireBytes = wires[0]?.length ?? 0;
  expect(wires.length <= 64 && rows <= 8 * wireBytes, 'at most 64 wires that hold every row');
  return kernel.run((arena) => {
    const elements = arena.alloc(64 * wireBytes);
    fn.wiresToElements(elements, putAll(arena, wires), wireBytes, wires.length);
    return arena.get(elements, rows * ELEMENT_BYTES);
  });
}
