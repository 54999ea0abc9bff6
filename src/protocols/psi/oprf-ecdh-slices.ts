import { Redacted } from '../../core/redacted.ts';
import { countOnCurve, ELEMENT_BYTES } from '../../kernels/curve25519/index.ts';
import { sessionHashes } from './oprf-ecdh-steps.ts';
import { x25519Each } from './x25519.ts';

/**
 * Some points of a run of the ECDH OPRF and one step of it: all its curve work is cut into these. A
 * plain value, so that it can be handed to another thread; as secret as what it holds.
 */
export interface Slice {
  /**
   * `blind`: the receiver's points to H1(x)^scalar. `evaluate`: received elements to the power.
   * `unblind`: received elements to keys of the receiver's points. `own`: the sender's points to
   * keys.
   */
  readonly kind: 'blind' | 'evaluate' | 'unblind' | 'own';
  readonly label: Uint8Array;
  /** Of the channel. */
  readonly path: string;
  /** Clamped. */
  readonly scalar: Uint8Array;
  /** n·POINT_BYTES; none for `evaluate`. */
  readonly points: Uint8Array;
  /** n·ELEMENT_BYTES as received; none for `blind` and `own`. */
  readonly elements: Uint8Array;
}

/**
 * Works a slice off, on any thread: a function of its bytes.
 *
 * @returns n elements, or n keys for `unblind` and `own`; null when a received value is no element
 *   of the group, or a product has low order.
 */
export function workSlice(slice: Slice): Uint8Array | null {
  const { kind, label, path, scalar, points } = slice;
  const hashes = sessionHashes(label, path);
  const received = kind === 'evaluate' || kind === 'unblind';
  if (received && !areElements(slice.elements)) return null;
  const elements = received ? slice.elements : hashes.toCurve(points);
  const { us, zeros } = x25519Each(new Redacted(scalar), elements);
  if (zeros > 0) return null;
  return kind === 'unblind' || kind === 'own' ? hashes.toKeys(points, us) : us;
}

/** Every value below p and on the curve. */
function areElements(elements: Uint8Array): boolean {
  return countOnCurve(elements) === elements.length / ELEMENT_BYTES;
}
