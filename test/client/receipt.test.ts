// Goal: a genuine receipt file is believed, offline and from its bytes alone, and in a tampered one
// what is wrong is named: by code, field and party, for every field that anybody signed.
import { beforeAll, describe, expect, it } from 'vitest';
import {
  formatBundle,
  parseBundle,
  questionText,
  verifyBundle,
  type MpcBundle,
  type Report,
} from '../../src/client/index.ts';
import { toBase64Url } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import {
  openingOf,
  shareCommitment,
  signGo,
  signReceipt,
  signSubmission,
  type Go,
  type Receipt,
  type SignedReceipt,
  type Submission,
} from '../../src/records/index.ts';
import { analystKeys, partyKeys, sampleRoom } from '../policy/samples.ts';
import { bundleOfRun, QUERY_1, QUERY_2 } from './fixtures.ts';

const room = sampleRoom();
const other = sampleRoom((yaml) => yaml.replace('group: 10', 'group: 11'));
const GROUPS = [[240n, 1234567n], null];
const hash = (byte: string): string => byte.repeat(32);

let genuine: MpcBundle;
let second: MpcBundle;
let foreign: MpcBundle;

beforeAll(async () => {
  genuine = await bundleOfRun(room, QUERY_1, 'query-0000000001', GROUPS);
  second = await bundleOfRun(room, QUERY_2, 'query-0000000002', [[57n]]);
  foreign = await bundleOfRun(other, QUERY_1, 'query-0000000001', GROUPS);
});

const read = (bundle: unknown): MpcBundle => parseBundle(JSON.stringify(bundle)) as MpcBundle;

/** As somebody without any keys but the file would: from its text. */
const verify = (bundle: unknown): Report => verifyBundle(read(bundle));

describe('a genuine receipt', () => {
  it('is believed, and says what was and was not checked', () => {
    const report = verifyBundle(parseBundle(formatBundle(genuine)));
    expect(report.error).toBeNull();
    expect(report).toMatchObject({
      genuine: true,
      room: 'shopgood-newsnow',
      queryId: 'query-0000000001',
      question: { analyst: 'ana', sql: QUERY_1, epsilon: null, backend: 'mpc' },
      policyDigest: room.digest,
    });
    expect(report.checks.map(({ name, passed }) => [name, passed])).toEqual(
      ['policy', 'submission', 'plan', 'run', 'shares', 'answer'].map((name) => [name, true]),
    );
    const unseen = report.notChecked.join('\n');
    for (const what of [/rows .* are true/, /followed the protocol/, /at random/, /policy is/]) {
      expect(unseen).toMatch(what);
    }
  });

  it('shows the question as it was signed, with nothing hidden or turned about', () => {
    const asked = { analyst: 'ana', epsilon: '0.5', backend: 'mpc' } as const;
    const sql = "SELECT 'a\u202eb' -- \u200b\n  FROM t\r\n";
    expect(questionText({ ...asked, sql })).toEqual([
      'asked by ana with epsilon 0.5, on mpc:',
      "  SELECT 'a\\u{202e}b' -- \\u{200b}",
      '    FROM t',
      '  ',
    ]);
    const { document } = genuine.submission;
    const swapped = { document: { ...document, sql: QUERY_2 }, signature: 'A'.repeat(86) };
    expect(verify({ ...genuine, submission: swapped })).toMatchObject({
      genuine: false,
      question: null,
    });
  });

  it('is of the policy its reader has, or refused', () => {
    const pinned = verifyBundle(genuine, { policyDigest: room.digest });
    expect(pinned.genuine).toBe(true);
    expect(pinned.notChecked.join()).not.toMatch(/--policy/);
    expect(verifyBundle(genuine, { policyDigest: other.digest }).error).toMatchObject({
      code: 'POLICY_MISMATCH',
    });
  });

  it('may keep its shares to itself, and then says that the answer was not checked', () => {
    const report = verify({ ...genuine, openings: null });
    expect(report.genuine).toBe(true);
    expect(report.checks.map(({ name }) => name)).not.toContain('answer');
    expect(report.notChecked.join()).toMatch(/answer itself/);
  });

  it('is of a question that the policy lets run', async () => {
    const withQueries = (mode: string) =>
      sampleRoom(
        (yaml) => `${yaml}  queries:
    mode: ${mode}
    templates: [{ name: overlap, sql: "${QUERY_2.replaceAll('\n', ' ')}", parameters: {} }]
`,
      );
    const call = { name: 'overlap', parameters: {} };
    const id = 'query-0000000003';
    const templates = withQueries('templates');
    const pinned = verify(await bundleOfRun(templates, QUERY_2, id, [[57n]], call));
    expect(pinned.error).toBeNull();
    expect(pinned.checks[2]!.says).toMatch(/pins it as template overlap/);
    // All parties of the room can sign what none of them should have run.
    for (const bundle of [
      await bundleOfRun(templates, QUERY_2, id, [[57n]]),
      await bundleOfRun(templates, QUERY_1, id, GROUPS, call),
    ]) {
      const report = verify(bundle);
      expect(report).toMatchObject({ genuine: false, error: { code: 'TEMPLATE_REQUIRED' } });
      expect(report.checks.at(-1)).toMatchObject({ name: 'plan', passed: false });
    }
    const approved = verify(await bundleOfRun(withQueries('approved'), QUERY_1, id, GROUPS));
    expect(approved.genuine).toBe(true);
    expect(approved.notChecked.join()).toMatch(/every owner approved/);
    expect(verify(genuine).notChecked.join()).not.toMatch(/approved/);
  });

  it('keeps an order of its own', () => {
    const { gos, receipts, openings } = genuine;
    const turned = {
      gos: gos.toReversed(),
      receipts: receipts.toReversed(),
      openings: openings!.toReversed(),
    };
    expect(verify({ ...genuine, ...turned }).genuine).toBe(true);
  });
});

type Edit = (bundle: MpcBundle) => unknown;
type Row = readonly [
  what: string,
  edit: Edit,
  code: ErrorCode,
  path?: string | undefined,
  party?: string,
];

/** Changes one party's receipt, signed again by whoever would have to lie. */
const receipt =
  (edit: (document: Receipt) => unknown, party = 'shopgood', signer = party): Edit =>
  (bundle) => ({
    ...bundle,
    receipts: bundle.receipts.map((signed) =>
      signed.document.party === party
        ? signReceipt(edit(signed.document) as Receipt, partyKeys(signer).identity.privateKey)
        : signed,
    ),
  });
const inReceipt = (change: Partial<Receipt>): Edit => receipt((r) => ({ ...r, ...change }));
/** The document changed and the signature left as it was. */
const unsigned =
  (change: Partial<Receipt>): Edit =>
  (bundle) => ({
    ...bundle,
    receipts: bundle.receipts.map((signed: SignedReceipt, i) =>
      i === 0 ? { ...signed, document: { ...signed.document, ...change } } : signed,
    ),
  });
const go =
  (change: Partial<Go>, party = 'shopgood', signer = party): Edit =>
  (bundle) => ({
    ...bundle,
    gos: bundle.gos.map((signed) =>
      signed.document.party === party
        ? signGo({ ...signed.document, ...change }, partyKeys(signer).identity.privateKey)
        : signed,
    ),
  });
const submission =
  (change: Partial<Submission>): Edit =>
  (bundle) => ({
    ...bundle,
    submission: signSubmission(
      { ...bundle.submission.document, ...change },
      analystKeys('ana').signing.privateKey,
    ),
  });
const cell =
  (row: number, column: number, change: object): Edit =>
  (bundle) => {
    const rows = structuredClone(bundle.answer.rows) as unknown as { cells: object[] }[];
    rows[row]!.cells[column] = { ...rows[row]!.cells[column], ...change };
    return { ...bundle, answer: { ...bundle.answer, rows } };
  };
const answer =
  (change: object): Edit =>
  (bundle) => ({ ...bundle, answer: { ...bundle.answer, ...change } });
const noise = (change: object): Edit =>
  receipt((r) => ({ ...r, noise: { ...r.noise, ...change } }));
const bounds = (change: object): Edit =>
  receipt((r) => ({ ...r, bounds: { ...r.bounds, ...change } }));
const signature =
  (pick: (bundle: MpcBundle) => string): Edit =>
  (bundle) => ({
    ...bundle,
    receipts: bundle.receipts.map((r, i) => (i === 0 ? { ...r, signature: pick(bundle) } : r)),
  });
const DATA = [{ table: 'purchases', commitment: hash('ab') }];

const POLICY_ROWS: readonly Row[] = [
  [
    'k lowered in the policy',
    (b) => {
      const packet = structuredClone(b.packet) as unknown as {
        policy: { rules: Record<string, unknown> };
      };
      packet.policy.rules['min_privacy_units_per_group'] = 2;
      return { ...b, packet };
    },
    'POLICY_BAD_SIGNATURE',
  ],
  [
    "a party's signature of the policy dropped",
    (b) => ({
      ...b,
      packet: { ...b.packet, signatures: { shopgood: b.packet.signatures['shopgood'] } },
    }),
    'POLICY_UNSIGNED',
    undefined,
    'newsnow',
  ],
  [
    'a signature of an outsider',
    (b) => ({
      ...b,
      packet: { ...b.packet, signatures: { ...b.packet.signatures, eve: 'A'.repeat(86) } },
    }),
    'POLICY_FOREIGN',
    undefined,
    'eve',
  ],
  ["another room's policy", (b) => ({ ...b, packet: foreign.packet }), 'POLICY_MISMATCH'],
];

const QUESTION_ROWS: readonly Row[] = [
  ['other SQL', submission({ sql: QUERY_2 }), 'GO_INVALID'],
  ['another epsilon', submission({ epsilon: '1' }), 'GO_INVALID'],
  ['another query id', submission({ query_id: 'query-0000000009' }), 'GO_INVALID'],
  ['an unknown analyst', submission({ analyst: 'eve' }), 'ANALYST_UNKNOWN'],
  [
    'SQL changed after signing',
    (b) => ({
      ...b,
      submission: { ...b.submission, document: { ...b.submission.document, sql: QUERY_2 } },
    }),
    'REQUEST_UNSIGNED',
  ],
  ["another query's question", (b) => ({ ...b, submission: second.submission }), 'GO_INVALID'],
  ['what the policy refuses', submission({ sql: 'SELECT * FROM joined_data' }), 'SQL_SELECT_STAR'],
];

const GO_ROWS: readonly Row[] = [
  ['a go dropped', (b) => ({ ...b, gos: b.gos.slice(1) }), 'GO_INVALID'],
  ['a go repeated', (b) => ({ ...b, gos: [...b.gos, b.gos[0]] }), 'GO_INVALID'],
  ["another run's goes", (b) => ({ ...b, gos: second.gos }), 'GO_INVALID'],
  ["another room's goes", (b) => ({ ...b, gos: foreign.gos }), 'GO_INVALID'],
  ['a go signed by another', go({}, 'shopgood', 'newsnow'), 'GO_INVALID', undefined, 'shopgood'],
  ['a go over another plan', go({ plan_digest: hash('ab') }), 'GO_INVALID', undefined, 'shopgood'],
  ['a go in another suite', go({ suite: 'parley/0' }), 'GO_INVALID', undefined, 'shopgood'],
  ['a go of other data', go({ datasets: DATA }), 'RECEIPT_INVALID', 'session'],
  [
    'a go of another table',
    go({ datasets: [{ table: 'exposures', commitment: hash('ab') }] }),
    'RECEIPT_INVALID',
    'session',
  ],
  ['a go with another nonce', go({ nonce: hash('ab') }), 'RECEIPT_INVALID', 'session'],
];

const RECEIPT_FIELDS: readonly Row[] = [
  ['room', inReceipt({ room: 'elsewhere' }), 'RECEIPT_INVALID', 'room'],
  ['policy digest', inReceipt({ policy_digest: other.digest }), 'RECEIPT_INVALID', 'policy_digest'],
  ['query id', inReceipt({ query_id: 'query-0000000002' }), 'RECEIPT_INVALID', 'query_id'],
  ['plan', inReceipt({ plan_digest: hash('ab') }), 'RECEIPT_INVALID', 'plan_digest'],
  [
    'question',
    inReceipt({ submission_digest: hash('ab') }),
    'RECEIPT_INVALID',
    'submission_digest',
  ],
  ['session', inReceipt({ session: hash('ab') }), 'RECEIPT_INVALID', 'session'],
  ['suite', inReceipt({ suite: 'parley/0' }), 'RECEIPT_INVALID', 'suite'],
  [
    'ledger head before',
    inReceipt({ ledger_before: hash('ab') }),
    'RECEIPT_INVALID',
    'ledger_before',
  ],
  ['ledger head after', inReceipt({ ledger_after: hash('ab') }), 'RECEIPT_INVALID', 'ledger_after'],
  [
    'own data',
    receipt((r) => ({ ...r, datasets: { ...r.datasets, shopgood: DATA } })),
    'RECEIPT_INVALID',
    'datasets.shopgood.0.commitment',
  ],
  [
    "the other's data",
    receipt((r) => ({ ...r, datasets: { shopgood: r.datasets['shopgood']! } })),
    'RECEIPT_INVALID',
    'datasets.newsnow',
  ],
  ['k', noise({ min_users: 1 }), 'RECEIPT_INVALID', 'noise.min_users'],
  ['tau', noise({ tau: '1' }), 'RECEIPT_INVALID', 'noise.tau'],
  ['selection', noise({ selection: 'exact_k' }), 'RECEIPT_INVALID', 'noise.selection'],
  ['mechanism', noise({ mechanism: 'off' }), 'RECEIPT_INVALID', 'noise.mechanism'],
  ['a part of delta', noise({ delta_selection: '0' }), 'RECEIPT_INVALID', 'noise.delta_selection'],
  [
    'thresholds',
    noise({ thresholds_digest: hash('ab') }),
    'RECEIPT_INVALID',
    'noise.thresholds_digest',
  ],
  [
    'a part of epsilon',
    receipt((r) => {
      const measures = structuredClone(r.noise['measures']) as { epsilon: string }[];
      measures[1]!.epsilon = '100';
      return { ...r, noise: { ...r.noise, measures } };
    }),
    'RECEIPT_INVALID',
    'noise.measures.1.epsilon',
  ],
  ['a remark', noise({ remark: 'x' }), 'RECEIPT_INVALID', 'noise.remark'],
  ['L0', bounds({ max_partitions: 9 }), 'RECEIPT_INVALID', 'bounds.max_partitions'],
  ['C', bounds({ max_contributions: 9 }), 'RECEIPT_INVALID', 'bounds.max_contributions'],
  ['a clamp', bounds({ clamps: [null, null] }), 'RECEIPT_INVALID', 'bounds.clamps.1'],
  [
    'the price',
    inReceipt({ price: { epsilon: '0', delta: '0' } }),
    'RECEIPT_INVALID',
    'price.delta',
  ],
  [
    'spent less than the price',
    receipt((r) => ({ ...r, spent: [{ ...r.spent[0]!, epsilon: '1/4' }] })),
    'RECEIPT_INVALID',
    'spent.0.epsilon',
  ],
  [
    'spent beyond the budget',
    receipt((r) => ({ ...r, spent: [{ ...r.spent[0]!, delta: '1/10' }] })),
    'RECEIPT_INVALID',
    'spent.0.delta',
  ],
  [
    'spending of another dataset',
    receipt((r) => ({ ...r, spent: [{ ...r.spent[0]!, dataset: 'shopgood/other' }] })),
    'RECEIPT_INVALID',
    'spent.0.dataset',
  ],
  [
    'spending of another epoch',
    receipt((r) => ({ ...r, spent: [{ ...r.spent[0]!, epoch: '1' }] })),
    'RECEIPT_INVALID',
    'spent.0.epoch',
  ],
  [
    'spending of one dataset too many',
    receipt((r) => ({ ...r, spent: [...r.spent, { ...r.spent[0]!, dataset: 'shopgood/z' }] })),
    'RECEIPT_INVALID',
    'spent.1',
  ],
  [
    'rho, which has no budget here',
    receipt((r) => ({ ...r, spent: [{ ...r.spent[0]!, rho: '1/2' }] })),
    'RECEIPT_INVALID',
    'spent.0.rho',
  ],
  [
    'share commitment',
    inReceipt({ share_commitment: hash('ab') }),
    'RESULT_INVALID',
    'share_commitment',
  ],
];

const RECEIPT_ROWS: readonly Row[] = [
  ...RECEIPT_FIELDS.map(([what, ...rest]): Row => [`a receipt's ${what}`, ...rest]),
  ['a field changed after signing', unsigned({ software: 'parley/9' }), 'RECEIPT_INVALID'],
  [
    'a sealed share changed after signing',
    unsigned({ share_digest: hash('ab') }),
    'RECEIPT_INVALID',
  ],
  ['a receipt dropped', (b) => ({ ...b, receipts: b.receipts.slice(1) }), 'RECEIPT_INVALID'],
  [
    'a receipt repeated',
    (b) => ({ ...b, receipts: [...b.receipts, b.receipts[0]] }),
    'RECEIPT_INVALID',
  ],
  [
    'one receipt in place of the other',
    (b) => ({ ...b, receipts: [b.receipts[0], b.receipts[0]] }),
    'RECEIPT_INVALID',
  ],
  ['a signature swapped', signature((b) => b.receipts[1]!.signature), 'RECEIPT_INVALID'],
  ["a go's signature in its place", signature((b) => b.gos[0]!.signature), 'RECEIPT_INVALID'],
  [
    'a receipt by an outsider',
    receipt((r) => ({ ...r, party: 'eve' })),
    'RECEIPT_INVALID',
    undefined,
    'eve',
  ],
  ["another plan's receipts", (b) => ({ ...b, receipts: second.receipts }), 'RECEIPT_INVALID'],
  ["another room's receipts", (b) => ({ ...b, receipts: foreign.receipts }), 'RECEIPT_INVALID'],
];

/** A lie about its share that a party would have had to commit to. */
const flipShare: Edit = (bundle) => ({
  ...bundle,
  openings: bundle.openings!.map((o, i) => {
    if (i > 0) return o;
    const share = new Uint8Array(Buffer.from(o.share, 'base64url'));
    share[20]! ^= 1;
    return { ...o, share: toBase64Url(share) };
  }),
});

const RESULT_ROWS: readonly Row[] = [
  [
    'a released number',
    cell(0, 1, { value: 241 }),
    'RESULT_INVALID',
    'answer.rows.0.cells.1.value',
  ],
  [
    'an end of an interval',
    cell(0, 1, { interval: null }),
    'RESULT_INVALID',
    'answer.rows.0.cells.1.interval',
  ],
  [
    'a suppressed cell opened',
    cell(1, 1, { value: 3 }),
    'RESULT_INVALID',
    'answer.rows.1.cells.1.value',
  ],
  ['a group left out', answer({ rows: [] }), 'RESULT_INVALID', 'answer.rows.0'],
  [
    'fewer groups suppressed',
    answer({ groups_suppressed: 0 }),
    'RESULT_INVALID',
    'answer.groups_suppressed',
  ],
  ['a label left out', answer({ labels: ['x'] }), 'RESULT_INVALID', 'answer.labels.0'],
  ['a share changed', flipShare, 'RESULT_INVALID', 'share_commitment'],
  ['a share dropped', (b) => ({ ...b, openings: b.openings!.slice(1) }), 'RESULT_INVALID'],
  [
    'a share repeated',
    (b) => ({ ...b, openings: [...b.openings!, b.openings![0]] }),
    'RESULT_INVALID',
  ],
  [
    'a salt changed',
    (b) => ({ ...b, openings: b.openings!.map((o) => ({ ...o, salt: hash('ab') })) }),
    'RESULT_INVALID',
    'share_commitment',
  ],
  [
    "another run's shares",
    (b) => ({ ...b, openings: second.openings }),
    'RESULT_INVALID',
    'share_commitment',
  ],
];

const FORM_ROWS: readonly Row[] = [
  ['an unknown field', (b) => ({ ...b, extra: 1 }), 'RECEIPT_INVALID', '(document)'],
  ['another version', (b) => ({ ...b, version: 2 }), 'RECEIPT_INVALID', 'version'],
  ['another backend', (b) => ({ ...b, backend: 'plain' }), 'RECEIPT_INVALID', 'backend'],
  [
    'a signature of another length',
    (b) => ({ ...b, receipts: [{ ...b.receipts[0], signature: 'A' }] }),
    'RECEIPT_INVALID',
    'receipts.0.signature',
  ],
];

const ROWS = [
  ...[...POLICY_ROWS, ...QUESTION_ROWS, ...GO_ROWS],
  ...[...RECEIPT_ROWS, ...RESULT_ROWS, ...FORM_ROWS],
];

/** A report, also where the file is not even of the form. */
function errorIn(bundle: unknown): unknown {
  try {
    return verify(bundle).error;
  } catch (error) {
    return error;
  }
}

describe('a tampered receipt', () => {
  it.each(ROWS.map((row) => [row[0], row] as const))('is named: %s', (_, row) => {
    const [, edit, code, path, party] = row;
    const error = errorIn(edit(genuine));
    expect(error).toMatchObject({ code });
    const { detail } = error as { detail: { path?: string; party?: string } };
    if (path !== undefined) expect(detail.path).toBe(path);
    if (party !== undefined) expect(detail.party).toBe(party);
  });

  it('there are at least 30 of them', () => expect(ROWS.length).toBeGreaterThanOrEqual(30));

  it('is caught whichever field of whichever signed document is changed', () => {
    const change = (value: unknown): unknown =>
      typeof value === 'string' ? `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}` : 7;
    for (const list of ['gos', 'receipts'] as const) {
      for (const field of Object.keys(genuine[list][0]!.document)) {
        const edited = structuredClone(genuine) as unknown as Record<
          string,
          { document: Record<string, unknown> }[]
        >;
        const { document } = edited[list]![0]!;
        document[field] = change(document[field]);
        expect(errorIn(edited), `${list}.${field}`).not.toBeNull();
      }
    }
  });

  it('all parties together can make one: receipts are statements', () => {
    // What the report says it cannot see, shown: with every key an answer can be made up.
    const mine = { ...genuine.openings![0]!, salt: hash('00') };
    const share = new Uint8Array(Buffer.from(mine.share, 'base64url'));
    const opening = openingOf(share, (n) => new Uint8Array(n));
    const forged = receipt(
      (r) => ({ ...r, share_commitment: shareCommitment(opening, r) }),
      mine.party,
    )(genuine) as MpcBundle;
    const openings = genuine.openings!.map((o) => (o.party === mine.party ? mine : o));
    expect(verify({ ...forged, openings }).genuine).toBe(true);
  });
});
