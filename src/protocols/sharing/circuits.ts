import { expect } from '../../core/errors.ts';
import type { Sharing, Wire, Word } from './types.ts';
import {
  andPublic,
  notWire,
  xorPublic,
  xorWire,
  xorWord,
  zeroWire,
  type PublicWord,
} from './words.ts';

// Boolean circuits over XOR shares. All are oblivious: gates and rounds depend on widths and public
// constants only, and neither end learns anything. Costs are ANDs per row and rounds.

/** AND of all wires: n − 1 ANDs, ⌈log2 n⌉ rounds. */
export async function andTree(ctx: Sharing, wires: Word, rows: number): Promise<Wire> {
  expect(wires.length > 0, 'a tree has at least one leaf');
  let nodes = wires;
  while (nodes.length > 1) {
    const pairs = Math.floor(nodes.length / 2);
    const left = Array.from({ length: pairs }, (_, i) => nodes[2 * i]!);
    const right = Array.from({ length: pairs }, (_, i) => nodes[2 * i + 1]!);
    nodes = [...(await ctx.and(left, right, rows)), ...nodes.slice(2 * pairs)];
  }
  return nodes[0]!;
}

/** OR of all wires (De Morgan): n − 1 ANDs, ⌈log2 n⌉ rounds. */
export async function orTree(ctx: Sharing, wires: Word, rows: number): Promise<Wire> {
  const none = await andTree(
    ctx,
    wires.map((wire) => notWire(ctx, wire)),
    rows,
  );
  return notWire(ctx, none);
}

/** [x = y] of words of ℓ wires: ℓ − 1 ANDs, ⌈log2 ℓ⌉ rounds. */
export function equalWords(ctx: Sharing, x: Word, y: Word, rows: number): Promise<Wire> {
  const same = xorWord(x, y).map((wire) => notWire(ctx, wire));
  return andTree(ctx, same, rows);
}

/**
 * [x \< y], unsigned, ℓ wires each: ℓ ANDs, ℓ rounds.
 * c' = y ⊕ ((x ⊕ y ⊕ 1) ∧ (c ⊕ y)) from the least significant wire, c = 0 (Kolesnikov, Sadeghi,
 * Schneider, CANS 2009, in the form of protocols.md section 4).
 */
export async function lessThan(ctx: Sharing, x: Word, y: Word, rows: number): Promise<Wire> {
  expect(x.length === y.length && x.length > 0, 'words of one width');
  let less = zeroWire(rows);
  for (let i = 0; i < x.length; i++) {
    const same = notWire(ctx, xorWire(x[i]!, y[i]!));
    const [kept] = await ctx.and([same], [xorWire(less, y[i]!)], rows);
    less = xorWire(y[i]!, kept!);
  }
  return less;
}

/**
 * [x \< y], unsigned, ℓ wires each, in few rounds: 3ℓ − 2 − ⌈log2 ℓ⌉ ANDs, ⌈log2 ℓ⌉ + 1 rounds
 * (Garay, Schoenmakers, Villegas, PKC 2007).
 */
export async function lessThanTree(ctx: Sharing, x: Word, y: Word, rows: number): Promise<Wire> {
  expect(x.length === y.length && x.length > 0, 'words of one width');
  const below = await ctx.and(
    x.map((wire) => notWire(ctx, wire)),
    y,
    rows,
  );
  const nodes = below.map((less, i) => ({
    less,
    same: notWire(ctx, xorWire(x[i]!, y[i]!)),
  }));
  return mergeComparisons(ctx, nodes, rows);
}

/**
 * [x \< k], unsigned, against public constants. Per-row constants: 2ℓ − 2 − ⌈log2 ℓ⌉ ANDs; one
 * constant for all rows: fewer, by what its zeros at the low end spare. ⌈log2 ℓ⌉ rounds.
 */
export function lessThanPublic(ctx: Sharing, x: Word, k: PublicWord, rows: number): Promise<Wire> {
  expect(x.length === k.length && x.length > 0, 'words of one width');
  const nodes = x.map((wire, i) => {
    const bit = k[i]!;
    const inverse = notWire(ctx, wire);
    const less = bit === false ? null : andPublic(inverse, bit);
    return { less, same: xorPublic(ctx, inverse, bit) };
  });
  return mergeComparisons(ctx, nodes, rows);
}

/** [x ≥ k], two's complement, public constants: {@link lessThanPublic}, sign bits flipped. */
export async function signedAtLeastPublic(
  ctx: Sharing,
  x: Word,
  k: PublicWord,
  rows: number,
): Promise<Wire> {
  // Flipping both sign bits maps two's complement order to unsigned order.
  const sign = x.length - 1;
  const top = k[sign]!;
  const flipped = typeof top === 'boolean' ? !top : top.map((byte) => ~byte);
  const less = await lessThanPublic(
    ctx,
    [...x.slice(0, sign), notWire(ctx, x[sign]!)],
    [...k.slice(0, sign), flipped],
    rows,
  );
  return notWire(ctx, less);
}

/** A comparison of some consecutive bits: `less` null is the constant 0. */
interface Comparison {
  readonly less: Wire | null;
  readonly same: Wire;
}

/**
 * Merges comparisons of neighbours, least significant first, until one is left:
 * less = high.less ⊕ (high.same ∧ low.less), same = high.same ∧ low.same. Nobody needs `same` of
 * the node that holds the lowest bit.
 */
async function mergeComparisons(
  ctx: Sharing,
  leaves: readonly Comparison[],
  rows: number,
): Promise<Wire> {
  let nodes = leaves;
  while (nodes.length > 1) {
    const left: Wire[] = [];
    const right: Wire[] = [];
    const pairs = Math.floor(nodes.length / 2);
    for (let i = 0; i < pairs; i++) {
      const [low, high] = [nodes[2 * i]!, nodes[2 * i + 1]!];
      for (const other of [low.less, i > 0 ? low.same : null]) {
        if (other === null) continue;
        left.push(high.same);
        right.push(other);
      }
    }
    const products = left.length === 0 ? [] : await ctx.and(left, right, rows);
    let at = 0;
    const merged: Comparison[] = [];
    for (let i = 0; i < pairs; i++) {
      const [low, high] = [nodes[2 * i]!, nodes[2 * i + 1]!];
      const less = low.less === null ? high.less : xorMaybe(high.less, products[at++]!);
      merged.push({ less, same: i > 0 ? products[at++]! : high.same });
    }
    nodes = [...merged, ...nodes.slice(2 * pairs)];
  }
  return nodes[0]!.less ?? zeroWire(rows);
}

function xorMaybe(x: Wire | null, y: Wire): Wire {
  return x === null ? y : xorWire(x, y);
}

/** `bit` ? x : k, k public, wire by wire: ℓ ANDs, 1 round. */
export async function muxWord(
  ctx: Sharing,
  bit: Wire,
  x: Word,
  k: PublicWord,
  rows: number,
): Promise<Word> {
  expect(x.length === k.length, 'words of one width');
  const differs = x.map((wire, i) => xorPublic(ctx, wire, k[i]!));
  const kept = await ctx.and(
    x.map(() => bit),
    differs,
    rows,
  );
  return kept.map((wire, i) => xorPublic(ctx, wire, k[i]!));
}

/** `open` ? x : −2^63, the value every suppressed cell opens to: 64 ANDs, 1 round. */
export function selectSentinel(ctx: Sharing, open: Wire, x: Word, rows: number): Promise<Word> {
  expect(x.length === 64, 'a cell has 64 wires');
  return muxWord(
    ctx,
    open,
    x,
    x.map((_, i) => i === 63),
    rows,
  );
}
