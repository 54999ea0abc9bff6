// Goal: what `parley policy show` prints has every value that all parties signed, so that nobody who
// reads it signs a bound, a key or an address unseen.
import { describe, expect, it } from 'vitest';
import { describePolicy } from '../../src/cli/describe.ts';
import type { Policy } from '../../src/policy/types.ts';
import { sampleRoom } from './samples.ts';

const DIGEST = 'd'.repeat(64);
const { policy } = sampleRoom();

/** Every value of a document with its path, but what the words say otherwise. */
function leaves(value: unknown, path = ''): (readonly [path: string, text: string])[] {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`));
}
const IN_OTHER_WORDS = /\.(version|nullable|size_disclosure|scale|accounting|budget_refresh|tee)$/;

const full: Policy = {
  ...policy,
  parties: policy.parties.map((party, i) => ({ ...party, address: `wss://node${i}.example/p` })),
  rules: {
    ...policy.rules,
    partition_selection: 'noisy',
    below_k_probability: '1e-7',
    differential_privacy: {
      ...(policy.rules.differential_privacy as object),
      accounting: 'zcdp',
      rho_budget: '0.07',
      budget_weight: { COUNT: '2.5' },
    } as never,
    queries: { mode: 'approved', templates: [] },
  },
  execution: { ...policy.execution, links: 'direct' },
};

describe('policy show', () => {
  it.each([
    ['the sample', policy],
    ['one with every field', full],
  ])('says everything of %s', (_, shown) => {
    const text = describePolicy(shown, DIGEST);
    for (const [path, value] of leaves(shown)) {
      if (IN_OTHER_WORDS.test(path) || value === 'approved') continue;
      expect(text, path).toContain(value);
    }
  });

  it('says in words what is not a value', () => {
    const text = describePolicy(full, DIGEST);
    expect(text).toContain('what every company of the plan approved');
    expect(text).toContain('by zCDP, rho: 0.07');
    const { rules } = full;
    const off: Policy = {
      ...full,
      rules: { ...rules, differential_privacy: 'off', cache_identical_queries: false },
    };
    expect(describePolicy(off, DIGEST)).toContain('NO DIFFERENTIAL PRIVACY');
    expect(describePolicy(off, DIGEST)).toContain('run and charged each time');
  });
});
