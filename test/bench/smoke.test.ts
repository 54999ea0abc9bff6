// Goal: a bench runs as `npm run bench` runs it, and its check notices a wrong answer.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { task } from '../../bench/and.ts';
import { countRounds } from '../../bench/kit/main.ts';

it.each(['threads', 'processes'])('measures ANDs between two %s', (link) => {
  const dir = mkdtempSync(join(tmpdir(), 'parley-bench-test-'));
  try {
    const out = join(dir, 'and.jsonl');
    const flags = ['--case', 'and', '--n', '256', '--k', '4', '--runs', '1', '--json'];
    const printed = execFileSync(
      process.execPath,
      ['--import', 'tsx', 'bench/and.ts', ...flags, '--out', out, '--link', link],
      { encoding: 'utf8' },
    );
    expect(readFileSync(out, 'utf8')).toBe(printed);
    const [machine, line] = printed
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(machine).toMatchObject({ bench: 'and', node: process.version });
    expect(line).toMatchObject({ case: 'and', n: 256, k: 4, link, runs: 1, rounds: 2 });
    // Triples, 2^14 at least and 16/k bytes each way; then x and y masked, 32 bytes each.
    const bytes = 4 * 2 ** 14 + 64;
    expect(line!['bytes_sent']).toEqual([bytes, bytes]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

it('imports a Parquet file in a process of its own, with a bar, within its memory', () => {
  const dir = mkdtempSync(join(tmpdir(), 'parley-bench-test-'));
  try {
    const flags = ['--rows', '20000', '--json', '--out', join(dir, 'import.jsonl')];
    const printed = execFileSync(
      process.execPath,
      ['--import', 'tsx', 'bench/import.ts', ...flags],
      { encoding: 'utf8' },
    );
    const line = JSON.parse(printed.trim().split('\n')[1]!) as Record<string, number>;
    expect(line).toMatchObject({ bench: 'import', n: 20_000 });
    expect(line['peak_rss_mb']).toBeGreaterThan(50);
    expect(line['peak_rss_mb']).toBeLessThan(1000);
    expect(line['bars_drawn']).toBeGreaterThan(2);
  } finally {
    rmSync(dir, { recursive: true });
  }
}, 120_000);

it('fails when an answer is wrong', async () => {
  const params = { case: 'and', n: 128, k: 4, parties: 2, net: null, extra: {} } as const;
  expect(await countRounds(task, params)).toBe(2);
  const zero = new Uint8Array(16);
  const right = { a: zero, b: zero, c: zero };
  task.check([right, right], params);
  const wrong = { ...right, c: zero.with(3, 1) };
  expect(() => task.check([right, wrong], params)).toThrow(/wrong answer/);
});
