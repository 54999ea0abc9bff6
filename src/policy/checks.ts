import { ParleyError } from '../core/errors.ts';
import { compare, mul, parseDecimal, rational, ZERO, type Rational } from '../core/rational.ts';
import {
  CODED_MAX,
  DELTA_PER_QUERY_MIN,
  EPSILON_BUDGET_MAX,
  EPSILON_PER_QUERY_MAX,
  RHO_BUDGET_MAX,
  TABLES_MAX,
  COLUMNS_MAX,
  VIEWS_MAX,
} from './limits.ts';
import type { PolicyDraft } from './schema.ts';
import type {
  ColumnPolicy,
  DifferentialPrivacy,
  Policy,
  QueriesPolicy,
  RulesPolicy,
  TablePolicy,
  ViewPolicy,
} from './types.ts';

function refuse(path: string, message: string): never {
  throw new ParleyError('POLICY_OUT_OF_RANGE', `a policy value ${message}`, { path });
}

function expectCount(path: string, record: object, min: number, max: number): void {
  const count = Object.keys(record).length;
  if (count < min || count > max) refuse(path, `must hold ${min} to ${max} entries`);
}

/** Refuses the second occurrence; entries that are absent (drafts) do not count. */
function expectUnique(entries: readonly (readonly [string, string | undefined])[]): void {
  const seen = new Set<string>();
  for (const [path, value] of entries) {
    if (value === undefined) continue;
    if (seen.has(value)) refuse(path, 'is used twice');
    seen.add(value);
  }
}

function isInteger(r: Rational): boolean {
  return r.den === 1n;
}

type BoundField = 'lower' | 'upper' | 'min_sum_per_partition' | 'max_sum_per_partition';

/** A pair of bounds in coded units; null when the column has neither. */
function codedPair(
  path: string,
  column: ColumnPolicy,
  low: BoundField,
  high: BoundField,
): readonly [Rational, Rational] | null {
  if (column[low] === undefined && column[high] === undefined) return null;
  const unit = rational(10n ** BigInt(column.scale ?? 0));
  const [lower, upper] = ([low, high] as const).map((field) => {
    const text = column[field];
    if (text === undefined) refuse(`${path}.${field}`, 'is missing beside its pair');
    const value = mul(parseDecimal(text), unit);
    if (!isInteger(value)) refuse(`${path}.${field}`, 'has more digits than the scale');
    if (value.num > CODED_MAX || value.num < -CODED_MAX) {
      refuse(`${path}.${field}`, 'is beyond the largest number a column holds');
    }
    return value;
  });
  if (compare(lower!, upper!) > 0) refuse(`${path}.${low}`, 'is above its upper bound');
  return [lower!, upper!];
}

/** @param rows - C: most rows of one person that count in a group; null without that bound. */
function expectBounds(path: string, column: ColumnPolicy, rows: number | null): void {
  const values = codedPair(path, column, 'lower', 'upper');
  const sums = codedPair(path, column, 'min_sum_per_partition', 'max_sum_per_partition');
  if (sums === null) return;
  if (compare(sums[0], ZERO) > 0) refuse(`${path}.min_sum_per_partition`, 'must not be above 0');
  if (compare(sums[1], ZERO) < 0) refuse(`${path}.max_sum_per_partition`, 'must not be below 0');
  if (values === null || rows === null) return;
  const reach = values.map((bound) => mul(bound, rational(BigInt(rows))));
  const beyond = 'is beyond what max_contributions_per_partition values in their bounds add up to';
  if (compare(sums[0], ZERO) < 0 && compare(sums[0], reach[0]!) < 0) {
    refuse(`${path}.min_sum_per_partition`, beyond);
  }
  if (compare(sums[1], ZERO) > 0 && compare(sums[1], reach[1]!) > 0) {
    refuse(`${path}.max_sum_per_partition`, beyond);
  }
}

function expectColumn(path: string, column: ColumnPolicy, rows: number | null): void {
  if (column.min !== undefined && column.max !== undefined && column.min > column.max) {
    refuse(`${path}.min`, 'is after its maximum');
  }
  expectBounds(path, column, rows);
  expectWeight(`${path}.budget_weight`, column.budget_weight);
  const { values = [] } = column;
  // Cells and literals are compared in this form, so two spellings would be one value.
  expectUnique(values.map((value, i) => [`${path}.values.${i}`, value.normalize('NFC')]));
  if (column.type !== 'integer') return;
  values.forEach((value, i) => {
    const coded = BigInt(value);
    if (coded > CODED_MAX || coded < -CODED_MAX) {
      refuse(`${path}.values.${i}`, 'is beyond the largest number a column holds');
    }
  });
}

function expectTable(path: string, table: TablePolicy, rows: number | null): void {
  expectCount(`${path}.columns`, table.columns, 0, COLUMNS_MAX);
  for (const [name, column] of Object.entries(table.columns)) {
    if (name === table.privacy_unit_column.name) {
      refuse(`${path}.columns.${name}`, 'is the privacy unit and cannot be a column too');
    }
    expectColumn(`${path}.columns.${name}`, column, rows);
  }
}

interface OwnedTable {
  readonly party: string;
  readonly table: TablePolicy;
}

function expectView(
  path: string,
  view: ViewPolicy,
  tables: ReadonlyMap<string, OwnedTable>,
  perPartition: number | null,
): void {
  const joined = view.join.map((name, i) => {
    return tables.get(name) ?? refuse(`${path}.join.${i}`, 'names a table that does not exist');
  });
  if (new Set(joined.map(({ party }) => party)).size < joined.length) {
    refuse(`${path}.join`, 'must name tables of different parties');
  }
  if (new Set(joined.map(({ table }) => table.privacy_unit_column.kind)).size > 1) {
    refuse(`${path}.join`, 'joins identifiers of different kinds, which never match');
  }
  const alias = view.privacy_unit_alias;
  for (const { table } of joined) {
    if (Object.hasOwn(table.columns, alias)) {
      refuse(`${path}.privacy_unit_alias`, 'is the name of a column of the view');
    }
  }
  // privacy.md section 2: C <= rA * rB, or C promises what the join cannot produce.
  const combinations = joined.reduce((n, { table }) => n * table.max_rows_per_user, 1);
  if (perPartition !== null && perPartition > combinations) {
    refuse(
      'rules.differential_privacy.max_contributions_per_partition',
      'is above the rows one user can have in a view',
    );
  }
}

function expectDifferentialPrivacy(dp: DifferentialPrivacy): void {
  const at = (field: keyof DifferentialPrivacy): string => `rules.differential_privacy.${field}`;
  const value = (
    field:
      | 'epsilon_budget'
      | 'max_epsilon_per_query'
      | 'default_epsilon_per_query'
      | 'delta_budget'
      | 'delta_per_query',
  ): Rational => {
    const number = parseDecimal(dp[field]);
    if (number.num <= 0n) refuse(at(field), 'must be above zero');
    return number;
  };
  const above = (a: Rational, b: Rational): boolean => compare(a, b) > 0;
  const [budget, cap, fallback] = [
    value('epsilon_budget'),
    value('max_epsilon_per_query'),
    value('default_epsilon_per_query'),
  ];
  if (above(budget, parseDecimal(EPSILON_BUDGET_MAX))) {
    refuse(at('epsilon_budget'), `must be at most ${EPSILON_BUDGET_MAX}`);
  }
  if (above(cap, parseDecimal(EPSILON_PER_QUERY_MAX))) {
    refuse(at('max_epsilon_per_query'), `must be at most ${EPSILON_PER_QUERY_MAX}`);
  }
  if (above(cap, budget)) refuse(at('max_epsilon_per_query'), 'is above epsilon_budget');
  if (above(fallback, cap)) {
    refuse(at('default_epsilon_per_query'), 'is above max_epsilon_per_query');
  }
  const [deltaBudget, delta] = [value('delta_budget'), value('delta_per_query')];
  if (!above(rational(1n), deltaBudget)) refuse(at('delta_budget'), 'must be below 1');
  if (above(delta, deltaBudget)) refuse(at('delta_per_query'), 'is above delta_budget');
  if (above(parseDecimal(DELTA_PER_QUERY_MIN), delta)) {
    refuse(at('delta_per_query'), `must be at least ${DELTA_PER_QUERY_MIN}`);
  }
}

function expectWeight(path: string, weight: string | undefined): void {
  if (weight !== undefined && parseDecimal(weight).num === 0n) refuse(path, 'must be above zero');
}

/** What the rule that opens groups needs beside it. */
function expectSelection(rules: RulesPolicy): void {
  const { partition_selection: selection, below_k_probability: chance } = rules;
  if (selection === 'noisy' && rules.differential_privacy === 'off') {
    refuse('rules.partition_selection', 'needs differential_privacy: noisy opens by a noisy count');
  }
  if (chance === undefined) return;
  const path = 'rules.below_k_probability';
  if (selection !== 'noisy') refuse(path, 'has no meaning unless partition_selection is noisy');
  const value = parseDecimal(chance);
  if (compare(value, parseDecimal('0.01')) > 0) refuse(path, 'must be at most 0.01');
  if (compare(value, parseDecimal(DELTA_PER_QUERY_MIN)) < 0) {
    refuse(path, `must be at least ${DELTA_PER_QUERY_MIN}`);
  }
}

/** What of the accounting the policy's own fields decide; `dp` checks what rho converts to. */
function expectAccounting(dp: DifferentialPrivacy): void {
  const path = 'rules.differential_privacy.rho_budget';
  if (dp.accounting !== 'zcdp') {
    if (dp.rho_budget !== undefined) refuse(path, 'binds nobody unless accounting is zcdp');
    return;
  }
  if (dp.rho_budget === undefined) refuse(path, 'is missing, and accounting is zcdp');
  const rho = parseDecimal(dp.rho_budget);
  if (rho.num <= 0n) refuse(path, 'must be above zero');
  if (compare(rho, parseDecimal(RHO_BUDGET_MAX)) > 0) {
    refuse(path, `must be at most ${RHO_BUDGET_MAX}`);
  }
}

/** Tables of one party that are one dataset have one epoch: their budget is one. */
function expectDatasets({ parties }: PolicyDraft): void {
  parties.forEach((party, i) => {
    const epochs = new Map<string, string | undefined>();
    for (const [name, { dataset, data_epoch: epoch }] of Object.entries(party.tables)) {
      if (dataset === undefined) continue;
      if (epochs.has(dataset) && epochs.get(dataset) !== epoch) {
        refuse(`parties.${i}.tables.${name}.data_epoch`, 'is another than that of its dataset');
      }
      epochs.set(dataset, epoch);
    }
  });
}

function expectTables(policy: PolicyDraft): ReadonlyMap<string, OwnedTable> {
  const tables = new Map<string, OwnedTable>();
  const dp = policy.rules.differential_privacy;
  const rows = dp === 'off' ? null : dp.max_contributions_per_partition;
  policy.parties.forEach((party, i) => {
    expectCount(`parties.${i}.tables`, party.tables, 1, TABLES_MAX);
    for (const [name, table] of Object.entries(party.tables)) {
      const path = `parties.${i}.tables.${name}`;
      if (tables.has(name)) refuse(path, 'is a table name another party uses');
      tables.set(name, { party: party.name, table });
      expectTable(path, table, rows);
    }
  });
  return tables;
}

function expectNamesAndKeys({ parties, analysts }: PolicyDraft): void {
  expectUnique(parties.map((p, i) => [`parties.${i}.name`, p.name]));
  expectUnique(analysts.map((a, i) => [`analysts.${i}.name`, a.name]));
  // One key, one role: two parties with one key would be one signer, and an analyst with a
  // party's key could sign as it.
  expectUnique([
    ...parties.map((p, i) => [`parties.${i}.identity_key`, p.identity_key] as const),
    ...parties.map((p, i) => [`parties.${i}.link_key`, p.link_key] as const),
    ...analysts.map((a, i) => [`analysts.${i}.signing_key`, a.signing_key] as const),
    ...analysts.map((a, i) => [`analysts.${i}.sealing_key`, a.sealing_key] as const),
  ]);
  expectUnique(parties.map((p, i) => [`parties.${i}.address`, p.address]));
}

/**
 * Checks that a policy without gaps says where every party is dialled, when links are direct: which
 * end dials depends on the query.
 * @throws ParleyError POLICY_OUT_OF_RANGE with the path of the missing address.
 */
export function expectAddresses({ execution, parties }: Policy): void {
  if (execution.links === 'relay') return;
  parties.forEach((party, i) => {
    if (party.address === undefined) {
      refuse(`parties.${i}.address`, 'is missing, and execution.links is direct');
    }
  });
}

function expectQueries({ mode, templates }: QueriesPolicy): void {
  const path = 'rules.queries.templates';
  if (mode === 'templates' && templates.length === 0) refuse(path, 'must name a template');
  if (mode === 'any' && templates.length > 0) refuse(path, 'binds nobody while mode is any');
  expectUnique(templates.map((template, i) => [`${path}.${i}.name`, template.name]));
}

/**
 * Checks what spans several fields of a policy of the right form.
 * @throws ParleyError POLICY_OUT_OF_RANGE with the dotted path of the field to change.
 */
export function expectConsistent(policy: PolicyDraft): void {
  expectNamesAndKeys(policy);
  const tables = expectTables(policy);
  const { rules } = policy;
  const dp = rules.differential_privacy;
  expectUnique(rules.allowed_aggregates.map((a, i) => [`rules.allowed_aggregates.${i}`, a]));
  const level = parseDecimal(rules.confidence_level);
  if (compare(level, parseDecimal('0.5')) < 0 || compare(level, parseDecimal('0.9999')) > 0) {
    refuse('rules.confidence_level', 'must be between 0.5 and 0.9999');
  }
  if (dp !== 'off') {
    expectDifferentialPrivacy(dp);
    expectAccounting(dp);
  }
  expectDatasets(policy);
  expectSelection(rules);
  for (const [aggregate, weight] of Object.entries(dp === 'off' ? {} : (dp.budget_weight ?? {}))) {
    const path = `rules.differential_privacy.budget_weight.${aggregate}`;
    expectWeight(path, weight);
    if (!rules.allowed_aggregates.some((allowed) => allowed === aggregate)) {
      refuse(path, 'weighs an aggregate that allowed_aggregates lacks');
    }
  }
  if (rules.queries !== undefined) expectQueries(rules.queries);
  expectCount('views', policy.views, 0, VIEWS_MAX);
  for (const [name, view] of Object.entries(policy.views)) {
    if (tables.has(name)) refuse(`views.${name}`, 'has the name of a table');
    const perPartition = dp === 'off' ? null : dp.max_contributions_per_partition;
    expectView(`views.${name}`, view, tables, perPartition);
  }
}
