// Goal: the client gives the right answer or a code, whatever the coordinator and the parties do:
// every lie of a coordinator that rewrites, replays, mixes, drops or alters ends in its own refusal.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, fetchPacket, formatJson, type Client } from '../../src/client/index.ts';
import { parseJsonStrict } from '../../src/policy/index.ts';
import {
  parseRecord,
  signedSubmissionSchema,
  verifySubmission,
  type Go,
  type QueryRecord,
  type Receipt,
  type SignedSubmission,
} from '../../src/records/index.ts';
import { planDigest, planQuery } from '../../src/sql/index.ts';
import { analystKeys, partyKeys, sampleRoom } from '../policy/samples.ts';
import { answeredRecord, OPEN, QUERY_1, QUERY_2, type Lies } from './fixtures.ts';

const room = sampleRoom();
const other = sampleRoom((yaml) => yaml.replace('group: 10', 'group: 11'));
// 4,096 groups of 23 sums are just above the 720 KiB of a share; 22 are below.
const wideColumns = Array.from({ length: 23 }, (_, i) => `c${i}`);
const wide = sampleRoom((yaml) =>
  OPEN(yaml).replace(
    '          category:',
    `          word: { type: text, values: [${Array.from({ length: 4096 }, (_, i) => `w${i}`).join()}] }
${wideColumns.map((c) => `          ${c}: { type: integer, lower: 0, upper: 9 }`).join('\n')}
          category:`,
  ),
);
const GROUPS = [[240n, 1234567n], null];
const ID = 'query-0000000001';

/** What the server does with the n-th request of a path; tests replace it. */
type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
let handler: Handler;
let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => handler(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function submissionIn(body: string): SignedSubmission {
  const value = parseJsonStrict(body, { bytesMax: 1 << 20 });
  return parseRecord(signedSubmissionSchema, value, 'submission');
}

const pending = (id: string, revision: number): QueryRecord => ({
  version: 1,
  query_id: id,
  state: 'running',
  revision,
  plan_digest: null,
  error: null,
  progress: [{ party: 'shopgood', stage: 'join', done: revision, total: 3 }],
  gos: [],
  answers: [],
});

/** A coordinator that runs two honest signers, and then lies as told. */
function coordinator(lies: Lies = {}, pollsBefore = 0): Handler {
  let submission: SignedSubmission | null = null;
  let polls = 0;
  return (request, response, body) => {
    if (request.method === 'POST') {
      submission = submissionIn(body);
      verifySubmission(submission, room.policy);
      json(response, 202, pending(submission.document.query_id, 0));
      return;
    }
    polls += 1;
    if (submission === null) {
      json(response, 404, {});
      return;
    }
    if (polls <= pollsBefore) {
      json(response, 200, pending(submission.document.query_id, polls));
      return;
    }
    answeredRecord(room, submission, GROUPS, lies).then(
      (record) => json(response, 200, record),
      () => json(response, 500, {}),
    );
  };
}

function client(options: { at?: string } = {}): Client {
  return createClient({
    url: options.at ?? url,
    packet: room.packet,
    analyst: 'ana',
    keys: room.ana,
  });
}

const ask = (lies: Lies = {}): Promise<unknown> => {
  handler = coordinator(lies);
  return client().answer(QUERY_1, { queryId: ID });
};

describe('an honest run', () => {
  it('is answered, with progress, intervals and receipts', async () => {
    handler = coordinator({}, 2);
    const seen: number[] = [];
    const answer = await client().answer(QUERY_1, {
      queryId: ID,
      epsilon: '1',
      onProgress: (record) => seen.push(record.revision),
    });
    expect(answer.rows.map((row) => row.cells.map((cell) => cell.value))).toEqual([
      ['sg_fall25', 240, '12345.67'],
      ['sg_holiday25', null, null],
    ]);
    expect(seen).toEqual([1, 2, 9]);
    expect(answer).toMatchObject({ queryId: ID, groupsSuppressed: 1 });
    expect(Number(answer.epsilonSpent)).toBe(1);
    // 3 - 3/2 and 1e-6 - 15e-8, exactly.
    const left = { epsilon: '3/2', rho: null, delta: '17/20000000' };
    expect(answer.budgetLeft).toEqual({
      ...{ accounting: 'basic', ...left, fits: '1' },
      binds: { party: 'newsnow', dataset: 'newsnow/exposures', epoch: '0', amount: 'epsilon' },
      datasets: [
        { party: 'newsnow', dataset: 'newsnow/exposures', epoch: '0', left, fits: '1' },
        { party: 'shopgood', dataset: 'shopgood/purchases', epoch: '0', left, fits: '1' },
      ],
    });
    const document = JSON.parse(formatJson(answer)) as Record<string, unknown>;
    expect(Object.keys(document)).toMatchInlineSnapshot(`
      [
        "query_id",
        "replay_of",
        "room",
        "policy_digest",
        "plan_digest",
        "session",
        "backend",
        "labels",
        "promise",
        "columns",
        "rows",
        "groups",
        "groups_suppressed",
        "epsilon_spent",
        "delta_spent",
        "rho_spent",
        "budget_left",
        "confidence_level",
        "receipts",
        "attestation",
      ]
    `);
    expect(document['rows']).toMatchObject([
      { suppressed: false, cells: [{ value: 'sg_fall25' }, { value: 240 }, { value: '12345.67' }] },
      { suppressed: true },
    ]);
    expect((document['receipts'] as unknown[]).length).toBe(2);
  });

  it('sends the SQL signed, byte for byte', async () => {
    let sent: SignedSubmission | null = null;
    handler = (_, response, body) => {
      sent = submissionIn(body);
      json(response, 202, pending(sent.document.query_id, 0));
    };
    const record = await client().submit(QUERY_2);
    expect(sent).toMatchObject({
      document: { sql: QUERY_2, analyst: 'ana', policy_digest: room.digest, epsilon: null },
    });
    expect(record.query_id).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });

  it('is refused before any request when the SQL is', async () => {
    let requests = 0;
    handler = (_, response) => {
      requests += 1;
      json(response, 500, {});
    };
    await expect(client().answer('SELECT * FROM joined_data')).rejects.toMatchObject({
      code: 'SQL_SELECT_STAR',
    });
    await expect(client().answer(QUERY_1, { epsilon: '2' })).rejects.toMatchObject({
      code: 'EPSILON_OVER_LIMIT',
    });
    const big = createClient({ url, packet: wide.packet, analyst: 'ana', keys: wide.ana });
    const sums = wideColumns.map((c) => `SUM(${c}) AS ${c}_sum`).join(', ');
    const sql = `SELECT word, ${sums} FROM joined_data GROUP BY word`;
    await expect(big.answer(sql)).rejects.toMatchObject({ code: 'DOMAIN_TOO_LARGE' });
    await expect(client().answer(QUERY_1, { queryId: 'x' })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    expect(requests).toBe(0);
  });
});

const hash = (byte: string): string => byte.repeat(32);
const edit =
  <T extends Go | Receipt>(change: Partial<T>) =>
  (document: T): T => ({ ...document, ...change });
const answersOf =
  (change: (answers: QueryRecord['answers']) => QueryRecord['answers']) =>
  (record: QueryRecord): QueryRecord => ({ ...record, answers: change(record.answers) });

describe('a lie', () => {
  it.each<[string, Lies, string, string | undefined]>([
    [
      'another plan',
      { record: (r) => ({ ...r, plan_digest: hash('ab') }) },
      'PLAN_MISMATCH',
      undefined,
    ],
    ['no plan', { record: (r) => ({ ...r, plan_digest: null }) }, 'PLAN_MISMATCH', undefined],
    [
      'another query',
      { record: (r) => ({ ...r, query_id: 'query-0000000002' }) },
      'RESULT_INVALID',
      undefined,
    ],
    [
      'goes over another plan',
      {
        go: edit<Go>({ plan_digest: hash('ab') }),
        receipt: edit<Receipt>({ plan_digest: hash('ab') }),
      },
      'GO_INVALID',
      'shopgood',
    ],
    [
      'goes of another query',
      { go: edit<Go>({ query_id: 'query-0000000002' }) },
      'GO_INVALID',
      'shopgood',
    ],
    [
      'goes for other SQL',
      { go: edit<Go>({ submission_digest: hash('ab') }) },
      'GO_INVALID',
      'shopgood',
    ],
    [
      'a dropped go',
      { record: (r) => ({ ...r, gos: r.gos.slice(0, 1) }) },
      'GO_INVALID',
      undefined,
    ],
    [
      'a go signed by another',
      {
        record: (r) => ({
          ...r,
          gos: r.gos.map((g) => ({ ...g, signature: r.gos[0]!.signature })),
        }),
      },
      'GO_INVALID',
      undefined,
    ],
    ['a missing receipt', { record: answersOf((a) => a.slice(1)) }, 'RECEIPT_INVALID', undefined],
    ['one party twice', { record: answersOf((a) => [a[0]!, a[0]!]) }, 'RECEIPT_INVALID', undefined],
    [
      'an outsider',
      { of: 'newsnow', receipt: edit<Receipt>({ party: 'eve' }) },
      'RECEIPT_INVALID',
      'eve',
    ],
    [
      'a receipt signed by another',
      {
        record: answersOf((a) =>
          a.map((x) => ({ ...x, receipt: { ...x.receipt, signature: a[0]!.receipt.signature } })),
        ),
      },
      'RECEIPT_INVALID',
      undefined,
    ],
    [
      'a receipt of another session',
      { of: 'newsnow', receipt: edit<Receipt>({ session: hash('ab') }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a receipt of another plan',
      { of: 'newsnow', receipt: edit<Receipt>({ plan_digest: hash('ab') }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a receipt of other SQL',
      { of: 'newsnow', receipt: edit<Receipt>({ submission_digest: hash('ab') }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a receipt of another query',
      { of: 'newsnow', receipt: edit<Receipt>({ query_id: 'query-0000000002' }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a receipt of another policy',
      { of: 'newsnow', receipt: edit<Receipt>({ policy_digest: other.digest }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a forked ledger before',
      { of: 'newsnow', receipt: edit<Receipt>({ ledger_before: hash('ab') }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'a forked ledger after',
      { of: 'newsnow', receipt: edit<Receipt>({ ledger_after: hash('ab') }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'weaker noise at one party',
      { of: 'newsnow', receipt: (r) => ({ ...r, noise: { ...r.noise, min_users: 1 } }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    [
      'weaker noise at both',
      { receipt: (r) => ({ ...r, noise: { ...r.noise, tau: '1' } }) },
      'RECEIPT_INVALID',
      'newsnow',
    ],
    ['noise left unsaid', { receipt: edit<Receipt>({ noise: {} }) }, 'RECEIPT_INVALID', undefined],
    [
      'a remark at one party alone',
      { of: 'newsnow', receipt: (r) => ({ ...r, noise: { ...r.noise, remark: 'x' } }) },
      'RECEIPT_INVALID',
      undefined,
    ],
    [
      'another share than its receipt',
      { of: 'newsnow', receipt: edit<Receipt>({ share_digest: hash('ab') }) },
      'RESULT_INVALID',
      'newsnow',
    ],
    [
      'swapped shares',
      {
        record: answersOf(([a, b]) => [
          { ...a!, sealed: b!.sealed },
          { ...b!, sealed: a!.sealed },
        ]),
      },
      'RESULT_INVALID',
      undefined,
    ],
    [
      'a tampered ciphertext',
      {
        record: answersOf((a) =>
          a.map((x) => ({
            ...x,
            sealed: { ...x.sealed, ciphertext: `A${x.sealed.ciphertext.slice(1)}` },
          })),
        ),
      },
      'RESULT_INVALID',
      undefined,
    ],
    [
      'a share sealed for another run',
      { of: 'newsnow', sealed: (c) => ({ ...c, session: hash('ab') }) },
      'RESULT_INVALID',
      'newsnow',
    ],
    [
      'a share sealed as the other party',
      { of: 'newsnow', sealed: (c) => ({ ...c, party: 'shopgood' }) },
      'RESULT_INVALID',
      'newsnow',
    ],
    ['a short share', { of: 'newsnow', share: (s) => s.slice(1) }, 'RESULT_INVALID', 'newsnow'],
    [
      'a flipped open bit',
      { of: 'newsnow', share: (s) => s.map((b, i) => (i === 0 ? b ^ 2 : b)) },
      'RESULT_INVALID',
      undefined,
    ],
    [
      'an answer that is not one',
      { record: (r) => ({ ...r, gos: [], answers: [] }) },
      'GO_INVALID',
      undefined,
    ],
    [
      'a field too many',
      { record: (r) => ({ ...r, extra: 1 }) as QueryRecord },
      'RESULT_INVALID',
      undefined,
    ],
  ])('is caught: %s', async (_, lies, code, party) => {
    await expect(ask(lies)).rejects.toMatchObject({
      code,
      fault: 'peer',
      ...(party === undefined ? {} : { detail: { party } }),
    });
  });

  it('is caught: the record of an earlier query', async () => {
    let earlier: QueryRecord | null = null;
    await ask({ record: (record) => (earlier = record) });
    handler = (_, response) => json(response, 200, earlier);
    await expect(client().answer(QUERY_1, { queryId: ID, epsilon: '1' })).rejects.toMatchObject({
      code: 'PLAN_MISMATCH',
    });
    await expect(client().answer(QUERY_1)).rejects.toMatchObject({ code: 'RESULT_INVALID' });
  });

  it('is caught: a packet that was not signed by all', () => {
    const { policy, signatures } = room.packet;
    const packet = { policy, signatures: { ...signatures, newsnow: signatures['shopgood']! } };
    expect(() => createClient({ url, packet, analyst: 'ana', keys: room.ana })).toThrow(
      expect.objectContaining({ code: 'POLICY_BAD_SIGNATURE' }),
    );
    const keys = analystKeys('eve');
    expect(() => createClient({ url, packet: room.packet, analyst: 'ana', keys })).toThrow(
      expect.objectContaining({ code: 'ANALYST_UNKNOWN' }),
    );
  });

  it('is caught: a packet served with a changed rule', async () => {
    const policy = { ...room.policy, identifier_salt: hash('ab') };
    handler = (_, response) => json(response, 200, { ...room.packet, policy });
    await expect(fetchPacket(url)).rejects.toMatchObject({ code: 'POLICY_BAD_SIGNATURE' });
    handler = (_, response) => json(response, 200, room.packet);
    await expect(fetchPacket(url)).resolves.toEqual({ packet: room.packet, digest: room.digest });
  });
});

describe('faults', () => {
  const failed = (error: object): QueryRecord =>
    ({ ...pending(ID, 5), state: 'failed', error }) as QueryRecord;

  it('give the error the record states, with its party', async () => {
    const error = {
      code: 'BUDGET_EXHAUSTED',
      fault: 'policy',
      message: 'the budget is spent',
      detail: {},
      party: 'newsnow',
    };
    handler = (_, response) => json(response, 202, failed(error));
    await expect(client().answer(QUERY_1, { queryId: ID })).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
      detail: { party: 'newsnow' },
    });
  });

  it('give the error of a refused request', async () => {
    const error = {
      code: 'TOO_MANY_QUERIES',
      fault: 'caller',
      message: 'eight queries are running',
      detail: { hint: 'wait' },
    };
    handler = (_, response) => json(response, 429, { error });
    await expect(client().answer(QUERY_1)).rejects.toMatchObject(error);
  });

  it('are ridden out while the coordinator restarts, with the same bytes sent again', async () => {
    const honest = coordinator({}, 1);
    const bodies: string[] = [];
    let requests = 0;
    handler = (request, response, body) => {
      requests += 1;
      if (request.method === 'POST') bodies.push(body);
      if (requests === 1 || requests === 4) request.socket.destroy();
      else if (requests === 2) json(response, 503, {});
      else honest(request, response, body);
    };
    await expect(client().answer(QUERY_1)).resolves.toMatchObject({ groups: 2 });
    expect(bodies.length).toBe(3);
    expect(new Set(bodies).size).toBe(1);
  });

  it('end a wait at its deadline, and at once when cancelled', async () => {
    handler = (request, response) => {
      if (!request.url?.includes('seen')) json(response, 200, pending(ID, 1));
    };
    const started = performance.now();
    await expect(client().wait(ID, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), 50);
    await expect(client().wait(ID, { signal: cancel.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('cut off a response without end', async () => {
    handler = (_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(1 << 20, 0x20);
      const pump = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', pump);
      };
      pump();
    };
    await expect(client().wait(ID)).rejects.toMatchObject({ code: 'FRAME_TOO_LARGE' });
  });

  it('refuse what is not JSON, and addresses that are none', async () => {
    handler = (_, response) => response.end('<html>');
    await expect(client().wait(ID)).rejects.toMatchObject({ code: 'RESULT_INVALID' });
    await expect(client({ at: 'file:///etc' }).room()).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    await expect(client({ at: 'nowhere' }).room()).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  });

  it('report the room as the coordinator tells it', async () => {
    const told = {
      room: room.policy.room,
      policy_digest: room.digest,
      software: 'parley',
      parties: [{ name: 'shopgood', connected: true }],
    };
    handler = (_, response) => json(response, 200, told);
    await expect(client().room()).resolves.toEqual(told);
  });
});

it('plans as the parties will', () => {
  const plan = planQuery(room.policy, room.digest, QUERY_1, { epsilon: null });
  expect(client().plan(QUERY_1)).toEqual({ plan, planDigest: planDigest(plan) });
  expect(partyKeys('shopgood').identity.publicKey).toBe(room.policy.parties[0]?.identity_key);
});
