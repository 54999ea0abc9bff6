// Goal: opened integers become exactly the rows SQL would give, with NULL, suppression, order and
// intervals right, and bytes that contradict themselves become no answer.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { averageInterval, averageOf } from '../../src/client/average.ts';
import { measuresOf } from '../../src/client/evaluate.ts';
import {
  decodeAnswer,
  formatCsv,
  formatTable,
  releaseOf,
  shareBytes,
  type AnswerTable,
} from '../../src/client/index.ts';
import {
  compareText,
  nearestDouble,
  rationalText,
  roundHalfEven,
  scaledText,
} from '../../src/client/numbers.ts';
import { compare, rational } from '../../src/core/rational.ts';
import { planQuery } from '../../src/sql/index.ts';
import { sampleRoom, type SampleRoom } from '../policy/samples.ts';
import { answerBytes, OPEN, QUERY_1, QUERY_2, SENTINEL, type Groups } from './fixtures.ts';

const real = sampleRoom();
const open = sampleRoom(OPEN);
// Nullable group keys, every type.
const wide = sampleRoom((yaml) =>
  OPEN(yaml).replace(
    '          category:',
    '          vip: { type: boolean, nullable: true }\n          stars: { type: integer, values: [1, 2, 10], nullable: true }\n          word: { type: text, values: ["\\uFF5E", "\\U0001F600", b, a] }\n          category:',
  ),
);

function decode(room: SampleRoom, sql: string, groups: Groups): AnswerTable {
  const plan = planQuery(room.policy, room.digest, sql, { epsilon: null });
  const bytes = answerBytes(plan, groups);
  const at = shareBytes(plan).open;
  return decodeAnswer(plan, bytes.subarray(0, at), bytes.subarray(at), releaseOf(plan).widths);
}

/** A condition on both tables: the plan counts rows and values as such. */
const LAZY = 'FROM joined_data WHERE exposure_date < purchase_date';

const values = (table: AnswerTable): unknown[][] =>
  table.rows.map((row) => row.cells.map((cell) => cell.value));

describe("the seed's queries", () => {
  it('give the exact tables with noise and threshold off', () => {
    const one = decode(open, QUERY_1, [[2n, 10775n], null]);
    expect(values(one)).toEqual([['sg_fall25', 2, '107.75']]);
    expect(one).toMatchObject({ groups: 2, groupsSuppressed: 0 });
    expect(one.labels.join()).toMatch(/NOISE OFF.*THRESHOLD OFF/);
    expect(values(decode(open, QUERY_2, [null]))).toEqual([[0]]);
    expect(formatTable(one)).toMatch(/^sg_fall25 +\| +2 +\| +107\.75$/m);
  });

  it('are redacted under the real policy', () => {
    const one = decode(real, QUERY_1, [null, null]);
    expect(values(one)).toEqual([
      ['sg_fall25', null, null],
      ['sg_holiday25', null, null],
    ]);
    expect(one).toMatchObject({ groupsSuppressed: 2, labels: [] });
    expect(formatTable(one)).toMatchInlineSnapshot(`
      "campaign_id  | converted_users | ± | total_revenue | ±
      -------------+-----------------+---+---------------+--
      sg_fall25    |      [REDACTED] |   |    [REDACTED] |
      sg_holiday25 |      [REDACTED] |   |    [REDACTED] |
      (2 rows, 2 of 2 groups suppressed)
      "
    `);
    expect(formatCsv(one)).toBe(
      'campaign_id,converted_users,total_revenue\nsg_fall25,,\nsg_holiday25,,\n',
    );
    expect(values(decode(real, QUERY_2, [null]))).toEqual([[null]]);
    expect(decode(real, QUERY_2, [null]).rows[0]?.suppressed).toBe(true);
  });

  it('carry an interval beside every noised number', () => {
    const one = decode(real, QUERY_1, [[240n, 1234567n], null]);
    expect(one.rows[0]?.cells[1]).toMatchInlineSnapshot(`
      {
        "interval": {
          "epsilon": "1/4",
          "half_width": "12",
          "high": "252",
          "level": "0.95",
          "low": "228",
          "mechanism": "discrete_laplace",
          "sensitivity": "1",
        },
        "value": 240,
      }
    `);
    expect(one.rows[0]?.cells[2]).toMatchInlineSnapshot(`
      {
        "interval": {
          "epsilon": "1/4",
          "half_width": "23965.86",
          "high": "36311.53",
          "level": "0.95",
          "low": "-11620.19",
          "mechanism": "discrete_laplace",
          "sensitivity": "2000.00",
        },
        "value": "12345.67",
      }
    `);
    expect(one.rows[0]?.cells[0]?.interval).toBeNull();
    expect(formatTable(one)).toMatchInlineSnapshot(`
      "campaign_id  | converted_users |  ± | total_revenue |        ±
      -------------+-----------------+----+---------------+---------
      sg_fall25    |             240 | 12 |      12345.67 | 23965.86
      sg_holiday25 |      [REDACTED] |    |    [REDACTED] |
      (2 rows, 1 of 2 groups suppressed)
      "
    `);
  });
});

describe('SQL semantics', () => {
  it('give 0 and NULL for no rows without GROUP BY', () => {
    const sql =
      'SELECT COUNT(*) AS n, COUNT(total_spent) AS m, SUM(total_spent) AS s, AVG(total_spent) AS a FROM joined_data';
    const table = decode(open, sql, [null]);
    expect(values(table)).toEqual([[0, 0, null, null]]);
    expect(formatTable(table)).toContain('NULL');
    expect(table.rows[0]?.suppressed).toBe(false);
  });

  it('give NULL for a sum and an average over NULLs alone', () => {
    const sql = `SELECT COUNT(*) AS n, SUM(total_spent) AS s, AVG(total_spent) AS a ${LAZY}`;
    const plan = planQuery(open.policy, open.digest, sql, { epsilon: null });
    const cells = plan.measures
      .filter((m) => m.released)
      .map(({ measure }) =>
        measure.kind === 'rows' ? 3n : measure.kind === 'nonNull' ? 0n : SENTINEL,
      );
    expect(values(decode(open, sql, [cells]))).toEqual([[3, null, null]]);
  });

  it('divide by zero to NULL, not to an error or infinity', () => {
    const sql = `SELECT COUNT(*) / 0 AS a, COUNT(*) / (COUNT(*) - 3) AS b, 1 + 0 / (3 - COUNT(*)) AS c ${LAZY}`;
    expect(values(decode(open, sql, [[3n]]))).toEqual([[null, null, null]]);
    expect(values(decode(open, sql, [[5n]]))).toEqual([[null, '2.5', '1']]);
  });

  it('divide averages exactly', () => {
    const sql = `SELECT AVG(total_spent) AS a ${LAZY}`;
    const plan = planQuery(open.policy, open.digest, sql, { epsilon: null });
    const released = plan.measures.filter((m) => m.released).map((m) => m.measure.kind);
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 15n), 10n ** 15n), fc.bigInt(1n, 10n ** 6n), (sum, n) => {
        const cells = released.map((kind) => (kind === 'sum' ? sum : n));
        const cell = decode(open, sql, [cells]).rows[0]?.cells[0];
        const shown = BigInt(String(cell?.value).replace('.', ''));
        const digits = String(cell?.value).split('.')[1]?.length ?? 0;
        // |shown/10^digits - sum/(100 n)| is at most half a unit of the eighth digit.
        const off = shown * 100n * n * 10n ** BigInt(8 - digits) - sum * 10n ** 8n;
        expect((off < 0n ? -off : off) * 2n).toBeLessThanOrEqual(100n * n);
        expect(cell?.double).toBe(Number(sum) / Number(100n * n));
      }),
    );
  });

  it('clamps a private average and floors its count', () => {
    const sql = 'SELECT AVG(total_spent) AS a FROM joined_data';
    const plan = planQuery(real.policy, real.digest, sql, { epsilon: null });
    const released = plan.measures.filter((m) => m.released).map((m) => m.measure.kind);
    const of = (sum: bigint, n: bigint): AnswerTable['rows'][0]['cells'][0] | undefined =>
      decode(real, sql, [released.map((kind) => (kind === 'centredSum' ? sum : n))]).rows[0]
        ?.cells[0];
    // Bounds 0.00 to 500.00: the centre is 250.00, and the sum counts halves.
    expect(of(0n, 100n)).toMatchObject({ value: '250.00', double: 250 });
    expect(of(-2000n * 100n, 100n)).toMatchObject({ value: '240.00' });
    expect(of(-(10n ** 9n), 100n)).toMatchObject({ value: '0.00' });
    expect(of(10n ** 9n, -5n)).toMatchObject({ value: '500.00' });
    expect(of(0n, 100n)?.interval).toMatchObject({ mechanism: 'discrete_laplace', level: '0.95' });
  });

  it('labels groups of every type, NULL last', () => {
    const sql = 'SELECT vip, stars, COUNT(*) AS n FROM joined_data GROUP BY vip, stars';
    const groups = Array.from({ length: 12 }, (_, g) => [BigInt(g)]);
    const rows = values(decode(wide, sql, groups));
    expect(rows.slice(0, 5)).toEqual([
      [false, 1, 0],
      [false, 2, 1],
      [false, 10, 2],
      [false, null, 3],
      [true, 1, 4],
    ]);
    expect(rows[11]).toEqual([null, null, 11]);
  });

  it.each([
    ['n DESC', [4, 3, 2, 1]],
    ['n', [1, 2, 3, 4]],
    ['stars', [2, 3, 1, 4]],
    ['stars DESC', [4, 1, 3, 2]],
    ['stars NULLS FIRST', [4, 2, 3, 1]],
    ['stars DESC NULLS LAST', [1, 3, 2, 4]],
    ['n DESC LIMIT 2', [4, 3]],
  ])('orders by %s', (order, ns) => {
    // stars 1, 2, 10, NULL
    const sql = `SELECT stars, COUNT(*) AS n FROM joined_data GROUP BY stars ORDER BY ${order}`;
    const rows = values(decode(wide, sql, [[2n], [3n], [1n], [4n]]));
    expect(rows.map((row) => row[1])).toEqual(ns);
  });

  it('orders text by code point', () => {
    const sql = 'SELECT word FROM joined_data GROUP BY word ORDER BY word';
    const withCount = sql.replace('word FROM', 'word, COUNT(*) AS n FROM');
    const rows = values(decode(wide, withCount, [[1n], [1n], [1n], [1n]]));
    // U+FF5E is below U+1F600, though its UTF-16 unit is above the surrogates.
    expect(rows.map((row) => row[0])).toEqual(['a', 'b', '\uff5e', '\u{1f600}']);
  });

  it('puts suppressed rows last, and never shows one in place of another', () => {
    const sql = 'SELECT category, COUNT(*) AS n FROM joined_data GROUP BY category';
    const groups = [null, [20n, 5n], [20n, 7n]].map((cells) => cells?.slice(-1) ?? null);
    const ordered = decode(real, `${sql} ORDER BY n`, groups);
    expect(values(ordered)).toEqual([
      ['beauty', 5],
      ['sports', 7],
      ['home', null],
    ]);
    expect(values(decode(real, `${sql} LIMIT 2`, groups)).map((row) => row[0])).toEqual([
      'beauty',
      'sports',
    ]);
    expect(values(decode(real, sql, groups)).map((row) => row[0])).toEqual([
      'home',
      'beauty',
      'sports',
    ]);
  });
});

describe('intervals of what is made of noised numbers', () => {
  const ratio = 'SUM(total_spent) / COUNT(*)';
  const QUERIES = [
    'COUNT(*) - 2 * COUNT(DISTINCT hashed_email)',
    ratio,
    `${ratio} + COUNT(*)`,
    `COUNT(*) + COALESCE(${ratio}, 0)`,
    `LEAST(${ratio}, COUNT(*))`,
    `ABS(ROUND(${ratio}, 1)) * 3`,
    'AVG(total_spent) + COUNT(*)',
    'COUNT(*) * COUNT(DISTINCT hashed_email)',
    'CASE WHEN COUNT(*) > 40 THEN SUM(total_spent) ELSE 0 END',
    'CASE WHEN COUNT(*) = 40 THEN 1 WHEN NOT (SUM(total_spent) > 5 AND COUNT(*) < 90) THEN COUNT(*) END',
    'COALESCE(NULLIF(COUNT(*), 40), 1000000)',
    'CASE WHEN COUNT(*) > 40 THEN 1 ELSE 2 END + COUNT(*)',
  ].map((value) => {
    const sql = `SELECT ${value} AS a ${LAZY}`;
    const plan = planQuery(real.policy, real.digest, sql, { epsilon: '1' });
    const { widths } = releaseOf(plan);
    const parts = new Set(measuresOf(plan.output[0]!.value)).size;
    const released = widths.together(parts).filter((_, m) => plan.measures[m]!.released);
    const shown = (cells: readonly bigint[]): AnswerTable['rows'][0]['cells'][0] => {
      const bytes = answerBytes(plan, [cells]);
      const at = shareBytes(plan).open;
      const table = decodeAnswer(plan, bytes.subarray(0, at), bytes.subarray(at), widths);
      return table.rows[0]!.cells[0]!;
    };
    return { value, plan, shown, widths: released };
  });

  it.each(QUERIES)('hold the true value: $value', ({ shown, widths }) => {
    const cell = fc.tuple(fc.bigInt(0n, 150n), fc.double({ min: -1, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(cell, { minLength: 4, maxLength: 4 }), (drawn) => {
        const truth = widths.map((_, i) => drawn[i]![0]);
        const noised = widths.map((width, i) => {
          return truth[i]! + BigInt(Math.trunc(Number(width) * drawn[i]![1]));
        });
        const { interval } = shown(noised);
        if (interval === null) return;
        const { value } = shown(truth);
        // Ends and value are written with eight digits more than the scale.
        const [low, high] = [Number(interval.low) - 1e-7, Number(interval.high) + 1e-7];
        const held = low <= Number(value) && Number(value) <= high;
        expect(value !== null && held, `${truth.join()} as ${noised.join()}`).toBe(true);
      }),
    );
  });

  it('are there when the noise decides nothing, and not when it may', () => {
    const [sum] = QUERIES.filter(({ value }) => value.includes('ELSE 0'));
    const at = (count: bigint): unknown =>
      sum!.shown(
        sum!.plan.measures
          .filter(({ released }) => released)
          .map(({ measure }) => (measure.kind === 'sum' ? 500n : count)),
      ).interval;
    expect(at(100_000n)).toMatchObject({ level: '0.95' });
    expect(at(41n)).toBeNull();
  });
});

describe('bytes that contradict themselves', () => {
  const plan = planQuery(real.policy, real.digest, QUERY_1, { epsilon: null });
  const at = shareBytes(plan).open;
  const run = (bytes: Uint8Array) => () =>
    decodeAnswer(plan, bytes.slice(0, at), bytes.slice(at), releaseOf(plan).widths);

  it('are refused: a closed group with a value', () => {
    const bytes = answerBytes(plan, [[240n, 1n], null]);
    bytes[0]! ^= 1;
    expect(run(bytes)).toThrow(expect.objectContaining({ code: 'RESULT_INVALID' }));
  });

  it('are refused: an open group without one', () => {
    const bytes = answerBytes(plan, [[240n, 1n], null]);
    bytes[0]! |= 2;
    expect(run(bytes)).toThrow(expect.objectContaining({ code: 'RESULT_INVALID' }));
    expect(run(answerBytes(plan, [[SENTINEL, 1n], null]))).toThrow(
      expect.objectContaining({ code: 'RESULT_INVALID' }),
    );
  });

  it('are accepted with any padding behind the open bits', () => {
    const bytes = answerBytes(plan, [[240n, 1n], null]);
    bytes.fill(0xff, 1, at);
    bytes[0]! |= 0xfc;
    expect(run(bytes)).not.toThrow();
  });
});

describe('numbers', () => {
  const integers = fc.bigInt(-(2n ** 70n), 2n ** 70n);

  it('write scaled integers', () => {
    expect([
      scaledText(10775n, 2),
      scaledText(-5n, 2),
      scaledText(0n, 2),
      scaledText(-100n, 0),
    ]).toEqual(['107.75', '-0.05', '0.00', '-100']);
  });

  it('round half to even', () => {
    const halves = [-5n, -3n, -1n, 1n, 3n, 5n].map((n) => roundHalfEven(rational(n, 2n)));
    expect(halves).toEqual([-2n, -2n, 0n, 0n, 2n, 2n]);
    fc.assert(
      fc.property(integers, fc.bigInt(1n, 2n ** 40n), (num, den) => {
        const off = roundHalfEven(rational(num, den)) * den - num;
        expect(2n * (off < 0n ? -off : off)).toBeLessThanOrEqual(den);
      }),
    );
    expect(rationalText(rational(2n, 3n), 0)).toBe('0.666667');
    expect(rationalText(rational(215_50n, 4n), 2)).toBe('53.875');
    expect(rationalText(rational(300n, 2n), 2)).toBe('1.50');
    expect(rationalText(rational(4n, 2n), 0)).toBe('2');
    expect(rationalText(rational(-1n, 3n), 2)).toBe('-0.00333333');
  });

  it('give the nearest double', () => {
    const safe = fc.maxSafeInteger();
    fc.assert(
      fc.property(safe, fc.integer({ min: 1 }), (num, den) => {
        expect(nearestDouble({ num: BigInt(num), den: BigInt(den) })).toBe(
          num === 0 ? 0 : num / den,
        );
      }),
    );
    // Beyond 2^53 the rounded operands would round twice: 2^53 + 1 over 2^53 + 1 is 1.
    const big = 2n ** 53n + 1n;
    expect(nearestDouble({ num: big * 3n, den: big })).toBe(3);
    // Just above the tie between 2^53 and 2^53 + 2; the tie itself goes to the even one.
    const tie = (2n ** 53n + 1n) * 2n ** 60n;
    expect(nearestDouble({ num: tie, den: 2n ** 60n })).toBe(2 ** 53);
    expect(nearestDouble({ num: tie + 1n, den: 2n ** 60n })).toBe(2 ** 53 + 2);
  });

  it('compare text by code point', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const bytes = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
        // UTF-8 sorts as code points do.
        expect(Math.sign(compareText(a, b))).toBe(bytes);
      }),
    );
  });

  it('keep the true average inside the interval whenever the noise is within its half-widths', () => {
    const clamp = { lower: '-300', upper: '1000' };
    const truth = fc.array(fc.bigInt(-300n, 1000n), { minLength: 1, maxLength: 20 }).map((xs) => ({
      sum: xs.reduce((s, x) => s + 2n * x - 700n, 0n),
      count: BigInt(xs.length),
    }));
    const noise = fc.bigInt(-40n, 40n);
    fc.assert(
      fc.property(truth, noise, noise, (exact, a, b) => {
        const inputs = { sum: exact.sum + 100n * a, count: exact.count + b, clamp };
        const { low, high } = averageInterval(inputs, 4000n, 40n);
        const mean = averageOf({ ...exact, clamp });
        expect(compare(low, mean)).toBeLessThanOrEqual(0);
        expect(compare(mean, high)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
