// Goal: literals reach the plan exactly, whatever their digits, and dates are real dates.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { codeLiteral, columnRange, daysOf, HARD_RANGE, planQuery } from '../../src/sql/index.ts';
import type { ColumnPolicy } from '../../src/policy/types.ts';
import { DIGEST, seedPolicy, wideTable } from './policies.ts';

const money: ColumnPolicy = { type: 'decimal', nullable: true, scale: 2 };
const POLICY = seedPolicy({
  differential: 'off',
  first: wideTable({
    x: money,
    y: { type: 'decimal', nullable: true, scale: 5 },
    i: { type: 'integer', nullable: true },
    t: { type: 'text', nullable: true, values: ['caf\u00e9', 'tea'] },
    d: { type: 'date', nullable: true, min: '2024-01-01', max: '2026-12-31' },
  }),
});

function filterOf(where: string): unknown {
  const sql = `SELECT COUNT(*) FROM joined_data WHERE ${where}`;
  return planQuery(POLICY, DIGEST, sql, { epsilon: null }).sides[0]!.filter;
}

const compare = (name: string, op: string, value: string): object => ({
  kind: 'compare',
  op,
  left: { column: name, scaleUp: 1 },
  right: { value },
});

it.each([
  ['x > 100.00', compare('x', '>', '10000')],
  ['x > 100', compare('x', '>', '10000')],
  ['x > 1e2', compare('x', '>', '10000')],
  ['x > 1.005', compare('x', '>', '100')],
  ['x >= 1.005', compare('x', '>', '100')],
  ['x < 1.005', compare('x', '<=', '100')],
  ['x <= 1.005', compare('x', '<=', '100')],
  ['x > -1.005', compare('x', '>', '-101')],
  ['x < -1.005', compare('x', '<=', '-101')],
  ['1.005 > x', compare('x', '<=', '100')],
  ['NOT x > 1.005', compare('x', '<=', '100')],
  ['x = 1.005', compare('x', '=', `${HARD_RANGE}`)],
  ['x <> 1.005', compare('x', '<>', `${HARD_RANGE}`)],
  ['x = 0.1000', compare('x', '=', '10')],
  ['x > 9007199254.740993', compare('x', '>', '900719925474')],
  ['y = 1234567.89012', compare('y', '=', '123456789012')],
  ['i = 999999999999', compare('i', '=', '999999999999')],
  ['i < 12345678901234567890', compare('i', '<', `${HARD_RANGE}`)],
  ['i > -1e40', compare('i', '>', `-${HARD_RANGE}`)],
  [
    'i IN (3, 3.0, 2.5, 1)',
    { kind: 'in', term: { column: 'i', scaleUp: 1 }, list: [{ value: '1' }, { value: '3' }] },
  ],
  ['i IN (2.5)', compare('i', '=', `${HARD_RANGE}`)],
  ["t = 'tea'", compare('t', '=', '1')],
  ["t = 'cafe\u0301'", compare('t', '=', '0')],
  ["t <> 'milk'", compare('t', '<>', '-1')],
  ["t = ''", compare('t', '=', '-1')],
  ["t = 'it''s'", compare('t', '=', '-1')],
  ["d = '2024-02-29'", compare('d', '=', '19782')],
  ["d < DATE '0001-01-01'", compare('d', '<', '-719162')],
  [
    "d BETWEEN '2025-01-01' AND '2025-01-02'",
    {
      kind: 'and',
      terms: [compare('d', '<=', '20090'), compare('d', '>=', '20089')],
    },
  ],
])('codes %s', (where, expected) => {
  expect(filterOf(where)).toEqual(expected);
});

it('agrees with exact integer arithmetic on every decimal literal', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }),
      fc.constantFrom('<', '<=', '>', '>=', '=', '<>'),
      fc.bigInt({ min: -2n, max: 2n }),
      (millionths, op, near) => {
        const digits = `${millionths < 0n ? -millionths : millionths}`.padStart(7, '0');
        const text = `${millionths < 0n ? '-' : ''}${digits.slice(0, -6)}.${digits.slice(-6)}`;
        const filter = filterOf(`x ${op} ${text}`) as { op: string; right: { value: string } };
        const coded = millionths / 10_000n + near;
        const holds = (o: string, a: bigint, b: bigint): boolean =>
          o.includes('<>')
            ? a !== b
            : (o.includes('=') && a === b) ||
              (o.includes('<') && a < b) ||
              (o.includes('>') && a > b);
        expect(holds(filter.op, coded, BigInt(filter.right.value))).toBe(
          holds(op, coded * 10_000n, millionths),
        );
      },
    ),
    { numRuns: 500 },
  );
});

it('counts days as the Gregorian calendar does', () => {
  const all = fc.date({
    min: new Date('0001-01-01'),
    max: new Date('9999-12-31'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(all, (date) => {
      const iso = date.toISOString().slice(0, 10);
      expect(daysOf(iso)).toBe(Date.parse(iso) / 86_400_000);
    }),
    { numRuns: 500 },
  );
  const bad = ['2025-02-29', '1900-02-29', '2025-00-01', '2025-13-01', '2025-04-31', '2025-01-00'];
  for (const text of [...bad, '0000-01-01', '2025-1-1', '2025-01-01 ', '', '+2025-01-01']) {
    expect(daysOf(text), text).toBeNull();
  }
  expect([daysOf('2000-02-29'), daysOf('1970-01-01')]).toEqual([11016, 0]);
});

it('codes plain values and knows their range', () => {
  expect(codeLiteral(money, '-12.5')).toBe(-1250);
  expect(codeLiteral(money, '0.005')).toBeNull();
  expect(codeLiteral(money, '10000000000')).toBeNull();
  expect(codeLiteral(money, '9999999999.99')).toBe(999_999_999_999);
  expect(codeLiteral(money, 'x')).toBeNull();
  expect(codeLiteral({ type: 'boolean', nullable: false }, 'true')).toBe(1);
  const listed: ColumnPolicy = { type: 'integer', nullable: false, values: ['5', '-2'] };
  expect([codeLiteral(listed, '-2'), codeLiteral(listed, '3')]).toEqual([-2, null]);
  expect(columnRange(listed)).toEqual({ min: -2, max: 5 });
  const date: ColumnPolicy = {
    type: 'date',
    nullable: false,
    min: '2025-01-01',
    max: '2025-12-31',
  };
  expect(columnRange(date)).toEqual({ min: 20089, max: 20453 });
  expect([codeLiteral(date, '2025-01-02'), codeLiteral(date, '2024-12-31')]).toEqual([20090, null]);
});
