/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

/** dst[0..bytes) ^= src[0..bytes); bytes is a multiple of 16. */
export function xorInto(dst: usize, src: usize, bytes: usize): void {
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(dst), v128.load(src)));
    dst += 16;
    src += 16;
  }
}
