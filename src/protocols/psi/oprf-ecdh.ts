import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect, type ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import { reveal } from '../../core/redacted.ts';
import type { Redacted } from '../../core/redacted.ts';
import type { Rng } from '../../core/rng.ts';
import { ELEMENT_BYTES } from '../../kernels/curve25519/index.ts';
import { openDesk, type Helper } from './oprf-ecdh-desk.ts';
import type { Slice } from './oprf-ecdh-slices.ts';
import { areDistinct, badElement, FRAME_POINTS, ownLowOrder } from './oprf-ecdh-steps.ts';
import { KEY_BYTES, POINT_BYTES } from './types.ts';
import type { Oprf } from './types.ts';
import { randomBlinding, randomScalar } from './x25519.ts';

/**
 * LOCAL. Points of a slice, the work of one event-loop turn: some 5 ms between two chances for
 * sockets and timers.
 */
const POINTS_PER_SLICE = 128;

/**
 * AGREEMENT. Messages the receiver keeps ahead of the replies it has read. Two keep the sender
 * busy: one on its desk and one behind it, while the receiver prepares the next.
 */
const FRAMES_AHEAD = 2;

export interface EcdhOprfOptions {
  /** Bound into every hash together with the channel's path; equal at both ends. */
  readonly session?: Uint8Array;
  /** Threads that take part in the curve work of this end; none when left out. */
  readonly helpers?: readonly Helper[];
  /** Stage `join.oprf`; the unit is one scalar multiplication. */
  readonly onProgress?: OnProgress;
}

/**
 * The Diffie-Hellman OPRF on Curve25519 (2HashDH): F(x) = H2(x, H1(x)^b).
 *
 * The receiver learns F at its n points, the sender its key b only; the sender sees n random group
 * elements. Semi-honest; DDH on curve25519, H1 and H2 random oracles. The n points must be
 * distinct, as one blinding exponent serves them all.
 * Source: Jarecki, Kiayias, Krawczyk 2014 (2HashDH); RFC 7748; RFC 9380. Departures: OPRF-ECDH.md.
 * Cost: receiver 2n, sender n + m scalar multiplications; 32n bytes each way; one round trip,
 * streamed in messages of FRAME_POINTS. Randomness: 32 bytes at each end.
 *
 * Errors of both halves: PEER_BAD_ENCODING for a value that is not canonical, is on the twist or
 * has low order; whatever the channel and the helpers throw.
 */
export function createEcdhOprf(options: EcdhOprfOptions = {}): Oprf {
  const { session = new Uint8Array(0), helpers = [], onProgress } = options;
  const run = { session, helpers, onProgress };
  return {
    perBin: false,
    receive: (channel, points, rng) => receive(channel, points, rng, run),
    send: (channel, n, points, _bins, rng) => send(channel, n, points, rng, run),
  };
}

/** {@link createEcdhOprf} bound to the channel's path alone. */
export const ecdhOprf: Oprf = createEcdhOprf();

async function receive(
  channel: Channel,
  points: Uint8Array,
  rng: Rng,
  run: Run,
): Promise<Uint8Array> {
  const n = countOf(points);
  expect(areDistinct(points), 'the points of an ECDH OPRF are distinct');
  const { blind, unblind } = randomBlinding(rng);
  const bench = openBench(run, channel.path, 2 * n);
  const frames = framesOf(n);
  const keys = new Uint8Array(n * KEY_BYTES);

  // 1. R -> S: the u-coordinates of H1(x)^a, in R's order.
  const ask = async ({ from, to, index }: Frame): Promise<void> => {
    const own = pointsIn(points, from, to);
    const blinded = await bench.all('blind', blind, { points: own }, ownLowOrder);
    await channel.send(`blinded.${index}`, blinded);
  };

  // 2. S -> R: those of H1(x)^ab, in the same order. R takes a off again.
  const take = async ({ from, to, index }: Frame): Promise<void> => {
    const step = `evaluated.${index}`;
    const elements = await channel.recv(step, (to - from) * ELEMENT_BYTES);
    const bad = (): ParleyError => badElement(`${channel.path}/${step}`);
    const input = { points: pointsIn(points, from, to), elements };
    keys.set(await bench.all('unblind', unblind, input, bad), from * KEY_BYTES);
  };

  try {
    for (const frame of frames) {
      await ask(frame);
      const due = frames[frame.index - FRAMES_AHEAD];
      if (due !== undefined) await take(due);
    }
    for (const frame of frames.slice(-FRAMES_AHEAD)) await take(frame);
    return keys;
  } finally {
    bench.close();
    wipe(reveal(blind), reveal(unblind));
  }
}

async function send(
  channel: Channel,
  receiverCount: number,
  points: Uint8Array,
  rng: Rng,
  run: Run,
): Promise<Uint8Array> {
  const key = randomScalar(rng);
  const bench = openBench(run, channel.path, receiverCount + countOf(points));
  try {
    // S's own points fill the time it would wait; the receiver's come first, as it waits for them.
    const own = bench.all('own', key, { points }, ownLowOrder, 'later');
    own.catch(() => undefined);
    for (const { index, from, to } of framesOf(receiverCount)) {
      const step = `blinded.${index}`;
      const elements = await channel.recv(step, (to - from) * ELEMENT_BYTES);
      const bad = (): ParleyError => badElement(`${channel.path}/${step}`);
      const evaluated = await bench.all('evaluate', key, { elements }, bad);
      await channel.send(`evaluated.${index}`, evaluated);
    }
    return await own;
  } finally {
    bench.close();
    wipe(reveal(key));
  }
}

/** What a run is bound to and done with, beside its points. */
interface Run {
  readonly session: Uint8Array;
  readonly helpers: readonly Helper[];
  readonly onProgress: OnProgress | undefined;
}

/** One run's curve work. */
interface Bench {
  /** One step for all of its points or elements, cut into slices. @throws `bad` where one is null. */
  all(
    kind: Slice['kind'],
    scalar: Redacted<Uint8Array>,
    input: { readonly points?: Uint8Array; readonly elements?: Uint8Array },
    bad: () => ParleyError,
    when?: 'now' | 'later',
  ): Promise<Uint8Array>;
  close(): void;
}

const NOTHING = new Uint8Array(0);

/** @param total - multiplications of the run. */
function openBench({ session, helpers, onProgress }: Run, path: string, total: number): Bench {
  const desk = openDesk(helpers);
  let done = 0;
  return {
    async all(kind, scalar, { points = NOTHING, elements = NOTHING }, bad, when = 'now') {
      const n = Math.max(countOf(points), elements.length / ELEMENT_BYTES);
      const each = kind === 'unblind' || kind === 'own' ? KEY_BYTES : ELEMENT_BYTES;
      const out = new Uint8Array(n * each);
      const one = async (from: number, to: number): Promise<void> => {
        const slice = {
          ...{ kind, label: session, path, scalar: reveal(scalar) },
          points: pointsIn(points, from, to),
          elements: elements.subarray(from * ELEMENT_BYTES, to * ELEMENT_BYTES),
        };
        const result = await desk.give(slice, when === 'now');
        if (result === null) throw bad();
        out.set(result, from * each);
        done += to - from;
        onProgress?.({ stage: 'join.oprf', done, total });
      };
      const parts: Promise<void>[] = [];
      for (let at = 0; at < n; at += POINTS_PER_SLICE) {
        parts.push(one(at, Math.min(n, at + POINTS_PER_SLICE)));
      }
      await Promise.all(parts);
      return out;
    },
    close: () => desk.close(),
  };
}

/** Points `from` to `to` (exclusive) travel in message `index`. */
interface Frame {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

function framesOf(n: number): readonly Frame[] {
  return Array.from({ length: Math.ceil(n / FRAME_POINTS) }, (_, index) => ({
    index,
    from: index * FRAME_POINTS,
    to: Math.min(n, (index + 1) * FRAME_POINTS),
  }));
}

function countOf(points: Uint8Array): number {
  const n = points.length / POINT_BYTES;
  expect(Number.isInteger(n), 'points of POINT_BYTES');
  return n;
}

function pointsIn(points: Uint8Array, from: number, to: number): Uint8Array {
  return points.subarray(from * POINT_BYTES, to * POINT_BYTES);
}
