// ANDs of shared bits with the OTs they consume, in one layer of `n` rows; and their triples alone.
import { systemRng } from '../src/core/rng.ts';
import { createTriples } from '../src/protocols/ot/index.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { openBits, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openOtPair, openGates, type Output, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'and',
  unit: 'AND',
  cases: ['and', 'triples', 'free-triples'],
  n: [2 ** 20],
  k: [2, 4],
  skip: ({ case: kind, parties }) => kind === 'triples' && parties > 2,
  async open(end, { case: kind, k, n }) {
    if (kind === 'triples') {
      const pair = await openOtPair(end, k);
      return async () => ({ ...(await createTriples(pair, n, systemRng)) });
    }
    const { sharing, begin } = await openGates(end, k, kind === 'and' ? 'ot' : 'free');
    const [a, b] = [systemRng(bitBytes(n)), systemRng(bitBytes(n))];
    return async () => {
      await begin(0);
      const [c] = await sharing.and([a], [b], n);
      return { a, b, c: c! };
    };
  },
  check(outputs) {
    const open = (name: string): Uint8Array =>
      openBits(outputs.map((o: Output) => o[name] as Uint8Array));
    const [a, b, c] = [open('a'), open('b'), open('c')];
    for (let i = 0; i < c.length; i++) if ((a[i]! & b[i]!) !== c[i]!) wrong('an AND');
  },
};

await benchTask(task, import.meta.url);
