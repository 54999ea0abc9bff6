// Pairs of databases that differ in one person, through the owners' own row bounds, for measuring by how
// much an answer can change.
import { createHash } from 'node:crypto';
import type { LocalTable } from '../../src/engine/types.ts';
import { rowBounder } from '../../src/party/local/bounds.ts';
import type { ColumnPolicy, Policy } from '../../src/policy/types.ts';
import {
  columnRange,
  evaluatePredicate,
  evaluateTerm,
  keysOfSide,
  type Plan,
  type PlanSide,
  type Side,
} from '../../src/sql/index.ts';
import type { Dice } from './random-room.ts';

/** Coded values of a row, NULL where there is none. */
type Row = Readonly<Record<string, number | null>>;

interface Person {
  readonly id: Uint8Array;
  /** Rows by side, before any bound. */
  readonly rows: readonly (readonly Row[])[];
}

/** The tables of all sides with the person and without. */
export interface Neighbours {
  readonly before: readonly LocalTable[];
  readonly after: readonly LocalTable[];
}

const columnsOf = (policy: Policy, side: PlanSide): Readonly<Record<string, ColumnPolicy>> =>
  policy.parties.find(({ name }) => name === side.party)!.tables[side.table]!.columns;

/** How a person's values are drawn: at one end of every range, at either, anywhere near. */
type Mood = 'low' | 'high' | 'ends' | 'any';
const MOODS: readonly Mood[] = ['low', 'high', 'ends', 'any'];

function valueOf(roll: Dice, column: ColumnPolicy, mood: Mood): number | null {
  if (column.nullable && roll(mood === 'any' ? 4 : 12) === 0) return null;
  const { min, max } = columnRange(column);
  const few = column.type === 'text' || column.type === 'boolean' || column.values !== undefined;
  // Groups and flags vary in every mood, or nobody would be in several groups.
  if (few) return min + roll(max - min + 1);
  if (column.type === 'date')
    return (min + roll(mood === 'any' ? 4 : 2) * 7 + (roll(2) * (max - min)) / 2) | 0;
  if (mood === 'any') return Math.max(min, Math.min(max, roll(2000) - 300));
  return mood === 'low' || (mood === 'ends' && roll(2) === 0) ? min : max;
}

/** LOCAL. Rows per side: none, few, or far more than any bound. */
const ROWS = [0, 1, 2, 3, 8, 50] as const;

function randomPerson(roll: Dice, policy: Policy, plan: Plan, index: number): Person {
  const mood = MOODS[roll(MOODS.length)]!;
  const rows = plan.sides.map((side) => {
    const columns = Object.entries(columnsOf(policy, side));
    const one = (): Row =>
      Object.fromEntries(columns.map(([name, column]) => [name, valueOf(roll, column, mood)]));
    const made = Array.from({ length: ROWS[1 + roll(ROWS.length - 1)]! }, one);
    if (roll(12) === 0) return [];
    // One row many times over, as a party would write it that repeats a key.
    return roll(4) === 0 && made.length > 0 ? made.map(() => made[0]!) : made;
  });
  const id = createHash('sha256').update(`person ${index}`).digest();
  return { id: new Uint8Array(id), rows };
}

/** A row's place among its user's: a hash of its own content, as the store has it. */
function keyOf(row: Row): string {
  return createHash('md5').update(JSON.stringify(row)).digest('hex');
}

const NULL_KEY = 0.5;

/** A side's table as its local stage lays it out: filter, order by row key, bounds, slots. */
function layOut(plan: Plan, which: Side, people: readonly Person[]): LocalTable {
  const side = plan.sides[which]!;
  const derived = new Map(side.derived.map(({ name, term }) => [name, term]));
  const keyNames = keysOfSide(plan, which).map(({ column }) => column);
  const bounder = rowBounder(side);
  const kept = people.flatMap(({ id, rows }) => {
    bounder.reset();
    const slots: Row[] = [];
    const own = rows[which]!.map((row) => ({ row, key: keyOf(row) }));
    for (const { row } of own.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))) {
      const read = (name: string): bigint | null => (row[name] == null ? null : BigInt(row[name]));
      const whole: Record<string, number | null> = { ...row };
      for (const [name, term] of derived) {
        const value = evaluateTerm(term, read, true);
        whole[name] = value === null ? null : Number(value);
      }
      if (side.filter !== null && evaluatePredicate(side.filter, read, true) !== true) continue;
      const slot = bounder.place(keyNames.map((name) => whole[name] ?? NULL_KEY));
      side.bits.forEach((bit, i) => {
        whole[`bit ${i}`] = evaluatePredicate(bit, read, true) === true ? 1 : 0;
      });
      if (slot >= 0) slots[slot] = whole;
    }
    return slots.length === 0 ? [] : [{ id, slots }];
  });
  const users = kept.length;
  const cells = Array.from({ length: side.slots * users }, (_, at) => {
    return kept[at % users]!.slots[Math.floor(at / users)];
  });
  const byColumn = <T>(of: (name: string) => T): Record<string, T> =>
    Object.fromEntries(side.columns.map((name) => [name, of(name)]));
  return {
    users,
    ids: new Uint8Array(Buffer.concat(kept.map(({ id }) => id))),
    slots: side.slots,
    valid: Uint8Array.from(cells, (row) => (row === undefined ? 0 : 1)),
    values: byColumn((name) => Float64Array.from(cells, (row) => row?.[name] ?? 0)),
    present: byColumn((name) => Uint8Array.from(cells, (row) => (row?.[name] == null ? 0 : 1))),
    bits: side.bits.map((_, i) => Uint8Array.from(cells, (row) => row?.[`bit ${i}`] ?? 0)),
  };
}

/** A pair that differs in one person, who comes first, in the middle or last. */
export function randomNeighbours(roll: Dice, policy: Policy, plan: Plan): Neighbours {
  const people = [0, 1, 2].map((index) => randomPerson(roll, policy, plan, index));
  const at = roll(3);
  const lay = (who: readonly Person[]): readonly LocalTable[] =>
    plan.sides.map((_, side) => layOut(plan, side, who));
  return { before: lay(people), after: lay(people.filter((_, index) => index !== at)) };
}
