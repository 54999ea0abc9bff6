import { rational, type Rational } from '../core/rational.ts';

/** An integer in units of 10^-scale as plain decimal text: 10775 at scale 2 is `107.75`. */
export function scaledText(value: bigint, scale: number): string {
  if (scale === 0) return `${value}`;
  const sign = value < 0n ? '-' : '';
  const digits = `${value < 0n ? -value : value}`.padStart(scale + 1, '0');
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** The nearest integer; ties go to the even one. */
export function roundHalfEven({ num, den }: Rational): bigint {
  // BigInt division truncates; floor it.
  let floor = num / den;
  if (num % den < 0n) floor -= 1n;
  const twice = 2n * (num - floor * den);
  if (twice < den) return floor;
  if (twice > den) return floor + 1n;
  return floor % 2n === 0n ? floor : floor + 1n;
}

/** At so many digits after the point, half away from zero. */
export function roundHalfAway({ num, den }: Rational, digits: number): Rational {
  const unit = 10n ** BigInt(digits);
  const scaled = (num < 0n ? -num : num) * unit;
  const rounded = (2n * scaled + den) / (2n * den);
  return rational(num < 0n ? -rounded : rounded, unit);
}

/** LOCAL. Bits of a square root: twice what a double holds and more. */
const ROOT_BITS = 128;

/** The square root of a number that is not negative, off by less than 2^-120 of itself. */
export function squareRoot({ num, den }: Rational): Rational {
  if (num <= 0n) return rational(0n);
  // √(num/den) = √(num·den·4^k) / (den·2^k)
  const product = num * den;
  const shift = BigInt(Math.max(0, ROOT_BITS - (bitLength(product) >> 1)));
  return rational(integerRoot(product << (2n * shift)), den << shift);
}

/** ⌊√n⌋ by Newton's iteration from above. */
function integerRoot(n: bigint): bigint {
  let x = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** LOCAL. Digits an average shows beyond its column's scale. */
const AVERAGE_DIGITS = 6;

/**
 * A rational in units of 10^-scale as decimal text, rounded half to even at `scale + 6` digits;
 * zeros beyond the scale are left out.
 */
export function rationalText({ num, den }: Rational, scale: number): string {
  const digits = scale + AVERAGE_DIGITS;
  const rounded = roundHalfEven({ num: num * 10n ** BigInt(AVERAGE_DIGITS), den });
  let text = scaledText(rounded, digits);
  for (let i = 0; i < AVERAGE_DIGITS && text.endsWith('0'); i += 1) text = text.slice(0, -1);
  return text.endsWith('.') ? text.slice(0, -1) : text;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

/** The double nearest to num/den, ties to even, for magnitudes far from the ends of the range. */
export function nearestDouble({ num, den }: Rational): number {
  if (num === 0n) return 0;
  const magnitude = num < 0n ? -num : num;
  // At least 66 bits of quotient and a sticky bit, so that one rounding decides.
  const shift = Math.max(0, 66 - (bitLength(magnitude) - bitLength(den)));
  const scaled = magnitude << BigInt(shift);
  const sticky = scaled % den === 0n ? 0n : 1n;
  const nearest = Number((scaled / den) | sticky) / 2 ** shift;
  return num < 0n ? -nearest : nearest;
}

/** Order of two texts by code point, unlike `<`, which goes by UTF-16 unit. */
export function compareText(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const d = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (d !== 0) return d;
  }
  return left.length - right.length;
}
