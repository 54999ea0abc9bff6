import type { Channel } from '../../core/channel.ts';
import type { Calibration } from '../../dp/index.ts';
import { bitBytes, useName } from '../../protocols/ot/index.ts';
import type { OtCount, OtPair, OtUse } from '../../protocols/ot/index.ts';
import { equalTags, KKRT_OTS } from '../../protocols/psi/index.ts';
import type { JoinShares } from '../../protocols/psi/index.ts';
import type { Sharing } from '../../protocols/sharing/types.ts';
import type { Plan, Side } from '../../sql/plan.ts';
import { vetAnswer } from './finish.ts';
import type { Mesh } from './mesh.ts';
import { payloadLayout } from './payload.ts';
import { evaluateShard, joinedInputs, totalsBytes } from './shard.ts';
import { emptyTable, shardJoin } from './shards.ts';
import type { LaneDemand } from './stock.ts';

/** What the lanes of a run consume at one side; equal for all shards. */
export interface RunDemand {
  readonly shard: LaneDemand;
  readonly finish: LaneDemand;
}

/**
 * What one side's lanes of a run consume, by kind: public, because how often which protocol is called
 * follows from the plan alone. Counted by running the evaluation itself, on zeros, over gates and
 * transfers that only count: no formula can drift from the code it describes. Learns and sends
 * nothing. Cost: the local work of one shard after its join, without cryptography but the trees
 * of unit vectors.
 */
export async function runDemand(
  plan: Plan,
  calibration: Calibration,
  side: Side,
): Promise<RunDemand> {
  const shard = countingMesh(side, plan.sides.length);
  await countShard(shard.mesh, plan, side);
  const finish = countingMesh(side, plan.sides.length);
  const bytes = totalsBytes(plan) / plan.measures.length;
  const totals = plan.measures.map(() => new Uint8Array(bytes));
  await vetAnswer(finish.mesh.sharing, plan, calibration, totals);
  return { shard: shard.demand(), finish: finish.demand() };
}

async function countShard(mesh: Mesh, plan: Plan, side: Side): Promise<void> {
  const joins: (JoinShares | null)[] = [];
  for (const sender of plan.sides.keys()) {
    const pair = mesh.pairs[side === 0 ? sender : 0];
    const absent = sender === 0 || (side !== 0 && side !== sender) || pair == null;
    joins.push(absent ? null : await countJoin(pair, plan, sender));
  }
  const { bins } = shardJoin(plan, 1);
  const userOfBin = new Int32Array(bins).fill(-1);
  const own = side === 0 ? { userOfBin, table: emptyTable(plan, 0) } : null;
  const inputs = joinedInputs(plan, joins, own);
  await evaluateShard(mesh, inputs);
}

/** The join of the pivot with one sender, as far as it consumes correlations. */
async function countJoin(pair: Sharing, plan: Plan, sender: Side): Promise<JoinShares> {
  const { bins, tagBits } = shardJoin(plan, sender);
  const { sender: send, receiver } = pair.ots[1 - pair.party]!;
  if (plan.join.oprf === 'kkrt') {
    // The pivot is the OPRF's receiver and so the OTs' sender.
    if (pair.party === 0) await send.random(KKRT_OTS);
    else await receiver.random(new Uint8Array(bitBytes(KKRT_OTS)), KKRT_OTS);
  }
  const match = await equalTags(pair, new Uint8Array(8 * bins), bins, tagBits);
  const { xorBytes, ringLanes } = payloadLayout(plan, sender);
  const xorShare = new Uint8Array(bins * xorBytes);
  return { rows: bins, match, xorShare, ringShare: new Uint8Array(8 * bins * ringLanes) };
}

/** A mesh that computes on zeros and counts what a real one would consume. */
function countingMesh(side: Side, parties: number): { readonly mesh: Mesh; demand(): LaneDemand } {
  const peers = Array.from({ length: parties }, (_, peer) => peer);
  const sends = peers.map(() => new Map<string, OtCount>());
  const receives = peers.map(() => new Map<string, OtCount>());
  const ots = peers.map((peer) =>
    peer === side ? null : countingPair(counter(sends[peer]!), counter(receives[peer]!)),
  );
  const streams = peers.map((peer) => (peer === side ? null : SILENT));
  let triples = 0;
  const pairTriples = peers.map(() => 0);
  const pairs = peers.map((peer): Sharing | null => {
    if (peer === side || (side !== 0 && peer !== 0)) return null;
    const both = <T>(value: T): [null, T] | [T, null] =>
      side === 0 ? [null, value] : [value, null];
    return countingSharing(side === 0 ? 0 : 1, both(ots[peer]!), both(SILENT), (n) => {
      if (parties === 2) triples += n;
      else pairTriples[peer]! += n;
    });
  });
  const only = parties === 2 ? pairs[side === 0 ? 1 : 0] : undefined;
  const sharing = only ?? countingSharing(side, ots, streams, (n) => (triples += n));
  return {
    mesh: { side, parties, sharing, pairs },
    demand: () => ({
      triples,
      pairTriples,
      sends: sends.map(countsOf),
      receives: receives.map(countsOf),
    }),
  };
}

/** In an order all parties agree on. */
function countsOf(counts: ReadonlyMap<string, OtCount>): OtCount[] {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
}

function counter(counts: Map<string, OtCount>): (use: OtUse, n: number) => void {
  return ({ kind, width }, n) => {
    if (n === 0) return;
    const name = useName({ kind, width });
    // A stock is taken from in whole lanes.
    const more = 8 * bitBytes(n);
    counts.set(name, { kind, width, n: (counts.get(name)?.n ?? 0) + more });
  };
}

function countingSharing(
  party: number,
  ots: readonly (OtPair | null)[],
  channels: readonly (Channel | null)[],
  onTriples: (n: number) => void,
): Sharing {
  return {
    party,
    parties: ots.length,
    ots,
    channels,
    rng: (bytes) => new Uint8Array(bytes),
    and(xs, _ys, rows) {
      onTriples(8 * xs.length * bitBytes(rows));
      return Promise.resolve(xs.map(() => new Uint8Array(bitBytes(rows))));
    },
  };
}

type Count = (use: OtUse, n: number) => void;

function countingPair(onSend: Count, onReceive: Count): OtPair {
  const zeros = (count: Count, use: OtUse, n: number, bytes: number): Promise<Uint8Array> => {
    count(use, n);
    return Promise.resolve(new Uint8Array(n * bytes));
  };
  return {
    sender: {
      async random(n, blocks = 1) {
        const k0 = await zeros(onSend, { kind: 'blocks', width: blocks }, n, 16 * blocks);
        return { k0, k1: k0.slice() };
      },
      correlatedRing64: (_, n, lanes) =>
        zeros(onSend, { kind: 'ring64', width: lanes }, n, 8 * lanes),
      correlatedRing6: (_, n) => zeros(onSend, { kind: 'ring6', width: 1 }, n, 1),
    },
    receiver: {
      random: (_, n, blocks = 1) =>
        zeros(onReceive, { kind: 'blocks', width: blocks }, n, 16 * blocks),
      correlatedRing64: (_, n, lanes) =>
        zeros(onReceive, { kind: 'ring64', width: lanes }, n, 8 * lanes),
      correlatedRing6: (_, n) => zeros(onReceive, { kind: 'ring6', width: 1 }, n, 1),
    },
  };
}

/** A peer of whom only the lengths of its messages matter. */
const SILENT: Channel = {
  path: 'counted',
  send: () => Promise.resolve(),
  recv: (_step, bytes) => Promise.resolve(new Uint8Array(bytes)),
  sub: () => SILENT,
};
