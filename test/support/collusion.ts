// What the tests of colluding parties run: rooms of two to four, and inputs of one declared size that
// lie as far apart as they can.
import { createHash } from 'node:crypto';
import type { LocalTable } from '../../src/engine/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { engineRoom, type EngineRoom } from './engine.ts';
import { memoryMesh, type MemoryMesh, type Tap } from './memory-channel.ts';
import { OPEN_RULES, roomPolicy } from './room-policy.ts';

const SQL: Readonly<Record<number, string>> = {
  2: `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s FROM joined_data
      WHERE exposure_date < purchase_date GROUP BY campaign_id`,
  3: `SELECT tier, COUNT(DISTINCT hashed_email) AS u, SUM(points) AS p FROM joined_data
      WHERE exposure_date < purchase_date GROUP BY tier`,
  4: `SELECT COUNT(DISTINCT hashed_email) AS u, SUM(score) AS s FROM joined_data
      WHERE clicked OR online`,
};
export const USERS = 60;

export type Input = 'equal' | 'disjoint' | 'empty' | 'filtered';

/** As far apart as inputs of the same declared size can be. */
export function tablesOf(plan: Plan, input: Input): LocalTable[] {
  const users = input === 'empty' ? 0 : USERS;
  const high = input !== 'disjoint';
  return plan.sides.map(({ columns, slots, bits }, side) => {
    const cells = users * slots;
    const all = (value: number): Uint8Array => new Uint8Array(cells).fill(value);
    const ids = Array.from({ length: users }, (_, u) =>
      createHash('sha256')
        .update(input === 'disjoint' ? `${side} ${u}` : `${u}`)
        .digest(),
    );
    // Purchases are the later ones, so that every row of `equal` qualifies.
    const dates = { purchase_date: 20_300, exposure_date: 20_290 };
    const valueOf = (name: string): number =>
      name in dates ? dates[name as keyof typeof dates] : high ? 2 : 0;
    return {
      users,
      ids: new Uint8Array(Buffer.concat(ids)),
      slots,
      valid: all(input === 'filtered' ? 0 : 1),
      values: Object.fromEntries(columns.map((c) => [c, new Float64Array(cells).fill(valueOf(c))])),
      present: Object.fromEntries(columns.map((c) => [c, all(input === 'filtered' ? 0 : 1)])),
      bits: bits.map(() => all(high && input !== 'filtered' ? 1 : 0)),
    };
  });
}

export interface Bench {
  readonly plan: Plan;
  readonly links: MemoryMesh;
  readonly room: EngineRoom;
}

export async function openBench(parties: number, oprf: 'ecdh' | 'kkrt', tap?: Tap): Promise<Bench> {
  const join = { oprf, ot_field_bits: 4, shard_users: 64 } as const;
  const policy = roomPolicy({ ...OPEN_RULES, join }, 1, parties);
  const plan = planQuery(policy, 'd'.repeat(64), SQL[parties]!, { epsilon: null });
  const links = memoryMesh(parties, tap);
  return { plan, links, room: await engineRoom({ parties, links }) };
}
