import { getPriority, setPriority } from 'node:os';
import { isMainThread, type MessagePort } from 'node:worker_threads';
import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { asParleyError } from '../../core/errors.ts';
import type { ErrorDocument } from '../../core/errors.ts';
import type { ProgressEvent } from '../../core/progress.ts';
import { systemRng } from '../../core/rng.ts';
import type { Calibration } from '../../dp/index.ts';
import { finishRun, openMesh, runDemand, runShard, setUpOts } from '../../engine/mpc/index.ts';
import type { LaneDemand, Mesh, OtSeeds, RunDemand } from '../../engine/mpc/index.ts';
import type { LocalTable, OutputShare } from '../../engine/types.ts';
import type { Plan, PlanSide, Side } from '../../sql/index.ts';
import type { InputContext, SealedInput } from '../../tee-adapter/enclave/input.ts';
import { makeLaneFile, takeLaneFile, type LaneFile } from '../stock/lane-file.ts';
import type { SealedFile } from '../stock/sealed.ts';
import { helpersOf } from './helpers.ts';
import { portChannel } from './port-channel.ts';

/** The way to one other party from inside a worker. */
export interface PeerPort {
  readonly port: MessagePort;
  /** Path of the bridged channel. */
  readonly path: string;
}

interface LaneTask {
  readonly plan: Plan;
  readonly side: Side;
  readonly seeds: readonly (OtSeeds | null)[];
  readonly sessionId: Uint8Array;
  /** By side; null at this party's own. */
  readonly peers: readonly (PeerPort | null)[];
  /** Hears {@link ProgressEvent}s. */
  readonly progress: MessagePort;
}

/** Correlations made ahead for a lane; null when they are made in it. */
type StockTask = LaneFile | null;

/** One piece of a run, done in a worker thread. */
export type WorkerTask =
  | {
      readonly kind: 'setUp';
      readonly peer: PeerPort;
      readonly party: 0 | 1;
      readonly k: 2 | 4;
      readonly sessionId: Uint8Array;
    }
  | (LaneTask & {
      readonly kind: 'shard';
      readonly table: LocalTable;
      readonly stock: StockTask;
      /** Threads that may help this one; used by the ECDH join. */
      readonly helpers: number;
    })
  | {
      readonly kind: 'demand';
      readonly plan: Plan;
      readonly calibration: Calibration;
      readonly side: Side;
    }
  | (LaneTask & {
      readonly kind: 'stock';
      readonly demand: LaneDemand;
      readonly file: SealedFile;
    })
  | {
      readonly kind: 'sealInput';
      readonly table: LocalTable;
      readonly side: PlanSide;
      /** Of the enclave that the party has accepted. */
      readonly sealingKey: string;
      readonly context: InputContext;
    }
  | (LaneTask & {
      readonly kind: 'finish';
      readonly stock: StockTask;
      readonly calibration: Calibration;
      readonly totals: Uint8Array;
    });

/** What the kinds of work give. */
type WorkValue = OtSeeds | Uint8Array | OutputShare | RunDemand | SealedInput | null;

/** What a task gives; errors travel as documents, since a class does not survive the way. */
export type WorkerResult = { readonly value: WorkValue } | { readonly error: ErrorDocument };

/** LOCAL. Added to the niceness of a worker thread; 19 is the end of the scale. */
const NICENESS = 5;

/**
 * Heartbeats and sockets come before shards where cores are short. On Linux niceness belongs to the
 * thread that asks (setpriority(2), C library/kernel differences); elsewhere to the process.
 */
function yieldToMainThread(): void {
  if (isMainThread || process.platform !== 'linux') return;
  try {
    setPriority(0, Math.min(19, getPriority(0) + NICENESS));
  } catch {
    // Not permitted: shards compete like before.
  }
}
yieldToMainThread();

function openLane(task: LaneTask, stock: StockTask): { mesh: Mesh; channels: (Channel | null)[] } {
  const options = laneOf(task);
  const made = stock === null ? null : takeLaneFile(stock, task.side);
  return { channels: options.channels, mesh: openMesh(options, made) };
}

function laneOf(task: LaneTask) {
  const { plan, side, seeds, sessionId, peers } = task;
  const channels = peers.map((peer) => (peer === null ? null : portChannel(peer.port, peer.path)));
  return { side, parties: plan.sides.length, channels, seeds, sessionId, rng: systemRng };
}

async function run(task: WorkerTask): Promise<WorkValue> {
  if (task.kind === 'setUp') {
    const { peer, party, k, sessionId } = task;
    const channel = portChannel(peer.port, peer.path);
    return setUpOts({ channel, party, k, sessionId, rng: systemRng });
  }
  if (task.kind === 'demand') return runDemand(task.plan, task.calibration, task.side);
  if (task.kind === 'sealInput') {
    // Loaded here: threads of runs on shares do without.
    const { encodeInput, sealInput } = await import('../../tee-adapter/enclave/input.ts');
    const plaintext = encodeInput(task.table, task.side);
    const sealed = await sealInput(plaintext, task.sealingKey, task.context);
    wipe(plaintext);
    return sealed;
  }
  const onProgress = (event: ProgressEvent): void => task.progress.postMessage(event);
  if (task.kind === 'stock') {
    await makeLaneFile(laneOf(task), task.demand, task.file, onProgress);
    return null;
  }
  const lane = openLane(task, task.stock);
  if (task.kind === 'finish') return finishRun({ ...task, ...lane, onProgress });
  const helpers = helpersOf(task.plan.join.oprf === 'ecdh' ? task.helpers : 0);
  return runShard({ ...task, ...lane, helpers, rng: systemRng, onProgress });
}

function closePorts(task: WorkerTask): void {
  if (task.kind === 'demand' || task.kind === 'sealInput') return;
  const peers = task.kind === 'setUp' ? [task.peer] : task.peers;
  for (const peer of peers) peer?.port.close();
  if (task.kind !== 'setUp') task.progress.close();
}

/** The pool's entry: never throws. */
export default async function work(task: WorkerTask): Promise<WorkerResult> {
  try {
    const value = await run(task);
    return { value };
  } catch (error) {
    return { error: asParleyError(error).toJSON() };
  } finally {
    closePorts(task);
  }
}
