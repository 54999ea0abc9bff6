/** What a release promises, and what it does not, in words that a result and a receipt carry. */

import type { ReleaseRule } from './calibrate.ts';

/** What the words depend on. */
export type PromiseTerms = Pick<ReleaseRule, 'selection' | 'minUsers' | 'belowK' | 'differential'>;

/**
 * One sentence per part of the promise: the values, which groups open, what it leaves out and against
 * whom it holds. Deterministic, so every party, the analyst and an auditor state the same.
 */
export function promiseOf(terms: PromiseTerms): readonly string[] {
  const { selection, minUsers, belowK, differential } = terms;
  const k = `${minUsers} distinct ${minUsers === 1 ? 'person' : 'people'}`;
  if (differential === null) {
    return [
      'values: exact, without differential privacy',
      `groups: none with fewer than ${k} opens; which ones open is exact`,
    ];
  }
  const price = `epsilon ${differential.epsilon}, delta ${differential.delta}`;
  const groups = {
    exact_k: `groups: none with fewer than ${k} opens; epsilon excludes which groups opened`,
    pre_threshold: `groups: none with fewer than ${k} opens; which ones open is within ${price}`,
    noisy:
      `groups: which ones open is within ${price}, by the noisy count alone; ` +
      `one with fewer than ${k} opens with a chance of at most ${belowK ?? '0'}`,
  }[selection];
  return [
    `values: within ${price}, for adding or removing one person with all of that person's rows`,
    groups,
    'not covered: declared table sizes, that the query ran, when, and whether it was aborted',
    'against: computationally bounded parties that follow the protocol, all but one in league',
  ];
}
