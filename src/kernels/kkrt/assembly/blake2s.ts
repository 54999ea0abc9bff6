// BLAKE2s (RFC 7693), four hashes side by side: lane k of every vector belongs to hash k.

/** Byte offsets of message words per round: the schedule of RFC 7693, section 2.7, times 16. */
const SCHEDULE = memory.data<u8>([
  0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
  224, 160, 64, 128, 144, 240, 208, 96, 16, 192, 0, 32, 176, 112, 80, 48,
  176, 128, 192, 0, 80, 32, 240, 208, 160, 224, 48, 96, 112, 16, 144, 64,
  112, 144, 48, 16, 208, 192, 176, 224, 32, 96, 80, 160, 64, 0, 240, 128,
  144, 0, 80, 112, 32, 64, 160, 240, 224, 16, 176, 192, 96, 128, 48, 208,
  32, 192, 96, 160, 0, 176, 128, 48, 64, 208, 112, 80, 240, 224, 16, 144,
  192, 80, 16, 240, 224, 208, 64, 160, 0, 112, 96, 48, 144, 32, 128, 176,
  208, 176, 112, 224, 192, 16, 48, 144, 80, 0, 240, 64, 128, 96, 32, 160,
  96, 240, 224, 144, 176, 48, 0, 128, 192, 32, 208, 112, 16, 64, 160, 80,
  160, 32, 128, 64, 112, 96, 16, 80, 240, 176, 144, 224, 48, 192, 208, 0,
]);

/** Message word number `i` of the round whose schedule is at `round`. */
// @ts-ignore: decorator
@inline
function word(m: usize, round: usize, i: usize): v128 {
  return v128.load(m + <usize>load<u8>(round + i));
}

// @ts-ignore: decorator
@inline
function add3(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(i32x4.add(a, b), c);
}

// @ts-ignore: decorator
@inline
function right16(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.shuffle<u8>(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

// @ts-ignore: decorator
@inline
function right12(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}

// @ts-ignore: decorator
@inline
function right8(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.shuffle<u8>(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}

// @ts-ignore: decorator
@inline
function right7(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}

/**
 * The compression F of a last block of 64 bytes in all (t = 64, flag set), ten rounds. State: eight
 * vectors at `h`, replaced; message: sixteen vectors at `m`. The four mixings of a column step, and
 * then of a diagonal step, go line by line side by side, as they do not depend on one another.
 */
export function compressLast(h: usize, m: usize): void {
  let v0 = v128.load(h), v1 = v128.load(h, 16), v2 = v128.load(h, 32), v3 = v128.load(h, 48);
  let v4 = v128.load(h, 64), v5 = v128.load(h, 80), v6 = v128.load(h, 96), v7 = v128.load(h, 112);
  let v8 = i32x4.splat(0x6a09e667), v9 = i32x4.splat(0xbb67ae85);
  let v10 = i32x4.splat(0x3c6ef372), v11 = i32x4.splat(0xa54ff53a);
  let v12 = i32x4.splat(0x510e527f ^ 64), v13 = i32x4.splat(0x9b05688c);
  let v14 = i32x4.splat(~0x1f83d9ab), v15 = i32x4.splat(0x5be0cd19);
  for (let r = SCHEDULE; r < SCHEDULE + 160; r += 16) {
    v0 = add3(v0, v4, word(m, r, 0)), v1 = add3(v1, v5, word(m, r, 2));
    v2 = add3(v2, v6, word(m, r, 4)), v3 = add3(v3, v7, word(m, r, 6));
    v12 = right16(v12, v0), v13 = right16(v13, v1), v14 = right16(v14, v2), v15 = right16(v15, v3);
    v8 = i32x4.add(v8, v12), v9 = i32x4.add(v9, v13);
    v10 = i32x4.add(v10, v14), v11 = i32x4.add(v11, v15);
    v4 = right12(v4, v8), v5 = right12(v5, v9), v6 = right12(v6, v10), v7 = right12(v7, v11);
    v0 = add3(v0, v4, word(m, r, 1)), v1 = add3(v1, v5, word(m, r, 3));
    v2 = add3(v2, v6, word(m, r, 5)), v3 = add3(v3, v7, word(m, r, 7));
    v12 = right8(v12, v0), v13 = right8(v13, v1), v14 = right8(v14, v2), v15 = right8(v15, v3);
    v8 = i32x4.add(v8, v12), v9 = i32x4.add(v9, v13);
    v10 = i32x4.add(v10, v14), v11 = i32x4.add(v11, v15);
    v4 = right7(v4, v8), v5 = right7(v5, v9), v6 = right7(v6, v10), v7 = right7(v7, v11);

    v0 = add3(v0, v5, word(m, r, 8)), v1 = add3(v1, v6, word(m, r, 10));
    v2 = add3(v2, v7, word(m, r, 12)), v3 = add3(v3, v4, word(m, r, 14));
    v15 = right16(v15, v0), v12 = right16(v12, v1), v13 = right16(v13, v2), v14 = right16(v14, v3);
    v10 = i32x4.add(v10, v15), v11 = i32x4.add(v11, v12);
    v8 = i32x4.add(v8, v13), v9 = i32x4.add(v9, v14);
    v5 = right12(v5, v10), v6 = right12(v6, v11), v7 = right12(v7, v8), v4 = right12(v4, v9);
    v0 = add3(v0, v5, word(m, r, 9)), v1 = add3(v1, v6, word(m, r, 11));
    v2 = add3(v2, v7, word(m, r, 13)), v3 = add3(v3, v4, word(m, r, 15));
    v15 = right8(v15, v0), v12 = right8(v12, v1), v13 = right8(v13, v2), v14 = right8(v14, v3);
    v10 = i32x4.add(v10, v15), v11 = i32x4.add(v11, v12);
    v8 = i32x4.add(v8, v13), v9 = i32x4.add(v9, v14);
    v5 = right7(v5, v10), v6 = right7(v6, v11), v7 = right7(v7, v8), v4 = right7(v4, v9);
  }
  v128.store(h, v128.xor(v128.load(h), v128.xor(v0, v8)));
  v128.store(h, v128.xor(v128.load(h, 16), v128.xor(v1, v9)), 16);
  v128.store(h, v128.xor(v128.load(h, 32), v128.xor(v2, v10)), 32);
  v128.store(h, v128.xor(v128.load(h, 48), v128.xor(v3, v11)), 48);
  v128.store(h, v128.xor(v128.load(h, 64), v128.xor(v4, v12)), 64);
  v128.store(h, v128.xor(v128.load(h, 80), v128.xor(v5, v13)), 80);
  v128.store(h, v128.xor(v128.load(h, 96), v128.xor(v6, v14)), 96);
  v128.store(h, v128.xor(v128.load(h, 112), v128.xor(v7, v15)), 112);
}
