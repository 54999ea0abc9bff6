// Goal: a policy whose pinned templates cannot run is refused where it is read, and by every node that
// is started on it, with the path of the template; one whose templates can is not.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { startParty } from '../../src/party/index.ts';
import { expectPinnedPlan } from '../../src/party/pinned.ts';
import { policyDigest, signPolicy } from '../../src/policy/index.ts';
import type { Policy, QueryTemplate } from '../../src/policy/types.ts';
import { templateLibrary } from '../../src/templates/index.ts';
import { sampleRoom } from '../policy/samples.ts';
import { examplePolicy } from '../support/example-room.ts';

const base = examplePolicy('templates');
const pinning = (...templates: readonly QueryTemplate[]): Policy => ({
  ...base,
  rules: { ...base.rules, queries: { mode: 'templates', templates } },
});
const outcome = (policy: Policy): unknown => {
  try {
    expectPinnedPlan(policy, policyDigest(policy));
    return null;
  } catch (error) {
    return error;
  }
};

const JOIN = 'FROM exposures x JOIN purchases p ON x.email = p.email';
const good: QueryTemplate = { name: 'good', sql: `SELECT COUNT(*) ${JOIN}`, parameters: {} };
const days = { type: 'integer', min: '3', max: '9' } as const;

it('takes the library and the example', () => {
  expect(outcome(base)).toBeNull();
  const library = templateLibrary().map(({ name, sql, parameters }) => ({ name, sql, parameters }));
  expect(outcome(pinning(...library))).toBeNull();
});

describe('refuses, by path, a template', () => {
  it.each<readonly [string, QueryTemplate, string]>([
    ['of no SELECT', { ...good, sql: 'DELETE FROM purchases' }, 'SQL_NOT_SELECT'],
    [
      'of an unknown column',
      { ...good, sql: `SELECT SUM(p.nothing) ${JOIN}` },
      'SQL_UNKNOWN_COLUMN',
    ],
    ['that does not parse', { ...good, sql: `SELECT COUNT(* ${JOIN}` }, 'SQL_SYNTAX'],
    [
      'of an undeclared parameter',
      { ...good, sql: `SELECT COUNT(*) ${JOIN} WHERE p.total_spent > :least` },
      'TEMPLATE_MALFORMED',
    ],
    [
      'whose parameter has no default, at its least value',
      {
        ...good,
        sql: `SELECT COUNT(*) ${JOIN} WHERE p.category > :days`,
        parameters: { days },
      },
      'SQL_TYPE_MISMATCH',
    ],
  ])('%s', (_, bad, code) => {
    expect(outcome(pinning(good, { ...bad, name: 'bad' }))).toMatchObject({
      code: 'POLICY_OUT_OF_RANGE',
      fault: 'policy',
      detail: {
        path: 'rules.queries.templates.1',
        hint: expect.stringMatching(new RegExp(`^bad: ${code}: `)) as unknown,
      },
    });
  });

  it('but not one that leaves its table to the run', () => {
    const open: QueryTemplate = {
      ...good,
      sql: 'SELECT COUNT(*) FROM :t x JOIN purchases p ON x.email = p.email',
      parameters: { t: { type: 'table' } },
    };
    expect(outcome(pinning(open))).toBeNull();
  });
});

describe('a node', () => {
  const room = sampleRoom();
  /** What starting a node on a policy that all have signed ends in; nothing it needs is there. */
  async function start(template: QueryTemplate): Promise<{ error: unknown; left: boolean }> {
    const queries = { mode: 'templates', templates: [template] } as const;
    const policy: Policy = { ...room.policy, rules: { ...room.policy.rules, queries } };
    const signatures = Object.fromEntries(
      Object.entries(room.parties).map(([name, { identity }]) => [
        name,
        signPolicy(policy, name, identity.privateKey),
      ]),
    );
    const dir = mkdtempSync(join(tmpdir(), 'parley-pinned-'));
    const ledgerDirectory = join(dir, 'ledger');
    try {
      const node = await startParty({
        packet: { policy, signatures },
        party: 'shopgood',
        keys: room.parties['shopgood']!,
        storePath: join(dir, 'nothing.duckdb'),
        ledgerDirectory,
        runsDirectory: join(dir, 'runs'),
        coordinatorUrl: 'http://127.0.0.1:9',
        log: pino({ level: 'silent' }),
      });
      await node.close(0);
      return { error: null, left: true };
    } catch (error) {
      return { error, left: existsSync(ledgerDirectory) };
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
  const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data';

  it('does not start on a policy that pins a template without a plan', async () => {
    const bad = { name: 'bad', sql: `${SQL} WHERE nothing = 1`, parameters: {} };
    const { error, left } = await start(bad);
    expect(error).toMatchObject({
      code: 'POLICY_OUT_OF_RANGE',
      detail: {
        path: 'rules.queries.templates.0',
        hint: expect.stringMatching(/^bad: SQL_UNKNOWN_COLUMN: /) as unknown,
      },
    });
    expect(left, 'nothing was made').toBe(false);
  });

  it('looks for its store when every template has one', async () => {
    const { error } = await start({ name: 'people', sql: SQL, parameters: {} });
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});
