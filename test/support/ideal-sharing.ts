import { expect } from '../../src/core/errors.ts';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import type { Sharing, Wire, Word } from '../../src/protocols/sharing/types.ts';
import { idealOtPair } from './ideal-ot.ts';
import { memoryMesh } from './memory-channel.ts';

interface Waiting {
  readonly party: number;
  readonly xs: Word;
  readonly ys: Word;
  readonly rows: number;
  readonly resolve: (out: Wire[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Ideal transfers between every two of n parties: ots[i][j], null for i = j. */
export function idealOtMesh(parties: number, rng: Rng = systemRng): (OtPair | null)[][] {
  const ots: (OtPair | null)[][] = Array.from({ length: parties }, () =>
    Array.from({ length: parties }, () => null),
  );
  for (let i = 0; i < parties; i += 1) {
    for (let j = i + 1; j < parties; j += 1) [ots[i]![j], ots[j]![i]] = idealOtPair(rng);
  }
  return ots;
}

/**
 * All ends of an ideal sharing within one process: a dealer opens the operands of every party and
 * shares the product afresh. It moves no bytes. `ands` counts ANDs per row.
 */
export function idealSharing(
  parties: number,
  rng: Rng = systemRng,
  ots: readonly (readonly (OtPair | null)[])[] = idealOtMesh(parties, rng),
): { readonly ends: readonly Sharing[]; readonly ands: () => number } {
  const mesh = memoryMesh(parties);
  let waiting: Waiting[] = [];
  let ands = 0;
  const meet = (own: Waiting): void => {
    const all = [...waiting, own];
    if (all.length < parties) {
      waiting = all;
      return;
    }
    waiting = [];
    try {
      expect(new Set(all.map((w) => w.party)).size === parties, 'one call of each end at a time');
      const alike = all.every((w) => w.rows === own.rows && w.xs.length === own.xs.length);
      expect(alike, 'all ends ask the same');
      ands += own.xs.length;
      const shares = own.xs.map((_, i) => product(all, i, rng));
      all.forEach((w, p) => w.resolve(shares.map((parts) => parts[p]!)));
    } catch (error) {
      for (const w of all) w.reject(error);
    }
  };
  const end = (party: number): Sharing => ({
    party,
    parties,
    ots: ots[party]!,
    channels: mesh.ends[party]!,
    rng,
    and: (xs, ys, rows) =>
      new Promise((resolve, reject) => {
        const wires = [...xs, ...ys].map((wire) => wire.slice());
        const right = wires.splice(xs.length);
        meet({ party, xs: wires, ys: right, rows, resolve, reject });
      }),
  });
  return { ends: Array.from({ length: parties }, (_, party) => end(party)), ands: () => ands };
}

/** {@link idealSharing} of two. */
export function idealSharingPair(
  rng: Rng = systemRng,
  [left, right]: readonly [OtPair, OtPair] = idealOtPair(rng),
): { readonly ends: readonly [Sharing, Sharing]; readonly ands: () => number } {
  const { ends, ands } = idealSharing(2, rng, [
    [null, left],
    [right, null],
  ]);
  return { ends: [ends[0]!, ends[1]!], ands };
}

/** Shares of one wire's product, in the order of `all`. */
function product(all: readonly Waiting[], i: number, rng: Rng): Wire[] {
  const bytes = bitBytes(all[0]!.rows);
  const wires = all.flatMap((w) => [w.xs[i]!, w.ys[i]!]);
  expect(
    wires.every((wire) => wire.length === bytes),
    'wires of bitBytes(rows)',
  );
  const xor = (parts: readonly Wire[]): Wire =>
    parts.reduce((sum, part) => sum.map((byte, k) => byte ^ part[k]!));
  const [x, y] = [xor(all.map((w) => w.xs[i]!)), xor(all.map((w) => w.ys[i]!))];
  const masks = all.slice(1).map(() => rng(bytes));
  return [...masks, xor([x.map((byte, k) => byte & y[k]!), ...masks])];
}
