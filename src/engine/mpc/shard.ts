import { createHash } from 'node:crypto';
import { concat, utf8 } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import { createEcdhOprf, createKkrtOprf, runPivot, runSender } from '../../protocols/psi/index.ts';
import type { Helper, JoinContext, JoinShares, Oprf } from '../../protocols/psi/index.ts';
import type { PivotOutput } from '../../protocols/psi/index.ts';
import { addRing } from '../../protocols/sharing/index.ts';
import { otWith } from '../../protocols/sharing/types.ts';
import type { RingVector, Sharing, Wire } from '../../protocols/sharing/types.ts';
import { groupCount, mixedKeys } from '../../sql/index.ts';
import type { Plan, Side } from '../../sql/plan.ts';
import type { LocalTable } from '../types.ts';
import { groupTotals } from './aggregate.ts';
import { boundContributions } from './contributions.ts';
import { rowLabels } from './labels.ts';
import type { Mesh } from './mesh.ts';
import { encodePayload, payloadLayout } from './payload.ts';
import type { JoinedInputs } from './predicate.ts';
import { qualifyingRows } from './predicate.ts';
import { clearPadding, rowsToLanes, rowsToWires, shapeOf, type Shape } from './rows.ts';
import { shardCapacities, shardJoin } from './shards.ts';
import { slotsOf } from '../values.ts';

/** What one party hands to a shard of a run. */
export interface ShardOptions {
  readonly plan: Plan;
  /** 0 runs the pivot's part. */
  readonly side: Side;
  /** This party's users of this shard, from `dealShards`. */
  readonly table: LocalTable;
  /** A lane of this shard and attempt alone. */
  readonly mesh: Mesh;
  /** Streams of this shard and attempt alone, by side; null at this party's own. */
  readonly channels: readonly (Channel | null)[];
  /** 32 bytes all parties agree on and never use again; labels every derived key. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
  readonly onProgress: OnProgress;
  /** Threads beside this one for the curve work of an ECDH join; none when left out. */
  readonly helpers?: readonly Helper[];
}

/** Bytes of a share of all totals: 8 per measure and group. */
export function totalsBytes(plan: Plan): number {
  return 8 * plan.measures.length * groupCount(plan);
}

/** The share of two shards together. */
export function addTotals(a: Uint8Array, b: Uint8Array): Uint8Array {
  return addRing(a, b);
}

/**
 * Runs one party's part of one shard: join with every other party, predicate and group sums, all
 * on shares. Learns nothing but its own additive share of the shard's totals, which must not be
 * opened: shards are added up first.
 *
 * Model: semi-honest, all parties but one may collude. Sources: the PROTOCOL.md of each step.
 * Message count, order and lengths depend on the plan alone.
 * @returns `totalsBytes(plan)` bytes, measure-major.
 * @throws ParleyError of the channels and of the protocols (fault `peer` or `transport`).
 */
export async function runShard(options: ShardOptions): Promise<Uint8Array> {
  const { mesh, onProgress } = options;
  const stage = (name: string): void => onProgress({ stage: name, done: 1, total: 1 });
  const inputs = await joinAll(options);
  stage('join');
  const totals = await evaluateShard(mesh, inputs, stage);
  stage('aggregate');
  return concat(totals);
}

/**
 * Everything after the join: which combinations of rows qualify, which of those the bounds on one
 * user keep, and the totals of what is left.
 */
export async function evaluateShard(
  mesh: Mesh,
  inputs: JoinedInputs,
  stage: (name: string) => void = () => undefined,
): Promise<RingVector[]> {
  const qualifying = await qualifyingRows(mesh, inputs);
  stage('predicate');
  const labels = await rowLabels(mesh, inputs);
  const kept = await boundContributions(mesh.sharing, inputs, qualifying, labels);
  return groupTotals(mesh, inputs, kept, labels);
}

/** Bytes each party adds to the seed of a shard's cuckoo table. */
const NONCE_BYTES = 32;
const SEED_LABEL = utf8('parley/engine/cuckoo-seed/v1');

/**
 * The seed of the shard's cuckoo table, the same for all senders, so that their rows line up:
 * hash of every party's nonce, drawn after all inputs are fixed.
 */
async function agreeSeed({ channels, side, sessionId, rng }: ShardOptions): Promise<Uint8Array> {
  const own = rng(NONCE_BYTES);
  const nonces = await Promise.all(
    channels.map(async (channel, peer) => {
      if (channel === null || peer === side) return own;
      const stream = channel.sub('seed');
      const [theirs] = await Promise.all([
        stream.recv('nonce', NONCE_BYTES),
        stream.send('nonce', own.slice()),
      ]);
      return theirs;
    }),
  );
  const hash = createHash('sha256').update(SEED_LABEL).update(sessionId);
  for (const nonce of nonces) hash.update(nonce);
  return new Uint8Array(hash.digest()).subarray(0, 16);
}

async function joinAll(options: ShardOptions): Promise<JoinedInputs> {
  const { plan, side, table } = options;
  const seed = await agreeSeed(options);
  const joins = await Promise.all(
    plan.sides.map(async (_, sender): Promise<(JoinShares & Partial<PivotOutput>) | null> => {
      if (sender === 0 || (side !== 0 && side !== sender)) return null;
      return side === 0 ? joinAsPivot(options, seed, sender) : joinAsSender(options, seed, sender);
    }),
  );
  // One seed places the pivot's users alike for every sender.
  const userOfBin = joins[1]?.userOfBin;
  return joinedInputs(plan, joins, userOfBin === undefined ? null : { userOfBin, table });
}

/**
 * What evaluation reads, from this party's shares of the joins it took part in.
 * @param own - the pivot's table and the user in each bin; null at the senders.
 */
export function joinedInputs(
  plan: Plan,
  joins: readonly (JoinShares | null)[],
  own: { readonly userOfBin: Int32Array; readonly table: LocalTable } | null,
): JoinedInputs {
  const layouts = plan.sides.map((_, i) => (i === 0 ? null : payloadLayout(plan, i)));
  const shape = shardShape(plan);
  const payloads = joins.map((join, i) =>
    join === null ? [] : rowsToWires(join.xorShare, layouts[i]!.xorBytes, shape),
  );
  const lanes = joins.map((join, i) =>
    join === null ? [] : rowsToLanes(join.ringShare, layouts[i]!.ringLanes, shape),
  );
  const matches = joins.map((join) =>
    join === null ? null : clearPadding(join.match, shape.bins),
  );
  const compared = mixedKeys(plan).length > 0 ? new Map<string, Wire>() : null;
  const shares = { plan, shape, layouts, payloads, lanes, matches, compared };
  if (own === null) return { ...shares, own };
  const { table, userOfBin } = own;
  return { ...shares, own: { table, place: { userOfBin, users: table.users } } };
}

/** Bins and slots of every shard. */
function shardShape(plan: Plan): Shape {
  const { bins } = shardJoin(plan, 1);
  return shapeOf(
    bins,
    plan.sides.map((planned) => slotsOf(planned)),
  );
}

/** How the join between the pivot and one sender is run, at either end. */
function contextWith(options: ShardOptions, seed: Uint8Array, sender: Side): JoinContext {
  const { side, mesh, channels, rng, onProgress } = options;
  const peer = side === 0 ? sender : 0;
  const [sharing, channel] = [mesh.pairs[peer], channels[peer]];
  expect(sharing != null && channel != null, 'the pivot has gates with every sender');
  return {
    sharing,
    channel: channel.sub('psi'),
    oprf: oprfOf(options, sharing),
    seed,
    rng,
    onProgress,
  };
}

function oprfOf(options: ShardOptions, sharing: Sharing): Oprf {
  const { plan, sessionId: session, helpers = [], onProgress } = options;
  if (plan.join.oprf === 'ecdh') return createEcdhOprf({ session, helpers, onProgress });
  return createKkrtOprf({ session, pair: otWith(sharing, 1 - sharing.party), onProgress });
}

function paramsWith(plan: Plan, sender: Side): Parameters<typeof runPivot>[1] {
  const capacities = shardCapacities(plan);
  const { xorBytes, ringLanes } = payloadLayout(plan, sender);
  return {
    pivotCapacity: capacities[0]!,
    senderCapacity: capacities[sender]!,
    xorBytes,
    ringLanes,
    shards: plan.join.shards,
  };
}

function joinAsPivot(
  options: ShardOptions,
  seed: Uint8Array,
  sender: Side,
): ReturnType<typeof runPivot> {
  const context = contextWith(options, seed, sender);
  return runPivot(context, paramsWith(options.plan, sender), { ids: options.table.ids });
}

function joinAsSender(
  options: ShardOptions,
  seed: Uint8Array,
  sender: Side,
): ReturnType<typeof runSender> {
  const { plan, table } = options;
  const payload = encodePayload(plan, payloadLayout(plan, sender), table, sender);
  return runSender(contextWith(options, seed, sender), paramsWith(plan, sender), {
    ids: table.ids,
    payloadXor: payload.xor,
    payloadRing: payload.ring,
  });
}
