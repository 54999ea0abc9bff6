/** FROM: its tables by party, and the conditions that join them. */
import type { ParleyError } from '../core/errors.ts';
import type { PartyPolicy, Policy, TablePolicy } from '../policy/types.ts';
import { createEffort } from './effort.ts';
import { JOIN_HINT, refusal } from './hints.ts';
import { JOIN_TABLES_MAX, RELATIONS_MAX } from './limits.ts';
import {
  type BoundTable,
  type Member,
  type Relation,
  type Scope,
  type TableIndex,
  ambiguous,
  fragmentOf,
  listOf,
  relationsOf,
  resolveColumn,
} from './names.ts';
import {
  type ColumnSyntax,
  type Expression,
  type JoinSyntax,
  type SelectSyntax,
  type Span,
  type TableSyntax,
  partsOf,
} from './syntax.ts';

interface Found {
  readonly party: PartyPolicy;
  readonly partyIndex: number;
  readonly name: string;
  readonly policy: TablePolicy;
}

/** The conjuncts of a condition. */
function conjunctsOf(condition: Expression | null): readonly Expression[] {
  if (condition === null) return [];
  return condition.kind === 'and' ? condition.terms.flatMap(conjunctsOf) : [condition];
}

/**
 * Finds the tables of FROM, of 2 to 4 parties, and checks that they are joined on their privacy
 * units.
 * @throws ParleyError SQL_UNKNOWN_TABLE, SQL_BAD_JOIN, SQL_UNSUPPORTED.
 */
export function bindTables(policy: Policy, sql: string, select: SelectSyntax): Scope {
  const { from, joins } = select;
  const [viewName] = from.path;
  const isView =
    from.path.length === 1 && viewName !== undefined && Object.hasOwn(policy.views, viewName);
  if (isView) return bindView(policy, sql, select, viewName);
  if (joins.length >= RELATIONS_MAX) throw tooMany(sql, joins[RELATIONS_MAX - 1]!);
  const syntax = [from, ...joins.map(({ table }) => table)];
  const spans = syntax.map(({ span }) => span);
  const found = syntax.map(({ path, span }) => findTable(policy, path, fragmentOf(sql, span)));
  const optional = [false, ...joins.map(({ kind }) => kind === 'left')];
  const tables = groupTables(sql, found, spans, optional);
  if (tables.length === 1) {
    const fragment = fragmentOf(sql, from.span);
    throw refusal('SQL_BAD_JOIN', 'a query joins tables of several parties', fragment, JOIN_HINT);
  }
  const using = joins.flatMap(({ condition }) =>
    condition?.kind === 'using' ? [condition.column] : [],
  );
  const relations = found.map((one, i) => relationOf(syntax[i]!, one, memberOf(tables, one)));
  const scope: Scope = {
    sql,
    effort: createEffort(sql),
    tables,
    unitNames: new Set(using),
    relations,
    where: [],
    onRight: [],
  };
  expectDistinctNames(scope, spans);
  return linkRelations(scope, select);
}

/** Where a found table lies among the tables of the query. */
function memberOf(tables: readonly BoundTable[], { party, name }: Found): Member {
  const table = tables.findIndex((bound) => bound.party === party.name);
  return { table, part: tables[table]!.parts.findIndex((part) => part.name === name) };
}

/** Reads the conditions of all joins, and what WHERE says for tables listed with commas. */
function linkRelations(scope: Scope, { joins, where }: SelectSyntax): Scope {
  const linked = new Set<number>([0]);
  const extra: Expression[] = [];
  const onRight: { table: TableIndex; condition: Expression }[] = [];
  const rest = [...conjunctsOf(where)];
  joins.forEach((join, i) => {
    const index = i + 1;
    if (join.condition === null) return;
    const { added, right } = readJoin(scope, join, index);
    extra.push(...added);
    const table = scope.relations[index]!.members[0]!.table;
    onRight.push(...right.map((condition) => ({ table, condition })));
    linked.add(index);
  });
  if (joins.some(({ condition }) => condition === null)) linkByWhere(scope, joins, linked, rest);
  return { ...scope, where: [...rest, ...extra], onRight };
}

/** Takes equalities of units out of WHERE until every relation is linked to the first. */
function linkByWhere(
  scope: Scope,
  joins: readonly JoinSyntax[],
  joined: Set<number>,
  where: Expression[],
): void {
  const edges: (readonly [number, number])[] = [];
  for (let i = where.length - 1; i >= 0; i -= 1) {
    const pair = unitEquality(scope, where[i]!);
    if (pair === null || pair.some((relation) => isOptional(scope, relation))) continue;
    edges.push(pair);
    where.splice(i, 1);
  }
  // A relation with a condition of its own is linked to an earlier one, comma or not.
  const reached = new Set<number>([0]);
  for (let pass = 0; pass <= joins.length; pass += 1) {
    joins.forEach(({ condition }, i) => {
      if (condition !== null && joined.has(i + 1)) reached.add(i + 1);
    });
    for (const [a, b] of edges) {
      if (reached.has(a)) reached.add(b);
      if (reached.has(b)) reached.add(a);
    }
  }
  const missing = joins.findIndex((_, i) => !reached.has(i + 1));
  if (missing < 0) return;
  const [first, own] = [scope.relations[0]!, scope.relations[missing + 1]!];
  const hint = `WHERE must say ${nameOfUnit(scope, first)} = ${nameOfUnit(scope, own)}.`;
  const fragment = fragmentOf(scope.sql, joins[missing]!.table.span);
  throw refusal('SQL_BAD_JOIN', 'a table is not joined', fragment, hint);
}

const isOptional = (scope: Scope, relation: number): boolean =>
  scope.relations[relation]!.members.some(({ table }) => scope.tables[table]!.optional);

/** The relations whose units a condition equates, or null when it does something else. */
function unitEquality(scope: Scope, condition: Expression): readonly [number, number] | null {
  if (condition.kind !== 'compare' || condition.op !== '=') return null;
  const { left, right } = condition;
  if (left.kind !== 'column' || right.kind !== 'column') return null;
  const [a, b] = [unitRelation(scope, left), unitRelation(scope, right)];
  return a === null || b === null || a === b ? null : [a, b];
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
  const tables = groupTables(
    sql,
    found,
    found.map(() => span),
    found.map(() => false),
  );
  const unitAlias = view.privacy_unit_alias;
  const members = found.map((one) => memberOf(tables, one));
  return {
    sql,
    effort: createEffort(sql),
    tables,
    unitNames: new Set([unitAlias]),
    relations: [{ qualifiers: [alias ?? name], members, unitAlias }],
    where: conjunctsOf(select.where),
    onRight: [],
  };
}

function tooMany(sql: string, join: JoinSyntax): ParleyError {
  const hint = `A query joins at most ${RELATIONS_MAX} tables of ${JOIN_TABLES_MAX} parties.`;
  const fragment = fragmentOf(sql, join.table.span);
  return refusal('SQL_UNSUPPORTED', 'too many tables', fragment, hint);
}

function relationOf(syntax: TableSyntax, found: Found, member: Member): Relation {
  const qualifiers =
    syntax.alias === null ? [found.name, `${found.party.name}.${found.name}`] : [syntax.alias];
  return { qualifiers, members: [member], unitAlias: null };
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

/** The tables by party, in policy order. @param spans - where each stands in the text. */
function groupTables(
  sql: string,
  found: readonly Found[],
  spans: readonly Span[],
  optional: readonly boolean[],
): readonly BoundTable[] {
  found.forEach((one, i) => {
    const fragment = fragmentOf(sql, spans[i]!);
    const same = found.filter(({ partyIndex }) => partyIndex === one.partyIndex);
    if (same.slice(0, same.indexOf(one)).some(({ name }) => name === one.name)) {
      const hint = 'Name every table once; a self-join is not supported.';
      throw refusal('SQL_UNSUPPORTED', 'a table is joined to itself', fragment, hint);
    }
    if (optional[i]! && same.length > 1) {
      const hint = 'LEFT JOIN takes one table of another party on its right.';
      throw refusal('SQL_UNSUPPORTED', 'a party’s own tables join by JOIN alone', fragment, hint);
    }
    if (one.policy.privacy_unit_column.kind !== found[0]!.policy.privacy_unit_column.kind) {
      const hint = 'The policy must give all privacy units one kind of identifier.';
      throw refusal('SQL_BAD_JOIN', 'the privacy units are of different kinds', fragment, hint);
    }
  });
  const parties = [...new Set(found.map(({ partyIndex }) => partyIndex))].sort((a, b) => a - b);
  if (parties.length > JOIN_TABLES_MAX) {
    const hint = `A query joins the tables of at most ${JOIN_TABLES_MAX} parties.`;
    throw refusal('SQL_UNSUPPORTED', 'too many parties', fragmentOf(sql, spans.at(-1)!), hint);
  }
  return parties.map((index): BoundTable => {
    const own = found.filter(({ partyIndex }) => partyIndex === index);
    const parts = own
      .map(({ name, policy }) => ({ name, policy }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      party: own[0]!.party.name,
      parts,
      optional: optional[found.indexOf(own[0]!)]!,
      maxUsers: Math.min(...parts.map(({ policy }) => policy.max_users)),
      maxRows: parts.reduce((n, { policy }) => n * policy.max_rows_per_user, 1),
    };
  });
}

const unitOf = (scope: Scope, relation: Relation): string => {
  const { table, part } = relation.members[0]!;
  return scope.tables[table]!.parts[part]!.policy.privacy_unit_column.name;
};

const nameOfUnit = (scope: Scope, relation: Relation): string =>
  `${relation.qualifiers[0]!}.${unitOf(scope, relation)}`;

/**
 * Reads the condition of a join: the equality of the new table's unit, that of relation `index`,
 * with the unit of an earlier one. Beside it, a party's own tables may be joined on more of their
 * columns, and the right table of a LEFT JOIN may be thinned by its own.
 */
function readJoin(
  scope: Scope,
  { kind, condition }: JoinSyntax,
  index: number,
): { readonly added: readonly Expression[]; readonly right: readonly Expression[] } {
  const own = scope.relations[index]!;
  const earlier = scope.relations.slice(0, index);
  const nothing = { added: [], right: [] };
  const bad = (): ParleyError =>
    refusal(
      'SQL_BAD_JOIN',
      'tables join on the equality of their privacy units alone',
      condition === null ? '' : fragmentOf(scope.sql, condition.span),
      `Write ON ${nameOfUnit(scope, earlier[0]!)} = ${nameOfUnit(scope, own)}; other conditions belong in WHERE.`,
    );
  if (condition === null) return nothing;
  if (condition.kind === 'using') {
    const named = (relation: Relation): boolean => unitOf(scope, relation) === condition.column;
    const sure = earlier.filter((_, relation) => !isOptional(scope, relation));
    if (!named(own) || !sure.some(named)) throw bad();
    return nothing;
  }
  const visible = { ...scope, relations: scope.relations.slice(0, index + 1) };
  // The other unit must be there for every user: not that of another LEFT JOIN.
  const links = (term: Expression): boolean => {
    const pair = unitEquality(visible, term);
    if (pair === null || !pair.includes(index)) return false;
    return pair.every((relation) => relation === index || !isOptional(scope, relation));
  };
  const rest = conjunctsOf(condition.condition).filter((term) => !links(term));
  if (rest.length === conjunctsOf(condition.condition).length) throw bad();
  const ownTable = own.members[0]!.table;
  const local = earlier.some(({ members }) => members.some(({ table }) => table === ownTable));
  if (!rest.every((term) => tablesIn(visible, term).every((table) => table === ownTable)))
    throw bad();
  if (kind === 'left') return { added: [], right: rest };
  if (rest.length > 0 && !local) throw bad();
  return { added: rest, right: [] };
}

/** Tables whose columns an expression names. */
function tablesIn(scope: Scope, expression: Expression): readonly TableIndex[] {
  if (expression.kind !== 'column') return partsOf(expression).flatMap((p) => tablesIn(scope, p));
  const found = resolveColumn(scope, expression);
  return found.table === null ? [] : [found.table];
}

/** The relation whose unit a column names, null when it names none. */
function unitRelation(scope: Scope, column: ColumnSyntax): number | null {
  const name = column.path.at(-1)!;
  const found = relationsOf(scope, column).filter((relation) => unitOf(scope, relation) === name);
  if (found.length > 1) throw ambiguous(scope, column);
  return found.length === 0 ? null : scope.relations.indexOf(found[0]!);
}
