import type { TeeType } from '../../policy/index.ts';
import type { Binding } from '../binding.ts';
import type { EvidenceOf } from '../verify/index.ts';

/** Makes evidence about the process it runs in (RFC 9334: the attesting environment). */
export interface Attester<T extends TeeType> {
  readonly tee: T;
  /**
   * @throws ParleyError ATTESTER_UNAVAILABLE when this machine cannot make such evidence;
   *   ATTESTER_INTERFERED when something else touched it while it was made.
   */
  attest(binding: Binding): Promise<EvidenceOf<T>>;
}

/** An attester of whichever type. */
export type AnyAttester = { readonly [T in TeeType]: Attester<T> }[TeeType];
