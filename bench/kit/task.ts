import type { Channel } from '../../src/core/channel.ts';
import { systemRng } from '../../src/core/rng.ts';
import {
  createTripleSource,
  extendOts,
  setUpOts,
  type BitOtPair,
  type FieldBits,
  type OtSeeds,
} from '../../src/protocols/ot/index.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import {
  createMeshTriples,
  createSharing,
  type Sharing,
  type TripleProvider,
} from '../../src/protocols/sharing/index.ts';
import type { Net } from './net.ts';

/** What one line of a bench is measured with. */
export interface Params {
  readonly case: string;
  readonly n: number;
  readonly k: FieldBits;
  readonly parties: number;
  readonly net: Net | null;
  /** Of the bench's own, from its `extras`. */
  readonly extra: Readonly<Record<string, string>>;
}

/** One party's place among the others. */
export interface End {
  readonly party: number;
  readonly parties: number;
  /** Streams of this line's own with every other party; null at this party's own. */
  readonly channels: readonly (Channel | null)[];
  /** Base OTs with every other party: made at the first call, kept for all lines of one k. */
  seeds(k: FieldBits): Promise<readonly (OtSeeds | null)[]>;
}

/** Typed arrays under names of the bench's own; they cross threads for the check. */
export type Output = Readonly<Record<string, Uint8Array | Int32Array | number>>;

/** A protocol between parties, measured by `kit/main.ts`. */
export interface Task {
  readonly name: string;
  /** What `n` counts, in the singular. */
  readonly unit: string;
  readonly cases: readonly string[];
  /** Defaults of the flags. */
  readonly n: readonly number[];
  readonly k?: readonly FieldBits[];
  readonly link?: 'threads' | 'processes';
  readonly runs?: number;
  /** Further flags, each with the list of its default values. */
  readonly extras?: Readonly<Record<string, readonly string[]>>;
  /** Extras of the run that counts rounds, which sees the turns of one thread only. */
  readonly inLockstep?: Readonly<Record<string, string>>;
  /** Leaves out combinations that make no sense or take minutes. */
  readonly skip?: (params: Params) => boolean;
  /** Set-up of one party, outside the timer. @returns what is timed; called several times. */
  open(end: End, params: Params): Promise<() => Promise<Output>>;
  /** Outside the timer. @throws when the outputs of all parties, by index, are not right. */
  check(outputs: readonly Output[], params: Params): void;
  /** Fields of the bench's own, from the median. */
  readonly more?: (params: Params, medianMs: number) => Readonly<Record<string, number>>;
}

/** Session id of every bench: Deltas are random, paths differ. */
export const SESSION = new Uint8Array(32).fill(1);

/** Transfers with every other party, on lanes of their own. */
export async function openOts(end: End, k: FieldBits): Promise<readonly (BitOtPair | null)[]> {
  const seeds = await end.seeds(k);
  return end.channels.map((channel, peer) => {
    const own = seeds[peer];
    if (channel === null || own == null) return null;
    return extendOts({ channel: channel.sub('ot'), seeds: own, sessionId: SESSION });
  });
}

/** The transfers with the one peer of a bench for two. */
export async function openOtPair(end: End, k: FieldBits): Promise<BitOtPair> {
  const pair = (await openOts(end, k)).find((one) => one !== null);
  if (pair == null) throw new Error('there is a peer');
  return pair;
}

export function peerChannel(end: End): Channel {
  const channel = end.channels.find((one) => one !== null);
  if (channel == null) throw new Error('there is a peer');
  return channel;
}

/**
 * Where ANDs get their triples: `ot`, made when a gate asks; `batch`, all of a run made in one go at
 * its beginning, in the timer like everything else; `free`, all zero: a valid correlation that costs
 * nothing, so what is left is the circuit's own cost.
 */
export type TripleKind = 'ot' | 'batch' | 'free';

/** Gates among all parties, as the engine opens them. */
export interface Gates {
  readonly sharing: Sharing;
  /**
   * Called at the beginning of a run with its ANDs, whole lanes; 0 where `kind` is not `batch`. Throws
   * away triples that an earlier run has left, so that every run makes its own.
   */
  readonly begin: (ands: number) => Promise<void>;
}

export async function openGates(end: End, k: FieldBits, kind: TripleKind): Promise<Gates> {
  const { party, parties, channels } = end;
  const ots = await openOts(end, k);
  const subs = (name: string): (Channel | null)[] => channels.map((c) => c?.sub(name) ?? null);
  const rng = systemRng;
  const pair = ots.find((one) => one !== null);
  const source =
    parties === 2 && pair != null
      ? createTripleSource({ pair, rng })
      : createMeshTriples({ party, ots, channels: subs('triples'), rng });
  const free: TripleProvider = { take: (n) => Promise.resolve(zeroTriples(n)) };
  const triples = kind === 'free' ? free : source;
  const sharing = createSharing({ party, parties, channels: subs('gates'), ots, triples, rng });
  return {
    sharing,
    async begin(ands) {
      await source.take(source.available);
      if (kind === 'batch') await source.reserve(ands);
    },
  };
}

/** {@link openGates} for protocols without ANDs. */
export async function openSharing(end: End, k: FieldBits): Promise<Sharing> {
  return (await openGates(end, k, 'ot')).sharing;
}

function zeroTriples(n: number): { a: Uint8Array; b: Uint8Array; c: Uint8Array } {
  const zero = (): Uint8Array => new Uint8Array(bitBytes(n));
  return { a: zero(), b: zero(), c: zero() };
}

/** Base OTs with every other party, once per k. */
export function createSeeds(
  party: number,
  channels: readonly (Channel | null)[],
): (k: FieldBits) => Promise<readonly (OtSeeds | null)[]> {
  const made = new Map<FieldBits, Promise<(OtSeeds | null)[]>>();
  const setUp = (k: FieldBits): Promise<(OtSeeds | null)[]> =>
    Promise.all(
      channels.map(async (channel, peer) => {
        if (channel === null) return null;
        const own = channel.sub(`seeds${k}`);
        const end = party < peer ? 0 : 1;
        return setUpOts({ channel: own, party: end, k, sessionId: SESSION, rng: systemRng });
      }),
    );
  return (k) => {
    const found = made.get(k) ?? setUp(k);
    made.set(k, found);
    return found;
  };
}
