// A shared bit times a value, OTs included: `bit` is the bit itself as an integer (B2A), `shared` a
// shared 64-bit value, `both` the two on the same OTs.
import { systemRng } from '../src/core/rng.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { multiplyBit, type MuxTerm } from '../src/protocols/sharing/index.ts';
import { bitOf, openBits, openRing, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openSharing, type Output, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'mux',
  unit: 'row',
  cases: ['bit', 'shared', 'both'],
  n: [2 ** 16],
  k: [2, 4],
  async open(end, { case: kind, k, n }) {
    const sharing = await openSharing(end, k);
    const bit = systemRng(bitBytes(n));
    const share = systemRng(8 * n);
    const all: Record<string, readonly MuxTerm[]> = {
      bit: [{ kind: 'one' }],
      shared: [{ kind: 'shared', share }],
      both: [{ kind: 'one' }, { kind: 'shared', share }],
    };
    return async () => {
      const [first, second] = await multiplyBit(sharing, bit, n, all[kind]!);
      const product = kind === 'shared' ? first : second;
      return {
        bit,
        share,
        ...(kind === 'shared' ? {} : { one: first! }),
        ...(product === undefined ? {} : { product }),
      };
    };
  },
  check(outputs, { n }) {
    const of = (name: string): Uint8Array[] => outputs.map((o: Output) => o[name] as Uint8Array);
    const bit = openBits(of('bit'));
    const value = openRing(of('share'));
    for (const [name, factor] of [
      ['one', () => 1n],
      ['product', (row: number) => value[row]!],
    ] as const) {
      if (outputs[0]![name] === undefined) continue;
      const product = openRing(of(name));
      for (let row = 0; row < n; row += 1) {
        if (product[row] !== BigInt(bitOf(bit, row)) * factor(row)) wrong('a product');
      }
    }
  },
};

await benchTask(task, import.meta.url);
