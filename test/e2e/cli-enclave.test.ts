// Goal: the enclave route as a person calls it: a sandbox with a simulated enclave says so in every form,
// its answer is that of shares, and `parley verify` reads its receipt and refuses a changed one.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { TeeBundle } from '../../src/client/index.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import {
  connectEnclave,
  enclaveConnection,
  superviseEnclaves,
} from '../../src/tee-adapter/host/index.ts';
import { begin, killAll, type Finished } from '../support/command.ts';
import { phalaCollateral } from '../support/tee-vectors.ts';

const dir = mkdtempSync(join(tmpdir(), 'parley-cli-enclave-'));
afterAll(() => {
  killAll();
  rmSync(dir, { recursive: true });
});

const run = (...args: string[]): Promise<Finished> => begin(args, {}).finished;
const OPEN = 'SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s ';
const FROM = 'FROM joined_data GROUP BY campaign_id';

it('a sandbox: separate processes, said in capitals, the exact sums of the seven rows', async () => {
  const sql = `${OPEN}${FROM}`;
  const { code, stdout, stderr } = await run(
    ...['sandbox', 'examples/seed-open', '--backend', 'tee', '--query', sql],
  );
  expect(code).toBe(0);
  expect(stdout.split('\n')[0]).toBe(`*** ${SIMULATION_NOTICE} ***`);
  // By hand, from the seven rows; test/e2e/cli.test.ts has them from shares.
  expect(stdout).toMatch(/sg_fall25\s+\| 2 \| 107\.75/);
  expect(stderr).toContain(SIMULATION_NOTICE);
  expect(stderr).toMatch(/enclave host \(process \d+\)/);
});

it('with noise: JSON says what it was, and parley verify believes its receipt alone', async () => {
  const receipt = join(dir, 'receipt.json');
  const { code, stdout } = await run(
    ...['sandbox', 'examples/shopgood-newsnow', '--backend', 'tee', '--format', 'json'],
    ...['--receipt', receipt, '--query', `SELECT campaign_id, COUNT(*) AS n ${FROM}`],
  );
  expect(code).toBe(0);
  const answer = JSON.parse(stdout) as { readonly attestation: object; readonly backend: string };
  expect(answer.backend).toBe('tee');
  expect(answer.attestation).toEqual({
    tee: 'simulated',
    decision: 'accepted_simulated',
    notice: SIMULATION_NOTICE,
  });
  const genuine = await run('verify', receipt);
  expect(genuine.code).toBe(0);
  expect(genuine.stdout).toMatch(/^GENUINE/);
  expect(genuine.stdout).toContain(SIMULATION_NOTICE);
  const bundle = JSON.parse(readFileSync(receipt, 'utf8')) as TeeBundle;
  const envelope = {
    ...bundle.envelope,
    document: { ...bundle.envelope.document, simulated: false },
  };
  writeFileSync(receipt, JSON.stringify({ ...bundle, envelope }));
  const changed = await run('verify', '--format', 'json', receipt);
  expect(changed.code).toBe(2);
  expect(JSON.parse(changed.stdout)).toMatchObject({ error: { code: 'RECEIPT_INVALID' } });
});

it('a template in a sandbox: the same enclave, said the same way', async () => {
  const { code, stdout } = await run(
    ...['template', 'run', 'reach', 'examples/templates', '--backend', 'tee', '--format', 'json'],
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    backend: 'tee',
    attestation: { decision: 'accepted_simulated', notice: SIMULATION_NOTICE },
  });
}, 60_000);

it('an enclave host of TDX: refused without collateral, and with what has expired', async () => {
  const asked = ['enclave', '--socket', join(dir, 's'), '--attester', 'intel-tdx'];
  const bare = await run(...asked);
  expect(JSON.parse(bare.stdout)).toMatchObject({ error: { code: 'BAD_ARGUMENT' } });
  const { rootCrl, pckCrl, ...texts } = phalaCollateral('tdx/phala-v4/collateral.json');
  const [root, pck] = [rootCrl, pckCrl].map((der) => Buffer.from(der).toString('base64url'));
  const file = join(dir, 'collateral.json');
  writeFileSync(file, JSON.stringify({ ...texts, rootCrl: root, pckCrl: pck }));
  const stale = await run(...asked, '--tdx-collateral', file);
  expect(stale.code).not.toBe(0);
  expect(JSON.parse(stale.stdout)).toMatchObject({ error: { code: 'CRL_STALE' } });
});

it.skipIf(existsSync('/sys/kernel/config/tsm/report'))(
  'an enclave process of TDX on a machine without: started with its collateral, no evidence',
  async () => {
    const socket = join(dir, 'tdx.sock');
    const supervisor = await superviseEnclaves({
      socket,
      attester: ['intel-tdx'],
      collateral: () => Promise.resolve(new TextEncoder().encode('{}')),
      log: { info: () => undefined, warn: () => undefined },
    });
    try {
      const calls = enclaveConnection(await connectEnclave(socket));
      const digest = 'ab'.repeat(32);
      const run = { policy_digest: digest, plan_digest: digest, session: digest };
      const greeted = calls.hello({ nonces: { shopgood: digest, newsnow: digest }, ...run });
      await expect(greeted).rejects.toMatchObject({ code: 'ATTESTER_UNAVAILABLE' });
    } finally {
      await supervisor.close();
    }
  },
);

it('an enclave host without its key is refused; keygen makes one', async () => {
  const bare = await run('enclave', '--socket', join(dir, 's'), '--attester', 'simulated');
  expect(bare.code).toBe(2);
  expect(JSON.parse(bare.stdout)).toMatchObject({ error: { code: 'BAD_ARGUMENT' } });
  const made = await run('keygen', 'simulated', '--out', join(dir, 'key'));
  expect(made.stdout).toMatch(/^signing_key: ed25519:/);
});
