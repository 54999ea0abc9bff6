import type { DiscreteLaplace } from '../dp/index.ts';

// What an attacker computes of the noise: doubles, as an attacker would.

/** A finite law on integers: `p[i]` is the chance of `low + i`. */
export interface FiniteLaw {
  readonly low: number;
  readonly p: Float64Array;
}

/** LOCAL. Scales of the law that are listed on either side: what lies beyond is below e^-40. */
const SCALES = 40;

export const POINT: FiniteLaw = { low: 0, p: Float64Array.of(1) };

/** C·a^|x| of a noise law, or the point 0 where there is none; ends cut at 40 scales. */
export function laplaceLaw(law: DiscreteLaplace | null): FiniteLaw {
  if (law === null) return POINT;
  const rate = Number(law.rate.num) / Number(law.rate.den);
  const reach = Math.min(2 ** law.bits - 1, Math.ceil(SCALES / rate));
  const p = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-rate * Math.abs(i - reach)),
  );
  const sum = p.reduce((a, b) => a + b, 0);
  return { low: -reach, p: p.map((v) => v / sum) };
}

export function chanceOf({ low, p }: FiniteLaw, x: number): number {
  return p[x - low] ?? 0;
}

/** P[X \>= x]. */
export function atLeast({ low, p }: FiniteLaw, x: number): number {
  return p.subarray(Math.max(0, x - low)).reduce((a, b) => a + b, 0);
}

/** The law of X − Y, independent. */
export function differenceOf(x: FiniteLaw, y: FiniteLaw): FiniteLaw {
  const top = y.low + y.p.length - 1;
  const p = new Float64Array(x.p.length + y.p.length - 1);
  x.p.forEach((a, i) => {
    for (let j = 0; j < y.p.length; j += 1) p[i + (y.p.length - 1 - j)]! += a * y.p[j]!;
  });
  return { low: x.low - top, p };
}
