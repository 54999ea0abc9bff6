/** Refusals of conditions, each with the fragment it is about. */
import type { ParleyError } from '../core/errors.ts';
import { refusal } from './hints.ts';
import type { Scope } from './names.ts';
import type { Span } from './syntax.ts';

/** The text of a span. */
export function fragmentOf(scope: Scope, span: Span): string {
  return scope.sql.slice(span.from, span.to);
}

/** A value where WHERE needs a condition. */
export function notBoolean(scope: Scope, span: Span): ParleyError {
  const hint = 'A condition is a comparison or a boolean column.';
  return refusal('SQL_TYPE_MISMATCH', 'this is not a condition', fragmentOf(scope, span), hint);
}

/** Operands of types or domains that do not compare. */
export function mismatch(scope: Scope, span: Span, hint: string): ParleyError {
  const fragment = fragmentOf(scope, span);
  return refusal('SQL_TYPE_MISMATCH', 'these values cannot be compared', fragment, hint);
}

/** A literal that denotes no value of its column's type. */
export function badLiteral(scope: Scope, span: Span, hint: string): ParleyError {
  return refusal('SQL_BAD_LITERAL', 'a literal has no value', fragmentOf(scope, span), hint);
}
