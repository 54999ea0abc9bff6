import { refusal, JOIN_HINT, UNIT_HINT } from './hints.ts';
import type { ParleyError } from '../core/errors.ts';
import type { ColumnPolicy, PartyPolicy, Policy, TablePolicy } from '../policy/types.ts';
import type { ColumnSyntax, JoinSyntax, SelectSyntax, Span, TableSyntax } from './syntax.ts';

/**
 * Index of a table of the query: 0 is the one whose party comes first in the policy, whatever the
 * order in FROM. An inner join is symmetric, so the plan must not depend on that order.
 */
export type TableIndex = 0 | 1;

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

/** The two tables of a query and how their columns are named in it. */
export interface Scope {
  readonly sql: string;
  readonly tables: readonly [BoundTable, BoundTable];
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
 * Finds the two tables of FROM and checks that they are joined on their privacy units.
 * @throws ParleyError SQL_UNKNOWN_TABLE, SQL_BAD_JOIN, SQL_UNSUPPORTED.
 */
export function bindTables(policy: Policy, sql: string, select: SelectSyntax): Scope {
  const { from, joins } = select;
  const [viewName] = from.path;
  const isView =
    from.path.length === 1 && viewName !== undefined && Object.hasOwn(policy.views, viewName);
  if (isView) return bindView(policy, sql, select, viewName);
  const join = joins[0];
  if (join === undefined) {
    findTable(policy, from.path, fragmentOf(sql, from.span));
    throw refusal(
      'SQL_BAD_JOIN',
      'a query joins two tables',
      fragmentOf(sql, from.span),
      JOIN_HINT,
    );
  }
  if (joins.length > 1) throw tooMany(sql, joins[1]!);
  const left = findTable(policy, from.path, fragmentOf(sql, from.span));
  const right = findTable(policy, join.table.path, fragmentOf(sql, join.table.span));
  const tables = orderTables(sql, join.table.span, left, right);
  const leftIndex: TableIndex = left.partyIndex < right.partyIndex ? 0 : 1;
  const rightIndex: TableIndex = leftIndex === 0 ? 1 : 0;
  const scope: Scope = {
    sql,
    tables,
    unitNames: new Set(join.condition.kind === 'using' ? [join.condition.column] : []),
    relations: [relationOf(from, left, leftIndex), relationOf(join.table, right, rightIndex)],
  };
  if (scope.relations[0]!.qualifiers[0] === scope.relations[1]!.qualifiers[0]) {
    const fragment = fragmentOf(sql, join.table.span);
    throw refusal('SQL_BAD_JOIN', 'both tables have one name', fragment, 'Give one an alias.');
  }
  expectUnitJoin(scope, join);
  return scope;
}

function bindView(policy: Policy, sql: string, select: SelectSyntax, name: string): Scope {
  const extra = select.joins[0];
  if (extra !== undefined) throw tooMany(sql, extra);
  const view = policy.views[name]!;
  const { span, alias } = select.from;
  const [a, b] = view.join.map((table) => findTable(policy, [table], table));
  const tables = orderTables(sql, span, a!, b!);
  return {
    sql,
    tables,
    unitNames: new Set([view.privacy_unit_alias]),
    relations: [
      { qualifiers: [alias ?? name], tables: [0, 1], unitAlias: view.privacy_unit_alias },
    ],
  };
}

function tooMany(sql: string, join: JoinSyntax): ParleyError {
  const hint = 'A query joins exactly two tables; joins of more parties come later.';
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

function orderTables(sql: string, span: Span, left: Found, right: Found): Scope['tables'] {
  const fragment = fragmentOf(sql, span);
  if (left.partyIndex === right.partyIndex) {
    const hint = 'A query joins tables of two different parties.';
    throw refusal('SQL_UNSUPPORTED', 'both tables are of one party', fragment, hint);
  }
  const [leftUnit, rightUnit] = [left.policy.privacy_unit_column, right.policy.privacy_unit_column];
  if (leftUnit.kind !== rightUnit.kind) {
    const hint = 'The policy must give both privacy units one kind of identifier.';
    throw refusal('SQL_BAD_JOIN', 'the privacy units are of different kinds', fragment, hint);
  }
  const bound = ({ party, name, policy }: Found): BoundTable => ({
    party: party.name,
    name,
    policy,
  });
  return left.partyIndex < right.partyIndex
    ? [bound(left), bound(right)]
    : [bound(right), bound(left)];
}

/** Checks that the join condition is the equality of the two units and nothing else. */
function expectUnitJoin(scope: Scope, { condition }: JoinSyntax): void {
  const bad = (): ParleyError => {
    const units = scope.relations.map((r) => `${r.qualifiers[0]!}.${unitOf(scope, r)}`);
    return refusal(
      'SQL_BAD_JOIN',
      'tables join on the equality of their privacy units alone',
      fragmentOf(scope.sql, condition.span),
      `Write ON ${units.join(' = ')}; other conditions belong in WHERE.`,
    );
  };
  if (condition.kind === 'using') {
    const named = scope.tables.every((t) => t.policy.privacy_unit_column.name === condition.column);
    if (!named) throw bad();
    return;
  }
  const on = condition.condition;
  if (on.kind !== 'compare' || on.op !== '=') throw bad();
  if (on.left.kind !== 'column' || on.right.kind !== 'column') throw bad();
  const sides = [unitTable(scope, on.left), unitTable(scope, on.right)];
  if (!sides.includes(0) || !sides.includes(1)) throw bad();
}

const unitOf = (scope: Scope, relation: Relation): string =>
  scope.tables[relation.tables[0]!].policy.privacy_unit_column.name;

/** The table whose unit a column of ON names, null when it names none. */
function unitTable(scope: Scope, column: ColumnSyntax): TableIndex | null {
  const name = column.path.at(-1)!;
  const tables = relationsOf(scope, column)
    .flatMap((relation) => relation.tables)
    .filter((t) => scope.tables[t].policy.privacy_unit_column.name === name);
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
  return refusal('SQL_AMBIGUOUS_COLUMN', 'both tables have this column', fragment, hint);
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
    ...relation.tables.flatMap((t) => Object.keys(scope.tables[t].policy.columns)),
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
    const { policy } = scope.tables[table];
    if (policy.privacy_unit_column.name === name) return [{ kind: 'unit' }];
    if (!Object.hasOwn(policy.columns, name)) return [];
    return [{ kind: 'column', table, name, policy: policy.columns[name]! }];
  });
  // In a view the units of both tables are one column, whatever they are called.
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
