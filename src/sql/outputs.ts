/** Values of the answer: what the analyst's client makes of released numbers. Post-processing. */
import { formatRational, rational } from '../core/rational.ts';
import { aggregateValue, type Asking } from './aggregates.ts';
import { exactNumber } from './coding.ts';
import { fragmentOf } from './condition-errors.ts';
import { keyOfValue, type ResolvedKey } from './groups.ts';
import { refusal, ROWS_STAY_HINT } from './hints.ts';
import { resolvePlain } from './names.ts';
import type { ColumnTypeName, OutputExpression } from './plan.ts';
import { partsOf, type Expression, type LiteralSyntax, type Span } from './syntax.ts';
import { resolveValue } from './values.ts';

/** A value of the answer with its type. */
export interface Output {
  readonly value: OutputExpression;
  /** Digits after the point; a `coded` value is in units of 10^-scale. */
  readonly scale: number;
  readonly type: ColumnTypeName;
  readonly coded: boolean;
}

/** What output expressions are read under. */
export interface Answering extends Asking {
  readonly keys: readonly ResolvedKey[];
}

const isNumber = ({ type }: Output): boolean =>
  type === 'integer' || type === 'decimal' || type === 'double';

/** The value in plain units. */
const plain = ({ value, scale, coded }: Output): OutputExpression =>
  coded && scale > 0 ? { kind: 'scaled', of: value, scale } : value;

const mismatch = (answering: Answering, span: Span, hint: string) =>
  refusal(
    'SQL_TYPE_MISMATCH',
    'these values cannot be combined',
    fragmentOf(answering.scope, span),
    hint,
  );

/** Index of the group key an expression is, or -1. */
export function matchKey(answering: Answering, expression: Expression): number {
  if (answering.keys.length === 0 || !mayBeKey(expression)) return -1;
  const value = resolveValue({ scope: answering.scope, clamp: false }, expression);
  if (value.kind === 'local' && value.table === null) return -1;
  const wanted = keyOfValue(value);
  return answering.keys.findIndex((key) => keyOfValue(key.value) === wanted);
}

/** Whether rows could have this value: it names a column, and nothing that only answers have. */
function mayBeKey(expression: Expression): boolean {
  const all = (e: Expression): readonly Expression[] => [e, ...partsOf(e).flatMap(all)];
  const parts = all(expression);
  const answerOnly = (e: Expression): boolean =>
    e.kind === 'aggregate' ||
    (e.kind === 'arithmetic' && e.op === '/') ||
    (e.kind === 'call' && e.name === 'ROUND');
  return parts.some(({ kind }) => kind === 'column') && !parts.some(answerOnly);
}

/**
 * Resolves an expression over group keys, aggregates and literals.
 * @throws ParleyError SQL_BARE_COLUMN, SQL_TYPE_MISMATCH, SQL_UNSUPPORTED and those of aggregates.
 */
export function resolveOutput(answering: Answering, expression: Expression): Output {
  const key = matchKey(answering, expression);
  if (key >= 0) {
    const { type } = answering.keys[key]!.value;
    return { value: { kind: 'group', key }, scale: type.scale, type: type.name, coded: false };
  }
  const { scope } = answering;
  switch (expression.kind) {
    case 'aggregate':
      return { ...aggregateValue(answering, expression), coded: true };
    case 'column': {
      resolvePlain(scope, expression);
      const fragment = fragmentOf(scope, expression.span);
      throw refusal('SQL_BARE_COLUMN', 'this column is not grouped', fragment, ROWS_STAY_HINT);
    }
    case 'number':
    case 'string':
    case 'date':
    case 'boolean':
    case 'null':
      return literalOutput(answering, expression);
    case 'negate': {
      const zero: Expression = { kind: 'number', text: '0', span: expression.span };
      return arithmetic(answering, '-', zero, expression.operand, expression.span);
    }
    case 'arithmetic':
      return arithmetic(
        answering,
        expression.op,
        expression.left,
        expression.right,
        expression.span,
      );
    case 'case':
      return caseOutput(answering, expression);
    case 'call':
      return callOutput(answering, expression);
    case 'interval':
      throw mismatch(answering, expression.span, 'Intervals are added to dates of rows.');
    default:
      return conditionOutput(answering, expression);
  }
}

const composite = (value: OutputExpression, type: ColumnTypeName, scale = 0): Output => ({
  value,
  type,
  scale,
  coded: false,
});

function literalOutput(answering: Answering, literal: LiteralSyntax): Output {
  switch (literal.kind) {
    case 'null':
      return composite({ kind: 'null' }, 'integer');
    case 'boolean':
      return composite({ kind: 'boolean', value: literal.value }, 'boolean');
    case 'string':
      return composite({ kind: 'text', value: literal.text.normalize('NFC') }, 'text');
    case 'date':
      return composite({ kind: 'text', value: literal.text }, 'date');
    case 'number': {
      const value = exactNumber(literal.text);
      const scale = (/\.(\d+)/.exec(literal.text)?.[1] ?? '').length;
      if (value === null || scale > 12 || /e/i.test(literal.text)) {
        const hint = 'Write the number with at most 12 digits after the point.';
        const fragment = fragmentOf(answering.scope, literal.span);
        throw refusal('SQL_BAD_LITERAL', 'a literal has no value', fragment, hint);
      }
      const number: OutputExpression = { kind: 'number', value: formatRational(value) };
      return composite(number, scale === 0 ? 'integer' : 'decimal', scale);
    }
  }
}

/** The type of a number made of several. */
function numberOf(outputs: readonly Output[], scale: number): readonly [ColumnTypeName, number] {
  if (outputs.some(({ type }) => type === 'double')) return ['double', scale];
  return [outputs.some(({ type }) => type === 'decimal') ? 'decimal' : 'integer', scale];
}

function arithmetic(
  answering: Answering,
  op: '+' | '-' | '*' | '/',
  left: Expression,
  right: Expression,
  span: Span,
): Output {
  const [a, b] = [resolveOutput(answering, left), resolveOutput(answering, right)];
  if (!isNumber(a) || !isNumber(b)) {
    throw mismatch(answering, span, 'Arithmetic between aggregates takes numbers.');
  }
  const value: OutputExpression = { kind: op, left: plain(a), right: plain(b) };
  const most = Math.max(a.scale, b.scale);
  if (op === '/') return composite(value, 'double', most);
  return composite(value, ...numberOf([a, b], op === '*' ? a.scale + b.scale : most));
}

/** One type for the results of CASE and COALESCE. */
function together(answering: Answering, outputs: readonly Output[], span: Span): Output {
  const known = outputs.filter(({ value }) => value.kind !== 'null');
  const [first] = known;
  if (first === undefined) return composite({ kind: 'null' }, 'integer');
  if (known.every(isNumber)) {
    return composite({ kind: 'null' }, ...numberOf(known, Math.max(...known.map((o) => o.scale))));
  }
  if (known.some(({ type }) => type !== first.type)) {
    throw mismatch(answering, span, 'All results must have one type.');
  }
  return composite({ kind: 'null' }, first.type);
}

function caseOutput(
  answering: Answering,
  expression: Extract<Expression, { kind: 'case' }>,
): Output {
  const { operand, branches, otherwise, span } = expression;
  const tests = branches.map(({ when }): OutputExpression => {
    if (operand === null) return truth(answering, when);
    const compare = { kind: 'compare', op: '=', left: operand, right: when, span } as const;
    return truth(answering, compare);
  });
  const results = branches.map(({ then }) => resolveOutput(answering, then));
  const last = resolveOutput(answering, otherwise ?? { kind: 'null', span });
  const shape = together(answering, [...results, last], span);
  const value: OutputExpression = {
    kind: 'case',
    branches: tests.map((when, i) => ({ when, then: plain(results[i]!) })),
    otherwise: plain(last),
  };
  return { ...shape, value };
}

function callOutput(
  answering: Answering,
  expression: Extract<Expression, { kind: 'call' }>,
): Output {
  const { name, args, span } = expression;
  const fragment = fragmentOf(answering.scope, span);
  const outputs = (): readonly Output[] => args.map((arg) => resolveOutput(answering, arg));
  switch (name) {
    case 'COALESCE':
    case 'LEAST':
    case 'GREATEST': {
      const all = outputs();
      const shape = together(answering, all, span);
      const kind = name === 'COALESCE' ? 'coalesce' : name === 'LEAST' ? 'least' : 'greatest';
      return { ...shape, value: { kind, terms: all.map(plain) } };
    }
    case 'NULLIF': {
      if (args.length !== 2) break;
      const [a, b] = args as readonly [Expression, Expression];
      const when = { kind: 'compare', op: '=', left: a, right: b, span } as const;
      const branches = [{ when, then: { kind: 'null', span } as const }];
      return caseOutput(answering, { kind: 'case', operand: null, branches, otherwise: a, span });
    }
    case 'ABS': {
      if (args.length !== 1) break;
      const [of] = outputs();
      if (!isNumber(of!)) throw mismatch(answering, span, 'ABS takes a number.');
      const zero: OutputExpression = { kind: 'number', value: formatRational(rational(0n)) };
      const negated: OutputExpression = { kind: '-', left: zero, right: plain(of!) };
      const value: OutputExpression = { kind: 'greatest', terms: [plain(of!), negated] };
      return composite(value, of!.type, of!.scale);
    }
    case 'ROUND':
      return roundOutput(answering, args, span);
    default:
  }
  if (mayBeKey(expression)) {
    throw refusal('SQL_BARE_COLUMN', 'this value is not grouped', fragment, ROWS_STAY_HINT);
  }
  const hint = 'Between aggregates: COALESCE, NULLIF, LEAST, GREATEST, ABS and ROUND.';
  throw refusal('SQL_UNSUPPORTED', 'this call cannot stand here', fragment, hint);
}

function roundOutput(answering: Answering, args: readonly Expression[], span: Span): Output {
  const [first, second] = args;
  const digits = second === undefined ? 0 : second.kind === 'number' ? Number(second.text) : NaN;
  if (
    first === undefined ||
    args.length > 2 ||
    !(Number.isInteger(digits) && digits >= 0 && digits <= 12)
  ) {
    const hint = 'Write ROUND(value) or ROUND(value, digits) with 0 to 12 digits.';
    const fragment = fragmentOf(answering.scope, span);
    throw refusal('SQL_UNSUPPORTED', 'this cannot be rounded', fragment, hint);
  }
  const of = resolveOutput(answering, first);
  if (!isNumber(of)) throw mismatch(answering, span, 'ROUND takes a number.');
  const type = of.type === 'double' ? 'double' : digits === 0 ? 'integer' : 'decimal';
  return composite({ kind: 'round', of: plain(of), digits }, type, digits);
}

function truth(answering: Answering, condition: Expression): OutputExpression {
  const output = resolveOutput(answering, condition);
  if (output.type === 'boolean' || output.value.kind === 'null') return plain(output);
  throw mismatch(answering, condition.span, 'A condition is a comparison or a boolean.');
}

/** HAVING, and whatever else is TRUE or not. */
export function resolveTruth(answering: Answering, condition: Expression): OutputExpression {
  return truth(answering, condition);
}

function conditionOutput(answering: Answering, condition: Expression): Output {
  const output = (value: OutputExpression): Output => composite(value, 'boolean');
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const terms = condition.terms.map((term) => truth(answering, term));
      return output({ kind: condition.kind, terms });
    }
    case 'not':
      return output({ kind: 'not', of: truth(answering, condition.term) });
    case 'compare':
      return output(
        comparison(answering, condition.op, condition.left, condition.right, condition.span),
      );
    case 'between': {
      const { operand, low, high, span } = condition;
      const terms = [
        comparison(answering, '>=', operand, low, span),
        comparison(answering, '<=', operand, high, span),
      ];
      return output({ kind: 'and', terms });
    }
    case 'in': {
      const { operand, list, span } = condition;
      return output({
        kind: 'or',
        terms: list.map((item) => comparison(answering, '=', operand, item, span)),
      });
    }
    case 'isNull':
      return output({ kind: 'isNull', of: plain(resolveOutput(answering, condition.operand)) });
    case 'isTruth': {
      const of = truth(answering, condition.operand);
      const test: OutputExpression = condition.value ? of : { kind: 'not', of };
      return output({ kind: 'coalesce', terms: [test, { kind: 'boolean', value: false }] });
    }
    default: {
      const fragment = fragmentOf(answering.scope, condition.span);
      const hint = 'Test rows in WHERE; between aggregates compare with = <> < <= > >=.';
      throw refusal('SQL_UNSUPPORTED', 'this test cannot stand here', fragment, hint);
    }
  }
}

const isOrder = (op: string): boolean => op !== '=' && op !== '<>';

function comparison(
  answering: Answering,
  op: Extract<OutputExpression, { kind: 'compare' }>['op'],
  left: Expression,
  right: Expression,
  span: Span,
): OutputExpression {
  const [a, b] = [resolveOutput(answering, left), resolveOutput(answering, right)];
  const alike =
    a.value.kind === 'null' ||
    b.value.kind === 'null' ||
    (isNumber(a) && isNumber(b)) ||
    a.type === b.type ||
    // A date in quotes is a text until it meets a date.
    (['date', 'text'].includes(a.type) && ['date', 'text'].includes(b.type) && a.type !== b.type);
  if (!alike) throw mismatch(answering, span, `One is ${a.type}, the other ${b.type}.`);
  const unordered = (type: ColumnTypeName): boolean => type === 'text' || type === 'boolean';
  if (isOrder(op) && unordered(a.type) && unordered(b.type)) {
    throw mismatch(answering, span, 'Text and booleans compare with = and <> only.');
  }
  return { kind: 'compare', op, left: plain(a), right: plain(b) };
}
