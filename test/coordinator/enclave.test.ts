// Goal: the coordinator plans a question once, keeps the record of an enclave's answer and gives it
// again only on the word of all parties; a record that is lost, or a party that lies, costs a run or
// ends the query with a code, and never becomes an answer.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InputSink } from '../../src/coordinator/input-sink.ts';
import { COORDINATOR_LIMITS } from '../../src/coordinator/limits.ts';
import { QueryBook } from '../../src/coordinator/queries.ts';
import { RecordStore } from '../../src/coordinator/store.ts';
import { ParleyError } from '../../src/core/errors.ts';
import {
  signReplay,
  submissionDigest,
  type EnclaveGreeting,
  type QueryRecord,
  type Replay,
} from '../../src/records/index.ts';
import * as sql from '../../src/sql/index.ts';
import type { Order, Report } from '../../src/transport/index.ts';
import { testHost } from '../support/enclave-host.ts';
import {
  agree,
  consentOfAll,
  IDENTITY,
  tableOf,
  teePolicy,
  type Agreed,
} from '../support/enclave-room.ts';
import { answerOf, extensionOf, goOf, log, PARTIES, statementOf, submission } from './room.ts';

const planned = vi.hoisted(() => ({ times: 0 }));
vi.mock('../../src/sql/index.ts', async (original) => {
  const real = await original<typeof sql>();
  const planQuery: typeof real.planQuery = (...given) => {
    planned.times += 1;
    return real.planQuery(...given);
  };
  return { ...real, planQuery };
});

const SQL = 'SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u FROM joined_data GROUP BY 1';
const policy = teePolicy();
const root = mkdtempSync(join(tmpdir(), 'parley-coordinator-tee-'));
afterAll(() => rmSync(root, { recursive: true }));

const orders: { readonly to: string; readonly order: Order }[] = [];
const sinks = new Map<string, InputSink>();
const host = testHost();
let book: QueryBook;
let stores = 0;

async function newBook(): Promise<QueryBook> {
  const store = await RecordStore.open(join(root, `${(stores += 1)}`), COORDINATOR_LIMITS);
  const { packet, hello } = agree(policy, SQL);
  return new QueryBook({
    ...{
      packet,
      policy,
      policyDigest: hello.policy_digest,
      limits: COORDINATOR_LIMITS,
      store,
      log,
    },
    enclaveHost: host,
    audit: { write: () => undefined, close: () => Promise.resolve() },
    hub: {
      isConnected: () => true,
      send: (to, order) => orders.push({ to, order }) > 0,
      openRoute: () => undefined,
      closeRoute: () => ({}),
      openInputs: () => undefined,
      feed: (id, sink) => sink !== null && sinks.set(`${id} ${sink.party}`, sink),
    },
  });
}

/** One run that most tests look back at. */
let earlier: Agreed;
let first: Run;
beforeAll(async () => {
  book = await newBook();
  earlier = agree(policy, SQL);
  first = await runOf(earlier);
});

/** The order of this type that a party got for a query. */
async function told<K extends Order['type']>(to: string, type: K, id: string) {
  const find = () => orders.find(({ to: t, order }) => t === to && isOf(order));
  const isOf = (order: Order): boolean => order.type === type && order.query_id === id;
  await vi.waitFor(() => expect(find(), `${type} to ${to}`).toBeDefined(), 5_000);
  return find()!.order as Extract<Order, { type: K }>;
}

const idOf = ({ submission: { document } }: Agreed): string => document.query_id;
const report = (party: string, said: Report): void => book.report(party, said);

async function over(id: string): Promise<QueryRecord> {
  return vi.waitFor(async () => {
    const record = await book.read(id);
    expect(['answered', 'refused', 'failed']).toContain(record.state);
    return record;
  }, 5_000);
}

/** Every party vets the question; with what it offers beside. */
async function ready(agreed: Agreed, offer: (party: string) => object = () => ({})): Promise<void> {
  const id = idOf(agreed);
  await book.submit(agreed.submission);
  for (const party of PARTIES) {
    await told(party, 'query', id);
    report(party, { type: 'ready', query_id: id, ledger: statementOf(party, id), ...offer(party) });
  }
}

interface Run {
  readonly record: QueryRecord;
  /** Plans made until the enclave has every input, and only then makes its own. */
  readonly plans: number;
}

/** A whole run in an enclave, by honest parties. */
async function runOf(agreed: Agreed): Promise<Run> {
  const id = idOf(agreed);
  const before = planned.times;
  await ready(agreed);
  for (const go of agreed.gos) {
    const { party } = go.document;
    await told(party, 'reserve', id);
    report(party, { type: 'go', query_id: id, go, extension: extensionOf(party) });
  }
  const { greeting } = await told(PARTIES[0], 'enclave', id);
  const tables = agreed.plan.sides.map((_, side) => tableOf(agreed.plan, side, 3 * side, 20));
  const given = await consentOfAll(agreed, greeting as EnclaveGreeting, tables);
  for (const { party, enc } of given.inputs) {
    const authorisation = given.authorisations.find(({ document }) => document.party === party);
    report(party, { type: 'authorise', query_id: id, authorisation, enc });
  }
  let plans = 0;
  for (const { party, ciphertext } of given.inputs) {
    await told(party, 'feed', id);
    plans = planned.times - before;
    sinks.get(`${id} ${party}`)!.take(ciphertext);
  }
  return { record: await over(id), plans };
}

/** What a party says when a question gets an earlier answer; honest unless edited. */
function replayed(
  party: string,
  asked: Agreed,
  edit: Partial<Replay['earlier']>,
  backend: Replay['backend'] = 'tee',
): Extract<Report, { type: 'replayed' }> {
  const { room } = policy;
  const { policy_digest, plan_digest } = asked.hello;
  const document: Replay = {
    ...{ version: 1, backend, room, policy_digest, party, plan_digest },
    query_id: idOf(asked),
    submission_digest: submissionDigest(asked.submission.document),
    query_key: 'ab'.repeat(32),
    earlier: {
      query_id: idOf(earlier),
      submission_digest: submissionDigest(earlier.submission.document),
      plan_digest: earlier.hello.plan_digest,
      session: earlier.session,
      share_digest: '00'.repeat(32),
      appraised_at: '2026-06-01T00:00:00.000Z',
      ...edit,
    },
  };
  return {
    type: 'replayed',
    query_id: idOf(asked),
    statement: signReplay(document, IDENTITY[party]!.privateKey),
    submission: earlier.submission,
    gos: [...earlier.gos],
  };
}

const offerOf = (otherwise: ParleyError | null = null) => ({
  replay: {
    session: earlier.session,
    otherwise: otherwise?.toJSON() ?? null,
    kept: idOf(earlier),
  },
});
const exhausted = new ParleyError('BUDGET_EXHAUSTED', 'this query would exceed the privacy budget');

it('plans a question once', () => {
  expect(first.record).toMatchObject({ state: 'answered', error: null });
  expect(first.plans).toBe(1);
});

describe('an earlier answer of an enclave', () => {
  it('is given again from its record, when all parties say so: no enclave, nobody pays', async () => {
    const asked = agree(policy, SQL);
    const { started } = host;
    await ready(asked, () => offerOf(exhausted));
    const { enclave } = first.record;
    const { share_digest } = enclave!.outcome!.envelope.document;
    for (const party of PARTIES) {
      const { session } = await told(party, 'replay', idOf(asked));
      expect(session).toBe(earlier.session);
      report(party, replayed(party, asked, { share_digest }));
      // It has said what it had to say, and may leave.
      book.partyGone(party);
    }
    const record = await over(idOf(asked));
    expect(record).toMatchObject({ state: 'answered', error: null, answers: [], enclave });
    expect(record.gos).toEqual(earlier.gos);
    expect(record.replay?.submission).toEqual(earlier.submission);
    expect(record.replay?.statements.map(({ document }) => document.party)).toEqual([...PARTIES]);
    const ofIt = orders.filter(
      ({ order }) => 'query_id' in order && order.query_id === idOf(asked),
    );
    expect(ofIt.map(({ order }) => order.type)).not.toContain('reserve');
    expect(host.started).toBe(started);
  });

  const naming = (change: object) => () => ({ replay: { ...offerOf().replay, ...change } });
  it.each<[string, (party: string) => object]>([
    ['one party has none', (party) => (party === 'newsnow' ? {} : offerOf())],
    ['they name a record that is not here', naming({ kept: 'query-of-nowhere-0' })],
    ['they name the record of another run', naming({ session: 'ab'.repeat(32) })],
    ['they name no record', naming({ kept: undefined })],
  ])('is not when %s: an enclave is started and everybody reserves', async (_, offer) => {
    const asked = agree(policy, SQL);
    const { started } = host;
    await ready(asked, offer);
    for (const party of PARTIES) await told(party, 'reserve', idOf(asked));
    expect(host.started).toBe(started + 1);
    const error = exhausted.toJSON();
    report('shopgood', { type: 'refuse', query_id: idOf(asked), error });
    expect((await over(idOf(asked))).state).toBe('refused');
  });

  it('is not by a coordinator that has lost it: run, or refused for the reason told', async () => {
    const [whole] = [book, (book = await newBook())];
    const [asked, poor] = [agree(policy, SQL), agree(policy, SQL)];
    await ready(asked, () => offerOf());
    for (const party of PARTIES) await told(party, 'reserve', idOf(asked));
    await ready(poor, () => offerOf(exhausted));
    expect(await over(idOf(poor))).toMatchObject({
      state: 'refused',
      error: { code: 'BUDGET_EXHAUSTED', party: 'shopgood' },
    });
    book = whole;
  });
});

describe('a party that lies about it', () => {
  let asked: Agreed;
  let given: string;
  beforeEach(async () => {
    asked = agree(policy, SQL);
    given = first.record.enclave!.outcome!.envelope.document.share_digest;
    await ready(asked, () => offerOf());
    await told('shopgood', 'replay', idOf(asked));
  });

  const says = (edit: Partial<Replay['earlier']>, backend?: Replay['backend']) =>
    replayed('shopgood', asked, { share_digest: given, ...edit }, backend);
  it.each<[string, () => object, string]>([
    ['about shares', () => says({}, 'mpc'), 'RECEIPT_INVALID'],
    ['about another answer', () => says({ share_digest: '00'.repeat(32) }), 'RECEIPT_INVALID'],
    ['at no time', () => says({ appraised_at: 'yesterday' }), 'RECEIPT_INVALID'],
    ['with a go less', () => ({ ...says({}), gos: earlier.gos.slice(1) }), 'GO_INVALID'],
    ['and signs nothing', () => ({ ...says({}), statement: {} }), 'RECEIPT_INVALID'],
  ])('%s', async (_, lie, code) => {
    report('shopgood', lie() as Report);
    expect(await over(idOf(asked))).toMatchObject({
      state: 'failed',
      error: { code, party: 'shopgood' },
    });
    expect((await book.read(idOf(asked))).enclave).toBeUndefined();
  });

  it('twice', async () => {
    report('shopgood', says({}));
    report('shopgood', says({}));
    expect((await over(idOf(asked))).error?.code).toBe('RECEIPT_INVALID');
  });

  it('and sends a share for it', async () => {
    report('shopgood', says({}));
    const other = submission();
    const gos = PARTIES.map((party) => goOf(party, other, 'ab'.repeat(32)));
    const share = await answerOf('shopgood', gos);
    report('shopgood', { type: 'answer', query_id: idOf(asked), ...share });
    expect((await over(idOf(asked))).error?.code).toBe('RECEIPT_INVALID');
  });
});
