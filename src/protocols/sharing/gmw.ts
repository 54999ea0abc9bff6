import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { beaver, maskWires } from '../../kernels/ring64/index.ts';
import { bitBytes, type BitTriples, type OtPair } from '../ot/types.ts';
import { AND_BYTES_MAX } from './limits.ts';
import type { Sharing, Wire, Word } from './types.ts';
import { xorWire } from './words.ts';

/** Where an AND gets its triples. Both ends take the same numbers in the same order. */
export interface TripleProvider {
  /** @returns shares of `nBits` fresh products, a, b, c `bitBytes(nBits)` long, caller's own. */
  take(nBits: number): Promise<BitTriples>;
}

export interface SharingOptions {
  /** This party's index; 0 is the pivot. */
  readonly party: number;
  readonly parties: number;
  /** Streams of this sharing's own with every other party; null at this party's own. */
  readonly channels: readonly (Channel | null)[];
  readonly ots: readonly (OtPair | null)[];
  readonly triples: TripleProvider;
  readonly rng: Rng;
}

/**
 * One party's end of n-party GMW over bit triples.
 *
 * Semi-honest, all parties but one may collude; nobody learns anything from an AND: what crosses is
 * x ⊕ a and y ⊕ b for triple masks a, b that are used once. Source: Goldreich, Micali, Wigderson,
 * STOC 1987; Beaver, CRYPTO 1991. Cost of one call of p pairs: 2·p·bitBytes(rows) bytes to every
 * other party in one round, and 8·p·bitBytes(rows) triples (padding bits are masked like the
 * others).
 * @throws ParleyError the channels' codes, and what the triple provider throws.
 */
export function createSharing(options: SharingOptions): Sharing {
  const { party, parties, channels, ots, triples, rng } = options;
  expect(channels.length === parties && ots.length === parties, 'one peer per other party');
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
    const theirs = await openMasked(channels, own);
    const z = beaver(triple, own, theirs, party === 0);
    // A triple used twice would open a difference of inputs.
    wipe(triple.a, triple.b, triple.c);
    return xs.map((_, i) => z.subarray(i * wireBytes, (i + 1) * wireBytes));
  };
  return { party, parties, channels, ots, rng, and };
}

/** Sends the own masked wires to every other party. @returns the XOR of what all others sent. */
async function openMasked(
  channels: readonly (Channel | null)[],
  own: Uint8Array,
): Promise<Uint8Array> {
  const received = await Promise.all(
    channels.map(async (channel) => {
      if (channel === null) return null;
      const [theirs] = await Promise.all([
        channel.recv('and', own.length),
        channel.send('and', own.slice()),
      ]);
      return theirs;
    }),
  );
  const others = received.filter((part) => part !== null);
  const [first, ...rest] = others;
  expect(first !== undefined, 'there is another party');
  return rest.reduce((sum, part) => xorWire(sum, part), first);
}

function expectWires(wires: Word, wireBytes: number): void {
  for (const wire of wires) {
    expect(wire.length === wireBytes, 'a wire is bitBytes(rows) long');
  }
}
