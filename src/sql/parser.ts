/**
 * SELECT statements, by recursive descent over a whitelist: what has no rule here is refused. The
 * text is read by this parser alone, so nothing it holds can be dropped or regrouped unseen.
 */
import { Cursor } from './cursor.ts';
import { parseExpression } from './expressions.ts';
import { JOIN_HINT, refusal, ROWS_STAY_HINT } from './hints.ts';
import { LIMIT_MAX, OUTPUT_COLUMNS_MAX } from './limits.ts';
import type {
  Expression,
  JoinSyntax,
  OrderItem,
  SelectItem,
  SelectSyntax,
  TableSyntax,
} from './syntax.ts';

const STATEMENTS = new Set(
  `ALTER ANALYZE ATTACH BEGIN CALL COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE DESCRIBE
  DETACH DISCARD DO DROP EXECUTE EXPLAIN EXPORT FETCH GRANT IMPORT INSERT INSTALL LISTEN LOAD LOCK MERGE
  NOTIFY PRAGMA PREPARE REFRESH REINDEX RELEASE RENAME REPLACE RESET REVOKE ROLLBACK SAVEPOINT SET
  SHOW START TABLE TRUNCATE UNLISTEN UPDATE USE VACUUM VALUES`.split(/\s+/),
);

/**
 * Reads one SELECT statement.
 * @throws ParleyError with an SQL_* code, the offending fragment and a hint.
 */
export function parseSelect(sql: string): SelectSyntax {
  const cursor = new Cursor(sql);
  expectSelect(cursor);
  if (cursor.isAt('DISTINCT') || cursor.isAt('ALL')) throw cursor.unexpected('expected a column');
  const items = parseItems(cursor);
  if (!cursor.accept('FROM')) {
    if (cursor.peek().kind !== 'end') throw cursor.unexpected('expected FROM');
    throw refusal('SQL_BAD_JOIN', 'a query needs FROM', undefined, JOIN_HINT);
  }
  const { from, joins } = parseFrom(cursor);
  const where = cursor.accept('WHERE') ? parseExpression(cursor) : null;
  const groupBy = cursor.accept('GROUP', 'BY') ? parseGroupBy(cursor) : [];
  const having = cursor.accept('HAVING') ? parseExpression(cursor) : null;
  const orderBy = cursor.accept('ORDER', 'BY') ? parseOrderBy(cursor) : [];
  const { limit, offset } = parseLimits(cursor);
  if (cursor.peek().kind !== 'end') throw cursor.unexpected('expected the end of the statement');
  return { items, from, joins, where, groupBy, having, orderBy, limit, offset };
}

function expectSelect(cursor: Cursor): void {
  const first = cursor.peek();
  if (cursor.accept('SELECT')) return;
  if (first.kind === 'word' && STATEMENTS.has(first.text)) {
    const hint = 'The only statement is SELECT.';
    throw refusal('SQL_NOT_SELECT', 'this is not a SELECT', cursor.textOf(first), hint);
  }
  if (cursor.isAt('(')) {
    const hint = 'Write the SELECT without parentheses around it.';
    throw refusal('SQL_UNSUPPORTED', 'a parenthesised statement', '(', hint);
  }
  throw cursor.unexpected('expected SELECT');
}

function parseItems(cursor: Cursor): readonly SelectItem[] {
  const items: SelectItem[] = [];
  do {
    if (items.length === OUTPUT_COLUMNS_MAX) {
      const hint = `Select at most ${OUTPUT_COLUMNS_MAX} columns.`;
      throw refusal('SQL_TOO_LARGE', 'the SELECT list is too long', undefined, hint);
    }
    const { from } = cursor.peek();
    expectNoStar(cursor);
    const expression = parseExpression(cursor);
    const named = cursor.accept('AS') || cursor.isName();
    if (cursor.isAt('OVER') || cursor.isAt('FILTER') || cursor.isAt('WITHIN')) {
      throw cursor.unexpected('expected a comma or FROM');
    }
    const alias = named ? cursor.name('a column name') : null;
    items.push({ expression, alias, span: cursor.spanFrom(from) });
  } while (cursor.accept(','));
  return items;
}

function expectNoStar(cursor: Cursor): void {
  let ahead = 0;
  while (cursor.isName(ahead) && cursor.isSymbol(ahead + 1, '.')) ahead += 2;
  if (!cursor.isSymbol(ahead, '*')) return;
  const fragment = cursor.sql.slice(cursor.peek().from, cursor.peek(ahead).to);
  throw refusal('SQL_SELECT_STAR', 'a query cannot select all columns', fragment, ROWS_STAY_HINT);
}

function parseTable(cursor: Cursor): TableSyntax {
  const { from } = cursor.peek();
  if (cursor.isAt('(')) {
    cursor.next();
    const hint = 'Subqueries and parenthesised joins are not supported; name tables or a view.';
    throw cursor.refuse('a table must be named', from, hint);
  }
  if (cursor.isAt('ONLY') || cursor.isAt('LATERAL')) throw cursor.unexpected('expected a table');
  const path = cursor.path('a table', 2);
  if (cursor.isAt('(')) {
    throw cursor.refuse('table functions are not supported', from, 'Name a table or a view.');
  }
  const explicit = cursor.accept('AS');
  const named = explicit || (cursor.isName() && !cursor.isAt('TABLESAMPLE'));
  const alias = named ? cursor.name('a table alias') : null;
  if (named && cursor.isAt('(')) {
    throw cursor.refuse('column aliases are not supported', from, 'Give the table one alias.');
  }
  return { path, alias, span: cursor.spanFrom(from) };
}

/** FROM. A first RIGHT JOIN is a LEFT JOIN with its two tables changed about. */
function parseFrom(cursor: Cursor): Pick<SelectSyntax, 'from' | 'joins'> {
  const from = parseTable(cursor);
  if (!cursor.accept('RIGHT')) return { from, joins: parseJoins(cursor) };
  cursor.accept('OUTER');
  cursor.require('JOIN');
  const join = parseJoin(cursor, 'left');
  return { from: join.table, joins: [{ ...join, table: from }, ...parseJoins(cursor)] };
}

function parseJoins(cursor: Cursor): readonly JoinSyntax[] {
  const joins: JoinSyntax[] = [];
  for (;;) {
    if (cursor.accept(',')) {
      joins.push({ kind: 'inner', table: parseTable(cursor), condition: null });
      continue;
    }
    const kind = joinKind(cursor);
    if (kind === null) return joins;
    joins.push(parseJoin(cursor, kind));
  }
}

/** Steps over the words of a join. */
function joinKind(cursor: Cursor): JoinSyntax['kind'] | null {
  if (cursor.accept('INNER')) cursor.require('JOIN');
  else if (cursor.accept('LEFT')) {
    cursor.accept('OUTER');
    cursor.require('JOIN');
    return 'left';
  } else if (!cursor.accept('JOIN')) return null;
  return 'inner';
}

function parseJoin(cursor: Cursor, kind: JoinSyntax['kind']): JoinSyntax {
  const table = parseTable(cursor);
  const { from } = cursor.peek();
  if (cursor.accept('ON')) {
    const condition = parseExpression(cursor);
    return { kind, table, condition: { kind: 'on', condition, span: cursor.spanFrom(from) } };
  }
  if (!cursor.accept('USING')) {
    if (cursor.peek().kind === 'end' || cursor.isAt('WHERE')) {
      const fragment = cursor.textOf(table.span);
      throw refusal('SQL_BAD_JOIN', 'a join needs ON or USING', fragment, JOIN_HINT);
    }
    throw cursor.unexpected('expected ON or USING');
  }
  cursor.require('(');
  const column = cursor.name('a column');
  if (cursor.isAt(',')) {
    const fragment = cursor.textOf(cursor.spanFrom(from));
    throw refusal('SQL_BAD_JOIN', 'USING takes the privacy unit alone', fragment, JOIN_HINT);
  }
  cursor.require(')');
  return { kind, table, condition: { kind: 'using', column, span: cursor.spanFrom(from) } };
}

function parseGroupBy(cursor: Cursor): readonly Expression[] {
  const keys: Expression[] = [];
  do {
    keys.push(parseExpression(cursor));
  } while (cursor.accept(','));
  return keys;
}

function parseOrderBy(cursor: Cursor): readonly OrderItem[] {
  const keys: OrderItem[] = [];
  do {
    const { from } = cursor.peek();
    const expression = parseExpression(cursor);
    const descending = cursor.accept('DESC');
    if (!descending) cursor.accept('ASC');
    // PostgreSQL: NULL sorts as larger than every value.
    let nullsFirst = descending;
    if (cursor.accept('NULLS')) {
      nullsFirst = cursor.accept('FIRST');
      if (!nullsFirst) cursor.require('LAST');
    }
    keys.push({ expression, descending, nullsFirst, span: cursor.spanFrom(from) });
  } while (cursor.accept(','));
  return keys;
}

/** LIMIT and OFFSET, each at most once, in either order. */
function parseLimits(cursor: Cursor): { readonly limit: number | null; readonly offset: number } {
  let limit: number | null = null;
  let offset: number | null = null;
  for (;;) {
    if (limit === null && cursor.accept('LIMIT')) limit = parseCount(cursor, 'LIMIT');
    else if (offset === null && cursor.accept('OFFSET')) {
      offset = parseCount(cursor, 'OFFSET');
      if (!cursor.accept('ROWS')) cursor.accept('ROW');
    } else return { limit, offset: offset ?? 0 };
  }
}

function parseCount(cursor: Cursor, what: string): number {
  const token = cursor.peek();
  const value = token.kind === 'number' ? Number(token.text) : NaN;
  if (token.kind !== 'number' || !/^\d+$/.test(token.text) || value > LIMIT_MAX) {
    if (token.kind === 'end') throw cursor.unexpected('expected a number of rows');
    const hint = `${what} takes a whole number from 0 to ${LIMIT_MAX}.`;
    throw refusal('SQL_BAD_LITERAL', `${what} needs a whole number`, cursor.textOf(token), hint);
  }
  cursor.next();
  return value;
}
