import { hash } from 'node:crypto';
import { concat, u32be } from '../../src/core/bytes.ts';
import { expect } from '../../src/core/errors.ts';
import { KEY_BYTES, POINT_BYTES, type Oprf } from '../../src/protocols/psi/types.ts';

/**
 * The ideal OPRF functionality within one process: F is a random function, here SHA-256 under a key
 * neither half sees, of the point or of bin and point. It moves no bytes, so tests of upper layers
 * see only their own.
 */
export function idealOprf(key: Uint8Array, perBin = false): Oprf {
  const evaluate = (points: Uint8Array, binOf: (i: number) => number): Uint8Array => {
    const n = points.length / POINT_BYTES;
    expect(Number.isInteger(n), 'whole points');
    const out = new Uint8Array(n * KEY_BYTES);
    for (let i = 0; i < n; i++) {
      const point = points.subarray(POINT_BYTES * i, POINT_BYTES * (i + 1));
      const input = perBin ? concat([u32be(binOf(i)), point]) : point;
      out.set(idealF(key, input), KEY_BYTES * i);
    }
    return out;
  };
  return {
    perBin,
    receive: async (_channel, points) => evaluate(points, (bin) => bin),
    send: async (_channel, _receiverCount, points, bins) => evaluate(points, (i) => bins[i]!),
  };
}

/** The random function: 16 bytes for any input. */
export function idealF(key: Uint8Array, input: Uint8Array): Uint8Array {
  return hash('sha256', concat([key, input]), 'buffer').subarray(0, KEY_BYTES);
}
