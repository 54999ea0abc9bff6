/** Labels of GROUP BY keys that no party knows, on shares. */
import { concat } from '../../core/bytes.ts';
import { equalWords, notWire, xorWire, zeroWire } from '../../protocols/sharing/index.ts';
import type { Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import { mixedKeys } from '../../sql/index.ts';
import type { Mesh } from './mesh.ts';
import { evaluate, type JoinedInputs } from './predicate.ts';
import { combinations, combinedRows, part } from './rows.ts';

/**
 * Per mixed key of the plan and label one XOR-shared bit per (combination of slots, bin): whether that
 * joined row has the label. Exactly one bit of a key is set in every row.
 */
export type RowLabels = readonly Word[];

/**
 * Evaluates the labels of all mixed keys: the first whose condition is TRUE, else the spare one. Nobody
 * learns anything: the circuit follows from the plan.
 *
 * SECURITY. Conditions of honest owners exclude each other. That the first one wins is computed all
 * the same, so that no owner's bits put another's user into two groups by one row.
 * Cost per combination: the conditions, and one AND for each beyond the first.
 */
export async function rowLabels(mesh: Mesh, inputs: JoinedInputs): Promise<RowLabels> {
  const { sharing: s } = mesh;
  const rows = combinedRows(inputs.shape);
  const keys: Word[] = [];
  for (const { labels } of mixedKeys(inputs.plan)) {
    let rest: Wire | null = null;
    const told: (Wire | null)[] = [];
    for (const label of labels) {
      if (label === null) {
        told.push(null);
        continue;
      }
      const when = await evaluate(mesh, inputs, label);
      const own: Wire = rest === null ? when : (await s.and([rest], [when], rows))[0]!;
      rest = rest === null ? notWire(s, own) : xorWire(rest, own);
      told.push(own);
    }
    const spare = rest ?? notWire(s, zeroWire(rows));
    keys.push(told.map((wire) => wire ?? spare));
  }
  return keys;
}

/**
 * Splits bits per (combination, bin) by label, the last key's fastest. The last label of a key takes what
 * the others leave of a bit, for one is set. Cost: per bit one AND for every label but the last of each key.
 */
export async function splitByLabels(
  s: Sharing,
  split: readonly Wire[],
  labels: RowLabels,
  rows: number,
): Promise<readonly Wire[]> {
  let out = split;
  for (const key of labels) {
    const told = key.slice(0, -1);
    const products = await s.and(
      out.flatMap((bits) => told.map(() => bits)),
      out.flatMap(() => told),
      rows,
    );
    out = out.flatMap((bits, i) => {
      const own = products.slice(i * told.length, (i + 1) * told.length);
      return [...own, own.reduce(xorWire, bits)];
    });
  }
  return out;
}

/**
 * For pairs of combinations one bit per bin: whether both rows have the same labels. Cost: per pair
 * ⌈log2 L⌉ ANDs for a key of L labels, added up, less one; numbering is local.
 */
export async function sameLabels(
  s: Sharing,
  { shape }: JoinedInputs,
  labels: RowLabels,
  pairs: readonly (readonly [number, number])[],
): Promise<readonly Wire[]> {
  if (pairs.length === 0) return [];
  const code = labels.flatMap((key) => numberOf(key, combinedRows(shape)));
  const at = (wire: Wire, combination: number): Wire =>
    part(wire, combination, combinations(shape));
  const side = (which: 0 | 1): Word =>
    code.map((wire) => concat(pairs.map((pair) => at(wire, pair[which]))));
  const same = await equalWords(s, side(0), side(1), pairs.length * shape.padded);
  return pairs.map((_, p) => part(same, p, pairs.length));
}

/** The index of the label that is set, in binary: exclusive ors of its bits. */
function numberOf(key: Word, rows: number): Word {
  const bits = key.length > 1 ? (key.length - 1).toString(2).length : 0;
  return Array.from({ length: bits }, (_, bit) =>
    key.reduce(
      (sum, wire, i) => (((i >> bit) & 1) === 1 ? xorWire(sum, wire) : sum),
      zeroWire(rows),
    ),
  );
}
