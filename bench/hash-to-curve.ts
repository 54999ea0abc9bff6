// The parts of one exponentiation of the ECDH join: expand_message_xmd, hash to the curve, X25519;
// CPU time of one thread, as `openssl speed` measures X25519 in the same run.
import { equalBytes, utf8 } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { countOnCurve } from '../src/kernels/curve25519/index.ts';
import { encodeToCurve, expandMessages } from '../src/protocols/psi/hash-to-curve.ts';
import { POINT_BYTES } from '../src/protocols/psi/types.ts';
import { importScalar, randomScalar, x25519 } from '../src/protocols/psi/x25519.ts';
import { wrong } from './kit/check.ts';
import { benchLocal } from './kit/local.ts';
import { opensslX25519 } from './kit/openssl.ts';
import { round3 } from './kit/stats.ts';

const DST = utf8('PARLEY-BENCH-curve25519_XMD:SHA-512_ELL2_NU_-and-a-24-byte-session-');

const againstOpenssl = (perSecond: number): { ratio_to_openssl: number | null } => {
  const baseline = opensslX25519();
  return { ratio_to_openssl: baseline === null ? null : round3(perSecond / baseline) };
};

benchLocal({
  name: 'hash-to-curve',
  unit: 'point',
  n: [1024, 16_384],
  cases(n) {
    const items = { data: systemRng(n * POINT_BYTES), each: POINT_BYTES };
    const points = encodeToCurve(n, items, DST);
    const scalar = importScalar(randomScalar(systemRng));
    const multiply = (from: Uint8Array): Uint8Array[] =>
      Array.from(
        { length: n },
        (_, i) =>
          x25519(scalar, from.subarray(32 * i, 32 * i + 32)) ?? wrong('a point of low order'),
      );
    const products = multiply(points);
    const same = (result: unknown): void => {
      const made = result as Uint8Array[];
      if (!made.every((one, i) => equalBytes(one, products[i]!))) wrong('a product');
    };
    return [
      {
        name: 'expand-message',
        n,
        work: () => expandMessages(n, items, DST, 48),
        check: (out) => {
          if ((out as Uint8Array).length !== 48 * n) wrong('a digest');
        },
      },
      {
        name: 'hash-to-curve',
        n,
        work: () => encodeToCurve(n, items, DST),
        check: (out) => {
          if (countOnCurve(out as Uint8Array) !== n) wrong('a point left the curve');
        },
      },
      {
        name: 'check-on-curve',
        n,
        work: () => countOnCurve(points),
        check: (count) => {
          if (count !== n) wrong('a point left the curve');
        },
      },
      { name: 'x25519', n, work: () => multiply(points), check: same, more: againstOpenssl },
      {
        name: 'hash-and-x25519',
        n,
        work: () => multiply(encodeToCurve(n, items, DST)),
        check: same,
        more: againstOpenssl,
      },
    ];
  },
});
