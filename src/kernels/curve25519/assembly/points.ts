// Elements of ristretto255 in batches: `n` of them, four to a vector of POINT bytes. Lanes past n
// hold what is no point; whatever comes of them is not read.
import { isCanonical, lane, readPoint, vectors, write } from './codec';
import { addPrepared, MULTIPLY, multiplyLanes, POINT, prepare } from './edwards';
import { FE, forget } from './field';
import { CODING, CONSTANTS, decode, encode, layConstants, map, twiceD } from './ristretto';

/** Bytes of `n` elements. */
export function pointBytes(n: usize): usize {
  return vectors(n) * POINT;
}

/** Bytes of scratch that every function below is given. */
export function pointScratchBytes(): usize {
  return CONSTANTS + max(CODING, MULTIPLY) + 4 * POINT;
}

/**
 * Decodes `n` encodings of 32 bytes. Returns how many are the canonical encoding of an element (RFC
 * 9496, section 4.3.1) that is not the identity; unless all are, `points` is of no use.
 */
export function decodePoints(points: usize, encoded: usize, n: usize, scratch: usize): usize {
  const work = scratch + CONSTANTS, s = work + CODING, good = s + FE, words = good + 16;
  layConstants(scratch, words);
  let count: usize = 0;
  for (let i: usize = 0; i < vectors(n); i++) {
    memory.fill(s, 0, FE);
    const end = min(n, 4 * i + 4);
    for (let k: usize = 4 * i; k < end; k++) readPoint(lane(s, k & 3), encoded + 32 * k, words);
    decode(points + i * POINT, good, s, scratch, work);
    for (let k: usize = 4 * i; k < end; k++) {
      const at = encoded + 32 * k;
      const low = load<u64>(at);
      const any = low | load<u64>(at, 8) | load<u64>(at, 16) | load<u64>(at, 24);
      const proper = isCanonical(at) & u32(any != 0) & (1 - <u32>(low & 1));
      count += proper & load<u32>(good + ((k & 3) << 2));
    }
  }
  forget();
  return count;
}

/** Encodes `n` elements to 32 bytes each (section 4.3.2). */
export function encodePoints(out: usize, points: usize, n: usize, scratch: usize): void {
  const work = scratch + CONSTANTS, s = work + CODING;
  layConstants(scratch, s);
  for (let i: usize = 0; i < vectors(n); i++) {
    encode(s, points + i * POINT, scratch, work);
    for (let k: usize = 4 * i; k < min(n, 4 * i + 4); k++) write(out + 32 * k, lane(s, k & 3));
  }
  forget();
}

/** The one-way map (section 4.3.4) of `n` times 64 bytes. */
export function mapPoints(points: usize, wide: usize, n: usize, scratch: usize): void {
  const work = scratch + CONSTANTS, s = work + CODING, first = s + POINT, second = first + POINT;
  const words = s + FE;
  layConstants(scratch, words);
  for (let i: usize = 0; i < vectors(n); i++) {
    for (let half: usize = 0; half < 2; half++) {
      memory.fill(s, 0, FE);
      for (let k: usize = 4 * i; k < min(n, 4 * i + 4); k++) {
        readPoint(lane(s, k & 3), wide + 64 * k + 32 * half, words);
      }
      map(half == 0 ? first : second, s, scratch, work);
    }
    const out = points + i * POINT;
    prepare(out, second, twiceD(scratch));
    addPrepared(out, first, out, false, work);
  }
  forget();
}

/** out = p + q of `n` elements, or p - q if `minus`; out may be p or q. */
export function addPoints(
  out: usize, p: usize, q: usize, n: usize, minus: bool, scratch: usize,
): void {
  const work = scratch + CONSTANTS, prepared = work + CODING;
  layConstants(scratch, prepared);
  for (let i: usize = 0; i < vectors(n); i++) {
    prepare(prepared, q + i * POINT, twiceD(scratch));
    addPrepared(out + i * POINT, p + i * POINT, prepared, minus, work);
  }
  forget();
}

/**
 * out = each of `n` elements times its own scalar of 32 bytes, little-endian; out may be `points`.
 * There are scalars for whole vectors.
 */
export function multiplyEach(
  out: usize, points: usize, scalars: usize, n: usize, scratch: usize,
): void {
  const work = scratch + CONSTANTS;
  layConstants(scratch, work);
  for (let i: usize = 0; i < vectors(n); i++) {
    const at = i * POINT;
    multiplyLanes(out + at, points + at, scalars + 128 * i, twiceD(scratch), work);
  }
  forget();
}
