// The attribution query, whole: coordinator, two party processes and the analyst on this machine, over
// loopback WebSockets, from submission to the verified answer. Import and start-up are not timed.
// With `--net` each party reaches the coordinator over a link of half the RTT and the whole bandwidth,
// so that from party to party the RTT is the net's.
// Every process states its peak of resident memory: parties, coordinator, the analyst, who is this
// process, and the one that makes the data and ends before the first run.
// Throws when a released number lies further from the exact answer than the noise can explain.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openRoom, type Room } from '../src/cli/room.ts';
import { clientOf } from '../src/cli/sandbox.ts';
import type { QueryRecord } from '../src/records/index.ts';
import { makeData, type Expected } from './kit/attribution-data.ts';
import { parseNet } from './kit/net.ts';
import { openReport } from './kit/report.ts';
import { startShapedProxy, type ShapedProxy } from './kit/shaped-proxy.ts';

const { values: flags } = parseArgs({
  options: {
    users: { type: 'string', default: `${2 ** 14}` },
    campaigns: { type: 'string', default: '10' },
    // Above 1: also grouped by the retailer's category, which the other owner holds.
    categories: { type: 'string', default: '1' },
    parties: { type: 'string', default: '2' },
    oprf: { type: 'string', default: 'ecdh' },
    k: { type: 'string', default: '4' },
    links: { type: 'string', default: 'relay' },
    'shard-users': { type: 'string', default: '65536' },
    runs: { type: 'string', default: '3' },
    // Also measures runs whose input-independent part was made ahead: preparing and online apart.
    prepare: { type: 'boolean', default: false },
    net: { type: 'string', default: 'none' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const USERS = Number(flags.users);
const CAMPAIGNS = Number(flags.campaigns);
const CATEGORIES = Number(flags.categories);
const PARTIES = Number(flags.parties);
const RUNS = Number(flags.runs);
const NET = parseNet(flags.net);
if (NET !== null && flags.links === 'direct') {
  throw new Error('--net shapes the way to the coordinator, which direct links do not take');
}
const ROWS_PER_USER = 2;
if (PARTIES < 2 || PARTIES > 4) throw new Error('--parties is 2, 3 or 4');

const BY = CATEGORIES > 1 ? 'campaign_id, category' : 'campaign_id';
const SQL = `SELECT ${BY}, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent
  FROM joined_data WHERE exposure_date < purchase_date
  ${PARTIES > 2 ? "AND tier = 'gold'" : ''} ${PARTIES > 3 ? 'AND consent' : ''} GROUP BY ${BY}`;

const campaigns = Array.from({ length: CAMPAIGNS }, (_, c) => `c${c}`);
const categories = Array.from({ length: CATEGORIES }, (_, k) => `k${k}`);
const unit = `privacy_unit_column: { name: email, kind: exact }
        max_users: ${USERS}`;
const loyalty = `
  - name: loyalty
    tables:
      members:
        ${unit}
        max_rows_per_user: 1
        columns: { tier: { type: text, values: [gold, silver] } }`;
const panel = `
  - name: panel
    tables:
      consents:
        ${unit}
        max_rows_per_user: 1
        columns: { consent: { type: boolean } }`;
const POLICY = `
version: 1
room: bench
parties:
  - name: shopgood
    tables:
      purchases:
        ${unit}
        max_rows_per_user: ${ROWS_PER_USER}
        columns:
          purchase_date: { type: date, min: 2025-01-01, max: 2026-12-31 }
          total_spent: { type: decimal, scale: 2, lower: "0.00", upper: "500.00" }
          category: { type: text, values: [${categories.join(', ')}] }
  - name: newsnow
    tables:
      exposures:
        ${unit}
        max_rows_per_user: ${ROWS_PER_USER}
        columns:
          campaign_id: { type: text, values: [${campaigns.join(', ')}] }
          exposure_date: { type: date, min: 2025-01-01, max: 2026-12-31 }${PARTIES > 2 ? loyalty : ''}${PARTIES > 3 ? panel : ''}
views:
  joined_data:
    join: [${['purchases', 'exposures', 'members', 'consents'].slice(0, PARTIES).join(', ')}]
    privacy_unit_alias: hashed_email
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT, SUM]
  min_privacy_units_per_group: 50
  partition_selection: pre_threshold
  differential_privacy:
    noise_mechanism: discrete_laplace
    epsilon_budget: "100"
    max_epsilon_per_query: "2"
    delta_budget: "1e-4"
    delta_per_query: "1e-6"
    max_partitions_contributed: ${ROWS_PER_USER}
    max_contributions_per_partition: ${ROWS_PER_USER ** 2}
  join: { oprf: ${flags.oprf}, ot_field_bits: ${flags.k}, shard_users: ${flags['shard-users']} }
  size_disclosure: declared
  cache_identical_queries: false
execution: { backends: [mpc], tee: null, links: ${flags.links} }
`;

/** Peak resident memory of a process, MB, from the kernel's high-water mark. */
function peakMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

/** Worst delay of a node's event loop in any of the runs, as the node logged it. */
function loopLag(logFile: string): { readonly p99_ms: number; readonly max_ms: number } {
  const lines = readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('loop_lag_p99_ms'))
    .map((line) => JSON.parse(line) as { loop_lag_p99_ms: number; loop_lag_max_ms: number });
  if (lines.length === 0) throw new Error('a node did not log its loop lag');
  return {
    p99_ms: Math.round(Math.max(...lines.map((line) => line.loop_lag_p99_ms))),
    max_ms: Math.round(Math.max(...lines.map((line) => line.loop_lag_max_ms))),
  };
}

/** How long a node's main thread ran and how long it waited for a core, since it started. */
function mainThread(pid: number): { readonly ran_ms: number; readonly waited_ms: number } {
  const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')
    .split(' ')
    .map((nanoseconds) => Math.round(Number(nanoseconds) / 1e6));
  return { ran_ms: ran, waited_ms: waited };
}

interface Run {
  readonly ms: number;
  readonly stages: Map<string, number>;
  /** As the parties reported them, by sender. */
  readonly bytes: Map<string, number>;
}

async function timedRun(room: Room, expected: Expected): Promise<Run> {
  const stages = new Map<string, number>();
  const bytes = new Map<string, number>();
  const start = performance.now();
  const onProgress = (record: QueryRecord): void => {
    for (const { party, stage, done, total } of record.progress) {
      if (stage === 'link.bytes') bytes.set(party, done);
      const key = `${party} ${stage}`;
      if (done >= total && !stages.has(key)) stages.set(key, performance.now() - start);
    }
  };
  const answer = await clientOf(room).answer(SQL, { epsilon: '2', onProgress });
  const ms = performance.now() - start;
  for (const { cells, suppressed } of answer.rows) {
    const c =
      campaigns.indexOf(String(cells[0]?.value)) * CATEGORIES +
      (CATEGORIES > 1 ? categories.indexOf(String(cells[1]?.value)) : 0);
    if (suppressed) {
      // Threshold 50 plus the margin of the noise.
      if (expected.users[c]! < 200) continue;
      throw new Error(`group ${c} is suppressed, yet it has ${expected.users[c]!} users`);
    }
    const first = CATEGORIES > 1 ? 2 : 1;
    // P[|X| > 20 half-widths] is below e^-55 for a half-width at 95%.
    const near = (i: number, exact: number): boolean =>
      Math.abs(Number(cells[i]?.value) - exact) <= 20 * Number(cells[i]?.interval?.half_width);
    if (!near(first, expected.users[c]!) || !near(first + 1, expected.cents[c]! / 100)) {
      throw new Error(
        `group ${c} is further from the exact answer than noise explains: ${JSON.stringify(cells)} ${expected.users[c]!} ${expected.cents[c]!}`,
      );
    }
  }
  if (answer.rows.length !== CAMPAIGNS * CATEGORIES) throw new Error('a group is missing');
  return { ms, stages, bytes };
}

interface PreparedRun {
  readonly prepareMs: number;
  readonly prepareBytes: Readonly<Record<string, number>>;
  readonly online: Run;
  readonly onlineBytes: Readonly<Record<string, number>>;
  readonly stockBytes: Readonly<Record<string, number>>;
}

/** What a party says it did with the last query, from its log. */
function lastLogged(room: Room, party: string, message: string): Record<string, unknown> {
  const lines = readFileSync(join(room.state, `${party}.log`), 'utf8')
    .trim()
    .split('\n');
  const events = lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const event = events.findLast(({ msg }) => msg === message);
  if (event === undefined) throw new Error(`${party} has not logged "${message}"`);
  return event;
}

async function preparedRun(room: Room, expected: Expected): Promise<PreparedRun> {
  const start = performance.now();
  await clientOf(room).prepare(SQL, { epsilon: '2' });
  const prepareMs = performance.now() - start;
  const online = await timedRun(room, expected);
  const parties = room.policy.parties.map(({ name }) => name);
  const batches = parties.map((party) => lastLogged(room, party, 'computed')['batch']);
  if (batches[0] === null || new Set(batches).size !== 1) {
    throw new Error('the run did not use what was prepared for it');
  }
  const figures = (message: string, field: string): Record<string, number> =>
    Object.fromEntries(
      parties.map((party) => [party, Number(lastLogged(room, party, message)[field])]),
    );
  return {
    prepareMs,
    online,
    prepareBytes: figures('prepared', 'bytes_sent'),
    onlineBytes: figures('computed', 'bytes_sent'),
    stockBytes: figures('prepared', 'stock_bytes'),
  };
}

function spread(times: readonly number[]): { median: number; min: number; max: number } {
  const sorted = times.map((ms) => Math.round(ms)).sort((a, b) => a - b);
  return {
    median: sorted[Math.floor(sorted.length / 2)]!,
    min: sorted[0]!,
    max: sorted.at(-1)!,
  };
}

/** Preparing and online beside runs that prepared nothing. */
function preparedFields(prepared: readonly PreparedRun[], liveMs: readonly number[]) {
  const [first] = prepared;
  if (first === undefined) return {};
  const online = spread(prepared.map((run) => run.online.ms));
  const live = spread(liveMs);
  return {
    prepare_ms: spread(prepared.map((run) => run.prepareMs)),
    online_ms: online,
    online_share_of_total: Number((online.min / live.min).toFixed(3)),
    prepare_bytes_sent: first.prepareBytes,
    online_bytes_sent: first.onlineBytes,
    stock_bytes: first.stockBytes,
    online_stages_end_at_ms: Object.fromEntries(
      [...first.online.stages].map(([stage, ms]) => [stage, Math.round(ms)]),
    ),
  };
}

const report = openReport({ bench: 'query1', json: flags.json, out: flags.out });
const dir = mkdtempSync(join(tmpdir(), 'parley-bench-'));
writeFileSync(join(dir, 'policy.yaml'), POLICY);
const { expected, peakRssMb: generatorMb } = makeData({
  dir,
  users: USERS,
  campaigns: CAMPAIGNS,
  categories: CATEGORIES,
  parties: PARTIES,
  rowsPerUser: ROWS_PER_USER,
});
const proxies: ShapedProxy[] = [];
const room = await openRoom({
  directory: dir,
  say: (line) => console.error(line),
  async route(_, url) {
    if (NET === null) return url;
    const proxy = await startShapedProxy(url, { ...NET, rttMs: NET.rttMs / 2 });
    proxies.push(proxy);
    return proxy.url;
  },
});
try {
  const runs: Run[] = [];
  const prepared: PreparedRun[] = [];
  let relayed = 0;
  for (let i = 0; i < RUNS; i += 1) {
    const before = room.coordinatorView().relayedBytes;
    runs.push(await timedRun(room, expected));
    relayed += room.coordinatorView().relayedBytes - before;
    // In turns, so that both see the same machine.
    if (flags.prepare) prepared.push(await preparedRun(room, expected));
  }
  const times = runs.map((run) => run.ms).sort((a, b) => a - b);
  if (flags.links === 'direct' && room.coordinatorView().relayedBytes !== 0) {
    throw new Error('the coordinator relayed bytes of direct links');
  }
  const round = (ms: number): number => Math.round(ms);
  const peaks = {
    ...Object.fromEntries(room.roles.map((role) => [role.name, peakMb(role.pid)])),
    analyst: peakMb(process.pid),
    data_generator: generatorMb,
  };
  report.line({
    users_per_party: USERS,
    parties: PARTIES,
    net: NET?.name ?? 'none',
    oprf: flags.oprf,
    k: Number(flags.k),
    links: flags.links,
    shard_users: Number(flags['shard-users']),
    rows_per_user: ROWS_PER_USER,
    campaigns: CAMPAIGNS,
    categories: CATEGORIES,
    runs: RUNS,
    ms_median: round(times[Math.floor(times.length / 2)]!),
    ms_min: round(times[0]!),
    ms_max: round(times.at(-1)!),
    stages_end_at_ms: Object.fromEntries([...runs[0]!.stages].map(([k, v]) => [k, round(v)])),
    bytes_sent_per_query: Object.fromEntries(runs[0]!.bytes),
    bytes_relayed_per_query: Math.round(relayed / RUNS),
    loop_lag: Object.fromEntries(
      room.policy.parties.map(({ name }) => [name, loopLag(join(room.state, `${name}.log`))]),
    ),
    main_thread: Object.fromEntries(room.roles.map(({ name, pid }) => [name, mainThread(pid)])),
    ...preparedFields(prepared, times),
    // Of the process that had most, then of each.
    peak_rss_mb_max: Math.max(...Object.values(peaks)),
    peak_rss_mb: peaks,
  });
} finally {
  await room.close();
  for (const proxy of proxies) proxy.close();
  rmSync(dir, { recursive: true });
}
