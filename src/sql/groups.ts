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
import { familyOf, type ValueType } from './types.ts';
import type { Normal } from './rewrite.ts';
import type { LocalValue, Value } from './value.ts';

/** A key with its labels: of one table, or over several. */
export type ResolvedKey = ResolvedSideKey | ResolvedMixedKey;

export interface ResolvedSideKey {
  readonly kind: 'side';
  readonly value: LocalValue & { readonly table: TableIndex };
  /** Labels in order; of a nullable key NULL is last. */
  readonly domain: readonly (string | null)[];
  /** Coded value of each label, null where it is its index. */
  readonly codes: readonly number[] | null;
  /** As the query writes it. */
  readonly fragment: string;
}

/** A key that no owner of one table can compute; see mixed-keys.ts. */
export interface ResolvedMixedKey {
  readonly kind: 'mixed';
  readonly value: Value;
  readonly domain: readonly (string | null)[];
  /** When a joined row has the label, TRUE of one at most; null, once, for where no other is TRUE. */
  readonly labels: readonly (Normal | null)[];
  readonly fragment: string;
}

/** Equal for values that are one key: the same value of a row, shown alike. */
export function keyOfValue(value: Value): string {
  const { name, scale, domain } = value.type;
  const own = value.kind === 'local' ? `${value.table}${termKey(value.term)}` : textOf(value);
  return `${own}${JSON.stringify([name, scale, domain])}`;
}

/** A value as it is computed, without the types of its parts. */
const textOf = (value: Value): string =>
  JSON.stringify(value, (field, part: unknown) => (field === 'type' ? undefined : part));

/** LOCAL. Values listed on the way to a domain: a century of days. */
const LISTED_ON_THE_WAY_MAX = 36_525;

/** @throws ParleyError SQL_NO_DOMAIN. */
export function resolveDomain(scope: Scope, value: LocalValue, span: Span): ResolvedSideKey {
  const { table, type } = value;
  expect(table !== null, 'a key reads a column');
  const kind = 'side';
  const own = { ...value, table };
  const nullLast = type.nullable ? [null] : [];
  const family = familyOf(type);
  const fragment = fragmentOf(scope, span);
  if (family === 'text') {
    return { kind, value: own, domain: [...type.domain!, ...nullLast], codes: null, fragment };
  }
  if (family === 'boolean') {
    return { kind, value: own, domain: ['false', 'true', ...nullLast], codes: null, fragment };
  }
  const listed = valuesOfLocal(scope, own);
  if (listed === null || listed.length > DOMAIN_LISTED_MAX) {
    const hint =
      'Group by text, boolean, dates, or integers whose values the policy declares, or by CASE or EXTRACT of a column.';
    throw refusal('SQL_NO_DOMAIN', 'this column has no declared domain', fragment, hint);
  }
  const domain = [...listed.map((code) => labelOf(type, code)), ...nullLast];
  return { kind, value: own, domain, codes: listed, fragment };
}

/** A coded value as the answer shows it. */
export function labelOf(type: ValueType, code: number): string {
  switch (familyOf(type)) {
    case 'text':
      return type.domain![code]!;
    case 'boolean':
      return code === 0 ? 'false' : 'true';
    case 'date':
      return isoOf(code);
    case 'number':
      return decimalText(BigInt(code), type.scale);
  }
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
export function valuesOfLocal(
  scope: Scope,
  value: ResolvedSideKey['value'],
): readonly number[] | null {
  return listedValues(scope, value) ?? everyInteger(value);
}

/** In the declared order for a plain column, else ascending. */
function listedValues(
  scope: Scope,
  { table, term, type }: ResolvedSideKey['value'],
): readonly number[] | null {
  // Texts are declared by name, and a scaled column has other values than were declared.
  if (isColumnTerm(term) && term.scaleUp === 1 && familyOf(type) === 'number') {
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
