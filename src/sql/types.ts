/** Types of row values: what they can be, from declared bounds and domains by interval arithmetic. */
import type { ColumnPolicy } from '../policy/types.ts';
import { columnRange, domainOf, scaleOf } from './coding.ts';
import type { ColumnTypeName } from './plan.ts';

/** A coded row value: integers between `min` and `max`, in units of 10^-scale for numbers. */
export interface ValueType {
  readonly name: Exclude<ColumnTypeName, 'double'>;
  readonly scale: number;
  readonly nullable: boolean;
  readonly min: bigint;
  readonly max: bigint;
  /** Whether an end is only what import admits at most, not a bound that the policy declares. */
  readonly loose: { readonly low: boolean; readonly high: boolean };
  /** Text: the values that are coded by index. */
  readonly domain: readonly string[] | null;
}

export type Family = 'number' | 'date' | 'text' | 'boolean';

export const familyOf = ({ name }: Pick<ValueType, 'name'>): Family =>
  name === 'decimal' || name === 'integer' ? 'number' : name;

const TIGHT = { low: false, high: false } as const;

export function columnType(policy: ColumnPolicy): ValueType {
  const { min, max } = columnRange(policy);
  const numeric = policy.type === 'decimal' || policy.type === 'integer';
  const loose = numeric && policy.values === undefined;
  return {
    name: policy.type,
    scale: scaleOf(policy),
    nullable: policy.nullable,
    min: BigInt(min),
    max: BigInt(max),
    loose: { low: loose, high: loose },
    domain: policy.type === 'text' ? domainOf(policy) : null,
  };
}

export function numberType(
  value: { readonly min: bigint; readonly max: bigint },
  scale: number,
  nullable = false,
): ValueType {
  const name = scale === 0 ? 'integer' : 'decimal';
  return { name, scale, nullable, ...value, loose: TIGHT, domain: null };
}

export function booleanType(nullable: boolean): ValueType {
  return { name: 'boolean', scale: 0, nullable, min: 0n, max: 1n, loose: TIGHT, domain: null };
}

export function dateType(min: bigint, max: bigint, nullable: boolean): ValueType {
  return { name: 'date', scale: 0, nullable, min, max, loose: TIGHT, domain: null };
}

export function textType(domain: readonly string[], nullable: boolean): ValueType {
  const max = BigInt(Math.max(0, domain.length - 1));
  return { name: 'text', scale: 0, nullable, min: 0n, max, loose: TIGHT, domain };
}

export const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
export const magnitude = (x: bigint): bigint => (x < 0n ? -x : x);
export const magnitudeOf = ({ min, max }: Pick<ValueType, 'min' | 'max'>): bigint =>
  larger(magnitude(min), magnitude(max));

/** A number type in units of 10^-scale, which must be the finer. */
export function rescaled(type: ValueType, scale: number): ValueType {
  const factor = 10n ** BigInt(scale - type.scale);
  return { ...type, scale, min: type.min * factor, max: type.max * factor };
}

export function sumType(op: '+' | '-', a: ValueType, b: ValueType): ValueType {
  const plus = op === '+';
  return {
    name: a.name === 'decimal' || b.name === 'decimal' ? 'decimal' : 'integer',
    scale: a.scale,
    nullable: a.nullable || b.nullable,
    min: plus ? a.min + b.min : a.min - b.max,
    max: plus ? a.max + b.max : a.max - b.min,
    loose: {
      low: a.loose.low || (plus ? b.loose.low : b.loose.high),
      high: a.loose.high || (plus ? b.loose.high : b.loose.low),
    },
    domain: null,
  };
}

/** @param square - true when both factors are the same value. */
export function productType(a: ValueType, b: ValueType, square: boolean): ValueType {
  const corners = [a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max];
  const any = a.loose.low || a.loose.high || b.loose.low || b.loose.high;
  const min = corners.reduce(smaller);
  const max = corners.reduce(larger);
  return {
    name: a.name === 'decimal' || b.name === 'decimal' ? 'decimal' : 'integer',
    scale: a.scale + b.scale,
    nullable: a.nullable || b.nullable,
    min: square ? larger(0n, min < 0n ? 0n : min) : min,
    max,
    loose: { low: any, high: any },
    domain: null,
  };
}

/** The type of whichever of several values of one scale or domain is taken. */
export function unionType(types: readonly ValueType[], nullable: boolean): ValueType {
  const [first, ...rest] = types;
  return rest.reduce<ValueType>(
    (a, b) => ({
      ...a,
      name: a.name === 'integer' ? b.name : a.name,
      min: smaller(a.min, b.min),
      max: larger(a.max, b.max),
      loose: { low: a.loose.low || b.loose.low, high: a.loose.high || b.loose.high },
      nullable,
    }),
    { ...first!, nullable },
  );
}

/** LEAST and GREATEST skip NULLs, so any one value bounds from one side. */
export function extremeType(op: 'least' | 'greatest', types: readonly ValueType[]): ValueType {
  const nullable = types.every((type) => type.nullable);
  const union = unionType(types, nullable);
  const sure = types.filter((type) => !type.nullable);
  const [highs, lows] = [sure.map(({ max }) => max), sure.map(({ min }) => min)];
  const all = (end: 'low' | 'high'): boolean =>
    sure.length === 0 ? union.loose[end] : sure.every(({ loose }) => loose[end]);
  if (op === 'least') {
    const max = highs.reduce(smaller, union.max);
    return { ...union, max, loose: { low: union.loose.low, high: all('high') } };
  }
  const min = lows.reduce(larger, union.min);
  return { ...union, min, loose: { low: all('low'), high: union.loose.high } };
}

/** The distinct values of several domains, sorted by code units, in NFC as at import. */
export function jointDomain(domains: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(domains.flat().map((value) => value.normalize('NFC')))].sort();
}

/** Index in a joint domain of each value of one. */
export function mapInto(joint: readonly string[], domain: readonly string[]): readonly number[] {
  const index = new Map(joint.map((value, i) => [value, i]));
  return domain.map((value) => index.get(value.normalize('NFC')) ?? 0);
}
