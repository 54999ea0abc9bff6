// Goal: every node enforces rules.queries by itself: templates of its own signed packet, approvals of
// its own state folder; a refused question costs nothing and an approval is good for its runs, no more.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { Approval } from '../../src/party/approvals/index.ts';
import { approvalId, signApproval, writeApproval } from '../../src/party/approvals/index.ts';
import { policyDigest } from '../../src/policy/index.ts';
import type { QueriesPolicy, RulesPolicy } from '../../src/policy/types.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const TEMPLATE = {
  name: 'spent',
  sql: `SELECT campaign_id, SUM(total_spent) AS spent FROM joined_data
    WHERE category = :category AND exposure_date <= :until GROUP BY campaign_id`,
  parameters: {
    sales: { type: 'table', values: ['purchases'], default: 'purchases' },
    what: { type: 'column', table: 'sales', values: ['category'], default: 'category' },
    category: { type: 'value', column: 'what' },
    until: { type: 'date', min: '2025-06-01', max: '2025-12-31', default: '2025-12-31' },
  },
} as const satisfies QueriesPolicy['templates'][number];
const INSTANCE = `select sum(total_spent) as spent, campaign_id from joined_data
  where exposure_date <= date '2025-12-31' and category = 'home' group by campaign_id`;
const SAME = `-- another text, the same plan
  SELECT campaign_id, SUM(total_spent) AS spent FROM joined_data
  WHERE exposure_date <= '2025-12-31' AND category = 'home' GROUP BY campaign_id`;
const AD_HOC = 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data';
const CALL = { name: 'spent', parameters: { category: 'home' } };

let room: LiveRoom | null = null;
afterEach(async () => {
  await room?.close();
  room = null;
});

async function open(queries: QueriesPolicy): Promise<LiveRoom> {
  const rules: RulesPolicy = {
    ...OPEN_RULES,
    join: { ...OPEN_RULES.join, oprf: 'kkrt' },
    differential_privacy: {
      noise_mechanism: 'discrete_laplace',
      epsilon_budget: '3',
      max_epsilon_per_query: '1',
      default_epsilon_per_query: '0.5',
      delta_budget: '1e-6',
      delta_per_query: '5e-8',
      max_partitions_contributed: 1,
      max_contributions_per_partition: 4,
      noise_threshold_bits: 64,
    },
    queries,
  };
  room = await liveRoom(roomPolicy(rules, 2), randomRows(dice(7), 40, 2));
  return room;
}

const refused = (code: string, party?: string): unknown =>
  expect.objectContaining({
    code,
    fault: 'policy',
    ...(party === undefined ? {} : { detail: expect.objectContaining({ party }) as unknown }),
  });

const ledgerLines = ({ dir }: LiveRoom, party: string): number =>
  readFileSync(join(dir, `${party}-ledger`, 'ledger.jsonl'), 'utf8')
    .trim()
    .split('\n').length;

/** Nothing but the entry that opens each ledger. */
function expectNothingSpent(live: LiveRoom): void {
  for (const party of ['shopgood', 'newsnow']) expect(ledgerLines(live, party)).toBe(1);
}

function approve(live: LiveRoom, party: string, change: Partial<Approval> = {}): string {
  const document: Approval = {
    version: 1,
    room: live.policy.room,
    policy_digest: policyDigest(live.policy),
    party,
    plan_digest: live.client.plan(AD_HOC).planDigest,
    analyst: 'ana',
    runs: 1,
    expires: null,
    nonce: toHex(systemRng(16)),
    ...change,
  };
  const signed = signApproval(document, live.keys[party]!.identity.privateKey);
  return writeApproval(join(live.dir, `${party}-approvals`), signed);
}

describe('a room of templates', () => {
  it('runs instances, whatever their text, and nothing else', async () => {
    const live = await open({ mode: 'templates', templates: [TEMPLATE] });
    const { client } = live;
    const notTemplate = refused('TEMPLATE_REQUIRED');
    await expect(client.answer(AD_HOC)).rejects.toEqual(notTemplate);
    // The text of an instance without saying so, and other questions under a template's name.
    await expect(client.answer(SAME)).rejects.toEqual(notTemplate);
    await expect(client.answer(AD_HOC, { template: CALL })).rejects.toEqual(notTemplate);
    const other = { ...CALL, parameters: { category: 'beauty' } };
    await expect(client.answer(SAME, { template: other })).rejects.toEqual(notTemplate);
    const foreign = { ...CALL, name: 'other' };
    await expect(client.answer(SAME, { template: foreign })).rejects.toEqual(notTemplate);
    const wide = { ...CALL, parameters: { category: "home' OR '1'='1" } };
    await expect(client.answer(SAME, { template: wide })).rejects.toMatchObject({
      code: 'TEMPLATE_PARAMETER',
    });
    // Another column order is another plan.
    await expect(client.answer(INSTANCE, { template: CALL })).rejects.toEqual(notTemplate);
    expectNothingSpent(live);
    const answer = await client.answer(SAME, { template: CALL });
    expect(answer.columns.map(({ name }) => name)).toEqual(['campaign_id', 'spent']);
    // Opened, terms, reserved, the other's head, released.
    expect(ledgerLines(live, 'shopgood')).toBe(5);
  }, 60_000);
});

describe('a room of approvals', () => {
  it('runs what every owner approved, once, and templates without', async () => {
    const live = await open({ mode: 'approved', templates: [TEMPLATE] });
    const { client } = live;
    await expect(client.answer(AD_HOC)).rejects.toEqual(refused('QUERY_NOT_APPROVED'));
    approve(live, 'shopgood');
    const missing = refused('QUERY_NOT_APPROVED', 'newsnow');
    await expect(client.answer(AD_HOC)).rejects.toEqual(missing);
    expectNothingSpent(live);
    expect(existsSync(join(live.dir, 'shopgood-approvals', 'used.log'))).toBe(false);
    const file = approve(live, 'newsnow');
    await client.answer(AD_HOC);
    await expect(client.answer(AD_HOC)).rejects.toEqual(refused('QUERY_NOT_APPROVED'));
    const { document } = JSON.parse(readFileSync(file, 'utf8')) as { document: Approval };
    const used = readFileSync(join(live.dir, 'newsnow-approvals', 'used.log'), 'utf8');
    expect(used).toBe(`${approvalId(document)}\n`);
    // What was used stays used when the node starts again.
    await live.nodes.get('newsnow')!.close();
    await live.startNode('newsnow');
    approve(live, 'shopgood');
    await expect(client.answer(AD_HOC)).rejects.toEqual(missing);
    approve(live, 'newsnow');
    await client.answer(AD_HOC);
    await client.answer(SAME, { template: CALL });
  }, 90_000);

  it('believes no approval but its own, whole, in time and for this very plan', async () => {
    const live = await open({ mode: 'approved', templates: [] });
    const { client } = live;
    const folder = join(live.dir, 'newsnow-approvals');
    approve(live, 'shopgood', { runs: 50 });
    const past = '2020-01-01T00:00:00.000Z';
    const foreign = { party: 'shopgood' };
    const changes: Partial<Approval>[] = [
      { expires: past },
      { analyst: 'bob' },
      { policy_digest: '0'.repeat(64) },
      { room: 'elsewhere' },
      { plan_digest: client.plan(SAME).planDigest },
      { plan_digest: client.plan(AD_HOC, { epsilon: '0.25' }).planDigest },
      foreign,
    ];
    for (const change of changes) {
      const file = approve(live, 'newsnow', change);
      await expect(client.answer(AD_HOC), JSON.stringify(change)).rejects.toEqual(
        refused('QUERY_NOT_APPROVED', 'newsnow'),
      );
      rmSync(file);
    }
    // Signed by somebody else, edited after signing, cut short, too long.
    const good = readFileSync(approve(live, 'newsnow', { runs: 2 }), 'utf8');
    const others = readFileSync(approve(live, 'shopgood', { party: 'newsnow' }), 'utf8');
    for (const text of [
      others,
      good.replace('"runs": 2', '"runs": 3'),
      good.slice(0, -10),
      good + ' '.repeat(5000),
    ]) {
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
      writeFileSync(join(folder, 'an.json'), text);
      await expect(client.answer(AD_HOC)).rejects.toEqual(refused('QUERY_NOT_APPROVED', 'newsnow'));
    }
    expectNothingSpent(live);
    writeFileSync(join(folder, 'an.json'), good);
    await client.answer(AD_HOC);
    // A line cut short by a crash is nobody's use, and hides none that follows.
    writeFileSync(join(folder, 'used.log'), '0'.repeat(20), { flag: 'a' });
    await client.answer(AD_HOC);
    await expect(client.answer(AD_HOC)).rejects.toEqual(refused('QUERY_NOT_APPROVED', 'newsnow'));
  }, 90_000);
});
