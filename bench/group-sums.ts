// Sums of `--lanes` shared 64-bit values by groups that party 0 knows, by method, OTs included. `chosen`
// is 1 for the method the engine takes at that number of groups.
import { systemRng } from '../src/core/rng.ts';
import { groupSumMethod, groupSums, type GroupSumMethod } from '../src/protocols/sharing/index.ts';
import { openRing, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openSharing, type Output, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'group-sums',
  unit: 'row',
  cases: ['correlatedOts', 'unitVectors', 'sorted'],
  n: [2 ** 14],
  k: [4],
  runs: 3,
  extras: { groups: ['10', '100', '1000'], lanes: ['2'] },
  async open(end, { case: kind, k, n, extra }) {
    const groups = Number(extra['groups']);
    const sharing = await openSharing(end, k);
    const groupOfRow =
      end.party === 0 ? Int32Array.from({ length: n }, (_, r) => groupOf(r, groups)) : null;
    const lanes = Array.from({ length: Number(extra['lanes']) }, () => systemRng(8 * n));
    const method = kind as GroupSumMethod;
    return async () => {
      const sums = await groupSums(sharing, { groups, groupOfRow, rows: n, lanes, method });
      const named = (name: string, list: readonly Uint8Array[]): Output =>
        Object.fromEntries(list.map((one, i) => [`${name}${i}`, one]));
      return { ...named('lane', lanes), ...named('sums', sums) };
    };
  },
  more: ({ case: kind, extra }) => ({
    chosen: groupSumMethod(Number(extra['groups'])) === kind ? 1 : 0,
  }),
  check(outputs, { n, extra }) {
    const groups = Number(extra['groups']);
    for (let lane = 0; lane < Number(extra['lanes']); lane += 1) {
      const of = (name: string): BigUint64Array =>
        openRing(outputs.map((o) => o[`${name}${lane}`] as Uint8Array));
      const [values, sums] = [of('lane'), of('sums')];
      const expected = new BigUint64Array(groups);
      for (let row = 0; row < n; row += 1) {
        const group = groupOf(row, groups);
        if (group >= 0) expected[group]! += values[row]!;
      }
      if (expected.some((sum, g) => sum !== sums[g])) wrong('a sum');
    }
  },
};

/** Every row in a group but each seventh, which is in none. */
function groupOf(row: number, groups: number): number {
  return row % 7 === 0 ? -1 : (row * 31) % groups;
}

await benchTask(task, import.meta.url);
