import { createHash } from 'node:crypto';
import type { LocalTable } from '../../src/engine/types.ts';
import type { Plan } from '../../src/sql/index.ts';

/** Users 0 to n − 1 of every party, shifted by five a party; values are the number's last digit. */
export function sameUsers(plan: Plan, users: number): LocalTable[] {
  return plan.sides.map(({ columns, slots }, side) => {
    const ids = Array.from({ length: users }, (_, u) =>
      createHash('sha256')
        .update(`u${u + 5 * side}`)
        .digest(),
    );
    const values = Float64Array.from({ length: users * slots }, (_, u) => (u + 5 * side) % 10);
    const one = new Uint8Array(users * slots).fill(1);
    return {
      users,
      ids: new Uint8Array(Buffer.concat(ids)),
      slots,
      valid: one,
      values: Object.fromEntries(columns.map((name) => [name, values])),
      present: Object.fromEntries(columns.map((name) => [name, one])),
      bits: [],
    };
  });
}
