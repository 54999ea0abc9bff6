import { ParleyError } from '../../core/errors.ts';
import { okvsShape, type OkvsShape } from '../../kernels/okvs/index.ts';
import { binsFor } from './cuckoo.ts';
import { CAPACITY_MAX, HASHES, PAYLOAD_BYTES_MAX, STATISTICAL_BITS } from './limits.ts';

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
}

/** Sizes that follow from {@link JoinParams}; every message length is one of these. */
export interface JoinShape {
  /** Rows of the join's output. */
  readonly bins: number;
  /** Bits of a comparison tag. */
  readonly tagBits: number;
  readonly xorBytes: number;
  readonly ringLanes: number;
  readonly senderCapacity: number;
  readonly okvs: OkvsShape;
  /** Bytes of the sender's hint after its 16-byte seed. */
  readonly hintBytes: number;
}

/**
 * The public shape of a join. A value of the hint is `8·ringLanes + xorBytes` bytes of payload and
 * the tag of `40 + ceil(log2 bins)` bits: one false match in the whole table has probability at most
 * 2^-40.
 *
 * @throws ParleyError BAD_ARGUMENT for a capacity outside 1 to 2^20 or a payload of more than
 *   3,900 bytes.
 */
export function joinParameters(
  pivotCapacity: number,
  senderCapacity: number,
  payload: { readonly xorBytes: number; readonly ringLanes: number } = NO_PAYLOAD,
): JoinShape {
  for (const capacity of [pivotCapacity, senderCapacity]) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > CAPACITY_MAX) {
      throw new ParleyError('BAD_ARGUMENT', `a join capacity is 1 to ${CAPACITY_MAX}`);
    }
  }
  const { xorBytes, ringLanes } = payload;
  const payloadBytes = xorBytes + 8 * ringLanes;
  const counts = [xorBytes, ringLanes].every((n) => Number.isInteger(n) && n >= 0);
  if (!counts || payloadBytes > PAYLOAD_BYTES_MAX) {
    throw new ParleyError('BAD_ARGUMENT', `a join payload is at most ${PAYLOAD_BYTES_MAX} bytes`);
  }
  const bins = binsFor(pivotCapacity);
  const tagBits = STATISTICAL_BITS + Math.ceil(Math.log2(bins));
  const okvs = okvsShape(HASHES * senderCapacity, payloadBytes + Math.ceil(tagBits / 8));
  const hintBytes = okvs.rows * okvs.valueBytes;
  return { bins, tagBits, xorBytes, ringLanes, senderCapacity, okvs, hintBytes };
}

const NO_PAYLOAD = { xorBytes: 0, ringLanes: 0 } as const;
