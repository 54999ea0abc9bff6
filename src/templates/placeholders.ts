import { ParleyError } from '../core/errors.ts';

/** A stretch of a template's SQL: text that stays as it is, or the name of a parameter. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string };

/**
 * What a placeholder is not looked for in (PostgreSQL 4.1): strings, quoted names, comments, and
 * the `::` of a cast, which the grammar refuses later. A comment that nests ends where its outermost
 * level does.
 */
const OPAQUE = /'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"|--[^\r\n]*|::/y;
const PLACEHOLDER = /:([a-z][a-z0-9_]{0,62})(?![A-Za-z0-9_])/y;

function matchAt(pattern: RegExp, sql: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(sql);
}

/** Length of the block comment that starts at `at`, or 0. */
function blockComment(sql: string, at: number): number {
  if (!sql.startsWith('/*', at)) return 0;
  let depth = 0;
  for (let i = at; i < sql.length - 1; i += 1) {
    const pair = sql.slice(i, i + 2);
    if (pair !== '/*' && pair !== '*/') continue;
    depth += pair === '/*' ? 1 : -1;
    i += 1;
    if (depth === 0) return i + 1 - at;
  }
  throw new ParleyError('TEMPLATE_MALFORMED', 'a comment of the template is not closed');
}

/**
 * Cuts a template's SQL at its placeholders, `:name`.
 * @throws ParleyError TEMPLATE_MALFORMED for a colon that starts none, and an open quote or comment.
 */
export function piecesOf(sql: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  let at = 0;
  while (at < sql.length) {
    const opaque = matchAt(OPAQUE, sql, at)?.[0].length ?? blockComment(sql, at);
    if (opaque > 0) {
      at += opaque;
      continue;
    }
    const c = sql[at];
    if (c === "'" || c === '"') {
      throw new ParleyError('TEMPLATE_MALFORMED', 'a quote of the template is not closed');
    }
    if (c !== ':') {
      at += 1;
      continue;
    }
    const found = matchAt(PLACEHOLDER, sql, at);
    if (found?.[1] === undefined) {
      throw new ParleyError('TEMPLATE_MALFORMED', 'a colon of the template names no parameter', {
        fragment: sql.slice(at, at + 20),
      });
    }
    pieces.push({ kind: 'text', text: sql.slice(from, at) });
    pieces.push({ kind: 'parameter', name: found[1] });
    at += found[0].length;
    from = at;
  }
  pieces.push({ kind: 'text', text: sql.slice(from) });
  return pieces;
}
