import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import type { OnProgress } from '../../core/progress.ts';
import { reveal } from '../../core/redacted.ts';
import type { Redacted } from '../../core/redacted.ts';
import type { Rng } from '../../core/rng.ts';
import { ELEMENT_BYTES } from '../../kernels/curve25519/index.ts';
import {
  areDistinct,
  badElement,
  checkElements,
  FRAME_POINTS,
  multiplyEach,
  ownLowOrder,
  sessionHashes,
} from './oprf-ecdh-steps.ts';
import type { SessionHashes } from './oprf-ecdh-steps.ts';
import { KEY_BYTES, POINT_BYTES } from './types.ts';
import type { Oprf } from './types.ts';
import { randomBlinding, randomScalar } from './x25519.ts';

/** LOCAL. Points per event-loop turn: some 5 ms between two chances for sockets and timers. */
const POINTS_PER_TURN = 128;

/**
 * AGREEMENT. Messages the receiver keeps ahead of the replies it has read. Two keep the sender
 * busy: one on its desk and one behind it, while the receiver prepares the next.
 */
const FRAMES_AHEAD = 2;

export interface EcdhOprfOptions {
  /** Bound into every hash together with the channel's path; equal at both ends. */
  readonly session?: Uint8Array;
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
 * has low order; whatever the channel throws.
 */
export function createEcdhOprf(options: EcdhOprfOptions = {}): Oprf {
  const { session = new Uint8Array(0), onProgress } = options;
  return {
    perBin: false,
    receive(channel, points, rng) {
      const hashes = sessionHashes(session, channel.path);
      return receive(channel, points, rng, hashes, onProgress);
    },
    send(channel, receiverCount, points, _bins, rng) {
      const hashes = sessionHashes(session, channel.path);
      return send(channel, receiverCount, points, rng, hashes, onProgress);
    },
  };
}

/** {@link createEcdhOprf} bound to the channel's path alone. */
export const ecdhOprf: Oprf = createEcdhOprf();

async function receive(
  channel: Channel,
  points: Uint8Array,
  rng: Rng,
  hashes: SessionHashes,
  onProgress?: OnProgress,
): Promise<Uint8Array> {
  const n = countOf(points);
  expect(areDistinct(points), 'the points of an ECDH OPRF are distinct');
  const { blind, unblind } = randomBlinding(rng);
  const meter = meterOf(2 * n, onProgress);
  const frames = framesOf(n);
  const keys = new Uint8Array(n * KEY_BYTES);

  // 1. R -> S: the u-coordinates of H1(x)^a, in R's order.
  const ask = async (frame: Frame): Promise<void> => {
    const blinded = new Uint8Array((frame.to - frame.from) * ELEMENT_BYTES);
    await inTurns(frame.from, frame.to, meter, (from, to) => {
      const own = hashes.toCurve(pointsIn(points, from, to));
      blinded.set(multiplyEach(blind, own, ownLowOrder), (from - frame.from) * ELEMENT_BYTES);
    });
    await channel.send(`blinded.${frame.index}`, blinded);
  };

  // 2. S -> R: those of H1(x)^ab, in the same order. R takes a off again.
  const take = async (frame: Frame): Promise<void> => {
    const step = `evaluated.${frame.index}`;
    const reply = await channel.recv(step, (frame.to - frame.from) * ELEMENT_BYTES);
    const where = `${channel.path}/${step}`;
    checkElements(reply, where);
    await inTurns(frame.from, frame.to, meter, (from, to) => {
      const part = reply.subarray(
        (from - frame.from) * ELEMENT_BYTES,
        (to - frame.from) * ELEMENT_BYTES,
      );
      const elements = multiplyEach(unblind, part, () => badElement(where));
      keys.set(hashes.toKeys(pointsIn(points, from, to), elements), from * KEY_BYTES);
    });
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
    wipe(reveal(blind), reveal(unblind));
  }
}

async function send(
  channel: Channel,
  receiverCount: number,
  points: Uint8Array,
  rng: Rng,
  hashes: SessionHashes,
  onProgress?: OnProgress,
): Promise<Uint8Array> {
  const m = countOf(points);
  const key = randomScalar(rng);
  const meter = meterOf(receiverCount + m, onProgress);
  const keys = new Uint8Array(m * KEY_BYTES);
  let done = 0;
  const evaluateOwn = async (until: number): Promise<void> => {
    const to = Math.min(m, until);
    await inTurns(done, to, meter, (from, end) => {
      const own = pointsIn(points, from, end);
      const elements = multiplyEach(key, hashes.toCurve(own), ownLowOrder);
      keys.set(hashes.toKeys(own, elements), from * KEY_BYTES);
    });
    done = to;
  };

  const answer = async (frame: Frame): Promise<void> => {
    const step = `blinded.${frame.index}`;
    const arriving = arrival(channel.recv(step, (frame.to - frame.from) * ELEMENT_BYTES));
    // S's own points fill the time it would wait; the receiver's come first, as it waits for them.
    while (!arriving.settled() && done < m) await evaluateOwn(done + POINTS_PER_TURN);
    const blinded = await arriving.message;
    await channel.send(
      `evaluated.${frame.index}`,
      await evaluate(key, blinded, meter, () => `${channel.path}/${step}`),
    );
  };
  try {
    for (const frame of framesOf(receiverCount)) await answer(frame);
    await evaluateOwn(m);
    return keys;
  } finally {
    wipe(reveal(key));
  }
}

/** Raises one message of blinded elements to the key. @throws ParleyError PEER_BAD_ENCODING. */
async function evaluate(
  key: Redacted<Uint8Array>,
  blinded: Uint8Array,
  meter: Meter,
  where: () => string,
): Promise<Uint8Array> {
  checkElements(blinded, where());
  const out = new Uint8Array(blinded.length);
  await inTurns(0, blinded.length / ELEMENT_BYTES, meter, (from, to) => {
    const part = blinded.subarray(from * ELEMENT_BYTES, to * ELEMENT_BYTES);
    out.set(
      multiplyEach(key, part, () => badElement(where())),
      from * ELEMENT_BYTES,
    );
  });
  return out;
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

type Meter = (points: number) => void;

function meterOf(total: number, onProgress: OnProgress | undefined): Meter {
  let done = 0;
  return (points) => {
    done += points;
    onProgress?.({ stage: 'join.oprf', done, total });
  };
}

/** Runs `work` on slices of [from, to), one slice per event-loop turn. */
async function inTurns(
  from: number,
  to: number,
  meter: Meter,
  work: (from: number, to: number) => void,
): Promise<void> {
  for (let at = from; at < to; at += POINTS_PER_TURN) {
    const end = Math.min(to, at + POINTS_PER_TURN);
    work(at, end);
    meter(end - at);
    await breathe();
  }
}

/** A message on its way, and whether it is here. A refusal is thrown where it is awaited. */
function arrival(message: Promise<Uint8Array>): {
  readonly message: Promise<Uint8Array>;
  readonly settled: () => boolean;
} {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  message.then(settle, settle);
  return { message, settled: () => settled };
}

function countOf(points: Uint8Array): number {
  const n = points.length / POINT_BYTES;
  expect(Number.isInteger(n), 'points of POINT_BYTES');
  return n;
}

function pointsIn(points: Uint8Array, from: number, to: number): Uint8Array {
  return points.subarray(from * POINT_BYTES, to * POINT_BYTES);
}
