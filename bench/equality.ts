// Private equality of two tags of `--bits`, one known to each of two parties, OTs included: by
// Hamming distance over correlated OTs, as the join does it, or as a tree of ANDs.
import { systemRng } from '../src/core/rng.ts';
import { equalTags } from '../src/protocols/psi/equality.ts';
import { equalWords, ownedWord, wordFromElements } from '../src/protocols/sharing/index.ts';
import { bitOf, openBits, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { openGates, type Output, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'equality',
  unit: 'row',
  cases: ['hamming', 'tree'],
  n: [2 ** 16],
  k: [2, 4],
  runs: 3,
  extras: { bits: ['61'] },
  async open(end, { case: kind, k, n, extra }) {
    const bits = Number(extra['bits']);
    const { sharing, begin } = await openGates(end, k, 'ot');
    const tags = tagsOf(n, bits, end.party);
    if (kind === 'hamming') {
      return async () => {
        await begin(0);
        return { equal: await equalTags(sharing, tags, n, bits) };
      };
    }
    const own = wordFromElements(tags, n).slice(0, bits);
    const word = (owner: number): ReturnType<typeof ownedWord> =>
      ownedWord(sharing, owner, owner === end.party ? own : null, bits, n);
    return async () => {
      await begin(0);
      return { equal: await equalWords(sharing, word(0), word(1), n) };
    };
  },
  check(outputs, { n }) {
    const equal = openBits(outputs.map((o: Output) => o['equal'] as Uint8Array));
    for (let row = 0; row < n; row += 1) {
      if (bitOf(equal, row) !== (row % 3 === 0 ? 1 : 0)) wrong('an equality');
    }
  },
};

/** Every third tag is the same at both parties; the others differ in one bit at least. */
function tagsOf(n: number, bits: number, party: number): Uint8Array {
  const mask = (1n << BigInt(bits)) - 1n;
  const random = new BigUint64Array(systemRng(8 * n).buffer);
  const tags = random.map((tag, row) => {
    const shared = (BigInt(row) * 0x9e37_79b9_7f4a_7c15n) & mask;
    return row % 3 === 0 ? shared : ((tag << 1n) | BigInt(party)) & mask;
  });
  return new Uint8Array(tags.buffer);
}

await benchTask(task, import.meta.url);
