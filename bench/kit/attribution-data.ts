// Rows of the attribution query and its exact answer. Made by a process of its own, row by row, so that
// neither tables nor what the collector has not yet taken are in the memory of whoever measures.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isProgram } from './main.ts';

export interface DataOptions {
  readonly dir: string;
  readonly users: number;
  readonly campaigns: number;
  readonly categories: number;
  readonly parties: number;
  readonly rowsPerUser: number;
}

/** By campaign and category. */
export interface Expected {
  readonly users: readonly number[];
  readonly cents: readonly number[];
}

export interface MadeData {
  readonly expected: Expected;
  /** Of the process that made the rows. */
  readonly peakRssMb: number;
}

/** Writes `data/<party>/<table>.csv` below `dir` in a process of its own. */
export function makeData(options: DataOptions): MadeData {
  const file = fileURLToPath(import.meta.url);
  const args = ['--import', 'tsx', file, JSON.stringify(options)];
  const made = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (made.status !== 0) throw new Error('the data could not be made');
  return JSON.parse(made.stdout) as MadeData;
}

/** Whether user u is in each further table with a row the query keeps. */
const isGold = (u: number, users: number): boolean =>
  u >= users / 4 && u < users + users / 4 && u % 2 === 0;
const consents = (u: number, users: number): boolean =>
  u >= users / 8 && u < users + users / 8 && u % 3 !== 0;

const day = (n: number): string => `2025-10-${String(1 + (n % 28)).padStart(2, '0')}`;

/** Deterministic rows; half of each side's users are on both. */
function writeData({ dir, users: n, campaigns, categories, parties, rowsPerUser }: DataOptions) {
  const table = (party: string, name: string, header: string): Table =>
    openTable(join(dir, 'data', party, `${name}.csv`), header);
  const purchases = table('shopgood', 'purchases', 'email,purchase_date,total_spent,category');
  const exposures = table('newsnow', 'exposures', 'email,campaign_id,exposure_date');
  const users = Array.from({ length: campaigns * categories }, () => 0);
  const cents = [...users];
  for (let u = 0; u < n + n / 2; u += 1) {
    const kept = (parties < 3 || isGold(u, n)) && (parties < 4 || consents(u, n));
    const bought: [number, number][] = [];
    for (let r = 0; r < rowsPerUser && u < n; r += 1) {
      const row: [number, number] = [(u * 7 + r * 11) % 28, (u * 37 + r * 101) % 50_000];
      bought.push(row);
      purchases.row(`u${u},${day(row[0])},${(row[1] / 100).toFixed(2)},k${u % categories}`);
    }
    const seen = new Set<number>();
    for (let r = 0; r < rowsPerUser && u >= n / 2; r += 1) {
      const [c, at] = [(u + r * 3) % campaigns, (u * 5 + r * 13) % 28];
      exposures.row(`u${u},c${c},${day(at)}`);
      for (const [date, spent] of bought) {
        if (at >= date || !kept) continue;
        const group = c * categories + (u % categories);
        cents[group]! += spent;
        seen.add(group);
      }
    }
    for (const c of seen) users[c]! += 1;
  }
  purchases.close();
  exposures.close();
  const further = (party: string, name: string, column: string): Table | null =>
    parties > (party === 'loyalty' ? 2 : 3) ? table(party, name, `email,${column}`) : null;
  const members = further('loyalty', 'members', 'tier');
  const asked = further('panel', 'consents', 'consent');
  for (let i = 0; i < n; i += 1) {
    const [m, c] = [n / 4 + i, n / 8 + i];
    members?.row(`u${m},${m % 2 === 0 ? 'gold' : 'silver'}`);
    asked?.row(`u${c},${c % 3 !== 0}`);
  }
  members?.close();
  asked?.close();
  return { users, cents };
}

interface Table {
  row(line: string): void;
  close(): void;
}

const CHUNK_LINES = 4096;

function openTable(path: string, header: string): Table {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'w');
  let lines = [header];
  const flush = (): void => {
    writeSync(file, `${lines.join('\n')}\n`);
    lines = [];
  };
  return {
    row(line) {
      lines.push(line);
      if (lines.length >= CHUNK_LINES) flush();
    },
    close() {
      if (lines.length > 0) flush();
      closeSync(file);
    },
  };
}

if (isProgram(import.meta.url)) {
  const expected = writeData(JSON.parse(process.argv[2]!) as DataOptions);
  const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(JSON.stringify({ expected, peakRssMb } satisfies MadeData));
}
