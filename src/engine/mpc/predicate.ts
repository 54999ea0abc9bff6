import type { Comparison, PairComparison, PairPredicate, Plan } from '../../sql/plan.ts';
import { andTree, equalWords, lessThan, notWire, orTree } from '../../protocols/sharing/index.ts';
import type { Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import type { LocalTable } from '../types.ts';
import { comparisonsOf, operandValues } from '../values.ts';
import type { PayloadLayout } from './payload.ts';
import type { Placement, Shape } from './rows.ts';
import { pairRows, placeBits, placeWord, tilePivot, tileSender } from './rows.ts';

/** Everything the predicate reads: the pivot's own table, the sender's payload as shared wires. */
export interface PairInputs {
  readonly plan: Plan;
  readonly shape: Shape;
  readonly layout: PayloadLayout;
  /** One wire per payload bit, over padded bins. */
  readonly payload: readonly Wire[];
  /** The pivot's table and placement; null at the sender. */
  readonly own: { readonly table: LocalTable; readonly place: Placement } | null;
}

/**
 * One XOR-shared bit per (pair of slots, bin): whether that pair of rows is a joined row that the
 * WHERE clause keeps. Pair order; padding rows are 0.
 *
 * Cost per pair and bin: one AND for the match and the sender's slot (per sender slot), one for
 * the pivot's slot beyond the first, plus the predicate: a comparison of ℓ bits takes ℓ ANDs, an
 * equality ℓ−1.
 */
export async function qualifyingPairs(s: Sharing, inputs: PairInputs, match: Wire): Promise<Wire> {
  const { shape, layout, plan, own, payload } = inputs;
  const rows = pairRows(shape);
  const laterSlots = layout.slots.flatMap((slot) =>
    slot.valid === null ? [] : [payload[slot.valid]!],
  );
  const later = await s.and(
    laterSlots.map(() => match),
    laterSlots,
    shape.padded,
  );
  const terms: Wire[] = [tileSender([match, ...later], shape)];
  if (shape.slots[0] > 1) {
    const filled = Array.from({ length: shape.slots[0] }, (_, i) =>
      placeBits(shape, own?.place ?? null, own?.table.valid ?? null, i),
    );
    terms.push(tilePivot(filled, shape));
  }
  if (plan.pair !== null) terms.push(...(await conjuncts(s, inputs, plan.pair)));
  return andTree(s, terms, rows);
}

async function conjuncts(s: Sharing, inputs: PairInputs, node: PairPredicate): Promise<Wire[]> {
  if (node.kind !== 'and') return [await evaluate(s, inputs, node)];
  const parts: Wire[] = [];
  for (const term of node.terms) parts.push(...(await conjuncts(s, inputs, term)));
  return parts;
}

async function evaluate(s: Sharing, inputs: PairInputs, node: PairPredicate): Promise<Wire> {
  const { shape, layout, payload, own } = inputs;
  const rows = pairRows(shape);
  switch (node.kind) {
    case 'and':
      return andTree(s, await conjuncts(s, inputs, node), rows);
    case 'or': {
      const terms: Wire[] = [];
      for (const term of node.terms) terms.push(await evaluate(s, inputs, term));
      return orTree(s, terms, rows);
    }
    case 'bit':
      if (node.side === 1) {
        return tileSender(
          layout.slots.map((slot) => payload[slot.bits[node.index]!]!),
          shape,
        );
      }
      return pivotBits(inputs, own?.table.bits[node.index] ?? null);
    case 'compare':
      return compareColumns(s, inputs, node);
  }
}

function pivotBits({ shape, own }: PairInputs, source: Uint8Array | null): Wire {
  const parts = Array.from({ length: shape.slots[0] }, (_, i) =>
    placeBits(shape, own?.place ?? null, source, i),
  );
  return tilePivot(parts, shape);
}

async function compareColumns(s: Sharing, inputs: PairInputs, node: PairComparison): Promise<Wire> {
  const { shape, layout, payload, own, plan } = inputs;
  const rows = pairRows(shape);
  const index = comparisonsOf(plan).indexOf(node);
  const mine = own === null ? null : operandValues(node, 0, own.table);
  const slotWords = Array.from({ length: shape.slots[0] }, (_, i) =>
    placeWord(shape, own?.place ?? null, mine?.values ?? null, i, node.bits),
  );
  const x: Word = bitsOf(node.bits, (bit) =>
    tilePivot(
      slotWords.map((w) => w[bit]!),
      shape,
    ),
  );
  const operands = layout.slots.map((slot) => slot.operands[index]!);
  const y: Word = bitsOf(node.bits, (bit) =>
    tileSender(
      operands.map((operand) => payload[operand.value[bit]!]!),
      shape,
    ),
  );
  const terms = [await compareWords(s, node.op, x, y, rows)];
  if (node.pivot.nullable) terms.push(pivotBits(inputs, mine?.present ?? null));
  if (node.sender.nullable) {
    terms.push(
      tileSender(
        operands.map((operand) => payload[operand.present!]!),
        shape,
      ),
    );
  }
  return andTree(s, terms, rows);
}

function bitsOf(bits: number, wire: (bit: number) => Wire): Word {
  return Array.from({ length: bits }, (_, bit) => wire(bit));
}

async function compareWords(
  s: Sharing,
  op: Comparison,
  x: Word,
  y: Word,
  rows: number,
): Promise<Wire> {
  switch (op) {
    case '<':
      return lessThan(s, x, y, rows);
    case '>':
      return lessThan(s, y, x, rows);
    case '>=':
      return notWire(s, await lessThan(s, x, y, rows));
    case '<=':
      return notWire(s, await lessThan(s, y, x, rows));
    case '=':
      return equalWords(s, x, y, rows);
    case '<>':
      return notWire(s, await equalWords(s, x, y, rows));
  }
}
