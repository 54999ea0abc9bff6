import { expect } from '../../src/core/errors.ts';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import type { Sharing, Wire, Word } from '../../src/protocols/sharing/types.ts';
import { idealOtPair } from './ideal-ot.ts';
import { memoryLink } from './memory-channel.ts';

interface Waiting {
  readonly party: 0 | 1;
  readonly xs: Word;
  readonly ys: Word;
  readonly rows: number;
  readonly resolve: (out: Wire[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Two ends of an ideal sharing within one process: a dealer opens the operands of both ends and
 * shares the product afresh. It moves no bytes. `ands` counts ANDs per row.
 */
export function idealSharingPair(
  rng: Rng = systemRng,
  ots: readonly [OtPair, OtPair] = idealOtPair(rng),
): { readonly ends: readonly [Sharing, Sharing]; readonly ands: () => number } {
  let waiting: Waiting | null = null;
  let ands = 0;
  const meet = (own: Waiting): void => {
    const peer = waiting;
    if (peer === null) {
      waiting = own;
      return;
    }
    waiting = null;
    try {
      expect(peer.party !== own.party, 'one call of each end at a time');
      expect(peer.rows === own.rows && peer.xs.length === own.xs.length, 'both ends ask the same');
      ands += own.xs.length;
      const shares = own.xs.map((_, i) => product(own, peer, i, rng));
      own.resolve(shares.map(([mine]) => mine));
      peer.resolve(shares.map(([, theirs]) => theirs));
    } catch (error) {
      own.reject(error);
      peer.reject(error);
    }
  };
  const link = memoryLink();
  const end = (party: 0 | 1): Sharing => ({
    party,
    channel: link.ends[party],
    ot: ots[party],
    rng,
    and: (xs, ys, rows) =>
      new Promise((resolve, reject) => {
        const wires = [...xs, ...ys].map((wire) => wire.slice());
        const right = wires.splice(xs.length);
        meet({ party, xs: wires, ys: right, rows, resolve, reject });
      }),
  });
  return { ends: [end(0), end(1)], ands: () => ands };
}

function product(own: Waiting, peer: Waiting, i: number, rng: Rng): readonly [Wire, Wire] {
  const bytes = bitBytes(own.rows);
  const [x0, x1, y0, y1] = [own.xs[i]!, peer.xs[i]!, own.ys[i]!, peer.ys[i]!];
  expect(
    [x0, x1, y0, y1].every((wire) => wire.length === bytes),
    'wires of bitBytes(rows)',
  );
  const mine = rng(bytes);
  return [mine, mine.map((mask, k) => mask ^ ((x0[k]! ^ x1[k]!) & (y0[k]! ^ y1[k]!)))];
}
