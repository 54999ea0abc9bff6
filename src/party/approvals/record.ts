import { z } from 'zod';
import type { Redacted } from '../../core/redacted.ts';
import { digestOf, signDocument, verifyDocument } from '../../policy/index.ts';

/** SECURITY. No other signature of an identity key can be read as an approval. */
const DOMAIN = 'parley/approval/v1';

/** A data owner's consent to one plan of one analyst. Signed with its identity key. */
export interface Approval {
  readonly version: 1;
  readonly room: string;
  readonly policy_digest: string;
  readonly party: string;
  /** Names text, noise and epsilon alike: everything the plan says. */
  readonly plan_digest: string;
  readonly analyst: string;
  /** Runs it is good for; each draws fresh noise and pays its own price. */
  readonly runs: number;
  /** `2026-12-31T00:00:00.000Z`, or null for as long as the policy lasts. */
  readonly expires: string | null;
  /** 16 random bytes, hex: approving the same plan again is another approval. */
  readonly nonce: string;
}

export interface SignedApproval {
  readonly document: Approval;
  readonly signature: string;
}

/** AGREEMENT. Most runs of one approval. */
export const APPROVAL_RUNS_MAX = 1000;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);

export const signedApprovalSchema: z.ZodType<SignedApproval> = z.strictObject({
  document: z.strictObject({
    version: z.literal(1),
    room: name,
    policy_digest: digest,
    party: name,
    plan_digest: digest,
    analyst: name,
    runs: z.int().min(1).max(APPROVAL_RUNS_MAX),
    expires: z.iso.datetime({ precision: 3 }).nullable(),
    nonce: z.string().regex(/^[0-9a-f]{32}$/),
  }),
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});

export function signApproval(document: Approval, key: Redacted<Uint8Array>): SignedApproval {
  return { document, signature: signDocument(DOMAIN, document, key) };
}

/** True when the approval carries the signature of this identity key. */
export function isSignedBy({ document, signature }: SignedApproval, identityKey: string): boolean {
  return verifyDocument(DOMAIN, document, identityKey, signature);
}

/** Names an approval, its file and its uses. */
export function approvalId(document: Approval): string {
  return digestOf(DOMAIN, document);
}
