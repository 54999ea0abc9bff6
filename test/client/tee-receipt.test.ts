// Goal: the receipt of a run in an enclave is believed offline, and in a tampered one what is wrong is
// named by its code, whichever field of whichever signed document was changed.
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decodeAnswer,
  formatBundle,
  parseBundle,
  releaseOf,
  verifyBundle,
  type Report,
  type TeeBundle,
} from '../../src/client/index.ts';
import { answerDocumentOf } from '../../src/client/receipt/bundle.ts';
import { openedOf } from '../../src/client/receipt/enclave.ts';
import { toBase64Url, toHex } from '../../src/core/bytes.ts';
import {
  datasetsOfGos,
  queryKeyOf,
  signAuthorisation,
  signEnvelope,
  signReplay,
  submissionDigest,
  type Replay,
} from '../../src/records/index.ts';
import { coreDigest, planDigest, planQuery, tablesOfSides } from '../../src/sql/index.ts';
import { openTeeAnswer, verifyTeeRun } from '../../src/tee-adapter/host/index.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import {
  agree,
  IDENTITY,
  NOW,
  runAll,
  SEALING,
  simulatedEnclave,
  tableOf,
  teePolicy,
} from '../support/enclave-room.ts';
import { OPEN_RULES } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u FROM joined_data
  GROUP BY campaign_id`;
const OTHER = 'SELECT COUNT(*) AS n FROM joined_data';

async function bundleOf(sql: string, rules = OPEN_RULES): Promise<TeeBundle> {
  const agreed = agree(teePolicy(rules), sql);
  const { plan, policy, packet, submission, gos } = agreed;
  const tables = plan.sides.map((_, side) => tableOf(plan, side, 3 * side, 20));
  const { hello: greeting, given, reply } = await runAll(simulatedEnclave(), agreed, tables);
  const { authorisations } = given;
  const records = { gos, greeting, authorisations, envelope: reply.envelope };
  const query = submission.document;
  const verified = verifyTeeRun(records, query, policy, { atMs: [NOW] });
  const run = await openTeeAnswer(verified, reply.sealed, SEALING.privateKey);
  const { open, cells } = openedOf(run.answer, plan);
  const table = decodeAnswer(plan, open, cells, releaseOf(plan).widths);
  const answer = answerDocumentOf({ ...table, labels: [SIMULATION_NOTICE, ...table.labels] });
  return {
    ...{ version: 1, backend: 'tee', packet, submission, replay: null, ...records, answer },
    appraised_at: new Date(NOW).toISOString(),
    opening: { salt: toHex(run.salt), share: toBase64Url(run.answer) },
  };
}

let genuine: TeeBundle;
let second: TeeBundle;
let other: TeeBundle;
beforeAll(async () => {
  genuine = await bundleOf(SQL);
  second = await bundleOf(SQL);
  other = await bundleOf(OTHER);
});

/** As somebody without any keys but the file would: from its text. */
function errorIn(bundle: unknown): unknown {
  try {
    return verifyBundle(parseBundle(JSON.stringify(bundle))).error;
  } catch (error) {
    return error;
  }
}

describe('a genuine receipt of an enclave', () => {
  it('is believed, says that nothing protected it, and what was not checked', () => {
    const report: Report = verifyBundle(parseBundle(formatBundle(genuine)));
    expect(report.error).toBeNull();
    expect(report.checks.map(({ name, passed }) => [name, passed])).toEqual(
      ['policy', 'submission', 'plan', 'enclave', 'opening', 'answer'].map((name) => [name, true]),
    );
    expect(report.checks.some(({ says }) => says.includes(SIMULATION_NOTICE))).toBe(true);
    expect(report.notChecked.join()).toMatch(/hardware kept what it attests/);
    expect(genuine.answer.rows.length).toBeGreaterThan(0);
  });

  it('may keep its answer to itself, and then says so', () => {
    const report = verifyBundle({ ...genuine, opening: null });
    expect(report.genuine).toBe(true);
    expect(report.checks.map(({ name }) => name)).not.toContain('answer');
  });
});

type Edit = (bundle: TeeBundle) => unknown;
const ROWS: readonly (readonly [string, Edit, string])[] = [
  ['the question of another run', (b) => ({ ...b, submission: second.submission }), 'GO_INVALID'],
  ['another question', (b) => ({ ...b, submission: other.submission }), 'GO_INVALID'],
  [
    'a question with another text',
    (b) => ({
      ...b,
      submission: { ...b.submission, document: { ...b.submission.document, sql: OTHER } },
    }),
    'REQUEST_UNSIGNED',
  ],
  ['goes of another run', (b) => ({ ...b, gos: second.gos }), 'GO_INVALID'],
  ['one go', (b) => ({ ...b, gos: b.gos.slice(1) }), 'GO_INVALID'],
  ['the enclave of another run', (b) => ({ ...b, greeting: second.greeting }), 'GO_INVALID'],
  [
    'evidence of another run, signed for by all',
    (b) => withGreeting(b, { ...b.greeting, evidence: second.greeting.evidence }),
    'EVIDENCE_BINDING',
  ],
  [
    'the consents of another run',
    (b) => ({ ...b, authorisations: second.authorisations }),
    'GO_INVALID',
  ],
  ['a consent missing', (b) => ({ ...b, authorisations: b.authorisations.slice(1) }), 'GO_INVALID'],
  [
    'a consent twice',
    (b) => ({ ...b, authorisations: [...b.authorisations, b.authorisations[0]] }),
    'GO_INVALID',
  ],
  ['the envelope of another run', (b) => ({ ...b, envelope: second.envelope }), 'RECEIPT_INVALID'],
  [
    'an envelope that another key signed',
    (b) => ({
      ...b,
      envelope: signEnvelope(b.envelope.document, IDENTITY['shopgood']!.privateKey),
    }),
    'RECEIPT_INVALID',
  ],
  ['the answer of another run', (b) => ({ ...b, opening: second.opening }), 'RESULT_INVALID'],
  [
    'another salt',
    (b) => ({ ...b, opening: { ...b.opening, salt: '00'.repeat(32) } }),
    'RESULT_INVALID',
  ],
  [
    'another stated row',
    (b) => ({ ...b, answer: { ...b.answer, rows: b.answer.rows.slice(1) } }),
    'RESULT_INVALID',
  ],
  [
    'a label left out',
    (b) => ({ ...b, answer: { ...b.answer, labels: b.answer.labels.slice(1) } }),
    'RESULT_INVALID',
  ],
  [
    'a time after the reference values have expired',
    (b) => ({ ...b, appraised_at: '2100-01-01T00:00:00.000Z' }),
    'REFERENCE_EXPIRED',
  ],
  ['no time', (b) => ({ ...b, appraised_at: 'yesterday' }), 'RECEIPT_INVALID'],
  ['an unknown field', (b) => ({ ...b, extra: 1 }), 'RECEIPT_INVALID'],
  ['another backend', (b) => ({ ...b, backend: 'mpc' }), 'RECEIPT_INVALID'],
];

/** Another enclave in everything that names one, with the parties' own keys: they all lie. */
function withGreeting(bundle: TeeBundle, greeting: TeeBundle['greeting']): TeeBundle {
  const evidence_digest = second.authorisations[0]!.document.evidence_digest;
  const authorisations = bundle.authorisations.map(({ document }) =>
    signAuthorisation({ ...document, evidence_digest }, IDENTITY[document.party]!.privateKey),
  );
  return { ...bundle, greeting, authorisations };
}

describe('a tampered receipt of an enclave', () => {
  it.each(ROWS)('is named: %s', (_, edit, code) => {
    expect(errorIn(edit(genuine))).toMatchObject({ code });
  });

  it('is caught whichever field of whichever signed document is changed', () => {
    const change = (value: unknown): unknown => {
      if (typeof value === 'string')
        return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
      return typeof value === 'boolean' ? !value : 7;
    };
    const documents = [
      ...genuine.gos.map((_, i) => ['gos', i] as const),
      ...genuine.authorisations.map((_, i) => ['authorisations', i] as const),
      ['envelope', null] as const,
    ];
    for (const [list, i] of documents) {
      const copy = (): { document: Record<string, unknown> } & object =>
        structuredClone(i === null ? genuine.envelope : genuine[list as 'gos'][i]!) as never;
      for (const field of Object.keys(copy().document)) {
        const signed = copy();
        signed.document[field] = change(signed.document[field]);
        const edited =
          i === null
            ? { ...genuine, envelope: signed }
            : { ...genuine, [list]: genuine[list as 'gos'].with(i, signed as never) };
        expect(errorIn(edited), `${list}.${i}.${field}`).not.toBeNull();
      }
    }
  });
});

/** The genuine answer given again to the question of the second run, as every party says. */
function givenAgain(
  edit: (document: Replay) => Replay = (document) => document,
  bundle = genuine,
): TeeBundle {
  const [asked, before] = [second.submission.document, bundle.submission.document];
  const { policy } = bundle.packet;
  const { policy_digest, room } = asked;
  const plan = planQuery(policy, policy_digest, asked.sql, { epsilon: null });
  const { session, share_digest, plan_digest } = bundle.envelope.document;
  const statements = plan.sides.map(({ party }) => {
    const document: Replay = {
      ...{ version: 1, backend: 'tee', room, policy_digest, party, query_id: asked.query_id },
      submission_digest: submissionDigest(asked),
      plan_digest: planDigest(plan),
      query_key: queryKeyOf({
        backend: 'tee',
        core: coreDigest(plan),
        policyDigest: policy_digest,
        datasets: datasetsOfGos(bundle.gos, tablesOfSides(plan)),
        sealingKey: SEALING.publicKey,
      }),
      earlier: {
        query_id: before.query_id,
        submission_digest: submissionDigest(before),
        ...{ plan_digest, session, share_digest },
        appraised_at: new Date(NOW - (party === 'shopgood' ? 0 : 60_000)).toISOString(),
      },
    };
    return signReplay(edit(document), IDENTITY[party]!.privateKey);
  });
  const { submission } = bundle;
  return { ...bundle, submission: second.submission, replay: { submission, statements } };
}

/** With one field of what one party says of the earlier run changed, and signed by it. */
const saying = (change: Partial<Replay['earlier']>): TeeBundle =>
  givenAgain((document) =>
    document.party === 'newsnow'
      ? { ...document, earlier: { ...document.earlier, ...change } }
      : document,
  );

describe('a receipt of an earlier answer of an enclave', () => {
  it('is believed, as of every time the parties state, and says that it is an earlier one', () => {
    const report = verifyBundle(parseBundle(formatBundle(givenAgain())));
    expect(report.error).toBeNull();
    expect(report.queryId).toBe(second.submission.document.query_id);
    const { says } = report.checks.find(({ name }) => name === 'enclave')!;
    expect(says).toContain(`answer of query ${genuine.submission.document.query_id} again`);
    expect(says).toContain('2026-05-31T23:59:00.000Z, 2026-06-01T00:00:00.000Z');
  });

  it('is read from files that are older than it', () => {
    const { replay, ...older } = genuine;
    expect(replay).toBeNull();
    expect(errorIn(older)).toBeNull();
  });

  const hash = 'ab'.repeat(32);
  const rows: readonly [string, () => unknown, string, string?][] = [
    ['of another question', () => givenAgain(undefined, other), 'PLAN_MISMATCH'],
    ['on shares, they say', () => givenAgain((d) => ({ ...d, backend: 'mpc' })), 'RECEIPT_INVALID'],
    [
      'of another key',
      () => givenAgain((d) => ({ ...d, query_key: hash })),
      'RECEIPT_INVALID',
      'query_key',
    ],
    ['of another run', () => saying({ session: hash }), 'RECEIPT_INVALID', 'earlier.session'],
    [
      'of another sealed answer',
      () => saying({ share_digest: hash }),
      'RECEIPT_INVALID',
      'earlier.share_digest',
    ],
    [
      'appraised in the future',
      () => saying({ appraised_at: '2026-06-01T00:05:00.001Z' }),
      'RECEIPT_INVALID',
      'earlier.appraised_at',
    ],
    [
      'appraised, one party says, after the last day of its reference values',
      () => ({
        ...saying({ appraised_at: '2100-01-02T00:00:00.000Z' }),
        appraised_at: '2100-01-03T00:00:00.000Z',
      }),
      'REFERENCE_EXPIRED',
    ],
    ['with no time', () => saying({ appraised_at: 'yesterday' }), 'RECEIPT_INVALID'],
    [
      'with a statement another party signed',
      () => {
        const bundle = givenAgain();
        const [one, two] = bundle.replay!.statements;
        const forged = { ...one!, signature: two!.signature };
        return { ...bundle, replay: { ...bundle.replay, statements: [forged, two] } };
      },
      'RECEIPT_INVALID',
    ],
    ['that names no earlier one', () => ({ ...givenAgain(), replay: null }), 'GO_INVALID'],
  ];
  it.each(rows)('is refused: %s', (_, make, code, path) => {
    const error = errorIn(make());
    expect(error).toMatchObject({ code });
    if (path !== undefined) expect(error).toMatchObject({ detail: { path: `replay.${path}` } });
  });
});
