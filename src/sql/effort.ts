/**
 * A bound on the work of reading one query. Expressions across tables grow when they are rewritten:
 * `a = b` between conditions holds each of them twice, LEAST of n values holds the first 2^n times
 * over. Shared nodes make that cheap to build and dear to walk, so what counts is the size as a tree.
 */
import { refusal } from './hints.ts';
import { EFFORT_MAX } from './limits.ts';
import type { Span } from './syntax.ts';

/** Spent as the query is read; one of each query. */
export interface Effort {
  /** @throws ParleyError SQL_TOO_LARGE when the query has spent more than EFFORT_MAX. */
  spend(nodes: number, span: Span): void;
  /** Nodes so far. */
  spent(): number;
}

export function createEffort(sql: string): Effort {
  let spent = 0;
  return {
    spend(nodes, { from, to }) {
      spent += nodes;
      if (spent <= EFFORT_MAX) return;
      const hint = 'Nest fewer CASE, LEAST, GREATEST and comparisons of conditions across parties.';
      throw refusal('SQL_TOO_LARGE', 'the query comes to too much', sql.slice(from, to), hint);
    },
    spent: () => spent,
  };
}

/** Numbers of a list that weigh as much as a node. */
const NUMBERS_PER_NODE = 16;

const sizes = new WeakMap<object, number>();

/**
 * Nodes of a value, condition or term as a tree: shared ones count each time. Whatever new kinds of
 * node there are, all their parts count but types, which nothing rewrites. Cost: of each node once.
 */
export function sizeOf(node: object): number {
  const known = sizes.get(node);
  if (known !== undefined) return known;
  let size = Array.isArray(node) ? 1 + node.length / NUMBERS_PER_NODE : 1;
  for (const [name, part] of Object.entries(node) as [string, unknown][]) {
    if (typeof part === 'object' && part !== null && name !== 'type') size += sizeOf(part);
  }
  sizes.set(node, size);
  return size;
}
