import { createHash } from 'node:crypto';
import type { OtSeeds, RunDemand } from '../../engine/mpc/index.ts';
import { openProgressPort } from '../run/pool.ts';
import { peersOn, setUpAll, type RunSetting } from '../run/runner.ts';
import { meet } from './agree.ts';
import { batchBytes, demandOf, laneNames, metaOf, SEEDS } from './meta.ts';
import { writeSealed } from './sealed.ts';
import type { Draft, Stock } from './stock.ts';
import { laneFileOf, seedSections, stockChannels } from './use.ts';

const BATCH_DOMAIN = 'parley/stock/batch-id/v1\0';

/** What was made, for logs. */
export interface Prepared {
  readonly batch: string;
  readonly bytes: number;
}

/**
 * Makes, with all other parties of a plan, everything its run consumes that depends on nobody's data:
 * base OTs, and of every shard and of the finish all OTs and triples. Reads no table. The batch becomes
 * usable once every party has it on disk.
 *
 * @throws ParleyError STOCK_FULL, STORAGE_FAILED, WORKER_LOST, CANCELLED, and of links and protocols.
 */
export async function prepareRun(run: RunSetting, stock: Stock, party: string): Promise<Prepared> {
  const { plan, calibration, side, sessionId, pool, signal, onProgress } = run;
  const batch = createHash('sha256').update(BATCH_DOMAIN).update(sessionId).digest('hex');
  const count = { kind: 'demand', plan, calibration, side } as const;
  const [seeds, demand] = await Promise.all([
    setUpAll(run),
    pool.run(count, [], { signal }) as Promise<RunDemand>,
  ]);
  onProgress({ stage: 'set-up', done: 1, total: 1 });
  const draft = stock.begin(metaOf(plan, { party, batch }, demand));
  const channels = stockChannels(run);
  try {
    // Nobody makes what another has no room for.
    await meet(channels, 'begun');
    writeSealed(draft.file(SEEDS), seedSections(seeds));
    const names = laneNames(draft.meta);
    await inOrder(
      names,
      pool.workers,
      (name) => makeLane(run, draft, seeds, name),
      (done) => {
        onProgress({ stage: 'lanes', done, total: names.length });
      },
    );
    await meet(channels, 'stored');
    draft.keep();
    await meet(channels, 'kept');
  } finally {
    // Nothing of a batch that was kept.
    draft.discard();
  }
  return { batch, bytes: batchBytes(draft.meta) };
}

async function makeLane(
  run: RunSetting,
  draft: Draft,
  seeds: readonly (OtSeeds | null)[],
  name: string,
): Promise<void> {
  const { plan, side, epochId, pool, signal } = run;
  const peers = peersOn(run, `stock.${name}`);
  const progress = openProgressPort(run.onProgress);
  const { file } = laneFileOf(draft, name);
  const demand = demandOf(draft.meta, name);
  const lane = { plan, side, seeds, sessionId: epochId, peers, progress };
  const moved = [...peers.flatMap((peer) => peer?.port ?? []), progress];
  await pool.run({ ...lane, kind: 'stock', demand, file }, moved, { signal });
}

/** At most `width` at once, started in order: a lane waits for the same lane at the others. */
async function inOrder(
  names: readonly string[],
  width: number,
  start: (name: string) => Promise<void>,
  onDone: (done: number) => void,
): Promise<void> {
  let [next, done] = [0, 0];
  const work = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      await start(name);
      onDone((done += 1));
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, names.length) }, work));
}
