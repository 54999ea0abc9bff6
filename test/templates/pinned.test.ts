// Goal: a policy whose pinned templates cannot run is refused where it is read, with the path of the
// template; one whose templates can is not.
import { describe, expect, it } from 'vitest';
import { expectPinnedPlan } from '../../src/cli/pinned.ts';
import { policyDigest } from '../../src/policy/index.ts';
import type { Policy, QueryTemplate } from '../../src/policy/types.ts';
import { templateLibrary } from '../../src/templates/index.ts';
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
