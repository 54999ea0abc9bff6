import { expect } from '../../core/errors.ts';
import { bitBytes, keyBytes, makeReceiverPool, makeSenderPool } from '../../protocols/ot/index.ts';
import type {
  BitTriples,
  OtCount,
  PairStock,
  ReceiverPool,
  SenderPool,
} from '../../protocols/ot/index.ts';
import { openSources, type MeshOptions } from './mesh.ts';

/** How many correlations of each kind one side of a lane consumes; public. */
export interface LaneDemand {
  /** Bit triples among all parties. */
  readonly triples: number;
  /** Bit triples of the pivot and one sender, by the other's side; none between two parties. */
  readonly pairTriples: readonly number[];
  /** By the other side; empty at this party's own. */
  readonly sends: readonly (readonly OtCount[])[];
  readonly receives: readonly (readonly OtCount[])[];
}

/** One party's correlations for one lane, made ahead with all other parties. Secret, single use. */
export interface LaneStock {
  readonly triples: BitTriples;
  readonly pairTriples: readonly (BitTriples | null)[];
  /** By the other side; null at this party's own. */
  readonly pairs: readonly (PairStock | null)[];
}

/**
 * Makes one lane's correlations with all other parties, before any input is known. All parties make
 * the same call. Learns nothing but its own random shares.
 *
 * Model, sources and messages: those of the lane's OT extension and triples (PROTOCOL.md of ot).
 * @throws ParleyError of the channels.
 */
export async function makeLaneStock(
  options: MeshOptions,
  demand: LaneDemand,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<LaneStock> {
  const { ots, triples, pairTriples } = openSources(options);
  const total = laneBytes(demand);
  let done = 0;
  const made = (bytes: number): void => onProgress((done += bytes), total);
  const all = await triples.take(demand.triples);
  made(tripleBytes(demand.triples));
  const ofPairs = await Promise.all(
    pairTriples.map(async (source, peer) => {
      const n = demand.pairTriples[peer]!;
      return source === null || n === 0 ? null : source.take(n);
    }),
  );
  const pairs = await Promise.all(
    ots.map(async (pair, peer): Promise<PairStock | null> => {
      if (pair === null) return null;
      const send = async (): Promise<SenderPool[]> => {
        const pools: SenderPool[] = [];
        for (const count of demand.sends[peer]!) {
          pools.push(await makeSenderPool(pair.sender, count));
          made(2 * count.n * keyBytes(count));
        }
        return pools;
      };
      const receive = async (): Promise<ReceiverPool[]> => {
        const pools: ReceiverPool[] = [];
        for (const count of demand.receives[peer]!) {
          pools.push(await makeReceiverPool(pair.receiver, count, options.rng));
          made(count.n * keyBytes(count) + bitBytes(count.n));
        }
        return pools;
      };
      const [sends, receives] = await Promise.all([send(), receive()]);
      return { sends, receives };
    }),
  );
  return { triples: all, pairTriples: ofPairs, pairs };
}

/** Bytes that {@link laneSections} of such a stock have together. */
export function laneBytes(demand: LaneDemand): number {
  const { triples, pairTriples, sends, receives } = demand;
  const sum = (parts: readonly number[]): number => parts.reduce((a, b) => a + b, 0);
  return (
    tripleBytes(triples) +
    sum(pairTriples.map(tripleBytes)) +
    sum(sends.flat().map((count) => 2 * count.n * keyBytes(count))) +
    sum(receives.flat().map((count) => count.n * keyBytes(count) + bitBytes(count.n)))
  );
}

function tripleBytes(n: number): number {
  return 3 * bitBytes(n);
}

/** Everything in a lane's stock in the one order that {@link readLaneStock} reads; views. */
export function laneSections({ triples, pairTriples, pairs }: LaneStock): Uint8Array[] {
  const of = (made: BitTriples | null): Uint8Array[] =>
    made === null ? [] : [made.a, made.b, made.c];
  return [
    ...of(triples),
    ...pairTriples.flatMap(of),
    ...pairs.flatMap((pair) => [
      ...(pair?.sends.flatMap(({ k0, k1 }) => [k0, k1]) ?? []),
      ...(pair?.receives.flatMap(({ choices, keys }) => [choices, keys]) ?? []),
    ]),
  ];
}

/**
 * The stock that {@link laneSections} were of.
 * @param bytes - `laneBytes(demand)` long; the stock keeps views of it.
 */
export function readLaneStock(demand: LaneDemand, bytes: Uint8Array, side: number): LaneStock {
  expect(bytes.length === laneBytes(demand), 'a stock has the bytes of its demand');
  let at = 0;
  const take = (length: number): Uint8Array => bytes.subarray(at, (at += length));
  const triplesOf = (n: number): BitTriples => {
    const length = bitBytes(n);
    return { a: take(length), b: take(length), c: take(length) };
  };
  const triples = triplesOf(demand.triples);
  const pairTriples = demand.pairTriples.map((n) => (n === 0 ? null : triplesOf(n)));
  const pairs = demand.sends.map((sends, peer): PairStock | null => {
    if (peer === side) return null;
    return {
      sends: sends.map((count) => {
        const length = count.n * keyBytes(count);
        return { ...count, k0: take(length), k1: take(length) };
      }),
      receives: demand.receives[peer]!.map((count) => {
        const choices = take(bitBytes(count.n));
        return { ...count, choices, keys: take(count.n * keyBytes(count)) };
      }),
    };
  });
  return { triples, pairTriples, pairs };
}
