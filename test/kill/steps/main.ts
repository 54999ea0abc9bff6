// `npm run test:kill -- --steps [--scenario query,stock] [--modes after,torn] [--only 4,5]`: see README.md.
import { parseArgs } from 'node:util';
import { MODES, type Mode } from './cases.ts';
import { SCENARIOS } from './scenarios.ts';
import { sweepStarts } from './starts.ts';
import { pointsOf, sweep, tableOf, type Swept, type SweepOptions } from './sweep.ts';

const { values: flags } = parseArgs({
  options: {
    scenario: { type: 'string', default: ['start', ...SCENARIOS.map(({ name }) => name)].join() },
    modes: { type: 'string', default: MODES.join() },
    only: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});

const tell = (line: string): void => void process.stdout.write(`${line}\n`);
const modes = flags.modes.split(',').map((name): Mode => {
  const mode = MODES.find((one) => one === name);
  if (mode === undefined) throw new Error(`modes are ${MODES.join()}`);
  return mode;
});
const swept: Swept[] = [];
for (const name of flags.scenario.split(',')) {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined && name !== 'start') throw new Error(`no scenario ${name}`);
  const only = flags.only?.split(',').map(Number);
  const options: SweepOptions = {
    choose: (steps) =>
      pointsOf(steps, modes).filter(({ step }) => only === undefined || only.includes(step)),
    onCase: ({ step, mode }, { at, first, next, violations }) => {
      if (flags.quiet && violations.length === 0) return;
      tell(`${name} ${mode} ${step}: ${at ?? 'not reached'}: ${first}, then ${next}`);
      for (const violation of violations) tell(`  VIOLATION: ${violation}`);
    },
  };
  const one = await (scenario === undefined ? sweepStarts(options) : sweep(scenario, options));
  swept.push(one);
  tell(tableOf(one));
}
const violations = swept
  .flatMap(({ results }) => results)
  .filter((result) => result.violations.length > 0);
tell(`${violations.length} violations`);
process.exit(violations.length === 0 ? 0 : 1);
