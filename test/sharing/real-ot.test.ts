import { expect, test } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair, createTripleSource } from '../../src/protocols/ot/index.ts';
import {
  bitToRing,
  createSharing,
  groupSums,
  lessThanTree,
  multiplyBit,
  ringToWord,
} from '../../src/protocols/sharing/index.ts';
import { memoryLink, runBoth } from '../support/memory-channel.ts';
import { twoParty } from '../support/two-party.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { openBits, openIntegers, openRing, shareIntegers, shareRing } from './support.ts';

test('a small query over the real oblivious transfer: compare, multiply, group, A2B', async () => {
  const rows = 300;
  const groups = 3;
  const rng = seededRng('query');
  const dates = [0, 1].map(() => Array.from(rng(rows), (b) => BigInt(b)));
  const cents = Array.from({ length: rows }, (_, r) => BigInt(r * r));
  const groupOfRow = Int32Array.from({ length: rows }, (_, r) => (r % (groups + 1)) - 1);
  const [x, y] = dates.map((column) => shareIntegers(column, 8, rng));
  const amount = shareRing(cents, rng);

  const half = async (channel: Channel, party: 0 | 1) => {
    const own = seededRng(`end/${party}`);
    const sessionId = new Uint8Array(32).fill(7);
    const ot = await createOtPair({ channel: channel.sub('ot'), party, k: 4, sessionId, rng: own });
    const triples = createTripleSource({ pair: ot, rng: own });
    const ctx = createSharing({ ...twoParty(party, channel.sub('gates'), ot), triples, rng: own });
    const less = await lessThanTree(ctx, x![party], y![party], rows);
    const count = await bitToRing(ctx, less, rows);
    const [kept] = await multiplyBit(ctx, less, rows, [{ kind: 'shared', share: amount[party] }]);
    const lanes = [count, kept!];
    const map = party === 0 ? groupOfRow : null;
    const sums = await groupSums(ctx, { groups, groupOfRow: map, rows, lanes });
    const opened = await ringToWord(ctx, sums[1]!, groups);
    return { less, sums, opened };
  };
  const [a, b] = await runBoth(
    memoryLink(),
    (ch) => half(ch, 0),
    (ch) => half(ch, 1),
  );

  const less = dates[0]!.map((d, r) => (d < dates[1]![r]! ? 1 : 0));
  expect(openBits([a.less, b.less], rows)).toEqual(less);
  const total = (of: (r: number) => bigint): bigint[] =>
    Array.from({ length: groups }, (_, g) =>
      less.reduce((sum, bit, r) => (bit === 1 && groupOfRow[r] === g ? sum + of(r) : sum), 0n),
    );
  expect(openRing([a.sums[0]!, b.sums[0]!])).toEqual(total(() => 1n));
  expect(openRing([a.sums[1]!, b.sums[1]!])).toEqual(total((r) => cents[r]!));
  expect(openIntegers([a.opened, b.opened], groups)).toEqual(total((r) => cents[r]!));
});
