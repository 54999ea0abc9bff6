import type { Calibration } from '../dp/index.ts';
import { shardCapacities } from '../engine/mpc/index.ts';
import type { Plan, Side } from '../sql/plan.ts';
import { binsOf, rehearseFinish, rehearseShard, shrunk, type Piece } from './rehearse.ts';

/** What a run is expected to take. An estimate: nothing depends on it. */
export interface CostForecast {
  /** Bytes that each party sends to all others together, in plan order. */
  readonly bytes: readonly { readonly party: string; readonly bytes: number }[];
  readonly totalBytes: number;
  /** CPU seconds of each party, in plan order, on a machine as fast as this one. */
  readonly cpuSeconds: readonly { readonly party: string; readonly seconds: number }[];
  /** Parts of the run, and users of the pivot that each has room for. */
  readonly shards: number;
  readonly shardUsers: number;
}

/** LOCAL. Shards of at most this many bins are rehearsed whole, larger ones at this and half. */
const REHEARSED_BINS = 2 ** 13;

/**
 * Bytes between two parties before the first shard: base OTs and both directions' trees, by k.
 * Measured (docs/benchmarks.md, set-up with one peer); counted half to each, as the seconds are.
 */
const SET_UP_BYTES = { 2: 15_392, 4: 15_904 } as const;
const SET_UP_CPU_SECONDS = 0.27;

/** Seconds of one Curve25519 multiplication with its hash to the curve (docs/benchmarks.md). */
const ECDH_SECONDS = 45e-6;
const POINT_BYTES = 32;

/** Bytes of a link's own for each message (frame header, record header and tag), and at its start. */
const MESSAGE_BYTES = 60;
const LINK_BYTES = 2_000;

interface Forecast {
  readonly bytesTo: readonly number[];
  readonly cpuSeconds: number;
}

/** The OPRF of the plan in place of the rehearsed one. */
function withOprf(plan: Plan, side: Side, piece: Piece): Forecast {
  const { cpuSeconds } = piece;
  if (plan.join.oprf === 'kkrt') return { bytesTo: piece.bytesTo, cpuSeconds };
  const capacities = shardCapacities(plan);
  const pivotUsers = capacities[0]!;
  const inJoin = (peer: Side): boolean => (side === 0) !== (peer === 0);
  const bytesTo = piece.bytesTo.map((bytes, peer) =>
    inJoin(peer) ? bytes - piece.oprfBytesTo[peer]! + POINT_BYTES * pivotUsers : bytes,
  );
  // The pivot blinds and unblinds one point a user; a sender raises those and three of each own.
  const multiplications =
    side === 0 ? 2 * pivotUsers * (plan.sides.length - 1) : pivotUsers + 3 * capacities[side]!;
  return { bytesTo, cpuSeconds: cpuSeconds + multiplications * ECDH_SECONDS };
}

/** One shard: rehearsed whole, or on the line through two smaller ones. */
async function shardForecast(plan: Plan, side: Side): Promise<Forecast & { messages: number }> {
  const bins = binsOf(plan);
  const rehearse = async (at: Plan): Promise<Forecast & { messages: number; bins: number }> => {
    const piece = await rehearseShard(at, side);
    return { ...withOprf(at, side, piece), messages: piece.messages, bins: binsOf(at) };
  };
  if (bins <= REHEARSED_BINS) return rehearse(oneShard(plan));
  const low = await rehearse(shrunk(plan, REHEARSED_BINS / 2));
  const high = await rehearse(shrunk(plan, REHEARSED_BINS));
  const line = (a: number, b: number): number =>
    Math.max(b, b + ((b - a) * (bins - high.bins)) / (high.bins - low.bins));
  return {
    bytesTo: low.bytesTo.map((bytes, peer) => line(bytes, high.bytesTo[peer]!)),
    // Proportional: the first rehearsal also pays for code that is not compiled yet.
    cpuSeconds: (high.cpuSeconds * bins) / high.bins,
    messages: line(low.messages, high.messages),
  };
}

/** A plan whose only shard is one of the given plan's. */
function oneShard(plan: Plan): Plan {
  const capacities = shardCapacities(plan);
  return {
    ...plan,
    join: { ...plan.join, shards: 1 },
    sides: plan.sides.map((side, i) => ({ ...side, capacity: capacities[i]! })),
  };
}

/**
 * What a run of the plan will send and compute, by rehearsing each side's part on this machine: a
 * second or so. Bytes follow from the plan alone and are near what the relay counts (within 15% is
 * tested; shards beyond 8,192 bins are extrapolated). CPU seconds are those of this machine, one
 * core, without import and local stage, which depend on rows that nobody here knows.
 */
export async function forecastCost(plan: Plan, calibration: Calibration): Promise<CostForecast> {
  const { shards, otFieldBits } = plan.join;
  const others = plan.sides.length - 1;
  const sides: { readonly bytes: number; readonly seconds: number }[] = [];
  for (let side = 0; side < plan.sides.length; side += 1) {
    const shard = await shardForecast(plan, side);
    const finish = await rehearseFinish(plan, side, calibration);
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const messages = shards * shard.messages + finish.messages;
    const fixed = others * (SET_UP_BYTES[otFieldBits] / 2 + LINK_BYTES) + messages * MESSAGE_BYTES;
    sides.push({
      bytes: Math.round(shards * sum(shard.bytesTo) + sum(finish.bytesTo) + fixed),
      seconds: shards * shard.cpuSeconds + finish.cpuSeconds + others * SET_UP_CPU_SECONDS,
    });
  }
  return {
    bytes: plan.sides.map(({ party }, i) => ({ party, bytes: sides[i]!.bytes })),
    totalBytes: sides.reduce((total, { bytes }) => total + bytes, 0),
    cpuSeconds: plan.sides.map(({ party }, i) => ({
      party,
      seconds: Math.round(10 * sides[i]!.seconds) / 10,
    })),
    shards,
    shardUsers: shardCapacities(plan)[0]!,
  };
}
