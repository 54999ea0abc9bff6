// The ECDH OPRF and its two parts: hash-to-curve (SHA-512 included) and X25519 (point import
// included), then the whole protocol with both parties in one process and one thread over an
// in-memory link: no network time, and a deployment's two parties overlap. Parts are in CPU time, as
// openssl speed is; the protocol in wall time. Timing only; the first run is dropped. Throws when the
// two ends disagree.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { equalBytes, utf8 } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { countOnCurve } from '../src/kernels/curve25519/index.ts';
import { encodeToCurve, expandMessages } from '../src/protocols/psi/hash-to-curve.ts';
import { ecdhOprf } from '../src/protocols/psi/oprf-ecdh.ts';
import { KEY_BYTES, POINT_BYTES } from '../src/protocols/psi/types.ts';
import { importScalar, randomScalar, x25519 } from '../src/protocols/psi/x25519.ts';
import { memoryLink, runBoth } from '../test/support/memory-channel.ts';

const RUNS = 5;
const BATCH = 1024;
const PROTOCOL_SIZES = [256, 2048] as const;

console.log(JSON.stringify({ bench: 'oprf', node: process.version, cpu: cpus()[0]?.model }));

const dst = utf8('PARLEY-BENCH-curve25519_XMD:SHA-512_ELL2_NU_-and-a-24-byte-session-');
const points = systemRng(BATCH * POINT_BYTES);
const items = { data: points, each: POINT_BYTES };
const us = encodeToCurve(BATCH, items, dst);
const scalar = importScalar(randomScalar(systemRng));

await report('expand_message_xmd', () => void expandMessages(BATCH, items, dst, 48));
await report('hash_to_curve', () => void encodeToCurve(BATCH, items, dst));
await report('check_on_curve', () => {
  if (countOnCurve(us) !== BATCH) throw new Error('a point left the curve');
});
const perSecond = await report('x25519', () => {
  for (let i = 0; i < BATCH; i++) x25519(scalar, us.subarray(32 * i, 32 * i + 32));
});
const openssl = opensslPerSecond();
if (openssl !== undefined) {
  const ratio = Math.round((100 * perSecond) / openssl) / 100;
  console.log(JSON.stringify({ part: 'openssl speed ecdhx25519', per_second: openssl, ratio }));
}

for (const n of PROTOCOL_SIZES) {
  // As in the join: the receiver asks once for each of n bins, the sender has three points an id.
  const [receiverPoints, m] = [systemRng(n * POINT_BYTES), 3 * n];
  const senderPoints = systemRng(m * POINT_BYTES);
  senderPoints.set(receiverPoints);
  let bytes = 0;
  const times = await timed(async () => {
    const link = memoryLink();
    const [mine, theirs] = await runBoth(
      link,
      (channel) => ecdhOprf.receive(channel, receiverPoints, systemRng),
      (channel) => ecdhOprf.send(channel, n, senderPoints, systemRng),
    );
    if (!equalBytes(mine, theirs.subarray(0, n * KEY_BYTES))) throw new Error('the ends disagree');
    bytes = link.frames.reduce((sum, f) => sum + f.bytes.length, 0);
  });
  const ids_per_second = Math.round((1e3 * n) / median(times));
  console.log(
    JSON.stringify({ n, m, ...spread(times), ids_per_second, bytes_per_id: bytes / n, runs: RUNS }),
  );
}

async function report(part: string, work: () => void): Promise<number> {
  const times = await timed(async () => work(), cpuMs);
  const cpu_us_median = Math.round((1e5 * median(times)) / BATCH) / 100;
  const per_second = Math.round((1e3 * BATCH) / median(times));
  console.log(JSON.stringify({ part, cpu_us_median, per_second, batch: BATCH, runs: RUNS }));
  return per_second;
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

/** What the system's OpenSSL reaches in two seconds, or undefined where there is none. */
function opensslPerSecond(): number | undefined {
  const done = spawnSync('openssl', ['speed', '-seconds', '2', 'ecdhx25519'], { encoding: 'utf8' });
  const found = /ecdh \(X25519\)\s+\S+s\s+([\d.]+)/.exec(done.stdout);
  return found?.[1] === undefined ? undefined : Math.round(Number(found[1]));
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function spread(times: readonly number[]): Record<string, number> {
  const round = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    ms_median: round(median(times)),
    ms_min: round(Math.min(...times)),
    ms_max: round(Math.max(...times)),
  };
}
