import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { beaver, maskWires } from '../../kernels/ring64/index.ts';
import { bitBytes, type BitTriples, type OtPair } from '../ot/types.ts';
import { AND_BYTES_MAX } from './limits.ts';
import type { Sharing, Wire, Word } from './types.ts';

/** Where an AND gets its triples. Both ends take the same numbers in the same order. */
export interface TripleProvider {
  /** @returns shares of `nBits` fresh products, a, b, c `bitBytes(nBits)` long, caller's own. */
  take(nBits: number): Promise<BitTriples>;
}

export interface SharingOptions {
  /** 0 is the pivot. */
  readonly party: 0 | 1;
  /** A stream of this sharing's own. */
  readonly channel: Channel;
  readonly ot: OtPair;
  readonly triples: TripleProvider;
  readonly rng: Rng;
}

/**
 * One end of two-party GMW over bit triples.
 *
 * Semi-honest; neither end learns anything from an AND: what crosses is x ⊕ a and y ⊕ b for triple
 * masks a, b that are used once. Source: Goldreich, Micali, Wigderson, STOC 1987; Beaver, CRYPTO
 * 1991. Cost of one call of p pairs: 2·p·bitBytes(rows) bytes each way in one round, and
 * 8·p·bitBytes(rows) triples (padding bits are masked like the others).
 * @throws ParleyError the channel's codes, and what the triple provider throws.
 */
export function createSharing(options: SharingOptions): Sharing {
  const { party, channel, ot, triples, rng } = options;
  const and = async (xs: Word, ys: Word, rows: number): Promise<Wire[]> => {
    const wireBytes = bitBytes(rows);
    expect(xs.length === ys.length, 'AND takes as many left wires as right wires');
    expectWires([...xs, ...ys], wireBytes);
    const bytes = xs.length * wireBytes;
    if (bytes === 0) return xs.map(() => new Uint8Array(0));
    if (bytes > AND_BYTES_MAX && xs.length > 1) {
      const half = Math.ceil(xs.length / 2);
      const low = await and(xs.slice(0, half), ys.slice(0, half), rows);
      return [...low, ...(await and(xs.slice(half), ys.slice(half), rows))];
    }
    const triple = await triples.take(8 * bytes);
    const own = maskWires(xs, ys, triple.a, triple.b);
    const [theirs] = await Promise.all([
      channel.recv('and', own.length),
      channel.send('and', own.slice()),
    ]);
    const z = beaver(triple, own, theirs, party === 0);
    // A triple used twice would open a difference of inputs.
    wipe(triple.a, triple.b, triple.c);
    return xs.map((_, i) => z.subarray(i * wireBytes, (i + 1) * wireBytes));
  };
  return { party, channel, ot, rng, and };
}

function expectWires(wires: Word, wireBytes: number): void {
  for (const wire of wires) {
    expect(wire.length === wireBytes, 'a wire is bitBytes(rows) long');
  }
}
