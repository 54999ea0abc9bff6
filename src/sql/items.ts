/**
 * SELECT list, GROUP BY and ORDER BY: which quantities are computed per group, and what the answer
 * shows of them.
 */
import type { ParleyError } from '../core/errors.ts';
import type { AggregateName, ColumnPolicy, Policy } from '../policy/types.ts';
import { clampOf, groupDomain, scaleOf } from './coding.ts';
import { refusal, ROWS_STAY_HINT, UNIT_HINT } from './hints.ts';
import { lookUp, resolveColumn, resolvePlain, type ResolvedColumn, type Scope } from './names.ts';
import type { OrderKey, OutputColumn } from './plan.ts';
import type {
  AggregateSyntax,
  ColumnSyntax,
  ItemExpression,
  OrderItem,
  SelectItem,
  SelectSyntax,
  Span,
} from './syntax.ts';

/** A quantity per group, before the pivot is known. */
export type Quantity =
  | { readonly kind: 'users' | 'rows' }
  | { readonly kind: 'nonNull' | 'sum' | 'centredSum'; readonly column: ResolvedColumn };

export interface Wanted {
  readonly quantity: Quantity;
  readonly released: boolean;
  readonly nonNullIndex: number | null;
}

/** What a query asks per group and how the answer lays it out. */
export interface Items {
  readonly keys: readonly ResolvedColumn[];
  /** The user count first. */
  readonly wanted: readonly Wanted[];
  readonly output: readonly OutputColumn[];
  readonly orderBy: readonly OrderKey[];
}

/** Registers quantities so that equal ones are computed once. */
class Quantities {
  readonly wanted: { -readonly [K in keyof Wanted]: Wanted[K] }[] = [
    { quantity: { kind: 'users' }, released: false, nonNullIndex: null },
  ];

  /** Index of the quantity, added when new; once released, always released. */
  add(quantity: Quantity, released: boolean): number {
    let index = this.wanted.findIndex((other) => sameQuantity(other.quantity, quantity));
    if (index < 0) {
      index = this.wanted.length;
      this.wanted.push({ quantity, released: false, nonNullIndex: null });
    }
    if (released) this.wanted[index]!.released = true;
    return index;
  }
}

function sameColumn(a: ResolvedColumn, b: ResolvedColumn): boolean {
  return a.table === b.table && a.name === b.name;
}

function sameQuantity(a: Quantity, b: Quantity): boolean {
  if (a.kind !== b.kind) return false;
  return !('column' in a) || !('column' in b) || sameColumn(a.column, b.column);
}

/**
 * Resolves the SELECT list, GROUP BY and ORDER BY.
 * @throws ParleyError SQL_BARE_COLUMN, SQL_NO_DOMAIN, SQL_NO_AGGREGATE, SQL_DUPLICATE_COLUMN,
 *   SQL_PRIVACY_UNIT, SQL_TYPE_MISMATCH, SQL_UNSUPPORTED, AGGREGATE_NOT_ALLOWED, COLUMN_UNBOUNDED
 *   and those of name resolution.
 */
export function resolveItems(scope: Scope, policy: Policy, select: SelectSyntax): Items {
  const keys = resolveKeys(scope, select);
  const quantities = new Quantities();
  const output = distinctNames(
    scope,
    select.items,
    select.items.map((item) => outputOf(scope, policy, keys, quantities, item)),
  );
  if (output.every((column) => column.value.kind === 'group')) {
    const hint = 'Add COUNT, SUM or AVG to the SELECT list.';
    throw refusal('SQL_NO_AGGREGATE', 'the query asks for no aggregate', undefined, hint);
  }
  const orderBy = resolveOrder(scope, policy, keys, output, select);
  return { keys, wanted: quantities.wanted, output, orderBy };
}

/**
 * Columns that were given no name and share one with an earlier column are numbered: `count`,
 * `count_2`. @throws ParleyError SQL_DUPLICATE_COLUMN when the query itself gives a name twice.
 */
function distinctNames(
  scope: Scope,
  items: readonly SelectItem[],
  output: readonly OutputColumn[],
): readonly OutputColumn[] {
  const given = items.flatMap(({ alias }) => (alias === null ? [] : [alias]));
  const taken = new Set<string>(given);
  if (taken.size < given.length) {
    const twice = items.find(({ alias }, i) => alias !== null && given.indexOf(alias) < i)!;
    const hint = 'Give each column a name of its own with AS.';
    const fragment = fragmentOf(scope, twice.span);
    throw refusal('SQL_DUPLICATE_COLUMN', 'two columns have one name', fragment, hint);
  }
  return output.map((column, i) => {
    if (items[i]!.alias !== null) return column;
    let name = column.name;
    for (let n = 2; taken.has(name); n += 1) name = `${column.name}_${n}`;
    taken.add(name);
    return { ...column, name };
  });
}

function fragmentOf(scope: Scope, span: Span): string {
  return scope.sql.slice(span.from, span.to);
}

function unsupported(scope: Scope, span: Span, message: string, hint: string): ParleyError {
  return refusal('SQL_UNSUPPORTED', message, fragmentOf(scope, span), hint);
}

function resolveKeys(scope: Scope, select: SelectSyntax): readonly ResolvedColumn[] {
  const keys: ResolvedColumn[] = [];
  for (const expression of select.groupBy) {
    const column = resolveKey(scope, select.items, expression);
    if (groupDomain(column.policy) === null) {
      const hint = 'Group by text, boolean, or integer columns whose values the policy declares.';
      const fragment = fragmentOf(scope, expression.span);
      throw refusal('SQL_NO_DOMAIN', 'this column has no declared domain', fragment, hint);
    }
    if (!keys.some((key) => sameColumn(key, column))) keys.push(column);
  }
  return keys;
}

const GROUP_HINT = 'Group by a column, or by the name or position of a selected column.';

/** PostgreSQL: a name in GROUP BY is a column of FROM first, an output name second. */
function resolveKey(
  scope: Scope,
  items: readonly SelectItem[],
  key: ItemExpression,
): ResolvedColumn {
  if (key.kind === 'column') {
    const named =
      lookUp(scope, key) === null && key.path.length === 1
        ? items.find((item) => item.alias === key.path[0])
        : undefined;
    if (named === undefined) return resolvePlain(scope, key);
    if (named.expression.kind === 'column') return resolvePlain(scope, named.expression);
  }
  if (key.kind === 'number') {
    const item = items[ordinalOf(key.text, items.length) ?? -1];
    if (item?.expression.kind === 'column') return resolvePlain(scope, item.expression);
  }
  throw unsupported(scope, key.span, 'only columns can be grouped by', GROUP_HINT);
}

/** Index of a position from 1, null when there is none. */
function ordinalOf(text: string, count: number): number | null {
  const position = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return position >= 1 && position <= count ? position - 1 : null;
}

function outputOf(
  scope: Scope,
  policy: Policy,
  keys: readonly ResolvedColumn[],
  quantities: Quantities,
  item: SelectItem,
): OutputColumn {
  const { expression, alias } = item;
  if (expression.kind === 'column') return groupOutput(scope, keys, expression, alias);
  if (expression.kind === 'aggregate') {
    const value = aggregateValue(scope, policy, quantities, expression);
    return { name: alias ?? expression.name.toLowerCase(), ...value };
  }
  throw unsupported(scope, item.span, 'a literal cannot be selected', ROWS_STAY_HINT);
}

function groupOutput(
  scope: Scope,
  keys: readonly ResolvedColumn[],
  expression: ColumnSyntax,
  alias: string | null,
): OutputColumn {
  const column = resolvePlain(scope, expression);
  const key = keys.findIndex((other) => sameColumn(other, column));
  if (key < 0) {
    const fragment = fragmentOf(scope, expression.span);
    throw refusal('SQL_BARE_COLUMN', 'this column is not grouped', fragment, ROWS_STAY_HINT);
  }
  const type = column.policy.type;
  return { name: alias ?? column.name, value: { kind: 'group', key }, scale: 0, type };
}

type AggregateOutput = Omit<OutputColumn, 'name'>;

function measureOutput(measure: number, column: ColumnPolicy | null): AggregateOutput {
  const value = { kind: 'measure', measure } as const;
  return column === null
    ? { value, scale: 0, type: 'integer' }
    : { value, scale: scaleOf(column), type: column.type };
}

function aggregateValue(
  scope: Scope,
  policy: Policy,
  quantities: Quantities,
  aggregate: AggregateSyntax,
): AggregateOutput {
  const { name, distinct } = aggregate;
  expectAllowed(scope, policy, aggregate);
  if (name === 'COUNT') {
    const quantity = countQuantity(scope, aggregate);
    return measureOutput(quantities.add(quantity, true), null);
  }
  if (distinct) {
    const hint = 'Only COUNT takes DISTINCT, and only of the privacy unit.';
    throw unsupported(scope, aggregate.span, `${name} cannot take DISTINCT`, hint);
  }
  const column = numericColumn(scope, aggregate);
  const isPrivate = policy.rules.differential_privacy !== 'off';
  if (isPrivate && clampOf(column.policy) === null) {
    const hint = 'The policy must declare lower and upper for it.';
    const fragment = fragmentOf(scope, aggregate.span);
    throw refusal('COLUMN_UNBOUNDED', 'the column has no clamp bounds', fragment, hint);
  }
  if (name === 'SUM') {
    const sum = addSum(quantities, column, isPrivate);
    return measureOutput(sum, column.policy);
  }
  const count = quantities.add(nonNullOf(column), true);
  const sum = isPrivate
    ? quantities.add({ kind: 'centredSum', column }, true)
    : addSum(quantities, column, false);
  const value = { kind: 'average', sum, count, centred: isPrivate } as const;
  return { value, scale: scaleOf(column.policy), type: 'double' };
}

/** A sum; without noise it must still tell "all NULL" from 0, by a count that may stay hidden. */
function addSum(quantities: Quantities, column: ResolvedColumn, isPrivate: boolean): number {
  const sum = quantities.add({ kind: 'sum', column }, true);
  if (!isPrivate && column.policy.nullable) {
    quantities.wanted[sum]!.nonNullIndex = quantities.add(nonNullOf(column), false);
  }
  return sum;
}

/** Counting a column that is never NULL is counting rows. */
function nonNullOf(column: ResolvedColumn): Quantity {
  return column.policy.nullable ? { kind: 'nonNull', column } : { kind: 'rows' };
}

function countQuantity(scope: Scope, aggregate: AggregateSyntax): Quantity {
  const { argument, distinct } = aggregate;
  if (argument.kind === 'star') return { kind: 'rows' };
  const column = resolveColumn(scope, argument);
  if (column.kind === 'unit') return { kind: distinct ? 'users' : 'rows' };
  if (!distinct) return nonNullOf(column);
  const hint = `COUNT(DISTINCT ...) counts the privacy unit alone. ${UNIT_HINT}`;
  throw unsupported(scope, aggregate.span, 'only privacy units can be counted distinct', hint);
}

function numericColumn(scope: Scope, aggregate: AggregateSyntax): ResolvedColumn {
  const { argument, name, span } = aggregate;
  if (argument.kind === 'star') {
    throw unsupported(scope, span, `${name} takes a column`, 'Name a column.');
  }
  const column = resolvePlain(scope, argument);
  if (column.policy.type === 'decimal' || column.policy.type === 'integer') return column;
  const hint = `${name} takes decimal and integer columns; this one is ${column.policy.type}.`;
  throw refusal('SQL_TYPE_MISMATCH', 'the column is not a number', fragmentOf(scope, span), hint);
}

function expectAllowed(scope: Scope, policy: Policy, aggregate: AggregateSyntax): void {
  const { name, distinct, span } = aggregate;
  const needed: AggregateName = name === 'COUNT' && distinct ? 'COUNT_DISTINCT' : name;
  if (policy.rules.allowed_aggregates.includes(needed)) return;
  const hint = `The policy allows ${policy.rules.allowed_aggregates.join(', ')}.`;
  const message = 'the policy does not allow this aggregate';
  throw refusal('AGGREGATE_NOT_ALLOWED', message, fragmentOf(scope, span), hint);
}

function resolveOrder(
  scope: Scope,
  policy: Policy,
  keys: readonly ResolvedColumn[],
  output: readonly OutputColumn[],
  select: SelectSyntax,
): readonly OrderKey[] {
  const order: OrderKey[] = [];
  for (const item of select.orderBy) {
    const column = orderColumn(scope, policy, keys, output, item, select);
    const { descending, nullsFirst } = item;
    // A column ordered by twice decides nothing the second time.
    if (!order.some((key) => key.column === column)) order.push({ column, descending, nullsFirst });
  }
  return order;
}

/** PostgreSQL: a name in ORDER BY is an output name first, else a selected expression. */
function orderColumn(
  scope: Scope,
  policy: Policy,
  keys: readonly ResolvedColumn[],
  output: readonly OutputColumn[],
  item: OrderItem,
  select: SelectSyntax,
): number {
  const { expression } = item;
  const refuse = (): ParleyError =>
    unsupported(
      scope,
      item.span,
      'answers are ordered by their own columns',
      'Add the expression to the SELECT list, or order by a selected name or position.',
    );
  let found = -1;
  if (expression.kind === 'number') {
    found = ordinalOf(expression.text, output.length) ?? -1;
  } else if (expression.kind === 'column') {
    if (expression.path.length === 1) {
      found = output.findIndex(({ name }) => name === expression.path[0]);
    }
    if (found < 0) {
      const column = resolvePlain(scope, expression);
      const key = keys.findIndex((other) => sameColumn(other, column));
      found = output.findIndex(({ value }) => value.kind === 'group' && value.key === key);
    }
  } else if (expression.kind === 'aggregate') {
    const wanted = signatureOf(scope, policy, expression);
    found = select.items.findIndex(
      ({ expression: other }) =>
        other.kind === 'aggregate' && signatureOf(scope, policy, other) === wanted,
    );
  }
  if (found < 0) throw refuse();
  return found;
}

/** Equal for aggregates that mean the same. */
function signatureOf(scope: Scope, policy: Policy, aggregate: AggregateSyntax): string {
  const quantities = new Quantities();
  const { value } = aggregateValue(scope, policy, quantities, aggregate);
  const parts = quantities.wanted.map(({ quantity, released }) => {
    if (!released) return '';
    return 'column' in quantity
      ? `${quantity.kind}(${quantity.column.table}.${quantity.column.name})`
      : quantity.kind;
  });
  return `${value.kind}:${parts.join()}`;
}
