// Goal: a run in worker threads gives the plain answer, whatever dies on the way; parties that differ
// in a parameter stop before any protocol byte; all parties add up the same attempts or none.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { ParleyError } from '../../src/core/errors.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable, OutputShare } from '../../src/engine/types.ts';
import { ATTEMPTS_MAX, Attempts, type FinishedShards } from '../../src/party/run/attempts.ts';
import { agreeParameters, parametersOf } from '../../src/party/run/parameters.ts';
import { openPool, type WorkerPool } from '../../src/party/run/pool.ts';
import { bridge, portChannel } from '../../src/party/run/port-channel.ts';
import { agreeOnAll, runShards, setUpAll, type NodeRun } from '../../src/party/run/runner.ts';
import { takeTogether } from '../../src/party/stock/agree.ts';
import { prepareRun, seedsOf, Stock } from '../../src/party/stock/index.ts';
import { shapeOfPlan } from '../../src/party/stock/meta.ts';
import type { Policy } from '../../src/policy/types.ts';
import { planDigest, planQuery } from '../../src/sql/index.ts';
import type { Plan } from '../../src/sql/index.ts';
import type { Link } from '../../src/transport/index.ts';
import { calibrationOf, combine } from '../support/engine.ts';
import { linkMesh } from '../support/link-mesh.ts';
import { memoryLink, runBoth } from '../support/memory-channel.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';
import { sameUsers } from '../support/tables.ts';

const log = pino({ level: 'silent' });

function policyOf(parties: number, shards: number, oprf: 'ecdh' | 'kkrt'): Policy {
  const join = { oprf, ot_field_bits: 4, shard_users: 64 / shards } as const;
  return roomPolicy({ ...OPEN_RULES, join }, 1, parties);
}

function planOf(parties: number, shards: number, oprf: 'ecdh' | 'kkrt' = 'kkrt'): Plan {
  const sql = 'SELECT COUNT(DISTINCT hashed_email) AS u, SUM(items) AS i FROM joined_data';
  return planQuery(policyOf(parties, shards, oprf), 'd'.repeat(64), sql, { epsilon: null });
}

describe('parameters', () => {
  const plan = planOf(2, 4);
  const own = parametersOf(plan, planDigest(plan), '00'.repeat(32));
  const meet = (theirs: Parameters<typeof agreeParameters>[1]): Promise<unknown> =>
    runBoth(
      memoryLink(),
      (channel) => agreeParameters(channel, own),
      (channel) => agreeParameters(channel, theirs),
    );

  it('alike are agreed on', async () => {
    await expect(meet({ ...own })).resolves.toBeDefined();
  });

  it.each([
    ['shards', 5],
    ['oprf', 'ecdh'],
    ['ot_field_bits', 2],
    ['sides.1.tag_bits', 41],
    ['sides.0.shard_capacity', 7],
    ['suite', 'parley/0'],
  ])('that differ in %s are named at both ends', async (path, value) => {
    const link = memoryLink();
    const settled = await Promise.allSettled([
      agreeParameters(link.ends[0], own),
      agreeParameters(link.ends[1], { ...own, [path]: value }),
    ]);
    for (const result of settled) {
      expect(result).toMatchObject({ reason: { code: 'PARAMETERS_DIFFER', detail: { path } } });
    }
  });

  it('with a field nobody knows are refused without repeating its name', async () => {
    await expect(meet({ ...own, 'evil name': 1 })).rejects.toMatchObject({
      code: 'PARAMETERS_DIFFER',
    });
  });

  it.each([
    ['too long', 20_000, null, 'PEER_BAD_LENGTH'],
    ['no JSON', 3, utf8('{{{'), 'PEER_BAD_ENCODING'],
    ['a list', 2, utf8('[]'), 'PEER_BAD_ENCODING'],
    ['no text', 2, Uint8Array.of(0xff, 0xfe), 'PEER_BAD_ENCODING'],
  ])('that are %s are refused', async (_, length, bytes, code) => {
    const link = memoryLink();
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, length);
    await link.ends[1].send('length', header);
    if (bytes !== null) await link.ends[1].send('parameters', bytes);
    await expect(agreeParameters(link.ends[0], own)).rejects.toMatchObject({ code });
  });
});

describe('a channel through a port', () => {
  it('carries messages both ways, by moving buffers, and errors as they are', async () => {
    const link = memoryLink();
    const { port1, port2 } = new MessageChannel();
    bridge(port1, link.ends[0]);
    const channel = portChannel(port2, link.ends[0].path).sub('a').sub('b');
    expect(channel.path).toBe('test/a/b');
    const bytes = Uint8Array.of(1, 2, 3);
    await channel.send('x', bytes);
    expect(bytes.length).toBe(0); // moved
    const other = link.ends[1].sub('a').sub('b');
    expect(await other.recv('x', 3)).toEqual(Uint8Array.of(1, 2, 3));
    await other.send('y', Uint8Array.of(9));
    await other.send('y', new Uint8Array(0));
    expect(await channel.recv('y', 1)).toEqual(Uint8Array.of(9));
    expect(await channel.recv('y', 0)).toEqual(new Uint8Array(0));
    await other.send('z', Uint8Array.of(1));
    await expect(channel.recv('z', 2)).rejects.toMatchObject({
      code: 'PEER_BAD_LENGTH',
      detail: { step: 'test/a/b/z' },
    });
    const pending = channel.recv('never', 1);
    port1.close();
    await expect(pending).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  });
});

/** One party's shards without protocols: `dies` says which attempts lose their worker. */
function simulated(
  links: readonly (Link | null)[],
  shards: number,
  workers: number,
  dies: (shard: number, attempt: number) => boolean,
  signal: AbortSignal = new AbortController().signal,
): Promise<FinishedShards> {
  const attempts = new Attempts({
    shards,
    epoch: 0,
    held: new Map(),
    links,
    workers,
    signal,
    log,
    onProgress: () => undefined,
    async start(shard, attempt) {
      await new Promise((resolve) => setTimeout(resolve, (shard * 7 + attempt * 3) % 5));
      if (dies(shard, attempt)) throw new ParleyError('WORKER_LOST', 'gone');
      return Uint8Array.of(shard, attempt);
    },
  });
  return attempts.finish().finally(() => attempts.stop());
}

describe('attempts', () => {
  it('end alike at all parties, whoever loses whichever worker', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.tuple(fc.nat(3), fc.nat(5), fc.nat(ATTEMPTS_MAX - 2)), { maxLength: 3 }),
        async (parties, shards, deaths) => {
          const links = await linkMesh(parties);
          const finished = await Promise.all(
            links.map((own, party) =>
              simulated(own, shards, 1 + (party % 3), (shard, attempt) =>
                deaths.some(([p, s, a]) => p === party && s === shard && a === attempt),
              ),
            ),
          );
          for (const { totals, attempts } of finished) {
            expect(attempts).toEqual(finished[0]!.attempts);
            expect(totals).toEqual(attempts.map((a, shard) => Uint8Array.of(shard, a)));
          }
          for (const [party, shard, attempt] of deaths) {
            if (party >= parties || shard >= shards) continue;
            // A death at a later attempt happens only where an earlier one led there.
            if (attempt === 0) expect(finished[0]!.attempts[shard]).toBeGreaterThan(0);
          }
          for (const link of links.flat()) await link?.close();
        },
      ),
      { numRuns: 30 },
    ));

  it('are given up after a few', async () => {
    const links = await linkMesh(2);
    const runs = links.map((own, party) =>
      simulated(own, 2, 2, (shard) => party === 0 && shard === 1),
    );
    await expect(runs[0]).rejects.toMatchObject({ code: 'WORKER_LOST' });
    links[0]![1]!.abort('WORKER_LOST');
    await expect(runs[1]).rejects.toMatchObject({ code: 'PEER_ABORTED' });
  });

  it('stop when the query does, and refuse what is no control message', async () => {
    const links = await linkMesh(2);
    const cancel = new AbortController();
    const waiting = simulated(links[0]!, 1, 1, () => false, cancel.signal);
    cancel.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    const [own, peer] = await linkMesh(2);
    const refused = expect(simulated(own!, 1, 1, () => false)).rejects.toMatchObject({
      code: 'PEER_BAD_ENCODING',
    });
    await peer![0]!.root.sub('control').send('control', new Uint8Array(9).fill(7));
    await refused;
  });
});

describe('in worker threads', () => {
  const pools: WorkerPool[] = [];
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));
  const poolOf = (workers: number): WorkerPool => {
    const pool = openPool(1, workers);
    pools.push(pool);
    return pool;
  };

  async function runAt(
    plan: Plan,
    side: number,
    links: readonly (Link | null)[],
    table: LocalTable,
    pool: WorkerPool,
    stock: Stock | null = null,
  ): Promise<OutputShare> {
    const run: NodeRun = {
      plan,
      calibration: calibrationOf(plan),
      side,
      links,
      parameters: parametersOf(plan, planDigest(plan), 'ab'.repeat(32)),
      sessionId: new Uint8Array(32).fill(9),
      epochId: new Uint8Array(32).fill(10),
      epoch: 0,
      keep: {
        shards: new Map(),
        saveShard: () => Promise.resolve(),
        beginFinish: () => Promise.resolve(),
      },
      pool,
      signal: new AbortController().signal,
      onProgress: () => undefined,
      log,
      batch: null,
    };
    await agreeOnAll(run);
    if (stock === null) return runShards(run, await setUpAll(run), table);
    // As two queries would: each party prepares, then a run takes what was prepared.
    const made = await prepareRun(
      { ...run, sessionId: new Uint8Array(32).fill(8) },
      stock,
      plan.sides[side]!.party,
    );
    const batch = await takeTogether(
      stock,
      links.map((link) => link?.root.sub('take') ?? null),
      shapeOfPlan(plan),
      log,
    );
    expect(batch?.meta.batch).toBe(made.batch);
    try {
      return await runShards({ ...run, batch: batch! }, seedsOf(batch!, side), table);
    } finally {
      batch!.release();
    }
  }

  /** Kills the thread of the shards numbered `victims`, in the order they start, in mid-run. */
  function deadly(inner: WorkerPool, victims: readonly number[]): WorkerPool {
    let started = 0;
    return {
      ...inner,
      async run(task, moved, options) {
        if (task.kind !== 'shard' || !victims.includes(started++)) {
          return inner.run(task, moved, options);
        }
        const killer = new AbortController();
        setTimeout(() => killer.abort(), 30);
        const signal = AbortSignal.any([options.signal, killer.signal]);
        return inner.run(task, moved, { signal }).catch((error: unknown) => {
          if (killer.signal.aborted) throw new ParleyError('WORKER_LOST', 'killed');
          throw error;
        });
      },
    };
  }

  it.each([
    [2, 16, [3, 11]],
    [3, 2, [1]],
  ] as const)(
    '%i parties and %i shards give the plain answer when workers %j of one are killed',
    async (parties, shards, victims) => {
      const plan = planOf(parties, shards);
      expect(plan.join.shards).toBe(shards);
      const local = sameUsers(plan, 50);
      const links = await linkMesh(parties);
      const shares = await Promise.all(
        links.map((own, side) => {
          const pool = poolOf(2);
          return runAt(plan, side, own, local[side]!, side === 1 ? deadly(pool, victims) : pool);
        }),
      );
      const totals = aggregatePlain(plan, local);
      expect(totals[0]![0]).toBeGreaterThan(20n);
      expect(combine(shares)).toEqual(releasePlain(plan, calibrationOf(plan), totals, () => 0n));
      for (const link of links.flat()) await link?.close();
    },
  );

  it.each([
    [1, 3, 2],
    [2, 5, 1],
    [4, 2, 0],
  ])(
    '%i shards of ECDH on %i workers have %i helpers each, and the plain answer',
    async (...of) => {
      const [shards, workers, helpers] = of;
      const plan = planOf(2, shards, 'ecdh');
      const local = sameUsers(plan, 50);
      const links = await linkMesh(2);
      const given: number[] = [];
      const seen = (inner: WorkerPool): WorkerPool => ({
        ...inner,
        run(task, moved, options) {
          if (task.kind === 'shard') given.push(task.helpers);
          return inner.run(task, moved, options);
        },
      });
      const shares = await Promise.all(
        links.map((own, side) => runAt(plan, side, own, local[side]!, seen(poolOf(workers)))),
      );
      expect(given).toEqual(Array.from({ length: 2 * shards }, () => helpers));
      const totals = aggregatePlain(plan, local);
      expect(combine(shares)).toEqual(releasePlain(plan, calibrationOf(plan), totals, () => 0n));
      for (const link of links.flat()) await link?.close();
    },
  );

  it('what was prepared serves first attempts only; a repeated shard makes its own', async () => {
    const plan = planOf(2, 4);
    const local = sameUsers(plan, 50);
    const links = await linkMesh(2);
    const dir = mkdtempSync(join(tmpdir(), 'parley-run-'));
    const stocks = plan.sides.map(({ party }, side) =>
      Stock.open({
        directory: join(dir, party),
        room: plan.room,
        policyDigest: plan.policyDigest,
        party,
        linkKey: new Redacted(new Uint8Array(32).fill(side)),
        bytesMax: 2 ** 30,
        log,
      }),
    );
    const tasks: [string, boolean][] = [];
    const seen = (inner: WorkerPool): WorkerPool => ({
      ...inner,
      run(task, moved, options) {
        if (task.kind === 'shard') {
          tasks.push([task.peers[0]!.path.split('/').at(-1)!, task.stock !== null]);
        }
        if (task.kind === 'finish') tasks.push(['finish', task.stock !== null]);
        return inner.run(task, moved, options);
      },
    });
    const shares = await Promise.all(
      links.map((own, side) => {
        const pool = side === 1 ? seen(deadly(poolOf(2), [1])) : poolOf(2);
        return runAt(plan, side, own, local[side]!, pool, stocks[side]);
      }),
    );
    const totals = aggregatePlain(plan, local);
    expect(combine(shares)).toEqual(releasePlain(plan, calibrationOf(plan), totals, () => 0n));
    expect(new Map(tasks)).toEqual(
      new Map([
        ['s0.a0', true],
        ['s1.a0', true],
        ['s1.a1', false],
        ['s2.a0', true],
        ['s3.a0', true],
        ['finish', false],
      ]),
    );
    for (const stock of stocks) {
      expect(stock.bytes).toBe(0);
      stock.close();
    }
    rmSync(dir, { recursive: true });
    for (const link of links.flat()) await link?.close();
  });
});
