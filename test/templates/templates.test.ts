// Goal: a template's values reach the SQL as typed literals and declared names, never as text; every
// template of the library holds together and plans against the room that shows it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyOf } from '../../src/policy/index.ts';
import type { QueryTemplate, TemplateParameter } from '../../src/policy/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import {
  instantiate,
  libraryTemplate,
  parseTemplate,
  piecesOf,
  templateLibrary,
} from '../../src/templates/index.ts';
import { examplePolicy } from '../support/example-room.ts';

const policy = examplePolicy('templates');
const DIGEST = 'd'.repeat(64);

function one(parameter: TemplateParameter, sql = ':p'): QueryTemplate {
  return {
    name: 't',
    sql,
    parameters: {
      t: { type: 'table', default: 'purchases' },
      c: { type: 'column', table: 't', default: 'category' },
      p: parameter,
    },
  };
}

describe('the library', () => {
  const library = templateLibrary();

  it('answers the questions clean rooms are bought for', () => {
    expect(library.map(({ name }) => name)).toEqual([
      'attribution_any_touch',
      'attribution_first_touch',
      'attribution_last_touch',
      'audience_overlap',
      'audience_overlap_by_segment',
      'audience_overlap_three',
      'conversion_by_arm',
      'conversion_lift',
      'customer_journey',
      'frequency_distribution',
      'reach',
      'reach_and_frequency',
    ]);
  });

  it.each(library.map((t) => [t.name, t] as const))(
    '%s plans against the example room',
    (_, template) => {
      const sql = instantiate(template, {}, policy);
      const plan = planQuery(policy, DIGEST, sql, { epsilon: null });
      expect(plan.output.length).toBeGreaterThan(0);
      expect(template.description).not.toBe('');
    },
  );

  it('stands in a policy as it is', () => {
    const templates = library.map(({ name, sql, parameters }) => ({ name, sql, parameters }));
    const queries = { mode: 'templates', templates } as const;
    const pinned = policyOf({ ...policy, rules: { ...policy.rules, queries } });
    expect(pinned.rules.queries).toEqual(queries);
  });

  it('is told of a template that there is not', () => {
    expect(() => libraryTemplate('attribution')).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_UNKNOWN' }),
    );
  });
});

describe('placeholders', () => {
  it('are not looked for in strings, quoted names and comments', () => {
    const sql = `SELECT ':a' || ":b" -- :c
      /* :d /* :e */ :f */ , x::int, 'it''s :g' , :h`;
    const found = piecesOf(sql).flatMap((p) => (p.kind === 'parameter' ? [p.name] : []));
    expect(found).toEqual(['h']);
  });

  it('make up the whole text', () => {
    const sql = `a :b c ':d' :e`;
    const text = piecesOf(sql).map((p) => (p.kind === 'text' ? p.text : `:${p.name}`));
    expect(text.join('')).toBe(sql);
  });

  it.each(['a : b', ":'x", 'a :B', ":a'", ':a "', '/* :a', ':1'])('refuses %s', (sql) => {
    expect(() => piecesOf(sql)).toThrow(expect.objectContaining({ code: 'TEMPLATE_MALFORMED' }));
  });
});

describe('values', () => {
  it.each([
    [{ type: 'integer', min: '-5', max: '10' }, '7', '7'],
    [{ type: 'integer', min: '-5', max: '10' }, '-5', ' -5'],
    [{ type: 'decimal', min: '0', max: '10' }, '9.99', '9.99'],
    [{ type: 'date', min: '2025-01-01', max: '2025-12-31' }, '2025-02-28', "DATE '2025-02-28'"],
    [{ type: 'text', values: ['it’s', "o'clock"] }, "o'clock", "'o''clock'"],
    [{ type: 'table' }, 'members', '"members"'],
    [{ type: 'column', table: 't' }, 'total_spent', '"total_spent"'],
    [{ type: 'value', column: 'c' }, 'beauty', "'beauty'"],
  ] as [TemplateParameter, string, string][])('%j takes %s', (parameter, value, literal) => {
    expect(instantiate(one(parameter), { p: value }, policy)).toBe(literal);
  });

  it('reads the privacy unit off the policy', () => {
    expect(instantiate(one({ type: 'unit', table: 't' }), {}, policy)).toBe('"email"');
  });

  it.each([
    [{ type: 'integer', min: '0', max: '10' }, '11'],
    [{ type: 'integer', min: '0', max: '10' }, '07'],
    [{ type: 'integer', min: '0', max: '10' }, '7 '],
    [{ type: 'integer', min: '0', max: '10' }, '1e1'],
    [{ type: 'integer', min: '0', max: '10' }, ''],
    [{ type: 'integer', min: '0', max: '10' }, '5\n'],
    [{ type: 'decimal', min: '0', max: '10' }, '10.01'],
    [{ type: 'decimal', min: '0', max: '10' }, 'NaN'],
    [{ type: 'date', min: '2025-01-01', max: '2025-12-31' }, '2025-02-30'],
    [{ type: 'date', min: '2025-01-01', max: '2025-12-31' }, '2024-12-31'],
    [{ type: 'date', min: '2025-01-01', max: '2025-12-31' }, "2025-01-01' OR '1"],
    [{ type: 'text', values: ['a'] }, "a'"],
    [{ type: 'table' }, 'nothing'],
    [{ type: 'table' }, '__proto__'],
    [{ type: 'table', values: ['exposures'] }, 'members'],
    [{ type: 'column', table: 't' }, 'email'],
    [{ type: 'column', table: 't' }, 'campaign_id'],
    [{ type: 'column', table: 't', kinds: ['date'] }, 'total_spent'],
    [{ type: 'column', table: 't', values: ['category'] }, 'total_spent'],
    [{ type: 'value', column: 'c' }, 'garden'],
    [{ type: 'unit', table: 't' }, 'email'],
  ] as [TemplateParameter, string][])('%j refuses %j', (parameter, value) => {
    expect(() => instantiate(one(parameter), { p: value }, policy)).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_PARAMETER', fault: 'caller' }),
    );
  });

  it('are refused where missing, unknown, or not declared', () => {
    const bare = one({ type: 'integer', min: '0', max: '9' });
    const code = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'none';
    };
    expect(code(() => instantiate(bare, {}, policy))).toBe('TEMPLATE_PARAMETER');
    expect(code(() => instantiate(bare, { p: '1', q: '2' }, policy))).toBe('TEMPLATE_PARAMETER');
    expect(code(() => instantiate({ ...bare, sql: ':q' }, { p: '1' }, policy))).toBe(
      'TEMPLATE_MALFORMED',
    );
    const astray = one({ type: 'column', table: 'c' });
    expect(code(() => instantiate(astray, { p: 'x' }, policy))).toBe('TEMPLATE_MALFORMED');
  });

  it('never let any text through (fast-check prints the seed)', () => {
    const parameters: TemplateParameter[] = [
      { type: 'integer', min: '-1000', max: '1000' },
      { type: 'decimal', min: '-1000', max: '1000' },
      { type: 'date', min: '2025-01-01', max: '2025-12-31' },
      { type: 'text', values: ['a'] },
      { type: 'table' },
      { type: 'column', table: 't' },
      { type: 'value', column: 'c' },
    ];
    const hostile = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...Array.from('\'"-;:/*0123456789.e ()')) }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...parameters), hostile, (parameter, value) => {
        let text: string;
        try {
          text = instantiate(one(parameter), { p: value }, policy);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TEMPLATE_PARAMETER' });
          return;
        }
        expect(text).toMatch(/^( ?-?\d+(\.\d+)?|DATE '[\d-]{10}'|'a'|"[a-z_]+"|'[a-z]+')$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('template files', () => {
  const file = (header: string): string => `/*\n${header}\n*/\nSELECT 1`;
  const good = 'name: t\ntitle: T\ndescription: D\nparameters: {}';

  it('hold a header and SQL', () => {
    expect(parseTemplate(file(good), 't')).toEqual({
      name: 't',
      title: 'T',
      description: 'D',
      parameters: {},
      sql: 'SELECT 1',
    });
  });

  it.each([
    'SELECT 1',
    file('name: u\ntitle: T\ndescription: D\nparameters: {}'),
    file('name: t\ndescription: D\nparameters: {}'),
    file('name: t\ntitle: T\ndescription: D\nparameters: { p: { type: sql } }'),
    file('name: t\ntitle: T\ndescription: D\nparameters: { p: { type: integer } }'),
    file('name: t\ntitle: T\ndescription: D\nparameters: {}\nmore: 1'),
    file('- not a map'),
    file('"'),
  ])('are refused otherwise (%#)', (text) => {
    expect(() => parseTemplate(text, 't')).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_MALFORMED' }),
    );
  });
});
