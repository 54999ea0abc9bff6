// `npm run parameters [-- --seed S] [--only NAME]`: the failure-probability experiments. Writes
// docs/parameters/NAME.jsonl and docs/parameters.md, and throws when an assertion fails.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run as cuckoo } from './cuckoo.ts';
import { run as okvs } from './okvs.ts';
import { expectVerdicts, machine, type Budget, type Result } from './report.ts';
import { run as shards } from './shards.ts';
import { run as tags } from './tags.ts';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));

type Experiment = (budget: Budget) => Result | Promise<Result>;
const EXPERIMENTS: readonly (readonly [string, string, Experiment])[] = [
  ['cuckoo', 'Cuckoo hashing', cuckoo],
  ['okvs', 'OKVS', okvs],
  ['shards', 'Shards', shards],
  ['tags', 'Comparison tags', tags],
];

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: 'parley parameters 1' },
    only: { type: 'string' },
    scale: { type: 'string', default: '1' },
  },
});
const budget: Budget = { seed: flags.seed, scale: Number(flags.scale) };
console.log(JSON.stringify({ bench: 'parameters', ...machine(), ...budget }));
const sections: string[] = [];
const results: Result[] = [];
mkdirSync(`${DOCS}parameters`, { recursive: true });
for (const [name, heading, experiment] of EXPERIMENTS) {
  if (flags.only !== undefined && flags.only !== name) continue;
  const started = performance.now();
  const result = await experiment(budget);
  const seconds = Math.round((performance.now() - started) / 1000);
  for (const row of result.rows) console.log(JSON.stringify({ bench: name, ...row }));
  const held = result.verdicts.filter((verdict) => verdict.holds).length;
  console.log(JSON.stringify({ bench: name, seconds, assertions: result.verdicts.length, held }));
  sections.push(
    `## ${heading}\n\n${result.page}\n\n${held} of ${result.verdicts.length} assertions hold; ${seconds} s.`,
  );
  results.push(result);
  if (budget.scale < 1 || held < result.verdicts.length) continue;
  const lines = [{ ...machine(), ...budget }, ...result.rows].map((row) => JSON.stringify(row));
  writeFileSync(`${DOCS}parameters/${name}.jsonl`, `${lines.join('\n')}\n`);
}
// Before the page: a failed run leaves the last good one.
results.forEach(expectVerdicts);
if (flags.only === undefined && budget.scale >= 1) writePage();

function writePage(): void {
  const { cpu, node } = machine();
  const head = `# Parameters

Each parameter that trades size against failure is measured where failures are frequent and compared with the formula that sets it. This page and
the rows behind it (\`docs/parameters/*.jsonl\`) are written by \`npm run parameters\` (\`bench/parameters\`), which runs the shipped code and throws
when an assertion does not hold. Seed \`${budget.seed}\`; ${String(cpu)}, Node ${String(node)}, one thread. The short version is \`test/psi/parameters.test.ts\`.

Whatever fails here fails privately: an id without a bin or a place in its shard is left out in silence, an OKVS seed that does not solve is
replaced before anything is sent, a false match adds one wrong row.`;
  writeFileSync(`${DOCS}parameters.md`, `${[head, ...sections].join('\n\n')}\n`);
}
