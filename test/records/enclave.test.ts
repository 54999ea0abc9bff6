// Goal: what parties and enclaves sign has the bytes it had, and every field of it counts.
import { describe, expect, it } from 'vitest';
import {
  expectAuthorised,
  expectEnvelopeSigned,
  parseRecord,
  signAuthorisation,
  signedAuthorisationSchema,
  signedEnvelopeSchema,
  signEnvelope,
  suiteOf,
  type TeeAuthorisation,
  type TeeEnvelope,
} from '../../src/records/index.ts';
import { partyKeys, sampleRoom } from '../policy/samples.ts';

const room = sampleRoom();
const hash = (byte: string): string => byte.repeat(32);
const identity = partyKeys('shopgood').identity;
const run = {
  version: 1,
  room: room.policy.room,
  policy_digest: room.digest,
  query_id: 'query-0000000001',
  plan_digest: hash('01'),
  submission_digest: hash('02'),
  session: hash('03'),
} as const;

const authorisation: TeeAuthorisation = {
  ...run,
  party: 'shopgood',
  ledger_before: hash('04'),
  ledger_after: hash('05'),
  nonce: hash('06'),
  evidence_digest: hash('07'),
  signing_key: identity.publicKey,
  sealing_key: partyKeys('shopgood').link.publicKey,
  spent: [{ dataset: 'shopgood/purchases', epoch: '0', epsilon: '1/2', delta: '1/100000' }],
  software: 'parley/test',
};
const envelope: TeeEnvelope = {
  ...run,
  evidence_digest: hash('07'),
  noise: { k: 50 },
  ledgers: { shopgood: { before: hash('04'), after: hash('05') } },
  share_digest: hash('08'),
  share_commitment: hash('09'),
  simulated: true,
};

describe('bytes', () => {
  it('of suites: none is another’s', () => {
    expect(suiteOf('tee')).toMatchInlineSnapshot(
      `"parley-tee/2 evidence=report-data-v1 seal=hpke-x25519 envelope=ed25519"`,
    );
    expect(suiteOf('mpc')).not.toBe(suiteOf('tee'));
  });

  it('of signatures', () => {
    const { privateKey } = identity;
    expect(signAuthorisation(authorisation, privateKey).signature).toMatchInlineSnapshot(
      `"9KrGLOB-clFX2I6eXLlqgbM7l66d0_p10T8MjPfB72Ev7895mLy-YxUDPklxdh1Jp2O_aHfLs9rQVovphrYhAg"`,
    );
    expect(signEnvelope(envelope, privateKey).signature).toMatchInlineSnapshot(
      `"2wSSy7sDfpMlpdC0kefF_vm7OWQeYLyhyt1B3QI2yJcOB_td6pLinopc3HM4Kmah0Ala5Hw-hS0dg6--Kq8TBQ"`,
    );
  });
});

describe('an authorisation', () => {
  const expected = (({ version, spent, software, ...fields }) => {
    expect([version, spent, software]).toHaveLength(3);
    return fields;
  })(authorisation);
  const signed = signAuthorisation(authorisation, identity.privateKey);

  it('is taken for exactly what it names', () => {
    expect(() => expectAuthorised([signed], [expected], room.policy)).not.toThrow();
  });

  it.each(Object.keys(expected))('is refused where %s differs, signed or not', (field) => {
    const value = expected[field as keyof typeof expected];
    const changed = `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
    const other = { ...authorisation, [field]: changed };
    const unsigned = { ...signed, document: other };
    const lied = signAuthorisation(other, identity.privateKey);
    for (const one of [unsigned, lied]) {
      expect(() => expectAuthorised([one], [expected], room.policy)).toThrow(
        expect.objectContaining({ code: 'GO_INVALID' }),
      );
    }
  });

  it('is of a strict form', () => {
    const parse = (change: object): unknown =>
      parseRecord(
        signedAuthorisationSchema,
        { ...signed, document: { ...authorisation, ...change } },
        'authorisation',
      );
    expect(parse({})).toEqual(signed);
    for (const change of [
      { extra: 1 },
      { nonce: 'x' },
      { spent: [{ ...authorisation.spent[0], epsilon: '-1' }] },
      { spent: [] },
    ]) {
      expect(() => parse(change)).toThrow(expect.objectContaining({ code: 'REQUEST_MALFORMED' }));
    }
  });
});

describe('an envelope', () => {
  const signed = signEnvelope(envelope, identity.privateKey);

  it.each(Object.keys(envelope))('whose %s was changed is not signed', (field) => {
    expect(() => expectEnvelopeSigned(signed, identity.publicKey)).not.toThrow();
    const document = { ...envelope, [field]: 'other' } as unknown as TeeEnvelope;
    expect(() => expectEnvelopeSigned({ ...signed, document }, identity.publicKey)).toThrow(
      expect.objectContaining({ code: 'RECEIPT_INVALID' }),
    );
  });

  it('is of a strict form, with a bounded noise record', () => {
    const parse = (change: object): unknown =>
      parseRecord(
        signedEnvelopeSchema,
        { ...signed, document: { ...envelope, ...change } },
        'envelope',
      );
    expect(parse({})).toEqual(signed);
    for (const change of [{ extra: 1 }, { simulated: 0 }, { noise: { x: 'y'.repeat(40_000) } }]) {
      expect(() => parse(change)).toThrow(expect.objectContaining({ code: 'REQUEST_MALFORMED' }));
    }
  });
});
