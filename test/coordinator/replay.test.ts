// Goal: an earlier answer is given again only when all parties offer that of one run; otherwise the
// question is run, or refused for the reason a party states; and a party that speaks out of turn or
// for another run ends its query with a code.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import {
  sessionOf,
  shareDigest,
  signReplay,
  submissionDigest,
  type Replay,
  type SealedShare,
  type SignedGo,
  type SignedReceipt,
  type SignedSubmission,
} from '../../src/records/index.ts';
import {
  agree,
  answerOf,
  coordinatorWith,
  fakeParties,
  over,
  PARTIES,
  post,
  room,
  sendReady,
  submission,
  type FakeParty,
  type TestCoordinator,
} from './room.ts';

let coordinator: TestCoordinator;
let parties: [FakeParty, FakeParty];

interface Earlier {
  readonly signed: SignedSubmission;
  readonly gos: readonly SignedGo[];
  readonly session: string;
  readonly answers: ReadonlyMap<string, { receipt: unknown; sealed: unknown }>;
}

/** One query answered as usual; what its parties would keep. */
async function answered(): Promise<Earlier> {
  const signed = submission();
  const id = signed.document.query_id;
  await post(coordinator.url, signed);
  const [gos] = await Promise.all(parties.map((party) => agree(party, id)));
  const answers = new Map<string, { receipt: unknown; sealed: unknown }>();
  for (const party of parties) {
    const answer = await answerOf(party.name, gos!);
    answers.set(party.name, answer);
    party.relay.sendControl({ type: 'answer', query_id: id, ...answer });
  }
  expect((await over(coordinator.url, id)).state).toBe('answered');
  return { signed, gos: gos!, session: sessionOf(gos!, room.policy, [...PARTIES]), answers };
}

function statement(
  party: string,
  asked: SignedSubmission,
  earlier: Earlier,
  plan: string,
): unknown {
  const answer = earlier.answers.get(party)!;
  const receipt = (answer.receipt as SignedReceipt).document;
  const document: Replay = {
    version: 1,
    backend: 'mpc',
    room: room.policy.room,
    policy_digest: room.digest,
    party,
    query_id: asked.document.query_id,
    submission_digest: submissionDigest(asked.document),
    plan_digest: plan,
    query_key: 'ab'.repeat(32),
    earlier: {
      query_id: receipt.query_id,
      submission_digest: receipt.submission_digest,
      plan_digest: receipt.plan_digest,
      session: receipt.session,
      share_digest: shareDigest(answer.sealed as SealedShare),
    },
  };
  return signReplay(document, room.parties[party]!.identity.privateKey);
}

beforeEach(async () => {
  coordinator = await coordinatorWith();
  parties = await fakeParties(coordinator.url);
});
afterEach(async () => {
  await Promise.all(parties.map((party) => party.close()));
  await coordinator.close();
});

/** Asks again; every party is ready with what `offer` gives it. */
async function askAgain(
  offer: (party: string) => { session: string; otherwise: ParleyError | null } | null,
): Promise<{ readonly asked: SignedSubmission; readonly plan: string }> {
  const asked = submission();
  const id = asked.document.query_id;
  await post(coordinator.url, asked);
  let plan = '';
  for (const party of parties) {
    plan = (await party.next('query', id)).plan_digest;
    const offered = offer(party.name);
    const replay =
      offered === null
        ? {}
        : { replay: { ...offered, otherwise: offered.otherwise?.toJSON() ?? null } };
    sendReady(party, id, replay);
  }
  return { asked, plan };
}

const exhausted = new ParleyError('BUDGET_EXHAUSTED', 'this query would exceed the privacy budget');

describe('an earlier answer', () => {
  it('is given again when all offer that of one run', async () => {
    const earlier = await answered();
    const { session } = earlier;
    const { asked, plan } = await askAgain(() => ({ session, otherwise: exhausted }));
    const id = asked.document.query_id;
    for (const party of parties) {
      expect(await party.next('replay', id)).toMatchObject({ session });
      party.relay.sendControl({
        type: 'replayed',
        query_id: id,
        statement: statement(party.name, asked, earlier, plan),
        submission: earlier.signed,
        gos: [...earlier.gos],
      });
      const answer = earlier.answers.get(party.name)!;
      party.relay.sendControl({ type: 'answer', query_id: id, ...answer });
    }
    const record = await over(coordinator.url, id);
    expect(record).toMatchObject({ state: 'answered', error: null });
    expect(record.replay?.submission).toEqual(earlier.signed);
    expect(record.replay?.statements.map(({ document }) => document.party)).toEqual([...PARTIES]);
    expect(record.gos).toEqual(earlier.gos);
    expect(record.answers).toHaveLength(2);
    for (const party of parties) {
      expect(party.orders.filter(({ type }) => type === 'reserve')).toEqual([]);
    }
  });

  it.each<[string, (earlier: Earlier, party: string) => string | null]>([
    ['one party has none', ({ session }, party) => (party === 'newsnow' ? null : session)],
    [
      'they are of two runs',
      ({ session }, party) => (party === 'newsnow' ? 'ab'.repeat(32) : session),
    ],
  ])('is not when %s: everybody reserves', async (_, sessionAt) => {
    const earlier = await answered();
    const { asked } = await askAgain((party) => {
      const session = sessionAt(earlier, party);
      return session === null ? null : { session, otherwise: null };
    });
    for (const party of parties) await party.next('reserve', asked.document.query_id);
  });

  it('is not when one party has none and another cannot run: refused, naming it', async () => {
    const { session } = await answered();
    const { asked } = await askAgain((party) =>
      party === 'newsnow' ? null : { session, otherwise: exhausted },
    );
    const record = await over(coordinator.url, asked.document.query_id);
    expect(record).toMatchObject({
      state: 'refused',
      error: { code: 'BUDGET_EXHAUSTED', party: 'shopgood' },
    });
  });
});

describe('a party that lies about it', () => {
  type Edit = (message: {
    statement: unknown;
    submission: SignedSubmission;
    gos: SignedGo[];
  }) => object;
  it.each<[string, Edit, string]>([
    ['states it twice', (m) => ({ ...m, twice: true }), 'RECEIPT_INVALID'],
    ['leaves out a go', (m) => ({ ...m, gos: m.gos.slice(1) }), 'GO_INVALID'],
    ['names another question', (m) => ({ ...m, submission: submission() }), 'GO_INVALID'],
    ['sends no statement', (m) => ({ ...m, statement: {} }), 'RECEIPT_INVALID'],
  ])('%s', async (_, edit, code) => {
    const earlier = await answered();
    const { session } = earlier;
    const { asked, plan } = await askAgain(() => ({ session, otherwise: null }));
    const id = asked.document.query_id;
    const [party] = parties;
    await party.next('replay', id);
    const { twice, ...message } = edit({
      statement: statement(party.name, asked, earlier, plan),
      submission: earlier.signed,
      gos: [...earlier.gos],
    }) as { twice?: boolean; statement: unknown; submission: unknown; gos: unknown[] };
    const times = twice === true ? 2 : 1;
    for (let i = 0; i < times; i += 1) {
      party.relay.sendControl({ type: 'replayed', query_id: id, ...message });
    }
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'failed',
      error: { code, party: 'shopgood' },
    });
  });

  it('answers without a statement, or sends a go', async () => {
    const earlier = await answered();
    const { session } = earlier;
    const first = await askAgain(() => ({ session, otherwise: null }));
    const [party] = parties;
    const id = first.asked.document.query_id;
    await party.next('replay', id);
    const answer = earlier.answers.get(party.name)!;
    party.relay.sendControl({ type: 'answer', query_id: id, ...answer });
    expect((await over(coordinator.url, id)).error?.code).toBe('RECEIPT_INVALID');
    const second = await askAgain(() => ({ session, otherwise: null }));
    const next = second.asked.document.query_id;
    await party.next('replay', next);
    party.relay.sendControl({ type: 'go', query_id: next, go: earlier.gos[0] });
    expect((await over(coordinator.url, next)).error?.code).toBe('GO_INVALID');
  });
});
