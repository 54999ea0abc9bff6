import { z } from 'zod';
import { ParleyError } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { signDocument, verifyDocument } from '../policy/signing.ts';
import type { Policy } from '../policy/types.ts';
import { HEADS_MAX, PROOF_STEPS_MAX } from './limits.ts';
import { amount, digest, name, queryId, signed } from './schemas.ts';
import type { Signed } from './types.ts';

/** A party's ledger up to one entry. Signed by the party; two of one number and other hashes are a fork. */
export interface LedgerHead {
  readonly version: 1;
  readonly room: string;
  readonly party: string;
  /** Of the signer; a party that changes its key begins anew with everybody. */
  readonly identity_key: string;
  /** Entries up to here: the number of the last one, from 1. */
  readonly seq: number;
  readonly hash: string;
}
export type SignedHead = Signed<LedgerHead>;

/** Amounts as `num/den`. */
export interface Amounts {
  readonly epsilon: string;
  readonly delta: string;
  readonly rho: string;
}

/** What a party says of its ledger and of another's before a run. */
export interface PeerMemory {
  readonly party: string;
  /** Heads of that party, kept since their runs, of which none was shown to continue another. */
  readonly heads: readonly SignedHead[];
  /** What the speaker has reserved under this policy for queries with that party. */
  readonly shared: Amounts;
}

/** Before anything is reserved. Signed by the party. */
export interface LedgerStatement {
  readonly version: 1;
  readonly room: string;
  readonly policy_digest: string;
  readonly query_id: string;
  readonly party: string;
  readonly head: SignedHead;
  readonly seen: readonly PeerMemory[];
}
export type SignedStatement = Signed<LedgerStatement>;

/** That entry `from` is in the chain of a later head; `steps` lead from the entry to the head. */
export interface ChainProof {
  readonly from: number;
  /** Each 64 bytes as hex: the other link of the next entry on the way, then that entry's digest. */
  readonly steps: readonly string[];
}

/** A party's head after its reservation, shown to continue every head that others keep of it. */
export interface LedgerExtension {
  readonly head: SignedHead;
  readonly proofs: readonly ChainProof[];
}

const DOMAIN = {
  head: 'parley/ledger-head/v1',
  statement: 'parley/ledger-statement/v1',
} as const;

const seq = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

export const signedHeadSchema: z.ZodType<SignedHead> = signed(
  z.strictObject({
    version: z.literal(1),
    room: name,
    party: name,
    identity_key: z.string().max(64),
    seq,
    hash: digest,
  }),
);

const amounts = z.strictObject({ epsilon: amount, delta: amount, rho: amount });

export const signedStatementSchema: z.ZodType<SignedStatement> = signed(
  z.strictObject({
    version: z.literal(1),
    room: name,
    policy_digest: digest,
    query_id: queryId,
    party: name,
    head: signedHeadSchema,
    seen: z
      .array(
        z.strictObject({
          party: name,
          heads: z.array(signedHeadSchema).max(HEADS_MAX),
          shared: amounts,
        }),
      )
      .max(8),
  }),
);

export const ledgerExtensionSchema: z.ZodType<LedgerExtension> = z.strictObject({
  head: signedHeadSchema,
  proofs: z
    .array(
      z.strictObject({
        from: seq,
        steps: z.array(z.string().regex(/^[0-9a-f]{128}$/)).max(PROOF_STEPS_MAX),
      }),
    )
    .max(8 * HEADS_MAX),
});

/** Signs with the party's identity key. */
export function signHead(document: LedgerHead, privateKey: Redacted<Uint8Array>): SignedHead {
  return { document, signature: signDocument(DOMAIN.head, document, privateKey) };
}

/** True when a head carries the signature of the key it names. */
export function isSignedHead({ document, signature }: SignedHead): boolean {
  return verifyDocument(DOMAIN.head, document, document.identity_key, signature);
}

/** Signs with the party's identity key. */
export function signStatement(
  document: LedgerStatement,
  privateKey: Redacted<Uint8Array>,
): SignedStatement {
  return { document, signature: signDocument(DOMAIN.statement, document, privateKey) };
}

/**
 * Checks who states a ledger, for which query, and that its own head is its own.
 * @throws ParleyError GO_INVALID naming the party.
 */
export function verifyStatement(
  { document, signature }: SignedStatement,
  policy: Policy,
  expected: Pick<LedgerStatement, 'policy_digest' | 'query_id' | 'party'>,
): LedgerStatement {
  const { party } = expected;
  const key = policy.parties.find(({ name: known }) => known === party)?.identity_key ?? '';
  const refuse = (path: string): never => {
    throw new ParleyError('GO_INVALID', 'a party states its ledger in another form than agreed', {
      party,
      path,
    });
  };
  if (document.room !== policy.room) refuse('room');
  for (const field of ['policy_digest', 'query_id', 'party'] as const) {
    if (document[field] !== expected[field]) refuse(field);
  }
  if (!verifyDocument(DOMAIN.statement, document, key, signature)) refuse('signature');
  expectHeadOf(document.head, policy, party);
  return document;
}

/** @throws ParleyError GO_INVALID when a head is not this party's, in this room, under its key. */
export function expectHeadOf(head: SignedHead, policy: Policy, party: string): LedgerHead {
  const { document } = head;
  const key = policy.parties.find(({ name: known }) => known === party)?.identity_key;
  const own =
    document.room === policy.room && document.party === party && document.identity_key === key;
  if (own && isSignedHead(head)) return document;
  throw new ParleyError('GO_INVALID', 'a ledger head is not signed by the party it is of', {
    party,
    path: 'head',
  });
}
