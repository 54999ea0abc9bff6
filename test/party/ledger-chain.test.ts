// Goal: a chain shows in few hashes that one entry comes before another, and shows nothing false;
// the set of ids forgets none.
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ChainEntry } from '../../src/party/ledger/chain.ts';
import {
  ChainTip,
  entryDigest,
  GENESIS,
  jumpOf,
  linkHash,
  pathBetween,
  proveBetween,
  verifyBetween,
} from '../../src/party/ledger/chain.ts';
import { IdSet } from '../../src/party/ledger/ids.ts';
import { PROOF_STEPS_MAX } from '../../src/records/index.ts';

function chainOf(n: number, label = ''): readonly ChainEntry[] {
  const tip = new ChainTip();
  return Array.from({ length: n }, (_, i) => {
    const digest = entryDigest(Buffer.from(`${label}${i}`));
    const { n: seq, previous, jump } = tip.next;
    const hash = linkHash(seq, previous, jump, digest);
    tip.push(hash);
    return { hash, digest };
  });
}

const CHAIN = chainOf(300);
const at = (chain: readonly ChainEntry[]) => (n: number) => chain[n - 1]!;
const headAt = (n: number, chain = CHAIN) => ({ seq: n, hash: chain[n - 1]!.hash.toString('hex') });

describe('the chain', () => {
  it('jumps where Myers jumps, anti-monotonically', () => {
    expect(Array.from({ length: 16 }, (_, i) => jumpOf(i + 1))).toEqual([
      0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10, 11, 10, 7, 0, 15,
    ]);
    for (let n = 1; n < 130; n += 1) {
      for (let m = 1; m < n; m += 1) {
        // Condition of the paper: links do not cross.
        expect(jumpOf(m) >= jumpOf(n) || m <= jumpOf(n)).toBe(true);
      }
    }
  });

  it('links every entry to what jumpOf says (a second computation)', () => {
    const hashes: Buffer[] = [GENESIS];
    CHAIN.forEach(({ digest }, i) => {
      const number = Buffer.alloc(8);
      number.writeBigUInt64BE(BigInt(i + 1));
      const hash = createHash('sha256')
        .update('parley/ledger-link/v2\0')
        .update(Buffer.concat([number, hashes[i]!, hashes[jumpOf(i + 1)]!, digest]))
        .digest();
      hashes.push(hash);
      expect(CHAIN[i]!.hash.equals(hash)).toBe(true);
    });
  });

  it('proves every entry of every later one, and no other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const steps = proveBetween(from, to, at(CHAIN));
        expect(verifyBetween(headAt(from), headAt(to), steps)).toBe(true);
        if (from === to) return;
        expect(verifyBetween(headAt(to), headAt(from), steps)).toBe(false);
        const other = { ...headAt(from), hash: headAt(to).hash };
        expect(verifyBetween(other, headAt(to), steps)).toBe(false);
        expect(verifyBetween(headAt(from), headAt(to), steps.slice(1))).toBe(false);
        const last = steps.at(-1)!;
        const edited = [...steps.slice(0, -1), `${last.slice(0, -1)}${last.endsWith('0') ? 1 : 0}`];
        expect(verifyBetween(headAt(from), headAt(to), edited)).toBe(false);
      }),
    );
  });

  it('proves nothing of a fork', () => {
    const fork = [...CHAIN.slice(0, 100), ...chainOf(300, 'x').slice(100)];
    const steps = proveBetween(101, 300, at(CHAIN));
    expect(verifyBetween(headAt(101, fork), headAt(300), steps)).toBe(false);
    expect(verifyBetween(headAt(101), headAt(300, fork), steps)).toBe(false);
  });

  it('needs few steps, far fewer than the limit', () => {
    let most = 0;
    for (const to of [1_000_000, 2 ** 20 - 1, 2 ** 20, 999_999, 2 ** 40 + 12_345]) {
      for (let i = 0; i < 500; i += 1) {
        const from = 1 + Math.floor((to - 1) * ((i * 0.618_033_988) % 1));
        most = Math.max(most, pathBetween(from, to).length);
      }
      for (const near of [1, 2, 3, 100]) most = Math.max(most, pathBetween(to - near, to).length);
    }
    expect(most).toBeLessThanOrEqual(PROOF_STEPS_MAX - 40);
  });
});

describe('the set of ids', () => {
  it('forgets none of 50,000 and knows no other', () => {
    const ids = new IdSet();
    for (let i = 0; i < 50_000; i += 1) expect(ids.add(`query-${i}-aaaaaaaaaa`)).toBe(true);
    expect(ids.size).toBe(50_000);
    for (let i = 0; i < 50_000; i += 1) {
      if (!ids.has(`query-${i}-aaaaaaaaaa`)) throw new Error(`${i} is lost`);
      if (ids.has(`other-${i}-aaaaaaaaaa`)) throw new Error(`${i} was never there`);
    }
    expect(ids.add('query-7-aaaaaaaaaa')).toBe(false);
  });
});
