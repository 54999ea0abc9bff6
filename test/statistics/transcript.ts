// privacy 11: messages are the same for neighbouring tables, and the release takes the same time
// whatever it draws and whatever it hides.
import { systemRng } from '../../src/core/rng.ts';
import { calibrate } from '../../src/dp/index.ts';
import { vetAnswer } from '../../src/engine/mpc/finish.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { elementsFromBigints, elementsToBigints, makePair } from '../sharing/support.ts';
import { engineRoom } from '../support/engine.ts';
import { memoryMesh } from '../support/memory-channel.ts';
import { randomOf, randomTable } from '../support/random-table.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';
import { cellsPolicy, USERS_SQL } from './cells.ts';
import type { Check } from './check.ts';

export const title = 'Transcripts and time';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s FROM joined_data
  WHERE exposure_date < purchase_date GROUP BY campaign_id`;

const RULES = {
  ...OPEN_RULES,
  min_privacy_units_per_group: 3,
  partition_selection: 'pre_threshold',
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: '10',
    max_epsilon_per_query: '1',
    default_epsilon_per_query: '1',
    delta_budget: '1e-3',
    delta_per_query: '1e-6',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 4,
    noise_threshold_bits: 64,
  },
  join: { oprf: 'kkrt', ot_field_bits: 4, shard_users: 65_536 },
} as const;

/** The table without its last person. */
function withoutLast(table: LocalTable): LocalTable {
  const { users, slots } = table;
  if (users === 0) return table;
  const cut = <T extends Uint8Array | Float64Array>(from: T): T => {
    const kept = Array.from({ length: slots * (users - 1) }, (_, i) => {
      return from[Math.floor(i / (users - 1)) * users + (i % (users - 1))]!;
    });
    return (from instanceof Float64Array ? Float64Array.from(kept) : Uint8Array.from(kept)) as T;
  };
  const all = <T extends Uint8Array | Float64Array>(columns: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, cut(values)]));
  return {
    ...table,
    users: users - 1,
    ids: table.ids.slice(0, 32 * (users - 1)),
    valid: cut(table.valid),
    values: all(table.values),
    present: all(table.present),
    bits: table.bits.map(cut),
  };
}

/** Runs on tables and on their neighbours: one person less, now here, now there; a chain of them. */
async function shapes(pairs: number): Promise<Check> {
  const policy = roomPolicy(RULES, 2);
  const plan = planQuery(policy, 'd'.repeat(64), SQL, { epsilon: null });
  let log: string[] = [];
  const links = memoryMesh(
    2,
    (frame) => {
      const path = frame.path.replace(/run\d+/, 'run');
      log.push(`${frame.from} ${path}/${frame.step} ${frame.bytes.length}`);
      return frame;
    },
    'test',
    false,
  );
  const room = await engineRoom({ links });
  const shapeOf = async (tables: readonly LocalTable[]): Promise<string> => {
    log = [];
    await room.run(plan, tables);
    // Streams are independent of each other; the order within each is part of the shape.
    const streams = new Map<string, string[]>();
    for (const line of log) {
      const stream = line.slice(0, line.lastIndexOf('/'));
      streams.set(stream, [...(streams.get(stream) ?? []), line]);
    }
    return JSON.stringify([...streams].sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  const random = randomOf(11);
  let tables: readonly LocalTable[] = [];
  let before = '';
  let first = '';
  let equal = 0;
  let messages = 0;
  for (let compared = 0; compared < pairs;) {
    // One person after the other leaves; then other tables, which are nobody's neighbours.
    const fresh = tables.every(({ users }) => users === 0);
    const side = (tables[compared % 2]?.users ?? 0) > 0 ? compared % 2 : 1 - (compared % 2);
    tables = fresh
      ? plan.sides.map((_, s) => randomTable(policy, plan, s, random, 40))
      : tables.map((table, s) => (s === side ? withoutLast(table) : table));
    const shape = await shapeOf(tables);
    messages = log.length;
    first ||= shape;
    if (!fresh) {
      compared += 1;
      if (shape === before && shape === first) equal += 1;
    }
    before = shape;
  }
  return {
    test: '11',
    what: 'number, order and lengths of all messages for D and D′, one person apart',
    n: pairs,
    result: `${equal} pairs equal, ${messages} messages a run`,
    pass: equal === pairs && messages > 100,
  };
}

/** Welch's t statistic of two samples. */
function welch(x: readonly number[], y: readonly number[]): number {
  const moments = (v: readonly number[]): { mean: number; error: number } => {
    const mean = v.reduce((a, b) => a + b, 0) / v.length;
    const variance = v.reduce((a, b) => a + (b - mean) ** 2, 0) / (v.length - 1);
    return { mean, error: variance / v.length };
  };
  const [a, b] = [moments(x), moments(y)];
  return (a.mean - b.mean) / Math.sqrt(a.error + b.error);
}

/** LOCAL. Shares of the fastest runs that are compared, each on its own. */
const CROPS = [0.2, 0.4, 0.6, 0.8, 1];

/**
 * Largest |t| over the fastest runs, cropped at several quantiles of all times: the slow ones are the
 * scheduler's and the collector's (Reparaz, Balasch, Verbauwhede, DATE 2017, crop the same way).
 */
function leakage(times: readonly (readonly [number, 0 | 1])[]): number {
  const sorted = times.map(([t]) => t).sort((a, b) => a - b);
  const at = CROPS.map((crop) => {
    const limit = sorted[Math.floor((sorted.length - 1) * crop)]!;
    const of = (kind: 0 | 1): number[] =>
      times.flatMap(([t, k]) => (k === kind && t <= limit ? [t] : []));
    return Math.abs(welch(of(0), of(1)));
  });
  return Math.max(...at);
}

const GROUPS = 32;

/** What differs between the classes: the joint random bits, or the totals. */
type Secret = 'the noise drawn' | 'the exact count';

/** One run of the release on shares, timed; class 0 is always the same secret, class 1 random. */
function timedRelease(plan: Plan, secret: Secret, slow: boolean): (kind: 0 | 1) => Promise<number> {
  const calibration = calibrate({ ...plan.privacy, measures: plan.measures });
  const fixedBits = systemRng(2 ** 20);
  const people = (kind: 0 | 1): bigint =>
    secret === 'the exact count' && kind === 1 ? BigInt(systemRng(1)[0]!) : 0n;
  return async (kind) => {
    const mask = elementsToBigints(systemRng(8 * GROUPS));
    const exact = mask.map(() => people(kind));
    const totals = [mask, mask.map((m, i) => exact[i]! - m)].map(elementsFromBigints);
    // Bits are at hand before the clock starts, in both classes alike.
    const random = systemRng(2 ** 20);
    const bits = secret === 'the noise drawn' && kind === 0 ? fixedBits : random;
    let at = 0;
    const source = (n: number): Uint8Array => bits.slice(at, (at += n));
    const zeros = (n: number): Uint8Array => new Uint8Array(n);
    const pair = makePair({ rngs: [source, zeros], record: false });
    const start = process.hrtime.bigint();
    await pair.run((s) => vetAnswer(s, plan, calibration, [totals[s.party]!]));
    // The control: a sampler that takes a few more steps for what it draws.
    if (slow && kind === 1) for (let i = 0; i < 100_000; i += 1) at += i & 1;
    return Number(process.hrtime.bigint() - start);
  };
}

async function timing(runs: number, secret: Secret, slow: boolean): Promise<Check> {
  const policy = cellsPolicy(1, 1, { minUsers: 3 });
  const plan = planQuery(policy, 'd'.repeat(64), USERS_SQL, { epsilon: '1' });
  const release = timedRelease(plan, secret, slow);
  for (let i = 0; i < 500; i += 1) await release((i % 2) as 0 | 1);
  const times: [number, 0 | 1][] = [];
  for (const byte of systemRng(runs)) {
    const kind = (byte & 1) as 0 | 1;
    times.push([await release(kind), kind]);
  }
  const t = leakage(times);
  const control = slow ? ', some steps more in one class: must be seen' : '';
  return {
    test: '11',
    what: `time of the release, fixed against random: ${secret}${control}`,
    n: runs,
    result: `largest |t| = ${t.toFixed(2)} over the fastest 20% to all`,
    pass: slow ? t >= 4.5 : t < 4.5,
  };
}

export async function run(long: boolean): Promise<readonly Check[]> {
  const first = await shapes(long ? 1000 : 8);
  if (!long) return [first];
  const runs = 10_000;
  return [
    first,
    await timing(runs, 'the noise drawn', false),
    await timing(runs, 'the exact count', false),
    await timing(runs, 'the exact count', true),
  ];
}
