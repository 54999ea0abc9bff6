/** Literals as values, of the type that their surroundings ask for. */
import { daysOf } from './calendar.ts';
import { exactNumber } from './coding.ts';
import { badLiteral, mismatch } from './condition-errors.ts';
import type { Scope } from './names.ts';
import type { LiteralSyntax } from './syntax.ts';
import { literal } from './terms.ts';
import { booleanType, dateType, familyOf, numberType, textType, type ValueType } from './types.ts';
import type { LocalValue } from './value.ts';

export const NULL_VALUE: LocalValue = {
  kind: 'local',
  table: null,
  term: { value: null },
  type: numberType({ min: 0n, max: 0n }, 0, true),
};

const DATE_HINT = 'Write an existing date as DATE ‘YYYY-MM-DD’ or ‘YYYY-MM-DD’ in quotes.';

/** LOCAL. Digits after the point that a literal of a row expression may have. */
const LITERAL_SCALE_MAX = 12;

export function dateLiteral(scope: Scope, written: LiteralSyntax): number {
  if (written.kind !== 'date' && written.kind !== 'string') {
    throw mismatch(scope, written.span, DATE_HINT);
  }
  const days = daysOf(written.text);
  if (days === null) throw badLiteral(scope, written.span, DATE_HINT);
  return days;
}

/** The type a literal has by itself; null for NULL. */
export function literalType(scope: Scope, written: LiteralSyntax): ValueType | null {
  return written.kind === 'null' ? null : literalValue(scope, written, null).type;
}

/** @param like - a type to follow: a text in quotes may be a date. */
export function literalValue(
  scope: Scope,
  written: LiteralSyntax,
  like: ValueType | null,
): LocalValue {
  const constant = (value: bigint, type: ValueType): LocalValue => ({
    kind: 'local',
    table: null,
    term: literal(value),
    type,
  });
  switch (written.kind) {
    case 'null':
      return NULL_VALUE;
    case 'boolean': {
      const value = written.value ? 1n : 0n;
      return constant(value, { ...booleanType(false), min: value, max: value });
    }
    case 'date':
      return dateConstant(constant, dateLiteral(scope, written));
    case 'string':
      if (like !== null && familyOf(like) === 'date') {
        return dateConstant(constant, dateLiteral(scope, written));
      }
      return constant(0n, textType([written.text.normalize('NFC')], false));
    case 'number': {
      const { value, scale } = numberOf(scope, written);
      return constant(value, numberType({ min: value, max: value }, scale));
    }
  }
}

function dateConstant(
  constant: (value: bigint, type: ValueType) => LocalValue,
  days: number,
): LocalValue {
  const value = BigInt(days);
  return constant(value, dateType(value, value, false));
}

/** A number in units of 10^-scale, with the fewest digits that hold it. */
function numberOf(
  scope: Scope,
  written: Extract<LiteralSyntax, { kind: 'number' }>,
): { readonly value: bigint; readonly scale: number } {
  const exact = exactNumber(written.text);
  if (exact === null) throw badLiteral(scope, written.span, 'The exponent is out of range.');
  for (let scale = 0; scale <= LITERAL_SCALE_MAX; scale += 1) {
    const power = 10n ** BigInt(scale);
    if (power % exact.den === 0n) return { value: exact.num * (power / exact.den), scale };
  }
  const hint = `Write at most ${LITERAL_SCALE_MAX} digits after the point.`;
  throw badLiteral(scope, written.span, hint);
}
