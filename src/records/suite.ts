/** AGREEMENT. Names every protocol of a run; parties with different suites do not run together. */
export const SUITE =
  'parley/1 link=Noise_KK_25519_AESGCM_SHA256 ot=softspoken-4 oprf=ecdh okvs=rb-128 seal=hpke-x25519';
