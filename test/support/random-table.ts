import { createHash } from 'node:crypto';
import type { LocalTable } from '../../src/engine/types.ts';
import type { ColumnPolicy, Policy } from '../../src/policy/types.ts';
import { columnRange } from '../../src/sql/index.ts';
import type { Plan, PlanSide, Side } from '../../src/sql/index.ts';

function columnsOf(policy: Policy, side: PlanSide): Readonly<Record<string, ColumnPolicy>> {
  return policy.parties.find((p) => p.name === side.party)!.tables[side.table]!.columns;
}

/** A random local table for one side of a plan: users from a pool of ids that both sides draw on. */
export function randomTable(
  policy: Policy,
  plan: Plan,
  side: Side,
  random: () => number,
  usersMax: number,
): LocalTable {
  const planSide = plan.sides[side]!;
  const pool = Array.from({ length: 2 * usersMax }, (_, i) => i).sort(() => random() - 0.5);
  const users = Math.floor(random() * (usersMax + 1));
  const ids = new Uint8Array(users * 32);
  for (let u = 0; u < users; u += 1) {
    ids.set(createHash('sha256').update(`user${pool[u]!}`).digest(), 32 * u);
  }
  const size = planSide.slots * users;
  const valid = new Uint8Array(size);
  for (let u = 0; u < users; u += 1) {
    const rows = 1 + Math.floor(random() * planSide.slots);
    for (let s = 0; s < rows; s += 1) valid[s * users + u] = 1;
  }
  const values: Record<string, Float64Array> = {};
  const present: Record<string, Uint8Array> = {};
  for (const name of planSide.columns) {
    const column = columnsOf(policy, planSide)[name];
    if (column === undefined) {
      // A derived column: 0 and 1 are in the range of any that a test derives.
      present[name] = valid.slice();
      values[name] = Float64Array.from(valid, (v) => (v === 1 && random() < 0.5 ? 1 : 0));
      continue;
    }
    const range = columnRange(column);
    const [low, high] = [range.min, range.max];
    const narrow =
      column.type === 'date'
        ? [20_270, 20_275]
        : column.type === 'text'
          ? [low, high]
          : [Math.max(low, -50), Math.min(high, 50)];
    present[name] = valid.map((v) => (v === 1 && (!column.nullable || random() < 0.7) ? 1 : 0));
    values[name] = Float64Array.from(present[name], (p) =>
      p === 1 ? Math.floor(narrow[0]! + random() * (narrow[1]! - narrow[0]! + 1)) : 0,
    );
  }
  const bits = planSide.bits.map(() => valid.map((v) => (v === 1 && random() < 0.5 ? 1 : 0)));
  return { users, ids, slots: planSide.slots, valid, values, present, bits };
}

export function randomOf(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
