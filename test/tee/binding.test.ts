// Goal: evidence that is genuine and of the right code is still refused when it is bound to other
// keys, another run, other nonces or another type; and nothing but `accepted` reads as consent.
import { describe, expect, it } from 'vitest';
import { generateKeyPair, type TeePolicy, type TeeReference } from '../../src/policy/index.ts';
import { bindingOf, type BindingClaims } from '../../src/tee-adapter/binding.ts';
import { signSimulated, SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import { appraise } from '../../src/tee-adapter/verify/index.ts';
import type { AttestationResult, Evidence } from '../../src/tee-adapter/verify/index.ts';
import { NOW, REFERENCE as NITRO, nitroTwin } from '../support/nitro-twin.ts';
import * as nitro from '../support/nitro-twin.ts';
import { snpTwin, twinContext } from '../support/snp-twin.ts';
import { vector } from '../support/tee-vectors.ts';

const enclave = { signing: generateKeyPair('ed25519'), sealing: generateKeyPair('x25519') };
const other = { signing: generateKeyPair('ed25519'), sealing: generateKeyPair('x25519') };
const simulator = generateKeyPair('ed25519');
const NONCE = new Uint8Array(32).fill(0x11);
const hex = (byte: string): string => byte.repeat(32);

function claimsOf(tee: BindingClaims['tee']): BindingClaims {
  return {
    tee,
    signing_key: enclave.signing.publicKey,
    sealing_key: enclave.sealing.publicKey,
    nonces: { shopgood: hex('11'), newsnow: hex('22') },
    policy: hex('aa'),
    plan: hex('bb'),
    session: hex('cc'),
  };
}

const MEASUREMENT = hex('5a');
const SIMULATED: TeeReference = {
  type: 'simulated',
  signing_key: simulator.publicKey,
  measurements: [MEASUREMENT],
  not_after: '2099-12-31',
};

function evidenceFor(claims: BindingClaims): Evidence {
  const { reportData, nonce, publicKey } = bindingOf(claims);
  if (claims.tee === 'aws-nitro') {
    const fields = { user_data: reportData, nonce, public_key: publicKey };
    return { tee: 'aws-nitro', document: nitroTwin({ fields }) };
  }
  if (claims.tee === 'simulated') {
    const statement = signSimulated(MEASUREMENT, reportData, simulator.privateKey);
    return { tee: 'simulated', statement };
  }
  const { report, endorsements } = snpTwin({ edit: (bytes) => bytes.set(reportData, 0x50) });
  return { tee: 'amd-sev-snp', report, endorsements };
}

const POLICY: TeePolicy = { references: [snpTwin().reference, NITRO, SIMULATED] };
const ANCHORS = { ...twinContext().anchors, aws: nitro.twinContext().anchors.aws };
const OWN = { party: 'shopgood', nonce: NONCE };

interface Change {
  readonly evidence?: Evidence;
  readonly claims?: Partial<BindingClaims>;
  readonly own?: Partial<typeof OWN>;
  readonly policy?: TeePolicy;
  readonly nowMs?: number;
}

function ask(tee: BindingClaims['tee'], change: Change = {}): AttestationResult {
  const claims = claimsOf(tee);
  return appraise(
    {
      evidence: change.evidence ?? evidenceFor(claims),
      policy: change.policy ?? POLICY,
      claims: { ...claims, ...change.claims },
      own: { ...OWN, ...change.own },
      nowMs: change.nowMs ?? NOW,
    },
    ANCHORS,
  );
}

const codeOf = (result: AttestationResult): string =>
  result.decision === 'rejected' ? result.code : result.decision;

const TYPES = ['amd-sev-snp', 'aws-nitro', 'simulated'] as const;

describe.each(TYPES)('%s', (tee) => {
  const decision = tee === 'simulated' ? 'accepted_simulated' : 'accepted';
  const nonceOrBinding = tee === 'aws-nitro' ? 'EVIDENCE_NONCE' : 'EVIDENCE_BINDING';

  it('is accepted as what it is', () => {
    const result = ask(tee);
    expect(result.decision).toBe(decision);
    const [entry] = Object.values(result.ear.submods);
    expect(entry!['ear.status']).toBe(tee === 'simulated' ? 'contraindicated' : 'affirming');
  });

  it.each([
    ['45 another signing key', { signing_key: other.signing.publicKey }],
    ['45 another sealing key', { sealing_key: other.sealing.publicKey }],
    ['45 another policy', { policy: hex('ab') }],
    ['47 another plan', { plan: hex('bc') }],
    ['47 another session', { session: hex('cd') }],
    ['44 another party’s nonce replayed', { nonces: { shopgood: hex('11'), newsnow: hex('23') } }],
    ['44 a party more', { nonces: { ...claimsOf(tee).nonces, third: hex('33') } }],
  ] as const)('%s', (_, claims) => {
    expect(codeOf(ask(tee, { claims }))).toBe(nonceOrBinding);
  });

  it.each([
    ['44 own nonce absent', { claims: { nonces: { newsnow: hex('22') } } }],
    ['44 no nonces', { claims: { nonces: {} } }],
    ['44 own nonce of another day', { own: { nonce: new Uint8Array(32).fill(0x12) } }],
    ['44 own nonce of 31 bytes', { own: { nonce: NONCE.slice(1) } }],
    [
      '44 an empty nonce',
      { claims: { nonces: { shopgood: '' } }, own: { nonce: new Uint8Array() } },
    ],
    ['44 a name of Object', { own: { party: 'constructor' } }],
  ] satisfies [string, Change][])('%s', (_, change) => {
    expect(codeOf(ask(tee, change))).toBe('EVIDENCE_NONCE');
  });

  it('the policy no longer holds', () => {
    const nowMs = Date.parse('2100-01-01T00:00:00Z');
    expect(codeOf(ask(tee, { nowMs }))).toBe('REFERENCE_EXPIRED');
  });

  it('the policy names another type', () => {
    const references = POLICY.references.filter(({ type }) => type !== tee);
    const code = tee === 'simulated' ? 'EVIDENCE_SIMULATED' : 'EVIDENCE_TYPE';
    expect(codeOf(ask(tee, { policy: { references } }))).toBe(code);
  });

  it('a policy without references', () => {
    const result = ask(tee, { policy: { references: [] } });
    expect(result.decision).toBe('rejected');
  });
});

describe('between types', () => {
  it('45 the type is part of what is bound', () => {
    const statement = signSimulated(
      MEASUREMENT,
      bindingOf(claimsOf('amd-sev-snp')).reportData,
      simulator.privateKey,
    );
    const result = ask('simulated', { evidence: { tee: 'simulated', statement } });
    expect(codeOf(result)).toBe('EVIDENCE_BINDING');
  });

  it('45 evidence of one type where another was asked for', () => {
    const evidence = evidenceFor(claimsOf('simulated'));
    expect(codeOf(ask('amd-sev-snp', { evidence }))).toBe('EVIDENCE_BINDING');
  });

  it('45 a simulated statement bound to a run that asked for hardware', () => {
    const statement = signSimulated(
      MEASUREMENT,
      bindingOf(claimsOf('amd-sev-snp')).reportData,
      simulator.privateKey,
    );
    const result = ask('amd-sev-snp', { evidence: { tee: 'simulated', statement } });
    expect(codeOf(result)).toBe('EVIDENCE_BINDING');
  });

  it('49 simulated evidence to a policy of hardware alone', () => {
    const policy = { references: [snpTwin().reference] };
    expect(codeOf(ask('simulated', { policy }))).toBe('EVIDENCE_SIMULATED');
  });

  it('49 a paravisor’s report to a policy that names plain SNP', () => {
    const path = 'sev-snp/azure-milan-v2';
    const evidence: Evidence = {
      tee: 'azure-sev-snp-vtpm',
      hcl: vector(`${path}/hcl-report.bin`),
      quote: vector(`${path}/tpm-quote.msg`),
      signature: vector(`${path}/tpm-quote.sig`),
      pcrs: [],
      endorsements: { leaf: vector(`${path}/vcek.der`) },
    };
    expect(codeOf(ask('azure-sev-snp-vtpm', { evidence }))).toBe('EVIDENCE_TYPE');
  });
});

describe('simulated statements', () => {
  const { reportData } = bindingOf(claimsOf('simulated'));
  const good = signSimulated(MEASUREMENT, reportData, simulator.privateKey);
  const rejects = (statement: Uint8Array): string =>
    codeOf(ask('simulated', { evidence: { tee: 'simulated', statement } }));

  it('say what they are', () => {
    expect(Buffer.from(good).toString()).toContain(SIMULATION_NOTICE);
  });

  it.each([
    [
      'signed by another key',
      signSimulated(MEASUREMENT, reportData, other.signing.privateKey),
      'EVIDENCE_SIGNATURE',
    ],
    [
      'of another measurement',
      signSimulated(hex('5b'), reportData, simulator.privateKey),
      'EVIDENCE_MEASUREMENT',
    ],
    ['cut', good.slice(1), 'EVIDENCE_MALFORMED'],
    ['empty', new Uint8Array(), 'EVIDENCE_MALFORMED'],
    [
      'without the notice',
      Buffer.from(Buffer.from(good).toString().replace('SIMULATED', 'GENUINE')),
      'EVIDENCE_MALFORMED',
    ],
  ])('%s', (_, statement, code) => expect(rejects(statement)).toBe(code));
});

describe('56 failures of our own', () => {
  it('an error without a code is a rejection', () => {
    const evidence = { tee: 'aws-nitro', document: null } as never;
    expect(codeOf(ask('aws-nitro', { evidence }))).toBe('INTERNAL');
  });
  it('evidence of a type nobody knows is a rejection', () => {
    const evidence = { tee: 'arm-cca' } as never;
    expect(ask('arm-cca' as never, { evidence }).decision).toBe('rejected');
  });
});
