import { opensGroup, type Calibration } from '../../dp/index.ts';
import { bitBytes } from '../../protocols/ot/types.ts';
import type { Plan } from '../../sql/plan.ts';
import type { OutputShare } from '../types.ts';
import { SENTINEL } from '../types.ts';
import type { Totals } from './plain.ts';

/** One draw of measure m's noise in group g. */
export type Draw = (measure: number, group: number) => bigint;

/**
 * The release rule in clear: threshold, partition selection, sentinel. Bit for bit what the
 * circuit of engine/mpc/finish.ts computes on shares, given the same noise.
 */
export function releasePlain(
  plan: Plan,
  calibration: Calibration,
  totals: Totals,
  draw: Draw,
): OutputShare {
  const groups = totals[0]?.length ?? 0;
  const noised = totals.map((row, m) =>
    calibration.laws[m] == null ? row : row.map((value, g) => value + draw(m, g)),
  );
  const noisy = settleCarries(plan, noised);
  const isOpen = (g: number): boolean => opensGroup(calibration, totals[0]![g]!, noisy[0]![g]!);
  const open = new Uint8Array(bitBytes(groups));
  const released = plan.measures.flatMap((m, i) => (m.released ? [i] : []));
  const cells = new Uint8Array(8 * released.length * groups);
  const view = new DataView(cells.buffer);
  for (let g = 0; g < groups; g += 1) {
    if (isOpen(g)) open[g >> 3]! |= 1 << (g & 7);
    released.forEach((m, i) => {
      const nonNull = plan.measures[m]!.nonNullIndex;
      const shown = isOpen(g) && (nonNull === null || totals[nonNull]![g]! > 0n);
      view.setBigInt64(8 * (i * groups + g), shown ? noisy[m]![g]! : SENTINEL, true);
    });
  }
  return { open, cells };
}

/** Moves what the low halves of wide sums have beyond their bits into their high halves. */
function settleCarries(plan: Plan, totals: Totals): Totals {
  const settled = totals.map((row) => [...row]);
  plan.measures.forEach(({ low }, high) => {
    if (low === null) return;
    const limb = 1n << BigInt(low.bits);
    totals[low.measure]!.forEach((total, g) => {
      settled[high]![g]! += total / limb;
      settled[low.measure]![g] = total % limb;
    });
  });
  return settled;
}
