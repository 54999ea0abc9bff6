// The join from raw identifiers to shared match bits, base OTs included: one worker thread per
// party, message ports between them. Throws when the opened match bits are not the intersection.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';

const { values: flags } = parseArgs({
  options: {
    n: { type: 'string', default: '10000,100000' },
    oprf: { type: 'string', default: 'ecdh,kkrt' },
    k: { type: 'string', default: '2' },
    runs: { type: 'string', default: '3' },
  },
});
const PARTY = new URL('./join-party.mjs', import.meta.url);

interface Half {
  readonly match: Uint8Array;
  readonly rows: number;
  readonly bytesSent: number;
}

/** Both halves from start to shares. */
async function join(n: number, oprf: string, k: number): Promise<{ ms: number; halves: Half[] }> {
  const { port1, port2 } = new MessageChannel();
  const workers = [port1, port2].map((port, party) => {
    const worker = new Worker(PARTY, {
      workerData: { party, n, oprf, k, port },
      transferList: [port],
    });
    const said = (name: string): Promise<{ half?: Half }> =>
      new Promise((resolve, reject) => {
        worker.on('message', (m: { kind: string; half?: Half }) => {
          if (m.kind === name) resolve(m);
        });
        worker.on('error', reject);
      });
    return { worker, ready: said('ready'), done: said('done') };
  });
  // Threads and modules are there, as in a node that waits for queries.
  await Promise.all(workers.map(({ ready }) => ready));
  const start = performance.now();
  for (const { worker } of workers) worker.postMessage('go');
  const halves = (await Promise.all(workers.map(({ done }) => done))).map(({ half }) => half!);
  const ms = performance.now() - start;
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
  return { ms, halves };
}

console.log(
  JSON.stringify({
    bench: 'join',
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
  }),
);
for (const oprf of flags.oprf.split(',')) {
  for (const n of flags.n.split(',').map(Number)) {
    // ECDH beyond this is minutes of exponentiations.
    if (oprf === 'ecdh' && n > 20_000 && flags.n.includes(',')) continue;
    const times: number[] = [];
    let bytes: number[] = [];
    for (let run = 0; run < Number(flags.runs); run += 1) {
      const { ms, halves } = await join(n, oprf, Number(flags.k));
      const [a, b] = halves as [Half, Half];
      let matched = 0;
      for (let row = 0; row < a.rows; row += 1) {
        matched += ((a.match[row >> 3]! ^ b.match[row >> 3]!) >> (row & 7)) & 1;
      }
      if (matched !== n / 2) throw new Error(`wrong answer: ${matched} of ${n / 2} match`);
      times.push(ms);
      bytes = halves.map((half) => half.bytesSent);
    }
    times.sort((x, y) => x - y);
    const median = times[times.length >> 1]!;
    console.log(
      JSON.stringify({
        bench: 'join',
        oprf,
        n,
        k: Number(flags.k),
        ms_median: Math.round(median),
        ms_min: Math.round(times[0]!),
        ms_max: Math.round(times.at(-1)!),
        ids_per_second: Math.round((1e3 * n) / median),
        bytes_sent: bytes,
        runs: times.length,
      }),
    );
  }
}
