// Goal: the attesters make evidence that the verifiers accept, through a tree of files that behaves
// as the kernel's does, and refuse to hand out a report that is not about what they asked.
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateKeyPair } from '../../src/policy/index.ts';
import {
  nitroAttester,
  nodeTsmIo,
  nsmHelper,
  simulatedAttester,
  snpAttester,
  tdxAttester,
} from '../../src/tee-adapter/attest/index.ts';
import { attestationRequest } from '../../src/tee-adapter/attest/nsm.ts';
import { bindingOf, type BindingClaims } from '../../src/tee-adapter/binding.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import { appraise, type Evidence } from '../../src/tee-adapter/verify/index.ts';
import { readCbor } from '../../src/tee-adapter/verify/cbor.ts';
import { fakeTsm, type FakeKernel } from '../support/fake-tsm.ts';
import * as intel from '../support/intel-twin.ts';
import * as nitro from '../support/nitro-twin.ts';
import * as snp from '../support/snp-twin.ts';
import { tdxReference } from '../support/tee-vectors.ts';

const simulator = generateKeyPair('ed25519');
const MEASUREMENT = '5a'.repeat(32);
const ANCHORS = {
  ...snp.twinContext().anchors,
  intel: intel.twinContext().anchors.intel,
  aws: nitro.twinContext().anchors.aws,
};
const POLICY = {
  references: [
    snp.snpTwin().reference,
    tdxReference('phala-v4'),
    nitro.REFERENCE,
    {
      type: 'simulated',
      signing_key: simulator.publicKey,
      measurements: [MEASUREMENT],
      not_after: '2099-12-31',
    },
  ],
} as const;

function claimsOf(tee: BindingClaims['tee']): BindingClaims {
  return {
    tee,
    signing_key: generateKeyPair('ed25519').publicKey,
    sealing_key: generateKeyPair('x25519').publicKey,
    nonces: { shopgood: '11'.repeat(32) },
    policy: 'aa'.repeat(32),
    plan: 'bb'.repeat(32),
    session: 'cc'.repeat(32),
  };
}

function decisionOn(evidence: Evidence, claims: BindingClaims): string {
  const own = { party: 'shopgood', nonce: new Uint8Array(32).fill(0x11) };
  const result = appraise({ evidence, policy: POLICY, claims, own, nowMs: snp.NOW }, ANCHORS);
  return result.decision === 'rejected' ? result.code : result.decision;
}

const codeOf = (error: unknown): string => (error as { code: string }).code;
const GUIDS = {
  vcek: '63da758de6644564adc5f4b93be8accd',
  ask: '4ab7b379bbac4fe4a02f05aef327c782',
};

/** A table as the GHCB specification lays it out: entries, a zero entry, then the certificates. */
function certTable(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  let at = 24 * (entries.length + 1);
  const heads = entries.map(([guid, der]) => {
    const head = Buffer.alloc(24);
    head.write(guid, 0, 'hex');
    head.writeUInt32LE(at, 16);
    head.writeUInt32LE(der.length, 20);
    at += der.length;
    return head;
  });
  return Uint8Array.from(
    Buffer.concat([...heads, Buffer.alloc(24), ...entries.map(([, der]) => der)]),
  );
}

const SNP_KERNEL: FakeKernel = {
  provider: 'sev_guest',
  outblob: (inblob) => snp.snpTwin({ edit: (report) => report.set(inblob, 0x50) }).report,
  auxblob: certTable([
    [GUIDS.vcek, snp.snpTwin().endorsements.leaf],
    [GUIDS.ask, snp.AMD.milan.ask.der],
  ]),
};
const TDX_KERNEL: FakeKernel = {
  provider: 'tdx_guest',
  outblob: (inblob) => intel.quoteTwin({ edit: (signed) => signed.set(inblob, 48 + 520) }),
  auxblob: new Uint8Array(),
};
const collateral = () => Promise.resolve(intel.collateralTwin());

describe('through configfs-tsm', () => {
  it('SNP: evidence that the verifier accepts, and nothing left behind', async () => {
    const tsm = await fakeTsm(SNP_KERNEL);
    const claims = claimsOf('amd-sev-snp');
    const evidence = await snpAttester(tsm).attest(bindingOf(claims));
    expect(decisionOn(evidence, claims)).toBe('accepted');
    expect(decisionOn(evidence, claimsOf('amd-sev-snp'))).toBe('EVIDENCE_BINDING');
    expect(tsm.writes).toEqual([64]);
    expect(await tsm.entries()).toEqual([]);
  });

  it('TDX: evidence that the verifier accepts, and nothing left behind', async () => {
    const tsm = await fakeTsm(TDX_KERNEL);
    const claims = claimsOf('intel-tdx');
    const evidence = await tdxAttester({ ...tsm, collateral }).attest(bindingOf(claims));
    expect(decisionOn(evidence, claims)).toBe('accepted');
    expect(tsm.writes).toEqual([64]);
    expect(await tsm.entries()).toEqual([]);
  });

  const FAULTS: readonly (readonly [string, string, Partial<FakeKernel>])[] = [
    ['a race before the report is read', 'ATTESTER_INTERFERED', { fault: 'race' }],
    ['a race after it was read', 'ATTESTER_INTERFERED', { fault: 'late' }],
    ['a write that was dropped', 'ATTESTER_INTERFERED', { fault: 'dropped' }],
    ['a write that never happened', 'ATTESTER_INTERFERED', { fault: 'lost' }],
    ['another provider', 'ATTESTER_UNAVAILABLE', { provider: 'arm_cca_guest' }],
    ['no provider', 'ATTESTER_UNAVAILABLE', { mkdirError: 'ENXIO' }],
    ['no configfs', 'ATTESTER_UNAVAILABLE', { mkdirError: 'ENOENT' }],
    ['no privileges', 'ATTESTER_UNAVAILABLE', { mkdirError: 'EACCES' }],
    ['a generation that wrapped', 'ATTESTER_INTERFERED', { readError: 'EBUSY' }],
    ['a report that is none', 'ATTESTER_UNAVAILABLE', { outblob: () => new Uint8Array(10) }],
    ['an endless report', 'ATTESTER_UNAVAILABLE', { outblob: () => new Uint8Array(40_000) }],
  ];
  it.each(FAULTS)('SNP: %s: %s', async (_, code, fault) => {
    const tsm = await fakeTsm({ ...SNP_KERNEL, ...fault });
    const run = snpAttester(tsm).attest(bindingOf(claimsOf('amd-sev-snp')));
    expect(codeOf(await run.catch((error: unknown) => error))).toBe(code);
    expect(await tsm.entries()).toEqual([]);
  });
  it.each(FAULTS)('TDX: %s: %s', async (_, code, fault) => {
    const tsm = await fakeTsm({ ...TDX_KERNEL, ...fault });
    const run = tdxAttester({ ...tsm, collateral }).attest(bindingOf(claimsOf('intel-tdx')));
    expect(codeOf(await run.catch((error: unknown) => error))).toBe(code);
    expect(await tsm.entries()).toEqual([]);
  });

  it('SNP: a host without certificates, and an operator who has them', async () => {
    const tsm = await fakeTsm({ ...SNP_KERNEL, auxblob: new Uint8Array() });
    const claims = claimsOf('amd-sev-snp');
    const alone = snpAttester(tsm).attest(bindingOf(claims));
    expect(codeOf(await alone.catch((error: unknown) => error))).toBe('ATTESTER_UNAVAILABLE');
    const endorse = () => Promise.resolve(snp.snpTwin().endorsements);
    const evidence = await snpAttester({ ...tsm, endorse }).attest(bindingOf(claims));
    expect(decisionOn(evidence, claims)).toBe('accepted');
  });

  it('SNP: a certificate table that points outside itself', async () => {
    const auxblob = SNP_KERNEL.auxblob.slice();
    new DataView(auxblob.buffer).setUint32(20, 0xffffffff, true);
    const tsm = await fakeTsm({ ...SNP_KERNEL, auxblob });
    const run = snpAttester(tsm).attest(bindingOf(claimsOf('amd-sev-snp')));
    expect(codeOf(await run.catch((error: unknown) => error))).toBe('EVIDENCE_MALFORMED');
  });

  it('on a machine without any: unavailable', async () => {
    const root = join(mkdtempSync(join(tmpdir(), 'parley-tsm-')), 'absent');
    const run = snpAttester({ root, io: nodeTsmIo }).attest(bindingOf(claimsOf('amd-sev-snp')));
    expect(codeOf(await run.catch((error: unknown) => error))).toBe('ATTESTER_UNAVAILABLE');
  });
});

describe('Nitro', () => {
  const claims = claimsOf('aws-nitro');
  const binding = bindingOf(claims);

  /** What the module does with a request. */
  function module(request: Uint8Array): Uint8Array {
    const outer = readCbor(request) as Map<string, Map<string, Uint8Array>>;
    const asked = outer.get('Attestation')!;
    const fields = Object.fromEntries(asked);
    const document = nitro.nitroTwin({ fields });
    const reply = new nitro.Pairs([['Attestation', new nitro.Pairs([['document', document]])]]);
    return Uint8Array.from(nitro.encode(reply));
  }

  it('asks for the three fields and hands the document on', async () => {
    const evidence = await nitroAttester((request) => Promise.resolve(module(request))).attest(
      binding,
    );
    expect(decisionOn(evidence, claims)).toBe('accepted');
  });

  it.each([
    ['an error', nitro.encode(new nitro.Pairs([['Error', 'InvalidArgument']]))],
    ['nothing', []],
    ['no document', nitro.encode(new nitro.Pairs([['Attestation', new nitro.Pairs([])]]))],
    ['bytes that are no CBOR', [0xff, 0xff]],
  ])('the module answers with %s', async (_, reply) => {
    const nsm = () => Promise.resolve(Uint8Array.from(reply));
    const run = nitroAttester(nsm).attest(binding);
    expect(codeOf(await run.catch((error: unknown) => error))).toBe('ATTESTER_UNAVAILABLE');
  });

  /** A helper that is a script; Node itself runs it. */
  function script(body: string): readonly [string, readonly string[]] {
    const file = join(mkdtempSync(join(tmpdir(), 'parley-nsm-')), 'helper.cjs');
    writeFileSync(file, body);
    chmodSync(file, 0o700);
    return [process.execPath, [file]];
  }
  const request = attestationRequest(binding.reportData, binding.nonce, binding.publicKey);

  it('through a helper process: bytes in, bytes out, empty environment', async () => {
    const echo = script(
      `const parts = [Buffer.from(String(Object.keys(process.env).length))];
       process.stdin.on('data', (d) => parts.push(d));
       process.stdin.on('end', () => process.stdout.write(Buffer.concat(parts)));`,
    );
    const answer = await nsmHelper(...echo, 10_000)(request);
    expect(Buffer.from(answer)).toEqual(Buffer.concat([Buffer.from('0'), request]));
  });

  it.each([
    ['fails', 'process.exit(1)', 10_000, 'ATTESTER_UNAVAILABLE'],
    [
      'answers without end',
      "setInterval(() => process.stdout.write('x'.repeat(4096)), 1)",
      10_000,
      'ATTESTER_UNAVAILABLE',
    ],
    ['never answers', 'setInterval(() => {}, 1000)', 300, 'TIMEOUT'],
  ])('a helper that %s', async (_, body, timeoutMs, code) => {
    const run = nsmHelper(...script(body), timeoutMs)(request);
    expect(codeOf(await run.catch((error: unknown) => error))).toBe(code);
  });

  it('a helper that is not there', async () => {
    const run = nsmHelper('/nonexistent/nsm-helper', [], 10_000)(request);
    expect(codeOf(await run.catch((error: unknown) => error))).toBe('ATTESTER_UNAVAILABLE');
  });
});

describe('simulated', () => {
  it('shouts at the start and at every statement', async () => {
    const shouted: string[] = [];
    const attester = simulatedAttester({
      measurement: MEASUREMENT,
      signingKey: simulator.privateKey,
      shout: (notice) => shouted.push(notice),
    });
    const claims = claimsOf('simulated');
    const evidence = await attester.attest(bindingOf(claims));
    expect(shouted).toEqual([SIMULATION_NOTICE, SIMULATION_NOTICE]);
    expect(decisionOn(evidence, claims)).toBe('accepted_simulated');
  });
});
