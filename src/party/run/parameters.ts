import type { Channel } from '../../core/channel.ts';
import { ParleyError } from '../../core/errors.ts';
import { shardCapacities, shardJoin } from '../../engine/mpc/index.ts';
import { canonicalJson } from '../../policy/index.ts';
import { SUITE } from '../../records/index.ts';
import type { Plan } from '../../sql/index.ts';

/** AGREEMENT. Longest parameters document, bytes. */
const PARAMETERS_BYTES_MAX = 16_384;

/** Everything about a run that two parties could differ in; public, flat, in this order. */
export type RunParameters = Readonly<Record<string, string | number>>;

/** The parameters that follow from a plan at this party. */
export function parametersOf(
  plan: Plan,
  planDigest: string,
  session: string,
  epoch = 0,
): RunParameters {
  const capacities = shardCapacities(plan);
  const fields: Record<string, string | number> = {
    suite: SUITE,
    plan_digest: planDigest,
    session,
    epoch,
    parties: plan.sides.length,
    shards: plan.join.shards,
    oprf: plan.join.oprf,
    ot_field_bits: plan.join.otFieldBits,
  };
  plan.sides.forEach(({ party, slots }, side) => {
    fields[`sides.${side}.party`] = party;
    fields[`sides.${side}.slots`] = slots;
    fields[`sides.${side}.shard_capacity`] = capacities[side]!;
    if (side === 0) return;
    const { bins, tagBits, hintBytes } = shardJoin(plan, side);
    fields[`sides.${side}.bins`] = bins;
    fields[`sides.${side}.tag_bits`] = tagBits;
    fields[`sides.${side}.hint_bytes`] = hintBytes;
  });
  return fields;
}

/**
 * The first exchange on a link, before any protocol byte: both ends state their parameters in full
 * and compare. Nothing is negotiated.
 * @throws ParleyError PARAMETERS_DIFFER naming the first field that differs, at both ends;
 *   PEER_BAD_ENCODING for what is no flat JSON object; PEER_BAD_LENGTH.
 */
export async function agreeParameters(channel: Channel, own: RunParameters): Promise<void> {
  const bytes = canonicalJson(own);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  await channel.send('length', length);
  await channel.send('parameters', bytes);
  const announced = await channel.recv('length', 4);
  const theirs = new DataView(announced.buffer, announced.byteOffset, 4).getUint32(0);
  const step = `${channel.path}/parameters`;
  if (theirs > PARAMETERS_BYTES_MAX) {
    throw new ParleyError('PEER_BAD_LENGTH', 'the peer sent too long parameters', { step });
  }
  const document = parse(await channel.recv('parameters', theirs), step);
  const names = [...new Set([...Object.keys(own), ...Object.keys(document)])];
  const differs = names.find((name) => own[name] !== document[name]);
  if (differs === undefined) return;
  // The peer chose the name when it is none of ours.
  const path = Object.hasOwn(own, differs) ? differs : 'unknown';
  throw new ParleyError('PARAMETERS_DIFFER', 'two parties differ in a parameter of the run', {
    path,
    step,
  });
}

function parse(bytes: Uint8Array, step: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return Object.assign(Object.create(null) as Record<string, unknown>, value);
    }
  } catch {
    // Falls through to the one refusal.
  }
  throw new ParleyError('PEER_BAD_ENCODING', 'the peer sent malformed parameters', { step });
}
