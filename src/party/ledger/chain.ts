import { hash as digestOnce } from 'node:crypto';
import { toHex, utf8 } from '../../core/bytes.ts';

/**
 * The chain of a ledger: entries 1..n, each hashed over its number, the hash before it, the hash of
 * an entry further back, and its own digest. With the second link, that one entry comes before
 * another is shown in O(log n) hashes, from digests alone.
 *
 * Source: Buldas, Laud, Lipmaa, Villemson, "Time-stamping with binary linking schemes", CRYPTO '98,
 * `L_n = H(n, X_n, L_{n-1}, L_{f(n)})`. Departure: f is the jump of skew-binary random-access lists
 * (Myers 1983), which is anti-monotone as the paper asks and needs no more than a short stack.
 */

/** The head before the first entry, and what the first entries jump to. */
export const GENESIS: Buffer = Buffer.alloc(32);

const HASH_BYTES = 32;
/** SECURITY. Domains of an entry's digest and of a link. */
const ENTRY_DOMAIN = utf8('parley/ledger-entry/v2\0');
const LINK_DOMAIN = utf8('parley/ledger-link/v2\0');

/**
 * f(n): how far back entry n, from 1, links beside n-1. n is a sum of numbers 2^k - 1, the largest
 * first; f(n) leaves the last one out.
 */
export function jumpOf(n: number): number {
  let rest = n;
  for (;;) {
    let tree = 1;
    while (2 * tree + 1 <= rest) tree = 2 * tree + 1;
    if (tree === rest) return n - tree;
    rest -= tree;
  }
}

// Inputs of hashes are put together in place: a start on a long ledger makes millions of them.
let entryInput = inputFor(1 << 12);
const linkInput = Buffer.alloc(LINK_DOMAIN.length + 8 + 3 * HASH_BYTES);
linkInput.set(LINK_DOMAIN);

function inputFor(bytes: number): Buffer {
  const input = Buffer.alloc(ENTRY_DOMAIN.length + bytes);
  input.set(ENTRY_DOMAIN);
  return input;
}

/** Digest of an entry's bytes as they are on disk: those of `line` from `start` to `end`. */
export function entryDigest(line: Uint8Array, start = 0, end = line.length): Buffer {
  const size = ENTRY_DOMAIN.length + end - start;
  if (size > entryInput.length) entryInput = inputFor(2 * size);
  const whole = start === 0 && end === line.length;
  entryInput.set(whole ? line : line.subarray(start, end), ENTRY_DOMAIN.length);
  return digestOnce('sha256', entryInput.subarray(0, size), 'buffer');
}

/** Hash of entry n. */
export function linkHash(
  n: number,
  previous: Uint8Array,
  jump: Uint8Array,
  digest: Uint8Array,
): Buffer {
  const at = LINK_DOMAIN.length;
  linkInput.writeUInt32BE(Math.floor(n / 2 ** 32), at);
  linkInput.writeUInt32BE(n >>> 0, at + 4);
  linkInput.set(previous, at + 8);
  linkInput.set(jump, at + 8 + HASH_BYTES);
  linkInput.set(digest, at + 8 + 2 * HASH_BYTES);
  return digestOnce('sha256', linkInput, 'buffer');
}

/** The end of a chain that grows: what the next entry links to. O(log n) hashes. */
export class ChainTip {
  /** Entries that later ones jump to, with the size of the tree each is the root of. */
  readonly #stack: { readonly n: number; readonly size: number; readonly hash: Buffer }[] = [];
  #seq = 0;
  #hash = GENESIS;

  get seq(): number {
    return this.#seq;
  }

  get hash(): Buffer {
    return this.#hash;
  }

  /** The links of the entry that comes next. */
  get next(): { readonly n: number; readonly previous: Buffer; readonly jump: Buffer } {
    const n = this.#seq + 1;
    const [below, top] = [this.#stack.at(-2), this.#stack.at(-1)];
    const merges = below !== undefined && below.size === top?.size;
    const root = merges ? this.#stack.at(-3) : top;
    return { n, previous: this.#hash, jump: root?.hash ?? GENESIS };
  }

  /** Takes the hash of the next entry. */
  push(hash: Buffer): void {
    const n = this.#seq + 1;
    const [below, top] = [this.#stack.at(-2), this.#stack.at(-1)];
    let size = 1;
    if (below !== undefined && below.size === top?.size) {
      size = 2 * top.size + 1;
      this.#stack.length -= 2;
    }
    this.#stack.push({ n, size, hash });
    this.#seq = n;
    this.#hash = hash;
  }
}

/** The entries after `from` on the shortest way to `to`, in order. */
export function pathBetween(from: number, to: number): readonly number[] {
  const path: number[] = [];
  for (let n = to; n > from;) {
    path.push(n);
    const jump = jumpOf(n);
    n = jump >= from ? jump : n - 1;
  }
  return path.reverse();
}

/** One entry as a proof needs it. */
export interface ChainEntry {
  readonly hash: Buffer;
  readonly digest: Buffer;
}

/**
 * The steps of a proof that entry `from` is in the chain that ends with entry `to`.
 * @param entryAt - entries 1..to; 0 is never asked for.
 */
export function proveBetween(
  from: number,
  to: number,
  entryAt: (n: number) => ChainEntry,
): readonly string[] {
  const hashAt = (n: number): Buffer => (n === 0 ? GENESIS : entryAt(n).hash);
  let at = from;
  return pathBetween(from, to).map((n) => {
    const other = jumpOf(n) === at ? n - 1 : jumpOf(n);
    at = n;
    return Buffer.concat([hashAt(other), entryAt(n).digest]).toString('hex');
  });
}

/**
 * True when the steps lead from entry `from` with this hash to entry `to` with that one.
 * Cost: one hash a step; as many steps as the numbers demand, or it is false.
 */
export function verifyBetween(
  from: { readonly seq: number; readonly hash: string },
  to: { readonly seq: number; readonly hash: string },
  steps: readonly string[],
): boolean {
  if (from.seq > to.seq) return false;
  const path = pathBetween(from.seq, to.seq);
  if (path.length !== steps.length) return false;
  let at = from.seq;
  let hash: Uint8Array = Buffer.from(from.hash, 'hex');
  path.forEach((n, i) => {
    const step = Buffer.from(steps[i] ?? '', 'hex');
    const [other, digest] = [step.subarray(0, HASH_BYTES), step.subarray(HASH_BYTES)];
    const jump = jumpOf(n);
    const previousHash = at === n - 1 ? hash : other;
    hash = linkHash(n, previousHash, jump === at ? hash : other, digest);
    at = n;
  });
  return toHex(hash) === to.hash;
}
