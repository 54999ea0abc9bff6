// Goal: whatever a query asks, taking one person out of all tables changes no measure by more than the
// sensitivity its noise is drawn for: summed over groups, and over the buckets of a histogram.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import { aggregatePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import type { Plan } from '../../src/sql/index.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { randomSql } from '../support/random-sql.ts';
import { localTables, openSqlRoom, planIn, randomVisits, sqlPolicy } from '../support/sql-room.ts';
import { PRIVATE } from './policies.ts';

const SEED = 20_251_128;
const QUERIES = 250;
const ID_BYTES = 32;

/** The table without the user of an id. */
function without(table: LocalTable, id: Uint8Array): LocalTable {
  const same = (u: number): boolean => id.every((byte, i) => table.ids[u * ID_BYTES + i] === byte);
  const kept = Array.from({ length: table.users }, (_, u) => u).filter((u) => !same(u));
  const users = kept.length;
  const take = <T extends Float64Array | Uint8Array>(from: T, to: T): T => {
    for (let s = 0; s < table.slots; s += 1) {
      kept.forEach((u, i) => (to[s * users + i] = from[s * table.users + u]!));
    }
    return to;
  };
  const bytes = (): Uint8Array => new Uint8Array(users * table.slots);
  const each = <T extends Float64Array | Uint8Array>(
    columns: Readonly<Record<string, T>>,
    make: () => T,
  ): Record<string, T> =>
    Object.fromEntries(Object.entries(columns).map(([name, from]) => [name, take(from, make())]));
  return {
    ...table,
    users,
    ids: Uint8Array.from(kept.flatMap((u) => [...table.ids.subarray(u * 32, u * 32 + 32)])),
    valid: take(table.valid, bytes()),
    values: each(table.values, () => new Float64Array(users * table.slots)),
    present: each(table.present, bytes),
    bits: table.bits.map((bit) => take(bit, bytes())),
  };
}

it(`holds for ${QUERIES} random queries and as many people (seed ${SEED})`, async () => {
  const roll = dice(SEED);
  const dir = mkdtempSync(join(tmpdir(), 'parley-sensitivity-'));
  const rows = randomRows(roll, 14, 8, true);
  const emails = [...new Set(rows.purchases.map(({ email }) => email!))];
  const differential_privacy = {
    ...PRIVATE,
    max_partitions_contributed: 2,
    max_contributions_per_partition: 6,
  };
  const policy = sqlPolicy(3, 8, { differential_privacy });
  const room = await openSqlRoom(dir, policy, { ...rows, visits: randomVisits(roll, emails) });
  let [asked, tight, refused] = [0, 0, 0];
  while (asked < QUERIES) {
    const { sql } = randomSql(roll, 2 + roll(2));
    const quantile =
      roll(8) === 0 ? sql.replace('SELECT ', 'SELECT APPROX_QUANTILE(items, 0.5) AS q, ') : sql;
    let plan: Plan;
    try {
      plan = planIn(policy, quantile.includes(' k0') ? sql : quantile);
    } catch (error) {
      if (!(error instanceof ParleyError) || error.fault !== 'policy') throw error;
      refused += 1;
      continue;
    }
    const tables = await localTables(room, plan);
    const pivot = tables[0]!;
    asked += 1;
    if (pivot.users === 0) continue;
    const at = roll(pivot.users) * ID_BYTES;
    const id = pivot.ids.slice(at, at + ID_BYTES);
    const [all, rest] = [tables, tables.map((table) => without(table, id))].map((t) =>
      aggregatePlain(plan, t),
    );
    const changes = new Map<string, { change: bigint; bound: bigint }>();
    plan.measures.forEach(({ histogram, sensitivity }, m) => {
      const key = histogram === null ? `m${m}` : `h${histogram}`;
      const change = all![m]!.reduce(
        (sum, value, g) => {
          const d = value - rest![m]![g]!;
          return sum + (d < 0n ? -d : d);
        },
        changes.get(key)?.change ?? 0n,
      );
      changes.set(key, { change, bound: BigInt(sensitivity) });
    });
    for (const { change, bound } of changes.values()) {
      expect(change <= bound, `${sql}: ${change} is above ${bound}`).toBe(true);
      if (2n * change >= bound) tight += 1;
    }
  }
  room.close();
  rmSync(dir, { recursive: true });
  // A bound that nothing comes near would prove nothing; and most queries must be allowed.
  expect(tight).toBeGreaterThan(QUERIES / 10);
  expect(refused).toBeLessThan(QUERIES);
}, 300_000);
