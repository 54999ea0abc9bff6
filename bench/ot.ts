// Oblivious transfer, both parties in one process and thread over an in-memory link: no network
// time, and the time of an OT is the sum of both ends. Base OTs are timed on their own line and
// are in no other. Every result is checked outside the timer. Times only mean something on an
// idle machine.
import { cpus } from 'node:os';
import { systemRng } from '../src/core/rng.ts';
import {
  createOtPair,
  createTriples,
  type BitOtPair,
  type FieldBits,
} from '../src/protocols/ot/index.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import { memoryLink, type Frame } from '../test/support/memory-channel.ts';

const N = 1 << 20;
const RUNS = 5;

let bytes = 0;

function count(frame: Frame): Frame {
  bytes += frame.bytes.length;
  return frame;
}

async function setUp(k: FieldBits): Promise<[BitOtPair, BitOtPair]> {
  const { ends } = memoryLink(count, 'bench', false);
  const sessionId = systemRng(32);
  const end = (party: 0 | 1): Promise<BitOtPair> =>
    createOtPair({ channel: ends[party], party, k, sessionId, rng: systemRng });
  return Promise.all([end(0), end(1)]);
}

/** One dropped run, then `runs`; `work` returns a check that throws when the answer is wrong. */
async function measure(
  bench: string,
  k: FieldBits,
  n: number,
  work: () => Promise<() => void>,
  runs = RUNS,
): Promise<void> {
  const ms: number[] = [];
  const cpuNs: number[] = [];
  for (let run = 0; run <= runs; run++) {
    bytes = 0;
    const start = performance.now();
    const cpu = process.cpuUsage();
    const check = await work();
    const { user, system } = process.cpuUsage(cpu);
    if (run > 0) {
      ms.push(performance.now() - start);
      cpuNs.push(((user + system) * 1e3) / n / 2);
    }
    check();
  }
  ms.sort((a, b) => a - b);
  cpuNs.sort((a, b) => a - b);
  const median = ms[ms.length >> 1]!;
  const line = {
    bench,
    k,
    n,
    ms_median: Math.round(median),
    ms_min: Math.round(ms[0]!),
    ms_max: Math.round(ms.at(-1)!),
    cpu_ns_each_per_end: Math.round(cpuNs[cpuNs.length >> 1]!),
    per_second: Math.round((n * 1e3) / median),
    bytes_each: Math.round((bytes / n) * 100) / 100,
    runs,
  };
  console.log(JSON.stringify(line));
}

function bitOf(bits: Uint8Array, i: number): number {
  return (bits[i >> 3]! >> (i & 7)) & 1;
}

function fail(what: string): never {
  throw new Error(`wrong answer: ${what}`);
}

console.log(
  JSON.stringify({
    bench: 'ot',
    node: process.version,
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
  }),
);
for (const k of [2, 4] as const) {
  let pair: [BitOtPair, BitOtPair] | undefined;
  const setUpOnce = async (): Promise<() => void> => {
    pair = await setUp(k);
    return () => undefined;
  };
  await measure('ot.setup', k, 1, setUpOnce, 1);
  const [first, second] = pair ?? fail('no pair');

  const choices = systemRng(bitBytes(N));
  await measure('ot.random', k, N, async () => {
    const [keys, chosen] = await Promise.all([
      first.sender.random(N),
      second.receiver.random(choices, N),
    ]);
    return () => {
      for (let at = 0; at < chosen.length; at++) {
        const key = bitOf(choices, at >> 4) === 1 ? keys.k1 : keys.k0;
        if (key[at] !== chosen[at]) fail('random OT');
      }
    };
  });

  const delta = new Uint8Array(N).fill(2);
  await measure('ot.ring6', k, N, async () => {
    const [x, y] = await Promise.all([
      first.sender.correlatedRing6(delta, N),
      second.receiver.correlatedRing6(choices, N),
    ]);
    return () => {
      for (let i = 0; i < N; i++) {
        if (((x[i]! + y[i]!) & 63) !== 2 * bitOf(choices, i)) fail('six-bit correlation');
      }
    };
  });

  await measure('ot.triples', k, N, async () => {
    const [x, y] = await Promise.all([
      createTriples(first, N, systemRng),
      createTriples(second, N, systemRng),
    ]);
    return () => {
      for (let i = 0; i < x.a.length; i++) {
        if (((x.a[i]! ^ y.a[i]!) & (x.b[i]! ^ y.b[i]!)) !== (x.c[i]! ^ y.c[i]!)) fail('triple');
      }
    };
  });
}
