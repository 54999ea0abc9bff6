import type { Channel } from '../core/channel.ts';
import { systemRng } from '../core/rng.ts';
import type { Calibration } from '../dp/index.ts';
import {
  emptyTable,
  finishRun,
  openMesh,
  runShard,
  shardCapacities,
  shardJoin,
  totalsBytes,
} from '../engine/mpc/index.ts';
import type { OtSeeds } from '../engine/mpc/index.ts';
import type { Plan, Side } from '../sql/plan.ts';

/** What one side sends and computes in one piece of a run. */
export interface Piece {
  /** Bytes to each other side, by its index, without the links' own framing. */
  readonly bytesTo: readonly number[];
  /** Part of them that the OPRF of the join sends. */
  readonly oprfBytesTo: readonly number[];
  readonly messages: number;
  readonly cpuSeconds: number;
}

/** Counts what is sent, hears nothing: every message of a peer reads as zeros of its length. */
class Tally {
  readonly bytesTo: number[];
  readonly oprfBytesTo: number[];
  messages = 0;

  constructor(parties: number) {
    this.bytesTo = Array.from({ length: parties }, () => 0);
    this.oprfBytesTo = this.bytesTo.slice();
  }

  channel(peer: Side, path: string): Channel {
    return {
      path,
      send: (_step, bytes) => {
        this.messages += 1;
        this.bytesTo[peer]! += bytes.length;
        if (/\/psi\/oprf$/.test(path)) this.oprfBytesTo[peer]! += bytes.length;
        return Promise.resolve();
      },
      recv: (_step, bytes) => Promise.resolve(new Uint8Array(bytes)),
      sub: (name) => this.channel(peer, `${path}/${name}`),
    };
  }
}

const SESSION_BYTES = 32;
const BLOCK_BYTES = 16;
const KAPPA = 128;

/** Seeds of the form that base OTs leave behind; nobody else has any that fit. */
function loneSeeds(party: 0 | 1, k: 2 | 4): OtSeeds {
  const leaves = (): Uint8Array => systemRng((KAPPA / k) * 2 ** k * BLOCK_BYTES);
  const delta = systemRng(BLOCK_BYTES);
  return { k, party, delta, senderLeaves: leaves(), receiverLeaves: leaves() };
}

/** Runs one side's code of one piece alone. */
async function alone(
  plan: Plan,
  side: Side,
  piece: (lane: {
    readonly mesh: ReturnType<typeof openMesh>;
    readonly channels: readonly (Channel | null)[];
    readonly sessionId: Uint8Array;
  }) => Promise<unknown>,
): Promise<Piece> {
  const parties = plan.sides.length;
  const tally = new Tally(parties);
  const sessionId = systemRng(SESSION_BYTES);
  const others = <T>(make: (peer: Side) => T): (T | null)[] =>
    plan.sides.map((_, peer) => (peer === side ? null : make(peer)));
  const channels = others((peer) => tally.channel(peer, 'rehearsal'));
  const seeds = others((peer) => loneSeeds(side < peer ? 0 : 1, plan.join.otFieldBits));
  const before = process.cpuUsage();
  const mesh = openMesh({ side, parties, channels, seeds, sessionId, rng: systemRng });
  await piece({ mesh, channels, sessionId });
  const { user, system } = process.cpuUsage(before);
  const { bytesTo, oprfBytesTo, messages } = tally;
  return { bytesTo, oprfBytesTo, messages, cpuSeconds: (user + system) / 1e6 };
}

const quiet = (): void => undefined;

/**
 * What a side sends in one shard: the very code of a run, on an empty table, against nobody. Message
 * lengths depend on the plan alone (tests of the engine hold that), so they are those of any run;
 * what is computed is of no meaning and is thrown away. Nothing leaves the process.
 *
 * The join's OPRF is rehearsed as KKRT, whose code does not check what it hears for being on a curve.
 */
export function rehearseShard(plan: Plan, side: Side): Promise<Piece> {
  const rehearsed: Plan = { ...plan, join: { ...plan.join, oprf: 'kkrt' } };
  const table = emptyTable(rehearsed, side);
  return alone(rehearsed, side, (lane) =>
    runShard({ plan: rehearsed, side, table, rng: systemRng, onProgress: quiet, ...lane }),
  );
}

/** What a side sends in the finish: noise, threshold, sentinel. As {@link rehearseShard}. */
export function rehearseFinish(plan: Plan, side: Side, calibration: Calibration): Promise<Piece> {
  const totals = new Uint8Array(totalsBytes(plan));
  return alone(plan, side, ({ mesh, channels }) =>
    finishRun({ plan, calibration, side, mesh, channels, totals, onProgress: quiet }),
  );
}

/** Bins per user of a pivot's shard below 2^14 users; what larger ones have is asked of the plan. */
const BINS_PER_USER = 1.35;

/**
 * A plan of one shard whose join has about `bins` bins where the given one's shards have
 * {@link binsOf}, and senders in proportion.
 */
export function shrunk(plan: Plan, bins: number): Plan {
  const factor = bins / binsOf(plan);
  const capacities = shardCapacities(plan);
  return {
    ...plan,
    join: { ...plan.join, shards: 1 },
    sides: plan.sides.map((side, i) => ({
      ...side,
      capacity: Math.max(1, Math.round(i === 0 ? bins / BINS_PER_USER : capacities[i]! * factor)),
    })),
  };
}

/** Bins of one shard's join. */
export function binsOf(plan: Plan): number {
  return shardJoin(plan, 1).bins;
}
