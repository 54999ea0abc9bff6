// Goal: reference values of enclaves are spelled out in the signed policy; a missing or empty one
// is refused when the policy is read, before any evidence is looked at.
import { describe, expect, it } from 'vitest';
import { teeSchema } from '../../src/policy/index.ts';

const M48 = '11'.repeat(48);
const ZERO48 = '00'.repeat(48);
const TCB = { bootloader: 4, tee: 0, snp: 24, microcode: 219 };

const SNP = {
  type: 'amd-sev-snp',
  measurements: [M48],
  min_tcb: { milan: TCB },
  endorsement_keys: ['vcek'],
  revocation_list: 'required',
  not_after: '2027-12-31',
};
const TDX = {
  type: 'intel-tdx',
  measurements: [{ mrtd: M48, rtmr0: 'any', rtmr1: M48, rtmr2: M48 }],
  tcb_statuses: ['UpToDate'],
  min_tcb_evaluation: 18,
  not_after: '2027-12-31',
};
const NITRO = {
  type: 'aws-nitro',
  measurements: [{ '0': M48, '1': M48, '2': M48 }],
  max_age_s: 300,
  not_after: '2027-12-31',
};

function accepts(...references: readonly unknown[]): boolean {
  return teeSchema.safeParse({ references }).success;
}

describe('reference values', () => {
  it('reads one of each kind and fills in what defaults to nothing', () => {
    const { references } = teeSchema.parse({ references: [SNP, TDX, NITRO] });
    expect(references[0]).toMatchObject({
      host_data: '00'.repeat(32),
      vlek_providers: [],
      provisional_firmware: 'refused',
    });
    expect(references[1]).toMatchObject({ mr_owner: ZERO48, advisories_accepted: [] });
  });

  it.each([...Object.keys(SNP).filter((k) => k !== 'type')])('SNP without %s', (field) => {
    expect(accepts({ ...SNP, [field]: undefined })).toBe(false);
  });
  it.each([...Object.keys(TDX).filter((k) => k !== 'type')])('TDX without %s', (field) => {
    expect(accepts({ ...TDX, [field]: undefined })).toBe(false);
  });
  it.each([...Object.keys(NITRO).filter((k) => k !== 'type')])('Nitro without %s', (field) => {
    expect(accepts({ ...NITRO, [field]: undefined })).toBe(false);
  });

  it.each([
    ['no references', []],
    ['a type twice', [SNP, SNP]],
    ['a type nobody knows', [{ ...SNP, type: 'arm-cca' }]],
    ['an unknown field', [{ ...SNP, max_vmpl: 3 }]],
    ['an empty list of measurements', [{ ...SNP, measurements: [] }]],
    ['a measurement of zeros', [{ ...SNP, measurements: [ZERO48] }]],
    ['a short measurement', [{ ...SNP, measurements: ['11'] }]],
    ['no product', [{ ...SNP, min_tcb: {} }]],
    ['an unknown product', [{ ...SNP, min_tcb: { naples: TCB } }]],
    [
      'a patch level short of one component',
      [{ ...SNP, min_tcb: { milan: { ...TCB, snp: undefined } } }],
    ],
    ['Turin without fmc', [{ ...SNP, min_tcb: { turin: TCB } }]],
    ['Milan with fmc', [{ ...SNP, min_tcb: { milan: { ...TCB, fmc: 1 } } }]],
    ['MRTD alone', [{ ...TDX, measurements: [{ mrtd: M48 }] }]],
    [
      'any kernel',
      [{ ...TDX, measurements: [{ mrtd: M48, rtmr0: 'any', rtmr1: 'any', rtmr2: M48 }] }],
    ],
    ['an outdated platform', [{ ...TDX, tcb_statuses: ['UpToDate', 'OutOfDate'] }]],
    ['a revoked platform', [{ ...TDX, tcb_statuses: ['Revoked'] }]],
    ['PCR 1 alone', [{ ...NITRO, measurements: [{ '1': M48 }] }]],
    ['PCR 0 of zeros', [{ ...NITRO, measurements: [{ '0': ZERO48, '1': M48, '2': M48 }] }]],
    ['PCR 32', [{ ...NITRO, measurements: [{ '0': M48, '1': M48, '2': M48, '32': M48 }] }]],
    ['PCR 00', [{ ...NITRO, measurements: [{ '0': M48, '1': M48, '2': M48, '00': M48 }] }]],
  ])('refuses %s', (_, references) => expect(accepts(...references)).toBe(false));
});
