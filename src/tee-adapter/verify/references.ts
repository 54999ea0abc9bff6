import { equalBytes, toHex } from '../../core/bytes.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { TeePolicy, TeeReference, TeeType } from '../../policy/index.ts';
import { check, refuse } from './refuse.ts';

const DAY_MS = 86_400_000;

/**
 * The reference values for a type of evidence.
 * @throws ParleyError EVIDENCE_SIMULATED or EVIDENCE_TYPE when the policy does not name the type;
 *   REFERENCE_EXPIRED after its last day.
 */
export function referenceFor<T extends TeeType>(
  policy: TeePolicy,
  tee: T,
  nowMs: number,
): Extract<TeeReference, { readonly type: T }> {
  const found = policy.references.find(({ type }) => type === tee);
  if (found === undefined) {
    refuse(
      tee === 'simulated' ? 'EVIDENCE_SIMULATED' : 'EVIDENCE_TYPE',
      'the policy names no enclave of this type',
    );
  }
  expectCurrent(found, nowMs);
  return found as Extract<TeeReference, { readonly type: T }>;
}

/** @throws ParleyError REFERENCE_EXPIRED, REFERENCE_MISSING. */
export function expectCurrent({ not_after }: TeeReference, nowMs: number): void {
  // A value without an end date never reached the schema; it is missing, not endless.
  const endMs = Date.parse(`${not_after}T00:00:00Z`) + DAY_MS;
  check(Number.isFinite(endMs), 'REFERENCE_MISSING', 'a reference value has no last day');
  check(nowMs < endMs, 'REFERENCE_EXPIRED', 'the reference values have expired');
}

/** @throws ParleyError REFERENCE_MISSING for an empty or absent list. */
export function expectSome(list: readonly unknown[] | undefined): void {
  check((list?.length ?? 0) > 0, 'REFERENCE_MISSING', 'a list of reference values is empty');
}

/**
 * Expects one of the accepted values.
 * @throws ParleyError REFERENCE_MISSING for an empty list; REFERENCE_INVALID for a value of zeros,
 *   which debug modes report; `code` when none is equal.
 */
export function expectOneOf(
  accepted: readonly string[] | undefined,
  actual: Uint8Array,
  code: ErrorCode,
): void {
  expectSome(accepted);
  const nothing = accepted!.some((value) => /^0*$/.test(value));
  check(!nothing, 'REFERENCE_INVALID', 'a reference value is the measurement of a debug mode');
  check(accepted!.includes(toHex(actual)), code, 'a measurement is none of the reference values');
}

/** @throws ParleyError REFERENCE_INVALID unless exactly `length` bytes; `EVIDENCE_BINDING`. */
export function expectBound(actual: Uint8Array, expected: Uint8Array, length: number): void {
  check(expected.length === length, 'EVIDENCE_BINDING', 'a binding has another length');
  check(equalBytes(actual, expected), 'EVIDENCE_BINDING', 'evidence is bound to something else');
}
