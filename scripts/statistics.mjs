// `npm run test:statistics [-- --short] [-- --only sampler,audit]`: builds, runs every module of
// test/statistics that has a title and a run, prints what each finds, and writes the tables into
// docs/statistics.md. With --short nothing is written; with --only the other tables stay.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { register } from 'tsx/esm/api';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'test/statistics');
const page = join(root, 'docs/statistics.md');
const MARK = '<!-- Below: written by npm run test:statistics. -->';

const { values } = parseArgs({
  options: { short: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);
register();

const wanted = values.only?.split(',');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -3))
  .filter((name) => wanted === undefined || wanted.includes(name))
  .sort();
const unknown = wanted?.filter((name) => !names.includes(name)) ?? [];
if (unknown.length > 0) {
  process.stderr.write(`no such module: ${unknown.join(', ')}\n`);
  process.exit(64);
}

/** Sections of the page by title. */
function sectionsOf(text) {
  const [, body = ''] = text.split(MARK);
  return new Map(
    body
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section.trimEnd()]),
  );
}

const cell = (text) => `${text}`.replaceAll('|', '\\|');

function sectionText(title, checks, seconds) {
  const rows = checks.map(({ test, what, n, result, pass }) =>
    [test, what, n.toLocaleString('en'), result, pass ? 'pass' : 'FAIL'].map(cell).join(' | '),
  );
  return [
    title,
    `${seconds} s of CPU, Node ${process.version}.`,
    '',
    '| test | what | n | found | |',
    '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}

const text = readFileSync(page, 'utf8');
const sections = sectionsOf(text);
let failed = 0;
for (const name of names) {
  const { title, run } = await import(join(folder, `${name}.ts`));
  if (typeof title !== 'string' || typeof run !== 'function') continue;
  const before = process.cpuUsage();
  const checks = await run(!values.short);
  const { user, system } = process.cpuUsage(before);
  const seconds = ((user + system) / 1e6).toFixed(0);
  process.stdout.write(`\n${title} (${name}, ${seconds} s of CPU)\n`);
  for (const { test, what, n, result, pass } of checks) {
    process.stdout.write(
      `${pass ? 'pass' : 'FAIL'}  ${test.padEnd(3)} ${what}; n = ${n}; ${result}\n`,
    );
    if (!pass) failed += 1;
  }
  if (checks.length === 0) failed += 1;
  sections.set(title, sectionText(title, checks, seconds));
  if (values.short) continue;
  const firstTest = (section) => Number(/^\| (\d+)/m.exec(section)?.[1] ?? 99);
  const ordered = [...sections.values()].sort((a, b) => firstTest(a) - firstTest(b));
  const tables = ordered.map((section) => `## ${section}\n`).join('\n');
  writeFileSync(page, `${text.split(MARK)[0]}${MARK}\n\n${tables}`);
}
process.stdout.write(`\n${failed === 0 ? 'all passed' : `${failed} FAILED`}\n`);
process.exit(failed === 0 ? 0 : 1);
