// Goal: a slot's group is the place of its value in the declared domain, whatever the column's codes.
import { expect, it } from 'vitest';
import { groupOfSlot, groupSpace } from '../../src/engine/groups.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import { roomPolicy } from '../support/room-policy.ts';

/** The room with an integer column whose domain is not 0, 1, 2. */
function withSizes(): Policy {
  const policy = roomPolicy();
  const [shop, news] = policy.parties;
  const { purchases } = shop!.tables;
  const size = { type: 'integer', nullable: true, values: ['7', '-2', '40'] } as const;
  const columns = { ...purchases!.columns, size };
  return {
    ...policy,
    parties: [{ ...shop!, tables: { purchases: { ...purchases!, columns } } }, news!],
  };
}

const plan = planQuery(
  withSizes(),
  'd'.repeat(64),
  'SELECT size, category, campaign_id, COUNT(*) FROM joined_data GROUP BY size, category, campaign_id',
  { epsilon: null },
);

it('looks integers up in their domain, NULL last, keys in GROUP BY order', () => {
  const side = plan.groups[0]!.side!;
  const table: LocalTable = {
    users: 5,
    ids: new Uint8Array(160),
    slots: 1,
    valid: Uint8Array.of(1, 1, 1, 1, 0),
    values: { size: Float64Array.of(7, -2, 40, 0, 0), category: Float64Array.of(0, 1, 2, 0, 0) },
    present: { size: Uint8Array.of(1, 1, 1, 0, 0), category: Uint8Array.of(1, 1, 1, 0, 0) },
    bits: [],
  };
  // size has 4 labels with NULL, category 4: combination = size · 4 + category.
  expect([...groupOfSlot(plan, side, table)]).toEqual([0, 5, 10, 15, -1]);
  const outside = { ...table, values: { ...table.values, size: Float64Array.of(8, 0, 0, 0, 0) } };
  expect(() => groupOfSlot(plan, side, outside)).toThrow('declared domain');
});

it('numbers groups as the product of the domains, last key fastest', () => {
  const space = groupSpace(plan);
  expect(space.total).toBe(4 * 4 * 3);
  const side = plan.groups[0]!.side!;
  for (let g = 0; g < space.total; g += 1) {
    expect(space.sideIndex[side]![g]).toBe(Math.floor(g / 3));
    expect(space.sideIndex[side === 0 ? 1 : 0]![g]).toBe(g % 3);
  }
});
