import type { ParleyError } from '../core/errors.ts';
import type { Effort } from './effort.ts';
import type { ColumnPolicy, TablePolicy } from '../policy/types.ts';
import { UNIT_HINT, refusal } from './hints.ts';
import type { ColumnSyntax, Expression, Span } from './syntax.ts';

/**
 * Index of a table of the query, in the order of their parties in the policy, whatever the order in
 * FROM. A party's tables are joined by the party itself and are one table from here on. An inner
 * join is symmetric, so the plan must not depend on that order.
 */
export type TableIndex = number;

/** What one party brings to the query: a table, or several that it joins on their unit. */
export interface BoundTable {
  readonly party: string;
  /** Sorted by name. */
  readonly parts: readonly { readonly name: string; readonly policy: TablePolicy }[];
  /** True on the right of a LEFT JOIN: its users need not match. */
  readonly optional: boolean;
  /** Declared users: no more are in all parts. */
  readonly maxUsers: number;
  /** Declared rows of a user: the product over the parts. */
  readonly maxRows: number;
}

/** What a name in the query means. */
export type Resolved =
  /** Of one table, or of the join as a whole. */
  | { readonly kind: 'unit'; readonly table: TableIndex | null }
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
  readonly effort: Effort;
  readonly tables: readonly BoundTable[];
  /** Names the joined unit without a qualifier: the alias of a view, the column of USING. */
  readonly unitNames: ReadonlySet<string>;
  /** Relations of FROM with the tables they cover. */
  readonly relations: readonly Relation[];
  /** WHERE without the equalities that join tables listed with commas, and with what local joins add. */
  readonly where: readonly Expression[];
  /** Conditions of LEFT JOIN on its right table alone: they thin it before the join. */
  readonly onRight: readonly { readonly table: TableIndex; readonly condition: Expression }[];
}

export interface Member {
  readonly table: TableIndex;
  /** Index into the table's parts. */
  readonly part: number;
}

export interface Relation {
  /** What may precede a column: an alias, else the table's own name, with or without its party. */
  readonly qualifiers: readonly string[];
  readonly members: readonly Member[];
  /** Extra name of the unit in this relation. */
  readonly unitAlias: string | null;
}

export const fragmentOf = (sql: string, span: Span): string => sql.slice(span.from, span.to);

export function relationsOf(scope: Scope, column: ColumnSyntax): readonly Relation[] {
  const qualifier = column.path.slice(0, -1).join('.');
  if (qualifier === '') return scope.relations;
  const found = scope.relations.filter((relation) => relation.qualifiers.includes(qualifier));
  if (found.length > 0) return found;
  const fragment = fragmentOf(scope.sql, column.span);
  const hint = `FROM names ${listOf(scope.relations.map((r) => r.qualifiers[0]!))}.`;
  throw refusal('SQL_UNKNOWN_TABLE', 'FROM names no such table', fragment, hint);
}

export function ambiguous(scope: Scope, column: ColumnSyntax): ParleyError {
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
    ...relation.members.flatMap(({ table, part }) =>
      Object.keys(scope.tables[table]!.parts[part]!.policy.columns),
    ),
  ]);
  const fragment = fragmentOf(scope.sql, column.span);
  throw refusal('SQL_UNKNOWN_COLUMN', 'no such column', fragment, `Known: ${listOf(visible)}.`);
}

/** As {@link resolveColumn}, but null when no such column exists. */
export function lookUp(scope: Scope, column: ColumnSyntax): Resolved | null {
  const name = column.path.at(-1)!;
  if (column.path.length === 1 && scope.unitNames.has(name)) return { kind: 'unit', table: null };
  const matches = relationsOf(scope, column).flatMap((relation) =>
    matchesIn(scope, relation, name),
  );
  if (matches.length > 1) throw ambiguous(scope, column);
  return matches[0] ?? null;
}

function matchesIn(scope: Scope, relation: Relation, name: string): readonly Resolved[] {
  if (relation.unitAlias === name) return [{ kind: 'unit', table: null }];
  const matches = relation.members.flatMap(({ table, part }): Resolved[] => {
    const bound = scope.tables[table]!;
    const { policy, name: tableName } = bound.parts[part]!;
    if (policy.privacy_unit_column.name === name) return [{ kind: 'unit', table }];
    if (!Object.hasOwn(policy.columns, name)) return [];
    const column = policy.columns[name]!;
    const full = bound.parts.length === 1 ? name : `${tableName}.${name}`;
    const held = bound.optional ? { ...column, nullable: true } : column;
    return [{ kind: 'column', table, name: full, policy: held }];
  });
  // In a view the units of all tables are one column, whatever they are called.
  const [first] = matches;
  const units = first !== undefined && matches.every((match) => match.kind === 'unit');
  if (!units) return matches;
  return relation.members.length === 1 ? [first] : [{ kind: 'unit', table: null }];
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

export function listOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_LISTED_MAX).join(', ');
  return names.length > NAMES_LISTED_MAX ? `${shown} and others` : shown;
}
