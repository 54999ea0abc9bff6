import { expect } from '../../core/errors.ts';
import type { RingVector, Sharing, Wire, Word } from './types.ts';
import { ownedWord, xorWire, xorWord, zeroWire } from './words.ts';
import { wordFromElements } from './pack.ts';

// Adders over XOR shares, and with them the way from additive to XOR shares. Nobody learns a thing.

/**
 * x + y mod 2^ℓ for words of ℓ wires: a parallel prefix adder (Sklansky, IRE Transactions on
 * Electronic Computers, 1960). ⌈log2(ℓ − 1)⌉ + 1 rounds; 373 ANDs and 7 rounds at ℓ = 64.
 */
export async function addWords(ctx: Sharing, x: Word, y: Word, rows: number): Promise<Word> {
  expect(x.length === y.length && x.length > 0, 'words of one width');
  const half = xorWord(x, y);
  // Nobody needs the carry out of the top bit.
  const carries = x.length - 1;
  const generate = [...(await ctx.and(x.slice(0, carries), y.slice(0, carries), rows))];
  const propagate = half.slice(0, carries);
  for (let span = 1; span < carries; span *= 2) {
    await mergePrefixes(ctx, generate, propagate, span, rows);
  }
  return half.map((wire, i) => (i === 0 ? wire : xorWire(wire, generate[i - 1]!)));
}

/**
 * One level: every position whose bit `span` is set takes in the whole block of `span` positions
 * below its own: G = G ⊕ (P ∧ G_low), P = P ∧ P_low. A position that then reaches down to 0 has
 * no more use for P.
 */
async function mergePrefixes(
  ctx: Sharing,
  generate: Wire[],
  propagate: Wire[],
  span: number,
  rows: number,
): Promise<void> {
  const left: Wire[] = [];
  const right: Wire[] = [];
  const apply: ((product: Wire) => void)[] = [];
  for (let i = 0; i < generate.length; i++) {
    if ((i & span) === 0) continue;
    const low = (i & -span) - 1;
    left.push(propagate[i]!);
    right.push(generate[low]!);
    apply.push((product) => (generate[i] = xorWire(generate[i]!, product)));
    if (i < 2 * span) continue;
    left.push(propagate[i]!);
    right.push(propagate[low]!);
    apply.push((product) => (propagate[i] = product));
  }
  const products = await ctx.and(left, right, rows);
  products.forEach((product, i) => apply[i]!(product));
}

/**
 * Additive shares in Z_2^64 to XOR shares (A2B): each party's share is its private input to an
 * adder. Two parties: 373 ANDs, 7 rounds; each further one 63 ANDs and a round more. With fewer
 * bits, the value modulo 2^bits for about bits/64 of that: all of it where it is known to fit.
 */
export function ringToWord(ctx: Sharing, ring: RingVector, rows: number, bits = 64): Promise<Word> {
  const addends = privateAddends(ctx, ring, rows).map((word) => word.slice(0, bits));
  return addAll(ctx, addends, rows);
}

/**
 * Additive shares plus a shared 64-wire word, as XOR shares: one addend more than
 * {@link ringToWord}. Two parties: 436 ANDs, 8 rounds.
 */
export function addRingToWord(
  ctx: Sharing,
  ring: RingVector,
  word: Word,
  rows: number,
): Promise<Word> {
  expect(word.length === 64, 'an element of Z_2^64 has 64 wires');
  return addAll(ctx, [...privateAddends(ctx, ring, rows), word], rows);
}

/** Carry-save steps fold three addends into two, 1 AND per bit, until one adder is left. */
async function addAll(ctx: Sharing, addends: readonly Word[], rows: number): Promise<Word> {
  let rest = addends;
  while (rest.length > 2) {
    const [x, y, w, ...others] = rest as readonly [Word, Word, Word, ...Word[]];
    const [xw, yw] = [xorWord(x, w), xorWord(y, w)];
    // majority(x, y, w) = ((x ⊕ w) ∧ (y ⊕ w)) ⊕ w; the carry out of the top is dropped.
    const kept = await ctx.and(xw.slice(0, -1), yw.slice(0, -1), rows);
    const carry = [zeroWire(rows), ...kept.map((wire, i) => xorWire(wire, w[i]!))];
    rest = [xorWord(xw, y), carry, ...others];
  }
  return addWords(ctx, rest[0]!, rest[1]!, rows);
}

function privateAddends(ctx: Sharing, ring: RingVector, rows: number): readonly Word[] {
  const own = wordFromElements(ring, rows);
  return Array.from({ length: ctx.parties }, (_, owner) =>
    ownedWord(ctx, owner, ctx.party === owner ? own : null, 64, rows),
  );
}
