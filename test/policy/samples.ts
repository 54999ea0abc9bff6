import { Redacted } from '../../src/core/redacted.ts';
import {
  completeDraft,
  keyPairOf,
  parsePolicyDraft,
  policyDigest,
  signPolicy,
} from '../../src/policy/index.ts';
import type { AnalystKeys, KeyPair, PartyKeys } from '../../src/policy/index.ts';
import type { Policy, PolicyPacket } from '../../src/policy/types.ts';
import { seededRng } from '../support/seeded-rng.ts';

/** The room of two companies, without keys; YAML as a person writes it. */
export const ROOM_YAML = `
version: 1
room: shopgood-newsnow
parties:
  - name: shopgood
    tables:
      purchases:
        privacy_unit_column: { name: email, kind: email }
        max_users: 1000
        max_rows_per_user: 4
        columns:
          purchase_date: { type: date, min: 2025-01-01, max: 2026-12-31 }
          total_spent: { type: decimal, scale: 2, lower: "0.00", upper: "500.00", nullable: true }
          category: { type: text, values: [home, beauty, sports] }
  - name: newsnow
    tables:
      exposures:
        privacy_unit_column: { name: email, kind: email }
        max_users: 2000
        max_rows_per_user: 4
        columns:
          campaign_id: { type: text, values: [sg_fall25, sg_holiday25] }
          exposure_date: { type: date, min: 2025-01-01, max: 2026-12-31 }
views:
  joined_data: { join: [purchases, exposures], privacy_unit_alias: hashed_email }
analysts:
  - name: ana
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT, SUM, AVG]
  min_privacy_units_per_group: 10
  partition_selection: pre_threshold
  differential_privacy:
    noise_mechanism: discrete_laplace
    epsilon_budget: "3"
    max_epsilon_per_query: "1"
    delta_budget: "1e-6"
    max_partitions_contributed: 1
    max_contributions_per_partition: 4
`;

function pair(kind: 'ed25519' | 'x25519', seed: string): KeyPair {
  return keyPairOf(kind, new Redacted(seededRng(seed)(32)));
}

export function partyKeys(name: string): PartyKeys {
  return {
    kind: 'party',
    identity: pair('ed25519', `${name}/identity`),
    link: pair('x25519', `${name}/link`),
  };
}

export function analystKeys(name: string): AnalystKeys {
  return {
    kind: 'analyst',
    signing: pair('ed25519', `${name}/signing`),
    sealing: pair('x25519', `${name}/sealing`),
  };
}

export interface SampleRoom {
  readonly policy: Policy;
  readonly digest: string;
  readonly packet: PolicyPacket;
  readonly parties: Readonly<Record<string, PartyKeys>>;
  readonly ana: AnalystKeys;
}

/** A complete signed room with reproducible keys. `edit` changes the YAML first. */
export function sampleRoom(edit: (yaml: string) => string = (yaml) => yaml): SampleRoom {
  const draft = parsePolicyDraft(edit(ROOM_YAML));
  const parties = Object.fromEntries(draft.parties.map((p) => [p.name, partyKeys(p.name)]));
  const ana = analystKeys('ana');
  const policy = completeDraft(draft, {
    identifier_salt: '5a'.repeat(32),
    parties: Object.fromEntries(
      Object.entries(parties).map(([name, keys]) => [
        name,
        { identity_key: keys.identity.publicKey, link_key: keys.link.publicKey },
      ]),
    ),
    analysts: [
      { name: 'ana', signing_key: ana.signing.publicKey, sealing_key: ana.sealing.publicKey },
    ],
  });
  const signatures = Object.fromEntries(
    Object.entries(parties).map(([name, keys]) => [
      name,
      signPolicy(policy, name, keys.identity.privateKey),
    ]),
  );
  return { policy, digest: policyDigest(policy), packet: { policy, signatures }, parties, ana };
}
