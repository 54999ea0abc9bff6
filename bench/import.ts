// `parley data import` of a Parquet file, in a process of its own as an operator runs it. Included: its
// start, reading, checking, normalising, hashing, sorting, writing. Excluded: making the file.
//
//   npm run bench -- import [--rows 5000000] [--rows-per-user 2] [--json] [--out FILE]
//
// Throws when the process ever held 1 GB, when a row is missing from its summary, or when no progress
// bar was drawn on its terminal.
import { DuckDBInstance } from '@duckdb/node-api';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { formatPacket, policyOf, signPolicy } from '../src/policy/index.ts';
import { signRoom } from '../test/support/live-room.ts';
import { OPEN_RULES, roomPolicy } from '../test/support/room-policy.ts';
import { wrong } from './kit/check.ts';
import { openReport } from './kit/report.ts';
import { parseCounts } from './kit/stats.ts';

const RSS_MB_MAX = 1000;
const PARLEY = fileURLToPath(new URL('../bin/parley.js', import.meta.url));

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    rows: text,
    'rows-per-user': text,
    out: text,
    json: { type: 'boolean', default: false },
  },
});
const rowsPerUser = Number(values['rows-per-user'] ?? 2);

/** The packet of a room whose first party has room for the file. */
function signedPacket(rows: number): string {
  const base = roomPolicy(OPEN_RULES, rowsPerUser, 2);
  const [first, ...others] = base.parties;
  const tables = Object.fromEntries(
    Object.entries(first!.tables).map(([name, table]) => [
      name,
      { ...table, max_users: Math.ceil(rows / rowsPerUser) },
    ]),
  );
  const { policy, keys } = signRoom({ ...base, parties: [{ ...first!, tables }, ...others] });
  // Signed with every default spelled out, as packets are.
  const whole = policyOf(policy);
  const signatures = Object.fromEntries(
    whole.parties.map(({ name }) => [
      name,
      signPolicy(whole, name, keys[name]!.identity.privateKey),
    ]),
  );
  return formatPacket({ policy: whole, signatures });
}

async function writeParquet(file: string, rows: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '1GB', threads: '2' });
  const connection = await instance.connect();
  await connection.run(`COPY (
    SELECT ' Person.' || (i // ${rowsPerUser}) || '@Example.com ' AS email,
      DATE '2025-01-01' + CAST(hash(i) % 700 AS INTEGER) AS purchase_date,
      CAST((hash(i + 1) % 50000) AS DECIMAL(14, 2)) / 100 AS total_spent,
      CAST(hash(i + 2) % 10 AS BIGINT) AS items,
      ['home', 'beauty', 'sports'][1 + CAST(hash(i + 3) % 3 AS INTEGER)] AS category,
      hash(i + 4) % 2 = 0 AS online
    FROM range(${rows}) t(i)) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

interface Imported {
  readonly seconds: number;
  readonly rssMb: number;
  readonly summary: Readonly<Record<string, unknown>>;
  readonly bars: number;
}

/** Runs the command with a terminal for its stderr, as far as it can tell. */
async function runImport(dir: string, file: string): Promise<Imported> {
  const hook = join(dir, 'hook.mjs');
  writeFileSync(
    hook,
    `process.stderr.isTTY = true;
process.on('exit', () => process.stderr.write('\\npeak ' + process.resourceUsage().maxRSS + '\\n'));\n`,
  );
  const packet = join(dir, 'packet.json');
  const args = ['data', 'import', file, '--policy', packet, '--party', 'shopgood'];
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--import',
      pathToFileURL(hook).href,
      PARLEY,
      ...args,
      '--state',
      join(dir, 'state'),
      '--format',
      'json',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part));
  const code = await new Promise((resolve) => child.once('close', resolve));
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) wrong(`the import ended with ${String(code)}: ${stdout}${stderr.slice(-500)}`);
  return {
    seconds,
    rssMb: Number(/peak (\d+)/.exec(stderr)?.[1] ?? Infinity) / 1024,
    summary: JSON.parse(stdout) as Record<string, unknown>,
    bars: [...stderr.matchAll(/\[#+\.*\] \d+% read/g)].length,
  };
}

const report = openReport({ bench: 'import', json: values.json, out: values.out });
for (const rows of parseCounts(values.rows ?? '5000000')) {
  const dir = mkdtempSync(join(tmpdir(), 'parley-bench-import-'));
  try {
    const file = join(dir, 'purchases.parquet');
    await writeParquet(file, rows);
    writeFileSync(join(dir, 'packet.json'), signedPacket(rows));
    const { seconds, rssMb, summary, bars } = await runImport(dir, file);
    report.line({
      n: rows,
      unit: 'row',
      rows_per_user: rowsPerUser,
      file_mb: Math.round(statSync(file).size / 1e5) / 10,
      seconds: Math.round(seconds * 10) / 10,
      per_second: Math.round(rows / seconds),
      peak_rss_mb: Math.round(rssMb),
      bars_drawn: bars,
    });
    if (summary['rows'] !== rows) wrong(`the summary is ${JSON.stringify(summary)}`);
    if (rssMb >= RSS_MB_MAX) wrong(`the import held ${Math.round(rssMb)} MB`);
    if (bars < 2) wrong('no progress bar was drawn');
  } finally {
    rmSync(dir, { recursive: true });
  }
}
