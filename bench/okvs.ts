// RB-OKVS encode and decode, one thread, seed expansion included, OPRF not. Timing only; the first
// run is dropped. Throws when a value does not come back.
import { cpus } from 'node:os';
import { equalBytes } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { okvsDecode, okvsEncode, okvsShape } from '../src/kernels/okvs/index.ts';

const RUNS = 5;

console.log(JSON.stringify({ bench: 'okvs', node: process.version, cpu: cpus()[0]?.model }));
for (const [users, valueBytes] of [
  [1 << 12, 24],
  [1 << 14, 24],
  [1 << 16, 8],
  [1 << 16, 24],
  [1 << 16, 40],
] as const) {
  const n = 3 * users;
  const shape = okvsShape(n, valueBytes);
  const keys = systemRng(16 * n);
  const values = systemRng(valueBytes * n);
  const encodeMs: number[] = [];
  const decodeMs: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const started = performance.now();
    const okvs = okvsEncode(shape, keys, values, systemRng);
    const encoded = performance.now();
    const out = okvsDecode(shape, okvs, keys, n);
    const decoded = performance.now();
    if (!equalBytes(out, values)) throw new Error('a value did not come back');
    if (run === 0) continue;
    encodeMs.push(encoded - started);
    decodeMs.push(decoded - encoded);
  }
  console.log(
    JSON.stringify({
      keys: n,
      value_bytes: valueBytes,
      table_bytes: shape.rows * valueBytes,
      encode: spread(encodeMs),
      encode_ns_per_key: perKey(encodeMs, n),
      decode: spread(decodeMs),
      decode_ns_per_key: perKey(decodeMs, n),
      runs: RUNS,
    }),
  );
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function spread(times: readonly number[]): Record<string, number> {
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  return {
    ms_median: round(median(times)),
    ms_min: round(Math.min(...times)),
    ms_max: round(Math.max(...times)),
  };
}

function perKey(times: readonly number[], keys: number): number {
  return Math.round((median(times) * 1e6) / keys);
}
