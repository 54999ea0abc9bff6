import { createHash } from 'node:crypto';
import { concat, fromHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { domainSeparated, parsePublicKey, type TeeType } from '../policy/index.ts';

/** AGREEMENT. Bytes of a party's nonce. */
export const NONCE_BYTES = 32;

/**
 * What one piece of evidence is bound to: the enclave's two keys, everybody's nonce, and the run.
 * Binding the type keeps evidence of one kind from standing in for another.
 */
export interface BindingClaims {
  readonly tee: TeeType;
  /** `ed25519:` key that signs the result. */
  readonly signing_key: string;
  /** `x25519:` key that inputs are sealed to. */
  readonly sealing_key: string;
  /** Party name to its nonce, 32 bytes of hex. */
  readonly nonces: Readonly<Record<string, string>>;
  /** Digests of the signed policy and of the plan, hex. */
  readonly policy: string;
  readonly plan: string;
  readonly session: string;
}

/** The forms the claims take in evidence of the several types. */
export interface Binding {
  /** SNP, TDX, SGX, simulated, and Nitro's user_data: 64 bytes, the whole field. */
  readonly reportData: Uint8Array;
  /** Nitro's nonce and a TPM quote's extraData, 32 bytes. */
  readonly nonce: Uint8Array;
  /** Nitro's public_key: the signing key as SPKI. */
  readonly publicKey: Uint8Array;
}

// RFC 8410 section 4: the DER before the 32 bytes of an Ed25519 key.
const ED25519_SPKI_PREFIX = fromHex('302a300506032b6570032100', 12);

/** @throws ParleyError REQUEST_MALFORMED for a signing key that is not usable. */
export function bindingOf(claims: BindingClaims): Binding {
  const bytes = domainSeparated('parley/tee-binding/v1', claims);
  const reportData = new Uint8Array(createHash('sha512').update(bytes).digest());
  const nonces = domainSeparated('parley/tee-nonces/v1', {
    nonces: claims.nonces,
    report_data: Buffer.from(reportData).toString('hex'),
  });
  return {
    reportData,
    nonce: new Uint8Array(createHash('sha256').update(nonces).digest()),
    publicKey: concat([ED25519_SPKI_PREFIX, parsePublicKey('ed25519', claims.signing_key)]),
  };
}

/**
 * Expects that the list holds this party's own nonce, and well-formed ones of the others.
 * @throws ParleyError EVIDENCE_NONCE.
 */
export function expectNonce(
  { nonces }: BindingClaims,
  own: { readonly party: string; readonly nonce: Uint8Array },
): void {
  const formed = Object.values(nonces).every((text) => /^[0-9a-f]{64}$/.test(text));
  const mine = Object.hasOwn(nonces, own.party) ? nonces[own.party] : undefined;
  const same = mine === Buffer.from(own.nonce).toString('hex');
  if (!formed || own.nonce.length !== NONCE_BYTES || !same) {
    throw new ParleyError('EVIDENCE_NONCE', 'evidence is not bound to this party’s nonce');
  }
}
