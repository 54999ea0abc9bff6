/** GROUP BY keys: what values an expression over declared domains can have. */
import { expect } from '../core/errors.ts';
import { isoOf } from './calendar.ts';
import { columnRange } from './coding.ts';
import { fragmentOf } from './condition-errors.ts';
import { refusal } from './hints.ts';
import { DOMAIN_LISTED_MAX } from './limits.ts';
import type { Scope, TableIndex } from './names.ts';
import type { Term } from './plan.ts';
import type { Span } from './syntax.ts';
import { evaluateTerm, isColumnTerm, isLiteralTerm, termKey } from './terms.ts';
import { familyOf } from './types.ts';
import type { LocalValue } from './value.ts';

/** A key with its labels. */
export interface ResolvedKey {
  readonly value: LocalValue & { readonly table: TableIndex };
  /** Labels in order; of a nullable key NULL is last. */
  readonly domain: readonly (string | null)[];
  /** Coded value of each label, null where it is its index. */
  readonly codes: readonly number[] | null;
  /** As the query writes it. */
  readonly fragment: string;
}

export const keyOfValue = (value: LocalValue): string => `${value.table!}${termKey(value.term)}`;

/** LOCAL. Values listed on the way to a domain: a century of days. */
const LISTED_ON_THE_WAY_MAX = 36_525;

/** @throws ParleyError SQL_NO_DOMAIN. */
export function resolveDomain(scope: Scope, value: LocalValue, span: Span): ResolvedKey {
  const { table, type } = value;
  expect(table !== null, 'a key reads a column');
  const own = { ...value, table };
  const nullLast = type.nullable ? [null] : [];
  const family = familyOf(type);
  const fragment = fragmentOf(scope, span);
  if (family === 'text') {
    return { value: own, domain: [...type.domain!, ...nullLast], codes: null, fragment };
  }
  if (family === 'boolean') {
    return { value: own, domain: ['false', 'true', ...nullLast], codes: null, fragment };
  }
  const listed = valuesOfLocal(scope, own);
  if (listed === null || listed.length > DOMAIN_LISTED_MAX) {
    const hint =
      'Group by text, boolean, dates, or integers whose values the policy declares, or by CASE or EXTRACT of a column.';
    throw refusal('SQL_NO_DOMAIN', 'this column has no declared domain', fragment, hint);
  }
  const label = (code: number): string =>
    family === 'date' ? isoOf(code) : decimalText(BigInt(code), type.scale);
  return { value: own, domain: [...listed.map(label), ...nullLast], codes: listed, fragment };
}

function decimalText(value: bigint, scale: number): string {
  if (scale === 0) return `${value}`;
  const digits = `${value < 0n ? -value : value}`.padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Every integer of the range; of a value in finer units than its own, every such step. */
function everyInteger({ type, term }: LocalValue): readonly number[] | null {
  const { min, max, loose } = type;
  const scaled = 'op' in term && term.op === '*' && isLiteralTerm(term.right);
  const factor = scaled ? BigInt(term.right.value ?? 1) : 1n;
  const step = factor === 0n ? 1n : factor < 0n ? -factor : factor;
  if (loose.low || loose.high || max - min >= step * BigInt(DOMAIN_LISTED_MAX)) {
    return null;
  }
  return Array.from(
    { length: Number((max - min) / step) + 1 },
    (_, i) => Number(min) + i * Number(step),
  );
}

/** All values but NULL that a value of one table can have, or null when they are not declared or many. */
export function valuesOfLocal(scope: Scope, value: ResolvedKey['value']): readonly number[] | null {
  return listedValues(scope, value) ?? everyInteger(value);
}

/** In the declared order for a plain column, else ascending. */
function listedValues(
  scope: Scope,
  { table, term, type }: ResolvedKey['value'],
): readonly number[] | null {
  if (isColumnTerm(term)) {
    const declared = policyOf(scope, table, term.column).values;
    if (declared !== undefined) return declared.map(Number);
  }
  const values = valuesOf(scope, table, term);
  if (values === null) return null;
  // LEAST and GREATEST reach fewer values than their operands have.
  const inside = (value: number): boolean => value >= Number(type.min) && value <= Number(type.max);
  return [...values].filter(inside).sort((a, b) => a - b);
}

function policyOf(scope: Scope, table: TableIndex, column: string) {
  const { parts } = scope.tables[table]!;
  const found = parts.flatMap(({ name, policy }) =>
    Object.entries(policy.columns).flatMap(([own, declared]) =>
      (parts.length === 1 ? own : `${name}.${own}`) === column ? [declared] : [],
    ),
  )[0];
  expect(found !== undefined, 'a term reads declared columns');
  return found;
}

/** All values a term may have beside NULL, or null when they are too many or not declared. */
function valuesOf(scope: Scope, table: TableIndex, term: Term): ReadonlySet<number> | null {
  if (isLiteralTerm(term)) return new Set(term.value === null ? [] : [Number(term.value)]);
  if (isColumnTerm(term)) return columnValues(scope, table, term);
  const of = (inner: Term): ReadonlySet<number> | null => valuesOf(scope, table, inner);
  switch (term.op) {
    case 'present':
      return new Set([1]);
    case '+':
    case '-':
    case '*':
      return combine(of(term.left), of(term.right), term.op);
    case 'least':
    case 'greatest':
    case 'coalesce':
      return union(term.terms.map(of));
    case 'case':
      return union([...term.branches.map(({ then }) => of(then)), of(term.otherwise)]);
    default: {
      const inner = of(term.of);
      if (inner === null) return null;
      const mapped = [...inner].map((value) => {
        const at: Term = { ...term, of: { value: `${value}` } };
        return Number(evaluateTerm(at, () => null, true));
      });
      return new Set(mapped);
    }
  }
}

function columnValues(
  scope: Scope,
  table: TableIndex,
  { column, scaleUp }: Extract<Term, { column: string }>,
): ReadonlySet<number> | null {
  const policy = policyOf(scope, table, column);
  if (policy.type === 'integer' && policy.values !== undefined) {
    return new Set(policy.values.map((value) => Number(value) * scaleUp));
  }
  const numeric = policy.type === 'integer' || policy.type === 'decimal';
  const { min, max } = columnRange(policy);
  if (numeric || max - min >= LISTED_ON_THE_WAY_MAX) return null;
  return new Set(Array.from({ length: max - min + 1 }, (_, i) => min + i));
}

function union(sets: readonly (ReadonlySet<number> | null)[]): ReadonlySet<number> | null {
  const known = sets.filter((set) => set !== null);
  return known.length < sets.length ? null : new Set(known.flatMap((set) => [...set]));
}

function combine(
  a: ReadonlySet<number> | null,
  b: ReadonlySet<number> | null,
  op: '+' | '-' | '*',
): ReadonlySet<number> | null {
  if (a === null || b === null || a.size * b.size > LISTED_ON_THE_WAY_MAX) return null;
  const apply = (x: number, y: number): number => (op === '+' ? x + y : op === '-' ? x - y : x * y);
  return new Set([...a].flatMap((x) => [...b].map((y) => apply(x, y))));
}
