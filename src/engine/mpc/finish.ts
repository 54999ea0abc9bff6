import { concat } from '../../core/bytes.ts';
import type { Calibration } from '../../dp/index.ts';
import { expect } from '../../core/errors.ts';
import { bitBytes } from '../../protocols/ot/types.ts';
import {
  addWords,
  andPublic,
  andTree,
  discreteLaplace,
  elementsFromWord,
  publicWord,
  ringToWord,
  selectSentinel,
  signedAtLeastPublic,
} from '../../protocols/sharing/index.ts';
import type { RingVector, Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import type { Plan } from '../../sql/plan.ts';
import type { OutputShare } from '../types.ts';
import { clearPadding } from './rows.ts';

/**
 * The release rule on shares (privacy.md §3): noise is drawn jointly and added, the threshold is
 * tested, and every cell of a group that stays closed becomes the sentinel. Nothing is opened; what
 * comes out is this party's share of the vetted answer, the only thing that may leave it.
 *
 * Rows are few (measures × groups), so they are laid end to end without padding.
 */
export async function vetAnswer(
  s: Sharing,
  plan: Plan,
  calibration: Calibration,
  totals: readonly RingVector[],
): Promise<OutputShare> {
  const groups = totals[0]!.length / 8;
  const rows = totals.length * groups;
  const exact = await ringToWord(s, concat(totals), rows);
  const noised = await addNoise(s, calibration, exact, groups, totals.length);
  const noisy = await settleCarries(s, plan, noised, groups);
  const measureRows = (m: number): Int32Array => range(m * groups, groups);
  const [users, shownUsers] = [exact, noisy].map((word) => gatherWord(word, measureRows(0)));
  const open = await openGroups(s, calibration, users!, shownUsers!, groups);
  const released = plan.measures.flatMap((planned, m) => (planned.released ? [m] : []));
  const shown: Wire[] = [];
  for (const m of released) {
    const nonNull = plan.measures[m]!.nonNullIndex;
    if (nonNull === null) {
      shown.push(open);
      continue;
    }
    const some = await atLeast(s, gatherWord(exact, measureRows(nonNull)), 1n, groups);
    shown.push(...(await s.and([open], [some], groups)));
  }
  const cellRows = released.length * groups;
  const cells = gatherWord(noisy, concatRanges(released.map(measureRows)));
  const visible = joinRows(shown, groups);
  const vetted = await selectSentinel(s, visible, cells, cellRows);
  return { open: clearPadding(open, groups), cells: elementsFromWord(vetted, cellRows) };
}

/** Which groups open; bit for bit `opensGroup` of src/dp. @param shown - the users with their noise. */
async function openGroups(
  s: Sharing,
  { selection, minUsers, tau }: Calibration,
  users: Word,
  shown: Word,
  groups: number,
): Promise<Wire> {
  const tests: Wire[] = [];
  // `noisy` looks at the noisy count alone: an exact test beside it would cost what it tells.
  if (selection !== 'noisy') tests.push(await atLeast(s, users, minUsers, groups));
  // (n-(k-1))+X >= tau, with the X that is released, so the gate is post-processing of n+X.
  if (tau !== null) tests.push(await atLeast(s, shown, tau + minUsers - 1n, groups));
  return andTree(s, tests, groups);
}

/** Whether a shared signed total is at least a public bound. */
function atLeast(s: Sharing, word: Word, bound: bigint, rows: number): Promise<Wire> {
  return signedAtLeastPublic(s, word, publicWord(bound, word.length), rows);
}

async function addNoise(
  s: Sharing,
  calibration: Calibration,
  exact: Word,
  groups: number,
  measures: number,
): Promise<Word> {
  const noised = calibration.laws.flatMap((law, m) => (law === null ? [] : [{ law, m }]));
  if (noised.length === 0) return exact;
  const lawOfRow = Int32Array.from({ length: noised.length * groups }, (_, r) =>
    Math.floor(r / groups),
  );
  const noise = await discreteLaplace(
    s,
    noised.map(({ law }) => law),
    lawOfRow,
    lawOfRow.length,
  );
  const place = new Int32Array(measures * groups).fill(-1);
  noised.forEach(({ m }, i) => {
    for (let g = 0; g < groups; g += 1) place[m * groups + g] = i * groups + g;
  });
  return addWords(s, exact, gatherWord(noise, place), measures * groups);
}

/**
 * Moves what the low halves of wide sums have beyond their bits into their high halves: the two
 * cells that open are one number, and say nothing of how its rows were cut. Shifts are free on
 * bit-sliced shares; one addition for all.
 */
async function settleCarries(s: Sharing, plan: Plan, word: Word, groups: number): Promise<Word> {
  const wide = plan.measures.flatMap(({ low }, high) =>
    low === null ? [] : [{ high, low: low.measure, bits: low.bits }],
  );
  const bits = wide[0]?.bits;
  if (bits === undefined) return word;
  expect(
    wide.every((sum) => sum.bits === bits),
    'the sums of a query are cut alike',
  );
  const rows = plan.measures.length * groups;
  const place = new Int32Array(rows).fill(-1);
  const isLow = new Uint8Array(bitBytes(rows));
  for (const { high, low } of wide) {
    for (let g = 0; g < groups; g += 1) {
      place[high * groups + g] = low * groups + g;
      const at = low * groups + g;
      isLow[at >> 3]! |= 1 << (at & 7);
    }
  }
  const zero = new Uint8Array(bitBytes(rows));
  const low = gatherWord(word, place);
  // Low halves are sums of values that are not negative.
  const carry = low.map((_, bit) => low[bit + bits] ?? zero);
  const settled = await addWords(s, word, carry, rows);
  const others = isLow.map((byte) => ~byte);
  return settled.map((wire, bit) => (bit < bits ? wire : andPublic(wire, others)));
}

function range(from: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => from + i);
}

function concatRanges(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((p) => [...p]));
}

/** Row r of the result is row `rows[r]` of the wire, or 0 where that is −1. */
function gather(wire: Wire, rows: Int32Array): Wire {
  const out = new Uint8Array(bitBytes(rows.length));
  rows.forEach((from, r) => {
    if (from >= 0) out[r >> 3]! |= ((wire[from >> 3]! >> (from & 7)) & 1) << (r & 7);
  });
  return out;
}

function gatherWord(word: Word, rows: Int32Array): Word {
  return word.map((wire) => gather(wire, rows));
}

/** Lays wires of `rows` rows each end to end, without padding between them. */
function joinRows(wires: readonly Wire[], rows: number): Wire {
  const out = new Uint8Array(bitBytes(wires.length * rows));
  wires.forEach((wire, w) => {
    for (let r = 0; r < rows; r += 1) {
      const at = w * rows + r;
      out[at >> 3]! |= ((wire[r >> 3]! >> (r & 7)) & 1) << (at & 7);
    }
  });
  return out;
}
