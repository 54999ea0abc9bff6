import { ParleyError } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { digestOf } from './canonical.ts';
import { signDocument, verifyDocument } from './signing.ts';
import type { Policy, PolicyPacket } from './types.ts';

const POLICY_DOMAIN = 'parley/policy/v1';
const SIGNATURE_DOMAIN = 'parley/policy-signature/v1';

/** The name of a policy everywhere: lower-case hex SHA-256 of its canonical bytes. */
export function policyDigest(policy: Policy): string {
  return digestOf(POLICY_DOMAIN, policy);
}

/**
 * A party's signature over the policy.
 *
 * @param party - the signing party's name in the policy.
 * @returns base64url, as it stands in {@link PolicyPacket}.
 */
export function signPolicy(
  policy: Policy,
  party: string,
  identityKey: Redacted<Uint8Array>,
): string {
  return signDocument(
    SIGNATURE_DOMAIN,
    { party, policy_digest: policyDigest(policy) },
    identityKey,
  );
}

/**
 * Checks that all parties of the policy, and nobody else, signed exactly this policy.
 *
 * @param packet - its policy already validated, as `parsePacket` returns it.
 * @throws ParleyError POLICY_UNSIGNED (a party's signature is missing), POLICY_FOREIGN (a signature
 *   of nobody in the policy), POLICY_BAD_SIGNATURE; each names the party.
 */
export function verifyPacket(packet: PolicyPacket): {
  readonly policy: Policy;
  readonly digest: string;
} {
  const { policy, signatures } = packet;
  const digest = policyDigest(policy);
  for (const party of Object.keys(signatures)) {
    if (!policy.parties.some((p) => p.name === party)) {
      throw new ParleyError('POLICY_FOREIGN', 'the packet is signed by someone outside the room', {
        party,
      });
    }
  }
  for (const { name: party, identity_key } of policy.parties) {
    const signature = Object.hasOwn(signatures, party) ? signatures[party] : undefined;
    if (signature === undefined) {
      throw new ParleyError('POLICY_UNSIGNED', "a party's signature is missing", { party });
    }
    const document = { party, policy_digest: digest };
    if (!verifyDocument(SIGNATURE_DOMAIN, document, identity_key, signature)) {
      throw new ParleyError('POLICY_BAD_SIGNATURE', "a party's signature does not verify", {
        party,
      });
    }
  }
  return { policy, digest };
}
