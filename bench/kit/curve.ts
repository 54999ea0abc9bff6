import { equalBytes, utf8 } from '../../src/core/bytes.ts';
import { reveal, type Redacted } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { countOnCurve } from '../../src/kernels/curve25519/index.ts';
import { encodeToCurve, expandMessages } from '../../src/protocols/psi/hash-to-curve.ts';
import { POINT_BYTES } from '../../src/protocols/psi/types.ts';
import { randomScalar, x25519Each } from '../../src/protocols/psi/x25519.ts';
import { nodeX25519 } from '../../test/psi/node-x25519.ts';
import { wrong } from './check.ts';
import { opensslX25519 } from './openssl.ts';
import type { Report } from './report.ts';
import { round3, spreadOf } from './stats.ts';

const BATCH = 1024;
const ROUNDS = 5;
/** CPU time of one measurement of a part. */
const SPAN_MS = 1000;

/**
 * The parts of one exponentiation of the ECDH join with its hash to the curve. Rates are points a
 * second of CPU time of one thread; ratios compare with `openssl speed ecdhx25519` run just before,
 * in each of five rounds: median, least and greatest.
 */
export function reportCurve(report: Report): void {
  const dst = utf8('PARLEY-BENCH-curve25519_XMD:SHA-512_ELL2_NU_-and-a-24-byte-session-');
  const items = { data: systemRng(BATCH * POINT_BYTES), each: POINT_BYTES };
  const us = encodeToCurve(BATCH, items, dst);
  const scalar = randomScalar(systemRng);
  checkProducts(scalar, us);
  if (countOnCurve(us) !== BATCH) wrong('a point left the curve');
  const part = (name: string, work: () => void): void => {
    const rate = perSecond(work);
    report.line({
      case: name,
      unit: 'point',
      cpu_us: round3(1e6 / rate),
      per_second: Math.round(rate),
    });
  };
  part('expand-message', () => void expandMessages(BATCH, items, dst, 48));
  part('hash-to-curve', () => void encodeToCurve(BATCH, items, dst));
  part('check-on-curve', () => void countOnCurve(us));
  const rounds = Array.from({ length: ROUNDS }, () => ({
    openssl: opensslX25519(),
    plain: perSecond(() => void x25519Each(scalar, us)),
    hashed: perSecond(() => void x25519Each(scalar, encodeToCurve(BATCH, items, dst))),
  }));
  const baselines = rounds.flatMap(({ openssl }) => openssl ?? []);
  if (baselines.length > 0) {
    const openssl = Math.round(spreadOf(baselines).median);
    report.line({ case: 'openssl speed ecdhx25519', unit: 'point', per_second: openssl });
  }
  for (const [name, of] of [
    ['x25519', 'plain'],
    ['hash-and-x25519', 'hashed'],
  ] as const) {
    const rate = spreadOf(rounds.map((round) => round[of])).median;
    const ratios = rounds.flatMap(({ openssl, ...r }) => (openssl === null ? [] : r[of] / openssl));
    const ratio = ratios.length === 0 ? null : spreadOf(ratios);
    report.line({
      case: name,
      unit: 'point',
      cpu_us: round3(1e6 / rate),
      per_second: Math.round(rate),
      ratio_to_openssl: ratio === null ? null : round3(ratio.median),
      ratio_min: ratio === null ? null : round3(ratio.min),
      ratio_max: ratio === null ? null : round3(ratio.max),
    });
  }
}

/** Throws unless the kernel multiplies as node:crypto does. */
function checkProducts(scalar: Redacted<Uint8Array>, us: Uint8Array): void {
  const products = x25519Each(scalar, us).us;
  for (let at = 0; at < products.length; at += 32) {
    const want = nodeX25519(reveal(scalar), us.subarray(at, at + 32));
    if (want === null || !equalBytes(products.subarray(at, at + 32), want)) wrong('a product');
  }
}

/** Points per second of user time over SPAN_MS of it: what openssl speed counts. */
function perSecond(work: () => void): number {
  work();
  const cpuMs = (): number => process.cpuUsage().user / 1e3;
  const started = cpuMs();
  let batches = 0;
  let spent = 0;
  for (; spent < SPAN_MS; spent = cpuMs() - started) {
    work();
    batches += 1;
  }
  return (1e3 * BATCH * batches) / spent;
}
