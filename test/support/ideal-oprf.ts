import { hash } from 'node:crypto';
import { concat } from '../../src/core/bytes.ts';
import { expect } from '../../src/core/errors.ts';
import { KEY_BYTES, POINT_BYTES, type Oprf } from '../../src/protocols/psi/types.ts';

/**
 * The ideal OPRF functionality within one process: F is a random function, here SHA-256 under a key
 * neither half sees. It moves no bytes, so tests of upper layers see only their own.
 */
export function idealOprf(key: Uint8Array): Oprf {
  const evaluate = (points: Uint8Array): Uint8Array => {
    expect(points.length % POINT_BYTES === 0, 'whole points');
    const out = new Uint8Array((points.length / POINT_BYTES) * KEY_BYTES);
    for (let at = 0, to = 0; at < points.length; at += POINT_BYTES, to += KEY_BYTES) {
      out.set(idealF(key, points.subarray(at, at + POINT_BYTES)), to);
    }
    return out;
  };
  return {
    receive: async (_channel, points) => evaluate(points),
    send: async (_channel, _receiverCount, points) => evaluate(points),
  };
}

/** The random function: 16 bytes for any input. */
export function idealF(key: Uint8Array, input: Uint8Array): Uint8Array {
  return hash('sha256', concat([key, input]), 'buffer').subarray(0, KEY_BYTES);
}
