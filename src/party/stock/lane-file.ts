import { unlinkSync } from 'node:fs';
import { wipe } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import { laneBytes, laneSections, makeLaneStock, readLaneStock } from '../../engine/mpc/index.ts';
import type { LaneDemand, LaneStock, MeshOptions } from '../../engine/mpc/index.ts';
import { readSealed, writeSealed, type SealedFile } from './sealed.ts';

/** A lane's correlations on disk, as a worker gets them. Its key is secret. */
export interface LaneFile {
  readonly file: SealedFile;
  readonly demand: LaneDemand;
}

/** Makes a lane's correlations with all other parties and puts them on disk. Run in a worker. */
export async function makeLaneFile(
  options: MeshOptions,
  demand: LaneDemand,
  file: SealedFile,
  onProgress: OnProgress,
): Promise<void> {
  const stock = await makeLaneStock(options, demand, (done, total) => {
    onProgress({ stage: 'stock', done, total });
  });
  const sections = laneSections(stock);
  writeSealed(file, sections);
  wipe(...sections);
}

/**
 * Reads a lane's correlations and removes their file; its key is nowhere but here.
 * @throws ParleyError STOCK_CORRUPT, STORAGE_FAILED.
 */
export function takeLaneFile({ file, demand }: LaneFile, side: number): LaneStock {
  const bytes = readSealed(file, laneBytes(demand));
  wipe(file.key);
  try {
    unlinkSync(file.path);
  } catch (cause) {
    throw new ParleyError('STORAGE_FAILED', 'a stock file could not be removed', {}, cause);
  }
  return readLaneStock(demand, bytes, side);
}
