// Goal: an operator's file of Intel's collateral goes with a quote to the verifiers and is accepted at
// the right clock; stale, foreign, cut, oversized or forged collateral is refused by its own code, by
// the host where it can see it, and by the verifier whatever the host lets through.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import {
  COLLATERAL_FILE_BYTES_MAX,
  loadCollateral,
  tdxAttester,
} from '../../src/tee-adapter/attest/index.ts';
import { bindingOf, type Binding, type BindingClaims } from '../../src/tee-adapter/binding.ts';
import { evidenceFromJson, evidenceToJson } from '../../src/tee-adapter/evidence-json.ts';
import { generateKeyPair } from '../../src/policy/index.ts';
import { currentCollateral, superviseEnclaves } from '../../src/tee-adapter/host/index.ts';
import {
  appraise,
  PINNED_ANCHORS,
  type IntelCollateral,
} from '../../src/tee-adapter/verify/index.ts';
import { verifyTdx } from '../../src/tee-adapter/verify/tdx.ts';
import { fakeTsm } from '../support/fake-tsm.ts';
import * as intel from '../support/intel-twin.ts';
import { NOW } from '../support/snp-twin.ts';
import {
  at,
  bytesOf,
  EXPECTED,
  phalaCollateral,
  sharedCollateral,
  tdxReference,
  vector,
} from '../support/tee-vectors.ts';

const dir = mkdtempSync(join(tmpdir(), 'parley-collateral-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** The document that docs/tee.md describes. */
function documentOf({ rootCrl, pckCrl, ...texts }: IntelCollateral): Record<string, string> {
  const base64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  return { ...texts, rootCrl: base64Url(rootCrl), pckCrl: base64Url(pckCrl) };
}

let files = 0;
function fileOf(content: string | IntelCollateral): string {
  const file = join(dir, `${(files += 1)}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(documentOf(content)));
  return file;
}

const CLOCK = '2025-06-25T00:00:00Z';
const SPRING = '2026-03-20T00:00:00Z';
const genuine = phalaCollateral('tdx/phala-v4/collateral.json');
const foreign = sharedCollateral('tdx/collateral/tcb_info_90c06f000000.json');
/** Of a platform's February; it ended on 2026-03-03. */
const february = sharedCollateral('tdx/google-v5/tcb_info.json');
type Quote = 'phala-v4' | 'google-v5';

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'accepted';
  } catch (error) {
    return (error as { readonly code?: string }).code ?? String(error);
  }
}

/** From the file through an enclave's attester and a record to the verifier's word. */
async function verified(file: string, clock: string, name: Quote): Promise<void> {
  const reportData = bytesOf(EXPECTED.tdx[name]!.body['reportData']!)!;
  const tsm = await fakeTsm({
    provider: 'tdx_guest',
    // The captured quote, whatever is asked: it is about the report data it was captured for.
    outblob: () => vector(`tdx/${name}/quote.bin`),
    auxblob: new Uint8Array(),
  });
  const collateral = async () => (await loadCollateral(file)).collateral;
  const binding: Binding = { reportData, nonce: new Uint8Array(), publicKey: new Uint8Array() };
  const made = await tdxAttester({ ...tsm, collateral }).attest(binding);
  const evidence = evidenceFromJson(JSON.parse(JSON.stringify(evidenceToJson(made))));
  if (evidence.tee !== 'intel-tdx') throw new Error('evidence changed its type');
  const { collateral: carried } = evidence;
  verifyTdx(evidence, carried, tdxReference(name), { reportData }, at(clock));
}
const hosted = (file: string, clock: string): Promise<string> =>
  codeOf(() => currentCollateral(file, { nowMs: Date.parse(clock) }));

/** What host and verifier say. */
async function both(
  content: string | IntelCollateral,
  clock = CLOCK,
  name: Quote = 'phala-v4',
): Promise<readonly string[]> {
  const file = fileOf(content);
  return [await hosted(file, clock), await codeOf(() => verified(file, clock, name))];
}

describe('genuine collateral of a genuine quote', () => {
  it('is accepted at the right clock, by host and verifier', async () => {
    expect(await both(genuine)).toEqual(['accepted', 'accepted']);
  });

  it('is handed on to the byte', async () => {
    const file = fileOf(genuine);
    const bytes = await currentCollateral(file, { nowMs: Date.parse(CLOCK) });
    expect(Buffer.from(bytes).toString()).toBe(JSON.stringify(documentOf(genuine)));
    expect((await loadCollateral(file)).collateral).toEqual(genuine);
  });

  it('is put together from Intel’s answers by the script of deploy/', async () => {
    const answers = join(dir, 'answers');
    mkdirSync(answers);
    const headers = (name: string, chain: string): string =>
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${name}: ${encodeURIComponent(chain)}\r\n\r\n`;
    for (const [name, content] of Object.entries({
      'tcb.json': genuine.tcbInfo,
      'tcb.headers': headers('TCB-Info-Issuer-Chain', genuine.tcbInfoChain),
      'qe.json': genuine.qeIdentity,
      'qe.headers': headers('SGX-Enclave-Identity-Issuer-Chain', genuine.qeIdentityChain),
      'pck.crl': genuine.pckCrl,
      'root.crl': genuine.rootCrl,
    })) {
      writeFileSync(join(answers, name), content);
    }
    const made = execFileSync(process.execPath, ['deploy/tdx/collateral.mjs', answers]);
    expect(await both(made.toString())).toEqual(['accepted', 'accepted']);
  });
});

const text = JSON.stringify(documentOf(genuine));
const document = documentOf(genuine);
const edited = (change: object): string => JSON.stringify({ ...document, ...change });
const forged = genuine.tcbInfo.replace(/(?<="signature":".{9})./, (c) => (c === '0' ? '1' : '0'));

describe('is refused by its code', () => {
  type Row = readonly [string, string | IntelCollateral, string, (string | null)?, string?, Quote?];
  const rows: readonly Row[] = [
    ['stale: TCB info', february, 'COLLATERAL_STALE', null, SPRING, 'google-v5'],
    ['stale: a list', genuine, 'CRL_STALE', null, '2025-07-19T10:10:00Z'],
    ['of tomorrow', genuine, 'COLLATERAL_FROM_FUTURE', null, '2025-06-19T10:10:00Z'],
    ['of tomorrow: a list', genuine, 'CRL_FROM_FUTURE', null, '2025-06-19T10:00:00Z'],
    // Genuine and current, of another platform: that shows with the quote alone.
    ['foreign', foreign, 'accepted', 'COLLATERAL_OTHER_PLATFORM', SPRING],
    ['of SGX', edited({ qeIdentity: document['tcbInfo'] }), 'COLLATERAL_MALFORMED'],
    ['forged', edited({ tcbInfo: forged }), 'COLLATERAL_SIGNATURE'],
    ['cut in the middle', text.slice(0, text.length / 2), 'COLLATERAL_MALFORMED'],
    [
      'cut inside a member',
      edited({ tcbInfo: genuine.tcbInfo.slice(0, -9) }),
      'COLLATERAL_MALFORMED',
    ],
    ['without a member', edited({ qeIdentity: undefined }), 'COLLATERAL_MALFORMED'],
    ['with a member more', edited({ extra: 1 }), 'COLLATERAL_MALFORMED'],
    ['with a member twice', text.replace('{', '{"rootCrl":"AA",'), 'COLLATERAL_MALFORMED'],
    ['with an empty revocation list', edited({ pckCrl: '' }), 'CRL_MISSING'],
    ['with a list that is none', edited({ rootCrl: 'AAAA' }), 'CRL_MALFORMED'],
    ['with the lists swapped', edited({ rootCrl: document['pckCrl'] }), 'CRL_ISSUER'],
    [
      'not canonical base64url',
      edited({ pckCrl: `${document['pckCrl']}=` }),
      'COLLATERAL_MALFORMED',
    ],
    ['oversized', text + ' '.repeat(COLLATERAL_FILE_BYTES_MAX), 'INPUT_TOO_LARGE'],
    [
      'in an oversized member',
      edited({ tcbInfoChain: 'x'.repeat(300_000) }),
      'COLLATERAL_MALFORMED',
    ],
    ['empty', '', 'COLLATERAL_MALFORMED'],
  ];
  const named = rows.map(([what, ...row]) => ({ what, row }));
  it.each(named)('$what', async ({ row: [content, host, verifier, clock, name] }) => {
    expect(await both(content, clock, name)).toEqual([host, verifier ?? host]);
  });

  it('not there', async () => {
    expect(await hosted(join(dir, 'absent.json'), CLOCK)).toBe('COLLATERAL_MISSING');
  });
});

it('what the host lets through still has to be bound to the run: a whole appraisal', async () => {
  const anchors = { ...PINNED_ANCHORS, intel: intel.twinContext().anchors.intel };
  const file = fileOf(intel.collateralTwin());
  await currentCollateral(file, { nowMs: NOW, anchors });
  const tsm = await fakeTsm({
    provider: 'tdx_guest',
    outblob: (inblob) => intel.quoteTwin({ edit: (signed) => signed.set(inblob, 48 + 520) }),
    auxblob: new Uint8Array(),
  });
  const claims: BindingClaims = {
    tee: 'intel-tdx',
    signing_key: generateKeyPair('ed25519').publicKey,
    sealing_key: generateKeyPair('x25519').publicKey,
    nonces: { shopgood: '11'.repeat(32) },
    ...{ policy: 'aa'.repeat(32), plan: 'bb'.repeat(32), session: 'cc'.repeat(32) },
  };
  const collateral = async () => (await loadCollateral(file)).collateral;
  const evidence = await tdxAttester({ ...tsm, collateral }).attest(bindingOf(claims));
  const policy = { references: [tdxReference('phala-v4')] };
  const own = { party: 'shopgood', nonce: new Uint8Array(32).fill(0x11) };
  const decide = (of: BindingClaims): string => {
    const result = appraise({ evidence, policy, claims: of, own, nowMs: NOW }, anchors);
    return result.decision === 'rejected' ? result.code : result.decision;
  };
  expect(decide(claims)).toBe('accepted');
  expect(decide({ ...claims, session: 'dd'.repeat(32) })).toBe('EVIDENCE_BINDING');
});

describe('the enclave host', () => {
  it('reads the file for every enclave, and starts none when it has gone bad', async () => {
    const file = fileOf(genuine);
    const socket = join(dir, 'host.sock');
    const warned: object[] = [];
    const supervisor = await superviseEnclaves({
      socket,
      attester: ['intel-tdx'],
      collateral: () => currentCollateral(file, { nowMs: Date.parse(CLOCK) }),
      log: { info: () => undefined, warn: (fields) => warned.push(fields) },
    });
    try {
      for (const [content, code] of [
        [text.slice(0, 999), 'COLLATERAL_MALFORMED'],
        [JSON.stringify(documentOf(foreign)), 'CRL_FROM_FUTURE'],
      ] as const) {
        writeFileSync(file, content);
        const connection = connect(socket);
        await new Promise((resolve) => connection.once('close', resolve));
        await vi.waitFor(() => expect(warned.at(-1)).toEqual({ code }));
      }
    } finally {
      await supervisor.close();
    }
  });
});
