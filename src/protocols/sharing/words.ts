import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { bitBytes } from '../ot/types.ts';
import type { PublicBits, Sharing, Wire, Word } from './types.ts';

/** What local operations need to know: which end adds public constants. */
export type Party = Pick<Sharing, 'party'>;

/** A public integer per row, or one for all rows, bit-sliced. */
export type PublicWord = readonly PublicBits[];

/** All-zero share: of the constant 0, or the other end's share of a private input. */
export function zeroWire(rows: number): Wire {
  return new Uint8Array(bitBytes(rows));
}

/** x ⊕ y. Local. */
export function xorWire(x: Wire, y: Wire): Wire {
  expect(x.length === y.length && x.length % 16 === 0, 'wires of one length in whole lanes');
  const [a, b] = [words32(x), words32(y)];
  const out = new Uint32Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = a[i]! ^ b[i]!;
  return bytesOf(out);
}

/** ¬x: one end flips. Local. */
export function notWire(ctx: Party, x: Wire): Wire {
  return xorPublic(ctx, x, true);
}

/** x ⊕ p for public p: one end flips. Local. */
export function xorPublic(ctx: Party, x: Wire, p: PublicBits): Wire {
  if (ctx.party !== 0 || p === false) return x;
  if (p !== true) return xorWire(x, p);
  const a = words32(x);
  const out = new Uint32Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = ~a[i]!;
  return bytesOf(out);
}

/** x ∧ p for public p: both ends mask. Local. */
export function andPublic(x: Wire, p: PublicBits): Wire {
  if (p === true) return x;
  if (p === false) return new Uint8Array(x.length);
  expect(x.length === p.length && x.length % 16 === 0, 'wires of one length in whole lanes');
  const [a, b] = [words32(x), words32(p)];
  const out = new Uint32Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = a[i]! & b[i]!;
  return bytesOf(out);
}

/** x ⊕ y wire by wire. Local. */
export function xorWord(x: Word, y: Word): Word {
  expect(x.length === y.length, 'words of one width');
  return x.map((wire, i) => xorWire(wire, y[i]!));
}

/** `value` mod 2^bits as one constant for all rows. For constants of a plan, not for rows. */
export function publicWord(value: bigint, bits: number): PublicWord {
  return Array.from({ length: bits }, (_, i) => ((value >> BigInt(i)) & 1n) === 1n);
}

/** Shares of a public word: one end holds it, the other zeros. Local. */
export function constantWord(ctx: Party, value: PublicWord, rows: number): Word {
  return value.map((bits) => xorPublic(ctx, zeroWire(rows), bits));
}

/**
 * Shares of a bit known to one end: the owner holds it, the other end zeros. Local.
 * @param bits - packed, null at the other end.
 */
export function ownedWire(ctx: Party, owner: number, bits: Wire | null, rows: number): Wire {
  expect((ctx.party === owner) === (bits !== null), 'the owner alone holds an owned wire');
  if (bits === null) return zeroWire(rows);
  expect(bits.length === bitBytes(rows), 'a wire is bitBytes(rows) long');
  return bits;
}

/** Shares of a word of `bits` wires known to one end. Local. */
export function ownedWord(
  ctx: Party,
  owner: number,
  word: Word | null,
  bits: number,
  rows: number,
): Word {
  expect(word === null || word.length === bits, 'an owned word has the width both ends name');
  return Array.from({ length: bits }, (_, i) => ownedWire(ctx, owner, word?.[i] ?? null, rows));
}

/** Rows of all segments one behind the other. Every segment but the last is whole lanes of rows. */
export function concatRows(segments: readonly Wire[]): Wire {
  expect(
    segments.every((s) => s.length % 16 === 0),
    'segments are whole lanes',
  );
  return concat(segments);
}

/** Segment-wise {@link concatRows} of words of one width. */
export function concatWords(words: readonly Word[]): Word {
  const bits = words[0]?.length ?? 0;
  expect(
    words.every((w) => w.length === bits),
    'words of one width',
  );
  return Array.from({ length: bits }, (_, i) => concatRows(words.map((w) => w[i]!)));
}

/** A view of rows [`from`, `from + rows`); `from` is a multiple of 128. */
export function sliceRows(wire: Wire, from: number, rows: number): Wire {
  const at = from / 8;
  expect(from % 128 === 0 && at + bitBytes(rows) <= wire.length, 'a slice starts at a whole lane');
  return wire.subarray(at, at + bitBytes(rows));
}

/** The 32-bit view of a wire; copies when the bytes are not aligned. */
function words32(wire: Wire): Uint32Array {
  const aligned = wire.byteOffset % 4 === 0 ? wire : wire.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
