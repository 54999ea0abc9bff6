// Both OPRFs of the join at `n` ids a side, as the join asks them: the receiver (party 0) a point per
// id (ecdh) or bin (kkrt), the sender three own points per id. Base OTs are not in it. Before them the
// parts of ECDH's exponentiations, a core's rates beside OpenSSL's.
import { equalBytes } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { binsFor } from '../src/protocols/psi/cuckoo.ts';
import { createKkrtOprf, ecdhOprf, type Oprf } from '../src/protocols/psi/index.ts';
import { POINT_BYTES } from '../src/protocols/psi/types.ts';
import { wrong } from './kit/check.ts';
import { reportCurve } from './kit/curve.ts';
import { benchTask, isProgram, parseOptions } from './kit/main.ts';
import { openReport } from './kit/report.ts';
import { openOtPair, peerChannel, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'oprf',
  unit: 'id',
  cases: ['ecdh', 'kkrt'],
  n: [1024, 65_536],
  k: [2, 4],
  runs: 3,
  // ECDH has no OTs, and beyond this takes minutes.
  skip: ({ case: kind, k, n }) => kind === 'ecdh' && (k !== 4 || n > 20_000),
  async open(end, { case: kind, k, n }) {
    const oprf: Oprf =
      kind === 'ecdh' ? ecdhOprf : createKkrtOprf({ pair: await openOtPair(end, k) });
    const count = kind === 'ecdh' ? n : binsFor(n);
    const bins = new Uint32Array(3 * n).map((_, i) => i % count);
    const channel = peerChannel(end);
    let at = 0;
    return async () => {
      const own = channel.sub(`${at++}`);
      return end.party === 0
        ? { keys: await oprf.receive(own, points(0, count), systemRng) }
        : { keys: await oprf.send(own, count, points(0, 3 * n), bins, systemRng) };
    };
  },
  check([mine, theirs]) {
    // The sender's first points are the receiver's.
    const [a, b] = [mine!['keys'] as Uint8Array, theirs!['keys'] as Uint8Array];
    const common = Math.min(a.length, b.length);
    if (!equalBytes(a.subarray(0, common), b.subarray(0, common))) wrong('the ends disagree');
  },
  more({ case: kind, n }, medianMs) {
    if (kind !== 'ecdh') return {};
    return { exponentiations_per_second: Math.round((6e3 * n) / medianMs) };
  },
};

/** The same at both parties: point i is number `first + i`. */
function points(first: number, count: number): Uint8Array {
  const out = new Uint8Array(count * POINT_BYTES);
  const view = new DataView(out.buffer);
  for (let i = 0; i < count; i += 1) view.setUint32(i * POINT_BYTES, first + i);
  return out;
}

if (isProgram(import.meta.url)) {
  const { json, lines } = parseOptions(task, process.argv.slice(2));
  const ecdh = lines.some((line) => line.case === 'ecdh');
  if (ecdh) reportCurve(openReport({ bench: 'hash-to-curve', json }));
}
await benchTask(task, import.meta.url);
