import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js';
import { expect, ParleyError } from '../../core/errors.ts';

/** An element of ristretto255 (RFC 9496). */
export type Element = InstanceType<typeof ristretto255.Point>;

/** Bytes of an encoded element. */
export const ELEMENT_BYTES = 32;

/** Uniform bytes that give one scalar or one element with no measurable bias. */
export const WIDE_BYTES = 64;

const ORDER = ristretto255.Point.Fn.ORDER;

/**
 * Decodes strictly (RFC 9496 section 4.3.1) and refuses the identity.
 * @throws ParleyError PEER_BAD_ENCODING, naming `step`.
 */
export function decodeElement(bytes: Uint8Array, step: string): Element {
  let element: Element | undefined;
  try {
    element = ristretto255.Point.fromBytes(bytes);
  } catch {
    // Reported below; the library's text names the bytes.
  }
  if (element === undefined || element.is0()) {
    throw new ParleyError('PEER_BAD_ENCODING', 'the peer sent bytes that are no group element', {
      step,
    });
  }
  return element;
}

/** 64 uniform bytes modulo the group order; zero, a 2^-252 event, is refused. */
export function scalarOf(wide: Uint8Array): bigint {
  expect(wide.length === WIDE_BYTES, 'a scalar is reduced from 64 bytes');
  const hex = Buffer.from(wide.toReversed()).toString('hex');
  const scalar = BigInt(`0x${hex}`) % ORDER;
  expect(scalar !== 0n, 'a random scalar is not zero');
  return scalar;
}

/** An element whose discrete logarithm nobody knows (RFC 9496 section 4.3.4). */
export function elementOf(wide: Uint8Array): Element {
  expect(wide.length === WIDE_BYTES, 'an element is derived from 64 bytes');
  return ristretto255_hasher.deriveToCurve!(wide);
}

/** scalar·G. */
export function generate(scalar: bigint): Element {
  return ristretto255.Point.BASE.multiply(scalar);
}
