// Goal: random queries of the whole dialect, run on secret shares by the real protocols of all
// parties, are answered as DuckDB answers them over the same rows.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeAnswer, releaseOf } from '../../src/client/index.ts';
import { ParleyError } from '../../src/core/errors.ts';
import type { Plan } from '../../src/sql/index.ts';
import { combine, engineRoom } from '../support/engine.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { randomSql } from '../support/random-sql.ts';
import {
  difference,
  localTables,
  openSqlRoom,
  planIn,
  randomVisits,
  rowsOf,
  sqlPolicy,
} from '../support/sql-room.ts';

const SEED = 20_251_127;
const LARGE = new Set(['OVERFLOW_POSSIBLE', 'DOMAIN_TOO_LARGE']);

it.each([
  [2, 125],
  [3, 25],
])(
  `answers as DuckDB does over %i parties: %i queries (seed ${SEED})`,
  async (parties, queries) => {
    const roll = dice(SEED + parties);
    const engine = await engineRoom({ parties });
    const dir = mkdtempSync(join(tmpdir(), 'parley-generated-'));
    const rows = randomRows(roll, 20, 2, true);
    const emails = [...new Set(rows.purchases.map(({ email }) => email!))];
    const policy = sqlPolicy(parties, 2);
    const visits = randomVisits(roll, emails);
    const room = await openSqlRoom(dir, policy, { ...rows, visits });
    let answered = 0;
    while (answered < queries) {
      const { sql, ordered } = randomSql(roll, parties);
      let plan: Plan;
      try {
        plan = planIn(policy, sql);
      } catch (error) {
        if (error instanceof ParleyError && LARGE.has(error.code)) continue;
        throw error;
      }
      const opened = combine(await engine.run(plan, await localTables(room, plan)));
      const { widths } = releaseOf(plan);
      const ours = rowsOf(decodeAnswer(plan, opened.open, opened.cells, widths));
      expect(difference(ours, await room.ask(sql), ordered), sql).toBeNull();
      answered += 1;
    }
    room.close();
    rmSync(dir, { recursive: true });
  },
  600_000,
);
