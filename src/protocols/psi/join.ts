import type { Channel } from '../../core/channel.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import type { Sharing, Wire } from '../sharing/types.ts';
import { expectDistinct } from './cuckoo.ts';
import { equalTags } from './equality.ts';
import { opprfPivot, opprfSender, type OpprfContext } from './opprf.ts';
import type { OpprfRows, SenderInput } from './opprf-steps.ts';
import { SEED_BYTES } from './limits.ts';
import { joinParameters, type JoinParams, type JoinShape } from './parameters.ts';
import { ID_BYTES, type Oprf } from './types.ts';

/** What one end of a join runs with. */
export interface JoinContext {
  /** For the equality test. Its party decides the half: 0 runs the pivot's. */
  readonly sharing: Sharing;
  /** A stream of this join's own. */
  readonly channel: Channel;
  readonly oprf: Oprf;
  /**
   * 16 bytes that place ids in bins: drawn jointly by all parties of the computation after their
   * inputs are fixed. Joins with several senders that share one seed share their bins.
   */
  readonly seed: Uint8Array;
  /** Masks, tags, dummies. The system CSPRNG in production. */
  readonly rng: Rng;
  readonly onProgress?: OnProgress;
}

/** One end's shares, a row per bin in the same order at both ends. */
export interface JoinShares {
  /** bins; public. */
  readonly rows: number;
  /** XOR share per row of: the pivot's id in this bin is also the sender's. */
  readonly match: Wire;
  /** rows·xorBytes: XOR share of the matched payload; of random bytes where there is no match. */
  readonly xorShare: Uint8Array;
  /** rows·8·ringLanes: additive share of the matched payload; random where there is no match. */
  readonly ringShare: Uint8Array;
}

/** The pivot also knows its own placement. */
export interface PivotOutput extends JoinShares {
  /** Index into the pivot's ids per row, -1 for an empty bin. */
  readonly userOfBin: Int32Array;
  /** Own ids left out because they found no bin; probability at most 2^-40 of any. Local only. */
  readonly dropped: number;
}

/**
 * Pivot's half of the circuit join: shares of who matched, and of the matched payload. Learns
 * nothing; nothing it sends depends on more than the public parameters.
 *
 * Model: semi-honest; DDH-type assumption of the OPRF, ideal permutation, 2^-40 statistical error.
 * Source: circuit PSI by OPPRF (Pinkas, Schneider, Tkachenko, Yanai, EUROCRYPT 2019); departures in
 * PROTOCOL.md. Cost: one OPRF evaluation per bin (KKRT) or place (ECDH), tagBits correlated OTs and 5
 * ANDs per bin; the messages of PROTOCOL.md.
 *
 * @param input - `ids`: users·32 bytes, distinct, not changed before the promise settles.
 * @throws ParleyError INPUT_TOO_LARGE before anything is sent; BAD_ARGUMENT for parameters out of
 *   range; PEER_BAD_LENGTH, PEER_OUT_OF_STEP, PEER_BAD_ENCODING, CHANNEL_CLOSED from below.
 */
export async function runPivot(
  context: JoinContext,
  params: JoinParams,
  input: { readonly ids: Uint8Array },
): Promise<PivotOutput> {
  const shape = joinParameters(params.pivotCapacity, params.senderCapacity, params);
  expect(context.sharing.party === 0, 'the pivot is party 0');
  expectIds(input.ids, params.pivotCapacity);
  const opprf = openOpprf(context);
  report(context, 'join.opprf', 0, shape.bins);
  const { table, rows } = await opprfPivot(opprf, shape, input.ids);
  report(context, 'join.opprf', shape.bins, shape.bins);
  const shares = await finish(context, shape, rows);
  return { ...shares, userOfBin: table.idOfBin, dropped: table.dropped };
}

/**
 * Sender's half of the circuit join. Learns nothing but its shares; see {@link runPivot}.
 *
 * Cost: one blind OPRF evaluation per bin or place, three own per place of its capacity, one OKVS
 * encoding.
 *
 * @param input - `ids` as for the pivot; payloads of users·xorBytes and users·8·ringLanes bytes.
 * @throws as {@link runPivot}.
 */
export async function runSender(
  context: JoinContext,
  params: JoinParams,
  input: SenderInput,
): Promise<JoinShares> {
  const shape = joinParameters(params.pivotCapacity, params.senderCapacity, params);
  expect(context.sharing.party === 1, 'the sender is party 1');
  expectIds(input.ids, params.senderCapacity);
  const users = input.ids.length / ID_BYTES;
  expect(input.payloadXor.length === users * params.xorBytes, 'xorBytes of payload per id');
  expect(input.payloadRing.length === 8 * users * params.ringLanes, 'ringLanes of payload per id');
  const opprf = openOpprf(context);
  report(context, 'join.opprf', 0, shape.bins);
  const rows = await opprfSender(opprf, shape, input);
  report(context, 'join.opprf', shape.bins, shape.bins);
  return finish(context, shape, rows);
}

function expectIds(ids: Uint8Array, capacity: number): void {
  expect(ids.length % ID_BYTES === 0, 'ids are 32 bytes each');
  if (ids.length / ID_BYTES > capacity) {
    throw new ParleyError('INPUT_TOO_LARGE', 'more identifiers than the declared capacity');
  }
  expectDistinct(ids);
}

function openOpprf({ channel, oprf, rng, seed }: JoinContext): OpprfContext {
  expect(seed.length === SEED_BYTES, 'a seed of 16 bytes');
  return { channel, oprf, rng, seed };
}

async function finish(
  context: JoinContext,
  shape: JoinShape,
  { tags, xorShare, ringShare }: OpprfRows,
): Promise<JoinShares> {
  const { bins, tagBits } = shape;
  const match = await equalTags(context.sharing, tags, bins, tagBits, (done) =>
    report(context, 'join.equality', done, bins),
  );
  return { rows: bins, match, xorShare, ringShare };
}

function report({ onProgress }: JoinContext, stage: string, done: number, total: number): void {
  onProgress?.({ stage, done, total });
}
