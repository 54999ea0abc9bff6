// Goal: a policy is read exactly as docs/policy.md says, everything else is refused by code and
// path, and only a packet signed by all its parties, and nobody else, is believed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toBase64Url } from '../../src/core/bytes.ts';
import { formatRational, parseDecimal } from '../../src/core/rational.ts';
import {
  completeDraft,
  formatPacket,
  packetOf,
  parsePacket,
  parsePolicy,
  parsePolicyDraft,
  policyDigest,
  signPolicy,
  verifyPacket,
} from '../../src/policy/index.ts';
import { policyOf } from '../../src/policy/policy.ts';
import { decimalOf } from '../../src/policy/schema.ts';
import type { Policy } from '../../src/policy/types.ts';
import { partyKeys, ROOM_YAML, sampleRoom } from './samples.ts';

const room = sampleRoom();

function refusalOf(run: () => unknown): { code: string; path: string | undefined } {
  try {
    run();
  } catch (error) {
    const { code, detail } = error as { code: string; detail: { path?: string } };
    return { code, path: detail.path };
  }
  throw new Error('nothing was refused');
}

const edited = (from: string, to: string) => (): unknown => {
  expect(ROOM_YAML).toContain(from);
  return parsePolicyDraft(ROOM_YAML.replace(from, to));
};

describe('policy', () => {
  it('fills in the documented defaults', () => {
    const { rules, execution, parties } = room.policy;
    expect(rules).toMatchObject({
      confidence_level: '0.95',
      join: { oprf: 'ecdh' },
      size_disclosure: 'declared',
    });
    expect(rules.differential_privacy).toEqual({
      noise_mechanism: 'discrete_laplace',
      epsilon_budget: '3',
      max_epsilon_per_query: '1',
      default_epsilon_per_query: '0.5',
      delta_budget: '1e-6',
      delta_per_query: '5e-8',
      max_partitions_contributed: 1,
      max_contributions_per_partition: 4,
      noise_threshold_bits: 64,
    });
    expect(execution).toEqual({ backends: ['mpc'], tee: null, links: 'relay' });
    expect(parties[0]?.tables['purchases']?.columns['category']?.nullable).toBe(false);
    const bare = parsePolicyDraft(
      ROOM_YAML.replace(/ {2}min_privacy.*\n {2}partition.*\n/, '').replace(
        /max_epsilon_per_query: "1"/,
        'max_epsilon_per_query: "0.1"',
      ),
    ).rules;
    expect(bare).toMatchObject({
      min_privacy_units_per_group: 50,
      partition_selection: 'pre_threshold',
      differential_privacy: { default_epsilon_per_query: '0.1' },
    });
  });

  it('reads the same policy from YAML, from JSON and from what it wrote', () => {
    const text = JSON.stringify(room.policy);
    expect(parsePolicy(text)).toEqual(room.policy);
    expect(policyDigest(parsePolicy(text))).toBe(room.digest);
    expect(parsePacket(formatPacket(room.packet))).toEqual(room.packet);
  });

  it('pins the digest of the sample room', () => {
    expect(room.digest).toMatchInlineSnapshot(
      `"644ab64cabc9ab09a280d830c245a29c9297864f8fda1d2d50191c2a9db2c107"`,
    );
  });

  describe('direct links', () => {
    const direct = (first: string | null, second: string | null): Policy =>
      policyOf({
        ...room.policy,
        parties: room.policy.parties.map((party, i) => {
          const address = [first, second][i];
          return address === null ? party : { ...party, address };
        }),
        execution: { ...room.policy.execution, links: 'direct' },
      });
    const fine = 'wss://links.shopgood.example';

    it('names the party without an address', () => {
      expect(direct(fine, 'ws://[::1]:7700/a/b').execution.links).toBe('direct');
      for (const [first, second, i] of [
        [null, fine, 0],
        [fine, null, 1],
      ] as const) {
        expect(refusalOf(() => direct(first, second))).toEqual({
          code: 'POLICY_OUT_OF_RANGE',
          path: `parties.${i}.address`,
        });
      }
      // A draft is filled in later.
      const draft = parsePolicyDraft(`${ROOM_YAML}execution: { links: direct }\n`);
      expect(draft.execution.links).toBe('direct');
    });

    it.each([
      'http://a.example',
      'wss://',
      'wss://user:secret@a.example',
      'wss://a.example/?q',
      'wss://a.example/#f',
      'wss://a.example/a//b',
      'wss://a.example:99999',
      'wss://a b.example',
      `wss://${'a'.repeat(256)}`,
      fine,
    ])('refuses the address %s', (address) => {
      const at = address === fine ? 1 : 0;
      expect(refusalOf(() => direct(address, fine))).toEqual({
        code: expect.stringMatching(/^POLICY_/) as string,
        path: `parties.${at}.address`,
      });
    });
  });

  it.each(['off', '"off"', 'false'])('reads differential_privacy: %s as off', (word) => {
    const yaml = ROOM_YAML.replace(
      /differential_privacy:\n(.|\n)*$/,
      `differential_privacy: ${word}`,
    );
    expect(parsePolicyDraft(yaml).rules.differential_privacy).toBe('off');
  });

  it('takes whole numbers without quotes for decimals', () => {
    const draft = parsePolicyDraft(ROOM_YAML.replace('epsilon_budget: "3"', 'epsilon_budget: 3'));
    expect(draft.rules.differential_privacy).toMatchObject({ epsilon_budget: '3' });
  });

  it('writes a default delta that is exactly a twentieth', () => {
    const decimals = fc.tuple(
      fc.integer({ min: 1, max: 10 ** 9 }),
      fc.integer({ min: -30, max: 3 }),
    );
    fc.assert(
      fc.property(decimals, ([digits, exponent]) => {
        const value = parseDecimal(`${digits}e${exponent}`);
        const written = parseDecimal(decimalOf({ num: value.num, den: value.den * 20n }));
        expect(formatRational(written)).toBe(
          formatRational(parseDecimal(`${digits * 5}e${exponent - 2}`)),
        );
      }),
    );
    expect(decimalOf({ num: 1n, den: 40n })).toBe('0.025');
    expect(decimalOf({ num: 7n, den: 1n })).toBe('7');
  });

  it('completes a draft without touching what it says', () => {
    const own = partyKeys('other');
    const draft = parsePolicyDraft(
      ROOM_YAML.replace(
        '- name: newsnow',
        `- name: newsnow\n    identity_key: ${own.identity.publicKey}`,
      ),
    );
    const { parties, analysts, identifier_salt } = room.policy;
    const policy = completeDraft(draft, {
      identifier_salt,
      parties: Object.fromEntries(parties.map((p) => [p.name, p])),
      analysts: [...analysts, { ...analystOf('bo') }],
    });
    expect(policy.parties[1]?.identity_key).toBe(own.identity.publicKey);
    expect(policy.analysts.map((a) => a.name)).toEqual(['ana', 'bo']);
    expect(
      refusalOf(() => completeDraft(draft, { identifier_salt, parties: {}, analysts })),
    ).toEqual({
      code: 'POLICY_MALFORMED',
      path: 'parties.0.identity_key',
    });
  });

  it.each([
    ['an unknown field', 'version: 1', 'version: 1\nextra: 1', 'POLICY_MALFORMED', 'extra'],
    [
      'an unknown field inside',
      'epsilon_budget: "3"',
      'epsilon: "3"',
      'POLICY_MALFORMED',
      'rules.differential_privacy.epsilon',
    ],
    [
      'a missing field',
      '        max_users: 1000\n',
      '',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.max_users',
    ],
    ['a second version', 'version: 1', 'version: 2', 'POLICY_OUT_OF_RANGE', 'version'],
    ['a field twice', 'version: 1', 'version: 1\nversion: 1', 'POLICY_MALFORMED', undefined],
    [
      'a float',
      'upper: "500.00"',
      'upper: 500.00',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.total_spent.upper',
    ],
    [
      'a float that is whole',
      'epsilon_budget: "3"',
      'epsilon_budget: 3.0',
      'POLICY_MALFORMED',
      'rules.differential_privacy.epsilon_budget',
    ],
    [
      'an alias',
      'values: [home, beauty, sports]',
      'values: &v [home, beauty, *v]',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.category.values.2',
    ],
    ['a tag', 'room: shopgood-newsnow', 'room: !!binary aGk=', 'POLICY_MALFORMED', 'room'],
    [
      'a second document',
      'version: 1',
      'version: 1\n---\nversion: 1',
      'POLICY_MALFORMED',
      undefined,
    ],
    ['__proto__', 'version: 1', 'version: 1\n__proto__: { a: 1 }', 'POLICY_MALFORMED', undefined],
    ['broken YAML', 'version: 1', 'version: [', 'POLICY_MALFORMED', undefined],
    [
      'a column named as SQL cannot',
      'category:',
      'Category:',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.Category',
    ],
    [
      'an unknown type',
      'type: text, values: [home',
      'type: money, values: [home',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.category.type',
    ],
    [
      'a value that is a number',
      '[home, beauty',
      '[1, beauty',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.category.values.0',
    ],
    [
      'a value twice',
      '[home, beauty',
      '[home, home',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.category.values.1',
    ],
    [
      'a value twice, spelled in two ways of Unicode',
      '[home, beauty',
      '["caf\\u00e9", "cafe\\u0301"',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.category.values.1',
    ],
    [
      'no values',
      '[home, beauty, sports]',
      '[]',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.category.values',
    ],
    [
      'a day that does not exist',
      'min: 2025-01-01',
      'min: 2025-02-29',
      'POLICY_MALFORMED',
      'parties.0.tables.purchases.columns.purchase_date.min',
    ],
    [
      'a range upside down',
      'min: 2025-01-01',
      'min: 2027-01-01',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.purchase_date.min',
    ],
    [
      'bounds upside down',
      'lower: "0.00"',
      'lower: "500.01"',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.lower',
    ],
    [
      'a bound beyond the scale',
      'lower: "0.00"',
      'lower: "0.001"',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.lower',
    ],
    [
      'one bound alone',
      'lower: "0.00", ',
      '',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.lower',
    ],
    [
      'a bound no row reaches',
      '"500.00"',
      '"10000000000.01"',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.upper',
    ],
    [
      'scale 7',
      'scale: 2',
      'scale: 7',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.scale',
    ],
    [
      'too many users',
      'max_users: 1000',
      'max_users: 4194305',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.max_users',
    ],
    [
      '65 rows',
      'max_rows_per_user: 4',
      'max_rows_per_user: 65',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.max_rows_per_user',
    ],
    [
      'the unit as a column',
      'category:',
      'email:',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.email',
    ],
    ['one party', /( {2}- name: newsnow(.|\n)*)(?=views:)/, '', 'POLICY_OUT_OF_RANGE', 'parties'],
    ['a party twice', 'name: newsnow', 'name: shopgood', 'POLICY_OUT_OF_RANGE', 'parties.1.name'],
    [
      'a table twice',
      'exposures:',
      'purchases:',
      'POLICY_OUT_OF_RANGE',
      'parties.1.tables.purchases',
    ],
    [
      'a view of nothing',
      '[purchases, exposures]',
      '[purchases, clicks]',
      'POLICY_OUT_OF_RANGE',
      'views.joined_data.join.1',
    ],
    [
      'a view of one party',
      '[purchases, exposures]',
      '[purchases, purchases]',
      'POLICY_OUT_OF_RANGE',
      'views.joined_data.join',
    ],
    [
      'a view of three',
      '[purchases, exposures]',
      '[purchases, exposures, purchases]',
      'POLICY_OUT_OF_RANGE',
      'views.joined_data.join',
    ],
    [
      'a view named like a table',
      'joined_data:',
      'exposures:',
      'POLICY_OUT_OF_RANGE',
      'views.exposures',
    ],
    [
      'an alias that is a column',
      'alias: hashed_email',
      'alias: category',
      'POLICY_OUT_OF_RANGE',
      'views.joined_data.privacy_unit_alias',
    ],
    [
      'identifiers that never match',
      'email, kind: email',
      'email, kind: phone',
      'POLICY_OUT_OF_RANGE',
      'views.joined_data.join',
    ],
    [
      'C above rA rB',
      'per_partition: 4',
      'per_partition: 17',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.max_contributions_per_partition',
    ],
    [
      'L0 missing',
      '    max_partitions_contributed: 1\n',
      '',
      'POLICY_MALFORMED',
      'rules.differential_privacy.max_partitions_contributed',
    ],
    ['no budget', '"3"', '"0"', 'POLICY_OUT_OF_RANGE', 'rules.differential_privacy.epsilon_budget'],
    [
      'a query above the budget',
      'query: "1"',
      'query: "3.5"',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.max_epsilon_per_query',
    ],
    [
      'a default above the cap',
      'delta_budget',
      'default_epsilon_per_query: "2"\n    delta_budget',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.default_epsilon_per_query',
    ],
    [
      'a negative epsilon',
      '"3"',
      '"-3"',
      'POLICY_MALFORMED',
      'rules.differential_privacy.epsilon_budget',
    ],
    ['delta 1', '"1e-6"', '"1"', 'POLICY_OUT_OF_RANGE', 'rules.differential_privacy.delta_budget'],
    [
      'a delta the noise cannot keep',
      '"1e-6"',
      '"1e-14"',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.delta_per_query',
    ],
    [
      'an aggregate twice',
      '[COUNT,',
      '[COUNT, COUNT,',
      'POLICY_OUT_OF_RANGE',
      'rules.allowed_aggregates.1',
    ],
    [
      'confidence 1',
      'rules:',
      'rules:\n  confidence_level: "1"',
      'POLICY_OUT_OF_RANGE',
      'rules.confidence_level',
    ],
    ['k = 0', 'group: 10', 'group: 0', 'POLICY_OUT_OF_RANGE', 'rules.min_privacy_units_per_group'],
    [
      'a chance below k for a rule that has none',
      'rules:',
      'rules:\n  below_k_probability: "1e-6"',
      'POLICY_OUT_OF_RANGE',
      'rules.below_k_probability',
    ],
    [
      'a chance below k that is no rare one',
      'partition_selection: pre_threshold',
      'partition_selection: noisy\n  below_k_probability: "0.02"',
      'POLICY_OUT_OF_RANGE',
      'rules.below_k_probability',
    ],
    [
      'a chance below k of nothing',
      'partition_selection: pre_threshold',
      'partition_selection: noisy\n  below_k_probability: "0"',
      'POLICY_OUT_OF_RANGE',
      'rules.below_k_probability',
    ],
    ...(
      [
        ['half of them', 'max_sum_per_partition: 5', 'min_sum_per_partition'],
        ['crossed', 'min_sum_per_partition: 2, max_sum_per_partition: -1', 'min_sum_per_partition'],
        [
          'without 0, above',
          'min_sum_per_partition: 1, max_sum_per_partition: 9',
          'min_sum_per_partition',
        ],
        [
          'without 0, below',
          'min_sum_per_partition: -9, max_sum_per_partition: -1',
          'max_sum_per_partition',
        ],
        [
          'finer than the scale',
          'min_sum_per_partition: 0, max_sum_per_partition: "0.005"',
          'max_sum_per_partition',
        ],
        [
          'beyond what rows add up to',
          'min_sum_per_partition: 0, max_sum_per_partition: 2000.01',
          'max_sum_per_partition',
        ],
        [
          'below what rows add up to',
          'min_sum_per_partition: -1, max_sum_per_partition: 9',
          'min_sum_per_partition',
        ],
      ] as const
    ).map(
      ([what, fields, path]) =>
        [
          `bounds on sums ${what}`,
          'lower: "0.00", upper: "500.00"',
          `lower: "0.00", upper: "500.00", ${fields.replace(/: (2000\.01)/, ': "$1"')}`,
          'POLICY_OUT_OF_RANGE',
          `parties.0.tables.purchases.columns.total_spent.${path}`,
        ] as const,
    ),
    [
      'a weight of nothing',
      '    max_partitions_contributed: 1\n',
      '    max_partitions_contributed: 1\n    budget_weight: { SUM: "0" }\n',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.budget_weight.SUM',
    ],
    [
      'a weight of an aggregate that is not allowed',
      '    max_partitions_contributed: 1\n',
      '    max_partitions_contributed: 1\n    budget_weight: { VARIANCE: 2 }\n',
      'POLICY_OUT_OF_RANGE',
      'rules.differential_privacy.budget_weight.VARIANCE',
    ],
    [
      'a weight of an aggregate that does not exist',
      '    max_partitions_contributed: 1\n',
      '    max_partitions_contributed: 1\n    budget_weight: { MEDIAN: 2 }\n',
      'POLICY_MALFORMED',
      'rules.differential_privacy.budget_weight.MEDIAN',
    ],
    [
      'reference values of another form',
      'rules:',
      'execution: { backends: [mpc], tee: { kind: x } }\nrules:',
      'POLICY_MALFORMED',
      'execution.tee.references',
    ],
    [
      'a plain backend',
      'rules:',
      'execution: { backends: [plain] }\nrules:',
      'POLICY_OUT_OF_RANGE',
      'execution.backends.0',
    ],
    [
      'an enclave alone, without reference values',
      'rules:',
      'execution: { backends: [tee] }\nrules:',
      'POLICY_OUT_OF_RANGE',
      'execution.tee',
    ],
    [
      'an enclave without reference values',
      'rules:',
      'execution: { backends: [mpc, tee] }\nrules:',
      'POLICY_OUT_OF_RANGE',
      'execution.tee',
    ],
    [
      'padding, not yet',
      'rules:',
      'rules:\n  size_disclosure: power_of_two',
      'POLICY_OUT_OF_RANGE',
      'rules.size_disclosure',
    ],
  ] as const)('refuses %s', (_, from, to, code, path) => {
    const yaml = ROOM_YAML.replace(from, to);
    expect(yaml).not.toBe(ROOM_YAML);
    expect(refusalOf(() => parsePolicyDraft(yaml))).toEqual({ code, path });
  });

  it.each([
    ['20', '20', true],
    ['20', '20.1', false],
    ['10000', '20', true],
    ['10001', '20', false],
  ])('caps epsilon: budget %s, query %s', (budget, query, fine) => {
    const run = edited(
      'epsilon_budget: "3"\n    max_epsilon_per_query: "1"',
      `epsilon_budget: "${Number(budget) < Number(query) ? query : budget}"\n    max_epsilon_per_query: "${query}"`,
    );
    if (fine) expect(run).not.toThrow();
    else expect(refusalOf(run).code).toBe('POLICY_OUT_OF_RANGE');
  });

  it('says what to do about a float', () => {
    expect(edited('epsilon_budget: "3"', 'epsilon_budget: 2.5')).toThrow(
      expect.objectContaining({
        detail: expect.objectContaining({ hint: 'put it in quotes' }) as object,
      }),
    );
  });

  it('refuses floats in JSON too', () => {
    const text = JSON.stringify(room.policy).replace('"max_users":1000', '"max_users":1000.0');
    expect(refusalOf(() => parsePolicy(text)).code).toBe('POLICY_MALFORMED');
  });

  it('refuses a key with two roles and weak keys', () => {
    const [a, b] = room.policy.parties;
    if (a === undefined || b === undefined) throw new Error('two parties');
    const withKey =
      (key: object): (() => unknown) =>
      () =>
        parsePolicy(JSON.stringify({ ...room.policy, parties: [a, { ...b, ...key }] }));
    const path = (field: string): object => ({
      code: 'POLICY_OUT_OF_RANGE',
      path: `parties.1.${field}`,
    });
    expect(refusalOf(withKey({ identity_key: a.identity_key }))).toEqual(path('identity_key'));
    expect(refusalOf(withKey({ link_key: a.link_key }))).toEqual(path('link_key'));
    for (const weak of ED25519_WEAK) {
      const identity_key = `ed25519:${toBase64Url(fromHex(weak, 32))}`;
      expect(refusalOf(withKey({ identity_key }))).toEqual(path('identity_key'));
    }
    for (const weak of X25519_WEAK) {
      const link_key = `x25519:${toBase64Url(fromHex(weak, 32))}`;
      expect(refusalOf(withKey({ link_key }))).toEqual(path('link_key'));
    }
  });

  it('survives any text', () => {
    const mutated = fc
      .tuple(fc.nat(ROOM_YAML.length), fc.nat(40), fc.string({ maxLength: 5 }))
      .map(([at, cut, insert]) => ROOM_YAML.slice(0, at) + insert + ROOM_YAML.slice(at + cut));
    fc.assert(
      fc.property(mutated, (text) => {
        try {
          parsePolicyDraft(text);
        } catch (error) {
          expect(error).toMatchObject({ fault: 'policy' });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('packet', () => {
  it('is believed when every party signed it', () => {
    expect(verifyPacket(room.packet)).toEqual({ policy: room.policy, digest: room.digest });
  });

  const { signatures, policy } = room.packet;
  const shopgood = signatures['shopgood'] ?? '';
  const eve = signPolicy(policy, 'eve', partyKeys('eve').identity.privateKey);
  it.each([
    ['a missing signature', { shopgood }, 'POLICY_UNSIGNED', 'newsnow'],
    ['a foreign signature', { ...signatures, eve }, 'POLICY_FOREIGN', 'eve'],
    [
      "another party's signature",
      { shopgood, newsnow: shopgood },
      'POLICY_BAD_SIGNATURE',
      'newsnow',
    ],
    ['a signature by another key', { shopgood, newsnow: eve }, 'POLICY_BAD_SIGNATURE', 'newsnow'],
  ])('is refused with %s', (_, changed, code, party) => {
    expect(() => verifyPacket({ policy, signatures: changed })).toThrow(
      expect.objectContaining({ code, detail: { party } }),
    );
  });

  it('is refused when one rule changed after signing', () => {
    const rules = { ...policy.rules, min_privacy_units_per_group: 9 };
    expect(refusalOf(() => verifyPacket({ policy: { ...policy, rules }, signatures })).code).toBe(
      'POLICY_BAD_SIGNATURE',
    );
  });

  it.each([
    ['a default left out', { ...policy, execution: undefined }, signatures],
    ['an unknown field', { ...policy, extra: 1 }, signatures],
    ['a signature that is no signature', policy, { shopgood: 'abc' }],
  ])('is refused with %s', (_, changed, signed) => {
    const value = JSON.parse(JSON.stringify({ policy: changed, signatures: signed })) as unknown;
    expect(refusalOf(() => packetOf(value)).code).toBe('POLICY_MALFORMED');
  });

  it('is refused with a party signing twice', () => {
    const text = formatPacket(room.packet).replace(
      '"signatures": {',
      `"signatures": {"newsnow":"${shopgood}",`,
    );
    expect(refusalOf(() => parsePacket(text)).code).toBe('POLICY_MALFORMED');
  });
});

function analystOf(name: string): { name: string; signing_key: string; sealing_key: string } {
  const keys = partyKeys(name);
  return { name, signing_key: keys.identity.publicKey, sealing_key: keys.link.publicKey };
}

// Points of order 1, 2, 4 and 8 (canonical), and encodings that are not canonical.
const ED25519_WEAK = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0100000000000000000000000000000000000000000000000000000000000080',
];
// RFC 7748 small-order coordinates, one above p, one with the top bit set.
const X25519_WEAK = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0900000000000000000000000000000000000000000000000000000000000080',
];

describe('rules.queries', () => {
  const template = {
    name: 'overlap',
    sql: 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data WHERE category = :what',
    parameters: { what: { type: 'text', values: ['home'], default: 'home' } },
  } as const;
  const { policy } = sampleRoom();
  const withQueries = (queries: unknown): unknown => ({
    ...policy,
    rules: { ...policy.rules, queries },
  });

  it('changes no policy that has none, and is kept as it stands', () => {
    expect(Object.hasOwn(policy.rules, 'queries')).toBe(false);
    for (const queries of [
      { mode: 'any', templates: [] },
      { mode: 'templates', templates: [template] },
      { mode: 'approved', templates: [] },
      { mode: 'approved', templates: [template] },
    ]) {
      expect(policyOf(withQueries(queries)).rules.queries).toEqual(queries);
    }
  });

  it.each([
    [{ mode: 'templates', templates: [] }, 'POLICY_OUT_OF_RANGE'],
    [{ mode: 'any', templates: [template] }, 'POLICY_OUT_OF_RANGE'],
    [{ mode: 'templates', templates: [template, template] }, 'POLICY_OUT_OF_RANGE'],
    [{ mode: 'some', templates: [] }, 'POLICY_OUT_OF_RANGE'],
    [{ mode: 'templates', templates: [{ ...template, note: 'x' }] }, 'POLICY_MALFORMED'],
    [{ mode: 'templates', templates: [{ ...template, sql: '' }] }, 'POLICY_OUT_OF_RANGE'],
    [
      { mode: 'templates', templates: [{ ...template, parameters: { p: { type: 'integer' } } }] },
      'POLICY_MALFORMED',
    ],
  ])('refuses %j', (queries, code) => {
    expect(() => policyOf(withQueries(queries))).toThrow(expect.objectContaining({ code }));
  });
});
