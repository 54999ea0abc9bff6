import { asParleyError, expect } from '../../src/core/errors.ts';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import {
  bitBytes,
  type OtPair,
  type OtReceiver,
  type OtSender,
} from '../../src/protocols/ot/types.ts';

const BLOCK_BYTES = 16;

/** What an end asks for; both ends of a meeting must ask for the same. */
interface Ask {
  readonly kind: 'random' | 'ring64' | 'ring6';
  readonly n: number;
  /** Blocks of `random`, lanes of `ring64`, 1 of `ring6`. */
  readonly width: number;
}

interface Waiting {
  readonly ask: Ask;
  readonly data: Uint8Array;
  readonly resolve: (out: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Outcome {
  readonly sender: readonly [Uint8Array, Uint8Array];
  readonly receiver: Uint8Array;
}

/**
 * The ideal OT functionality between two ends in one process: a trusted dealer that waits for both
 * inputs of a call, checks that n, lanes and blocks agree, and hands each end its output. The two
 * directions are independent. It moves no bytes, so tests of upper layers see only their own.
 *
 * @throws ParleyError INTERNAL, at both ends, when the two calls that meet do not agree.
 */
export function idealOtPair(rng: Rng = systemRng): [OtPair, OtPair] {
  const zeroToOne = direction(rng);
  const oneToZero = direction(rng);
  return [
    { sender: zeroToOne.sender, receiver: oneToZero.receiver },
    { sender: oneToZero.sender, receiver: zeroToOne.receiver },
  ];
}

function direction(rng: Rng): { readonly sender: OtSender; readonly receiver: OtReceiver } {
  const queues: readonly [Waiting[], Waiting[]] = [[], []];
  const meet = (role: 0 | 1, ask: Ask, data: Uint8Array): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const own: Waiting = { ask, data: data.slice(), resolve, reject };
      const peer = queues[role === 0 ? 1 : 0].shift();
      if (peer === undefined) {
        queues[role].push(own);
        return;
      }
      try {
        const [sender, receiver] = role === 0 ? [own, peer] : [peer, own];
        const [a, b] = [sender.ask, receiver.ask];
        const same = a.kind === b.kind && a.n === b.n && a.width === b.width;
        expect(same, `both ends ask for the same OTs: ${describe(a)} and ${describe(b)}`);
        const outcome = deal(rng, a, sender.data, receiver.data);
        peer.resolve(outcome);
        resolve(outcome);
      } catch (cause) {
        const error = asParleyError(cause);
        peer.reject(error);
        reject(error);
      }
    });
  return { sender: senderEnd(meet), receiver: receiverEnd(meet) };
}

type Meet = (role: 0 | 1, ask: Ask, data: Uint8Array) => Promise<Outcome>;

function senderEnd(meet: Meet): OtSender {
  return {
    async random(n, blocks = 1) {
      const { sender } = await meet(0, { kind: 'random', n, width: blocks }, new Uint8Array(0));
      return { k0: sender[0], k1: sender[1] };
    },
    async correlatedRing64(delta, n, lanes) {
      expect(delta.length === 8 * n * lanes, 'delta is n times lanes 64-bit elements');
      return (await meet(0, { kind: 'ring64', n, width: lanes }, delta)).sender[0];
    },
    async correlatedRing6(delta, n) {
      expect(delta.length === n && delta.every((d) => d < 64), 'delta is n bytes below 64');
      return (await meet(0, { kind: 'ring6', n, width: 1 }, delta)).sender[0];
    },
  };
}

function receiverEnd(meet: Meet): OtReceiver {
  const choose = async (choices: Uint8Array, ask: Ask): Promise<Uint8Array> => {
    expect(choices.length === bitBytes(ask.n), 'choices are n packed bits');
    return (await meet(1, ask, choices)).receiver;
  };
  return {
    random: (choices, n, blocks = 1) => choose(choices, { kind: 'random', n, width: blocks }),
    correlatedRing64: (choices, n, lanes) => choose(choices, { kind: 'ring64', n, width: lanes }),
    correlatedRing6: (choices, n) => choose(choices, { kind: 'ring6', n, width: 1 }),
  };
}

function describe(ask: Ask): string {
  return `${ask.kind} n=${ask.n} width=${ask.width}`;
}

function deal(rng: Rng, ask: Ask, delta: Uint8Array, choices: Uint8Array): Outcome {
  const bit = (i: number): number => (choices[i >> 3]! >> (i & 7)) & 1;
  switch (ask.kind) {
    case 'random':
      return dealRandom(rng, ask.n, ask.width * BLOCK_BYTES, bit);
    case 'ring64':
      return dealRing64(rng, delta, ask.n, ask.width, bit);
    case 'ring6':
      return dealRing6(rng, delta, ask.n, bit);
  }
}

function dealRandom(rng: Rng, n: number, bytes: number, bit: (i: number) => number): Outcome {
  const keys = [rng(n * bytes), rng(n * bytes)] as const;
  const chosen = new Uint8Array(n * bytes);
  for (let i = 0; i < n; i++) {
    const key = bit(i) === 0 ? keys[0] : keys[1];
    chosen.set(key.subarray(i * bytes, (i + 1) * bytes), i * bytes);
  }
  return { sender: keys, receiver: chosen };
}

function dealRing64(
  rng: Rng,
  delta: Uint8Array,
  n: number,
  lanes: number,
  bit: (i: number) => number,
): Outcome {
  const mask = rng(8 * n * lanes);
  const own = new Uint8Array(mask.length);
  const theirs = new Uint8Array(mask.length);
  const [m, d, o, t] = [mask, delta, own, theirs].map(
    (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  ) as [DataView, DataView, DataView, DataView];
  for (let i = 0; i < n; i++) {
    const choice = BigInt(bit(i));
    for (let at = 8 * i * lanes; at < 8 * (i + 1) * lanes; at += 8) {
      const r = m.getBigUint64(at, true);
      o.setBigUint64(at, -r, true);
      t.setBigUint64(at, r + choice * d.getBigUint64(at, true), true);
    }
  }
  return { sender: [own, own], receiver: theirs };
}

function dealRing6(rng: Rng, delta: Uint8Array, n: number, bit: (i: number) => number): Outcome {
  const mask = rng(n);
  const own = new Uint8Array(n);
  const theirs = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    own[i] = -mask[i]! & 63;
    theirs[i] = (mask[i]! + bit(i) * delta[i]!) & 63;
  }
  return { sender: [own, own], receiver: theirs };
}
