// `npm run test:kill -- [--runs 20] [--seed N] [--noise] [--parties] [--shards 16]`:
// see kills.ts. With --noise every query costs, with --parties only parties are killed.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { randomKills } from './kills.ts';

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
    noise: { type: 'boolean', default: false },
    shards: { type: 'string', default: '16' },
    parties: { type: 'boolean', default: false },
  },
});

const tell = (line: string): void => void process.stdout.write(`${line}\n`);
const { seed, noise } = flags;
tell(`seed ${seed}, ${flags.runs} runs`);
const [runs, shards] = [Number(flags.runs), Number(flags.shards)];
const endings = await randomKills({ runs, seed, noise, shards, partiesOnly: flags.parties, tell });
tell([...endings].map(([code, n]) => `${code} ${n}`).join(', '));
