/** AGREEMENT. Names every protocol of a run; parties with different suites do not run together. */
export const SUITE =
  'parley/4 link=Noise_KK_25519_AESGCM_SHA256 ot=softspoken okvs=rb-128 seal=hpke-x25519';
