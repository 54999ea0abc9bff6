// Goal: what a party keeps of a run opens to that party, for that run, file and attempt only; is on disk
// in no other form; and a restarted node takes a run up only when ledger, data and records agree.
import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { FREE } from '../../src/dp/index.ts';
import { totalsBytes } from '../../src/engine/mpc/index.ts';
import { openShelf, RunFolder, type AnswerReport } from '../../src/party/checkpoints/index.ts';
import { folderNameOf } from '../../src/party/checkpoints/run-folder.ts';
import { openBytes, SEAL_BYTES, sealBytes } from '../../src/party/checkpoints/sealed-file.ts';
import { datasetOfSide, datasetsOfSide } from '../../src/party/dataset.ts';
import { Ledger } from '../../src/party/ledger/index.ts';
import type { PartyContext } from '../../src/party/node.ts';
import { restoreRuns, type Restored } from '../../src/party/resume.ts';
import { QuerySession } from '../../src/party/session.ts';
import { sessionOfGos, vetSubmission } from '../../src/party/vet.ts';
import { datasetTerms, policyDigest } from '../../src/policy/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import {
  sealShare,
  shareDigest,
  signGo,
  signReceipt,
  signSubmission,
  SUITE,
} from '../../src/records/index.ts';
import type { SignedGo } from '../../src/records/index.ts';
import { planDigest, planQuery } from '../../src/sql/index.ts';
import { signRoom } from '../support/live-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const secret = new Redacted(systemRng(32));
const corrupt = expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }) as Error;
const log = pino({ level: 'silent' });

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-runs-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('a sealed file', () => {
  it('is HKDF-SHA256 and AES-256-GCM, written out by hand', () => {
    const key = systemRng(32);
    const [salt, label, text] = [systemRng(32), ['room', 7], utf8('a share')] as const;
    const info = utf8('parley/checkpoint/v1\0room\x007');
    const prk = createHmac('sha256', salt).update(key).digest();
    const t1 = createHmac('sha256', prk).update(info).update(Uint8Array.of(1)).digest();
    const t2 = createHmac('sha256', prk).update(t1).update(info).update(Uint8Array.of(2)).digest();
    const cipher = createCipheriv('aes-256-gcm', t1, t2.subarray(0, 12)).setAAD(info);
    const body = [cipher.update(text), cipher.final()];
    const sealed = Buffer.concat([utf8('PLCK\x01'), salt, ...body, cipher.getAuthTag()]);
    expect(openBytes(new Redacted(key), label, new Uint8Array(sealed))).toEqual(text);
  });

  it('rests on an HKDF that gives the value of RFC 5869 A.1', () => {
    const hex = (text: string): Buffer => Buffer.from(text, 'hex');
    const info = hex('f0f1f2f3f4f5f6f7f8f9');
    const okm = hkdfSync(
      'sha256',
      hex('0b'.repeat(22)),
      hex('000102030405060708090a0b0c'),
      info,
      42,
    );
    expect(Buffer.from(okm).toString('hex')).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  it('opens to its own secret and label only, and never when changed or cut', () => {
    const label = ['room', 'party', 'ab', 'shard', 3, 1];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(5),
        (plain, where, flip, field) => {
          const sealed = sealBytes(secret, label, plain);
          expect(sealed.length).toBe(plain.length + SEAL_BYTES);
          expect(openBytes(secret, label, sealed)).toEqual(plain);
          const changed = sealed.slice();
          changed[where % sealed.length]! ^= flip;
          expect(() => openBytes(secret, label, changed)).toThrow(corrupt);
          const cut = sealed.subarray(0, where % sealed.length);
          expect(() => openBytes(secret, label, cut)).toThrow(corrupt);
          const foreign = label.map((part, i) => (i === field ? `${part}x` : part));
          expect(() => openBytes(secret, foreign, sealed)).toThrow(corrupt);
          expect(() => openBytes(new Redacted(systemRng(32)), label, sealed)).toThrow(corrupt);
        },
      ),
    );
    const twice = [sealBytes(secret, label, utf8('x')), sealBytes(secret, label, utf8('x'))];
    expect(twice[0]).not.toEqual(twice[1]);
  });
});

interface Asked {
  readonly policy: Policy;
  readonly sql: string;
  /** What the ledger and the record of the run name. */
  readonly dataset: string;
}

const OF_ONE_TABLE: Asked = {
  policy: roomPolicy(OPEN_RULES, 1),
  sql: 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data',
  dataset: 'data-1',
};

/** A room in which a query was agreed on; no node runs. */
function agreed(asked = OF_ONE_TABLE, queryId = 'checkpoint-query-01') {
  const { sql } = asked;
  const room = signRoom(asked.policy);
  const { policy, keys, analystKeys } = room;
  const digest = policyDigest(policy);
  const plan = planQuery(policy, digest, sql, { epsilon: null });
  const signed = signSubmission(
    {
      version: 1,
      room: policy.room,
      policy_digest: digest,
      query_id: queryId,
      analyst: 'ana',
      sql,
      epsilon: null,
      backend: 'mpc',
    },
    analystKeys.signing.privateKey,
  );
  const own = { policy, policyDigest: digest, party: 'shopgood' };
  const query = vetSubmission(signed, planDigest(plan), own);
  const { identity } = keys['shopgood']!;
  const books = { room: policy.room, party: 'shopgood', shared: false, identity };
  const ledger = Ledger.open(join(dir, 'ledger'), books);
  const reservation = { queryId, planDigest: query.planDigest, policyDigest: digest };
  const heads = ledger.reserve(
    {
      ...{ ...reservation, ...FREE, dataset: asked.dataset, peers: ['newsnow'] },
      charges: datasetTerms(policy, 'shopgood'),
    },
    { limits: null, missing: FREE },
  );
  const gos: SignedGo[] = plan.sides.map(({ party }) =>
    signGo(
      {
        version: 1,
        room: policy.room,
        policy_digest: digest,
        query_id: queryId,
        plan_digest: query.planDigest,
        submission_digest: query.submissionDigest,
        party,
        ledger_before: heads.before,
        ledger_after: heads.after,
        datasets: datasetsOfSide(
          plan.sides.find((s) => s.party === party)!,
          () => '88'.repeat(32),
        ),
        ledger_seq: heads.seq,
        suite: SUITE,
        nonce: '77'.repeat(32),
      },
      keys[party]!.identity.privateKey,
    ),
  );
  const record = {
    version: 1,
    query_id: queryId,
    started_at: Date.now(),
    plan_digest: query.planDigest,
    dataset: asked.dataset,
    submission: signed,
    gos,
  } as const;
  const owner = {
    room: policy.room,
    policyDigest: digest,
    party: 'shopgood',
    secret: keys['shopgood']!.identity.privateKey,
  };
  const session = sessionOfGos(query, policy, gos);
  const runs = join(dir, 'runs');
  /** Starts as a node would, on what is there. */
  const restore = async (
    dataset: string | ((table: string) => string) = 'data-1',
    charges = ledger,
  ): Promise<Restored> => {
    const shelf = await openShelf(runs, owner);
    const parts = { policy, policyDigest: digest, party: 'shopgood', ledger: charges, shelf, log };
    const nameOf = typeof dataset === 'string' ? () => dataset : dataset;
    const context = { ...parts, answers: null, dataset: nameOf } as unknown as PartyContext;
    return restoreRuns(context, { runsMax: 4, ageMsMax: 60_000 });
  };
  const answer = async (): Promise<AnswerReport> => {
    const names = { ...own, policy_digest: digest, room: policy.room, query_id: queryId };
    const context = {
      room: names.room,
      policy_digest: digest,
      query_id: queryId,
      plan_digest: query.planDigest,
      session,
      party: 'shopgood',
    };
    const sealed = await sealShare(systemRng(9), analystKeys.sealing.publicKey, context);
    const receipt = signReceipt(
      {
        version: 1,
        backend: 'mpc',
        ...context,
        submission_digest: query.submissionDigest,
        suite: SUITE,
        datasets: {},
        ledger_before: heads.before,
        ledger_after: heads.after,
        noise: {},
        bounds: {},
        price: { epsilon: '0', delta: '0' },
        share_commitment: '99'.repeat(32),
        share_digest: shareDigest(sealed),
        spent: [{ dataset: 'shopgood/purchases', epoch: '0', epsilon: '0', delta: '0' }],
        software: 'test',
      },
      owner.secret,
    );
    return { type: 'answer', query_id: queryId, receipt, sealed };
  };
  const create = async (): Promise<RunFolder> => {
    await openShelf(runs, owner);
    return RunFolder.create(runs, owner, record, session);
  };
  const folder = join(runs, folderNameOf(queryId));
  const shape = { shards: plan.join.shards, totalsBytes: totalsBytes(plan) };
  const run = { queryId, record, owner, session, runs, folder, shape };
  return { ...run, books, ledger, create, restore, answer };
}

const codesOf = ({ lost }: Restored): string[] => lost.map(({ error }) => error.code);

describe('the folder of a run', () => {
  it('gives back epoch and shards, without those that were changed, cut, renamed or are foreign', async () => {
    const { runs, owner, record, session, folder, create } = agreed();
    const shape = { shards: 8, totalsBytes: 24 };
    const run = await create();
    const totals = Array.from({ length: 8 }, () => systemRng(24));
    await run.enterEpoch(1);
    for (const shard of [0, 1, 2, 3, 4, 5]) await run.saveShard(shard, 3, totals[shard]!);
    await run.saveShard(0, 4, totals[6]!);
    await run.saveShard(0, 3, totals[7]!); // late, of an attempt that was given up
    const at = (name: string): string => join(folder, name);
    const flipped = readFileSync(at('shard.1.a3'));
    flipped[40]! ^= 1;
    writeFileSync(at('shard.1.a3'), flipped);
    writeFileSync(at('shard.2.a3'), readFileSync(at('shard.2.a3')).subarray(0, 60));
    renameSync(at('shard.3.a3'), at('shard.3.a4'));
    cpSync(at('shard.4.a3'), at('shard.7.a3'));
    writeFileSync(at('shard.9.a0'), 'beyond the plan');
    writeFileSync(at('shard.5.a3.tmp'), 'torn');
    const again = await RunFolder.reopen(runs, owner, record, session, shape, log);
    expect(again.epoch).toBe(1);
    expect([...again.shards].sort(([a], [b]) => a - b)).toEqual([
      [0, { attempt: 4, totals: totals[6] }],
      [4, { attempt: 3, totals: totals[4] }],
      [5, { attempt: 3, totals: totals[5] }],
    ]);
    const other = { ...owner, secret: new Redacted(systemRng(32)) };
    await expect(RunFolder.readRecord(runs, other, folderNameOf(record.query_id))).rejects.toThrow(
      corrupt,
    );
    for (const foreign of [{ ...owner, party: 'newsnow' }, { ...owner, room: 'other' }, other]) {
      const opened = RunFolder.reopen(runs, foreign, record, session, shape, log);
      await expect(opened).rejects.toThrow(corrupt);
    }
    const elsewhere = RunFolder.reopen(runs, owner, record, 'ff'.repeat(32), shape, log);
    await expect(elsewhere).rejects.toThrow(corrupt);
  });

  it('shows nothing in clear, and nothing at all once it is removed', async () => {
    const { folder, record, create } = agreed();
    const run = await create();
    const totals = systemRng(64);
    await run.saveShard(0, 0, totals);
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    expect(files.length).toBe(2);
    for (const file of files) {
      expect(file.includes(Buffer.from(totals).subarray(0, 8))).toBe(false);
      expect(file.includes(record.query_id)).toBe(false);
      expect(file.includes('SELECT')).toBe(false);
    }
    await run.remove();
    expect(existsSync(folder)).toBe(false);
    await expect(run.saveShard(1, 0, systemRng(64))).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(existsSync(folder)).toBe(false);
  });
});

describe('a restarted node', () => {
  it('takes up a run at its epoch, and refuses to enter that epoch again', async () => {
    const { create, restore, shape } = agreed();
    const run = await create();
    await run.enterEpoch(1);
    await run.saveShard(0, 3, systemRng(shape.totalsBytes));
    const { sessions, lost } = await restore();
    expect(lost).toEqual([]);
    expect(sessions).toHaveLength(1);
    const [session] = sessions as [QuerySession];
    expect([session.state, session.epoch]).toEqual(['parked', 1]);
    for (const epoch of [0, 1, 3]) {
      await expect(session.resume(epoch)).rejects.toMatchObject({ code: 'FRAME_MALFORMED' });
    }
    expect(session.state).toBe('parked');
  });

  it('takes up a run over several tables of its own while all of them are as they were', async () => {
    const policy = roomPolicy(OPEN_RULES, 1);
    const [shopgood, ...others] = policy.parties;
    const tables = { ...shopgood!.tables, visits: shopgood!.tables['purchases']! };
    const names = { table: 'purchases', joined: ['visits'] };
    const { create, restore } = agreed({
      policy: { ...policy, parties: [{ ...shopgood!, tables }, ...others] },
      sql: `SELECT COUNT(DISTINCT p.email) AS n FROM purchases p
        JOIN visits v ON p.email = v.email JOIN exposures x ON x.email = p.email`,
      dataset: datasetOfSide(names, (table) => `data of ${table}`),
    });
    await create();
    const restored = await restore((table) => `data of ${table}`);
    expect(codesOf(restored)).toEqual([]);
    expect(restored.sessions).toHaveLength(1);
    const changed = (table: string): string => (table === 'visits' ? 'new' : `data of ${table}`);
    expect(codesOf(await restore(changed))).toEqual(['STORE_MISMATCH']);
  });

  it('has the same answer again', async () => {
    const { create, restore, answer, ledger, queryId } = agreed();
    const run = await create();
    const own = await answer();
    await run.beginFinish();
    ledger.commit(queryId, shareDigest(own.sealed));
    await run.saveAnswer(own);
    const { sessions } = await restore();
    expect(sessions[0]).toMatchObject({ state: 'answered', answer: own });
  });

  it.each<[string, string, (a: ReturnType<typeof agreed>, run: RunFolder) => unknown]>([
    ['the finish had begun', 'FINISH_INTERRUPTED', (_, run) => run.beginFinish()],
    [
      'the mark of the finish is damaged',
      'FINISH_INTERRUPTED',
      ({ folder }) => writeFileSync(join(folder, 'finish'), ''),
    ],
    [
      'the ledger says something was released, whatever the folder says',
      'FINISH_INTERRUPTED',
      ({ ledger, queryId }) => ledger.commit(queryId, 'ab'.repeat(32)),
    ],
    [
      'the answer is not the one that was released',
      'CHECKPOINT_CORRUPT',
      async ({ ledger, queryId, answer }, run) => {
        ledger.commit(queryId, 'ab'.repeat(32));
        await run.saveAnswer(await answer());
      },
    ],
    [
      'the epoch is damaged',
      'CHECKPOINT_CORRUPT',
      ({ folder }) => writeFileSync(join(folder, 'epoch'), 'x'),
    ],
  ])('gives a run up when %s', async (_, code, change) => {
    const room = agreed();
    const run = await room.create();
    await change(room, run);
    const restored = await room.restore();
    expect(restored.sessions).toEqual([]);
    expect(codesOf(restored)).toEqual([code]);
    expect(existsSync(room.folder)).toBe(false);
  });

  it('gives a run up when the data changed, the charge is missing, or it is old', async () => {
    const changed = agreed();
    await changed.create();
    expect(codesOf(await changed.restore('data-2'))).toEqual(['STORE_MISMATCH']);
    changed.ledger.close();
    rmSync(join(dir, 'ledger'), { recursive: true });

    const uncharged = agreed();
    await uncharged.create();
    uncharged.ledger.close();
    rmSync(join(dir, 'ledger'), { recursive: true });
    const blank = Ledger.open(join(dir, 'ledger'), uncharged.books);
    expect(codesOf(await uncharged.restore('data-1', blank))).toEqual(['CHECKPOINT_CORRUPT']);
    blank.close();
    rmSync(join(dir, 'ledger'), { recursive: true });

    const old = agreed();
    const record = { ...old.record, started_at: Date.now() - 61_000 };
    await RunFolder.create(old.runs, old.owner, record, old.session);
    expect(codesOf(await old.restore())).toEqual(['TIMEOUT']);
    old.ledger.close();
  });

  it('removes what does not open, is nobody’s, or is too much', async () => {
    const { runs, folder, create, restore } = agreed();
    await create();
    cpSync(folder, join(runs, 'cd'.repeat(32)), { recursive: true });
    for (let i = 10; i < 30; i += 1) {
      cpSync(folder, join(runs, `${i}`.repeat(32)), { recursive: true });
    }
    writeFileSync(join(folder, 'record'), 'nonsense');
    const { sessions, lost } = await restore();
    expect([sessions, lost]).toEqual([[], []]);
    expect(readdirSync(runs)).toEqual([]);
  });
});
