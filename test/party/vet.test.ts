// Goal: a node judges every question by its own signed policy, and refuses before it pays what could not
// be run or could not be answered.
import { describe, expect, it } from 'vitest';
import {
  CAPACITY_MAX,
  PAYLOAD_BYTES_MAX,
  PAIR_CELLS_MAX,
  pairCells,
  planSizes,
  shardCapacities,
} from '../../src/engine/mpc/index.ts';
import { vetSubmission } from '../../src/party/vet.ts';
import { policyDigest } from '../../src/policy/index.ts';
import type { ColumnPolicy, Policy } from '../../src/policy/types.ts';
import type { SignedSubmission, Submission } from '../../src/records/index.ts';
import { SHARE_BYTES_MAX, signSubmission } from '../../src/records/index.ts';
import type { Plan } from '../../src/sql/index.ts';
import { planDigest, planQuery } from '../../src/sql/index.ts';
import { analystKeys, partyKeys, sampleRoom } from '../policy/samples.ts';
import { OPEN_RULES } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email), SUM(total_spent)
  FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const COUNT = 'SELECT COUNT(DISTINCT hashed_email) FROM joined_data';
const room = sampleRoom();

function submissionFor(policy: Policy, changes: Partial<Submission> = {}): SignedSubmission {
  const document: Submission = {
    version: 1,
    room: policy.room,
    policy_digest: policyDigest(policy),
    query_id: 'vet-test-query-0001',
    analyst: 'ana',
    sql: SQL,
    epsilon: null,
    backend: 'mpc',
    ...changes,
  };
  return signSubmission(document, room.ana.signing.privateKey);
}

function planOf(policy: Policy, sql: string, epsilon: string | null = null): Plan {
  return planQuery(policy, policyDigest(policy), sql, { epsilon });
}

/** Vets as `party` of `policy`, with the plan digest an honest coordinator would send. */
function vet(policy: Policy, sql: string, party = 'shopgood'): ReturnType<typeof vetSubmission> {
  const digest = planDigest(planOf(policy, sql));
  const own = { policy, policyDigest: policyDigest(policy), party };
  return vetSubmission(submissionFor(policy, { sql }), digest, own);
}

describe('vetting', () => {
  it('derives plan, side, price and noise from the signed text alone', () => {
    const signed = submissionFor(room.policy, { epsilon: '0.25' });
    const plan = planOf(room.policy, SQL, '0.25');
    for (const party of ['shopgood', 'newsnow']) {
      const own = { policy: room.policy, policyDigest: room.digest, party };
      const query = vetSubmission(signed, planDigest(plan), own);
      expect(query.plan).toEqual(plan);
      expect(plan.sides[query.side]!.party).toBe(party);
      const other = query.side === 0 ? 1 : 0;
      expect(query.peers).toEqual([{ party: plan.sides[other]!.party, side: other }]);
      expect(query.price.epsilon).toEqual({ num: 1n, den: 4n });
      expect(query.price.delta.num > 0n).toBe(true);
      expect(query.calibration).toBeDefined();
    }
  });

  const own = { policy: room.policy, policyDigest: room.digest, party: 'shopgood' };
  const digest = planDigest(planOf(room.policy, SQL));

  it('refuses a plan digest that is not of this text', () => {
    const other = planDigest(planOf(room.policy, SQL.replace('<', '<=')));
    expect(other).not.toBe(digest);
    for (const claimed of [other, '', digest.toUpperCase(), '0'.repeat(64)]) {
      expect(() => vetSubmission(submissionFor(room.policy), claimed, own)).toThrow(
        expect.objectContaining({ code: 'PLAN_MISMATCH', fault: 'peer' }),
      );
    }
    // The digest of the text before it was changed, and of another epsilon.
    const dearer = submissionFor(room.policy, { epsilon: '1' });
    expect(() => vetSubmission(dearer, digest, own)).toThrow(
      expect.objectContaining({ code: 'PLAN_MISMATCH' }),
    );
  });

  it('refuses another policy, another room, an unknown analyst and a bad signature', () => {
    const refusals: readonly (readonly [string, SignedSubmission])[] = [
      ['POLICY_MISMATCH', submissionFor(room.policy, { policy_digest: 'ab'.repeat(32) })],
      ['POLICY_MISMATCH', submissionFor(room.policy, { room: 'elsewhere' })],
      ['ANALYST_UNKNOWN', submissionFor(room.policy, { analyst: 'eve' })],
      [
        'REQUEST_UNSIGNED',
        signSubmission(submissionFor(room.policy).document, analystKeys('eve').signing.privateKey),
      ],
      [
        'REQUEST_UNSIGNED',
        {
          ...submissionFor(room.policy),
          document: { ...submissionFor(room.policy).document, sql: SQL.replace('<', '>') },
        },
      ],
    ];
    for (const [code, signed] of refusals) {
      expect(() => vetSubmission(signed, digest, own), code).toThrow(
        expect.objectContaining({ code }),
      );
    }
  });

  it('refuses what the policy does not admit, whatever the coordinator planned', () => {
    const star = submissionFor(room.policy, { sql: 'SELECT * FROM joined_data' });
    const dear = submissionFor(room.policy, { epsilon: '1.5' });
    expect(() => vetSubmission(star, digest, own)).toThrow(
      expect.objectContaining({ code: 'SQL_SELECT_STAR' }),
    );
    expect(() => vetSubmission(dear, digest, own)).toThrow(
      expect.objectContaining({ code: 'EPSILON_OVER_LIMIT' }),
    );
  });

  it('refuses a plan of two other parties', () => {
    const third = partyKeys('adtech');
    const policy: Policy = {
      ...room.policy,
      parties: [
        ...room.policy.parties,
        {
          name: 'adtech',
          identity_key: third.identity.publicKey,
          link_key: third.link.publicKey,
          tables: {
            clicks: {
              privacy_unit_column: { name: 'email', kind: 'email' },
              max_users: 10,
              max_rows_per_user: 1,
              columns: {},
            },
          },
        },
      ],
    };
    expect(vet(policy, SQL, 'newsnow').peers[0]?.party).toBe('shopgood');
    expect(() => vet(policy, SQL, 'adtech')).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });
});

/** The sample room without noise, each table's declaration changed. */
function resized(
  changes: { readonly maxUsers?: number; readonly maxRows?: number },
  shopColumns: Readonly<Record<string, ColumnPolicy>> = {},
  newsColumns: Readonly<Record<string, ColumnPolicy>> = {},
): Policy {
  const parties = room.policy.parties.map((party) => ({
    ...party,
    tables: Object.fromEntries(
      Object.entries(party.tables).map(([name, table]) => [
        name,
        {
          ...table,
          max_users: changes.maxUsers ?? table.max_users,
          max_rows_per_user: changes.maxRows ?? table.max_rows_per_user,
          columns: {
            ...table.columns,
            ...(name === 'purchases' ? shopColumns : newsColumns),
          },
        },
      ]),
    ),
  }));
  return { ...room.policy, parties, rules: OPEN_RULES };
}

describe('plans that no run could carry', () => {
  it('a table with more declared users than 64 shards take', () => {
    const most = resized({ maxUsers: 2 ** 22 });
    const { plan } = vet(most, COUNT);
    expect(plan.join.shards).toBe(64);
    for (const users of shardCapacities(plan)) expect(users).toBeLessThan(CAPACITY_MAX);
    const { rules } = most;
    const small = { ...most, rules: { ...rules, join: { ...rules.join, shard_users: 2 ** 15 } } };
    expect(() => vet(small, COUNT)).toThrow(
      expect.objectContaining({ code: 'POLICY_OUT_OF_RANGE', fault: 'policy' }),
    );
  });

  const amount: ColumnPolicy = {
    type: 'decimal',
    scale: 2,
    nullable: false,
    lower: '0',
    upper: '10',
  };

  it('more cells than a share carries', () => {
    const values = Array.from({ length: 4096 }, (_, i) => `v${i}`);
    const sums = Array.from({ length: 22 }, (_, i) => `a${i}`);
    const policy = resized(
      { maxRows: 1 },
      {
        shop: { type: 'text', nullable: false, values },
        ...Object.fromEntries(sums.map((name) => [name, amount])),
      },
    );
    const select = (n: number): string =>
      `SELECT shop, COUNT(*), ${sums
        .slice(0, n)
        .map((name) => `SUM(${name})`)
        .join(', ')} FROM joined_data GROUP BY shop`;
    // 4,096 groups: 512 bytes of open bits and 32 KiB per released measure; 720 KiB in all.
    const largest = vet(policy, select(21));
    expect(planSizes(largest.plan).shareBytes).toBe(512 + 22 * 8 * 4096);
    const tooMuch = select(22);
    expect(planSizes(planOf(policy, tooMuch)).shareBytes).toBe(512 + 23 * 8 * 4096);
    expect(512 + 22 * 8 * 4096).toBeLessThanOrEqual(SHARE_BYTES_MAX);
    expect(() => vet(policy, tooMuch)).toThrow(
      expect.objectContaining({ code: 'DOMAIN_TOO_LARGE', fault: 'policy' }),
    );
  });

  it('more pairs of rows than one run holds', () => {
    const policy = resized({ maxUsers: 2 ** 20, maxRows: 30 });
    // A condition on both tables, so that rows are not added up before the join.
    const sql = 'SELECT COUNT(*) FROM joined_data WHERE exposure_date < purchase_date';
    expect(pairCells(planOf(policy, sql))).toBeGreaterThan(PAIR_CELLS_MAX);
    expect(() => vet(policy, sql)).toThrow(
      expect.objectContaining({ code: 'SQL_TOO_LARGE', fault: 'caller' }),
    );
    expect(pairCells(planOf(resized({ maxUsers: 2 ** 16, maxRows: 8 }), sql))).toBeLessThan(
      PAIR_CELLS_MAX,
    );
  });

  it("more of each of the sender's users than a join carries", () => {
    const sums = Array.from({ length: 8 }, (_, i) => `b${i}`);
    const columns = Object.fromEntries(sums.map((name) => [name, amount]));
    const policy = resized({ maxUsers: 500, maxRows: 64 }, columns, columns);
    // The pivot is the side of the group keys or the smaller one; sum columns of the other side.
    const select = (n: number, table: string): string =>
      `SELECT ${sums
        .slice(0, n)
        .map((name) => `SUM(${table}.${name})`)
        .join(', ')} FROM purchases JOIN exposures ON purchases.email = exposures.email
        WHERE exposure_date < purchase_date`;
    const sender = planOf(policy, select(1, 'exposures')).sides[1]!.table;
    const carried = vet(policy, select(7, sender));
    expect(Math.max(...planSizes(carried.plan).payloadBytes)).toBeLessThanOrEqual(
      PAYLOAD_BYTES_MAX,
    );
    expect(Math.max(...planSizes(carried.plan).payloadBytes)).toBeGreaterThanOrEqual(7 * 64 * 8);
    expect(() => vet(policy, select(8, sender))).toThrow(
      expect.objectContaining({ code: 'SQL_TOO_LARGE', fault: 'caller' }),
    );
  });
});
