// Both OPRFs of the join, `--n` ids a side (repeat or separate by commas), both ends in one process and
// one thread over an in-memory link: no network time, and a deployment's two ends overlap. ECDH's
// parts are in CPU time, as openssl speed is; protocols in wall time. The first run of each is dropped.
// Throws when the two ends disagree.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { equalBytes, utf8 } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { countOnCurve } from '../src/kernels/curve25519/index.ts';
import { createOtPair } from '../src/protocols/ot/index.ts';
import type { OtPair } from '../src/protocols/ot/types.ts';
import { binsFor } from '../src/protocols/psi/cuckoo.ts';
import { encodeToCurve, expandMessages } from '../src/protocols/psi/hash-to-curve.ts';
import { createKkrtOprf, ecdhOprf, type Oprf } from '../src/protocols/psi/index.ts';
import { POINT_BYTES } from '../src/protocols/psi/types.ts';
import { importScalar, randomScalar, x25519 } from '../src/protocols/psi/x25519.ts';
import { memoryLink, runBoth } from '../test/support/memory-channel.ts';

const BATCH = 1024;
const RUNS = 5;

const { values: options } = parseArgs({
  options: {
    n: { type: 'string', multiple: true, default: ['1024'] },
    oprf: { type: 'string', multiple: true, default: ['ecdh', 'kkrt'] },
  },
});
const sizes = options.n.flatMap((list) => list.split(',')).map(Number);

console.log(JSON.stringify({ bench: 'oprf', node: process.version, cpu: cpus()[0]?.model }));
const baseline = opensslPerSecond();
if (options.oprf.includes('ecdh')) {
  await benchParts();
  for (const n of sizes) await benchEcdh(n);
}
if (options.oprf.includes('kkrt')) {
  const [pairs, baseMs] = await setUpPairs();
  console.log(JSON.stringify({ part: 'base_ots_both_directions', wall_ms: round(baseMs) }));
  for (const n of sizes) await benchKkrt(n, pairs);
}

/** The parts of one exponentiation with its hash to the curve, against OpenSSL's X25519. */
async function benchParts(): Promise<void> {
  const dst = utf8('PARLEY-BENCH-curve25519_XMD:SHA-512_ELL2_NU_-and-a-24-byte-session-');
  const items = { data: systemRng(BATCH * POINT_BYTES), each: POINT_BYTES };
  const us = encodeToCurve(BATCH, items, dst);
  const scalar = importScalar(randomScalar(systemRng));
  const multiply = (from: Uint8Array): void => {
    for (let i = 0; i < BATCH; i++) x25519(scalar, from.subarray(32 * i, 32 * i + 32));
  };
  await part('expand_message_xmd', () => void expandMessages(BATCH, items, dst, 48));
  await part('hash_to_curve', () => void encodeToCurve(BATCH, items, dst));
  await part('check_on_curve', () => {
    if (countOnCurve(us) !== BATCH) throw new Error('a point left the curve');
  });
  if (baseline !== undefined) {
    console.log(JSON.stringify({ part: 'openssl speed ecdhx25519', per_second: baseline }));
  }
  await part('x25519', () => multiply(us), baseline);
  await part(
    'hash_to_curve_and_x25519',
    () => multiply(encodeToCurve(BATCH, items, dst)),
    baseline,
  );
}

async function part(name: string, work: () => void, against?: number): Promise<void> {
  const times = await timed(async () => work(), cpuMs);
  const perSecond = (1e3 * BATCH) / median(times);
  const ratio = against === undefined ? {} : { ratio_to_openssl: round(perSecond / against) };
  const cpu_us = round((1e3 * median(times)) / BATCH);
  const line = { part: name, batch: BATCH, runs: RUNS, cpu_us, per_second: Math.round(perSecond) };
  console.log(JSON.stringify({ ...line, ...ratio }));
}

/** As in the join: one point per id, three own points per id. */
async function benchEcdh(n: number): Promise<void> {
  const asked = systemRng(n * POINT_BYTES);
  const own = systemRng(3 * n * POINT_BYTES);
  own.set(asked);
  const bins = new Uint32Array(3 * n);
  const run = await protocol([ecdhOprf, ecdhOprf], asked, own, bins);
  const exponentiations = 6 * n;
  const perSecond = (1e3 * exponentiations) / median(run.times);
  const ratio = baseline === undefined ? {} : { ratio_to_openssl: round(perSecond / baseline) };
  report('ecdh', n, run, {
    exponentiations,
    exponentiations_per_second: Math.round(perSecond),
    ...ratio,
  });
}

/** As in the join: one point per bin, three own points per id at bins of the table. */
async function benchKkrt(n: number, pairs: readonly [OtPair, OtPair]): Promise<void> {
  const bins = binsFor(n);
  const asked = systemRng(bins * POINT_BYTES);
  const own = systemRng(3 * n * POINT_BYTES);
  const first = Math.min(bins, 3 * n);
  own.set(asked.subarray(0, first * POINT_BYTES));
  const at = new Uint32Array(3 * n).map((_, i) => i % bins);
  const ends = pairs.map((pair) => createKkrtOprf({ pair })) as [Oprf, Oprf];
  const run = await protocol(ends, asked, own, at);
  report('kkrt', n, run, { bins, us_per_id_both_ends: round((1e3 * median(run.times)) / n) });
}

interface Run {
  readonly times: readonly number[];
  /** Bytes from the receiver and from the sender on the OPRF's own stream. */
  readonly bytes: readonly [number, number];
}

/** The sender's first own points are the receiver's: their keys must be equal. */
async function protocol(
  [receiver, sender]: readonly [Oprf, Oprf],
  asked: Uint8Array,
  own: Uint8Array,
  bins: Uint32Array,
): Promise<Run> {
  const count = asked.length / POINT_BYTES;
  let bytes: [number, number] = [0, 0];
  const times = await timed(async () => {
    bytes = [0, 0];
    const tally = memoryLink(
      (frame) => {
        bytes[frame.from] += frame.bytes.length;
        return frame;
      },
      'bench',
      false,
    );
    const [mine, theirs] = await runBoth(
      tally,
      (channel) => receiver.receive(channel, asked, systemRng),
      (channel) => sender.send(channel, count, own, bins, systemRng),
    );
    const common = Math.min(mine.length, theirs.length);
    if (!equalBytes(mine.subarray(0, common), theirs.subarray(0, common))) {
      throw new Error('the ends disagree');
    }
  });
  return { times, bytes };
}

function report(oprf: string, n: number, run: Run, more: object): void {
  const [median_ms, min_ms, max_ms] = [
    median(run.times),
    Math.min(...run.times),
    Math.max(...run.times),
  ].map(round);
  const ids_per_second = Math.round((1e3 * n) / median(run.times));
  const [bytes_from_receiver, bytes_from_sender] = run.bytes;
  const line = {
    oprf,
    n,
    own_points: 3 * n,
    runs: RUNS,
    median_ms,
    min_ms,
    max_ms,
    ids_per_second,
  };
  console.log(JSON.stringify({ ...line, ...more, bytes_from_receiver, bytes_from_sender }));
}

async function setUpPairs(): Promise<[readonly [OtPair, OtPair], number]> {
  const started = performance.now();
  const sessionId = systemRng(32);
  const common = { k: 4, sessionId, rng: systemRng } as const;
  const pairs = await runBoth(
    memoryLink((frame) => frame, 'bench', false),
    (channel) => createOtPair({ ...common, channel, party: 0 }),
    (channel) => createOtPair({ ...common, channel, party: 1 }),
  );
  return [pairs, performance.now() - started];
}

function cpuMs(): number {
  return process.cpuUsage().user / 1e3;
}

async function timed(
  work: () => Promise<void>,
  clock: () => number = () => performance.now(),
): Promise<readonly number[]> {
  const times: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const started = clock();
    await work();
    if (run > 0) times.push(clock() - started);
  }
  return times;
}

/** What the system's OpenSSL reaches in a second, or undefined where there is none. */
function opensslPerSecond(): number | undefined {
  const done = spawnSync('openssl', ['speed', '-seconds', '1', 'ecdhx25519'], { encoding: 'utf8' });
  const found = /ecdh \(X25519\)\s+\S+s\s+([\d.]+)/.exec(done.stdout);
  return found?.[1] === undefined ? undefined : Math.round(Number(found[1]));
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}
