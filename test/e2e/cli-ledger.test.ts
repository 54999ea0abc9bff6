// Goal: `parley ledger` shows what was spent and what is left, exactly; verify says in exit code and
// words whether a ledger holds; what export writes verifies at the others.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseDecimal } from '../../src/core/rational.ts';
import { FREE, rhoOf } from '../../src/dp/index.ts';
import { Ledger } from '../../src/party/ledger/index.ts';
import { datasetTerms, formatPacket } from '../../src/policy/index.ts';
import { sampleRoom } from '../policy/samples.ts';
import { begin, killAll, type Finished } from '../support/command.ts';

const room = sampleRoom();
const dir = mkdtempSync(join(tmpdir(), 'parley-cli-ledger-'));
const own = join(dir, 'shopgood', 'ledger');
const theirs = join(dir, 'newsnow', 'ledger');
const packet = join(dir, 'policy.json');
const parley = (...args: string[]): Promise<Finished> => begin(['ledger', ...args], {}).finished;

function open(directory: string, party: string): Ledger {
  const { identity } = room.parties[party]!;
  return Ledger.open(directory, { room: room.policy.room, party, shared: false, identity });
}

/** Three queries of 0.1 at a party, released, after each of which the other keeps its head. */
beforeAll(() => {
  writeFileSync(packet, formatPacket(room.packet));
  const [a, b] = [open(own, 'shopgood'), open(theirs, 'newsnow')];
  const price = { epsilon: parseDecimal('0.1'), delta: parseDecimal('5e-8') };
  for (const n of [1, 2, 3]) {
    const queryId = `query-of-cli-${n}-aaaa`;
    a.reserve(
      {
        ...{ queryId, planDigest: 'a'.repeat(64), policyDigest: room.digest, peers: ['newsnow'] },
        ...{ dataset: 'c'.repeat(64), charges: datasetTerms(room.policy, 'shopgood') },
        ...{ ...price, rho: rhoOf([price.epsilon]) },
      },
      { limits: null, missing: FREE },
    );
    const kept = b.peerHeads('shopgood', room.parties['shopgood']!.identity.publicKey);
    const continues = kept.map(({ document }) => document.seq);
    b.notePeers(queryId, [{ head: a.head, continues }]);
    a.commit(queryId, 'd'.repeat(64));
  }
  a.close();
  b.close();
});
afterAll(() => {
  killAll();
  rmSync(dir, { recursive: true });
});

it('shows spending by dataset and epoch, and what a policy leaves', async () => {
  const shown = await parley('show', '--state', join(dir, 'shopgood'), '--policy', packet);
  expect(shown.stderr).toBe('');
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain('shopgood/purchases, epoch 0: 3 queries');
  expect(shown.stdout).toContain('spent  epsilon 0.3, delta 1.5e-7, rho 0.0150001 (rounded up)');
  expect(shown.stdout).toContain('left   epsilon 2.7, delta 8.5e-7');
  expect(shown.stdout).toContain('released query-of-cli-3-aaaa');
  const json = await parley('show', '--ledger', own, '--policy', packet, '--format', 'json');
  const report = JSON.parse(json.stdout) as { accounts: unknown[]; entries: number };
  expect(report).toMatchObject({ entries: 8, queries: 3, party: 'shopgood' });
  expect(report.accounts[0]).toMatchObject({
    spent: { epsilon: '3/10' },
    left: { epsilon: '27/10', delta: '17/20000000' },
  });
});

it('verifies a whole ledger, against what others keep of it too', async () => {
  const alone = await parley('verify', '--ledger', own);
  expect(alone).toMatchObject({ code: 0 });
  expect(alone.stderr).toContain('not checked');
  const kept = await parley('export', '--heads', '--ledger', theirs);
  expect(kept.stdout.trimEnd().split('\n')).toHaveLength(1);
  const heads = join(dir, 'heads.jsonl');
  writeFileSync(heads, kept.stdout);
  const against = await parley('verify', '--ledger', own, '--heads', heads, '--format', 'json');
  expect(JSON.parse(against.stdout)).toMatchObject({ verified: true, heads_checked: 1 });
});

it('exports every entry and an anchor, which is the last hash', async () => {
  const { stdout } = await parley('export', '--ledger', own);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toHaveLength(9);
  const last = lines.at(-2) as { hash: string };
  expect(lines.at(-1)).toMatchObject({
    anchor: { seq: 8, hash: last.hash },
    head: { document: { seq: 8, hash: last.hash, party: 'shopgood' } },
  });
});

it('fails with a code when a ledger does not hold', async () => {
  const copy = join(dir, 'copy');
  const damaged = async (change: () => void, ...more: string[]): Promise<string> => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(own, copy, { recursive: true });
    change();
    const { code, stdout } = await parley('verify', '--ledger', copy, '--format', 'json', ...more);
    expect(code).toBe(3);
    return (JSON.parse(stdout) as { error: { code: string } }).error.code;
  };
  const edit = (change: (text: string) => string) => () => {
    const file = join(copy, 'ledger.jsonl');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  };
  expect(await damaged(edit((t) => t.replace('"1/10"', '"1/11"')))).toBe('LEDGER_CORRUPT');
  expect(await damaged(edit((t) => t.split('\n').slice(0, -3).join('\n') + '\n'))).toBe(
    'LEDGER_ROLLED_BACK',
  );
  // A valid ledger of another party, against heads kept of this one.
  const heads = join(dir, 'heads.jsonl');
  const foreign = await parley('verify', '--ledger', theirs, '--heads', heads, '--format', 'json');
  expect(foreign.stdout).toContain('LEDGER_FOREIGN');
  // A ledger that is valid by itself, and older than what the other keeps.
  rmSync(copy, { recursive: true });
  open(copy, 'shopgood').close();
  const old = await parley('verify', '--ledger', copy, '--heads', heads, '--format', 'json');
  expect(old.code).toBe(3);
  expect(old.stdout).toContain('LEDGER_ROLLED_BACK');
  expect((await parley('verify')).code).toBe(64);
  expect((await parley('show', '--ledger', join(dir, 'nothing'))).code).toBe(2);
});
