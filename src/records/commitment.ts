import { createHash } from 'node:crypto';
import { concat, equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import { domainSeparated } from '../policy/canonical.ts';
import { SALT_BYTES, SHARE_BYTES_MAX } from './limits.ts';
import type { SealContext } from './seal.ts';

const DOMAIN = 'parley/share-commitment/v1';

/** A share with the salt of its commitment: what a sealed share opens to. */
export interface ShareOpening {
  readonly salt: Uint8Array;
  readonly share: Uint8Array;
}

/** A fresh salt beside a share, as one plaintext. @param rng - drawn from once, 32 bytes. */
export function openingOf(share: Uint8Array, rng: Rng): Uint8Array {
  expect(share.length <= SHARE_BYTES_MAX, 'an output share fits one sealed message');
  return concat([rng(SALT_BYTES), share]);
}

/** Takes an opening apart, without copying. @throws ParleyError RESULT_INVALID naming the party. */
export function parseOpening(opening: Uint8Array, party: string): ShareOpening {
  if (opening.length < SALT_BYTES) {
    throw new ParleyError('RESULT_INVALID', 'a sealed share lacks the salt of its commitment', {
      party,
    });
  }
  return { salt: opening.subarray(0, SALT_BYTES), share: opening.subarray(SALT_BYTES) };
}

/**
 * Commits a party to its output share: SHA-256 over the domain, the run and party, and the opening
 * (salt, then share). Hiding because the salt is 32 random bytes, binding because SHA-256 is
 * collision resistant; the context keeps a commitment from being used for another run or party.
 * All parties' commitments together bind the result, the XOR of the shares.
 *
 * @returns 64 hex characters.
 */
export function shareCommitment(opening: Uint8Array, context: SealContext): string {
  const { room, policy_digest, query_id, plan_digest, session, party } = context;
  const named = { room, policy_digest, query_id, plan_digest, session, party };
  return toHex(
    createHash('sha256')
      .update(concat([domainSeparated(DOMAIN, named), new Uint8Array(1), opening]))
      .digest(),
  );
}

/** @throws ParleyError RESULT_INVALID naming the party, unless `opening` is what was committed to. */
export function expectCommitted(
  opening: Uint8Array,
  commitment: string,
  context: SealContext,
): ShareOpening {
  const { party } = context;
  const own = fromHex(shareCommitment(opening, context), SALT_BYTES);
  if (!equalBytes(own, fromHex(commitment, SALT_BYTES))) {
    throw new ParleyError('RESULT_INVALID', 'a share is not the one its receipt commits to', {
      party,
      path: 'share_commitment',
    });
  }
  return parseOpening(opening, party);
}
