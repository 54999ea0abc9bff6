// Goal: under fixed randomness every protocol puts the same bytes on the wire as when they were last
// agreed, so that a change of the wire is seen, by protocol and direction, before two versions meet.
// After a meant change: `npx vitest run test/e2e/wire.test.ts -u`, and say so in the changelog.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { LocalTable } from '../../src/engine/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import type { Plan } from '../../src/sql/index.ts';
import { engineRoom } from '../support/engine.ts';
import { memoryMesh, type Frame } from '../support/memory-channel.ts';
import { OPEN_RULES, roomPolicy, withCampaigns } from '../support/room-policy.ts';
import { seededRng } from '../support/seeded-rng.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s
  FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const MANY = `SELECT category, campaign_id, online, COUNT(*) AS n FROM joined_data
  GROUP BY category, campaign_id, online`;

const MIXED = `SELECT CASE WHEN exposure_date < purchase_date THEN 'after' WHEN clicked = online THEN 'same' END
  AS k, campaign_id, COUNT(*) AS n FROM joined_data GROUP BY k, campaign_id`;

/** Fixed tables: users 0 to 19 of every party. */
function tables(plan: Plan): LocalTable[] {
  const users = 20;
  return plan.sides.map(({ columns, slots, bits }, side) => {
    const cells = users * slots;
    const values = Float64Array.from({ length: cells }, (_, i) => (i + side) % 2);
    const dates = values.map((v) => 20_260 + v);
    const one = new Uint8Array(cells).fill(1);
    return {
      users,
      ids: new Uint8Array(
        Buffer.concat(
          Array.from({ length: users }, (_, u) =>
            createHash('sha256')
              .update(`wire ${u + 3 * side}`)
              .digest(),
          ),
        ),
      ),
      slots,
      valid: one,
      values: Object.fromEntries(columns.map((c) => [c, c.endsWith('date') ? dates : values])),
      present: Object.fromEntries(columns.map((c) => [c, one])),
      bits: bits.map(() => one),
    };
  });
}

/** SHA-256 per direction and protocol, streams of all shards in the order of their names. */
function digests(name: string, frames: readonly Frame[]): [string, string][] {
  const streams = [...new Set(frames.map((f) => `${f.from} ${f.path}`))].sort();
  const hashes = new Map<string, ReturnType<typeof createHash>>();
  for (const stream of streams) {
    const own = frames.filter((f) => `${f.from} ${f.path}` === stream);
    const protocol = stream.replace(/^(\d) test\/(run\d+\/)?/, '$1 ');
    const hash = hashes.get(protocol) ?? createHash('sha256');
    for (const { step, bytes } of own) hash.update(`${step} ${bytes.length}\n`).update(bytes);
    hashes.set(protocol, hash);
  }
  return [...hashes].map(([protocol, hash]) => [`${name} ${protocol}`, hash.digest('hex')]);
}

it('is what was last agreed', async () => {
  const lines: [string, string][] = [];
  for (const [parties, oprf, k, sql, campaigns] of [
    [2, 'ecdh', 4, SQL, 0],
    [2, 'kkrt', 2, MANY, 0],
    [3, 'kkrt', 4, SQL, 0],
    [2, 'kkrt', 4, SQL, 40],
    [2, 'kkrt', 4, MIXED, 0],
  ] as const) {
    const join = { oprf, ot_field_bits: k, shard_users: 64 } as const;
    const open = roomPolicy({ ...OPEN_RULES, join }, 1, parties);
    const policy = campaigns > 0 ? withCampaigns(open, campaigns) : open;
    const plan = planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
    const links = memoryMesh(parties);
    const rngs = Array.from({ length: parties }, (_, p) => seededRng(`wire ${parties} ${p}`));
    const sessionId = new Uint8Array(32).fill(7);
    const room = await engineRoom({ parties, k, rngs, links, sessionId });
    await room.run(plan, tables(plan));
    for (const { i, j, link } of links.links) {
      const name = `${parties} parties, ${oprf}, k=${k}${campaigns > 0 ? ', sorted' : sql === MIXED ? ', mixed key' : ''}`;
      lines.push(...digests(`${name}, ${i}-${j}:`, link.frames));
    }
  }
  const text = lines.map(([name, digest]) => `${name} ${digest}`).join('\n');
  await expect(`${text}\n`).toMatchFileSnapshot('../vectors/wire/baseline.txt');
});
