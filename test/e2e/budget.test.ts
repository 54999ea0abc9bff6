// Goal: a budget holds when many ask at once, over rooms that share a ledger, and against a ledger
// that was copied back, edited, cut or forked: refused by its owner, and by the others if need be.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  formatRational,
  mul,
  parseDecimal,
  parseRational,
  rational,
  sub,
} from '../../src/core/rational.ts';
import { FREE, rhoOf } from '../../src/dp/index.ts';
import { Ledger } from '../../src/party/ledger/index.ts';
import { datasetTerms } from '../../src/policy/index.ts';
import { questionOf, reservedIn, run, TEN_TENTHS, tenTenthsRoom } from '../statistics/budget.ts';
import { randomKills } from '../kill/kills.ts';
import type { LiveRoom } from '../support/live-room.ts';

let room: LiveRoom | null = null;
afterEach(async () => {
  vi.restoreAllMocks();
  await room?.close();
  room = null;
});

it('privacy 9: of 64 at once on a budget for ten, ten are answered and 54 refused', async () => {
  for (const row of await run(false))
    expect(row.result, row.what).toMatch(/^10 answers, 54 refusals, ledgers equal/);
}, 120_000);

it('privacy 9: kill -9 at any moment leaves spent at least epsilon times answers', async () => {
  const endings = await randomKills({ runs: 2, seed: '9', noise: true, tell: () => undefined });
  expect([...endings.values()].reduce((sum, n) => sum + n, 0)).toBe(2);
}, 240_000);

it('by zCDP stops at rho, and says so in receipts', async () => {
  const { differential_privacy: dp } = TEN_TENTHS;
  if (dp === 'off') throw new Error('the room has noise');
  // Two queries of 0.1²/2, not three.
  const zcdp = { ...dp, accounting: 'zcdp', rho_budget: '0.0149' } as const;
  room = await tenTenthsRoom(5, { ...TEN_TENTHS, differential_privacy: zcdp });
  const first = await room.client.answer(questionOf(1));
  // The client's own rational arithmetic from signed figures: one more fits, and then none.
  const binds = { party: 'shopgood', dataset: 'shopgood/purchases', epoch: '0', amount: 'rho' };
  expect(first.budgetLeft).toMatchObject({ accounting: 'zcdp', epsilon: null, fits: '1', binds });
  const { receipts, rhoSpent, budgetLeft } = await room.client.answer(questionOf(2));
  const rho = formatRational(mul(rational(2n), rhoOf([parseDecimal('0.1')])));
  const amounts = { epoch: '0', epsilon: '1/5', delta: '1/500000', rho };
  expect(receipts.map(({ document }) => document.spent)).toEqual([
    [{ dataset: 'shopgood/purchases', ...amounts }],
    [{ dataset: 'newsnow/exposures', ...amounts }],
  ]);
  expect(rhoSpent).toBe(formatRational(rhoOf([parseDecimal('0.1')])));
  expect(budgetLeft).toMatchObject({
    rho: formatRational(sub(parseDecimal('0.0149'), parseRational(rho))),
    fits: '0',
  });
  await expect(room.client.answer(questionOf(3))).rejects.toMatchObject({
    code: 'BUDGET_EXHAUSTED',
    detail: {
      path: 'rules.differential_privacy.rho_budget',
      fragment: expect.stringMatching(
        /^(newsnow.exposures|shopgood.purchases), epoch 0$/,
      ) as unknown,
    },
  });
}, 120_000);

const codeOf = async (ask: Promise<unknown>): Promise<string> => {
  try {
    await ask;
    return 'answered';
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
};

describe('privacy 9: a ledger', () => {
  const ledgerOf = (party: string): string => join(room!.dir, `${party}-ledger`);

  async function stop(party: string): Promise<void> {
    await room!.nodes.get(party)!.close(500);
    room!.nodes.delete(party);
  }

  const copy = (from: string, to: string): void => {
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
  };
  const edit = (change: (text: string) => string): void => {
    const file = join(ledgerOf('shopgood'), 'ledger.jsonl');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  };
  const forked: unknown = expect.objectContaining({
    code: 'LEDGER_FORKED',
    message: expect.stringContaining('shopgood') as unknown,
  });

  it('edited, cut, copied back or forked is refused by its owner and by the other', async () => {
    room = await tenTenthsRoom(3);
    const { client, dir, policy, keys } = room;
    const startNode = (party: string): Promise<void> => room!.startNode(party);
    const ledger = ledgerOf('shopgood');
    const [old, newest] = [join(dir, 'old'), join(dir, 'newest')];
    expect(await codeOf(client.answer(questionOf(0)))).toBe('answered');
    await stop('shopgood');
    copy(ledger, old);
    await startNode('shopgood');
    for (const n of [1, 2]) expect(await codeOf(client.answer(questionOf(n)))).toBe('answered');
    await stop('shopgood');
    copy(ledger, newest);
    const charged = reservedIn(room, 'newsnow').length;

    // Its owner notices without anybody's help.
    edit((text) => text.replace('"epsilon":"1/10"', '"epsilon":"1/99"'));
    await expect(startNode('shopgood')).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    copy(newest, ledger);
    edit((text) => `${text.trimEnd().split('\n').slice(0, -2).join('\n')}\n`);
    await expect(startNode('shopgood')).rejects.toMatchObject({ code: 'LEDGER_ROLLED_BACK' });

    // Copied back with its head it is valid by itself, and an owner may not look: the other does.
    copy(old, ledger);
    const looks = vi.spyOn(Ledger.prototype, 'expectHolds').mockReturnValue();
    await startNode('shopgood');
    await expect(client.answer(questionOf(3))).rejects.toEqual(forked);
    await stop('shopgood');
    expect(reservedIn(room, 'newsnow')).toHaveLength(charged);

    // A fork may be longer than what the other saw; then it shows no way from there.
    copy(old, ledger);
    const names = { room: policy.room, party: 'shopgood', shared: false };
    const fork = Ledger.open(ledger, { ...names, identity: keys['shopgood']!.identity });
    for (let n = 0; n < 9; n += 1) fork.commit(`query-of-a-fork-${n}`, 'ab'.repeat(32));
    fork.close();
    await startNode('shopgood');
    await expect(client.answer(questionOf(4))).rejects.toEqual(forked);
    await stop('shopgood');

    // An owner that looks refuses, and its node does not start on that ledger again.
    looks.mockRestore();
    copy(old, ledger);
    await startNode('shopgood');
    const code = await codeOf(client.answer(questionOf(5)));
    // Both notice, and whoever says so first is heard.
    expect(['LEDGER_ROLLED_BACK', 'LEDGER_FORKED']).toContain(code);
    await stop('shopgood');
    await expect(startNode('shopgood')).rejects.toMatchObject({ code: 'LEDGER_ROLLED_BACK' });

    // The newest copy, put back, runs again.
    copy(newest, ledger);
    await startNode('shopgood');
    expect(await codeOf(client.answer(questionOf(6)))).toBe('answered');
  }, 120_000);

  it('of a dataset that another room has spent from refuses here', async () => {
    room = await tenTenthsRoom(4);
    await stop('newsnow');
    rmSync(ledgerOf('newsnow'), { recursive: true });
    const { policy, keys } = room;
    const all = { party: 'newsnow', shared: true, identity: keys['newsnow']!.identity };
    const elsewhere = Ledger.open(ledgerOf('newsnow'), { ...all, room: 'another' });
    const epsilon = parseDecimal('0.95');
    elsewhere.reserve(
      {
        ...{
          queryId: 'query-elsewhere-1',
          planDigest: 'a'.repeat(64),
          policyDigest: 'b'.repeat(64),
        },
        ...{
          peers: ['stranger'],
          dataset: 'c'.repeat(64),
          charges: datasetTerms(policy, 'newsnow'),
        },
        ...{ epsilon, delta: parseDecimal('1e-8'), rho: rhoOf([epsilon]) },
      },
      { limits: null, missing: FREE },
    );
    elsewhere.close();
    await room.startNode('newsnow');
    await expect(room.client.answer(questionOf(1))).rejects.toMatchObject({
      code: 'BUDGET_EXHAUSTED',
      detail: { party: 'newsnow' },
    });
    expect(reservedIn(room, 'shopgood')).toHaveLength(0);
  });
});
