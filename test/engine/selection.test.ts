// Goal: which groups open is decided on shares exactly as in clear, under each rule; an empty group of
// the declared domain cannot be told from a small one; and `noisy` looks at the noisy count alone.
import { beforeAll, describe, expect, it } from 'vitest';
import { vetAnswer } from '../../src/engine/mpc/finish.ts';
import { releasePlain } from '../../src/engine/plain/index.ts';
import { SENTINEL, type OutputShare } from '../../src/engine/types.ts';
import { ringFromIntegers, subRing } from '../../src/protocols/sharing/index.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { PartitionSelection } from '../../src/policy/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import type { EngineRoom } from '../support/engine.ts';
import { calibrationOf, combine, engineRoom } from '../support/engine.ts';
import { runAll } from '../support/memory-channel.ts';
import { PRIVATE, seedPolicy, exposures } from '../sql/policies.ts';

const K = 20;
const GROUPS = 60;
const MODES: readonly PartitionSelection[] = ['exact_k', 'pre_threshold', 'noisy'];

function planOf(selection: PartitionSelection, chance?: string): Plan {
  const values = Array.from({ length: GROUPS }, (_, g) => `c${g}`);
  const campaign_id = { type: 'text', nullable: false, values } as const;
  const second = { ...exposures, columns: { ...exposures.columns, campaign_id } };
  const policy = seedPolicy({ selection, minUsers: K, second, differential: PRIVATE });
  const rules = { ...policy.rules, ...(chance && { below_k_probability: chance }) };
  const sql = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, COUNT(*) AS n
    FROM joined_data GROUP BY campaign_id`;
  return planQuery({ ...policy, rules }, 'd'.repeat(64), sql, { epsilon: '1' });
}

describe('selection on shares', () => {
  let room: EngineRoom;
  beforeAll(async () => {
    room = await engineRoom();
  });

  /** The vetted answer for these totals per measure, noise as the calibration says. */
  async function vet(
    plan: Plan,
    calibration: ReturnType<typeof calibrationOf>,
    totals: readonly (readonly number[])[],
  ): Promise<OutputShare> {
    const meshes = room.meshes();
    const whole = totals.map((row) => ringFromIntegers(Float64Array.from(row)));
    const masks = whole.map((row) => systemRng(row.length));
    const shares = [masks, whole.map((row, m) => subRing(row, masks[m]!))];
    return combine(
      await runAll(room.links, (side) =>
        vetAnswer(meshes[side]!.sharing, plan, calibration, shares[side]!),
      ),
    );
  }

  it.each(MODES)('opens what the rule in clear opens: %s', async (selection) => {
    const plan = planOf(selection);
    const calibration = calibrationOf(plan);
    const users = Array.from({ length: GROUPS }, (_, g) => g);
    const totals = [users, users.map((n) => 2 * n)];
    // Without laws nothing is added, so both must agree bit for bit.
    const silent = { ...calibration, laws: calibration.laws.map(() => null) };
    const plain = releasePlain(
      plan,
      silent,
      totals.map((row) => row.map(BigInt)),
      () => 0n,
    );
    expect(await vet(plan, silent, totals)).toEqual(plain);
    const first = users.findIndex((g) => ((plain.open[g >> 3]! >> (g & 7)) & 1) === 1);
    const gate = Number(calibration.tau ?? 1n);
    expect(first).toBe(K - 1 + gate);
  });

  it.each(MODES)('shows of an empty group what it shows of a small one: %s', async (selection) => {
    const plan = planOf(selection);
    const counts = Array.from({ length: GROUPS }, (_, g) =>
      g % 3 === 0 ? 0 : g % 3 === 1 ? 1 : 500,
    );
    const { open, cells } = await vet(plan, calibrationOf(plan), [counts, counts]);
    const view = new DataView(cells.buffer, cells.byteOffset);
    expect(cells).toHaveLength(8 * 2 * GROUPS);
    counts.forEach((count, g) => {
      // Far from the threshold noise decides nothing, but with a chance below 2^-40.
      const isOpen = ((open[g >> 3]! >> (g & 7)) & 1) === 1;
      expect(isOpen).toBe(count === 500);
      for (const m of [0, 1]) {
        expect(view.getBigInt64(8 * (m * GROUPS + g), true) === SENTINEL).toBe(!isOpen);
      }
    });
  });

  it('opens under noisy exactly where the released count reaches the threshold', async () => {
    const plan = planOf('noisy', '0.01');
    const calibration = calibrationOf(plan);
    const least = BigInt(K) - 1n + calibration.tau!;
    // At k-1 and at the threshold: both outcomes happen.
    const counts = Array.from({ length: GROUPS }, (_, g) => (g % 2 === 0 ? Number(least) : K - 1));
    let [opened, closed, below] = [0, 0, 0];
    for (let round = 0; round < 4; round += 1) {
      const { open, cells } = await vet(plan, calibration, [counts, counts]);
      const view = new DataView(cells.buffer, cells.byteOffset);
      counts.forEach((count, g) => {
        const isOpen = ((open[g >> 3]! >> (g & 7)) & 1) === 1;
        const shown = view.getBigInt64(8 * g, true);
        if (isOpen) expect(shown >= least).toBe(true);
        else expect(shown).toBe(SENTINEL);
        if (count < K) below += isOpen ? 1 : 0;
        else if (isOpen) opened += 1;
        else closed += 1;
      });
    }
    expect(Math.min(opened, closed)).toBeGreaterThan(20);
    // 120 draws at a chance of at most 0.01: more than 11 has a chance below 1e-6.
    expect(below).toBeLessThan(12);
  });
});
