import { andTree, equalWords, lessThan, notWire, orTree } from '../../protocols/sharing/index.ts';
import type { Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import type { Comparison, PairComparison, PairPredicate, Plan, Side } from '../../sql/plan.ts';
import type { LocalTable } from '../types.ts';
import { absentTable, operandsIndex, operandsKey, operandValues } from '../values.ts';
import type { Mesh } from './mesh.ts';
import type { PayloadLayout } from './payload.ts';
import { operandOf } from './payload.ts';
import type { Placement, Shape } from './rows.ts';
import { combinedRows, pairShape, placeBits, placeWord, tile, tilePair, zeroBins } from './rows.ts';

/** Everything evaluation reads: the pivot's own table, the senders' payloads as shared wires. */
export interface JoinedInputs {
  readonly plan: Plan;
  readonly shape: Shape;
  /** Per side; null for the pivot. */
  readonly layouts: readonly (PayloadLayout | null)[];
  /** Per side, one wire per payload bit over padded bins; zeros where this party holds no share. */
  readonly payloads: readonly (readonly Wire[])[];
  /** Per side and lane, the additive payload; zeros where this party holds no share. */
  readonly lanes: readonly (readonly Uint8Array[])[];
  /** Per side: whether its user is the pivot's in this bin; zeros where this party has no share. */
  readonly matches: readonly (Wire | null)[];
  /**
   * Comparisons that were made, by operands and operator, where labels of mixed keys repeat them. Null
   * in plans without such keys.
   */
  readonly compared: Map<string, Wire> | null;
  /** The pivot's table and placement; null at the senders. */
  readonly own: { readonly table: LocalTable; readonly place: Placement } | null;
}

/**
 * A sender's wire of every slot; where users need not match, the row of NULLs is one slot more, with
 * the same public bit for everybody.
 */
export function senderWires(
  inputs: JoinedInputs,
  side: Side,
  bitOfSlot: (slot: PayloadLayout['slots'][number]) => number,
  absentBit: boolean,
): Wire[] {
  const { layouts, payloads, shape, plan } = inputs;
  const wires = payloads[side]!;
  const own = layouts[side]!.slots.map((slot) => wires[bitOfSlot(slot)] ?? zeroBins(shape));
  return plan.sides[side]!.absent === null ? own : [...own, constantBins(inputs, absentBit)];
}

/** A public bit for every bin: the pivot holds it, the others zeros. */
function constantBins({ shape, own }: JoinedInputs, bit: boolean): Wire {
  const wire = zeroBins(shape);
  return own !== null && bit ? wire.fill(0xff) : wire;
}

/**
 * One XOR-shared bit per (combination of slots, bin): whether that combination of rows is a joined
 * row that the WHERE clause keeps. Padding rows are 0.
 *
 * What only the pivot and one sender hold is computed between those two: their match with the
 * sender's slots, and comparisons of their columns. Cost per bin: one AND of two parties per later
 * slot of a sender; per combination one AND of all parties per sender and for the pivot's slots
 * beyond the first, plus the predicate: a comparison of ℓ bits takes ℓ ANDs, an equality ℓ−1.
 */
export async function qualifyingRows(mesh: Mesh, inputs: JoinedInputs): Promise<Wire> {
  const { shape, plan, own } = inputs;
  const terms: Wire[] = [];
  for (let side = 1; side < plan.sides.length; side += 1) {
    terms.push(tile(await filledSlots(mesh, inputs, side), shape, side));
  }
  // Whom a sender lacks counts only where the pivot has somebody.
  const mayLack = plan.sides.some(({ absent }) => absent !== null);
  if (shape.slots[0]! > 1 || mayLack) {
    const filled = Array.from({ length: shape.slots[0]! }, (_, i) =>
      placeBits(shape, own?.place ?? null, own?.table.valid ?? null, i),
    );
    terms.push(tile(filled, shape, 0));
  }
  if (plan.pair !== null) terms.push(...(await conjuncts(mesh, inputs, plan.pair)));
  return andTree(mesh.sharing, terms, combinedRows(shape));
}

/** Per slot of a sender: whether a matching user's row fills it; last, whether nobody matches. */
async function filledSlots(mesh: Mesh, inputs: JoinedInputs, side: Side): Promise<Wire[]> {
  const { shape, layouts, payloads } = inputs;
  const match = inputs.matches[side];
  const later = layouts[side]!.slots.slice(1);
  const pair = pairOf(mesh, side);
  const optional = inputs.plan.sides[side]!.absent !== null;
  if (pair === null || match == null) {
    return Array.from({ length: shape.slots[side]! }, () => zeroBins(shape));
  }
  const filled = await pair.and(
    later.map(() => match),
    later.map((slot) => payloads[side]![slot.valid!]!),
    shape.padded,
  );
  return optional ? [match, ...filled, notWire(pair, match)] : [match, ...filled];
}

/** The gates between the pivot and a sender; null at everybody else. */
function pairOf(mesh: Mesh, sender: Side): Sharing | null {
  if (mesh.side === 0) return mesh.pairs[sender] ?? null;
  return mesh.side === sender ? (mesh.pairs[0] ?? null) : null;
}

async function conjuncts(mesh: Mesh, inputs: JoinedInputs, node: PairPredicate): Promise<Wire[]> {
  if (node.kind !== 'and') return [await evaluate(mesh, inputs, node)];
  const parts: Wire[] = [];
  for (const term of node.terms) parts.push(...(await conjuncts(mesh, inputs, term)));
  return parts;
}

/** One XOR-shared bit per (combination, bin): whether a predicate is TRUE. Padding may hold anything. */
export async function evaluate(
  mesh: Mesh,
  inputs: JoinedInputs,
  node: PairPredicate,
): Promise<Wire> {
  const { shape, own } = inputs;
  const rows = combinedRows(shape);
  switch (node.kind) {
    case 'and':
      return andTree(mesh.sharing, await conjuncts(mesh, inputs, node), rows);
    case 'or': {
      const terms: Wire[] = [];
      for (const term of node.terms) terms.push(await evaluate(mesh, inputs, term));
      return orTree(mesh.sharing, terms, rows);
    }
    case 'not':
      return notWire(mesh.sharing, await evaluate(mesh, inputs, node.term));
    case 'bit': {
      const parts =
        node.side === 0
          ? pivotBits(inputs, own?.table.bits[node.index] ?? null)
          : senderWires(
              inputs,
              node.side,
              (slot) => slot.bits[node.index]!,
              inputs.plan.sides[node.side]!.absent?.bits[node.index] === true,
            );
      return tile(parts, shape, node.side);
    }
    case 'compare':
      return compareColumns(mesh, inputs, node);
  }
}

function pivotBits({ shape, own }: JoinedInputs, source: Uint8Array | null): Wire[] {
  return Array.from({ length: shape.slots[0]! }, (_, i) =>
    placeBits(shape, own?.place ?? null, source, i),
  );
}

/** One side of a comparison: per slot its word, and per slot whether it is not NULL. */
interface Operand {
  readonly words: readonly Word[];
  readonly present: readonly Wire[] | null;
}

async function compareColumns(
  mesh: Mesh,
  inputs: JoinedInputs,
  node: PairComparison,
): Promise<Wire> {
  const { shape } = inputs;
  const [left, right] = [node.left.side, node.right.side];
  // The pivot and one sender hold both operands: nobody else need take part.
  const gates = left === 0 ? pairOf(mesh, right) : mesh.sharing;
  const inner = pairShape(shape, left, right);
  const rows = combinedRows(inner);
  if (gates === null) return tilePair(new Uint8Array(rows / 8), shape, left, right);
  const operands = [operandWires(inputs, node, left), operandWires(inputs, node, right)] as const;
  const { op, negated } = CIRCUITS[node.op];
  const key = `${op}${operandsKey(node)}`;
  const made = inputs.compared?.get(key) ?? (await compareWords(gates, op, inner, operands));
  inputs.compared?.set(key, made);
  const terms = [negated ? notWire(gates, made) : made];
  operands.forEach(({ present }, at) => {
    if (present !== null) terms.push(tile(present, inner, at));
  });
  return tilePair(await andTree(gates, terms, rows), shape, left, right);
}

function operandWires(inputs: JoinedInputs, node: PairComparison, side: Side): Operand {
  const { shape, own, plan } = inputs;
  const nullable = operandOf(node, side)?.nullable === true;
  if (side === 0) {
    const mine = own === null ? null : operandValues(node, 0, own.table);
    const words = Array.from({ length: shape.slots[0]! }, (_, i) =>
      placeWord(shape, own?.place ?? null, mine?.values ?? null, i, node.bits),
    );
    return { words, present: nullable ? pivotBits(inputs, mine?.present ?? null) : null };
  }
  const index = operandsIndex(plan, node);
  const planned = plan.sides[side]!;
  const absent = planned.absent === null ? null : operandValues(node, side, absentTable(planned));
  const bitWires = Array.from({ length: node.bits }, (_, bit) =>
    senderWires(
      inputs,
      side,
      (slot) => slot.operands[index]!.value[bit]!,
      absent !== null && Math.floor(absent.values[0]! / 2 ** bit) % 2 === 1,
    ),
  );
  const words = Array.from({ length: shape.slots[side]! }, (_, j): Word =>
    bitWires.map((w) => w[j]!),
  );
  const isHere = absent?.present[0] === 1;
  const present = nullable
    ? senderWires(inputs, side, (slot) => slot.operands[index]!.present!, isHere)
    : null;
  return { words, present };
}

/** The comparison that is computed, and whether the wanted one is its negation. */
const CIRCUITS: Readonly<
  Record<Comparison, { readonly op: '<' | '>' | '='; readonly negated: boolean }>
> = {
  '<': { op: '<', negated: false },
  '>': { op: '>', negated: false },
  '>=': { op: '<', negated: true },
  '<=': { op: '>', negated: true },
  '=': { op: '=', negated: false },
  '<>': { op: '=', negated: true },
};

function compareWords(
  s: Sharing,
  op: '<' | '>' | '=',
  inner: Shape,
  operands: readonly [Operand, Operand],
): Promise<Wire> {
  const rows = combinedRows(inner);
  const [x, y] = operands.map(({ words }, side): Word =>
    words[0]!.map((_, bit) =>
      tile(
        words.map((word) => word[bit]!),
        inner,
        side,
      ),
    ),
  ) as [Word, Word];
  if (op === '=') return equalWords(s, x, y, rows);
  return op === '<' ? lessThan(s, x, y, rows) : lessThan(s, y, x, rows);
}
