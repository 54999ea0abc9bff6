/**
 * Values of the answer from released numbers, exactly: rationals, SQL's three-valued logic, NULL on
 * division by zero. Under noise every number comes with the interval of the true one.
 */
import { ParleyError } from '../core/errors.ts';
import {
  add,
  compare,
  div,
  mul,
  parseRational,
  rational,
  sub,
  ZERO,
  type Rational,
} from '../core/rational.ts';
import { holds, type OutputExpression } from '../sql/index.ts';
import { averageInterval, averageOf } from './average.ts';
import { compareText, roundHalfAway, squareRoot } from './numbers.ts';
import { varianceInterval, varianceOf } from './variance.ts';

/** Ends between which the unnoised value lies at the plan's confidence level. */
export interface Ends {
  readonly low: Rational;
  readonly high: Rational;
}

/** A number, its interval when anything in it was noised; text, dates among it; a truth; NULL. */
export type Evaluated =
  | {
      readonly kind: 'number';
      readonly value: Rational;
      /** Null when exact; `unbounded` when the noise leaves no interval that holds. */
      readonly ends: Ends | 'unbounded' | null;
    }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' };

/** What an expression is evaluated over: one group of an opened answer. */
export interface GroupView {
  /** The released value in coded units; null for SQL's NULL. */
  readonly cell: (measure: number) => bigint | null;
  /** Distance that the noise of a measure keeps within; null without noise. */
  readonly width: (measure: number) => bigint | null;
  readonly clamp: (measure: number) => { readonly lower: string; readonly upper: string } | null;
  readonly group: (key: number) => Evaluated;
}

export const NULL: Evaluated = { kind: 'null' };

const exact = (value: Rational): Evaluated => ({ kind: 'number', value, ends: null });
const unbounded = (value: Evaluated): Evaluated =>
  value.kind === 'number' ? { ...value, ends: 'unbounded' } : value;
const truth = (value: boolean | null): Evaluated =>
  value === null ? NULL : { kind: 'boolean', value };

/** Every measure an expression reads. */
export function measuresOf(expression: OutputExpression): readonly number[] {
  switch (expression.kind) {
    case 'measure':
      return [expression.measure];
    case 'average':
      return [expression.sum, expression.count];
    case 'variance':
      return [expression.sum, expression.squares, expression.count];
    case 'quantile':
      return expression.buckets;
    default:
      return partsOfOutput(expression).flatMap(measuresOf);
  }
}

/** The expressions that one is made of. */
export function partsOfOutput(expression: OutputExpression): readonly OutputExpression[] {
  switch (expression.kind) {
    case 'scaled':
    case 'round':
    case 'not':
    case 'isNull':
      return [expression.of];
    case '+':
    case '-':
    case '*':
    case '/':
    case 'compare':
      return [expression.left, expression.right];
    case 'coalesce':
    case 'least':
    case 'greatest':
    case 'and':
    case 'or':
      return expression.terms;
    case 'case':
      return [
        ...expression.branches.flatMap(({ when, then }) => [when, then]),
        expression.otherwise,
      ];
    default:
      return [];
  }
}

/** The value of an expression in a group. */
export function evaluate(expression: OutputExpression, view: GroupView): Evaluated {
  const of = (inner: OutputExpression): Evaluated => evaluate(inner, view);
  switch (expression.kind) {
    case 'group':
      return view.group(expression.key);
    case 'measure':
      return measureValue(expression.measure, view);
    case 'average':
      return averageValue(expression, view);
    case 'variance':
      return varianceValue(expression, view);
    case 'quantile':
      return quantileValue(expression, view);
    case 'scaled':
      return mapNumber(of(expression.of), (x) => div(x, rational(10n ** BigInt(expression.scale))));
    case 'number':
      return exact(parseRational(expression.value));
    case 'text':
      return { kind: 'text', value: expression.value };
    case 'boolean':
      return truth(expression.value);
    case 'null':
      return NULL;
    case '+':
    case '-':
    case '*':
    case '/':
      return arithmetic(expression.kind, of(expression.left), of(expression.right));
    case 'round':
      return mapNumber(of(expression.of), (x) => roundHalfAway(x, expression.digits));
    case 'coalesce': {
      const terms = expression.terms.map(of);
      const at = terms.findIndex(({ kind }) => kind !== 'null');
      if (at < 0) return NULL;
      // A term that is NULL by its noise alone could be the value.
      const skipped = expression.terms.slice(0, at).some((term) => isNoised(term, view));
      return skipped ? unbounded(terms[at]!) : terms[at]!;
    }
    case 'least':
    case 'greatest':
      return extreme(expression.kind, expression.terms.map(of));
    case 'case': {
      const { branches, otherwise } = expression;
      const at = branches.findIndex(({ when }) => isTrue(of(when)));
      const tested = at < 0 ? branches : branches.slice(0, at + 1);
      const value = of(branches[at]?.then ?? otherwise);
      return tested.every(({ when }) => isDecided(when, view)) ? value : unbounded(value);
    }
    default:
      return truth(truthOf(expression, of));
  }
}

const isNoised = (expression: OutputExpression, view: GroupView): boolean =>
  measuresOf(expression).some((measure) => view.width(measure) !== null);

/** Whether a condition is the same for all unnoised values within the intervals of what it reads. */
function isDecided(test: OutputExpression, view: GroupView): boolean {
  if (!isNoised(test, view)) return true;
  if (test.kind === 'and' || test.kind === 'or' || test.kind === 'not') {
    return partsOfOutput(test).every((part) => isDecided(part, view));
  }
  if (test.kind !== 'compare') return false;
  const [a, b] = [evaluate(test.left, view), evaluate(test.right, view)];
  if (a.kind !== 'number' || b.kind !== 'number') return false;
  if (!isHeld(a) || !isHeld(b)) return false;
  const [x, y] = [endsOf(a), endsOf(b)];
  const [least, most] = [compare(x.low, y.high), compare(x.high, y.low)];
  if (test.op === '=' || test.op === '<>') return least > 0 || most < 0;
  return holds(test.op, least, 0) === holds(test.op, most, 0);
}

export const isTrue = (value: Evaluated): boolean => value.kind === 'boolean' && value.value;

type Test = Extract<OutputExpression, { kind: 'and' | 'or' | 'not' | 'isNull' | 'compare' }>;

function truthOf(test: Test, of: (inner: OutputExpression) => Evaluated): boolean | null {
  switch (test.kind) {
    case 'and':
    case 'or': {
      const decisive = test.kind === 'or';
      const truths = test.terms.map((term) => asTruth(of(term)));
      return truths.includes(decisive) ? decisive : truths.includes(null) ? null : !decisive;
    }
    case 'not': {
      const inner = asTruth(of(test.of));
      return inner === null ? null : !inner;
    }
    case 'isNull':
      return of(test.of).kind === 'null';
    case 'compare': {
      const order = orderOf(of(test.left), of(test.right));
      return order === null ? null : holds(test.op, order, 0);
    }
  }
}

const asTruth = (value: Evaluated): boolean | null =>
  value.kind === 'boolean' ? value.value : null;

/** Negative, zero or positive; null when either is NULL. Texts by code point. */
export function orderOf(a: Evaluated, b: Evaluated): number | null {
  if (a.kind === 'null' || b.kind === 'null') return null;
  if (a.kind === 'number' && b.kind === 'number') return compare(a.value, b.value);
  if (a.kind === 'text' && b.kind === 'text') return compareText(a.value, b.value);
  if (a.kind === 'boolean' && b.kind === 'boolean') return Number(a.value) - Number(b.value);
  throw new ParleyError('INTERNAL', 'a plan compares values of one type');
}

function measureValue(measure: number, view: GroupView): Evaluated {
  const cell = view.cell(measure);
  if (cell === null) return NULL;
  const width = view.width(measure);
  const ends =
    width === null ? null : { low: rational(cell - width), high: rational(cell + width) };
  return { kind: 'number', value: rational(cell), ends };
}

function averageValue(
  { sum: sumAt, count: countAt, centred }: Extract<OutputExpression, { kind: 'average' }>,
  view: GroupView,
): Evaluated {
  const [sum, count] = [view.cell(sumAt), view.cell(countAt)];
  // SQL: the average of no values is NULL. Under noise the count is floored at 1 instead.
  if (sum === null || count === null || (!centred && count === 0n)) return NULL;
  const inputs = { sum, count, clamp: centred ? view.clamp(sumAt) : null };
  const [sumWidth, countWidth] = [view.width(sumAt), view.width(countAt)];
  const ends =
    sumWidth === null || countWidth === null ? null : averageInterval(inputs, sumWidth, countWidth);
  return { kind: 'number', value: averageOf(inputs), ends };
}

function varianceValue(
  expression: Extract<OutputExpression, { kind: 'variance' }>,
  view: GroupView,
): Evaluated {
  const { sum: sumAt, squares: squaresAt, count: countAt, centred, of, root } = expression;
  const [sum, squares, count] = [view.cell(sumAt), view.cell(squaresAt), view.cell(countAt)];
  if (sum === null || squares === null || count === null) return NULL;
  const inputs = { sum, squares, count, of, clamp: centred ? view.clamp(sumAt) : null };
  const value = varianceOf(inputs);
  if (value === null) return NULL;
  const widths = [view.width(sumAt), view.width(squaresAt), view.width(countAt)] as const;
  const [sumWidth, squaresWidth, countWidth] = widths;
  const ends =
    sumWidth === null || squaresWidth === null || countWidth === null
      ? null
      : varianceInterval(inputs, { sum: sumWidth, squares: squaresWidth, count: countWidth });
  const number: Evaluated = { kind: 'number', value, ends };
  return root ? mapNumber(number, squareRoot) : number;
}

/** Noisy counts below zero count as zero: post-processing, like the search for the rank. */
function quantileValue(
  { fraction, buckets, values }: Extract<OutputExpression, { kind: 'quantile' }>,
  view: GroupView,
): Evaluated {
  const counts = buckets.map((bucket) => view.cell(bucket) ?? 0n).map((n) => (n < 0n ? 0n : n));
  const total = counts.reduce((sum, n) => sum + n, 0n);
  if (total === 0n) return NULL;
  const { num, den } = parseRational(fraction);
  const ceiling = (num * total + den - 1n) / den;
  const rank = ceiling < 1n ? 1n : ceiling;
  let seen = 0n;
  const at = counts.findIndex((n) => (seen += n) >= rank);
  const value = exact(rational(BigInt(values[at]!)));
  return buckets.some((bucket) => view.width(bucket) !== null) ? unbounded(value) : value;
}

/** Applies a function that keeps the order of numbers. */
function mapNumber(value: Evaluated, apply: (x: Rational) => Rational): Evaluated {
  if (value.kind !== 'number') return NULL;
  const { ends } = value;
  const mapped =
    ends === null || ends === 'unbounded' ? ends : { low: apply(ends.low), high: apply(ends.high) };
  return { kind: 'number', value: apply(value.value), ends: mapped };
}

const minimum = (a: Rational, b: Rational): Rational => (compare(a, b) <= 0 ? a : b);
const maximum = (a: Rational, b: Rational): Rational => (compare(a, b) >= 0 ? a : b);

type NumberValue = Extract<Evaluated, { kind: 'number' }>;

type Held = Omit<NumberValue, 'ends'> & { readonly ends: Ends | null };

/** A number's ends; an exact one is its own. */
const endsOf = ({ value, ends }: Held): Ends => ends ?? { low: value, high: value };

/** Whether a number is exact or has an interval. */
const isHeld = (value: NumberValue): value is NumberValue & Held => value.ends !== 'unbounded';

function arithmetic(op: '+' | '-' | '*' | '/', a: Evaluated, b: Evaluated): Evaluated {
  if (a.kind !== 'number' || b.kind !== 'number') return NULL;
  if (op === '/' && b.value.num === 0n) return NULL;
  const apply = { '+': add, '-': sub, '*': mul, '/': div }[op];
  const value = apply(a.value, b.value);
  if (a.ends === null && b.ends === null) return exact(value);
  if (!isHeld(a) || !isHeld(b)) return unbounded(exact(value));
  const [x, y] = [endsOf(a), endsOf(b)];
  // Dividing by what may be zero leaves nothing finite to say.
  const spansZero = compare(y.low, ZERO) <= 0 && compare(y.high, ZERO) >= 0;
  if (op === '/' && spansZero) return unbounded(exact(value));
  const corners = [x.low, x.high].flatMap((p) => [y.low, y.high].map((q) => apply(p, q)));
  const ends = { low: corners.reduce(minimum), high: corners.reduce(maximum) };
  return { kind: 'number', value, ends };
}

/** NULLs are skipped. */
function extreme(op: 'least' | 'greatest', values: readonly Evaluated[]): Evaluated {
  const known = values.filter((value) => value.kind !== 'null');
  const [first, ...rest] = known;
  if (first === undefined) return NULL;
  const better = (a: Evaluated, b: Evaluated): Evaluated => {
    const pick = op === 'least' ? minimum : maximum;
    if (a.kind === 'number' && b.kind === 'number') {
      const value = pick(a.value, b.value);
      if (a.ends === null && b.ends === null) return exact(value);
      if (!isHeld(a) || !isHeld(b)) return unbounded(exact(value));
      const [x, y] = [endsOf(a), endsOf(b)];
      return {
        kind: 'number',
        value,
        ends: { low: pick(x.low, y.low), high: pick(x.high, y.high) },
      };
    }
    const order = orderOf(a, b) ?? 0;
    return (op === 'least') === order <= 0 ? a : b;
  };
  return rest.reduce(better, first);
}
