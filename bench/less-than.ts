// [x < y] of shared unsigned words of `--bits`, OTs included: bit after bit (fewest ANDs) or as a
// tree (fewest rounds). `--triples batch` makes all OTs of a run at once, `free` leaves them out.
import { systemRng } from '../src/core/rng.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { lessThan, lessThanTree, type Word } from '../src/protocols/sharing/index.ts';
import { bitOf, openBits, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openGates, type Output, type Task, type TripleKind } from './kit/task.ts';

export const task: Task = {
  name: 'less-than',
  unit: 'row',
  cases: ['ripple', 'tree'],
  n: [2 ** 16],
  k: [2, 4],
  runs: 3,
  extras: { bits: ['16'], triples: ['ot'] },
  async open(end, { case: kind, k, n, extra }) {
    const bits = Number(extra['bits']);
    const { sharing, begin } = await openGates(end, k, extra['triples'] as TripleKind);
    const word = (): Word => Array.from({ length: bits }, () => systemRng(bitBytes(n)));
    const [x, y] = [word(), word()];
    const compare = kind === 'ripple' ? lessThan : lessThanTree;
    const ands = 8 * bitBytes(n) * andsPerRow(kind, bits);
    return async () => {
      await begin(ands);
      const less = await compare(sharing, x, y, n);
      return { less, x: new Uint8Array(Buffer.concat(x)), y: new Uint8Array(Buffer.concat(y)) };
    };
  },
  check(outputs, { n, extra }) {
    const open = (name: string): Uint8Array =>
      openBits(outputs.map((o: Output) => o[name] as Uint8Array));
    checkLess(open('x'), open('y'), open('less'), n, Number(extra['bits']));
  },
};

/** ANDs of one comparison. */
export function andsPerRow(kind: string, bits: number): number {
  return kind === 'ripple' ? bits : 3 * bits - 2 - Math.ceil(Math.log2(bits));
}

/** @param x - wires one behind the other, as `y`. */
export function checkLess(
  x: Uint8Array,
  y: Uint8Array,
  less: Uint8Array,
  n: number,
  bits: number,
): void {
  const wire = 8 * bitBytes(n);
  for (let row = 0; row < n; row += 1) {
    let expected = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      const [a, b] = [bitOf(x, bit * wire + row), bitOf(y, bit * wire + row)];
      if (a !== b) expected = b;
    }
    if (bitOf(less, row) !== expected) wrong('a comparison');
  }
}

await benchTask(task, import.meta.url);
