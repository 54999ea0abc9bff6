/** Small unsigned counters on shares, bit-sliced over bins, each with the most it can come to. */
import {
  concatWords,
  lessThanPublic,
  publicWord,
  xorWire,
  zeroWire,
} from '../../protocols/sharing/index.ts';
import type { Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import { part } from './rows.ts';

/** A shared count; `most` is public and settles its width. */
export interface Count {
  readonly word: Word;
  readonly most: number;
}

/** The count 0. */
const NOTHING: Count = { word: [], most: 0 };

const widthOf = (most: number): number => (most === 0 ? 0 : most.toString(2).length);

/**
 * The sum of every pair, all pairs in the same rounds: ripple-carry adders, at most one AND per bit
 * of the sum but its last, as many rounds. c' = c ⊕ ((x ⊕ c) ∧ (y ⊕ c)).
 */
export async function addCounts(
  s: Sharing,
  pairs: readonly (readonly [Count, Count])[],
  rows: number,
): Promise<Count[]> {
  const sums = pairs.map(([a, b]) => ({ word: [] as Wire[], most: a.most + b.most }));
  const carries: (Wire | null)[] = pairs.map(() => null);
  const width = Math.max(0, ...sums.map(({ most }) => widthOf(most)));
  for (let bit = 0; bit < width; bit += 1) {
    const [left, right]: [Wire[], Wire[]] = [[], []];
    const settle: ((product: Wire) => void)[] = [];
    pairs.forEach(([x, y], p) => {
      const carry = carries[p]!;
      carries[p] = null;
      const terms = [x.word[bit], y.word[bit], carry].filter((wire) => wire != null);
      const top = widthOf(sums[p]!.most) - 1;
      if (bit > top) return;
      sums[p]!.word.push(terms.reduce(xorWire));
      if (terms.length === 1 || bit === top) return;
      const [a, b, c] = terms as [Wire, Wire, Wire | undefined];
      left.push(c === undefined ? a : xorWire(a, c));
      right.push(c === undefined ? b : xorWire(b, c));
      settle.push((product) => (carries[p] = c === undefined ? product : xorWire(c, product)));
    });
    if (left.length === 0) continue;
    const products = await s.and(left, right, rows);
    products.forEach((product, i) => settle[i]!(product));
  }
  return sums;
}

/** The sum of each list, 0 of an empty one: trees of {@link addCounts}. */
export async function sumCounts(
  s: Sharing,
  lists: readonly (readonly Count[])[],
  rows: number,
): Promise<Count[]> {
  let rest = lists;
  while (rest.some((list) => list.length > 1)) {
    const pairs = rest.flatMap((list) =>
      Array.from(
        { length: Math.floor(list.length / 2) },
        (_, i) => [list[2 * i]!, list[2 * i + 1]!] as const,
      ),
    );
    const sums = await addCounts(s, pairs, rows);
    let at = 0;
    rest = rest.map((list) => {
      const half = Math.floor(list.length / 2);
      const added = sums.slice(at, (at += half));
      return [...added, ...list.slice(2 * half)];
    });
  }
  return rest.map((list) => list[0] ?? NOTHING);
}

/**
 * For every list of bits: how many are set before each position, then how many in all. Prefix sums
 * (Sklansky, IRE Transactions on Electronic Computers, 1960), all lists in the same rounds:
 * (n/2)·⌈log2 n⌉ additions of up to ⌈log2 n⌉ bits.
 */
export async function prefixCounts(
  s: Sharing,
  lists: readonly Word[],
  rows: number,
): Promise<Count[][]> {
  const counts = lists.map((bits) => bits.map((bit): Count => ({ word: [bit], most: 1 })));
  const longest = Math.max(0, ...counts.map((list) => list.length));
  for (let span = 1; span < longest; span *= 2) {
    const places = counts.flatMap((list, l) =>
      list.flatMap((_, i) => ((i & span) === 0 ? [] : [{ l, i, low: (i & -span) - 1 }])),
    );
    const sums = await addCounts(
      s,
      places.map(({ l, i, low }) => [counts[l]![i]!, counts[l]![low]!] as const),
      rows,
    );
    places.forEach(({ l, i }, at) => (counts[l]![i] = sums[at]!));
  }
  return counts.map((list) => [NOTHING, ...list]);
}

/** Every count where its bit is set, else 0: one AND per bit, one round. */
export async function maskCounts(
  s: Sharing,
  masked: readonly { readonly count: Count; readonly bit: Wire }[],
  rows: number,
): Promise<Count[]> {
  const products = await s.and(
    masked.flatMap(({ count, bit }) => count.word.map(() => bit)),
    masked.flatMap(({ count }) => [...count.word]),
    rows,
  );
  let at = 0;
  return masked.map(({ count }) => ({
    word: products.slice(at, (at += count.word.length)),
    most: count.most,
  }));
}

/** Per count whether it is below a public limit; null where it always is. */
export async function countsBelow(
  s: Sharing,
  counts: readonly Count[],
  limit: number,
  rows: number,
): Promise<(Wire | null)[]> {
  const open = counts.flatMap(({ most }, i) => (most < limit ? [] : [i]));
  if (open.length === 0) return counts.map(() => null);
  const width = Math.max(...open.map((i) => counts[i]!.word.length));
  const word = concatWords(
    open.map((i) => {
      const { word: own } = counts[i]!;
      return [...own, ...Array.from({ length: width - own.length }, () => zeroWire(rows))];
    }),
  );
  const bound = publicWord(BigInt(limit), width);
  const less = await lessThanPublic(s, word, bound, open.length * rows);
  const at = new Map(open.map((count, i) => [count, i]));
  return counts.map((_, i) => {
    const place = at.get(i);
    return place === undefined ? null : part(less, place, open.length);
  });
}
