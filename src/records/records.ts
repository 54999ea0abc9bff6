import { ParleyError, type ErrorCode } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { digestOf } from '../policy/canonical.ts';
import { policyDigest } from '../policy/packet.ts';
import { signDocument, verifyDocument } from '../policy/signing.ts';
import type { Policy } from '../policy/types.ts';
import type {
  Backend,
  DatasetCommitment,
  Go,
  Receipt,
  Replay,
  Signed,
  SignedGo,
  SignedReceipt,
  SignedReplay,
  SignedSubmission,
  Submission,
} from './types.ts';

/** Domains of the signatures: none of these can be read as another. */
const DOMAIN = {
  submission: 'parley/submission/v1',
  go: 'parley/go/v1',
  receipt: 'parley/receipt/v1',
  session: 'parley/session/v1',
  replay: 'parley/replay/v1',
} as const;

type PrivateKey = Redacted<Uint8Array>;

function signAs<T>(domain: string, document: T, privateKey: PrivateKey): Signed<T> {
  return { document, signature: signDocument(domain, document, privateKey) };
}

/** Signs with the analyst's signing key. */
export function signSubmission(document: Submission, privateKey: PrivateKey): SignedSubmission {
  return signAs(DOMAIN.submission, document, privateKey);
}

/** Signs with the party's identity key. */
export function signGo(document: Go, privateKey: PrivateKey): SignedGo {
  return signAs(DOMAIN.go, document, privateKey);
}

/** Signs with the party's identity key. */
export function signReceipt(document: Receipt, privateKey: PrivateKey): SignedReceipt {
  return signAs(DOMAIN.receipt, document, privateKey);
}

/** Signs with the party's identity key. */
export function signReplay(document: Replay, privateKey: PrivateKey): SignedReplay {
  return signAs(DOMAIN.replay, document, privateKey);
}

/** Names a submission in goes and receipts. The signature is not part of it. */
export function submissionDigest(document: Submission): string {
  return digestOf(DOMAIN.submission, document);
}

/**
 * Checks that a submission is for this policy, signed by an analyst the policy names, and for a
 * backend the policy allows.
 *
 * @throws ParleyError POLICY_MISMATCH (another room or policy), ANALYST_UNKNOWN, REQUEST_UNSIGNED,
 *   BACKEND_NOT_ALLOWED.
 */
export function verifySubmission(signed: SignedSubmission, policy: Policy): Submission {
  const { document, signature } = signed;
  if (document.room !== policy.room || document.policy_digest !== policyDigest(policy)) {
    throw new ParleyError('POLICY_MISMATCH', 'the query was written for another policy', {
      hint: "fetch the room's current policy packet and submit again",
    });
  }
  const analyst = policy.analysts.find((a) => a.name === document.analyst);
  if (analyst === undefined) {
    throw new ParleyError('ANALYST_UNKNOWN', 'the policy names no such analyst', {
      fragment: document.analyst,
    });
  }
  if (!verifyDocument(DOMAIN.submission, document, analyst.signing_key, signature)) {
    throw new ParleyError('REQUEST_UNSIGNED', "the query does not carry the analyst's signature");
  }
  expectBackend(document.backend, policy);
  return document;
}

/** @throws ParleyError BACKEND_NOT_ALLOWED unless `execution.backends` lists it. */
export function expectBackend(backend: Backend, policy: Policy): void {
  if (policy.execution.backends.includes(backend)) return;
  throw new ParleyError('BACKEND_NOT_ALLOWED', 'the policy does not run queries on this backend', {
    fragment: backend,
    path: 'execution.backends',
  });
}

function identityKeyOf(policy: Policy, party: string): string | undefined {
  return policy.parties.find((p) => p.name === party)?.identity_key;
}

function expectSignedByParty(
  domain: string,
  code: ErrorCode,
  signed: SignedGo | SignedReceipt | SignedReplay,
  policy: Policy,
): void {
  const { party } = signed.document;
  const key = identityKeyOf(policy, party);
  if (key === undefined) {
    throw new ParleyError(code, 'a record comes from a party the policy does not name', { party });
  }
  if (!verifyDocument(domain, signed.document, key, signed.signature)) {
    throw new ParleyError(code, 'a record does not carry the signature of its party', { party });
  }
}

/** @throws ParleyError GO_INVALID naming the party, when the go is not signed by it. */
export function verifyGo(signed: SignedGo, policy: Policy): Go {
  expectSignedByParty(DOMAIN.go, 'GO_INVALID', signed, policy);
  return signed.document;
}

/** @throws ParleyError RECEIPT_INVALID naming the party, when the receipt is not signed by it. */
export function verifyReceipt(signed: SignedReceipt, policy: Policy): Receipt {
  expectSignedByParty(DOMAIN.receipt, 'RECEIPT_INVALID', signed, policy);
  return signed.document;
}

/** @throws ParleyError RECEIPT_INVALID naming the party, when the statement is not signed by it. */
export function verifyReplay(signed: SignedReplay, policy: Policy): Replay {
  expectSignedByParty(DOMAIN.replay, 'RECEIPT_INVALID', signed, policy);
  return signed.document;
}

/**
 * What each party of a plan states in its go as its data.
 *
 * @param sides - the tables each party reads, in the plan's order.
 * @param gos - one of each party, checked by {@link sessionOf}.
 * @throws ParleyError GO_INVALID naming the party, when its go names other tables.
 */
export function datasetsOfGos(
  gos: readonly SignedGo[],
  sides: readonly { readonly party: string; readonly tables: readonly string[] }[],
): Readonly<Record<string, readonly DatasetCommitment[]>> {
  const stated = sides.map(({ party, tables }) => {
    const own = gos.find(({ document }) => document.party === party)?.document.datasets ?? [];
    const named = own.length === tables.length && own.every((d, i) => d.table === tables[i]);
    if (!named) {
      throw new ParleyError('GO_INVALID', "a go does not name the plan's data", {
        party,
        path: 'datasets',
      });
    }
    return [party, own] as const;
  });
  return Object.fromEntries(stated);
}

/** What the caller knows on its own about the run; each field given is compared with every go. */
export type ExpectedGo = Partial<
  Pick<Go, 'query_id' | 'plan_digest' | 'submission_digest' | 'suite'>
>;

const AGREED = [
  'room',
  'policy_digest',
  'query_id',
  'plan_digest',
  'submission_digest',
  'suite',
] as const satisfies readonly (keyof Go)[];

/**
 * Names one run: the digest over the goes of exactly the plan's parties, in policy order. Both
 * parties and the analyst derive it alone, so nobody can splice messages of two runs.
 *
 * @param parties - the parties of the plan.
 * @param expected - values the caller derived itself. Without them a coordinator could replay the
 *   goes of another query.
 * @returns 64 hex characters.
 * @throws ParleyError GO_INVALID naming the party: a missing, surplus or second go, a signature
 *   that does not verify, or a field that disagrees.
 */
export function sessionOf(
  gos: readonly SignedGo[],
  policy: Policy,
  parties: readonly string[],
  expected: ExpectedGo = {},
): string {
  const agreed: ExpectedGo & Pick<Go, 'room' | 'policy_digest'> = {
    ...expected,
    room: policy.room,
    policy_digest: policyDigest(policy),
  };
  for (const { document } of gos) {
    if (!parties.includes(document.party)) {
      throw new ParleyError('GO_INVALID', 'a party outside the plan sent a go', {
        party: document.party,
      });
    }
  }
  const inOrder = policy.parties.map((p) => p.name).filter((name) => parties.includes(name));
  const ordered = inOrder.map((party) => {
    const own = gos.filter((go) => go.document.party === party);
    const [go] = own;
    if (go === undefined || own.length !== 1) {
      throw new ParleyError('GO_INVALID', 'the plan needs one go of each of its parties', {
        party,
      });
    }
    verifyGo(go, policy);
    return go;
  });
  const first = ordered[0]?.document;
  for (const { document } of ordered) {
    for (const field of AGREED) {
      if (document[field] !== (agreed[field] ?? first?.[field])) {
        throw new ParleyError('GO_INVALID', 'the goes of the parties do not agree', {
          party: document.party,
          path: field,
        });
      }
    }
  }
  return digestOf(DOMAIN.session, ordered);
}
