// Goal: a query becomes the plan its meaning asks for: names, measures, sensitivities, bounds and
// output of the plan are right, and its digest depends on nothing but meaning and policy.
import { describe, expect, it } from 'vitest';
import {
  groupCount,
  measureCells,
  planDigest,
  planQuery,
  releasedMeasures,
} from '../../src/sql/index.ts';
import type { PairOperand, Plan, Side } from '../../src/sql/index.ts';
import type { ColumnPolicy, Policy } from '../../src/policy/types.ts';
import { DIGEST, exposures, PRIVATE, purchases, seedPolicy, wideTable } from './policies.ts';

const QUERY_1 = `
SELECT
  campaign_id,
  COUNT(DISTINCT hashed_email) AS converted_users,
  SUM(total_spent) AS total_revenue
FROM
  joined_data
WHERE
  exposure_date < purchase_date
GROUP BY
  campaign_id;
`;
const QUERY_2 = `
SELECT
  COUNT(DISTINCT hashed_email) AS overlap_count
FROM
  joined_data
WHERE
  total_spent > 100.00;
`;
const OPEN = seedPolicy({ differential: 'off', minUsers: 1 });
const NOISY = seedPolicy();
const plan = (sql: string, policy = NOISY, epsilon: string | null = null): Plan =>
  planQuery(policy, DIGEST, sql, { epsilon });

const column = (side: Side, name: string): PairOperand => ({
  side,
  column: name,
  nullable: false,
  scaleUp: 1,
  map: null,
});
const NARROW = { low: null, histogram: null, groupSum: null };
const NO_NOISE = { clamp: null, sensitivity: '0', epsilon: null };

describe('the seed’s queries', () => {
  it('plans campaign attribution without noise', () => {
    expect(plan(QUERY_1, OPEN)).toEqual({
      version: 5,
      room: 'shopgood-newsnow',
      policyDigest: DIGEST,
      sides: [
        {
          party: 'newsnow',
          table: 'exposures',
          joined: [],
          capacity: 2_000_000,
          eagerRows: null,
          slots: 4,
          filter: null,
          bits: [],
          columns: ['campaign_id', 'exposure_date'],
          derived: [],
          absent: null,
          bounds: null,
        },
        {
          party: 'shopgood',
          table: 'purchases',
          joined: [],
          capacity: 100_000,
          eagerRows: null,
          slots: 4,
          filter: null,
          bits: [],
          columns: ['purchase_date', 'total_spent'],
          derived: [],
          absent: null,
          bounds: null,
        },
      ],
      join: { oprf: 'ecdh', otFieldBits: 4, shards: 31 },
      pair: {
        kind: 'compare',
        op: '<',
        left: column(0, 'exposure_date'),
        right: column(1, 'purchase_date'),
        base: '20089',
        bits: 10,
      },
      contributions: null,
      groups: [
        {
          side: 0,
          column: 'campaign_id',
          domain: ['sg_fall25', 'sg_holiday25'],
          codes: null,
          type: 'text',
        },
      ],
      measures: [
        { measure: { kind: 'users' }, ...NO_NOISE, released: true, nonNullIndex: null, ...NARROW },
        {
          measure: { kind: 'sum', side: 1, column: 'total_spent' },
          ...NO_NOISE,
          released: true,
          nonNullIndex: 2,
          ...NARROW,
        },
        {
          measure: { kind: 'nonNull', side: 1, column: 'total_spent' },
          ...NO_NOISE,
          released: false,
          nonNullIndex: null,
          ...NARROW,
        },
      ],
      output: [
        { name: 'campaign_id', value: { kind: 'group', key: 0 }, scale: 0, type: 'text' },
        {
          name: 'converted_users',
          value: { kind: 'measure', measure: 0 },
          scale: 0,
          type: 'integer',
        },
        {
          name: 'total_revenue',
          value: { kind: 'measure', measure: 1 },
          scale: 2,
          type: 'decimal',
        },
      ],
      hidden: [],
      having: null,
      orderBy: [],
      limit: null,
      offset: 0,
      privacy: {
        selection: 'exact_k',
        belowK: null,
        differential: null,
        minUsers: 1,
        confidenceLevel: '0.95',
      },
    } satisfies Plan);
  });

  it('plans campaign attribution with noise', () => {
    const { sides, measures, privacy, contributions } = plan(QUERY_1);
    expect(sides.map((side) => [side.slots, side.bounds])).toEqual([
      [4, { partitions: 1, rowsPerPartition: 4 }],
      [4, { partitions: 1, rowsPerPartition: 4 }],
    ]);
    // Four rows of each make sixteen; four of those count.
    expect(contributions).toEqual({ rule: 'joined', partitions: null, rowsPerPartition: 4 });
    expect(measures).toEqual([
      {
        measure: { kind: 'users' },
        clamp: null,
        sensitivity: '1',
        epsilon: '1/4',
        released: true,
        nonNullIndex: null,
        ...NARROW,
      },
      {
        measure: { kind: 'sum', side: 1, column: 'total_spent' },
        clamp: { lower: '0', upper: '50000' },
        sensitivity: '200000',
        epsilon: '1/4',
        released: true,
        nonNullIndex: null,
        ...NARROW,
      },
    ]);
    expect(privacy).toEqual({
      selection: 'pre_threshold',
      belowK: null,
      minUsers: 10,
      confidenceLevel: '0.95',
      differential: {
        mechanism: 'discrete_laplace',
        epsilon: '1/2',
        delta: '1/20000000',
        maxPartitions: 1,
        maxContributions: 4,
        thresholdBits: 64,
      },
    });
  });

  it('plans audience overlap with the smaller table as pivot', () => {
    const { sides, pair, groups, measures, output } = plan(QUERY_2, OPEN);
    expect(sides[0]!).toEqual({
      party: 'shopgood',
      table: 'purchases',
      joined: [],
      capacity: 100_000,
      eagerRows: 4,
      slots: 1,
      filter: {
        kind: 'compare',
        op: '>',
        left: { column: 'total_spent', scaleUp: 1 },
        right: { value: '10000' },
      },
      bits: [],
      columns: [],
      derived: [],
      absent: null,
      bounds: null,
    });
    expect(sides[1]!).toMatchObject({ party: 'newsnow', filter: null, columns: [] });
    expect([pair, groups]).toEqual([null, []]);
    expect(measures).toHaveLength(1);
    expect(output).toEqual([
      { name: 'overlap_count', value: { kind: 'measure', measure: 0 }, scale: 0, type: 'integer' },
    ]);
  });

  it('pins their digests', () => {
    const digests = [QUERY_1, QUERY_2].flatMap((sql) =>
      [OPEN, NOISY].map((p) => planDigest(plan(sql, p))),
    );
    expect(digests).toMatchInlineSnapshot(`
      [
        "fedf6a926f5a3305a7b57f198d5546c736e5ddd4e9330233a9829362027782b0",
        "1195fbc0a027571b9346ac4f817b5fe4297a98b39b4ffdf6e8c65f6492e3f85e",
        "f09e2b46970d91dc71479725150ea33f9ee40bbda06a640af82c6405bdc32213",
        "cc385d64eb9dd5991c21f0fe57c0a1921401a0501764782e3f826dac83d6e96c",
      ]
    `);
  });
});

describe('digests', () => {
  const BASE = `SELECT campaign_id, COUNT(*) AS n, AVG(total_spent) AS a FROM joined_data
    WHERE exposure_date < purchase_date AND category IN ('home', 'sports') AND total_spent >= 10
    GROUP BY campaign_id ORDER BY n DESC LIMIT 5`;

  it.each([
    BASE.replaceAll(/\s+/g, ' '),
    BASE.replaceAll(/\s+/g, '\n/* a /* nested */ comment */ -- and another\n') + ';;',
    BASE.toUpperCase().replace("'HOME', 'SPORTS'", "'home', 'sports'"),
    BASE.replace("'home', 'sports'", "'sports', 'home', 'home'"),
    BASE.replace('exposure_date < purchase_date', '((purchase_date > exposure_date))'),
    BASE.replace('total_spent >= 10', 'NOT total_spent < 10.00 AND TRUE'),
    BASE.replace('total_spent >= 10', '1e1 <= total_spent AND 10 <= total_spent'),
    BASE.replace('GROUP BY campaign_id', 'GROUP BY 1').replace('ORDER BY n', 'ORDER BY 2'),
    BASE.replace('ORDER BY n', 'ORDER BY COUNT(*)').replace('LIMIT', 'NULLS FIRST LIMIT'),
    BASE.replace('COUNT(*)', 'COUNT(hashed_email)'),
    BASE.replace('joined_data', 'joined_data AS j').replace('campaign_id,', '"j"."campaign_id",'),
    BASE.replace('joined_data', 'purchases AS p JOIN newsnow.exposures y ON p.email = y.email'),
    BASE.replace('joined_data', 'exposures INNER JOIN purchases USING (email)'),
  ])('are equal for %j', (sql) => {
    expect(planDigest(plan(sql))).toBe(planDigest(plan(BASE)));
  });

  it.each([
    BASE.replace('total_spent >= 10', 'total_spent > 10'),
    BASE.replace('AS n', 'AS "N"').replace('BY n', 'BY "N"'),
    BASE.replace('COUNT(*)', 'COUNT(total_spent)'),
    BASE.replace('LIMIT 5', 'LIMIT 6'),
    BASE.replace('DESC', 'DESC NULLS LAST'),
    BASE.replace("'home', ", ''),
    BASE.replace('AND category', 'OR category'),
  ])('differ for %j', (sql) => {
    expect(planDigest(plan(sql))).not.toBe(planDigest(plan(BASE)));
  });

  it('cover the policy digest and epsilon', () => {
    const base = planDigest(plan(BASE));
    expect(planDigest(plan(BASE, NOISY, '0.25'))).not.toBe(base);
    expect(planDigest(plan(BASE, NOISY, '5e-1'))).toBe(base);
    expect(planDigest(planQuery(NOISY, 'cd'.repeat(32), BASE, { epsilon: null }))).not.toBe(base);
  });
});

describe('measures', () => {
  const kinds = (p: Plan): string[] =>
    p.measures.map((m) => `${m.released ? '' : '-'}${m.measure.kind}`);

  it('computes equal quantities once', () => {
    const sql = `SELECT SUM(total_spent) a, AVG(total_spent) b, COUNT(total_spent) c, COUNT(*) d,
      COUNT(category) e, COUNT(1) f, COUNT(ALL hashed_email) g FROM joined_data
      WHERE exposure_date < purchase_date`;
    expect(kinds(plan(sql, OPEN))).toEqual(['-users', 'sum', 'nonNull', 'rows']);
    expect(kinds(plan(sql))).toEqual(['-users', 'sum', 'nonNull', 'centredSum', 'rows']);
    expect(plan(sql, OPEN).output.map(({ value }) => value)).toEqual([
      { kind: 'measure', measure: 1 },
      { kind: 'average', sum: 1, count: 2, centred: false },
      { kind: 'measure', measure: 2 },
      ...[3, 3, 3, 3].map((measure) => ({ kind: 'measure', measure })),
    ]);
    expect(plan(sql).output[1]).toMatchObject({
      value: { kind: 'average', sum: 3, count: 2, centred: true },
      scale: 2,
      type: 'double',
    });
  });

  it('splits epsilon over what is released, and the user count when its noise gates', () => {
    const shares = (
      selection: 'pre_threshold' | 'exact_k' | 'noisy',
      sql: string,
    ): (string | null)[] => plan(sql, seedPolicy({ selection })).measures.map((m) => m.epsilon);
    const hidden = 'SELECT COUNT(*), SUM(total_spent) FROM joined_data';
    const shown = `SELECT COUNT(DISTINCT hashed_email) u, COUNT(*) r FROM joined_data`;
    expect(shares('pre_threshold', hidden)).toEqual(['1/6', '1/6', '1/6']);
    expect(shares('noisy', hidden)).toEqual(['1/6', '1/6', '1/6']);
    expect(shares('exact_k', hidden)).toEqual([null, '1/4', '1/4']);
    expect(shares('exact_k', shown)).toEqual(['1/4', '1/4']);
    expect(plan(hidden, NOISY, '0.3').measures[0]!.epsilon).toBe('1/10');
  });

  it('shares epsilon out by the weights of aggregates and columns', () => {
    const weighted = (weights: Readonly<Record<string, string>>, column?: string): Policy => {
      const total = { ...purchases.columns.total_spent!, ...(column && { budget_weight: column }) };
      return seedPolicy({
        differential: { ...PRIVATE, budget_weight: weights },
        first: { ...purchases, columns: { ...purchases.columns, total_spent: total } },
      });
    };
    const shares = (policy: Policy, sql: string): (string | null)[] =>
      plan(`SELECT ${sql} FROM joined_data`, policy, '1').measures.map((m) => m.epsilon);
    const both = 'COUNT(*), SUM(total_spent)';
    // The hidden user count takes its own share first.
    expect(shares(weighted({ SUM: '2' }), both)).toEqual(['1/4', '1/4', '1/2']);
    expect(shares(weighted({ SUM: '2' }, '1.5'), both)).toEqual(['1/5', '1/5', '3/5']);
    expect(shares(weighted({ COUNT_DISTINCT: '0.5' }), both)).toEqual(['1/5', '2/5', '2/5']);
    // A quantity that two aggregates need has the larger weight of the two.
    const shared = 'COUNT(total_spent), AVG(total_spent)';
    expect(shares(weighted({ AVG: '2' }), shared)).toEqual(['1/5', '2/5', '2/5']);
    expect(shares(weighted({ AVG: '0.5' }), shared)).toEqual(['2/5', '2/5', '1/5']);
    expect(shares(weighted({}), both)).toEqual(['1/3', '1/3', '1/3']);
  });

  it('bounds a SUM by what one user adds up to in a group, where the policy says so', () => {
    const policyWith = (bounds: Partial<ColumnPolicy>, minRows = 4): Policy => {
      const total = { type: 'decimal', nullable: true, scale: 2, ...bounds } as const;
      const columns = { ...purchases.columns, total_spent: total };
      const differential = { ...PRIVATE, max_partitions_contributed: 2 };
      return seedPolicy({
        differential,
        first: { ...purchases, max_rows_per_user: minRows, columns },
      });
    };
    const sum = (policy: Policy) =>
      plan('SELECT campaign_id, SUM(total_spent) FROM joined_data GROUP BY campaign_id', policy)
        .measures[1]!;
    const sums = { min_sum_per_partition: '-10.00', max_sum_per_partition: '300' };
    // Values unbounded: up to 10^12 − 1 each, four rows in each of two groups.
    expect(sum(policyWith(sums))).toMatchObject({
      clamp: null,
      groupSum: { lower: '-1000', upper: '30000', bits: 44 },
      sensitivity: '60000',
    });
    // Both: values are held first, and the smaller of the two sensitivities counts.
    const both = policyWith({ ...sums, lower: '0.00', upper: '100.00' });
    expect(sum(both)).toMatchObject({ clamp: { upper: '10000' }, sensitivity: '60000' });
    const small = policyWith({ ...sums, lower: '0.00', upper: '50.00' });
    expect(sum(small).sensitivity).toBe('40000');
    // What needs bounds of single values still does.
    const only = policyWith(sums);
    for (const asked of ['AVG(total_spent)', 'SUM(total_spent + 1)', 'SUM(total_spent * 2)']) {
      expect(() => plan(`SELECT ${asked} FROM joined_data`, only)).toThrow(
        expect.objectContaining({ code: 'COLUMN_UNBOUNDED' }) as Error,
      );
    }
    // Without noise nobody is bounded.
    const open = { ...only.rules, differential_privacy: 'off' } as const;
    expect(sum({ ...only, rules: open }).groupSum).toBeNull();
  });

  it('bounds sensitivities by the groups and rows one user can touch', () => {
    const policy = seedPolicy({
      differential: {
        ...PRIVATE,
        max_partitions_contributed: 2,
        max_contributions_per_partition: 6,
      },
      first: {
        ...purchases,
        columns: {
          x: { type: 'decimal', nullable: false, scale: 1, lower: '-3.5', upper: '2' },
          z: { type: 'integer', nullable: false, lower: '0', upper: '0' },
          v: { type: 'integer', nullable: false, values: ['-4', '3'] },
        },
      },
      selection: 'exact_k',
    });
    const of = (group: string): Record<string, string> => {
      const sql = `SELECT COUNT(DISTINCT hashed_email) u, COUNT(*) r, SUM(x) s, AVG(x) a, SUM(z) z,
        SUM(v) v FROM joined_data ${group}`;
      const entries = plan(sql, policy).measures.map((m, i) => [
        `${i}${m.measure.kind}`,
        m.sensitivity,
      ]);
      return Object.fromEntries(entries) as Record<string, string>;
    };
    // L0 = 2 groups of C = 6 rows each.
    expect(of('GROUP BY campaign_id')).toEqual({
      '0users': '2',
      '1rows': '12',
      '2sum': '420',
      '3centredSum': '660',
      '4sum': '1',
      '5sum': '48',
    });
    expect(of('')).toMatchObject({ '0users': '1', '1rows': '6', '2sum': '210' });
  });
});

describe('sides', () => {
  const ALL = 'SELECT COUNT(*) FROM joined_data';
  const SOME = `${ALL} WHERE exposure_date < purchase_date`;
  const bounded = (c: number, rows: readonly [number, number], sql: string) => {
    const policy = seedPolicy({
      differential: { ...PRIVATE, max_contributions_per_partition: c },
      first: { ...purchases, max_rows_per_user: rows[0] },
      second: { ...exposures, max_rows_per_user: rows[1] },
    });
    const { sides, contributions, measures } = plan(sql, policy);
    expect(sides[0]!.party).toBe('shopgood');
    const slots = sides.map((side) => side.eagerRows ?? side.slots);
    // Without groups a side keeps as many rows as it has slots.
    expect(sides.map((side) => side.bounds?.rowsPerPartition)).toEqual(slots);
    const { rule, rowsPerPartition } = contributions!;
    return [slots, rule, rowsPerPartition, measures[1]!.sensitivity];
  };

  it.each([
    // All joined rows qualify: no side needs more than C rows of a user.
    [1, [4, 4], ALL, [1, 1], 'joined', null, '1'],
    [2, [4, 4], ALL, [2, 2], 'joined', 2, '2'],
    [5, [4, 4], ALL, [4, 4], 'joined', 5, '5'],
    [16, [4, 4], ALL, [4, 4], 'joined', null, '16'],
    [7, [1, 8], ALL, [1, 7], 'joined', null, '7'],
    // Some do: any row may be among the first C that do.
    [1, [4, 4], SOME, [4, 4], 'joined', 1, '1'],
    [4, [2, 2], SOME, [2, 2], 'joined', null, '4'],
    [6, [8, 8], SOME, [8, 8], 'joined', 6, '6'],
    // Above 64 combinations C is split between the sides.
    [6, [8, 9], SOME, [3, 2], 'split', null, '6'],
    [5, [16, 16], SOME, [5, 1], 'split', null, '5'],
    [9, [16, 16], ALL, [3, 3], 'split', null, '9'],
    [8, [16, 16], ALL, [8, 8], 'joined', 8, '8'],
  ] as const)('C = %i over %j rows: %s', (c, rows, sql, ...expected) => {
    expect(bounded(c, rows, sql)).toEqual(expected);
  });

  it('splits C where many quantities make bounding on shares dear', () => {
    const policy = seedPolicy({ aggregates: ['COUNT', 'SUM'] });
    const sums = Array.from({ length: 16 }, (_, i) => `SUM(total_spent * ${i + 1})`);
    const ask = (n: number) =>
      plan(
        `SELECT ${sums.slice(0, n).join(', ')} FROM joined_data WHERE exposure_date < purchase_date`,
        policy,
      );
    expect(ask(15).contributions?.rule).toBe('joined');
    expect(ask(16).contributions?.rule).toBe('split');
    expect(ask(16).sides.map(({ slots }) => slots)).toEqual([2, 2]);
  });

  const text = (...values: string[]): ColumnPolicy => ({ type: 'text', nullable: false, values });
  const grouped = seedPolicy({
    first: wideTable({ a: text('p', 'q', 'r'), f: { type: 'boolean', nullable: true } }),
    second: wideTable({
      b: text('s', 't'),
      n: { type: 'integer', nullable: false, values: ['7', '8', '9'] },
    }),
  });
  const pivotOf = (by: string): string =>
    plan(`SELECT COUNT(*) FROM joined_data ${by === '' ? '' : 'GROUP BY'} ${by}`, grouped).sides[0]!
      .party;

  it.each([
    ['', 'shopgood'],
    ['a', 'shopgood'],
    ['b', 'newsnow'],
    ['a, b', 'shopgood'],
    ['b, a', 'shopgood'],
    ['a, b, n', 'newsnow'],
    ['a, n', 'shopgood'],
    ['a, f, b, n', 'shopgood'],
  ])('GROUP BY %j makes %s the pivot', (by, party) => {
    expect(pivotOf(by)).toBe(party);
  });

  it('lists domains in GROUP BY order, NULL last', () => {
    const p = plan('SELECT COUNT(*), f FROM joined_data GROUP BY n, f, f, 2', grouped);
    expect(p.groups).toEqual([
      { side: 1, column: 'n', domain: ['7', '8', '9'], codes: [7, 8, 9], type: 'integer' },
      { side: 0, column: 'f', domain: ['false', 'true', null], codes: null, type: 'boolean' },
    ]);
    expect(p.output[1]).toEqual({
      name: 'f',
      value: { kind: 'group', key: 1 },
      scale: 0,
      type: 'boolean',
    });
    expect([groupCount(p), measureCells(p), releasedMeasures(p)]).toEqual([9, 9, [1]]);
    expect(p.sides.map((side) => side.columns)).toEqual([['f'], ['n']]);
  });

  it('bounds the groups of a user by their owner, or on shares when there are several', () => {
    const policy = seedPolicy({ differential: { ...PRIVATE, max_partitions_contributed: 2 } });
    const ask = (rest: string): unknown => {
      const { sides, contributions, measures } = plan(`${ALL} ${rest}`, policy);
      return [
        sides.map((side) => [side.party, side.bounds?.partitions, side.slots]),
        contributions?.partitions,
        measures[0]!.sensitivity,
      ];
    };
    const [shop, news] = ['shopgood', 'newsnow'];
    expect(ask('GROUP BY category')).toEqual([
      [
        [shop, 2, 4],
        [news, 1, 4],
      ],
      null,
      '2',
    ]);
    expect(ask('GROUP BY category, campaign_id')).toEqual([
      [
        [shop, 2, 4],
        [news, 2, 4],
      ],
      2,
      '2',
    ]);
    const mixed = 'WHERE exposure_date < purchase_date GROUP BY category';
    expect(ask(mixed)).toEqual([
      [
        [shop, 2, 4],
        [news, 1, 4],
      ],
      null,
      '2',
    ]);
    // With a condition across tables, a group of a later row may be the first that counts.
    const both = [
      [
        [shop, 3, 4],
        [news, 2, 4],
      ],
      2,
      '2',
    ];
    expect(ask(`${mixed}, campaign_id`)).toEqual(both);
  });
});

describe('ORDER BY and LIMIT', () => {
  const order = (by: string): Plan['orderBy'] =>
    plan(
      `SELECT campaign_id AS c, COUNT(*), SUM(total_spent) AS category FROM joined_data
       GROUP BY c ORDER BY ${by}`,
    ).orderBy;
  const key = (
    index: number,
    descending = false,
    nullsFirst = descending,
  ): Plan['orderBy'][number] => ({
    column: index,
    descending,
    nullsFirst,
  });

  it.each([
    ['1', [key(0)]],
    ['c DESC', [key(0, true)]],
    ['campaign_id', [key(0)]],
    ['count DESC NULLS LAST', [key(1, true, false)]],
    ['COUNT(*) ASC NULLS FIRST, 1', [key(1, false, true), key(0)]],
    // An output name hides the column of that name.
    ['category', [key(2)]],
    ['sum(total_spent), 3 DESC', [key(2)]],
  ])('reads %j', (by, expected) => {
    expect(order(by)).toEqual(expected);
  });

  it('takes LIMIT 0', () => {
    expect(plan('SELECT COUNT(*) FROM joined_data LIMIT 0').limit).toBe(0);
  });
});

describe('comparisons across parties', () => {
  const policy = seedPolicy({
    differential: 'off',
    first: wideTable({
      a: { type: 'decimal', nullable: true, scale: 2 },
      t: { type: 'text', nullable: false, values: ['x', 'y'] },
      v: { type: 'integer', nullable: false, values: ['-4', '9'] },
      far: { type: 'decimal', nullable: false, scale: 6 },
    }),
    second: wideTable({
      b: { type: 'integer', nullable: false },
      u: { type: 'text', nullable: true, values: ['z', 'y'] },
      w: { type: 'integer', nullable: false, values: ['0', '2'] },
    }),
  });
  const pairOf = (where: string): Plan['pair'] =>
    plan(`SELECT COUNT(*) FROM joined_data WHERE ${where}`, policy).pair;

  it('brings decimals to one scale', () => {
    expect(pairOf('b >= a')).toEqual({
      kind: 'compare',
      op: '<=',
      left: { side: 0, column: 'a', nullable: true, scaleUp: 1, map: null },
      right: { side: 1, column: 'b', nullable: false, scaleUp: 100, map: null },
      base: '-99999999999900',
      bits: 48,
    });
  });

  it('maps texts into their joint domain', () => {
    expect(pairOf('NOT t = u')).toEqual({
      kind: 'compare',
      op: '<>',
      left: { side: 0, column: 't', nullable: false, scaleUp: 1, map: null },
      right: { side: 1, column: 'u', nullable: true, scaleUp: 1, map: [2, 1] },
      base: '0',
      bits: 2,
    });
  });

  it('uses declared integers, and refuses scales too far apart', () => {
    expect(pairOf('v = w')).toMatchObject({ base: '-4', bits: 4 });
    expect(() => pairOf('far = b')).toThrow(expect.objectContaining({ code: 'SQL_TYPE_MISMATCH' }));
  });
});
