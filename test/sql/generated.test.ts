// Goal: with noise and threshold off, random queries of the whole dialect are answered by the plain
// engine and the analyst's client as DuckDB answers them over the same rows.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { randomSql } from '../support/random-sql.ts';
import {
  answerPlain,
  difference,
  openSqlRoom,
  planIn,
  randomVisits,
  rowsOf,
  sqlPolicy,
} from '../support/sql-room.ts';

const SEED = 20_251_126;
const LARGE = new Set(['OVERFLOW_POSSIBLE', 'DOMAIN_TOO_LARGE']);

it.each([
  [2, 7, 100],
  [3, 4, 75],
])(
  `answers as DuckDB does over %i parties: %i data sets of %i queries (seed ${SEED})`,
  async (parties, datasets, queries) => {
    const roll = dice(SEED + parties);
    const dir = mkdtempSync(join(tmpdir(), 'parley-generated-'));
    let [answered, refused, rowsSeen] = [0, 0, 0];
    for (let d = 0; d < datasets; d += 1) {
      // Up to 8 rows of a user; no rows at all in one set.
      const rows = randomRows(roll, [25, 12, 0, 6][d % 4]!, [3, 8, 1, 5][d % 4]!, parties > 2);
      const emails = rows.purchases.map(({ email }) => email!).concat('ünï@example.com');
      const policy = sqlPolicy(parties, 8);
      const folder = mkdtempSync(join(dir, 'set-'));
      const visits = randomVisits(roll, [...new Set(emails)]);
      const room = await openSqlRoom(folder, policy, { ...rows, visits });
      for (let q = 0; q < queries; q += 1) {
        const { sql, ordered } = randomSql(roll, parties);
        const theirs = await room.ask(sql);
        try {
          const ours = rowsOf(await answerPlain(room, planIn(policy, sql)));
          expect(difference(ours, theirs, ordered), `set ${d}: ${sql}`).toBeNull();
          answered += 1;
          rowsSeen += theirs.length;
        } catch (error) {
          // Across parties, undeclared bounds can come to sums beyond 62 bits, keys to many groups.
          if (!(error instanceof ParleyError) || !LARGE.has(error.code)) throw error;
          refused += 1;
        }
      }
      room.close();
    }
    rmSync(dir, { recursive: true });
    expect(refused).toBeLessThan(answered / 10);
    expect(rowsSeen).toBeGreaterThan(answered);
  },
  600_000,
);
