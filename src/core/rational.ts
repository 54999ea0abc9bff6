import { ParleyError } from './errors.ts';

/** An exact rational in lowest terms, `den > 0`. Epsilon, delta and their sums are these. */
export interface Rational {
  readonly num: bigint;
  readonly den: bigint;
}

export const ZERO: Rational = { num: 0n, den: 1n };
export const ONE: Rational = { num: 1n, den: 1n };

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

/** @throws RangeError when `den` is zero. */
export function rational(num: bigint, den = 1n): Rational {
  if (den === 0n) throw new RangeError('denominator is zero');
  const sign = den < 0n ? -1n : 1n;
  const g = gcd(num, den) || 1n;
  return { num: (sign * num) / g, den: (sign * den) / g };
}

export const add = (a: Rational, b: Rational): Rational =>
  rational(a.num * b.den + b.num * a.den, a.den * b.den);
export const sub = (a: Rational, b: Rational): Rational =>
  rational(a.num * b.den - b.num * a.den, a.den * b.den);
export const mul = (a: Rational, b: Rational): Rational => rational(a.num * b.num, a.den * b.den);
export const div = (a: Rational, b: Rational): Rational => rational(a.num * b.den, a.den * b.num);

/** Negative, zero or positive as a is below, equal to or above b. */
export function compare(a: Rational, b: Rational): number {
  const d = a.num * b.den - b.num * a.den;
  return d < 0n ? -1 : d > 0n ? 1 : 0;
}

/** LOCAL. Longest decimal accepted; "1e-300" and a thousand digits are nobody's epsilon. */
const DECIMAL = /^(-?)(\d{1,30})(?:\.(\d{1,30}))?(?:[eE](-?\d{1,2}))?$/;

/**
 * Reads a plain or scientific decimal string exactly.
 * @throws ParleyError BAD_ARGUMENT for anything else (signs other than `-`, NaN, hex, spaces).
 */
export function parseDecimal(text: string): Rational {
  const m = DECIMAL.exec(text);
  if (m === null) throw new ParleyError('BAD_ARGUMENT', 'expected a decimal number as a string');
  const [, sign, whole, frac = '', exp = '0'] = m;
  const power = Number(exp) - frac.length;
  const digits = BigInt(`${sign ?? ''}${whole ?? '0'}${frac}`);
  return power >= 0
    ? rational(digits * 10n ** BigInt(power))
    : rational(digits, 10n ** BigInt(-power));
}

/** `num/den`, or `num` alone for an integer; the canonical form in plans, ledgers and receipts. */
export function formatRational(r: Rational): string {
  return r.den === 1n ? `${r.num}` : `${r.num}/${r.den}`;
}

/** Reads what {@link formatRational} writes. @throws ParleyError BAD_ARGUMENT when not canonical. */
export function parseRational(text: string): Rational {
  const m = /^(-?\d{1,200})(?:\/(\d{1,200}))?$/.exec(text);
  if (m?.[1] === undefined || m[2] === '0') {
    throw new ParleyError('BAD_ARGUMENT', 'expected a rational number');
  }
  const r = rational(BigInt(m[1]), BigInt(m[2] ?? '1'));
  if (formatRational(r) !== text) {
    throw new ParleyError('BAD_ARGUMENT', 'expected a rational number in lowest terms');
  }
  return r;
}

/** LOCAL. Significant digits that people read. */
const DIGITS = 6n;

/**
 * A rational as people read it, from exact integer divisions: six significant digits, scientific
 * below 1e-4 and from 1e6 on.
 * @param rounding - where what does not fit goes: `up` for what is spent, `down` for what is left.
 */
export function decimalText(
  value: Rational,
  rounding: 'up' | 'down',
): { readonly text: string; readonly exact: boolean } {
  if (value.num === 0n) return { text: '0', exact: true };
  const [sign, num] = value.num < 0n ? ['-', -value.num] : ['', value.num];
  let exponent = `${num}`.length - `${value.den}`.length;
  const scaled = (by: number): Rational =>
    by >= 0
      ? rational(num, value.den * 10n ** BigInt(by))
      : rational(num * 10n ** BigInt(-by), value.den);
  if (compare(scaled(exponent), ONE) < 0) exponent -= 1;
  const { num: whole, den } = scaled(exponent - Number(DIGITS - 1n));
  const away = (rounding === 'up') === (sign === '');
  const exact = whole % den === 0n;
  let digits = `${whole / den + (away && !exact ? 1n : 0n)}`;
  if (BigInt(digits.length) > DIGITS) exponent += 1;
  digits = digits.replace(/0+$/, '');
  const point = exponent + 1;
  const plain = (): string => {
    if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
    const tail = digits.slice(point);
    return `${digits.slice(0, point).padEnd(point, '0')}${tail === '' ? '' : `.${tail}`}`;
  };
  const tail = digits.slice(1);
  const scientific = `${digits[0] ?? ''}${tail === '' ? '' : `.${tail}`}e${exponent}`;
  return { text: `${sign}${exponent < -4 || exponent > 5 ? scientific : plain()}`, exact };
}
