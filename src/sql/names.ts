import { refusal, JOIN_HINT, UNIT_HINT } from './hints.ts';
import { JOIN_TABLES_MAX } from './limits.ts';
import type { ParleyError } from '../core/errors.ts';
import type { ColumnPolicy, PartyPolicy, Policy, TablePolicy } from '../policy/types.ts';
import type { ColumnSyntax, JoinSyntax, SelectSyntax, Span, TableSyntax } from './syntax.ts';

/**
 * Index of a table of the query, in the order of their parties in the policy, whatever the order in
 * FROM. An inner join is symmetric, so the plan must not depend on that order.
 */
export type TableIndex = number;

export interface BoundTable {
  readonly party: string;
  readonly name: string;
  readonly policy: TablePolicy;
}

/** What a name in the query means. */
export type Resolved =
  | { readonly kind: 'unit' }
  | {
      readonly kind: 'column';
      readonly table: TableIndex;
      readonly name: string;
      readonly policy: ColumnPolicy;
    };

export type ResolvedColumn = Extract<Resolved, { kind: 'column' }>;

/** The tables of a query and how their columns are named in it. */
export interface Scope {
  readonly sql: string;
  readonly tables: readonly BoundTable[];
  /** Names the joined unit without a qualifier: the alias of a view, the column of USING. */
  readonly unitNames: ReadonlySet<string>;
  /** Relations of FROM with the tables they cover. */
  readonly relations: readonly Relation[];
}

interface Relation {
  /** What may precede a column: an alias, else the table's own name, with or without its party. */
  readonly qualifiers: readonly string[];
  readonly tables: readonly TableIndex[];
  /** Extra name of the unit in this relation. */
  readonly unitAlias: string | null;
}

interface Found {
  readonly party: PartyPolicy;
  readonly partyIndex: number;
  readonly name: string;
  readonly policy: TablePolicy;
}

const fragmentOf = (sql: string, span: Span): string => sql.slice(span.from, span.to);

/**
 * Finds the tables of FROM, 2 to 4 of as many parties, and checks that they are joined on their
 * privacy units.
 * @throws ParleyError SQL_UNKNOWN_TABLE, SQL_BAD_JOIN, SQL_UNSUPPORTED.
 */
export function bindTables(policy: Policy, sql: string, select: SelectSyntax): Scope {
  const { from, joins } = select;
  const [viewName] = from.path;
  const isView =
    from.path.length === 1 && viewName !== undefined && Object.hasOwn(policy.views, viewName);
  if (isView) return bindView(policy, sql, select, viewName);
  const left = findTable(policy, from.path, fragmentOf(sql, from.span));
  if (joins.length === 0) {
    const fragment = fragmentOf(sql, from.span);
    throw refusal('SQL_BAD_JOIN', 'a query joins tables of several parties', fragment, JOIN_HINT);
  }
  if (joins.length >= JOIN_TABLES_MAX) throw tooMany(sql, joins[JOIN_TABLES_MAX - 1]!);
  const right = joins.map(({ table }) =>
    findTable(policy, table.path, fragmentOf(sql, table.span)),
  );
  const found = [left, ...right];
  const spans = [from.span, ...joins.map(({ table }) => table.span)];
  const tables = orderTables(sql, found, spans);
  const indexOf = (one: Found): TableIndex =>
    found.filter((other) => other.partyIndex < one.partyIndex).length;
  const syntax = [from, ...joins.map(({ table }) => table)];
  const using = joins.flatMap(({ condition }) =>
    condition.kind === 'using' ? [condition.column] : [],
  );
  const scope: Scope = {
    sql,
    tables,
    unitNames: new Set(using),
    relations: found.map((one, i) => relationOf(syntax[i]!, one, indexOf(one))),
  };
  expectDistinctNames(scope, spans);
  joins.forEach((join, i) => expectUnitJoin(scope, join, i + 1));
  return scope;
}

function expectDistinctNames({ sql, relations }: Scope, spans: readonly Span[]): void {
  const names = relations.map(({ qualifiers }) => qualifiers[0]);
  const twice = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twice < 0) return;
  const fragment = fragmentOf(sql, spans[twice]!);
  throw refusal('SQL_BAD_JOIN', 'two tables have one name', fragment, 'Give one an alias.');
}

function bindView(policy: Policy, sql: string, select: SelectSyntax, name: string): Scope {
  const extra = select.joins[0];
  if (extra !== undefined) {
    const hint = 'A view already joins its tables; name the tables instead to join others.';
    const fragment = fragmentOf(sql, extra.table.span);
    throw refusal('SQL_UNSUPPORTED', 'a view is not joined further', fragment, hint);
  }
  const view = policy.views[name]!;
  const { span, alias } = select.from;
  const found = view.join.map((table) => findTable(policy, [table], table));
  const tables = orderTables(
    sql,
    found,
    found.map(() => span),
  );
  const unitAlias = view.privacy_unit_alias;
  return {
    sql,
    tables,
    unitNames: new Set([unitAlias]),
    relations: [{ qualifiers: [alias ?? name], tables: tables.map((_, t) => t), unitAlias }],
  };
}

function tooMany(sql: string, join: JoinSyntax): ParleyError {
  const hint = `A query joins at most ${JOIN_TABLES_MAX} tables.`;
  const fragment = fragmentOf(sql, join.table.span);
  return refusal('SQL_UNSUPPORTED', 'too many tables', fragment, hint);
}

function relationOf(syntax: TableSyntax, found: Found, index: TableIndex): Relation {
  const qualifiers =
    syntax.alias === null ? [found.name, `${found.party.name}.${found.name}`] : [syntax.alias];
  return { qualifiers, tables: [index], unitAlias: null };
}

function findTable(policy: Policy, path: readonly string[], fragment: string): Found {
  const name = path.at(-1)!;
  const partyName = path.length === 2 ? path[0]! : null;
  const found = policy.parties.flatMap((party, partyIndex): Found[] =>
    (partyName === null || party.name === partyName) && Object.hasOwn(party.tables, name)
      ? [{ party, partyIndex, name, policy: party.tables[name]! }]
      : [],
  );
  const [only, second] = found;
  if (only === undefined) {
    const known = [
      ...Object.keys(policy.views),
      ...policy.parties.flatMap((p) => Object.keys(p.tables).map((t) => `${p.name}.${t}`)),
    ];
    throw refusal(
      'SQL_UNKNOWN_TABLE',
      'no such table or view',
      fragment,
      `Known: ${listOf(known)}.`,
    );
  }
  if (second !== undefined) {
    const hint = `Write ${found.map((f) => `${f.party.name}.${f.name}`).join(' or ')}.`;
    throw refusal('SQL_UNKNOWN_TABLE', 'several parties have this table', fragment, hint);
  }
  return only;
}

/** The tables in policy order. @param spans - where each stands in the text. */
function orderTables(
  sql: string,
  found: readonly Found[],
  spans: readonly Span[],
): readonly BoundTable[] {
  found.forEach((one, i) => {
    const fragment = fragmentOf(sql, spans[i]!);
    if (found.slice(0, i).some(({ partyIndex }) => partyIndex === one.partyIndex)) {
      const hint = 'A query joins tables of different parties.';
      throw refusal('SQL_UNSUPPORTED', 'two tables are of one party', fragment, hint);
    }
    if (one.policy.privacy_unit_column.kind !== found[0]!.policy.privacy_unit_column.kind) {
      const hint = 'The policy must give all privacy units one kind of identifier.';
      throw refusal('SQL_BAD_JOIN', 'the privacy units are of different kinds', fragment, hint);
    }
  });
  return [...found]
    .sort((a, b) => a.partyIndex - b.partyIndex)
    .map(({ party, name, policy }) => ({ party: party.name, name, policy }));
}

/**
 * Checks that the condition of a join is the equality of the new table's unit, that of relation
 * `index`, with the unit of an earlier one, and nothing else.
 */
function expectUnitJoin(scope: Scope, { condition }: JoinSyntax, index: number): void {
  const own = scope.relations[index]!;
  const earlier = scope.relations.slice(0, index);
  const unit = (relation: Relation): string => unitOf(scope, relation);
  const bad = (): ParleyError => {
    const units = [earlier[0]!, own].map((r) => `${r.qualifiers[0]!}.${unit(r)}`);
    return refusal(
      'SQL_BAD_JOIN',
      'tables join on the equality of their privacy units alone',
      fragmentOf(scope.sql, condition.span),
      `Write ON ${units.join(' = ')}; other conditions belong in WHERE.`,
    );
  };
  if (condition.kind === 'using') {
    const named = (relation: Relation): boolean => unit(relation) === condition.column;
    if (!named(own) || !earlier.some(named)) throw bad();
    return;
  }
  const on = condition.condition;
  if (on.kind !== 'compare' || on.op !== '=') throw bad();
  if (on.left.kind !== 'column' || on.right.kind !== 'column') throw bad();
  const visible = { ...scope, relations: scope.relations.slice(0, index + 1) };
  const sides = [unitTable(visible, on.left), unitTable(visible, on.right)];
  const others = sides.filter((table) => table !== own.tables[0]);
  const [other] = others;
  if (others.length !== 1 || other == null) throw bad();
}

const unitOf = (scope: Scope, relation: Relation): string =>
  scope.tables[relation.tables[0]!]!.policy.privacy_unit_column.name;

/** The table whose unit a column of ON names, null when it names none. */
function unitTable(scope: Scope, column: ColumnSyntax): TableIndex | null {
  const name = column.path.at(-1)!;
  const tables = relationsOf(scope, column)
    .flatMap((relation) => relation.tables)
    .filter((t) => scope.tables[t]!.policy.privacy_unit_column.name === name);
  if (tables.length > 1) throw ambiguous(scope, column);
  return tables[0] ?? null;
}

function relationsOf(scope: Scope, column: ColumnSyntax): readonly Relation[] {
  const qualifier = column.path.slice(0, -1).join('.');
  if (qualifier === '') return scope.relations;
  const found = scope.relations.filter((relation) => relation.qualifiers.includes(qualifier));
  if (found.length > 0) return found;
  const fragment = fragmentOf(scope.sql, column.span);
  const hint = `FROM names ${listOf(scope.relations.map((r) => r.qualifiers[0]!))}.`;
  throw refusal('SQL_UNKNOWN_TABLE', 'FROM names no such table', fragment, hint);
}

function ambiguous(scope: Scope, column: ColumnSyntax): ParleyError {
  const fragment = fragmentOf(scope.sql, column.span);
  const hint = 'Join the tables with JOIN ... ON and write the table before the column.';
  return refusal('SQL_AMBIGUOUS_COLUMN', 'several tables have this column', fragment, hint);
}

/**
 * What a column name means.
 * @throws ParleyError SQL_UNKNOWN_COLUMN, SQL_AMBIGUOUS_COLUMN, SQL_UNKNOWN_TABLE.
 */
export function resolveColumn(scope: Scope, column: ColumnSyntax): Resolved {
  const found = lookUp(scope, column);
  if (found !== null) return found;
  const visible = relationsOf(scope, column).flatMap((relation) => [
    ...(relation.unitAlias === null ? [] : [relation.unitAlias]),
    ...relation.tables.flatMap((t) => Object.keys(scope.tables[t]!.policy.columns)),
  ]);
  const fragment = fragmentOf(scope.sql, column.span);
  throw refusal('SQL_UNKNOWN_COLUMN', 'no such column', fragment, `Known: ${listOf(visible)}.`);
}

/** As {@link resolveColumn}, but null when no such column exists. */
export function lookUp(scope: Scope, column: ColumnSyntax): Resolved | null {
  const name = column.path.at(-1)!;
  if (column.path.length === 1 && scope.unitNames.has(name)) return { kind: 'unit' };
  const matches = relationsOf(scope, column).flatMap((relation) =>
    matchesIn(scope, relation, name),
  );
  if (matches.length > 1) throw ambiguous(scope, column);
  return matches[0] ?? null;
}

function matchesIn(scope: Scope, relation: Relation, name: string): readonly Resolved[] {
  if (relation.unitAlias === name) return [{ kind: 'unit' }];
  const matches = relation.tables.flatMap((table): Resolved[] => {
    const { policy } = scope.tables[table]!;
    if (policy.privacy_unit_column.name === name) return [{ kind: 'unit' }];
    if (!Object.hasOwn(policy.columns, name)) return [];
    return [{ kind: 'column', table, name, policy: policy.columns[name]! }];
  });
  // In a view the units of all tables are one column, whatever they are called.
  return matches.every((match) => match.kind === 'unit') ? matches.slice(0, 1) : matches;
}

/** A column other than the privacy unit. @throws ParleyError SQL_PRIVACY_UNIT, or resolveColumn's. */
export function resolvePlain(scope: Scope, column: ColumnSyntax): ResolvedColumn {
  const found = resolveColumn(scope, column);
  if (found.kind === 'column') return found;
  const fragment = fragmentOf(scope.sql, column.span);
  throw refusal('SQL_PRIVACY_UNIT', 'the privacy unit cannot be used here', fragment, UNIT_HINT);
}

/** LOCAL. Names a hint lists before it stops. */
const NAMES_LISTED_MAX = 20;

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_LISTED_MAX).join(', ');
  return names.length > NAMES_LISTED_MAX ? `${shown} and others` : shown;
}
