// Oblivious transfer in one direction, party 0 the sender. Base OTs are not in it (bench base-ot).
import { systemRng } from '../src/core/rng.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { benchTask } from './kit/main.ts';
import { openOtPair, type Output, type Task } from './kit/task.ts';
import { bitOf, wrong } from './kit/check.ts';

export const task: Task = {
  name: 'ot',
  unit: 'OT',
  cases: ['random', 'ring6', 'ring64'],
  n: [2 ** 20],
  k: [1, 2, 4, 8],
  async open(end, { case: kind, n, k }) {
    const { sender, receiver } = await openOtPair(end, k);
    const delta = { ring6: new Uint8Array(n).fill(2), ring64: new Uint8Array(8 * n).fill(2) };
    if (end.party === 0) {
      if (kind === 'random') return async () => ({ ...(await sender.random(n)) });
      if (kind === 'ring6') {
        return async () => ({ share: await sender.correlatedRing6(delta.ring6, n) });
      }
      return async () => ({ share: await sender.correlatedRing64(delta.ring64, n, 1) });
    }
    const choices = systemRng(bitBytes(n));
    const share = (): Promise<Uint8Array> => {
      if (kind === 'random') return receiver.random(choices, n);
      if (kind === 'ring6') return receiver.correlatedRing6(choices, n);
      return receiver.correlatedRing64(choices, n, 1);
    };
    return async () => ({ choices, share: await share() });
  },
  check([sent, got], { case: kind, n }) {
    const { choices, share } = got as Record<'choices' | 'share', Uint8Array>;
    if (kind === 'random') checkRandom(sent!, choices, share);
    else if (kind === 'ring6') {
      const own = sent!['share'] as Uint8Array;
      for (let i = 0; i < n; i++) {
        if (((own[i]! + share[i]!) & 63) !== 2 * bitOf(choices, i)) wrong('a six-bit correlation');
      }
    } else {
      const [x, y] = [sent!['share'] as Uint8Array, share].map(
        (bytes) => new BigUint64Array(bytes.buffer, bytes.byteOffset, n),
      ) as [BigUint64Array, BigUint64Array];
      const delta = 0x0202_0202_0202_0202n;
      for (let i = 0; i < n; i += 61) {
        if (BigInt.asUintN(64, x[i]! + y[i]!) !== delta * BigInt(bitOf(choices, i))) {
          wrong('a 64-bit correlation');
        }
      }
    }
  },
};

function checkRandom(sent: Output, choices: Uint8Array, chosen: Uint8Array): void {
  const { k0, k1 } = sent as Record<'k0' | 'k1', Uint8Array>;
  for (let at = 0; at < chosen.length; at++) {
    if ((bitOf(choices, at >> 4) === 1 ? k1 : k0)[at] !== chosen[at]) wrong('a random OT');
  }
}

await benchTask(task, import.meta.url);
