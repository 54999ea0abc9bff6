// Goal: the committed examples are what their README says, and import as they are.
import { DuckDBInstance } from '@duckdb/node-api';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { importTable, openStore } from '../../src/party/store/index.ts';
import type { ImportSummary } from '../../src/party/store/index.ts';
import { parsePolicyDraft } from '../../src/policy/index.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const SALT = new Uint8Array(32).fill(9);
const ROOT = mkdtempSync(join(tmpdir(), 'parley-examples-'));
afterAll(() => rmSync(ROOT, { recursive: true }));

/** Imports an example as its policy says; both tables into one store, so that SQL can join them. */
async function importExample(name: string) {
  const draft = parsePolicyDraft(readFileSync(join(EXAMPLES, name, 'policy.yaml'), 'utf8'));
  const storePath = join(ROOT, `${name}.duckdb`);
  const summaries: Record<string, ImportSummary> = {};
  for (const party of draft.parties) {
    for (const [tableName, table] of Object.entries(party.tables)) {
      const file = join(EXAMPLES, name, 'data', party.name, `${tableName}.csv`);
      summaries[tableName] = await importTable({ file, tableName, table, salt: SALT, storePath });
    }
  }
  const [shopgood, newsnow] = draft.parties;
  const store = await openStore(storePath);
  const p = store.table('purchases', shopgood!.tables['purchases']!, SALT);
  const x = store.table('exposures', newsnow!.tables['exposures']!, SALT);
  const column = (table: typeof p, of: string): string => table.sqlColumns.get(of) ?? '';
  const sql = (select: string, where: string): string => `
    SELECT ${select}
    FROM (SELECT unit, ${column(p, 'purchase_date')} AS bought, ${column(p, 'total_spent')} AS spent
          FROM ${p.rowsTable} JOIN ${p.usersTable} USING (user_no)) p
    JOIN (SELECT unit, ${column(x, 'campaign_id')} AS campaign, ${column(x, 'exposure_date')} AS shown
          FROM ${x.rowsTable} JOIN ${x.usersTable} USING (user_no)) x USING (unit)
    WHERE ${where}`;
  const ask = (select: string, where: string): Promise<number[][]> =>
    store.read(async (c) =>
      (await c.runAndReadAll(sql(select, where))).getRows().map((row) => row.map(Number)),
    );
  return { summaries, ask, close: () => store.close() };
}

const ATTRIBUTION = 'campaign, count(DISTINCT unit), sum(spent)';

describe('examples', () => {
  it.each(['seed', 'seed-open'])('%s gives the exact answers of the story', async (name) => {
    const { ask, close } = await importExample(name);
    expect(await ask(ATTRIBUTION, 'shown < bought GROUP BY campaign')).toEqual([[0, 2, 10775]]);
    expect(await ask('count(DISTINCT unit)', 'spent > 10000')).toEqual([[0]]);
    close();
  });

  it('shopgood-newsnow is large enough to be seen at k = 50', async () => {
    const { summaries, ask, close } = await importExample('shopgood-newsnow');
    expect(summaries['purchases']).toMatchObject({ users: 5000, usersOverBound: 0 });
    expect(summaries['exposures']).toMatchObject({ users: 8000, usersOverBound: 0 });
    expect(summaries['purchases']!.repeatedRows).toBeGreaterThan(1000);
    expect(await ask('count(DISTINCT unit)', 'TRUE')).toEqual([[2400]]);
    const campaigns = await ask(ATTRIBUTION, 'shown < bought GROUP BY campaign ORDER BY campaign');
    expect(campaigns.map(([campaign]) => campaign)).toEqual([0, 1]);
    for (const [, users] of campaigns) expect(users).toBeGreaterThan(200);
    const [[valuable = 0] = []] = await ask('count(DISTINCT unit)', 'spent > 10000');
    expect(valuable).toBeGreaterThan(300);
    close();
  });

  it('matches people only after normalisation', async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const file = (path: string): string =>
      `read_csv('${join(EXAMPLES, 'shopgood-newsnow/data', path)}', all_varchar = true)`;
    const reader = await connection.runAndReadAll(
      `SELECT count(DISTINCT p.email) FROM ${file('shopgood/purchases.csv')} p
       JOIN ${file('newsnow/exposures.csv')} x ON p.email = x.email`,
    );
    expect(Number(reader.getRows()[0]?.[0])).toBeLessThan(2300);
    connection.closeSync();
    instance.closeSync();
  });

  it('are what the generator writes', () => {
    const script = join(EXAMPLES, 'generate.mjs');
    expect(spawnSync(process.execPath, [script, ROOT]).status).toBe(0);
    for (const path of [
      'shopgood-newsnow/data/shopgood/purchases.csv',
      'shopgood-newsnow/data/newsnow/exposures.csv',
      'three-parties/data/shopgood/purchases.csv',
      'three-parties/data/newsnow/exposures.csv',
      'three-parties/data/pointsplus/members.csv',
      'templates/data/shopgood/purchases.csv',
      'templates/data/newsnow/exposures.csv',
      'templates/data/newsnow/assignments.csv',
      'templates/data/pointsplus/members.csv',
    ]) {
      const committed = readFileSync(join(EXAMPLES, path));
      expect(readFileSync(join(ROOT, path)).equals(committed)).toBe(true);
      expect(committed.length).toBeLessThan(600_000);
    }
  });
});
