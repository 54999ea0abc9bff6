import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { breathe } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import type { Okvs } from '../../kernels/okvs/index.ts';
import { locate, place, type CuckooTable } from './cuckoo.ts';
import { HINT_MESSAGE_BYTES } from './limits.ts';
import {
  drawRows,
  keysOfBins,
  padIds,
  pivotPoints,
  placePoints,
  programHint,
  readHint,
  senderPoints,
  type OpprfRows,
  type OpprfShape,
  type SenderInput,
} from './opprf-steps.ts';
import { KEY_BYTES, type Oprf } from './types.ts';

/** What one end of an OPPRF runs with. */
export interface OpprfContext {
  readonly channel: Channel;
  readonly oprf: Oprf;
  /** 16 bytes, the joint seed of the cuckoo table. */
  readonly seed: Uint8Array;
  readonly rng: Rng;
}

/**
 * Pivot's half of the oblivious programmable PRF: places its ids, asks for exactly one OPRF value
 * per bin, or per id for the one bin it lies in, and reads the sender's hint there. Learns
 * pseudorandom rows.
 *
 * Model, messages, source: PROTOCOL.md (Pinkas, Schneider, Tkachenko, Yanai, EUROCRYPT 2019, with an
 * OKVS for the hint). Cost: one OPRF evaluation per bin or place, `bins` OKVS decodings.
 *
 * @param ids - n·32 bytes, distinct. @throws ParleyError of the channel and of the OPRF.
 */
export async function opprfPivot(
  context: OpprfContext,
  shape: OpprfShape,
  ids: Uint8Array,
): Promise<{ readonly table: CuckooTable; readonly rows: OpprfRows }> {
  const { channel, seed } = context;
  const table = place(locate(seed, ids, shape.bins), shape.bins);
  await breathe();
  const keys = await askKeys(context, shape, ids, table);
  const hint = await receiveHint(channel, shape);
  const rows = readHint(shape, hint, keys);
  wipe(keys);
  return { table, rows };
}

/** One OPRF value per bin: asked for bin by bin, or per id and then brought to its bin. */
async function askKeys(
  { channel, oprf, rng }: OpprfContext,
  shape: OpprfShape,
  ids: Uint8Array,
  table: CuckooTable,
): Promise<Uint8Array> {
  const stream = channel.sub('oprf');
  if (oprf.perBin) return oprf.receive(stream, pivotPoints(ids, table, rng), rng);
  const { points, placeOfBin } = placePoints(ids, table, shape.pivotCapacity, rng);
  const keys = await oprf.receive(stream, points, rng);
  const placed = keysOfBins(keys, placeOfBin, rng);
  wipe(keys);
  return placed;
}

/**
 * Sender's half: learns nothing, and gets its random tags and payload shares. Its own ids are padded
 * to the public capacity, so the hint always holds three keys per place.
 *
 * Cost: one blind OPRF evaluation per bin or place of the pivot, 3·capacity own ones, one OKVS
 * encoding.
 */
export async function opprfSender(
  context: OpprfContext,
  shape: OpprfShape,
  input: SenderInput,
): Promise<OpprfRows> {
  const { channel, oprf, seed, rng } = context;
  const ids = padIds(input.ids, shape.senderCapacity, rng);
  const locations = locate(seed, ids, shape.bins);
  const asked = oprf.perBin ? shape.bins : shape.pivotCapacity;
  const bins = new Uint32Array(locations);
  const keys = await oprf.send(channel.sub('oprf'), asked, senderPoints(ids), bins, rng);
  const rows = drawRows(shape, rng);
  const hint = programHint(shape, input, rows, locations, keys, rng);
  wipe(keys);
  await sendHint(channel, hint);
  return rows;
}

/** `hint-seed`, then the table in `hint` messages of at most 1 MiB. */
async function sendHint(channel: Channel, hint: Okvs): Promise<void> {
  await channel.send('hint-seed', hint.seed);
  for (let at = 0; at < hint.table.length; at += HINT_MESSAGE_BYTES) {
    await channel.send('hint', hint.table.subarray(at, at + HINT_MESSAGE_BYTES));
  }
}

async function receiveHint(channel: Channel, shape: OpprfShape): Promise<Okvs> {
  const seed = await channel.recv('hint-seed', KEY_BYTES);
  const table = new Uint8Array(shape.okvs.rows * shape.okvs.valueBytes);
  for (let at = 0; at < table.length; at += HINT_MESSAGE_BYTES) {
    const bytes = Math.min(HINT_MESSAGE_BYTES, table.length - at);
    table.set(await channel.recv('hint', bytes), at);
  }
  return { seed, table };
}
