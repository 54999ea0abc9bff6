import { concat, fromHex, toHex } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { Logger } from 'pino';
import { OFFERS_MAX, type Stock, type TakenBatch } from './stock.ts';

const ID_BYTES = 32;
/** AGREEMENT. A list of offers: ids in order, then zeros. */
const OFFER_BYTES = OFFERS_MAX * ID_BYTES;

/**
 * Agrees with all other parties of a run on a batch that serves it, and consumes it: each lists what
 * it has, all take the first that is in every list, durably, and nobody goes on before all have said
 * so. A byte that depends on a batch is therefore sent only when every party's journal has it: a party
 * that is set back to an older disk finds that the others no longer offer what it still has.
 *
 * @param stock - null at a party that keeps none. @param channels - streams of their own, by side.
 * @returns null when there is none, or when some party could not take it; then it is lost to all.
 * @throws ParleyError PEER_BAD_ENCODING, and of the channels.
 */
export async function takeTogether(
  stock: Stock | null,
  channels: readonly (Channel | null)[],
  shape: string,
  log: Logger,
): Promise<TakenBatch | null> {
  const own = stock?.offers(shape) ?? [];
  const theirs = await exchange(channels, 'offers', listOf(own));
  const lists = theirs.map(({ bytes, step }) => readList(bytes, step));
  const shared = own.filter((batch) => lists.every((list) => list.includes(batch)));
  stock?.prune(own.filter((batch) => lists.some((list) => isLost(batch, list))));
  const [batch] = shared;
  if (stock === null || batch === undefined) return null;
  let taken: TakenBatch | null = null;
  try {
    taken = stock.take(batch);
  } catch (error) {
    log.warn({ code: asParleyError(error).code, batch }, 'agreed stock was not taken');
  }
  const answers = await exchange(channels, 'taken', Uint8Array.of(taken === null ? 0 : 1));
  const all = answers.map(({ bytes, step }) => {
    const [answer] = bytes;
    if (answer !== 0 && answer !== 1) throw badEncoding(step);
    return answer === 1;
  });
  if (taken !== null && all.every(Boolean)) return taken;
  taken?.release();
  return null;
}

/** Waits until every party has come to the same point. */
export async function meet(channels: readonly (Channel | null)[], step: string): Promise<void> {
  const answers = await exchange(channels, step, Uint8Array.of(1));
  for (const { bytes, step: at } of answers) if (bytes[0] !== 1) throw badEncoding(at);
}

interface Heard {
  readonly bytes: Uint8Array;
  readonly step: string;
}

/** Sends the same message to every other party. @returns theirs, of the same length. */
async function exchange(
  channels: readonly (Channel | null)[],
  step: string,
  bytes: Uint8Array,
): Promise<Heard[]> {
  const heard = await Promise.all(
    channels.map(async (channel): Promise<Heard | null> => {
      if (channel === null) return null;
      const [answer] = await Promise.all([
        channel.recv(step, bytes.length),
        channel.send(step, bytes.slice()),
      ]);
      return { bytes: answer, step: `${channel.path}/${step}` };
    }),
  );
  return heard.filter((one) => one !== null);
}

/** Whether who offers `list` has the batch no more: a full list says nothing of what follows it. */
function isLost(batch: string, list: readonly string[]): boolean {
  const told = list.length < OFFERS_MAX || batch <= list.at(-1)!;
  return told && !list.includes(batch);
}

function listOf(batches: readonly string[]): Uint8Array {
  const ids = batches.map((batch) => fromHex(batch, ID_BYTES));
  return concat([...ids, new Uint8Array(OFFER_BYTES - ids.length * ID_BYTES)]);
}

/** Strict: ascending without repetition, then zeros only. */
function readList(bytes: Uint8Array, step: string): string[] {
  const all = Array.from({ length: OFFERS_MAX }, (_, i) =>
    toHex(bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)),
  );
  const none = '0'.repeat(2 * ID_BYTES);
  const count = all.indexOf(none) < 0 ? OFFERS_MAX : all.indexOf(none);
  const list = all.slice(0, count);
  const ordered = list.every((id, i) => i === 0 || list[i - 1]! < id);
  if (!ordered || all.slice(count).some((id) => id !== none)) throw badEncoding(step);
  return list;
}

function badEncoding(step: string): ParleyError {
  return new ParleyError('PEER_BAD_ENCODING', 'the peer sent a malformed word about stock', {
    step,
  });
}
