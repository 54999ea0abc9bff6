/** What a policy allows, in words: what a person reads before signing, or asks under. */
import { div, parseDecimal } from '../core/rational.ts';
import { conversionDelta } from '../dp/index.ts';
import { datasetOfTable } from '../policy/index.ts';
import type {
  ColumnPolicy,
  DifferentialPrivacy,
  PartyPolicy,
  Policy,
  RulesPolicy,
} from '../policy/types.ts';

/** LOCAL. Values of a domain that are listed; the number of the others is said. */
const VALUES_SHOWN = 20;

/** The rules of a policy as a few lines of text. */
export function describePolicy(policy: Policy, digest: string): string {
  const { room, identifier_salt, parties, views, analysts, rules } = policy;
  return [
    `room ${room}`,
    `policy digest ${digest}`,
    `identifier salt ${identifier_salt}`,
    '',
    ...parties.flatMap(partyLines),
    '',
    ...Object.entries(views).map(
      ([name, view]) => `view ${name}: ${view.join.join(', ')} by ${view.privacy_unit_alias}`,
    ),
    ...analysts.map(
      ({ name, signing_key, sealing_key }) =>
        `analyst ${name} (${signing_key}, answers sealed to ${sealing_key})`,
    ),
    `aggregates: ${rules.allowed_aggregates.join(', ')}`,
    ...queryLines(rules),
    ...releaseLines(rules),
    ...executionLines(policy),
  ].join('\n');
}

function partyLines({ name, identity_key, link_key, address, tables }: PartyPolicy): string[] {
  const lines = [`${name} (${identity_key}, links ${link_key})`];
  if (address !== undefined) lines.push(`  dialled at ${address}`);
  for (const [table, declared] of Object.entries(tables)) {
    const { privacy_unit_column: unit, max_users, max_rows_per_user, columns } = declared;
    const { dataset, epoch } = datasetOfTable(name, table, declared);
    lines.push(
      `  ${table}: at most ${max_users} users, ${max_rows_per_user} rows each, ` +
        `by ${unit.kind} "${unit.name}"`,
      ...Object.entries(columns).map(([column, own]) => `    ${column} ${columnText(own)}`),
      `    budget of dataset ${dataset}, epoch ${epoch}`,
    );
  }
  return lines;
}

function columnText(column: ColumnPolicy): string {
  const { type, nullable, scale, min, max, lower, upper, budget_weight, values } = column;
  const { min_sum_per_partition: least, max_sum_per_partition: most } = column;
  const listed = values?.slice(0, VALUES_SHOWN).join(', ');
  const more = (values?.length ?? 0) - VALUES_SHOWN;
  const parts = [
    type === 'decimal' ? `decimal of scale ${scale ?? 0}` : type,
    nullable ? 'or NULL' : null,
    min === undefined ? null : `${min} to ${max ?? ''}`,
    lower === undefined ? null : `clamped to ${lower}..${upper ?? ''}`,
    least === undefined ? null : `a person's sum in a group to ${least}..${most ?? ''}`,
    budget_weight === undefined ? null : `weight ${budget_weight}`,
    listed === undefined ? null : `one of ${listed}${more > 0 ? ` and ${more} more` : ''}`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

function queryLines({ queries, cache_identical_queries }: RulesPolicy): string[] {
  const questions = {
    any: 'questions: any of an analyst',
    templates: 'questions: the templates below alone',
    approved: 'questions: the templates below, and what every company of the plan approved',
  }[queries?.mode ?? 'any'];
  return [
    questions,
    ...(queries?.templates ?? []).map(({ name }) => `  template ${name}`),
    cache_identical_queries === false
      ? 'identical questions: run and charged each time'
      : 'identical questions: the earlier answer again, for nothing',
  ];
}

function releaseLines(rules: RulesPolicy): string[] {
  const { min_privacy_units_per_group: k, partition_selection, below_k_probability } = rules;
  const { differential_privacy: dp, confidence_level } = rules;
  const beta =
    partition_selection === 'noisy'
      ? `, one below with a chance of at most ${below_k_probability ?? '1e-6'}`
      : '';
  const gate = `a group opens from ${k} users (${partition_selection}${beta})`;
  if (dp === 'off') {
    return [gate, 'NO DIFFERENTIAL PRIVACY: every party signed that results carry no noise'];
  }
  const weights = Object.entries(dp.budget_weight ?? {}).map(([name, w]) => `${name} ${w}`);
  return [
    gate,
    `epsilon: ${dp.epsilon_budget} in all, at most ${dp.max_epsilon_per_query} a query ` +
      `(${dp.default_epsilon_per_query} unless said); ` +
      `delta: ${dp.delta_budget} in all, ${dp.delta_per_query} a query` +
      (dp.rho_budget === undefined ? '' : zcdpText(dp.rho_budget, dp)) +
      (dp.budget_refresh === 'new_data_epoch' ? '; a new data epoch begins anew' : ''),
    `a person counts in at most ${dp.max_partitions_contributed} groups, ` +
      `${dp.max_contributions_per_partition} joined rows in each`,
    `noise: ${dp.noise_mechanism}, coins of ${dp.noise_threshold_bits} bits; ` +
      `intervals at ${confidence_level}`,
    ...(weights.length === 0 ? [] : [`weights of epsilon: ${weights.join(', ')}`]),
  ];
}

/** Under zcdp half of the delta budget converts rho; the other half ends after so many queries. */
function zcdpText(rho: string, dp: DifferentialPrivacy): string {
  const own = conversionDelta(parseDecimal(dp.delta_budget));
  const { num, den } = div(own, parseDecimal(dp.delta_per_query));
  return `; by zCDP, rho: ${rho} in all, and half of delta, which is ${num / den} queries`;
}

function executionLines({ execution, rules: { join } }: Policy): string[] {
  const { backends, tee, links } = execution;
  return [
    `runs on: ${backends.join(', ')}; join by ${join.oprf}, shards of ${join.shard_users} users, ` +
      `transfers of ${join.ot_field_bits} bits; links: ${links}`,
    ...(tee?.references ?? []).map(({ type, not_after }) => {
      const what =
        type === 'simulated' ? 'SIMULATED ENCLAVES, WITHOUT HARDWARE' : `enclaves: ${type}`;
      return `  ${what}, until ${not_after}; its reference values are in the packet`;
    }),
  ];
}
