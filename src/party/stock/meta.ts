import { createHash } from 'node:crypto';
import { z } from 'zod';
import { laneBytes, type LaneDemand, type RunDemand } from '../../engine/mpc/index.ts';
import { canonicalJson } from '../../policy/index.ts';
import type { Plan } from '../../sql/index.ts';
import { sealedBytes } from './sealed.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);
const counts = z.array(
  z.strictObject({
    kind: z.enum(['ring6', 'ring64', 'blocks']),
    width: z.int().min(1),
    n: count,
  }),
);
const lane = z.strictObject({
  triples: count,
  pairTriples: z.array(count),
  sends: z.array(counts),
  receives: z.array(counts),
});

export const metaSchema = z.strictObject({
  version: z.literal(1),
  batch: hex32,
  room: z.string(),
  policy_digest: hex32,
  party: z.string(),
  /** All parties, pivot first. */
  sides: z.array(z.string()).min(2).max(4),
  shape: hex32,
  k: z.union([z.literal(2), z.literal(4)]),
  shards: z.int().min(1),
  demand: z.strictObject({ shard: lane, finish: lane }),
});

/** What a batch is, in clear beside it; public, and bound into its keys. */
export type BatchMeta = z.infer<typeof metaSchema>;

/** The lane files of a batch, in order. */
export function laneNames({ shards }: Pick<BatchMeta, 'shards'>): string[] {
  return [...Array.from({ length: shards }, (_, shard) => laneOf(shard)), FINISH];
}

export const SEEDS = 'seeds';
export const FINISH = 'finish';
export function laneOf(shard: number): string {
  return `s${shard}`;
}

export function demandOf({ demand }: Pick<BatchMeta, 'demand'>, name: string): LaneDemand {
  return name === FINISH ? demand.finish : demand.shard;
}

/** Bytes that a batch's lanes take on disk. */
export function batchBytes(meta: Pick<BatchMeta, 'demand' | 'shards'>): number {
  return laneNames(meta).reduce((n, name) => n + sealedBytes(laneBytes(demandOf(meta, name))), 0);
}

const SHAPE_DOMAIN = 'parley/stock/shape/v1\0';

/**
 * Names the runs that one batch serves: plans that differ only in what hardly moves the counts, such
 * as the literals of filters, what is selected first, or epsilon. A batch that is short for such a run
 * costs speed only.
 */
export function shapeOfPlan(plan: Plan): string {
  const { sides, join, pair, groups, measures, privacy, policyDigest, room } = plan;
  const shape = {
    room,
    policy_digest: policyDigest,
    sides: sides.map(({ party, table, capacity, slots, bits, bounds, absent }) => ({
      party,
      table,
      capacity,
      slots,
      bits: bits.length,
      bounds,
      outer: absent !== null,
    })),
    join,
    pair,
    groups: groups.map((key) => {
      const size = key.domain.length;
      return key.side === null ? { labels: key.labels, size } : { side: key.side, size };
    }),
    measures: measures.map(({ measure, released, nonNullIndex, low }) => ({
      measure,
      released,
      nonNullIndex,
      low,
    })),
    noise: privacy.differential !== null,
    selection: privacy.selection,
  };
  return createHash('sha256').update(SHAPE_DOMAIN).update(canonicalJson(shape)).digest('hex');
}

export function metaOf(
  plan: Plan,
  own: { readonly party: string; readonly batch: string },
  demand: RunDemand,
): BatchMeta {
  const wide = ({
    triples,
    pairTriples,
    sends,
    receives,
  }: LaneDemand): BatchMeta['demand']['shard'] => ({
    triples,
    pairTriples: [...pairTriples],
    sends: sends.map((all) => all.map((c) => ({ ...c }))),
    receives: receives.map((all) => all.map((c) => ({ ...c }))),
  });
  return {
    version: 1,
    batch: own.batch,
    room: plan.room,
    policy_digest: plan.policyDigest,
    party: own.party,
    sides: plan.sides.map(({ party }) => party),
    shape: shapeOfPlan(plan),
    k: plan.join.otFieldBits,
    shards: plan.join.shards,
    demand: { shard: wide(demand.shard), finish: wide(demand.finish) },
  };
}
