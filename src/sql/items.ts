/**
 * SELECT list, GROUP BY, HAVING and ORDER BY: which quantities are computed per group, and what the
 * answer shows of them.
 */
import type { ParleyError } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import { aggregateWeight, Quantities, type Wanted } from './quantities.ts';
import { fragmentOf } from './condition-errors.ts';
import { keyOfValue, resolveDomain, type ResolvedKey } from './groups.ts';
import { refusal, ROWS_STAY_HINT } from './hints.ts';
import { resolveMixed } from './mixed-keys.ts';
import { lookUp, resolvePlain, type Scope } from './names.ts';
import { resolveOutput, resolveTruth, type Answering, type Output } from './outputs.ts';
import type { OrderKey, OutputColumn, OutputExpression } from './plan.ts';
import {
  hasAggregate,
  isLiteral,
  replaceColumns,
  type Expression,
  type OrderItem,
  type SelectItem,
  type SelectSyntax,
  type Span,
} from './syntax.ts';
import { resolveValue } from './values.ts';

/** What a query asks per group and how the answer lays it out. */
export interface Items {
  readonly keys: readonly ResolvedKey[];
  /** The user count first. */
  readonly wanted: readonly Wanted[];
  readonly output: readonly OutputColumn[];
  readonly hidden: readonly OutputColumn[];
  readonly having: OutputExpression | null;
  readonly orderBy: readonly OrderKey[];
}

/**
 * Resolves the SELECT list, GROUP BY, HAVING and ORDER BY.
 * @throws ParleyError SQL_BARE_COLUMN, SQL_NO_DOMAIN, SQL_NO_AGGREGATE, SQL_DUPLICATE_COLUMN,
 *   SQL_PRIVACY_UNIT, SQL_TYPE_MISMATCH, SQL_UNSUPPORTED, AGGREGATE_NOT_ALLOWED, COLUMN_UNBOUNDED
 *   and those of name resolution.
 */
export function resolveItems(scope: Scope, policy: Policy, select: SelectSyntax): Items {
  const keys = resolveKeys(scope, select);
  const quantities = new Quantities(aggregateWeight(policy, 'COUNT_DISTINCT'));
  const answering: Answering = { scope, policy, keys, quantities };
  const output = distinctNames(
    scope,
    select.items,
    select.items.map((item) => outputOf(answering, item)),
  );
  const having =
    select.having === null
      ? null
      : resolveTruth(answering, withAliases(scope, select.items, select.having));
  if (!quantities.wanted.some(({ released }) => released)) {
    const hint = 'Add COUNT, SUM or another aggregate to the SELECT list.';
    throw refusal('SQL_NO_AGGREGATE', 'the query asks for no aggregate', undefined, hint);
  }
  const { orderBy, hidden } = resolveOrder(answering, output, select);
  return { keys, wanted: quantities.wanted, output, hidden, having, orderBy };
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

function unsupported(scope: Scope, span: Span, message: string, hint: string): ParleyError {
  return refusal('SQL_UNSUPPORTED', message, fragmentOf(scope, span), hint);
}

function resolveKeys(scope: Scope, select: SelectSyntax): readonly ResolvedKey[] {
  const keys: ResolvedKey[] = [];
  for (const written of select.groupBy) {
    const expression = keyExpression(scope, select.items, written);
    const key = resolveKey(scope, expression, written.span);
    if (!keys.some((other) => keyOfValue(other.value) === keyOfValue(key.value))) keys.push(key);
  }
  return keys;
}

const GROUP_HINT =
  'Group by a column, an expression over columns, or the name or position of a selected one.';

/** PostgreSQL: a name in GROUP BY is a column of FROM first, an output name second. */
function keyExpression(scope: Scope, items: readonly SelectItem[], key: Expression): Expression {
  let expression = key;
  if (key.kind === 'column' && key.path.length === 1 && lookUp(scope, key) === null) {
    expression = items.find((item) => item.alias === key.path[0])?.expression ?? key;
  }
  if (key.kind === 'number') {
    const item = items[ordinalOf(key.text, items.length) ?? -1];
    expression = item?.expression ?? key;
  }
  if (!isLiteral(expression) && !hasAggregate(expression)) return expression;
  throw unsupported(scope, key.span, 'only values of rows can be grouped by', GROUP_HINT);
}

function resolveKey(scope: Scope, expression: Expression, span: Span): ResolvedKey {
  const value =
    expression.kind === 'column'
      ? (resolvePlain(scope, expression), resolveValue({ scope, clamp: false }, expression))
      : resolveValue({ scope, clamp: false }, expression);
  if (value.kind !== 'local') return resolveMixed(scope, value, span);
  if (value.table !== null) return resolveDomain(scope, value, span);
  throw unsupported(scope, span, 'this cannot be grouped by', GROUP_HINT);
}

/** As DuckDB has it: a name that is no column may be an output name. */
function withAliases(
  scope: Scope,
  items: readonly SelectItem[],
  expression: Expression,
): Expression {
  return replaceColumns(expression, (column) => {
    if (column.path.length > 1 || lookUp(scope, column) !== null) return column;
    return items.find(({ alias }) => alias === column.path[0])?.expression ?? column;
  });
}

/** Index of a position from 1, null when there is none. */
function ordinalOf(text: string, count: number): number | null {
  const position = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return position >= 1 && position <= count ? position - 1 : null;
}

function outputOf(answering: Answering, item: SelectItem): OutputColumn {
  const { expression, alias } = item;
  if (isLiteral(expression)) {
    const { scope } = answering;
    throw unsupported(scope, item.span, 'a literal cannot be selected', ROWS_STAY_HINT);
  }
  return columnOf(alias ?? nameOf(expression), resolveOutput(answering, expression));
}

const columnOf = (name: string, { value, scale, type }: Output): OutputColumn => ({
  name,
  value,
  scale,
  type,
});

/** PostgreSQL's name of an unnamed column. */
function nameOf(expression: Expression): string {
  switch (expression.kind) {
    case 'column':
      return expression.path.at(-1)!;
    case 'aggregate':
    case 'call':
      return expression.name.toLowerCase();
    case 'case':
      return 'case';
    default:
      return 'column';
  }
}

function resolveOrder(
  answering: Answering,
  output: readonly OutputColumn[],
  select: SelectSyntax,
): { readonly orderBy: readonly OrderKey[]; readonly hidden: readonly OutputColumn[] } {
  const orderBy: OrderKey[] = [];
  const hidden: OutputColumn[] = [];
  for (const item of select.orderBy) {
    const column = orderColumn(answering, select.items, output, hidden, item);
    const { descending, nullsFirst } = item;
    // A column ordered by twice decides nothing the second time.
    if (!orderBy.some((key) => key.column === column)) {
      orderBy.push({ column, descending, nullsFirst });
    }
  }
  return { orderBy, hidden };
}

/** PostgreSQL: a name in ORDER BY is an output name first; any other expression is a value. */
function orderColumn(
  answering: Answering,
  items: readonly SelectItem[],
  output: readonly OutputColumn[],
  hidden: OutputColumn[],
  { expression, span }: OrderItem,
): number {
  const refuse = (): ParleyError =>
    unsupported(
      answering.scope,
      span,
      'this decides no order',
      'Order by a selected name or position, a group key or an aggregate.',
    );
  if (expression.kind === 'number') {
    const found = ordinalOf(expression.text, output.length);
    if (found === null) throw refuse();
    return found;
  }
  if (isLiteral(expression)) throw refuse();
  if (expression.kind === 'column' && expression.path.length === 1) {
    const found = output.findIndex(({ name }) => name === expression.path[0]);
    if (found >= 0) return found;
  }
  const meant = withAliases(answering.scope, items, expression);
  const wanted = columnOf('', resolveOutput(answering, meant));
  const valueOf = ({ value, scale }: OutputColumn): string => JSON.stringify([value, scale]);
  const same = [...output, ...hidden].findIndex((column) => valueOf(column) === valueOf(wanted));
  if (same >= 0) return same;
  hidden.push(wanted);
  return output.length + hidden.length - 1;
}
