import type { Channel } from '../../core/channel.ts';
import type { OtSeeds } from '../../engine/mpc/index.ts';
import type { RunSetting } from '../run/runner.ts';
import { takeTogether } from './agree.ts';
import type { LaneFile } from './lane-file.ts';
import { demandOf, SEEDS, shapeOfPlan } from './meta.ts';
import { readSealed } from './sealed.ts';
import type { OpenBatch, Stock, TakenBatch } from './stock.ts';

/** Streams that parties speak about stock on, by side. */
export function stockChannels({ links }: Pick<RunSetting, 'links'>): (Channel | null)[] {
  return links.map((link) => link?.root.sub('stock') ?? null);
}

/** Takes a batch for the run together with all its other parties; null when there is none. */
export function takeBatch(stock: Stock | null, run: RunSetting): Promise<TakenBatch | null> {
  return takeTogether(stock, stockChannels(run), shapeOfPlan(run.plan), run.log);
}

export function laneFileOf(batch: OpenBatch, name: string): LaneFile {
  return { file: batch.file(name), demand: demandOf(batch.meta, name) };
}

const BLOCK_BYTES = 16;

function leafBytes(k: 2 | 4): number {
  return (128 / k) * 2 ** k * BLOCK_BYTES;
}

/** Base OTs made with the batch; what its lanes lack is extended from them. Secret. */
export function seedSections(seeds: readonly (OtSeeds | null)[]): Uint8Array[] {
  return seeds.flatMap((own) =>
    own === null ? [] : [own.delta, own.senderLeaves, own.receiverLeaves],
  );
}

/**
 * The base OTs of a batch. The run's lanes are bound to its own session, so they have nothing in
 * common with the lanes the batch was made in but Delta (PROTOCOL.md of ot, step 5).
 * @throws ParleyError STOCK_CORRUPT.
 */
export function seedsOf(batch: OpenBatch, side: number): (OtSeeds | null)[] {
  const { k, sides } = batch.meta;
  const leaves = leafBytes(k);
  const one = BLOCK_BYTES + 2 * leaves;
  const bytes = readSealed(batch.file(SEEDS), (sides.length - 1) * one);
  let at = 0;
  const take = (length: number): Uint8Array => bytes.slice(at, (at += length));
  const seeds = sides.map((_, peer): OtSeeds | null => {
    if (peer === side) return null;
    const party = side < peer ? 0 : 1;
    const delta = take(BLOCK_BYTES);
    return { k, party, delta, senderLeaves: take(leaves), receiverLeaves: take(leaves) };
  });
  bytes.fill(0);
  return seeds;
}
