/**
 * GROUP BY keys that no party knows: expressions over columns of several tables. The labels follow from
 * the values that the parts can have, and each is a condition across tables, as WHERE has them.
 */
import { compareValues } from './comparisons.ts';
import { fragmentOf } from './condition-errors.ts';
import { labelOf, valuesOfLocal, type ResolvedMixedKey } from './groups.ts';
import { refusal } from './hints.ts';
import { DOMAIN_LISTED_MAX, MIXED_LABELS_MAX } from './limits.ts';
import { isNullLogic } from './logic.ts';
import type { Scope } from './names.ts';
import { normalise, type Normal } from './rewrite.ts';
import type { Span } from './syntax.ts';
import { isLiteralTerm, literal } from './terms.ts';
import type { ValueType } from './types.ts';
import { localValue, type Value } from './value.ts';

type Values = ReadonlySet<number> | null;

const HINT =
  `A key over several parties has at most ${MIXED_LABELS_MAX} values, NULL among them: group by ` +
  'CASE, by a comparison, or by LEAST(GREATEST(expression, lower), upper).';

/** A label with its condition. */
interface Candidate {
  readonly label: string | null;
  readonly when: Normal;
}

/**
 * The labels of a key, each with when a joined row has it: `value = label`, and `value IS NULL` for the
 * last of a nullable one. Labels that no row can have are left out. The dearest condition is not
 * computed: its label is what is left.
 *
 * @throws ParleyError SQL_NO_DOMAIN, DOMAIN_TOO_LARGE, SQL_UNSUPPORTED, SQL_TOO_LARGE.
 */
export function resolveMixed(scope: Scope, value: Value, span: Span): ResolvedMixedKey {
  const fragment = fragmentOf(scope, span);
  const { type } = value;
  const values = valuesOf(scope, value) ?? everyValue(type);
  if (values === null || ![...values].every(Number.isSafeInteger)) {
    throw refusal('SQL_NO_DOMAIN', 'this expression has no declared domain', fragment, HINT);
  }
  const codes = [...values].filter((code) => isInside(type, code)).sort((a, b) => a - b);
  if (codes.length + (type.nullable ? 1 : 0) > MIXED_LABELS_MAX) {
    throw refusal('DOMAIN_TOO_LARGE', 'a key over several parties is too wide', fragment, HINT);
  }
  const labels = codes.map((code): Candidate => {
    const exact: ValueType = { ...type, min: BigInt(code), max: BigInt(code), nullable: false };
    const one = localValue(null, literal(BigInt(code)), exact);
    const when = normalise(compareValues(scope, '=', value, one, span));
    return { label: labelOf(type, code), when };
  });
  const none: Candidate = { label: null, when: normalise(isNullLogic(value)) };
  return { kind: 'mixed', value, ...withSpare([...labels, none]), fragment };
}

const isInside = ({ min, max }: ValueType, code: number): boolean =>
  BigInt(code) >= min && BigInt(code) <= max;

/** What a row can be, with the label that needs no condition of its own. */
function withSpare(candidates: readonly Candidate[]): Pick<ResolvedMixedKey, 'domain' | 'labels'> {
  const always = candidates.filter(({ when }) => when.kind === 'constant' && when.value);
  const some = candidates.filter(({ when }) => when.kind !== 'constant');
  const possible = always.length > 0 ? always.slice(0, 1) : some;
  const costs = possible.map(({ when }) => costOf(when));
  const spare = costs.lastIndexOf(Math.max(...costs));
  return {
    domain: possible.map(({ label }) => label),
    labels: possible.map(({ when }, i) => (i === spare ? null : when)),
  };
}

/** Comparisons across tables, and then bits, that a condition takes. */
function costOf(node: Normal): number {
  switch (node.kind) {
    case 'and':
    case 'or':
      return node.terms.reduce((sum, term) => sum + costOf(term), 0);
    case 'not':
      return costOf(node.of);
    case 'cross':
      return COMPARISON_COST;
    default:
      return 1;
  }
}

/** AGREEMENT. ANDs of a comparison of two dates, near enough. */
const COMPARISON_COST = 12;

/** All values but NULL that a value can have, or a few more; null when they are not declared or many. */
function valuesOf(scope: Scope, value: Value): Values {
  switch (value.kind) {
    case 'local': {
      const { table, term } = value;
      if (table !== null) {
        const listed = valuesOfLocal(scope, { ...value, table });
        return listed === null ? null : new Set(listed);
      }
      if (!isLiteralTerm(term)) return null;
      return new Set(term.value === null ? [] : [Number(term.value)]);
    }
    case 'case':
      return union([...value.branches.map(({ then }) => then), value.otherwise], scope);
    case 'coalesce':
      return union(value.values, scope);
    case 'arithmetic':
      return combine(valuesOf(scope, value.left), valuesOf(scope, value.right), value.op);
  }
}

function union(parts: readonly Value[], scope: Scope): Values {
  const all = new Set<number>();
  for (const part of parts) {
    const values = valuesOf(scope, part) ?? everyValue(part.type);
    if (values === null) return null;
    for (const value of values) all.add(value);
  }
  return all;
}

function combine(a: Values, b: Values, op: '+' | '-' | '*'): Values {
  if (a === null || b === null || a.size * b.size > DOMAIN_LISTED_MAX) return null;
  const apply = (x: number, y: number): number => (op === '+' ? x + y : op === '-' ? x - y : x * y);
  return new Set([...a].flatMap((x) => [...b].map((y) => apply(x, y))));
}

/** Every value in range; null where the range is wide or not declared. */
function everyValue({ min, max, loose }: ValueType): Values {
  if (loose.low || loose.high || max - min >= BigInt(DOMAIN_LISTED_MAX)) return null;
  return new Set(Array.from({ length: Number(max - min) + 1 }, (_, i) => Number(min) + i));
}
