/**
 * privacy.md section 7, test 8: the most that one person can change, against the bound that noise is
 * drawn for. Noise is off: what is compared is exact. Then the same with faults planted in the rule
 * and in the plan, each of which has to be seen.
 */
import { keptRows, type BoundingRule } from '../../src/engine/contributions.ts';
import { aggregatePlain, type Totals } from '../../src/engine/plain/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import { planQuery, type Plan, type PlannedMeasure, type PlanSide } from '../../src/sql/index.ts';
import { PRIVATE } from '../sql/policies.ts';
import { randomNeighbours, type Neighbours } from '../support/neighbours.ts';
import { dice, type Dice } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy, withGroupSums } from '../support/room-policy.ts';

/** One question under some bounds. */
export interface Shape {
  readonly parties: number;
  readonly l0: number;
  readonly c: number;
  readonly rows: number;
  readonly sql: string;
  /** In whole units: bounds on what one person adds up to in a group. */
  readonly sums?: readonly [string, string];
}

const USERS = 'COUNT(DISTINCT hashed_email) AS u';
const shape = (parties: number, l0: number, c: number, rows: number, sql: string): Shape => ({
  parties,
  l0,
  c,
  rows,
  sql,
});

export const SHAPES: readonly Shape[] = [
  shape(2, 1, 4, 3, `SELECT ${USERS}, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data`),
  shape(
    2,
    1,
    2,
    4,
    'SELECT COUNT(*) AS n, SUM(seconds) AS s FROM joined_data WHERE online = clicked',
  ),
  shape(
    2,
    1,
    9,
    8,
    'SELECT COUNT(*) AS n, COUNT(total_spent) AS t FROM joined_data WHERE clicked OR items > 2',
  ),
  shape(
    2,
    1,
    4,
    2,
    `SELECT ${USERS}, SUM(items) AS s FROM joined_data WHERE exposure_date < purchase_date`,
  ),
  shape(
    2,
    2,
    3,
    4,
    `SELECT campaign_id, ${USERS}, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data
     WHERE exposure_date <= purchase_date OR clicked GROUP BY campaign_id`,
  ),
  shape(
    2,
    1,
    3,
    4,
    `SELECT category, ${USERS}, SUM(seconds) AS s FROM joined_data GROUP BY category`,
  ),
  shape(
    2,
    2,
    3,
    5,
    `SELECT campaign_id, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY campaign_id`,
  ),
  shape(
    2,
    1,
    4,
    4,
    `SELECT category, campaign_id, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY category, campaign_id`,
  ),
  shape(
    2,
    2,
    2,
    4,
    `SELECT category, campaign_id, ${USERS}, SUM(total_spent) AS s FROM joined_data
     WHERE online = clicked OR items > 2 GROUP BY category, campaign_id`,
  ),
  shape(
    2,
    3,
    1,
    4,
    `SELECT online, campaign_id, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY online, campaign_id`,
  ),
  shape(
    2,
    2,
    3,
    4,
    'SELECT category, AVG(total_spent) AS a, VARIANCE(seconds) AS v FROM joined_data GROUP BY category',
  ),
  shape(2, 1, 3, 3, 'SELECT APPROX_QUANTILE(items, 0.5) AS q FROM joined_data'),
  shape(
    2,
    2,
    3,
    3,
    `SELECT p.category, COUNT(*) AS n, COUNT(DISTINCT e.email) AS u FROM exposures e
     LEFT JOIN purchases p ON p.email = e.email GROUP BY p.category`,
  ),
  shape(
    2,
    2,
    4,
    12,
    `SELECT category, ${USERS}, COUNT(*) AS n FROM joined_data WHERE online = clicked GROUP BY category`,
  ),
  shape(
    3,
    2,
    2,
    2,
    `SELECT tier, campaign_id, ${USERS}, COUNT(*) AS n, SUM(points) AS p FROM joined_data
     WHERE member_since < purchase_date OR clicked GROUP BY tier, campaign_id`,
  ),
  shape(3, 2, 2, 2, `SELECT category, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY category`),
  {
    ...shape(
      2,
      2,
      2,
      3,
      `SELECT campaign_id, COUNT(*) AS n, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
       WHERE online = clicked OR items > 2 GROUP BY campaign_id`,
    ),
    sums: ['-10', '60'],
  },
  {
    ...shape(
      2,
      2,
      3,
      3,
      `SELECT category, campaign_id, COUNT(*) AS n, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
       GROUP BY category, campaign_id`,
    ),
    sums: ['-10', '100'],
  },
  // Keys that no party knows.
  shape(
    2,
    1,
    3,
    3,
    `SELECT clicked = online AS k, ${USERS}, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data GROUP BY k`,
  ),
  shape(
    3,
    2,
    3,
    2,
    `SELECT CASE WHEN exposure_date < purchase_date THEN 'after' WHEN clicked THEN tier END AS k, COUNT(*) AS n,
     AVG(seconds) AS a FROM purchases p LEFT JOIN exposures x ON p.email = x.email
     JOIN members m ON p.email = m.email GROUP BY k`,
  ),
  shape(
    2,
    2,
    2,
    3,
    `SELECT campaign_id, COALESCE(category, campaign_id) AS k, ${USERS}, COUNT(*) AS n FROM joined_data
     WHERE exposure_date <= purchase_date OR clicked GROUP BY campaign_id, k`,
  ),
  {
    ...shape(
      2,
      1,
      3,
      3,
      `SELECT exposure_date < purchase_date AS k, COUNT(*) AS n, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
       GROUP BY k`,
    ),
    sums: ['-10', '60'],
  },
];

const ALL = ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG', 'VARIANCE', 'QUANTILE'] as const;

export function policyOf({ parties, l0, c, rows, sums }: Shape): Policy {
  const differential_privacy = {
    ...PRIVATE,
    max_partitions_contributed: l0,
    max_contributions_per_partition: c,
  };
  const join = { oprf: 'kkrt', ot_field_bits: 4, shard_users: 64 } as const;
  const rules = { ...OPEN_RULES, allowed_aggregates: ALL, differential_privacy, join };
  const policy = roomPolicy(rules, rows, parties);
  return sums === undefined ? policy : withGroupSums(policy, sums);
}

const plans = new Map<Shape, { readonly policy: Policy; readonly plan: Plan }>();

export function planOf(shape: Shape): { readonly policy: Policy; readonly plan: Plan } {
  const known = plans.get(shape);
  if (known !== undefined) return known;
  const policy = policyOf(shape);
  const plan = planQuery(policy, 'd'.repeat(64), shape.sql, { epsilon: null });
  const made = { policy, plan };
  plans.set(shape, made);
  return made;
}

/**
 * What is wrong with two answers to neighbours, or null: a measure (a histogram's together) that
 * changed by more than its D1, or more groups than L0 that changed.
 */
export function excess(plan: Plan, before: Totals, after: Totals): string | null {
  const changes = new Map<string, { change: bigint; bound: bigint }>();
  const groups = new Set<number>();
  plan.measures.forEach(({ histogram, sensitivity }, m) => {
    const key = histogram === null ? `measure ${m}` : `histogram ${histogram}`;
    const total = changes.get(key) ?? { change: 0n, bound: BigInt(sensitivity) };
    before[m]!.forEach((value, g) => {
      const d = value - after[m]![g]!;
      if (d === 0n) return;
      groups.add(g);
      total.change += d < 0n ? -d : d;
    });
    changes.set(key, total);
  });
  for (const [key, { change, bound }] of changes) {
    if (change > bound) return `${key} changed by ${change}, D1 is ${bound}`;
  }
  const l0 = plan.privacy.differential!.maxPartitions;
  return groups.size > l0 ? `${groups.size} groups changed, L0 is ${l0}` : null;
}

/** Whether the pair comes within a tenth of some measure's D1: a bound far off proves little. */
function isTight(plan: Plan, before: Totals, after: Totals): boolean {
  const smaller = plan.measures.map((m): PlannedMeasure => {
    return { ...m, sensitivity: `${(BigInt(m.sensitivity) * 9n) / 10n}` };
  });
  return excess({ ...plan, measures: smaller }, before, after) !== null;
}

/** A fault: what it changes of the plan that runs, of the rule, or of the plan that claims. */
export interface Fault {
  readonly name: string;
  readonly runs?: (plan: Plan) => Plan;
  /** A fresh rule per database, since a fault may carry something from user to user. */
  readonly rule?: () => BoundingRule;
  readonly claims?: (plan: Plan) => Plan;
}

function totalsOf(plan: Plan, tables: Neighbours['before'], { rule }: Partial<Fault>): Totals {
  return aggregatePlain(plan, tables, rule?.() ?? keptRows);
}

/** How one pair fares under a fault, or under none. */
export function tryPair(
  shape: Shape,
  roll: Dice,
  fault: Partial<Fault> = {},
): { readonly wrong: string | null; readonly tight: boolean } {
  const { policy, plan } = planOf(shape);
  const runs = fault.runs?.(plan) ?? plan;
  const claims = fault.claims?.(plan) ?? plan;
  const { before, after } = randomNeighbours(roll, policy, runs);
  const [with_, without] = [before, after].map((tables) => totalsOf(runs, tables, fault));
  const wrong = excess(claims, with_!, without!);
  return { wrong, tight: isTight(claims, with_!, without!) };
}

const SEED = 20_251_201;

/** So many pairs, turn by turn over all shapes. */
export function fuzz(pairs: number): {
  readonly wrong: readonly string[];
  readonly tight: readonly number[];
} {
  const wrong: string[] = [];
  const tight = SHAPES.map(() => 0);
  const rolls = SHAPES.map((_, i) => dice(SEED + i));
  for (let i = 0; i < pairs; i += 1) {
    const at = i % SHAPES.length;
    const found = tryPair(SHAPES[at]!, rolls[at]!);
    if (found.wrong !== null) wrong.push(`${SHAPES[at]!.sql}: ${found.wrong}`);
    if (found.tight) tight[at]! += 1;
  }
  return { wrong, tight };
}

/** Whether the fuzz sees a fault planted in a shape, and after how many pairs. */
export function caughtAfter(shape: Shape, fault: Fault, pairsMax: number): number | null {
  const roll = dice(SEED);
  for (let i = 1; i <= pairsMax; i += 1) {
    if (tryPair(shape, roll, fault).wrong !== null) return i;
  }
  return null;
}

/** Rules that lose the bound on rows of a group. */
const ROW_RULES: Readonly<Record<string, (groups: readonly number[], c: number) => boolean[]>> = {
  'one row too many per group': (groups, c) => ranks(groups).map((rank) => rank <= c),
  'no bound on rows': (groups) => groups.map(() => true),
  'twice as many rows': (groups, c) => ranks(groups).map((rank) => rank < 2 * c),
  'a counter that wraps': (groups, c) => ranks(groups).map((rank) => rank % (c + 1) < c),
  'the first row is not counted': (groups, c) =>
    ranks(groups).map((rank) => rank === 0 || rank - 1 < c),
  'odd and even rows are counted apart': (groups, c) =>
    groups.map(
      (group, i) => groups.filter((g, j) => j < i && g === group && (i - j) % 2 === 0).length < c,
    ),
  'the last row always stays': (groups, c) =>
    ranks(groups).map((rank, i) => rank < c || groups.lastIndexOf(groups[i]!) === i),
};

/** Rules that lose the bound on groups. */
const GROUP_RULES: Readonly<Record<string, (groups: readonly number[], l0: number) => boolean[]>> =
  {
    'one group too many': (groups, l0) => order(groups).map((nth) => nth <= l0),
    'no bound on groups': (groups) => groups.map(() => true),
    'every second group is not counted': (groups, l0) => order(groups).map((nth) => nth >> 1 < l0),
    'groups are told apart by their number, not counted': (groups, l0) =>
      groups.map((group) => group % 4 <= l0),
    'the first row of any group stays': (groups, l0) => {
      const rank = ranks(groups);
      return order(groups).map((nth, i) => nth < l0 || rank[i] === 0);
    },
    'the last group stays': (groups, l0) =>
      order(groups).map((nth, i) => nth < l0 || groups[i] === groups.at(-1)),
  };

/** Of each row: rows of its group before it; groups before its own. */
function ranks(groups: readonly number[]): number[] {
  return groups.map((group, i) => groups.slice(0, i).filter((g) => g === group).length);
}
function order(groups: readonly number[]): number[] {
  const firsts = [...new Set(groups)];
  return groups.map((group) => firsts.indexOf(group));
}

/** Faults of the rule on joined rows, as far as the plan leaves that rule something to do. */
function ruleFaults({ contributions }: Plan): Fault[] {
  const { partitions, rowsPerPartition } = contributions!;
  const faults: Fault[] = [];
  const both = (
    name: string,
    keep: (groups: readonly number[]) => boolean[],
    rest: Parameters<BoundingRule>[1],
  ): void => {
    // The other bound still holds, as it would with one fault.
    const rule: BoundingRule = (groups) => {
      const kept = keptRows(groups, rest);
      const own = keep(groups);
      return kept.filter((row) => own[row]);
    };
    faults.push({ name, rule: () => rule });
  };
  if (rowsPerPartition !== null) {
    for (const [name, keep] of Object.entries(ROW_RULES)) {
      both(name, (groups) => keep(groups, rowsPerPartition), {
        partitions,
        rowsPerPartition: null,
      });
    }
    faults.push({ name: 'what the user before left is added', rule: leftovers });
  }
  if (partitions !== null) {
    for (const [name, keep] of Object.entries(GROUP_RULES)) {
      both(name, (groups) => keep(groups, partitions), { partitions: null, rowsPerPartition });
    }
  }
  return faults;
}

/** Depends on other users: whoever comes after somebody that was cut has twice the room. */
function leftovers(): BoundingRule {
  let wasCut = false;
  return (groups, { partitions, rowsPerPartition }) => {
    const room = wasCut ? 2 * rowsPerPartition! : rowsPerPartition;
    const kept = keptRows(groups, { partitions, rowsPerPartition: room });
    wasCut = kept.length < groups.length;
    return kept;
  };
}

/** Faults of an owner's cut where the plan counts on it. */
function ownerFaults(plan: Plan): Fault[] {
  const { partitions, rowsPerPartition } = plan.contributions!;
  const change =
    (which: number, edit: (side: PlanSide) => PlanSide) =>
    (planned: Plan): Plan => ({
      ...planned,
      sides: planned.sides.map((side, i) => (i === which ? edit(side) : side)),
    });
  return plan.sides.flatMap((side, which): Fault[] => {
    const faults: Fault[] = [];
    const owns = plan.groups.some((key) => key.side === which);
    const { l0, c } = {
      l0: plan.privacy.differential!.maxPartitions,
      c: plan.privacy.differential!.maxContributions,
    };
    const bounds = side.bounds!;
    if (owns && partitions === null && bounds.partitions === l0) {
      for (const more of [1, 3]) {
        const edit = (s: PlanSide): PlanSide => ({
          ...s,
          slots: s.slots + more * s.bounds!.rowsPerPartition,
          bounds: { ...s.bounds!, partitions: l0 + more },
        });
        faults.push({ name: `${side.table} keeps ${more} more groups`, runs: change(which, edit) });
      }
    }
    const whole = plan.sides.reduce((n, s) => n * s.bounds!.rowsPerPartition, 1);
    if (rowsPerPartition === null && whole === c) {
      const edit = (s: PlanSide): PlanSide => ({
        ...s,
        slots: s.slots + s.bounds!.partitions,
        bounds: { ...s.bounds!, rowsPerPartition: s.bounds!.rowsPerPartition + 1 },
      });
      faults.push({ name: `${side.table} keeps a row more`, runs: change(which, edit) });
    }
    return faults;
  });
}

/** Faults in what a value may be. */
function clampFaults(plan: Plan): Fault[] {
  return plan.measures.flatMap(({ clamp, measure, groupSum }, m): Fault[] => {
    if (clamp === null || (measure.kind !== 'sum' && measure.kind !== 'centredSum')) return [];
    // What an owner computes is clamped in its terms: the clamp of the sum has nothing left to do.
    if (measure.column.startsWith('=') || groupSum !== null) return [];
    const edit =
      (to: PlannedMeasure['clamp']) =>
      (planned: Plan): Plan => ({
        ...planned,
        measures: planned.measures.map((one, i) => (i === m ? { ...one, clamp: to } : one)),
      });
    const upper = `${BigInt(clamp.upper) + 1n}`;
    return [
      {
        name: `measure ${m} is not clamped`,
        runs:
          measure.kind === 'sum' ? edit(null) : edit({ ...clamp, upper: `${2n * BigInt(upper)}` }),
      },
      { name: `measure ${m} is clamped a unit too high`, runs: edit({ ...clamp, upper }) },
    ];
  });
}

/** Faults in what a person may add up to in a group. */
function sumFaults(plan: Plan): Fault[] {
  return plan.measures.flatMap(({ groupSum }, m): Fault[] => {
    if (groupSum === null) return [];
    const edit =
      (to: PlannedMeasure['groupSum']) =>
      (planned: Plan): Plan => ({
        ...planned,
        measures: planned.measures.map((one, i) => (i === m ? { ...one, groupSum: to } : one)),
      });
    const more = `${BigInt(groupSum.upper) + 1n}`;
    const low = `-${more}`;
    return [
      { name: `sums of measure ${m} are not bounded`, runs: edit(null) },
      { name: `sums of measure ${m} go a unit too high`, runs: edit({ ...groupSum, upper: more }) },
      { name: `sums of measure ${m} go too low`, runs: edit({ ...groupSum, lower: low }) },
    ];
  });
}

/** Faults in the sensitivity that is claimed. */
function claimFaults(plan: Plan): Fault[] {
  const { maxPartitions } = plan.privacy.differential!;
  const faults: Fault[] = [];
  const claim = (name: string, of: (sensitivity: bigint) => bigint): void => {
    const claims = (planned: Plan): Plan => ({
      ...planned,
      measures: planned.measures.map((m) => ({
        ...m,
        sensitivity: `${of(BigInt(m.sensitivity))}`,
      })),
    });
    faults.push({ name, claims });
  };
  claim('D1 is a tenth too small', (d) => (d * 9n) / 10n);
  if (maxPartitions > 1 && plan.groups.length > 0)
    claim('D1 forgets L0', (d) => d / BigInt(maxPartitions));
  return faults;
}

/** Every planted fault of a shape. */
export function faultsOf(shape: Shape): readonly Fault[] {
  const { plan } = planOf(shape);
  const rules = [...ruleFaults(plan), ...ownerFaults(plan)];
  return [...rules, ...clampFaults(plan), ...sumFaults(plan), ...claimFaults(plan)];
}

/** LOCAL. Pairs after which a fault counts as missed. */
export const PAIRS_PER_FAULT = 300;

/** Names of the faults nothing showed, and how many there were. */
export function plantFaults(pairsMax: number): {
  readonly planted: number;
  readonly missed: readonly string[];
} {
  let planted = 0;
  const missed: string[] = [];
  for (const shape of SHAPES) {
    for (const fault of faultsOf(shape)) {
      planted += 1;
      if (caughtAfter(shape, fault, pairsMax) === null)
        missed.push(`${fault.name}: ${JSON.stringify(shape)}`);
    }
  }
  return { planted, missed };
}

export const title = 'Sensitivity of joined rows, noise off (privacy 8)';

/** Rows for the printed table: the long version has 10,000 pairs. */
export function run(
  long: boolean,
): Promise<readonly { test: string; what: string; n: number; result: string; pass: boolean }[]> {
  const pairs = long ? 10_000 : 320;
  const { wrong, tight } = fuzz(pairs);
  const { planted, missed } = plantFaults(PAIRS_PER_FAULT);
  return Promise.resolve([
    {
      test: 'privacy 8',
      what: 'one person changes no measure by more than D1, and at most L0 groups',
      n: pairs,
      result: `${wrong.length} exceed; within a tenth of D1: ${tight.reduce((a, b) => a + b, 0)}`,
      pass: wrong.length === 0 && tight.every((count) => count > 0),
    },
    {
      test: 'privacy 8',
      what: 'planted faults that the same fuzz sees',
      n: planted,
      result: `${planted - missed.length} seen`,
      pass: planted >= 100 && missed.length === 0,
    },
  ]);
}
