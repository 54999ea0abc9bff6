// A row of a query between two processes over loopback TCP: a 16-bit comparison of shared words, then
// the shared 64-bit value times the result. All OTs are in it, made in one batch when a run begins.
import { systemRng } from '../src/core/rng.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { lessThan, lessThanTree, multiplyBit, type Word } from '../src/protocols/sharing/index.ts';
import { bitOf, openBits, openRing, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openGates, type Output, type Task } from './kit/task.ts';
import { andsPerRow, checkLess } from './less-than.ts';

const BITS = 16;

export const task: Task = {
  name: 'row',
  unit: 'row',
  cases: ['ripple', 'tree'],
  n: [2 ** 16],
  k: [2, 4],
  link: 'processes',
  async open(end, { case: kind, k, n }) {
    const { sharing, begin } = await openGates(end, k, 'batch');
    const word = (): Word => Array.from({ length: BITS }, () => systemRng(bitBytes(n)));
    const [x, y] = [word(), word()];
    const share = systemRng(8 * n);
    const compare = kind === 'ripple' ? lessThan : lessThanTree;
    const ands = 8 * bitBytes(n) * andsPerRow(kind, BITS);
    return async () => {
      await begin(ands);
      const less = await compare(sharing, x, y, n);
      const [product] = await multiplyBit(sharing, less, n, [{ kind: 'shared', share }]);
      const [joinedX, joinedY] = [Buffer.concat(x), Buffer.concat(y)].map((b) => new Uint8Array(b));
      return { x: joinedX!, y: joinedY!, less, share, product: product! };
    };
  },
  check(outputs, { n }) {
    const of = (name: string): Uint8Array[] => outputs.map((o: Output) => o[name] as Uint8Array);
    const less = openBits(of('less'));
    checkLess(openBits(of('x')), openBits(of('y')), less, n, BITS);
    const [value, product] = [openRing(of('share')), openRing(of('product'))];
    for (let row = 0; row < n; row += 1) {
      if (product[row] !== BigInt(bitOf(less, row)) * value[row]!) wrong('a selected value');
    }
  },
};

await benchTask(task, import.meta.url);
