// Set-up of transfers with one peer, both directions: 128 base OTs, trees, and the second direction's
// 128 OTs from the first. `n` set-ups one after the other.
import { systemRng } from '../src/core/rng.ts';
import { extendOts, setUpOts, type BitOtPair } from '../src/protocols/ot/index.ts';
import { wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { peerChannel, SESSION, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'base-ot',
  unit: 'set-up',
  cases: ['both-directions'],
  n: [1],
  k: [1, 2, 4, 8],
  runs: 3,
  async open(end, { k, n }) {
    const channel = peerChannel(end);
    const party = end.party === 0 ? 0 : 1;
    let at = 0;
    return async () => {
      const pairs: BitOtPair[] = [];
      for (let i = 0; i < n; i++) {
        const own = channel.sub(`${at++}`);
        const seeds = await setUpOts({
          channel: own,
          party,
          k,
          sessionId: SESSION,
          rng: systemRng,
        });
        pairs.push(extendOts({ channel: own.sub('lane'), seeds, sessionId: SESSION }));
      }
      const pair = pairs.at(-1)!;
      // A lane's worth of OTs for the check; 128 choices of ones.
      const [{ k1 }, chosen] = await Promise.all([
        pair.sender.random(128),
        pair.receiver.random(new Uint8Array(16).fill(255), 128),
      ]);
      return { k1, chosen };
    };
  },
  check(outputs) {
    for (const [i, output] of outputs.entries()) {
      const peer = outputs[1 - i]!['chosen'] as Uint8Array;
      if ((output['k1'] as Uint8Array).some((byte, at) => byte !== peer[at])) wrong('a set-up');
    }
  },
};

await benchTask(task, import.meta.url);
