// Curve25519 in plain BigInt arithmetic, straight from RFC 7748 and RFC 9380: what the tests in this
// folder hold the shipped code against. Slow and obvious.
import { createHash } from 'node:crypto';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';

export const P = 2n ** 255n - 19n;
const J = 486662n;

export const mod = (x: bigint): bigint => ((x % P) + P) % P;

export function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, mod(base)];
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

export const invert = (x: bigint): bigint => power(x, P - 2n);
export const legendre = (x: bigint): bigint => power(x, (P - 1n) / 2n);
export const curveEquation = (u: bigint): bigint => mod(u * u * u + J * u * u + u);

/** RFC 9380, section 6.7.1, steps 1 to 8, u-coordinate (s and t there). */
export function elligator2(field: bigint): bigint {
  let x1 = mod(-J * invert(mod(1n + 2n * field * field)));
  if (x1 === 0n) x1 = mod(-J);
  return legendre(curveEquation(x1)) !== P - 1n ? x1 : mod(-x1 - J);
}

/** u-coordinate of twice the point (RFC 7748, section 5: x_2 of the ladder step). */
export function double(u: bigint): bigint {
  return mod(power(u * u - 1n, 2n) * invert(4n * u * (u * u + J * u + 1n)));
}

export function fromLittle(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.slice().reverse())}`);
}

export function fromBig(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

export function toLittle(n: bigint, bytes = 32): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
}

export const toBig = (n: bigint, bytes: number): Uint8Array => toLittle(n, bytes).reverse();

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(createHash('sha512').update(concat(parts)).digest());
}

/** RFC 9380, section 5.3.1, for outputs of one block; then 5.2. */
export function hashToField(message: Uint8Array, dst: Uint8Array): bigint {
  const dstPrime = concat([dst, Uint8Array.of(dst.length)]);
  const b0 = sha512(new Uint8Array(128), message, Uint8Array.of(0, 48, 0), dstPrime);
  return mod(fromBig(sha512(b0, Uint8Array.of(1), dstPrime).subarray(0, 48)));
}

export const ascii = utf8;
