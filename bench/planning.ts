// Planning: SQL text and policy to plan and digest, no data. Included: all of `planQuery` and
// `planDigest`. Excluded: reading the policy. `cold` is the first time this process sees a text, in the
// order of the corpus; `ms` is the median of the runs after it, by text; both then spread over the texts.
//
//   npm run bench -- planning [--runs R] [--texts N] [--json] [--out FILE]
//
// Throws when a text has two digests, in a second run or with other white space and comments; when
// a text that must be refused is planned or refused with another code; when the median over all
// texts is 20 ms or more; when a hostile text takes 50 ms or more in the least of
// its runs, which a busy machine disturbs least.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ParleyError } from '../src/core/errors.ts';
import type { Policy } from '../src/policy/types.ts';
import { planDigest, planQuery } from '../src/sql/index.ts';
import { DIGEST, seedPolicy } from '../test/sql/policies.ts';
import { AREAS, TABLE } from '../test/support/fixed-sql.ts';
import { HOSTILE } from '../test/support/hostile-sql.ts';
import { dice } from '../test/support/random-room.ts';
import { randomSql } from '../test/support/random-sql.ts';
import { sqlPolicy } from '../test/support/sql-room.ts';
import { wrong } from './kit/check.ts';
import { openReport } from './kit/report.ts';
import { round3, spreadOf } from './kit/stats.ts';

const MEDIAN_MS_MAX = 20;
const HOSTILE_MS_MAX = 50;

interface Text {
  readonly sql: string;
  readonly policy: Policy;
  /** The code of its refusal; null when it has a plan; undefined when either may be. */
  readonly code: string | null | undefined;
}

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { runs: text, texts: text, out: text, json: { type: 'boolean', default: false } },
});
const runs = Number(values.runs ?? 5);
const generated = Number(values.texts ?? 1000);

const open = sqlPolicy(2, 8);
const seed = seedPolicy({
  aggregates: ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG', 'VARIANCE', 'QUANTILE'],
});

function generatedTexts(): Text[] {
  const roll = dice(20_251_126);
  const policies = [2, 3].map((parties) => sqlPolicy(parties, 8));
  return Array.from({ length: generated }, (_, i) => ({
    sql: randomSql(roll, 2 + (i % 2)).sql,
    policy: policies[i % 2]!,
    code: undefined,
  }));
}

function refusedTexts(): Text[] {
  const folder = fileURLToPath(new URL('../test/sql/refused/', import.meta.url));
  return readdirSync(folder).flatMap((file) => {
    const cases = JSON.parse(readFileSync(`${folder}${file}`, 'utf8')) as {
      readonly sql: string;
      readonly code: string;
    }[];
    return cases.map(({ sql, code }) => ({ sql, policy: seed, code }));
  });
}

const fixed = [...TABLE.map(({ sql }) => sql), ...AREAS.flatMap(([, queries]) => queries)];
const CORPUS: readonly (readonly [name: string, texts: readonly Text[]])[] = [
  ['fixed', fixed.map((sql) => ({ sql, policy: open, code: null }))],
  ['generated', generatedTexts()],
  ['refused', refusedTexts()],
  ['hostile', HOSTILE.map(({ sql, code }) => ({ sql, policy: seedPolicy(), code }))],
];

/** The plan's digest, or the code of the refusal. */
function outcomeOf({ policy }: Text, sql: string): string {
  try {
    return planDigest(planQuery(policy, DIGEST, sql, { epsilon: null }));
  } catch (error) {
    if (error instanceof ParleyError && error.fault !== 'bug') return error.code;
    throw error;
  }
}

const isDigest = (outcome: string): boolean => /^[0-9a-f]{64}$/.test(outcome);

function check(one: Text, outcome: string): void {
  const start = one.sql.slice(0, 200);
  if (one.code === null && !isDigest(outcome)) wrong(`refused with ${outcome}: ${start}`);
  if (typeof one.code === 'string' && outcome !== one.code) wrong(`${outcome}: ${start}`);
  if (one.sql.length > 10_000) return;
  // White space and comments outside the text; inside it would change literals.
  const other = outcomeOf(one, `/* ${start.length} */ \n\t${one.sql}\n-- end`);
  if (isDigest(outcome) && other !== outcome) wrong(`two digests: ${start}`);
}

function timed(one: Text): { readonly ms: number; readonly outcome: string } {
  const started = performance.now();
  const outcome = outcomeOf(one, one.sql);
  return { ms: performance.now() - started, outcome };
}

interface Measured {
  readonly cold: number;
  readonly ms: number;
  readonly least: number;
}

function measure(one: Text): Measured {
  const first = timed(one);
  check(one, first.outcome);
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const { ms, outcome } = timed(one);
    if (outcome !== first.outcome) wrong(`${outcome} after ${first.outcome}`);
    times.push(ms);
  }
  const { median, min } = spreadOf(times);
  return { cold: first.ms, ms: median, least: min };
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

const report = openReport({ bench: 'planning', json: values.json, out: values.out });
const all: Measured[] = [];
function line(name: string, measured: readonly Measured[]): void {
  const sorted = measured.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const cold = measured.map((one) => one.cold).toSorted((a, b) => a - b);
  report.line({
    case: name,
    n: measured.length,
    unit: 'text',
    ms_median: round3(percentile(sorted, 0.5)),
    ms_p95: round3(percentile(sorted, 0.95)),
    slowest_ms: round3(sorted.at(-1)!),
    cold_ms_median: round3(percentile(cold, 0.5)),
    cold_slowest_ms: round3(cold.at(-1)!),
    runs,
  });
  const least = Math.max(...measured.map((one) => one.least));
  if (name === 'hostile' && least >= HOSTILE_MS_MAX) wrong(`a hostile text takes ${least} ms`);
  if (name === 'all' && percentile(sorted, 0.5) >= MEDIAN_MS_MAX) wrong('the median is too long');
}

for (const [name, texts] of CORPUS) {
  const measured = texts.map(measure);
  line(name, measured);
  all.push(...measured);
}
line('all', all);
