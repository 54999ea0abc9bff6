import { z } from 'zod';
import { compare, div, parseDecimal, rational, type Rational } from '../core/rational.ts';
import { queriesSchema } from './queries.ts';
import {
  ADDRESS_CHARS_MAX,
  ANALYSTS_MAX,
  DOMAIN_VALUES_MAX,
  PARTIES_MAX,
  ROWS_PER_USER_MAX,
  SCALE_MAX,
  SHARD_USERS_DEFAULT,
  SHARD_USERS_MAX,
  SHARD_USERS_MIN,
  USERS_MAX,
  VALUE_CHARS_MAX,
  VIEW_TABLES_MAX,
} from './limits.ts';
import { publicKey } from './schema-keys.ts';
import { teeSchema } from './tee.ts';
import type {
  AnalystPolicy,
  ColumnPolicy,
  DifferentialPrivacy,
  PartyPolicy,
  Policy,
  RulesPolicy,
} from './types.ts';

/** A policy on the way: keys, salt and analysts may still be missing. */
export interface PolicyDraft extends Omit<Policy, 'identifier_salt' | 'parties' | 'analysts'> {
  readonly identifier_salt?: string;
  readonly parties: readonly PartyDraft[];
  readonly analysts: readonly AnalystDraft[];
}
export type PartyDraft = Omit<PartyPolicy, 'identity_key' | 'link_key'> &
  Partial<Pick<PartyPolicy, 'identity_key' | 'link_key'>>;
export type AnalystDraft = Pick<AnalystPolicy, 'name'> & Partial<AnalystPolicy>;

const identifier = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/);
const roomName = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);
/** No slash: the name of a dataset that is not named is `<party>/<table>`. */
const datasetName = z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/);
const epochName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/);
const salt = z.string().regex(/^[0-9a-f]{64}$/);
/** A day that exists, years 0001 to 9999. */
const isoDate = z.iso.date().refine((text) => text >= '0001', 'must be a day from year 1 on');

/** One of `supported`; words that other versions know get a sentence of their own. */
function choice<const T extends string>(
  supported: readonly T[],
  later: readonly string[] = [],
): z.ZodType<T> {
  return z.unknown().transform((value, ctx): T => {
    const found = supported.find((word) => word === value);
    if (found !== undefined) return found;
    const known = typeof value === 'string' && later.includes(value);
    ctx.addIssue({
      code: 'custom',
      message: known ? 'is not supported by this version' : `must be ${supported.join(' or ')}`,
    });
    return z.NEVER;
  });
}

function wholeNumber(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** A decimal as a string; an integer written without quotes is exact and accepted too. */
function decimal(pattern: RegExp): z.ZodType<string> {
  return z.preprocess(
    (value) => (Number.isSafeInteger(value) ? String(value) : value),
    z.string().regex(pattern, 'must be a decimal in quotes'),
  );
}
const plainDecimal = decimal(/^-?(0|[1-9]\d{0,18})(\.\d{1,18})?$/);
const positiveDecimal = decimal(/^\d{1,30}(\.\d{1,30})?([eE]-?\d{1,2})?$/);

const ed25519Key = publicKey('ed25519');
const x25519Key = publicKey('x25519');

const nullable = z.boolean().default(false);
const domainValue = z
  .string()
  .min(1)
  .max(VALUE_CHARS_MAX)
  .refine((text) => !/[\p{Surrogate}\p{Control}]/u.test(text), 'holds a control character');
const integerValue = decimal(/^(0|-?[1-9]\d{0,18})$/);
const domain = <T extends z.ZodType<string>>(value: T): z.ZodArray<T> =>
  z.array(value).min(1).max(DOMAIN_VALUES_MAX);
const weight = decimal(/^(0|[1-9]\d{0,3})(\.\d{1,6})?$/);
const bounds = {
  lower: plainDecimal.exactOptional(),
  upper: plainDecimal.exactOptional(),
  min_sum_per_partition: plainDecimal.exactOptional(),
  max_sum_per_partition: plainDecimal.exactOptional(),
  budget_weight: weight.exactOptional(),
};

const column: z.ZodType<ColumnPolicy> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('date'), nullable, min: isoDate, max: isoDate }),
  z.strictObject({
    type: z.literal('decimal'),
    nullable,
    scale: wholeNumber(0, SCALE_MAX),
    ...bounds,
  }),
  z.strictObject({
    type: z.literal('integer'),
    nullable,
    scale: z.literal(0).default(0),
    ...bounds,
    values: domain(integerValue).exactOptional(),
  }),
  z.strictObject({ type: z.literal('text'), nullable, values: domain(domainValue) }),
  z.strictObject({ type: z.literal('boolean'), nullable }),
]);

// Neither has a default, so that packets signed before the fields existed keep their digest.
const table = z.strictObject({
  dataset: datasetName.exactOptional(),
  data_epoch: epochName.exactOptional(),
  privacy_unit_column: z.strictObject({
    name: identifier,
    kind: choice(['email', 'phone', 'exact']),
  }),
  max_users: wholeNumber(1, USERS_MAX),
  max_rows_per_user: wholeNumber(1, ROWS_PER_USER_MAX),
  columns: z.record(identifier, column),
});

/**
 * Where a party's node is dialled. What URLs allow beside host, port and path is refused, so that
 * what all parties signed is what a node dials.
 */
const address = z
  .string()
  .max(ADDRESS_CHARS_MAX)
  .regex(/^wss?:\/\/[^\s/?#@\\]+(\/[A-Za-z0-9._~-]+)*\/?$/, 'must be ws://host:port or wss://host')
  .refine((text) => URL.canParse(text), 'is not an address');

const tables = z.record(identifier, table);
const party = z.strictObject({
  name: identifier,
  identity_key: ed25519Key,
  link_key: x25519Key,
  address: address.exactOptional(),
  tables,
});
const partyDraft = z.strictObject({
  name: identifier,
  identity_key: ed25519Key.exactOptional(),
  link_key: x25519Key.exactOptional(),
  address: address.exactOptional(),
  tables,
});
const analyst = z.strictObject({
  name: identifier,
  signing_key: ed25519Key,
  sealing_key: x25519Key,
});
const analystDraft = z.strictObject({
  name: identifier,
  signing_key: ed25519Key.exactOptional(),
  sealing_key: x25519Key.exactOptional(),
});

const view = z.strictObject({
  join: z.array(identifier).min(2).max(VIEW_TABLES_MAX),
  privacy_unit_alias: identifier,
});

/** An exact decimal string of a fraction whose denominator divides a power of ten. */
export function decimalOf({ num, den }: Rational): string {
  let digits = num;
  let exponent = 0;
  while ((digits * 10n ** BigInt(-exponent)) % den !== 0n) exponent -= 1;
  digits = (digits * 10n ** BigInt(-exponent)) / den;
  if (exponent === 0) return `${digits}`;
  if (exponent < -4) return `${digits}e${exponent}`;
  const text = `${digits}`.padStart(1 - exponent, '0');
  return `${text.slice(0, exponent)}.${text.slice(exponent)}`;
}

const AGGREGATES = ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG', 'VARIANCE', 'QUANTILE'] as const;

/** Queries the default delta lets the budget pay for. */
const DELTA_QUERIES = 20n;
const DEFAULT_EPSILON = '0.5';

const differentialPrivacyFields = z.strictObject({
  noise_mechanism: choice(
    ['discrete_laplace'],
    ['discrete_gaussian', 'gaussian', 'laplace'],
  ).default('discrete_laplace'),
  // Without defaults: see `table`.
  accounting: choice(['basic', 'zcdp'], ['pld', 'rdp']).exactOptional(),
  rho_budget: positiveDecimal.exactOptional(),
  budget_refresh: choice(['none', 'new_data_epoch'], ['calendar_month']).exactOptional(),
  epsilon_budget: positiveDecimal.default('3'),
  max_epsilon_per_query: positiveDecimal.default('1'),
  default_epsilon_per_query: positiveDecimal.exactOptional(),
  delta_budget: positiveDecimal.default('1e-6'),
  delta_per_query: positiveDecimal.exactOptional(),
  max_partitions_contributed: wholeNumber(1, DOMAIN_VALUES_MAX),
  max_contributions_per_partition: wholeNumber(1, ROWS_PER_USER_MAX ** 2),
  noise_threshold_bits: wholeNumber(64, 128).default(64),
  budget_weight: z.partialRecord(z.enum(AGGREGATES), weight).exactOptional(),
});

function withDefaults(fields: z.output<typeof differentialPrivacyFields>): DifferentialPrivacy {
  const { max_epsilon_per_query: cap, delta_budget } = fields;
  const fallback =
    compare(parseDecimal(cap), parseDecimal(DEFAULT_EPSILON)) < 0 ? cap : DEFAULT_EPSILON;
  return {
    ...fields,
    default_epsilon_per_query: fields.default_epsilon_per_query ?? fallback,
    delta_per_query:
      fields.delta_per_query ?? decimalOf(div(parseDecimal(delta_budget), rational(DELTA_QUERIES))),
  };
}

/** `off`, or `false` as YAML 1.1 tools write it, or the settings. */
const differentialPrivacy: z.ZodType<DifferentialPrivacy | 'off'> = z.preprocess(
  (value) => (value === false ? 'off' : value),
  z.union([z.literal('off'), differentialPrivacyFields.transform(withDefaults)]),
);

const join = z.strictObject({
  oprf: choice(['ecdh', 'kkrt']).default('ecdh'),
  ot_field_bits: z.union([z.literal(2), z.literal(4)]).default(4),
  shard_users: wholeNumber(SHARD_USERS_MIN, SHARD_USERS_MAX).default(SHARD_USERS_DEFAULT),
});

const rules: z.ZodType<RulesPolicy> = z.strictObject({
  allowed_aggregates: z.array(choice(AGGREGATES)).min(1),
  min_privacy_units_per_group: wholeNumber(1, USERS_MAX).default(50),
  partition_selection: choice(['exact_k', 'pre_threshold', 'noisy']).default('pre_threshold'),
  below_k_probability: positiveDecimal.exactOptional(),
  differential_privacy: differentialPrivacy,
  confidence_level: positiveDecimal.default('0.95'),
  join: join.prefault({}),
  size_disclosure: choice(['declared'], ['power_of_two']).default('declared'),
  // Without a default, so that packets signed before the field existed keep their digest.
  queries: queriesSchema.exactOptional(),
  cache_identical_queries: z.boolean().exactOptional(),
});

const execution = z
  .strictObject({
    backends: z
      .array(choice(['mpc', 'tee'], ['plain']))
      .min(1)
      .max(2)
      .default(['mpc'])
      .refine((list) => new Set(list).size === list.length, 'names a backend twice'),
    tee: z.union([z.literal(null), teeSchema]).default(null),
    links: choice(['relay', 'direct']).default('relay'),
  })
  .refine(({ backends, tee }) => backends.includes('tee') === (tee !== null), {
    path: ['tee'],
    message: 'must stand beside the backend tee, and only there',
  })
  .default({ backends: ['mpc'], tee: null, links: 'relay' });

const common = {
  version: z.literal(1),
  room: roomName,
  views: z.record(identifier, view).default({}),
  rules,
  execution,
};

/** The form of a policy; what spans several fields is checked by `expectConsistent`. */
export const policySchema: z.ZodType<Policy> = z.strictObject({
  ...common,
  identifier_salt: salt,
  parties: z.array(party).min(2).max(PARTIES_MAX),
  analysts: z.array(analyst).min(1).max(ANALYSTS_MAX),
});

export const policyDraftSchema: z.ZodType<PolicyDraft> = z.strictObject({
  ...common,
  identifier_salt: salt.exactOptional(),
  parties: z.array(partyDraft).min(2).max(PARTIES_MAX),
  analysts: z.array(analystDraft).max(ANALYSTS_MAX).default([]),
});
