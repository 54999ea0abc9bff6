import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import type { BitOtReceiver, BitOtSender } from './faces.ts';
import { BLOCK_BYTES } from './limits.ts';
import { bitBytes, type OtReceiver, type OtSender } from './types.ts';
import { keyBytes, wholeLanes, type OtCount, type OtUse } from './use.ts';

// Random OTs made before anything they will carry is known (Beaver, CRYPTO 1995). stock-faces.ts
// turns them into OTs with chosen choices.

/** A sender's random OTs of one use. Secret, single use. */
export interface SenderPool extends OtCount {
  /** n·keyBytes bytes each. */
  readonly k0: Uint8Array;
  readonly k1: Uint8Array;
}

/** The receiver's end of a {@link SenderPool}: choices it drew, and the keys they chose. */
export interface ReceiverPool extends OtCount {
  /** n packed bits. */
  readonly choices: Uint8Array;
  readonly keys: Uint8Array;
}

/**
 * Makes random OTs of one use, as their sender. Learns both keys of each, nothing of the choices.
 * Model, source and cost: the sender's own; nothing is sent beside its messages.
 */
export async function makeSenderPool(
  sender: OtSender | BitOtSender,
  count: OtCount,
): Promise<SenderPool> {
  const { kind, width, n } = countOf(count);
  if ('randomKeys' in sender) return { kind, width, n, ...(await sender.randomKeys(count, n)) };
  const { k0, k1 } = await sender.random(n, blocksOf(count));
  return { kind, width, n, k0: cutKeys(count, k0), k1: cutKeys(count, k1) };
}

/** Makes random OTs of one use, as their receiver. @param rng - draws the choices. */
export async function makeReceiverPool(
  receiver: OtReceiver | BitOtReceiver,
  count: OtCount,
  rng: Rng,
): Promise<ReceiverPool> {
  const { kind, width, n } = countOf(count);
  const choices = rng(bitBytes(n));
  if ('randomKeys' in receiver) {
    return { kind, width, n, choices, keys: await receiver.randomKeys(count, choices, n) };
  }
  const keys = cutKeys(count, await receiver.random(choices, n, blocksOf(count)));
  return { kind, width, n, choices, keys };
}

function countOf(count: OtCount): OtCount {
  expect(count.n === wholeLanes(count.n), 'a pool is whole lanes of OTs');
  return count;
}

function blocksOf({ kind, width }: OtUse): number {
  if (kind === 'ring6') return 1;
  return kind === 'blocks' ? width : Math.ceil(width / 2);
}

/** For pairs that only give whole keys. */
function cutKeys(use: OtUse, keys: Uint8Array): Uint8Array {
  const stride = blocksOf(use) * BLOCK_BYTES;
  const bytes = keyBytes(use);
  const n = keys.length / stride;
  const out = new Uint8Array(n * bytes);
  for (let i = 0; i < n; i++) {
    out.set(keys.subarray(i * stride, i * stride + bytes), i * bytes);
  }
  return use.kind === 'ring6' ? out.map((byte) => byte & 63) : out;
}
