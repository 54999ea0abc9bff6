// Goal: a kept answer comes back as it was given, to its own key and party only, through restarts;
// what was altered, moved or pushed out is simply not there.
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Redacted } from '../../src/core/redacted.ts';
import {
  AnswerBook,
  shareDigestOf,
  type AnswerLimits,
  type GivenAnswer,
  type GivenShare,
} from '../../src/party/answers/index.ts';
import { answeredRecord, QUERY_2 } from '../client/fixtures.ts';
import { sampleRoom } from '../policy/samples.ts';
import { signEnvelope, signSubmission, type TeeEnvelope } from '../../src/records/index.ts';

const log = pino({ level: 'silent' });
const room = sampleRoom();
const root = mkdtempSync(join(tmpdir(), 'parley-answers-'));
afterAll(() => rmSync(root, { recursive: true }));

const owner = {
  room: room.policy.room,
  policyDigest: room.digest,
  party: 'shopgood',
  secret: new Redacted(new Uint8Array(32).fill(3)),
};
const LIMITS: AnswerLimits = { answersMax: 3, bytesMax: 1 << 20 };
const lookup = (n: number): string => String(n).padStart(64, '0');

let given: GivenAnswer[] = [];
beforeAll(async () => {
  given = await Promise.all(
    [0, 1, 2, 3, 4].map(async (n): Promise<GivenAnswer> => {
      const submission = signSubmission(
        {
          version: 1,
          room: room.policy.room,
          policy_digest: room.digest,
          query_id: `query-000000000${n}`,
          analyst: 'ana',
          sql: QUERY_2,
          epsilon: null,
          backend: 'mpc',
        },
        room.ana.signing.privateKey,
      );
      const { gos, answers } = await answeredRecord(room, submission, [[5n]]);
      const answer = answers.find(({ receipt }) => receipt.document.party === 'shopgood')!;
      return { version: 1, session: answer.receipt.document.session, submission, gos, answer };
    }),
  );
});

let folders = 0;
const newFolder = (): string => join(root, `${(folders += 1)}`);
const open = (folder: string, limits = LIMITS, who = owner): AnswerBook =>
  AnswerBook.open(folder, who, log, limits);

describe('an answer', () => {
  it('comes back by its key and by its query, after a restart too', async () => {
    const folder = newFolder();
    const book = open(folder);
    await book.keep(lookup(1), given[0]!);
    for (const reader of [book, open(folder)]) {
      expect(reader.find(lookup(1))).toEqual(given[0]);
      expect(reader.ofQuery('query-0000000000')).toEqual(given[0]);
      expect(reader.find(lookup(2))).toBeNull();
      expect(reader.ofQuery('query-0000000009')).toBeNull();
    }
  });

  it('is the newest of its key, and kept once for its query', async () => {
    const folder = newFolder();
    const book = open(folder);
    await Promise.all([book.keep(lookup(1), given[0]!), book.keep(lookup(1), given[1]!)]);
    await book.keep(lookup(1), given[0]!);
    expect(readdirSync(folder)).toHaveLength(2);
    for (const reader of [book, open(folder)]) {
      expect(reader.find(lookup(1))).toEqual(given[1]);
      expect(reader.ofQuery('query-0000000000')).toEqual(given[0]);
    }
  });

  it('of an enclave is its envelope and the time of appraisal, with nothing that opens', async () => {
    const { answer, ...run } = given[0] as GivenShare;
    const { document } = run.gos[0]!;
    const { room, policy_digest, query_id, plan_digest, submission_digest } = document;
    const hash = 'ab'.repeat(32);
    const envelope: TeeEnvelope = {
      ...{ version: 1, room, policy_digest, query_id, plan_digest, submission_digest },
      ...{ session: run.session, evidence_digest: hash, noise: {}, ledgers: {} },
      ...{ share_digest: hash, share_commitment: hash, simulated: true },
    };
    const signed = signEnvelope(envelope, owner.secret);
    const kept: GivenAnswer = {
      ...run,
      enclave: { envelope: signed, appraised_at: '2026-06-01T00:00:00.000Z' },
    };
    const folder = newFolder();
    await open(folder).keep(lookup(1), kept);
    expect(open(folder).find(lookup(1))).toEqual(kept);
    expect([kept, given[0]!].map(shareDigestOf)).toEqual([
      hash,
      answer.receipt.document.share_digest,
    ]);
  });

  it('is there at once, before the disk has it, and gone when the disk does not take it', async () => {
    const folder = newFolder();
    const book = open(folder);
    const work = book.keep(lookup(1), given[0]!);
    expect(book.find(lookup(1))).toEqual(given[0]);
    expect(book.ofQuery('query-0000000000')).toEqual(given[0]);
    await work;
    rmSync(folder, { recursive: true });
    await expect(book.keep(lookup(2), given[1]!)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(book.find(lookup(2))).toBeNull();
  });

  it('makes room for newer ones, oldest first, by number and by bytes', async () => {
    const folder = newFolder();
    const book = open(folder);
    for (const [n, answer] of given.entries()) await book.keep(lookup(n), answer);
    const found = (reader: AnswerBook): boolean[] =>
      given.map((_, n) => reader.find(lookup(n)) !== null);
    expect(found(book)).toEqual([false, false, true, true, true]);
    expect(readdirSync(folder)).toHaveLength(3);
    expect(found(open(folder, { ...LIMITS, answersMax: 2 }))).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    const [name] = readdirSync(folder).sort().reverse();
    const bytes = readFileSync(join(folder, name!)).length;
    expect(found(open(folder, { ...LIMITS, bytesMax: bytes + 10 }))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('does not come back altered, cut, renamed, or to another party or policy', async () => {
    const alter = (path: string, edit: (bytes: Buffer) => Uint8Array): void =>
      writeFileSync(path, edit(readFileSync(path)));
    const attacks: readonly ((path: string) => void)[] = [
      (path) => alter(path, (b) => b.fill(b[200]! ^ 1, 200, 201)),
      (path) => alter(path, (b) => b.subarray(0, -1)),
      (path) => writeFileSync(path, ''),
      (path) => {
        copyFileSync(path, path.replace(lookup(1), lookup(2)));
        rmSync(path);
      },
    ];
    for (const attack of attacks) {
      const folder = newFolder();
      await open(folder).keep(lookup(1), given[0]!);
      attack(join(folder, readdirSync(folder)[0]!));
      const book = open(folder);
      expect([book.find(lookup(1)), book.find(lookup(2))]).toEqual([null, null]);
      expect(book.ofQuery('query-0000000000')).toBeNull();
    }
    for (const who of [
      { ...owner, party: 'newsnow' },
      { ...owner, policyDigest: '00'.repeat(32) },
      { ...owner, secret: new Redacted(new Uint8Array(32)) },
    ]) {
      const folder = newFolder();
      await open(folder).keep(lookup(1), given[0]!);
      expect(open(folder, LIMITS, who).find(lookup(1))).toBeNull();
    }
  });

  it('half written by a crash is swept', async () => {
    const folder = newFolder();
    await open(folder).keep(lookup(1), given[0]!);
    writeFileSync(join(folder, `${readdirSync(folder)[0]!}.tmp`), 'half');
    expect(open(folder).find(lookup(1))).toEqual(given[0]);
    expect(readdirSync(folder)).toHaveLength(1);
  });
});
