import type { Backend } from './types.ts';

/** AGREEMENT. Names every protocol of a run; parties with different suites do not run together. */
export const SUITE =
  'parley/5 link=Noise_KK_25519_AESGCM_SHA256 ot=softspoken okvs=rb-128 seal=hpke-x25519';

/** AGREEMENT. The suite of goes for an enclave run; a go for shares is none for an enclave. */
export const TEE_SUITE = 'parley-tee/2 evidence=report-data-v1 seal=hpke-x25519 envelope=ed25519';

/** What goes of a run on this backend name. */
export function suiteOf(backend: Backend): string {
  return backend === 'tee' ? TEE_SUITE : SUITE;
}
