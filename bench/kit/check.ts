/** Ends a bench whose answer is wrong: there is no time to report then. */
export function wrong(what: string): never {
  throw new Error(`wrong answer: ${what}`);
}

export function bitOf(bits: Uint8Array, i: number): number {
  return (bits[i >> 3]! >> (i & 7)) & 1;
}

/** XOR of one packed vector per party. */
export function openBits(shares: readonly Uint8Array[]): Uint8Array {
  return shares.reduce((sum, share) => sum.map((byte, i) => byte ^ share[i]!));
}

/** Sum of one vector of 64-bit little-endian elements per party. */
export function openRing(shares: readonly Uint8Array[]): BigUint64Array {
  const views = shares.map(
    (s) => new BigUint64Array(s.slice().buffer, 0, Math.floor(s.length / 8)),
  );
  return views.reduce((sum, view) => sum.map((x, i) => x + view[i]!));
}
