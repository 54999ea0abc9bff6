import { ParleyError } from '../../core/errors.ts';
import { okvsShape, type OkvsShape } from '../../kernels/okvs/index.ts';
import { binsFor } from './cuckoo.ts';
import {
  CAPACITY_MAX,
  HASHES,
  PAYLOAD_BYTES_MAX,
  SHARDS_MAX,
  STATISTICAL_BITS,
  TAG_BITS_MAX,
} from './limits.ts';

/** What both ends agree on before a join; all public. */
export interface JoinParams {
  /** Most ids of the pivot in this shard. */
  readonly pivotCapacity: number;
  /** Most ids of the sender in this shard; its hint always holds three keys for each. */
  readonly senderCapacity: number;
  /** Bytes per sender id that come out XOR-shared. */
  readonly xorBytes: number;
  /** 64-bit elements per sender id that come out additively shared. */
  readonly ringLanes: number;
  /** Shards of the whole join, 1 where left out: tags must not collide in any of them. */
  readonly shards?: number;
}

/** Sizes that follow from {@link JoinParams}; every message length is one of these. */
export interface JoinShape {
  /** Rows of the join's output. */
  readonly bins: number;
  /** Bits of a comparison tag. */
  readonly tagBits: number;
  readonly xorBytes: number;
  readonly ringLanes: number;
  readonly pivotCapacity: number;
  readonly senderCapacity: number;
  readonly okvs: OkvsShape;
  /** Bytes of the sender's hint after its 16-byte seed. */
  readonly hintBytes: number;
}

/**
 * The public shape of a join. A value of the hint is `8·ringLanes + xorBytes` bytes of payload and
 * the tag of `40 + ceil(log2(bins·shards))` bits: one false match in any shard has probability at
 * most 2^-40.
 *
 * @throws ParleyError BAD_ARGUMENT for a capacity outside 1 to 2^20, a payload of more than 3,900
 *   bytes, or more than 64 shards or 2^23 bins in all of them.
 */
export function joinParameters(
  pivotCapacity: number,
  senderCapacity: number,
  payload: Pick<JoinParams, 'xorBytes' | 'ringLanes' | 'shards'> = NO_PAYLOAD,
): JoinShape {
  for (const capacity of [pivotCapacity, senderCapacity]) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > CAPACITY_MAX) {
      throw new ParleyError('BAD_ARGUMENT', `a join capacity is 1 to ${CAPACITY_MAX}`);
    }
  }
  const { xorBytes, ringLanes, shards = 1 } = payload;
  if (!Number.isInteger(shards) || shards < 1 || shards > SHARDS_MAX) {
    throw new ParleyError('BAD_ARGUMENT', `a join runs as 1 to ${SHARDS_MAX} shards`);
  }
  const payloadBytes = xorBytes + 8 * ringLanes;
  const counts = [xorBytes, ringLanes].every((n) => Number.isInteger(n) && n >= 0);
  if (!counts || payloadBytes > PAYLOAD_BYTES_MAX) {
    throw new ParleyError('BAD_ARGUMENT', `a join payload is at most ${PAYLOAD_BYTES_MAX} bytes`);
  }
  const bins = binsFor(pivotCapacity);
  const tagBits = STATISTICAL_BITS + Math.ceil(Math.log2(bins * shards));
  if (tagBits > TAG_BITS_MAX) {
    throw new ParleyError('BAD_ARGUMENT', 'all shards of a join together have at most 2^23 bins');
  }
  const okvs = okvsShape(HASHES * senderCapacity, payloadBytes + Math.ceil(tagBits / 8));
  const hintBytes = okvs.rows * okvs.valueBytes;
  return { bins, tagBits, xorBytes, ringLanes, pivotCapacity, senderCapacity, okvs, hintBytes };
}

const NO_PAYLOAD = { xorBytes: 0, ringLanes: 0 } as const;
