import { z } from 'zod';
import { ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { digestOf, signDocument, verifyDocument } from '../../policy/index.ts';
import type { Policy } from '../../policy/types.ts';
import type { Signed } from '../../records/index.ts';

/** AGREEMENT. The suite of goes for an enclave run; a go for shares is none for an enclave. */
export const TEE_SUITE = 'parley-tee/1 evidence=report-data-v1 seal=hpke-x25519 envelope=ed25519';

/** Whom a sealed answer of an enclave is from, where shares name their party. */
export const ENCLAVE_NAME = 'enclave';

const DOMAIN = {
  submission: 'parley/tee-submission/v1',
  authorisation: 'parley/tee-authorisation/v1',
  envelope: 'parley/tee-envelope/v1',
} as const;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);
const queryId = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/);
const key = z.string().max(64);
const run = {
  version: z.literal(1),
  room: name,
  policy_digest: digest,
  query_id: queryId,
};

export const teeSubmission = z.strictObject({
  ...run,
  analyst: name,
  sql: z.string().min(1).max(65_536),
  epsilon: z.string().max(64).nullable(),
  backend: z.literal('tee'),
});
/** What an analyst asks of an enclave: a document of its own, so that one for shares is none. */
export type TeeSubmission = z.output<typeof teeSubmission>;

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
});
/**
 * A party's consent that this very enclave runs this very plan once. It names the enclave by its
 * keys, which live in one process's memory: a copy of the code elsewhere has others.
 */
export type TeeAuthorisation = z.output<typeof teeAuthorisation>;

export const teeEnvelope = z.strictObject({
  ...run,
  plan_digest: digest,
  submission_digest: digest,
  session: digest,
  evidence_digest: digest,
  noise: z.record(z.string().max(64), z.json()),
  /** Ledger heads of every party before and after, as authorised. */
  ledgers: z.record(name, z.strictObject({ before: digest, after: digest })),
  /** SHA-256 over the sealed answer. */
  share_digest: digest,
  simulated: z.boolean(),
});
/** What an enclave says about the answer it sealed. Signed with the key its evidence binds. */
export type TeeEnvelope = Omit<z.output<typeof teeEnvelope>, 'noise'> & { readonly noise: object };

export function teeSubmissionDigest(document: TeeSubmission): string {
  return digestOf(DOMAIN.submission, document);
}

type Sign<T> = (document: T, privateKey: Redacted<Uint8Array>) => Signed<T>;

function signer<T>(domain: string): Sign<T> {
  return (document, privateKey) => ({
    document,
    signature: signDocument(domain, document, privateKey),
  });
}

/** With the analyst's signing key. */
export const signTeeSubmission = signer<TeeSubmission>(DOMAIN.submission);
/** With the party's identity key. */
export const signAuthorisation = signer<TeeAuthorisation>(DOMAIN.authorisation);
/** With the enclave's key. */
export const signEnvelope = signer<TeeEnvelope>(DOMAIN.envelope);

/** @throws ParleyError POLICY_MISMATCH, ANALYST_UNKNOWN, REQUEST_UNSIGNED. */
export function verifyTeeSubmission(
  { document, signature }: Signed<TeeSubmission>,
  policy: Policy,
  policyDigest: string,
): void {
  if (document.room !== policy.room || document.policy_digest !== policyDigest) {
    throw new ParleyError('POLICY_MISMATCH', 'the query was written for another policy');
  }
  const analyst = policy.analysts.find((a) => a.name === document.analyst);
  if (analyst === undefined) {
    throw new ParleyError('ANALYST_UNKNOWN', 'the policy names no such analyst');
  }
  if (!verifyDocument(DOMAIN.submission, document, analyst.signing_key, signature)) {
    throw new ParleyError('REQUEST_UNSIGNED', "the query does not carry the analyst's signature");
  }
}

/** The values an authorisation of `party` must state, all known to the one who checks. */
export type ExpectedAuthorisation = Omit<TeeAuthorisation, 'version'>;

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
