/** Quantiles by a histogram of declared bounds: the owner puts each row into a bucket. */
import * as T from './terms.ts';
import { compare, formatRational, rational } from '../core/rational.ts';
import { type AggregateOutput, type Argument, type Asking, rangeOf } from './aggregates.ts';
import { type Clamp, clampOf, exactNumber } from './coding.ts';
import { fragmentOf } from './condition-errors.ts';
import { refusal } from './hints.ts';
import { QUANTILE_BUCKETS } from './limits.ts';
import type { Scope } from './names.ts';
import type { Term } from './plan.ts';
import type { Quantity } from './quantities.ts';
import { normalise } from './rewrite.ts';
import type { AggregateSyntax, Span } from './syntax.ts';
import type { LocalValue } from './value.ts';

export function quantileValue(
  asking: Asking,
  { value, plain }: Argument,
  { fraction, span }: AggregateSyntax,
): AggregateOutput {
  const { scope, quantities } = asking;
  const fragment = fragmentOf(scope, span);
  const exact = fraction === null ? null : exactNumber(fraction.text);
  if (exact === null || compare(exact, rational(0n)) < 0 || compare(exact, rational(1n)) > 0) {
    const hint = 'Give a fraction from 0 to 1.';
    throw refusal('SQL_BAD_LITERAL', 'this is no fraction', fraction?.text ?? fragment, hint);
  }
  if (value.kind !== 'local' || value.table === null) {
    const hint = 'Take the quantile of one party’s column.';
    throw refusal('SQL_UNSUPPORTED', 'a quantile mixes parties', fragment, hint);
  }
  // The bounds make the buckets, with noise or without.
  const declared = plain === null ? null : boundsOf(asking, value, span);
  const bounds = declared ?? rangeOf(value.type);
  const loose = plain === null && (value.type.loose.low || value.type.loose.high);
  if (loose) {
    const hint = 'Bound it with LEAST(GREATEST(column, lower), upper).';
    throw refusal('COLUMN_UNBOUNDED', 'a quantile needs bounds', fragment, hint);
  }
  const { table, term, type } = value;
  const width = (bounds.upper - bounds.lower) / BigInt(QUANTILE_BUCKETS) + 1n;
  const count = Number((bounds.upper - bounds.lower) / width) + 1;
  const held = T.clampTerm(term, bounds.lower, bounds.upper);
  const from = T.addTerms('-', held, T.literal(bounds.lower));
  const bucket: Term = width === 1n ? from : { op: 'div', by: `${width}`, of: from };
  // One bit per bucket and row travels, not a number.
  const buckets = Array.from({ length: count }, (_, b): Quantity => {
    const when = { kind: 'compare', op: '=', left: bucket, right: T.literal(BigInt(b)) } as const;
    const negation = { kind: 'not', term: when } as const;
    const leaf = { kind: 'local', table, predicate: when, negation, nullable: true } as const;
    const monomials = [{ coefficient: 1n, factors: [], guard: normalise(leaf) }];
    const range = { lower: 0n, upper: 1n };
    return { kind: 'terms', monomials, range, clamp: null, counts: true };
  });
  const values = buckets.map((_, b) => `${bounds.lower + BigInt(b) * width + (width - 1n) / 2n}`);
  return {
    value: {
      kind: 'quantile',
      fraction: formatRational(exact),
      buckets: quantities.addHistogram(buckets),
      values,
    },
    scale: type.scale,
    type: type.name,
  };
}

/** Declared bounds of a plain column. @throws ParleyError COLUMN_UNBOUNDED. */
function boundsOf({ scope }: Asking, { table, term, type }: LocalValue, span: Span): Clamp {
  if (!type.loose.low && !type.loose.high) return rangeOf(type);
  const clamp = declaredBounds(scope, table!, term);
  if (clamp !== null) return clamp;
  const hint = 'The policy must declare lower and upper for it.';
  throw refusal('COLUMN_UNBOUNDED', 'a quantile needs bounds', fragmentOf(scope, span), hint);
}

function declaredBounds(scope: Scope, table: number, term: Term): Clamp | null {
  if (!T.isColumnTerm(term)) return null;
  const { parts } = scope.tables[table]!;
  for (const { name, policy } of parts) {
    for (const [own, column] of Object.entries(policy.columns)) {
      if ((parts.length === 1 ? own : `${name}.${own}`) === term.column) return clampOf(column);
    }
  }
  return null;
}
