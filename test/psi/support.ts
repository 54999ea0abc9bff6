import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import {
  runPivot,
  runSender,
  type JoinContext,
  type JoinShares,
  type Oprf,
  type PivotOutput,
  type SenderInput,
} from '../../src/protocols/psi/index.ts';
import { ID_BYTES } from '../../src/protocols/psi/types.ts';
import type { Sharing } from '../../src/protocols/sharing/types.ts';
import { idealOprf } from '../support/ideal-oprf.ts';
import { idealSharingPair } from '../support/ideal-sharing.ts';
import { memoryLink, type Frame, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';

/** Keyed-hash-like ids of whole numbers. */
export function idsOf(users: readonly number[]): Uint8Array {
  return concat(users.map((u) => createHash('sha256').update(`user ${u}`).digest()));
}

/** first, first + 1, …, count numbers. */
export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** A sender's input whose payload is a seeded function of the user's number. */
export function senderOf(
  users: readonly number[],
  payload: { readonly xorBytes: number; readonly ringLanes: number },
): SenderInput {
  const per = users.map((u) => payloadOf(u, payload));
  return {
    ids: idsOf(users),
    payloadXor: concat(per.map((p) => p.xor)),
    payloadRing: concat(per.map((p) => p.ring)),
  };
}

export function payloadOf(
  user: number,
  { xorBytes, ringLanes }: { readonly xorBytes: number; readonly ringLanes: number },
): { readonly xor: Uint8Array; readonly ring: Uint8Array } {
  const rng = seededRng(`payload ${user}`);
  return { xor: rng(xorBytes), ring: rng(8 * ringLanes) };
}

export interface JoinCase {
  readonly pivot: readonly number[];
  readonly sender: readonly number[];
  readonly pivotCapacity: number;
  readonly senderCapacity: number;
  readonly xorBytes: number;
  readonly ringLanes: number;
  readonly seed?: string;
  /** Fills the session id. */
  readonly session?: number;
  readonly tap?: Tap;
  readonly oprf?: Oprf;
  readonly sharing?: readonly [Sharing, Sharing];
}

export interface JoinRun {
  readonly pivot: PivotOutput;
  readonly sender: JoinShares;
  readonly frames: readonly Frame[];
  readonly events: readonly ProgressEvent[];
}

/** Both halves over a memory link, with ideal OPRF and sharing unless the case brings its own. */
export async function runJoin(join: JoinCase): Promise<JoinRun> {
  const seed = join.seed ?? 'join';
  const link = memoryLink(join.tap);
  const oprf = join.oprf ?? idealOprf(utf8(seed));
  const ends = join.sharing ?? idealSharingPair(seededRng(`${seed} dealer`)).ends;
  const events: ProgressEvent[] = [];
  const context = (party: 0 | 1): Omit<JoinContext, 'channel'> => ({
    sharing: ends[party],
    oprf,
    seed: new Uint8Array(16).fill(join.session ?? 7),
    rng: seededRng(`${seed} party ${party}`),
    onProgress: (event) => events.push(event),
  });
  const [a, b] = link.ends;
  // Fails with the first half that fails: the other may be waiting at an ideal dealer for ever.
  const [pivot, sender] = await Promise.all([
    runPivot({ ...context(0), channel: a }, join, { ids: idsOf(join.pivot) }),
    runSender({ ...context(1), channel: b }, join, senderOf(join.sender, join)),
  ]);
  return { pivot, sender, frames: link.frames, events };
}

/** What both ends' shares open to, per row. */
export function openJoin(
  { pivot, sender }: JoinRun,
  { xorBytes, ringLanes }: JoinCase,
): { readonly match: number[]; readonly xor: Uint8Array; readonly ring: Uint8Array } {
  const bit = (wire: Uint8Array, row: number): number => (wire[row >> 3]! >> (row & 7)) & 1;
  const ring = new Uint8Array(8 * ringLanes * pivot.rows);
  const [a, b, sum] = [pivot.ringShare, sender.ringShare, ring].map(
    (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  ) as [DataView, DataView, DataView];
  for (let at = 0; at < ring.length; at += 8) {
    sum.setBigUint64(at, a.getBigUint64(at, true) + b.getBigUint64(at, true), true);
  }
  return {
    match: range(0, pivot.rows).map((row) => bit(pivot.match, row) ^ bit(sender.match, row)),
    xor: pivot.xorShare
      .map((byte, i) => byte ^ sender.xorShare[i]!)
      .subarray(0, xorBytes * pivot.rows),
    ring,
  };
}

/** Name and length of every message in order, per sender and stream. */
export function messageShapes(frames: readonly Frame[]): string[] {
  return [0, 1].flatMap((from) =>
    frames
      .filter((frame) => frame.from === from)
      .map((frame) => `${from} ${frame.path}/${frame.step} ${frame.bytes.length}`),
  );
}

/** SHA-256 of a transcript, each direction in its own order. */
export function transcriptDigest(frames: readonly Frame[]): string {
  const hash = createHash('sha256');
  for (const from of [0, 1]) {
    for (const frame of frames.filter((f) => f.from === from)) {
      hash.update(`${from} ${frame.path}/${frame.step} ${frame.bytes.length}\n`);
      hash.update(frame.bytes);
    }
  }
  return toHex(hash.digest());
}

/**
 * Chi-square statistic of bytes against uniform, as a z-score (255 degrees of freedom, Wilson and
 * Hilferty's cube root). Above 5 is not chance.
 */
export function byteBias(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte] = counts[byte]! + 1;
  const expected = bytes.length / 256;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const spread = 2 / (9 * 255);
  return (Math.cbrt(chi / 255) - (1 - spread)) / Math.sqrt(spread);
}

/** Match bits and payload of every row against the two lists of users. */
export function expectPlainJoin(join: JoinCase, run: JoinRun): void {
  const opened = openJoin(run, join);
  const { userOfBin, rows } = run.pivot;
  expect(run.sender.rows).toBe(rows);
  expect(run.pivot.dropped).toBe(0);
  const users = [...userOfBin].filter((index) => index !== -1).map((index) => join.pivot[index]!);
  expect(users.toSorted((a, b) => a - b)).toEqual(join.pivot.toSorted((a, b) => a - b));
  const theirs = new Set(join.sender);
  const [x, r] = [join.xorBytes, 8 * join.ringLanes];
  const expected = [...userOfBin].map((i) => (i !== -1 && theirs.has(join.pivot[i]!) ? 1 : 0));
  expect(opened.match).toEqual(expected);
  const matched = range(0, rows).filter((row) => expected[row] === 1);
  const payload = matched.map((row) => payloadOf(join.pivot[userOfBin[row]!]!, join));
  const at = (bytes: Uint8Array, width: number): Uint8Array =>
    concat(matched.map((row) => bytes.subarray(width * row, width * (row + 1))));
  expect(toHex(at(opened.xor, x))).toBe(toHex(concat(payload.map((p) => p.xor))));
  expect(toHex(at(opened.ring, r))).toBe(toHex(concat(payload.map((p) => p.ring))));
}

export { ID_BYTES };
