/** The syntax tree of a query: what the text says, before any name is looked up. */
import type { Comparison } from './plan.ts';

/** A part of the text, in code units. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A name as written; unquoted names are in lower case, as PostgreSQL folds them. */
export interface ColumnSyntax {
  readonly kind: 'column';
  /** Schema and table, table, or nothing, and the column last. */
  readonly path: readonly string[];
  readonly span: Span;
}

/** A literal as written: numbers keep every digit. */
export type LiteralSyntax =
  | { readonly kind: 'number'; readonly text: string; readonly span: Span }
  | { readonly kind: 'string'; readonly text: string; readonly span: Span }
  | { readonly kind: 'date'; readonly text: string; readonly span: Span }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly span: Span }
  | { readonly kind: 'null'; readonly span: Span };

/** Row functions; what each takes is settled when names are resolved. */
export type ScalarFunction =
  | 'COALESCE'
  | 'NULLIF'
  | 'LEAST'
  | 'GREATEST'
  | 'ABS'
  | 'ROUND'
  | 'EXTRACT'
  | 'DATE_TRUNC'
  | 'DATE_DIFF';

export type AggregateFunction =
  'COUNT' | 'SUM' | 'AVG' | 'VAR_POP' | 'VAR_SAMP' | 'STDDEV_POP' | 'STDDEV_SAMP' | 'QUANTILE';

export interface AggregateSyntax {
  readonly kind: 'aggregate';
  readonly name: AggregateFunction;
  readonly distinct: boolean;
  readonly argument: Expression | { readonly kind: 'star'; readonly span: Span };
  /** FILTER (WHERE …). */
  readonly filter: Expression | null;
  /** Quantiles only. */
  readonly fraction: Extract<LiteralSyntax, { kind: 'number' }> | null;
  readonly span: Span;
}

export interface CaseBranch {
  readonly when: Expression;
  readonly then: Expression;
}

export type Operator = '+' | '-' | '*' | '/';

/** Anything that has a value, conditions among it. */
export type Expression =
  | ColumnSyntax
  | LiteralSyntax
  | AggregateSyntax
  /** A length of time in whole days. */
  | { readonly kind: 'interval'; readonly days: number; readonly span: Span }
  | { readonly kind: 'negate'; readonly operand: Expression; readonly span: Span }
  | {
      readonly kind: 'arithmetic';
      readonly op: Operator;
      readonly left: Expression;
      readonly right: Expression;
      readonly span: Span;
    }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Expression[]; readonly span: Span }
  | { readonly kind: 'not'; readonly term: Expression; readonly span: Span }
  | {
      readonly kind: 'compare';
      readonly op: Comparison;
      readonly left: Expression;
      readonly right: Expression;
      readonly span: Span;
    }
  | {
      readonly kind: 'between';
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly span: Span;
    }
  | {
      readonly kind: 'in';
      readonly operand: Expression;
      readonly list: readonly LiteralSyntax[];
      readonly span: Span;
    }
  | {
      readonly kind: 'like';
      readonly operand: Expression;
      readonly pattern: string;
      readonly anyCase: boolean;
      readonly span: Span;
    }
  | { readonly kind: 'isNull'; readonly operand: Expression; readonly span: Span }
  /** IS TRUE and IS FALSE. */
  | {
      readonly kind: 'isTruth';
      readonly operand: Expression;
      readonly value: boolean;
      readonly span: Span;
    }
  | {
      readonly kind: 'case';
      readonly operand: Expression | null;
      readonly branches: readonly CaseBranch[];
      readonly otherwise: Expression | null;
      readonly span: Span;
    }
  | {
      readonly kind: 'call';
      readonly name: ScalarFunction;
      readonly args: readonly Expression[];
      readonly span: Span;
    };

export interface SelectItem {
  readonly expression: Expression;
  readonly alias: string | null;
  readonly span: Span;
}

export interface TableSyntax {
  /** Party and table, or table alone. */
  readonly path: readonly string[];
  readonly alias: string | null;
  readonly span: Span;
}

export interface JoinSyntax {
  readonly kind: 'inner' | 'left';
  readonly table: TableSyntax;
  /** Null after a comma: WHERE must equate the units. */
  readonly condition:
    | { readonly kind: 'on'; readonly condition: Expression; readonly span: Span }
    | { readonly kind: 'using'; readonly column: string; readonly span: Span }
    | null;
}

export interface OrderItem {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly span: Span;
}

export interface SelectSyntax {
  readonly items: readonly SelectItem[];
  readonly from: TableSyntax;
  readonly joins: readonly JoinSyntax[];
  readonly where: Expression | null;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | null;
  readonly orderBy: readonly OrderItem[];
  readonly limit: number | null;
  readonly offset: number;
}

export function isLiteral(expression: Expression): expression is LiteralSyntax {
  return ['number', 'string', 'date', 'boolean', 'null'].includes(expression.kind);
}

/** The parts an expression is made of, in the order of the text. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'aggregate': {
      const { argument, filter } = expression;
      return [
        ...(argument.kind === 'star' ? [] : [argument]),
        ...(filter === null ? [] : [filter]),
      ];
    }
    case 'negate':
    case 'in':
    case 'like':
    case 'isNull':
    case 'isTruth':
      return [expression.operand];
    case 'arithmetic':
    case 'compare':
      return [expression.left, expression.right];
    case 'and':
    case 'or':
      return expression.terms;
    case 'not':
      return [expression.term];
    case 'between':
      return [expression.operand, expression.low, expression.high];
    case 'case': {
      const { operand, branches, otherwise } = expression;
      return [
        ...(operand === null ? [] : [operand]),
        ...branches.flatMap(({ when, then }) => [when, then]),
        ...(otherwise === null ? [] : [otherwise]),
      ];
    }
    case 'call':
      return expression.args;
    default:
      return [];
  }
}

/** Whether an aggregate stands anywhere in it. */
export function hasAggregate(expression: Expression): boolean {
  return expression.kind === 'aggregate' || partsOf(expression).some(hasAggregate);
}

/** The expression with every column outside aggregates replaced. */
export function replaceColumns(
  expression: Expression,
  by: (column: ColumnSyntax) => Expression,
): Expression {
  const inner = (part: Expression): Expression => replaceColumns(part, by);
  switch (expression.kind) {
    case 'column':
      return by(expression);
    case 'negate':
    case 'in':
    case 'like':
    case 'isNull':
    case 'isTruth':
      return { ...expression, operand: inner(expression.operand) };
    case 'arithmetic':
    case 'compare':
      return { ...expression, left: inner(expression.left), right: inner(expression.right) };
    case 'and':
    case 'or':
      return { ...expression, terms: expression.terms.map(inner) };
    case 'not':
      return { ...expression, term: inner(expression.term) };
    case 'between': {
      const { operand, low, high } = expression;
      return { ...expression, operand: inner(operand), low: inner(low), high: inner(high) };
    }
    case 'case': {
      const { operand, branches, otherwise } = expression;
      return {
        ...expression,
        operand: operand === null ? null : inner(operand),
        branches: branches.map(({ when, then }) => ({ when: inner(when), then: inner(then) })),
        otherwise: otherwise === null ? null : inner(otherwise),
      };
    }
    case 'call':
      return { ...expression, args: expression.args.map(inner) };
    default:
      return expression;
  }
}
