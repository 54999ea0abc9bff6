import { z } from 'zod';
import { ParleyError } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { canonicalJson } from '../policy/canonical.ts';
import { signDocument, verifyDocument } from '../policy/signing.ts';
import type { Policy } from '../policy/types.ts';
import { EVIDENCE_BYTES_MAX, NOISE_BYTES_MAX } from './limits.ts';
import {
  digest,
  jsonObject,
  name,
  queryId,
  sealedShareSchema,
  signature,
  spent,
} from './schemas.ts';
import type { Json, SealedShare, Signed } from './types.ts';

/** Whom a sealed answer of an enclave is from, where shares name their party. */
export const ENCLAVE_NAME = 'enclave';

const DOMAIN = {
  authorisation: 'parley/tee-authorisation/v2',
  envelope: 'parley/tee-envelope/v2',
} as const;

const key = z.string().max(64);
const run = {
  version: z.literal(1),
  room: name,
  policy_digest: digest,
  query_id: queryId,
};

export const teeAuthorisation = z.strictObject({
  ...run,
  plan_digest: digest,
  submission_digest: digest,
  session: digest,
  party: name,
  ledger_before: digest,
  ledger_after: digest,
  nonce: digest,
  evidence_digest: digest,
  signing_key: key,
  sealing_key: key,
  spent,
  software: z.string().min(1).max(100),
});
/**
 * A party's consent that this very enclave runs this very plan once. It names the enclave by its
 * keys, which live in one process's memory: a copy of the code elsewhere has others.
 * `spent` is what its datasets have spent in all, this query included, as in a receipt.
 */
export type TeeAuthorisation = z.output<typeof teeAuthorisation>;

export const teeEnvelope = z.strictObject({
  ...run,
  plan_digest: digest,
  submission_digest: digest,
  session: digest,
  evidence_digest: digest,
  noise: jsonObject(NOISE_BYTES_MAX),
  /** Ledger heads of every party before and after, as authorised. */
  ledgers: z.record(name, z.strictObject({ before: digest, after: digest })),
  /** SHA-256 over the sealed answer. */
  share_digest: digest,
  /** To salt and answer, under the run and `enclave`; see commitment.ts. */
  share_commitment: digest,
  simulated: z.boolean(),
});
/** What an enclave says about the answer it sealed. Signed with the key its evidence binds. */
export type TeeEnvelope = Omit<z.output<typeof teeEnvelope>, 'noise'> & { readonly noise: object };

const evidence = z.custom<Json>((value) => {
  try {
    return canonicalJson(value).length <= EVIDENCE_BYTES_MAX;
  } catch {
    return false;
  }
}, 'expected JSON of at most 640 KiB');

/** What a freshly started enclave says of itself. Only its appraisal makes anything of it. */
export interface EnclaveGreeting {
  readonly signing_key: string;
  readonly sealing_key: string;
  /** Evidence as JSON; `tee-adapter` knows its forms. */
  readonly evidence: Json;
  /** Present, and shown by everything, when no hardware is involved. */
  readonly notice?: string;
}

export const greetingSchema: z.ZodType<EnclaveGreeting> = z.strictObject({
  signing_key: key,
  sealing_key: key,
  evidence,
  notice: z.string().max(256).exactOptional(),
});

/** What an enclave leaves behind: the answer, sealed to the analyst, and what it signed about it. */
export interface EnclaveOutcome {
  readonly envelope: Signed<TeeEnvelope>;
  readonly sealed: SealedShare;
}

export const signedAuthorisationSchema: z.ZodType<Signed<TeeAuthorisation>> = z.strictObject({
  document: teeAuthorisation,
  signature,
});
export const signedEnvelopeSchema: z.ZodType<Signed<TeeEnvelope>> = z.strictObject({
  document: teeEnvelope,
  signature,
});
export const outcomeSchema: z.ZodType<EnclaveOutcome> = z.strictObject({
  envelope: signedEnvelopeSchema,
  sealed: sealedShareSchema,
});

/** An enclave's part in the record of a query. Nothing in it is trusted unverified. */
export interface EnclaveRecord {
  readonly greeting: EnclaveGreeting;
  /** One of each party of the plan, once all have consented. */
  readonly authorisations: readonly Signed<TeeAuthorisation>[];
  readonly outcome: EnclaveOutcome | null;
}

export const enclaveRecordSchema: z.ZodType<EnclaveRecord> = z.strictObject({
  greeting: greetingSchema,
  authorisations: z.array(signedAuthorisationSchema).max(8),
  outcome: outcomeSchema.nullable(),
});

type Sign<T> = (document: T, privateKey: Redacted<Uint8Array>) => Signed<T>;

function signer<T>(domain: string): Sign<T> {
  return (document, privateKey) => ({
    document,
    signature: signDocument(domain, document, privateKey),
  });
}

/** With the party's identity key. */
export const signAuthorisation = signer<TeeAuthorisation>(DOMAIN.authorisation);
/** With the enclave's key. */
export const signEnvelope = signer<TeeEnvelope>(DOMAIN.envelope);

/** The values an authorisation of `party` must state, all known to the one who checks. */
export type ExpectedAuthorisation = Omit<TeeAuthorisation, 'version' | 'spent' | 'software'>;

/**
 * Expects one authorisation of each party of the run, each over exactly these values.
 * @throws ParleyError GO_INVALID naming the party and the field.
 */
export function expectAuthorised(
  signed: readonly Signed<TeeAuthorisation>[],
  expected: readonly ExpectedAuthorisation[],
  policy: Policy,
): void {
  for (const { document } of signed) {
    const { party } = document;
    if (signed.filter((one) => one.document.party === party).length !== 1) {
      throw new ParleyError('GO_INVALID', 'a party authorised the run twice', { party });
    }
    if (!expected.some((one) => one.party === party)) {
      throw new ParleyError('GO_INVALID', 'a party outside the plan authorised it', { party });
    }
  }
  for (const want of expected) {
    const { party } = want;
    const found = signed.find(({ document }) => document.party === party);
    const identity = policy.parties.find((p) => p.name === party)?.identity_key;
    if (found === undefined || identity === undefined) {
      throw new ParleyError('GO_INVALID', 'a party did not authorise the run', { party });
    }
    if (!verifyDocument(DOMAIN.authorisation, found.document, identity, found.signature)) {
      throw new ParleyError('GO_INVALID', 'an authorisation is not signed by its party', { party });
    }
    for (const [field, value] of Object.entries(want)) {
      if (found.document[field as keyof TeeAuthorisation] === value) continue;
      throw new ParleyError('GO_INVALID', 'an authorisation is for another run', {
        party,
        path: field,
      });
    }
  }
}

/** @throws ParleyError RECEIPT_INVALID unless the enclave's key signed the envelope. */
export function expectEnvelopeSigned(
  { document, signature }: Signed<TeeEnvelope>,
  signingKey: string,
): void {
  if (verifyDocument(DOMAIN.envelope, document, signingKey, signature)) return;
  throw new ParleyError('RECEIPT_INVALID', 'the envelope is not signed by the attested key');
}
