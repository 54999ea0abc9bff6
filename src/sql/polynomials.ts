/**
 * Row expressions across tables as sums of products, one factor per table, each product under a
 * condition: what the engine adds up on shares. A NULL factor counts as 0.
 */
import { ParleyError } from '../core/errors.ts';
import { fragmentOf } from './condition-errors.ts';
import { refusal } from './hints.ts';
import { MEASURE_TERMS_MAX } from './limits.ts';
import type { Scope, TableIndex } from './names.ts';
import { taken, type Logic } from './logic.ts';
import { conditionOfTable, connect, normalise, spans, tablesOf, type Normal } from './rewrite.ts';
import type { Span } from './syntax.ts';
import * as T from './terms.ts';
import { larger, magnitudeOf, numberType, productType, smaller, type ValueType } from './types.ts';
import { constantValue, localValue, tableOfMask, type LocalValue, type Value } from './value.ts';

/** `coefficient · Π factors`, where the guard is TRUE. */
export interface Monomial {
  readonly coefficient: bigint;
  /** At most one per table, in table order. */
  readonly factors: readonly LocalValue[];
  readonly guard: Normal | null;
}

/** A value, 0 where it is NULL, and 1 where it is not NULL. */
export interface Polynomial {
  readonly value: readonly Monomial[];
  readonly present: readonly Monomial[];
}

const ONE: Monomial = { coefficient: 1n, factors: [], guard: null };
const BIT = numberType({ min: 0n, max: 1n }, 0);

const keyOf = ({ factors, guard }: Monomial): string =>
  `${guard?.key ?? ''}|${factors.map((f) => `${f.table!}${T.termKey(f.term)}`).join('|')}`;

/** Sums over equal products, in one order. */
function gather(monomials: readonly Monomial[]): readonly Monomial[] {
  const byKey = new Map<string, Monomial>();
  for (const monomial of monomials) {
    const key = keyOf(monomial);
    const before = byKey.get(key)?.coefficient ?? 0n;
    byKey.set(key, { ...monomial, coefficient: before + monomial.coefficient });
  }
  return [...byKey.entries()]
    .filter(([, { coefficient }]) => coefficient !== 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, monomial]) => monomial);
}

function multiplyTwo(a: Monomial, b: Monomial): readonly Monomial[] {
  const guards = [a.guard, b.guard].filter((guard) => guard !== null);
  const guard = guards.length === 0 ? null : connect('and', guards);
  if (guard?.kind === 'constant' && !guard.value) return [];
  const factors = [...a.factors];
  for (const factor of b.factors) {
    const at = factors.findIndex(({ table }) => table === factor.table);
    if (at < 0) factors.push(factor);
    else factors[at] = multiplyFactors(factors[at]!, factor);
  }
  factors.sort((x, y) => x.table! - y.table!);
  return [{ coefficient: a.coefficient * b.coefficient, factors, guard }];
}

function multiplyFactors(a: LocalValue, b: LocalValue): LocalValue {
  const same = T.termKey(a.term) === T.termKey(b.term);
  // An indicator is its own square.
  if (same && a.type.min >= 0n && a.type.max <= 1n) return a;
  const type = productType(a.type, b.type, same);
  return localValue(a.table, T.multiplyTerms(a.term, b.term), type);
}

/** Expands values for one aggregate, which may not come to too many products. */
class Expansion {
  readonly #scope: Scope;
  readonly #span: Span;

  constructor(scope: Scope, span: Span) {
    this.#scope = scope;
    this.#span = span;
  }

  sum(...parts: readonly (readonly Monomial[])[]): readonly Monomial[] {
    const all = gather(parts.flat());
    if (all.length <= MEASURE_TERMS_MAX) return all;
    const hint = `Split it: it comes to more than ${MEASURE_TERMS_MAX} products of columns.`;
    const fragment = fragmentOf(this.#scope, this.#span);
    throw refusal('SQL_TOO_LARGE', 'an expression across parties is too large', fragment, hint);
  }

  product(a: readonly Monomial[], b: readonly Monomial[]): readonly Monomial[] {
    this.#scope.effort.spend(a.length * b.length, this.#span);
    return this.sum(a.flatMap((x) => b.flatMap((y) => multiplyTwo(x, y))));
  }

  of(value: Value): Polynomial {
    switch (value.kind) {
      case 'local':
        return localPolynomial(value);
      case 'arithmetic': {
        const [a, b] = [this.of(value.left), this.of(value.right)];
        const present = this.product(a.present, b.present);
        if (value.op === '*') return { value: this.product(a.value, b.value), present };
        const right = this.product(a.present, b.value);
        const signed = value.op === '+' ? right : scaled(right, -1n);
        return { value: this.sum(this.product(a.value, b.present), signed), present };
      }
      case 'case': {
        const branches = taken(value).map(({ when, then }) => {
          const guard = guardOf(when);
          const inner = this.of(then);
          return {
            value: this.product(guard, inner.value),
            present: this.product(guard, inner.present),
          };
        });
        return {
          value: this.sum(...branches.map((branch) => branch.value)),
          present: this.sum(...branches.map((branch) => branch.present)),
        };
      }
      case 'coalesce':
        return this.#coalesce(value.values);
    }
  }

  #coalesce(values: readonly Value[]): Polynomial {
    let open: readonly Monomial[] = [ONE];
    const parts: Polynomial[] = [];
    for (const value of values) {
      const inner = this.of(value);
      parts.push({
        value: this.product(open, inner.value),
        present: this.product(open, inner.present),
      });
      open = this.product(open, this.sum([ONE], scaled(inner.present, -1n)));
    }
    return {
      value: this.sum(...parts.map((part) => part.value)),
      present: this.sum(...parts.map((part) => part.present)),
    };
  }
}

const scaled = (monomials: readonly Monomial[], by: bigint): readonly Monomial[] =>
  monomials.map((m) => ({ ...m, coefficient: m.coefficient * by }));

/** A factor's range with the 0 that stands for NULL. */
const withZero = (type: ValueType): ValueType => ({
  ...type,
  min: smaller(type.min, 0n),
  max: larger(type.max, 0n),
});

function localPolynomial({ table, term, type }: LocalValue): Polynomial {
  if (T.isLiteralTerm(term)) {
    if (term.value === null) return { value: [], present: [] };
    return { value: gather([{ ...ONE, coefficient: BigInt(term.value) }]), present: [ONE] };
  }
  const held = type.nullable ? withZero(type) : type;
  const value = [{ ...ONE, factors: [localValue(table, term, held)] }];
  if (!type.nullable) return { value, present: [ONE] };
  return { value, present: [{ ...ONE, factors: [localValue(table, T.presenceTerm(term), BIT)] }] };
}

/** A condition as a product: an indicator of each single table, and what mixes tables as guard. */
function guardOf(when: Logic): readonly Monomial[] {
  const root = normalise(when);
  if (root.kind === 'constant') return root.value ? [ONE] : [];
  const conjuncts = root.kind === 'and' ? root.terms : [root];
  const single = conjuncts.filter((term) => !spans(term));
  const masks = [...new Set(single.map(tablesOf))].sort((a, b) => a - b);
  const factors = masks.map((mask) => {
    const own = single.filter((term) => tablesOf(term) === mask);
    const term = T.indicatorTerm(conditionOfTable(own));
    return localValue(tableOfMask(mask), term, BIT);
  });
  const mixed = conjuncts.filter(spans);
  return [{ coefficient: 1n, factors, guard: mixed.length === 0 ? null : connect('and', mixed) }];
}

/** @throws ParleyError SQL_TOO_LARGE. */
export function polynomialOf(scope: Scope, value: Value, span: Span): Polynomial {
  return new Expansion(scope, span).of(value);
}

/** `2·value − shift` where it is not NULL: a centred value. */
export function centredPolynomial(
  scope: Scope,
  { value, present }: Polynomial,
  shift: bigint,
  span: Span,
): readonly Monomial[] {
  return new Expansion(scope, span).sum(scaled(value, 2n), scaled(present, -shift));
}

/** The coefficient, moved into a factor; a constant becomes a column of `table`. */
export function factorsOf(
  { coefficient, factors }: Monomial,
  table: TableIndex,
): readonly LocalValue[] {
  if (coefficient === 1n) return factors;
  const by = constantValue(coefficient);
  const [first, ...rest] = factors;
  if (first === undefined) return [{ kind: 'local', table, term: by.term, type: by.type }];
  const type = productType(first.type, by.type, false);
  return [localValue(first.table, T.multiplyTerms(first.term, by.term), type), ...rest];
}

/** Factors by width, widest first; of equal ones the earlier table. */
export function widestFirst(factors: readonly LocalValue[]): readonly LocalValue[] {
  const width = ({ type }: LocalValue): bigint => type.max - type.min;
  return [...factors].sort((a, b) =>
    width(a) === width(b) ? a.table! - b.table! : width(a) > width(b) ? -1 : 1,
  );
}

/** LOCAL. Row values travel as doubles. */
const EXACT_BITS = 53n;

/** @throws ParleyError OVERFLOW_POSSIBLE when a column's values are not exact in a double. */
export function expectExact(scope: Scope, type: ValueType, span: Span): void {
  if (magnitudeOf(type) < 1n << EXACT_BITS) return;
  throw new ParleyError('OVERFLOW_POSSIBLE', 'a row value could be too large', {
    fragment: fragmentOf(scope, span),
    hint: 'Bound its parts with LEAST(GREATEST(column, lower), upper).',
  });
}
