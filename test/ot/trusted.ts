import type { Channel } from '../../src/core/channel.ts';
import { receiverChunks, senderChunks } from '../../src/protocols/ot/extension.ts';
import { receiverFace, senderFace } from '../../src/protocols/ot/faces.ts';
import {
  growPunctured,
  growTrees,
  punctureChoices,
  type GgmShape,
} from '../../src/protocols/ot/ggm.ts';
import { bindingOf } from '../../src/protocols/ot/label.ts';
import type { BitOtPair } from '../../src/protocols/ot/pair.ts';
import { shapeOf, type FieldBits } from '../../src/protocols/ot/softspoken-steps.ts';
import { seededRng } from '../support/seeded-rng.ts';

export function bitOf(bytes: Uint8Array, i: number): number {
  return (bytes[i >> 3]! >> (i & 7)) & 1;
}

/** Trees whose base OTs a trusted hand dealt. */
export interface TrustedTrees {
  readonly delta: Uint8Array;
  readonly full: Uint8Array;
  readonly punctured: Uint8Array;
}

export function trustedTrees(shape: GgmShape, seed: string): TrustedTrees {
  const rng = seededRng(seed);
  const count = shape.trees * shape.k;
  const delta = rng(Math.ceil(count / 8));
  const keys = rng(count * 32);
  const { leaves, corrections } = growTrees(shape, keys);
  const chosen = new Uint8Array(count * 16);
  punctureChoices(shape, delta).forEach((c, i) => {
    chosen.set(keys.subarray(32 * i + 16 * c, 32 * i + 16 * c + 16), 16 * i);
  });
  return { delta, full: leaves, punctured: growPunctured(shape, delta, chosen, corrections) };
}

/** Both ends of both directions as `createOtPair` makes them, without the public-key set-up. */
export function trustedPairs(
  ends: readonly [Channel, Channel],
  k: FieldBits,
  seed: string,
): [BitOtPair, BitOtPair] {
  const directions = ([0, 1] as const).map((party) => {
    const { delta, full, punctured } = trustedTrees(shapeOf(k), `${seed} ${party}`);
    const [from, to] = [ends[party].sub(`ot.${party}`), ends[1 - party]!.sub(`ot.${party}`)];
    const binding = bindingOf(new Uint8Array(32), from.path);
    return {
      sender: senderFace(from, senderChunks(from, k, binding, delta, punctured)),
      receiver: receiverFace(to, receiverChunks(to, k, binding, full)),
    };
  });
  const [first, second] = directions as [BitOtPair, BitOtPair];
  return [
    { sender: first.sender, receiver: second.receiver },
    { sender: second.sender, receiver: first.receiver },
  ];
}
