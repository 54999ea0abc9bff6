import type { Channel } from '../../src/core/channel.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { Rng } from '../../src/core/rng.ts';
import { calibrate } from '../../src/dp/index.ts';
import type { Calibration } from '../../src/dp/index.ts';
import type { Mesh, OtSeeds } from '../../src/engine/mpc/index.ts';
import {
  makeLaneStock,
  openMesh,
  runDemand,
  runPlan,
  setUpOts,
  type LaneDemand,
  type LaneStock,
  type RunStock,
} from '../../src/engine/mpc/index.ts';
import type { LocalTable, OutputShare } from '../../src/engine/types.ts';
import type { Plan } from '../../src/sql/index.ts';
import type { MemoryMesh } from './memory-channel.ts';
import { memoryMesh, runAll } from './memory-channel.ts';

/** Engines of all parties in one process over in-memory links: real protocols, base OTs once. */
export interface EngineRoom {
  readonly parties: number;
  readonly links: MemoryMesh;
  run(
    plan: Plan,
    tables: readonly LocalTable[],
    stocks?: readonly RunStock[],
  ): Promise<readonly OutputShare[]>;
  /** Every party's stock for a run of the plan; `cut` may shrink what is made of each lane. */
  stock(plan: Plan, cut?: (demand: LaneDemand) => LaneDemand): Promise<readonly RunStock[]>;
  /** A lane of gates among all parties, for tests of one step. */
  meshes(): readonly Mesh[];
}

let lanes = 0;

export interface EngineRoomOptions {
  readonly parties?: number;
  readonly k?: 2 | 4;
  /** One per party. */
  readonly rngs?: readonly Rng[];
  readonly links?: MemoryMesh;
  /** Fresh unless a test pins bytes. */
  readonly sessionId?: Uint8Array;
}

export async function engineRoom(options: EngineRoomOptions = {}): Promise<EngineRoom> {
  const { parties = 2, k = 4 } = options;
  const links = options.links ?? memoryMesh(parties, undefined, 'test', false);
  const rngs = options.rngs ?? Array.from({ length: parties }, () => systemRng);
  const sessionId = options.sessionId ?? systemRng(32);
  const sides = Array.from({ length: parties }, (_, side) => side);
  const seeds = await runAll(links, (side) =>
    Promise.all(
      links.ends[side]!.map(async (channel, peer): Promise<OtSeeds | null> =>
        channel === null
          ? null
          : setUpOts({
              channel: channel.sub('base'),
              party: side < peer ? 0 : 1,
              k,
              sessionId,
              rng: rngs[side]!,
            }),
      ),
    ),
  );
  const below = (side: number, name: string): (Channel | null)[] =>
    links.ends[side]!.map((channel) => channel?.sub(name) ?? null);
  return {
    parties,
    links,
    async stock(plan, cut = (demand) => demand) {
      const name = `stock${lanes++}`;
      return runAll(links, async (side) => {
        const demand = await runDemand(plan, calibrationOf(plan), side);
        const make = (lane: string, of: LaneDemand): Promise<LaneStock> => {
          const channels = below(side, `${name}.${lane}`);
          const rng = rngs[side]!;
          const options = { side, parties, channels, seeds: seeds[side]!, sessionId, rng };
          return makeLaneStock(options, cut(of));
        };
        const shards: LaneStock[] = [];
        for (let i = 0; i < plan.join.shards; i += 1) {
          shards.push(await make(`s${i}`, demand.shard));
        }
        return { shards, finish: await make('finish', demand.finish) };
      });
    },
    run(plan, tables, stocks) {
      const calibration = calibrationOf(plan);
      const name = `run${lanes++}`;
      return runAll(links, (side) =>
        runPlan({
          plan,
          calibration,
          side,
          table: tables[side]!,
          seeds: seeds[side]!,
          channels: below(side, name),
          sessionId,
          rng: rngs[side]!,
          onProgress: () => undefined,
          ...(stocks === undefined ? {} : { stock: stocks[side]! }),
        }),
      );
    },
    meshes() {
      const name = `lane${lanes++}`;
      return sides.map((side) =>
        openMesh({
          side,
          parties,
          channels: below(side, name),
          seeds: seeds[side]!,
          sessionId,
          rng: rngs[side]!,
        }),
      );
    },
  };
}

export function calibrationOf(plan: Plan): Calibration {
  return calibrate({ ...plan.privacy, measures: plan.measures });
}

/** XOR of all shares: what the analyst's client sees. */
export function combine(shares: readonly OutputShare[]): OutputShare {
  const xor = (parts: readonly Uint8Array[]): Uint8Array =>
    parts.reduce((sum, part) => sum.map((byte, i) => byte ^ part[i]!));
  return {
    open: xor(shares.map(({ open }) => open)),
    cells: xor(shares.map(({ cells }) => cells)),
  };
}
