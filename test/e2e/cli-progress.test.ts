// Goal: progress is one rewritten line on a terminal and one plain line per stage and party elsewhere.
import { expect, it } from 'vitest';
import type { ProgressLine } from '../../src/cli/progress.ts';
import { progressDisplay } from '../../src/cli/progress.ts';

function terminal(isTTY: boolean, columns?: number): { text: string[]; write(text: string): void } {
  const text: string[] = [];
  const size = columns === undefined ? {} : { columns };
  return { text, ...size, ...(isTTY ? { isTTY } : {}), write: (part) => void text.push(part) };
}

function line(who: string, stage: string, done: number, total: number, sent: number): ProgressLine {
  return { who, stage, done, total, bytesSent: sent };
}

it('tells each finished stage of each party once, with rows and bytes', () => {
  const out = terminal(false);
  const display = progressDisplay(false, out);
  const local = line('shopgood', 'local', 1, 1, 900);
  display.update([local, line('shopgood', 'join.oprf', 100, 4096, 900)]);
  display.update([local, line('shopgood', 'join.oprf', 4096, 4096, 1_250_000)]);
  // The same stage with more bytes, and a stage that ended while nobody looked.
  display.update([
    local,
    line('shopgood', 'join.oprf', 4096, 4096, 3_000_000),
    line('shopgood', 'join.opprf', 1400, 1400, 3_000_000),
    line('shopgood', 'join', 1, 1, 3_000_000),
    line('newsnow', 'join.oprf', 2800, 2800, 56_500),
  ]);
  display.end();
  expect(out.text).toEqual([
    '  shopgood: local done: 900 B sent\n',
    '  shopgood: join.oprf done: 4,096 rows, 1.3 MB sent\n',
    '  shopgood: join.opprf done: 1,400 rows, 3.0 MB sent\n',
    '  shopgood: join done: 3.0 MB sent\n',
    '  newsnow: join.oprf done: 2,800 rows, 56.5 kB sent\n',
  ]);
});

it('rewrites one line of a terminal and leaves it clean', () => {
  const out = terminal(true, 200);
  const display = progressDisplay(false, out);
  const done = line('shopgood', 'local', 1, 1, 0);
  display.update([]);
  display.update([done, line('shopgood', 'join.oprf', 2048, 4096, 2_000_000)]);
  display.update([
    done,
    line('shopgood', 'join.oprf', 4096, 4096, 3_000_000),
    line('newsnow', 'local', 0, 1, 0),
  ]);
  display.end();
  display.end();
  const clear = '\r\u001b[2K';
  expect(out.text).toEqual([
    'shopgood [########........] join.oprf: 2,048 of 4,096 rows, 2.0 MB sent',
    clear,
    'shopgood [################] join.oprf: 4,096 rows, 3.0 MB sent   newsnow [................] local: 0 B sent',
    clear,
  ]);
  expect(out.text.join('')).not.toContain('\n');
});

it('never wraps a narrow terminal, and is silent when told', () => {
  const narrow = terminal(true, 40);
  const display = progressDisplay(false, narrow);
  display.update([line('a_party_with_a_long_name', 'join.equality', 1, 2_000_000, 12)]);
  expect(narrow.text[0]).toHaveLength(39);
  const quiet = terminal(true);
  progressDisplay(true, quiet).update([line('shopgood', 'local', 1, 1, 0)]);
  expect(quiet.text).toEqual([]);
});
