/** Median, least and greatest of the timed runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values - at least one. Of an even number of values the median is the higher middle one. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('a spread of no values');
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Three significant digits, and no fewer than the integer part has. */
export function round3(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)));
  const scale = 10 ** Math.max(0, digits);
  return Math.round(value * scale) / scale;
}

/** `--n 1000,2^20` as numbers: integers, or powers written with `^`. */
export function parseCounts(text: string): number[] {
  return text.split(',').map((item) => {
    const power = /^(\d+)\^(\d+)$/.exec(item.trim());
    const value = power ? Number(power[1]) ** Number(power[2]) : Number(item);
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw new RangeError(`not a positive integer: ${item}`);
    }
    return value;
  });
}

/** All combinations of one value per key, the last key varying fastest. */
export function combinations<T extends Readonly<Record<string, readonly unknown[]>>>(
  lists: T,
): { [K in keyof T]: T[K][number] }[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [key, values] of Object.entries(lists)) {
    all = all.flatMap((one) => values.map((value) => ({ ...one, [key]: value })));
  }
  return all as { [K in keyof T]: T[K][number] }[];
}
