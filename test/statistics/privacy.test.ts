// Goal: the tests of privacy.md section 7 by number, with few enough draws for every push; the full
// numbers are those of `npm run test:statistics` (docs/statistics.md).
import { expect, it } from 'vitest';
import * as audit from './audit.ts';
import type { Check } from './check.ts';
import * as comparator from './comparator.ts';
import * as coverage from './coverage.ts';
import * as endToEnd from './end-to-end.ts';
import * as law from './law.ts';
import * as released from './released.ts';
import * as sampler from './sampler.ts';
import * as thresholds from './thresholds.ts';
import * as transcript from './transcript.ts';

/** For machines that do other work too: none takes ten seconds of one core. */
const WAIT_MS = 300_000;

/** Every line of a module passes, and there is at least one of each number. */
function hold(checks: readonly Check[], ...numbers: readonly string[]): void {
  const failed = checks.filter(({ pass }) => !pass).map(({ what, result }) => `${what}: ${result}`);
  expect(failed).toEqual([]);
  expect([...new Set(checks.map(({ test }) => test))].sort()).toEqual([...numbers].sort());
}

it('privacy 1: the exact law of the circuit, truncation, quantisation and gate, without tolerance', async () => {
  hold(await law.run(), '1');
});

it('privacy 2: thresholds equal another implementation’s', async () => {
  hold(await thresholds.run(), '2');
});

it('privacy 3: the comparator, gate by gate', async () => {
  hold(await comparator.run(false), '3');
});

it(
  'privacy 4, 5: the sampler fits its law, and its mutants do not',
  async () => {
    hold(await sampler.run(false), '4', '5');
  },
  WAIT_MS,
);

it(
  'privacy 6: what is released for n people against n + 1',
  async () => {
    hold(await released.run(false), '6');
  },
  WAIT_MS,
);

it(
  'privacy 7: one honest party is enough, through the whole engine',
  async () => {
    hold(await endToEnd.run(false), '7');
  },
  WAIT_MS,
);

it(
  'privacy 11: neighbours send the same messages',
  async () => {
    hold(await transcript.run(false), '11');
  },
  WAIT_MS,
);

it(
  'privacy 12: attack games win no more than they may, and always without noise',
  async () => {
    hold(await audit.run(false), '12');
  },
  WAIT_MS,
);

it(
  'privacy 13: intervals hold, and are those that were said before',
  async () => {
    hold(await coverage.run(false), '13');
  },
  WAIT_MS,
);
