// Tests of recorded messages. Every result is a z-score, near a standard normal when the bytes are
// uniform and independent of the inputs: beyond Z_MAX by chance with probability 4·10^-11 a side.

/** Some hundred numbers are looked at in a run, so a false alarm has probability below 10^-8. */
export const Z_MAX = 6.5;

/** Bytes a chi-square over 256 values needs: ten expected in each. */
const BYTES_MIN = 2_560;

/** Bytes of a message that the tests by position look at; counters are kept for every bit. */
const POSITIONS_MAX = 1 << 16;

/** Bytes the classifier is shown at a time. */
const WINDOW_BYTES = 64;

/** What must look random: messages of the same kind from several runs, by the inputs of the run. */
export interface Samples {
  readonly kind: string;
  readonly byInput: readonly [readonly Uint8Array[], readonly Uint8Array[]];
}

export interface Score {
  readonly kind: string;
  readonly test: string;
  readonly z: number;
}

/** Wilson and Hilferty's cube root: a chi-square statistic as a z-score. */
function chiSquareZ(statistic: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(statistic / degrees) - (1 - spread)) / Math.sqrt(spread);
}

function histogram(messages: readonly Uint8Array[]): { counts: Float64Array; total: number } {
  const counts = new Float64Array(256);
  for (const message of messages) for (const byte of message) counts[byte]! += 1;
  return { counts, total: counts.reduce((a, b) => a + b, 0) };
}

/** Chi-square of bytes against uniform; of few bytes, the number of ones. */
export function uniformity({ kind, byInput }: Samples): Score {
  const { counts, total } = histogram(byInput.flat());
  if (total >= BYTES_MIN) {
    const mean = total / 256;
    const statistic = counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
    return { kind, test: 'bytes uniform', z: chiSquareZ(statistic, 255) };
  }
  const ones = counts.reduce((sum, n, byte) => sum + n * weight(byte), 0);
  return { kind, test: 'bits uniform', z: (ones - 4 * total) / Math.sqrt(2 * total) };
}

function weight(byte: number): number {
  let bits = 0;
  for (let rest = byte; rest !== 0; rest >>= 1) bits += rest & 1;
  return bits;
}

/** Chi-square that both inputs give the same distribution of bytes. */
export function sameBytes({ kind, byInput }: Samples): Score | null {
  const [a, b] = byInput.map(histogram) as [Histogram, Histogram];
  if (Math.min(a.total, b.total) < BYTES_MIN) return null;
  const [up, down] = [Math.sqrt(b.total / a.total), Math.sqrt(a.total / b.total)];
  let statistic = 0;
  for (let byte = 0; byte < 256; byte++) {
    const [m, n] = [a.counts[byte]!, b.counts[byte]!];
    if (m + n > 0) statistic += (m * up - n * down) ** 2 / (m + n);
  }
  return { kind, test: 'bytes same for both inputs', z: chiSquareZ(statistic, 255) };
}

type Histogram = ReturnType<typeof histogram>;

/**
 * Correlation of every single bit with which input it was: squared differences of counts, added up.
 * Of R runs each, (k0 − k1)² / (R/2) has mean 1 and variance 2 − 1/R.
 */
export function sameBits({ kind, byInput }: Samples): Score | null {
  const runs = Math.min(byInput[0].length, byInput[1].length);
  const bytes = Math.min(POSITIONS_MAX, byInput[0][0]?.length ?? 0);
  if (runs < 3 || 8 * bytes < 512) return null;
  const difference = new Int16Array(8 * bytes);
  byInput.forEach((messages, input) => {
    for (const message of messages.slice(0, runs)) {
      for (let at = 0; at < bytes; at++) {
        const byte = message[at]!;
        for (let bit = 0; bit < 8; bit++) {
          if (((byte >> bit) & 1) === 1) difference[8 * at + bit]! += input === 0 ? 1 : -1;
        }
      }
    }
  });
  const n = difference.length;
  const sum = difference.reduce((s, d) => s + (2 * d * d) / runs, 0);
  return { kind, test: 'bits same for both inputs', z: (sum - n) / Math.sqrt(n * (2 - 1 / runs)) };
}

export interface Accuracy {
  readonly kind: string;
  readonly accuracy: number;
  readonly windows: number;
  /** 53%, or what chance allows for so few windows. */
  readonly accuracyMax: number;
}

/**
 * Naive Bayes on byte histograms, trained on every other run to tell the two inputs apart and asked
 * about windows of the others.
 */
export function classify({ kind, byInput }: Samples): Accuracy | null {
  const train = byInput.map((messages) => messages.filter((_, i) => i % 2 === 0));
  const test = byInput.map((messages) => messages.filter((_, i) => i % 2 === 1));
  const [a, b] = train.map(histogram) as [Histogram, Histogram];
  const odds = Float64Array.from({ length: 256 }, (_, byte) =>
    Math.log(((a.counts[byte]! + 1) * (b.total + 256)) / ((b.counts[byte]! + 1) * (a.total + 256))),
  );
  let right = 0;
  let windows = 0;
  test.forEach((messages, input) => {
    for (const message of messages) {
      for (let at = 0; at + WINDOW_BYTES <= message.length; at += WINDOW_BYTES) {
        let score = 0;
        for (let k = at; k < at + WINDOW_BYTES; k++) score += odds[message[k]!]!;
        right += score > 0 === (input === 0) ? 1 : 0;
        windows += 1;
      }
    }
  });
  if (windows < 100) return null;
  const accuracyMax = 0.5 + Math.max(0.03, (Z_MAX * 0.5) / Math.sqrt(windows));
  return { kind, accuracy: right / windows, windows, accuracyMax };
}

/**
 * Correlation of the bits of a row with a secret bit of that row, added up over the columns.
 * @param rows - pairs of a row's bytes and its bit; all rows equally long.
 */
export function rowCorrelation(
  kind: string,
  rows: readonly { readonly bytes: Uint8Array; readonly secret: boolean }[],
): Score {
  const columns = 8 * (rows[0]?.bytes.length ?? 0);
  const ones = [new Float64Array(columns), new Float64Array(columns)] as const;
  const total = [0, 0];
  for (const { bytes, secret } of rows) {
    const side = secret ? 1 : 0;
    total[side]! += 1;
    for (let c = 0; c < columns; c++) ones[side][c]! += (bytes[c >> 3]! >> (c & 7)) & 1;
  }
  const spread = Math.sqrt(0.25 / total[0]! + 0.25 / total[1]!);
  let sum = 0;
  for (let c = 0; c < columns; c++) {
    sum += ((ones[1][c]! / total[1]! - ones[0][c]! / total[0]!) / spread) ** 2;
  }
  const z = chiSquareZ(sum, columns);
  return { kind, test: 'row bits independent of membership', z };
}

/**
 * Each bit of items of one length, over all items of an input: the z-score of its ones that lies
 * furthest from 0. @param bits - of an item, from the lowest; the rest is not looked at.
 */
export function balancedBits({ kind, byInput }: Samples, itemBytes: number, bits: number): Score {
  let worst = 0;
  for (const messages of byInput) {
    const ones = new Float64Array(bits);
    const n = messages.reduce((sum, { length }) => sum + length / itemBytes, 0);
    for (const message of messages) {
      for (let at = 0; at < message.length; at += itemBytes) {
        for (let b = 0; b < bits; b++) ones[b]! += (message[at + (b >> 3)]! >> (b & 7)) & 1;
      }
    }
    for (const count of ones) {
      const z = (2 * count - n) / Math.sqrt(n);
      if (Math.abs(z) > Math.abs(worst)) worst = z;
    }
  }
  return { kind, test: 'every bit of an item balanced', z: worst };
}
