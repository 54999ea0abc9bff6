import type { Rng } from '../../core/rng.ts';
import type { DiscreteLaplace } from '../../dp/index.ts';

/**
 * One draw of the law from its own thresholds, as the circuit draws it: a coin per binary digit of
 * the geometric part, a sign coin with digit 0's threshold, two's complement (x_j = b_j xor S).
 *
 * @param rng - CSPRNG; `thresholdBits / 8` bytes per coin, rounded up.
 */
export function drawLaplace({ thresholds, thresholdBits }: DiscreteLaplace, rng: Rng): bigint {
  const bytes = Math.ceil(thresholdBits / 8);
  const surplus = BigInt(8 * bytes - thresholdBits);
  const coin = (threshold: bigint): boolean =>
    BigInt(`0x${Buffer.from(rng(bytes)).toString('hex')}`) >> surplus < threshold;
  let digits = 0n;
  thresholds.forEach((threshold, j) => {
    if (coin(threshold)) digits |= 1n << BigInt(j);
  });
  return coin(thresholds[0]!) ? -1n - digits : digits;
}
