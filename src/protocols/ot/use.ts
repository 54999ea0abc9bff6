import { expect } from '../../core/errors.ts';
import { BLOCK_BYTES, KAPPA } from './limits.ts';

/** What the keys of an OT are used as. OTs that are made ahead are kept cut to it. */
export interface OtUse {
  /** Residues mod 64, vectors over Z_2^64, or whole blocks. */
  readonly kind: 'ring6' | 'ring64' | 'blocks';
  /** 64-bit lanes of `ring64`, blocks of `blocks`, 1 of `ring6`. */
  readonly width: number;
}

/** So many OTs of one use; `n` in whole lanes of 128. */
export interface OtCount extends OtUse {
  readonly n: number;
}

/** Bytes of one key cut to its use. */
export function keyBytes({ kind, width }: OtUse): number {
  if (kind === 'ring6') return 1;
  return kind === 'ring64' ? 8 * width : BLOCK_BYTES * width;
}

export function sameUse(a: OtUse, b: OtUse): boolean {
  return a.kind === b.kind && a.width === b.width;
}

/** A name that no other use has. */
export function useName({ kind, width }: OtUse): string {
  return `${kind}.${width}`;
}

/** OTs that a call of `n` takes from a stock: both ends' cuts stay on whole lanes. */
export function wholeLanes(n: number): number {
  expect(Number.isSafeInteger(n) && n >= 0, 'n is a count');
  return Math.ceil(n / KAPPA) * KAPPA;
}
