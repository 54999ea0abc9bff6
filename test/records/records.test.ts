// Goal: every record is strict in form and bound to its signer, room, query and run; a session
// names exactly one run; a sealed share opens for one analyst in one context only.
import type { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toBase64Url, toHex, utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { parsePublicKey } from '../../src/policy/index.ts';
import {
  OPENING_BYTES_MAX,
  openShare,
  parseRecord,
  queryRecordSchema,
  sealedShareSchema,
  sealShare,
  sessionOf,
  shareDigest,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
  signGo,
  signReceipt,
  signSubmission,
  submissionDigest,
  verifyReceipt,
  verifySubmission,
  type Go,
  type Receipt,
  type SealContext,
  type SignedGo,
  type Submission,
} from '../../src/records/index.ts';
import { hpkeSuite } from '../../src/records/seal.ts';
import { analystKeys, partyKeys, sampleRoom } from '../policy/samples.ts';

const room = sampleRoom();
const other = sampleRoom((yaml) => yaml.replace('group: 10', 'group: 11'));
const PARTIES = ['shopgood', 'newsnow'];
const hash = (byte: string): string => byte.repeat(32);

const submission: Submission = {
  version: 1,
  room: room.policy.room,
  policy_digest: room.digest,
  query_id: 'query-0000000001',
  analyst: 'ana',
  sql: 'SELECT COUNT(*) FROM joined_data',
  epsilon: null,
  backend: 'mpc',
};
const signedSubmission = signSubmission(submission, room.ana.signing.privateKey);

function goOf(party: string, change: Partial<Go> = {}, signer = party): SignedGo {
  const document: Go = {
    version: 1,
    room: room.policy.room,
    policy_digest: room.digest,
    query_id: submission.query_id,
    plan_digest: hash('01'),
    submission_digest: submissionDigest(submission),
    party,
    ledger_before: hash('02'),
    ledger_after: hash('03'),
    datasets: [{ table: 'purchases', commitment: hash('07') }],
    ledger_seq: 2,
    suite: 'parley-mpc-1',
    nonce: hash('04'),
    ...change,
  };
  return signGo(document, partyKeys(signer).identity.privateKey);
}

const gos = PARTIES.map((party) => goOf(party));

const receipt: Receipt = {
  version: 1,
  backend: 'mpc',
  room: room.policy.room,
  policy_digest: room.digest,
  query_id: submission.query_id,
  plan_digest: hash('01'),
  submission_digest: submissionDigest(submission),
  session: hash('05'),
  party: 'shopgood',
  suite: 'parley-mpc-1',
  datasets: { shopgood: [{ table: 'purchases', commitment: hash('07') }] },
  ledger_before: hash('02'),
  ledger_after: hash('03'),
  noise: { mechanism: 'off' },
  bounds: { max_partitions: null },
  price: { epsilon: '0', delta: '0' },
  share_digest: hash('06'),
  share_commitment: hash('08'),
  spent: [{ dataset: 'shopgood/purchases', epoch: '0', epsilon: '1/2', delta: '1/20000000' }],
  software: 'parley 0.1.0',
};
const signedReceipt = signReceipt(receipt, partyKeys('shopgood').identity.privateKey);

describe('submission', () => {
  it('is believed from an analyst of the policy', () => {
    expect(verifySubmission(signedSubmission, room.policy)).toEqual(submission);
  });

  it('pins its digest and signature', () => {
    expect(submissionDigest(submission)).toMatchInlineSnapshot(
      `"c3f7321560c594c2daef2b09719e10085ed9350120303a2ff9e3c31588a7634c"`,
    );
    expect(signedSubmission.signature).toMatchInlineSnapshot(
      `"vb8ag1LsyjwJKjxqd9XjqxIHRDctpExdC_B6qCdUU8JpiLnRujA7FK4abWielZXHWcgoQq4KoqUurHp5_EGCDA"`,
    );
  });

  it.each([
    ['another policy', { policy_digest: other.digest }, 'POLICY_MISMATCH'],
    ['another room', { room: 'elsewhere' }, 'POLICY_MISMATCH'],
    ['an unknown analyst', { analyst: 'eve' }, 'ANALYST_UNKNOWN'],
    ['a backend that the policy does not list', { backend: 'tee' }, 'BACKEND_NOT_ALLOWED'],
  ] as const)('is refused for %s', (_, change, code) => {
    const signed = signSubmission({ ...submission, ...change }, room.ana.signing.privateKey);
    expect(() => verifySubmission(signed, room.policy)).toThrow(expect.objectContaining({ code }));
  });

  it('is refused under another key, or when one letter of the SQL changed', () => {
    const eve = signSubmission(submission, analystKeys('eve').signing.privateKey);
    const edited = { ...signedSubmission, document: { ...submission, sql: `${submission.sql} ` } };
    for (const signed of [eve, edited]) {
      expect(() => verifySubmission(signed, room.policy)).toThrow(
        expect.objectContaining({ code: 'REQUEST_UNSIGNED' }),
      );
    }
  });

  it('has SQL of at most 64 KiB and a proper id', () => {
    const parse = (change: object): unknown =>
      parseRecord(
        signedSubmissionSchema,
        { ...signedSubmission, document: { ...submission, ...change } },
        'submission',
      );
    expect(() => parse({ sql: 'é'.repeat(32 * 1024) })).not.toThrow();
    const bad = [
      { sql: `${'é'.repeat(32 * 1024)}a` },
      { sql: '' },
      { sql: '\ud800' },
      { query_id: 'short' },
      { query_id: 'a'.repeat(65) },
      { query_id: '../../etc/passwd.' },
      { backend: 'plain' },
      { backend: 'tee', purpose: 'prepare' },
      { extra: 1 },
      { version: 2 },
    ];
    for (const change of bad) {
      expect(() => parse(change)).toThrow(expect.objectContaining({ code: 'REQUEST_MALFORMED' }));
    }
  });
});

describe('session', () => {
  const expected = { query_id: submission.query_id, plan_digest: hash('01') };

  it('does not depend on the order the goes came in', () => {
    const session = sessionOf(gos, room.policy, PARTIES, expected);
    expect(sessionOf(gos.toReversed(), room.policy, PARTIES.toReversed())).toBe(session);
    expect(session).toMatchInlineSnapshot(
      `"55ec1bb609eeb1c66b7b0b8dafc69ff78cacfa249eceec61e54e6f3b5e1a590d"`,
    );
  });

  it('is another one as soon as a nonce differs', () => {
    const again = [goOf('shopgood', { nonce: hash('0a') }), goOf('newsnow')];
    expect(sessionOf(again, room.policy, PARTIES)).not.toBe(sessionOf(gos, room.policy, PARTIES));
  });

  it.each<[string, readonly SignedGo[], string]>([
    ['a missing go', [goOf('shopgood')], 'newsnow'],
    ['a party twice', [goOf('shopgood'), goOf('shopgood'), goOf('newsnow')], 'shopgood'],
    ['an outsider', [...gos, goOf('eve')], 'eve'],
    ['the signature of another', [goOf('shopgood'), goOf('newsnow', {}, 'shopgood')], 'newsnow'],
    ...(
      [
        ['room', 'elsewhere'],
        ['policy_digest', hash('0b')],
        ['query_id', 'query-0000000002'],
        ['plan_digest', hash('0c')],
        ['submission_digest', hash('0d')],
        ['suite', 'parley-mpc-0'],
      ] as const
    ).map(([field, value]): [string, readonly SignedGo[], string] => [
      `another ${field}`,
      [goOf('shopgood'), goOf('newsnow', { [field]: value })],
      'newsnow',
    ]),
  ])('is refused with %s, naming the party', (_, list, party) => {
    expect(() => sessionOf(list, room.policy, PARTIES)).toThrow(
      expect.objectContaining({
        code: 'GO_INVALID',
        detail: expect.objectContaining({ party }) as object,
      }),
    );
  });

  it('is refused when both goes are of a run the caller did not ask for', () => {
    for (const field of ['query_id', 'plan_digest', 'submission_digest', 'suite'] as const) {
      expect(() => sessionOf(gos, room.policy, PARTIES, { [field]: hash('0e') })).toThrow(
        expect.objectContaining({ code: 'GO_INVALID' }),
      );
    }
    const foreign = PARTIES.map((party) => goOf(party, { policy_digest: other.digest }));
    expect(() => sessionOf(foreign, room.policy, PARTIES)).toThrow(
      expect.objectContaining({ code: 'GO_INVALID' }),
    );
  });
});

describe('receipt', () => {
  it('is believed from its party alone', () => {
    expect(verifyReceipt(signedReceipt, room.policy)).toEqual(receipt);
    const forged = signReceipt(receipt, partyKeys('newsnow').identity.privateKey);
    expect(() => verifyReceipt(forged, room.policy)).toThrow(
      expect.objectContaining({ code: 'RECEIPT_INVALID', detail: { party: 'shopgood' } }),
    );
  });

  it('cannot be read as a go, nor the other way round', () => {
    const go = goOf('shopgood');
    const swapped = { document: go.document as unknown as Receipt, signature: go.signature };
    expect(() => verifyReceipt(swapped, room.policy)).toThrow(
      expect.objectContaining({ code: 'RECEIPT_INVALID' }),
    );
  });

  it('has a noise record that is a JSON object of at most 32 KiB', () => {
    const parse = (noise: unknown): unknown =>
      parseRecord(
        signedReceiptSchema,
        { ...signedReceipt, document: { ...receipt, noise } },
        'receipt',
      );
    expect(() => parse({ a: 'x'.repeat(32 * 1024 - 8) })).not.toThrow();
    for (const noise of [{ a: 'x'.repeat(32 * 1024) }, [], null, 'off', { a: undefined }]) {
      expect(() => parse(noise)).toThrow(expect.objectContaining({ code: 'REQUEST_MALFORMED' }));
    }
  });
});

describe('sealed share', () => {
  const context: SealContext = {
    room: room.policy.room,
    policy_digest: room.digest,
    query_id: submission.query_id,
    plan_digest: hash('01'),
    session: hash('05'),
    party: 'shopgood',
  };
  const { publicKey, privateKey } = room.ana.sealing;

  it('opens to what was sealed, in a form the schema reads', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (share) => {
        const sealed = await sealShare(share, publicKey, context);
        expect(parseRecord(sealedShareSchema, sealed, 'share')).toEqual(sealed);
        expect(await openShare(sealed, privateKey, context)).toEqual(share);
      }),
      { numRuns: 20 },
    );
  });

  it('is fresh every time', async () => {
    const [a, b] = [
      await sealShare(utf8('x'), publicKey, context),
      await sealShare(utf8('x'), publicKey, context),
    ];
    expect(a.enc).not.toBe(b.enc);
    expect(shareDigest(a)).not.toBe(shareDigest(b));
  });

  it('takes 720 KiB and a salt, and no more', async () => {
    const sealed = await sealShare(new Uint8Array(OPENING_BYTES_MAX), publicKey, context);
    expect(parseRecord(sealedShareSchema, sealed, 'share')).toEqual(sealed);
    expect(JSON.stringify(sealed).length).toBeLessThan(1024 * 1024 - 60 * 1024);
    await expect(
      sealShare(new Uint8Array(OPENING_BYTES_MAX + 1), publicKey, context),
    ).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it.each(Object.keys(context) as (keyof SealContext)[])(
    'does not open in another %s',
    async (f) => {
      const sealed = await sealShare(utf8('secret'), publicKey, context);
      await expect(
        openShare(sealed, privateKey, { ...context, [f]: 'another' }),
      ).rejects.toMatchObject({ code: 'RESULT_INVALID' });
    },
  );

  it('does not open when altered, cut, or for another analyst', async () => {
    const sealed = await sealShare(utf8('secret'), publicKey, context);
    const flip = (text: string): string => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    const cases = [
      { ...sealed, ciphertext: flip(sealed.ciphertext) },
      { ...sealed, ciphertext: sealed.ciphertext.slice(0, -4) },
      { ...sealed, ciphertext: `${sealed.ciphertext}=` },
      { ...sealed, enc: flip(sealed.enc) },
      { ...sealed, enc: toBase64Url(new Uint8Array(32)) },
    ];
    for (const changed of cases) {
      await expect(openShare(changed, privateKey, context)).rejects.toMatchObject({
        code: 'RESULT_INVALID',
        detail: { party: 'shopgood' },
      });
    }
    await expect(
      openShare(sealed, analystKeys('eve').sealing.privateKey, context),
    ).rejects.toMatchObject({ code: 'RESULT_INVALID' });
  });

  it('uses the suite of RFC 9180 as its published vector has it', async () => {
    const url = new URL('../vectors/hpke/x25519-sha256-aes256gcm-base.json', import.meta.url);
    const v = JSON.parse(readFileSync(url, 'utf8')) as Record<string, string>;
    const hex = (name: string): Uint8Array => fromHex(v[name] ?? '', (v[name] ?? '').length / 2);
    const suite = hpkeSuite();
    expect([suite.kem.id, suite.kdf.id, suite.aead.id]).toEqual([0x20, 1, 2]);
    const secret = async (name: string): Promise<webcrypto.CryptoKey> =>
      (await suite.kem.deserializePrivateKey(hex(name))) as webcrypto.CryptoKey;
    const open = async (name: string): Promise<webcrypto.CryptoKey> =>
      (await suite.kem.deserializePublicKey(hex(name))) as webcrypto.CryptoKey;
    const recipientKey = await secret('skRm');
    const opened = await suite.open(
      { recipientKey, enc: hex('enc'), info: hex('info') },
      hex('ct'),
      hex('aad'),
    );
    expect(toHex(new Uint8Array(opened))).toBe(v['pt']);
    const ekm = { privateKey: await secret('skEm'), publicKey: await open('pkEm') };
    const sealed = await suite.seal(
      {
        recipientPublicKey: await open('pkRm'),
        info: hex('info'),
        ekm,
      },
      hex('pt'),
      hex('aad'),
    );
    expect(toHex(new Uint8Array(sealed.enc))).toBe(v['enc']);
    expect(toHex(new Uint8Array(sealed.ct))).toBe(v['ct']);
  });

  it('opens with the key pair a key file holds', async () => {
    // The same scalar through node:crypto (public half) and through HPKE (private half).
    const pair = analystKeys('someone').sealing;
    expect(parsePublicKey('x25519', pair.publicKey)).toHaveLength(32);
    const sealed = await sealShare(utf8('both halves'), pair.publicKey, context);
    const opened = await openShare(sealed, pair.privateKey, context);
    expect(opened).toEqual(utf8('both halves'));
    await expect(
      openShare(sealed, new Redacted(new Uint8Array(32)), context),
    ).rejects.toMatchObject({ code: 'RESULT_INVALID' });
  });
});

describe('schemas', () => {
  const record = {
    version: 1,
    query_id: submission.query_id,
    state: 'failed',
    revision: 3,
    plan_digest: hash('01'),
    error: {
      code: 'PARTY_AWAY',
      fault: 'transport',
      message: 'a party is away',
      detail: { party: 'newsnow' },
    },
    progress: [{ party: 'shopgood', stage: 'join', done: 1, total: 2 }],
    gos,
    answers: [],
  };

  it('read a query record', () => {
    expect(parseRecord(queryRecordSchema, record, 'record')).toEqual(record);
  });

  it.each([
    ['an unknown field', { ...record, extra: 1 }, ''],
    [
      'an unknown error code',
      { ...record, error: { ...record.error, code: 'NOPE' } },
      'error.code',
    ],
    ['a negative revision', { ...record, revision: -1 }, 'revision'],
    [
      'an endless message',
      { ...record, error: { ...record.error, message: 'x'.repeat(501) } },
      'error.message',
    ],
    ['too many goes', { ...record, gos: Array.from({ length: 9 }, () => gos[0]) }, 'gos'],
    ['a prototype in a go', { ...record, gos: [{ ...gos[0], signature: 'x' }] }, 'gos.0.signature'],
  ])('refuse %s', (_, value, path) => {
    expect(() => parseRecord(queryRecordSchema, value, 'record')).toThrow(
      expect.objectContaining({
        code: 'REQUEST_MALFORMED',
        detail: { path: path === '' ? '(document)' : path },
      }),
    );
  });

  it('refuse every go with one field missing, and survive any JSON', () => {
    const [go] = gos;
    for (const field of Object.keys(go?.document ?? {})) {
      const rest = Object.fromEntries(
        Object.entries(go?.document ?? {}).filter(([name]) => name !== field),
      );
      expect(() => parseRecord(signedGoSchema, { ...go, document: rest }, 'go')).toThrow();
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => parseRecord(signedGoSchema, value, 'go')).toThrow(
          expect.objectContaining({ code: 'REQUEST_MALFORMED' }),
        );
      }),
    );
  });
});
