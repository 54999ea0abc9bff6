import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  completeDraft,
  generateAnalystKeys,
  generatePartyKeys,
  parsePolicyDraft,
} from '../../src/policy/index.ts';
import type { Policy, RulesPolicy } from '../../src/policy/types.ts';
import { OPEN_RULES } from './room-policy.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

/** An example's policy with fresh keys, for whoever signs it anew or does not sign. */
export function examplePolicy(name: string, rules: Partial<RulesPolicy> = {}): Policy {
  const draft = parsePolicyDraft(readFileSync(join(EXAMPLES, name, 'policy.yaml'), 'utf8'));
  const parties = Object.fromEntries(
    draft.parties.map(({ name: party }) => {
      const { identity, link } = generatePartyKeys();
      return [party, { identity_key: identity.publicKey, link_key: link.publicKey }];
    }),
  );
  const { signing, sealing } = generateAnalystKeys();
  const policy = completeDraft(draft, {
    identifier_salt: '5a'.repeat(32),
    parties,
    analysts: [{ name: 'ana', signing_key: signing.publicKey, sealing_key: sealing.publicKey }],
  });
  return { ...policy, rules: { ...policy.rules, ...rules } };
}

/** Noise and threshold off, and the join that is quick on small tables. */
export const OPEN_EXAMPLE: Partial<RulesPolicy> = {
  ...OPEN_RULES,
  join: { oprf: 'kkrt', ot_field_bits: 4, shard_users: 65_536 },
};

/** Where an example's file of a table lies. */
export function exampleFile(name: string, party: string, table: string): string {
  return join(EXAMPLES, name, 'data', party, `${table}.csv`);
}
