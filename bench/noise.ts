// Jointly drawn discrete Laplace noise of rate 1, `n` draws of 7 coins with 64-bit thresholds, OTs
// included; `--triples free` leaves them out.
import { discreteLaplace, elementsFromWord } from '../src/protocols/sharing/index.ts';
import { openBits, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openGates, type Output, type Task, type TripleKind } from './kit/task.ts';
import { lawOf } from '../test/sharing/noise-reference.ts';

const DIGITS = 6;

export const task: Task = {
  name: 'noise',
  unit: 'draw',
  cases: ['laplace'],
  n: [1024],
  k: [2, 4],
  runs: 3,
  extras: { triples: ['ot'] },
  async open(end, { k, n, extra }) {
    const { sharing, begin } = await openGates(end, k, extra['triples'] as TripleKind);
    const law = lawOf(1n, 1n, DIGITS);
    return async () => {
      await begin(0);
      const noise = await discreteLaplace(sharing, [law], new Int32Array(n), n);
      return { noise: elementsFromWord(noise, n) };
    };
  },
  check(outputs, { n }) {
    const opened = openBits(outputs.map((o: Output) => o['noise'] as Uint8Array));
    const noise = new BigInt64Array(opened.buffer, opened.byteOffset, n);
    let sum = 0;
    for (const draw of noise) {
      const x = Number(draw);
      if (x < -(2 ** DIGITS) || x >= 2 ** DIGITS) wrong('a draw out of range');
      sum += x ** 2;
    }
    // The variance of rate 1 is 2a/(1-a)^2 = 1.84 with a = 1/e; an honest mean of 1,024 squares lies
    // within 1 of it but for less than one in 10^5.
    if (n >= 1024 && Math.abs(sum / n - 1.84) > 1) wrong('the variance of the noise');
  },
};

await benchTask(task, import.meta.url);
