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

export type Operand = ColumnSyntax | LiteralSyntax;

export type Condition =
  | Operand
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Condition[]; readonly span: Span }
  | { readonly kind: 'not'; readonly term: Condition; readonly span: Span }
  | {
      readonly kind: 'compare';
      readonly op: Comparison;
      readonly left: Operand;
      readonly right: Operand;
      readonly span: Span;
    }
  | {
      readonly kind: 'between';
      readonly operand: Operand;
      readonly low: Operand;
      readonly high: Operand;
      readonly span: Span;
    }
  | {
      readonly kind: 'in';
      readonly operand: Operand;
      readonly list: readonly LiteralSyntax[];
      readonly span: Span;
    }
  | { readonly kind: 'isNull'; readonly operand: Operand; readonly span: Span };

export type AggregateFunction = 'COUNT' | 'SUM' | 'AVG';

export interface AggregateSyntax {
  readonly kind: 'aggregate';
  readonly name: AggregateFunction;
  readonly distinct: boolean;
  readonly argument: ColumnSyntax | { readonly kind: 'star'; readonly span: Span };
  readonly span: Span;
}

/** What may stand in the SELECT list, GROUP BY and ORDER BY. */
export type ItemExpression = ColumnSyntax | AggregateSyntax | LiteralSyntax;

export interface SelectItem {
  readonly expression: ItemExpression;
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
  readonly table: TableSyntax;
  readonly condition:
    | { readonly kind: 'on'; readonly condition: Condition; readonly span: Span }
    | { readonly kind: 'using'; readonly column: string; readonly span: Span };
}

export interface OrderItem {
  readonly expression: ItemExpression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly span: Span;
}

export interface SelectSyntax {
  readonly items: readonly SelectItem[];
  readonly from: TableSyntax;
  readonly joins: readonly JoinSyntax[];
  readonly where: Condition | null;
  readonly groupBy: readonly ItemExpression[];
  readonly orderBy: readonly OrderItem[];
  readonly limit: number | null;
}
