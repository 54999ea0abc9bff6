// Goal: threads that help change who computes and nothing else: the same keys and the same bytes on
// the wire; what the receiver waits for goes first; a bad element is blamed wherever it is found; and
// a thread that dies is an error, not a wait.
import { afterAll, describe, expect, it } from 'vitest';
import { concat, toHex, u32be, utf8 } from '../../src/core/bytes.ts';
import { openHelper } from '../../src/party/run/helpers.ts';
import { openDesk, type Helper } from '../../src/protocols/psi/oprf-ecdh-desk.ts';
import { workSlice, type Slice } from '../../src/protocols/psi/oprf-ecdh-slices.ts';
import { createEcdhOprf } from '../../src/protocols/psi/oprf-ecdh.ts';
import { POINT_BYTES } from '../../src/protocols/psi/types.ts';
import { memoryLink, runBoth, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import * as ref from './curve-reference.ts';

const threads = [openHelper(), openHelper()];
afterAll(() => Promise.all(threads.map(({ close }) => close())));

/** Slices that went to the threads, by kind. */
let helped: Slice['kind'][] = [];
const counted = threads.map(({ helper }): Helper => (slice) => {
  helped.push(slice.kind);
  return helper(slice);
});

const N = 1200;
const M = 700;

async function run(helpers: readonly Helper[], tap?: Tap) {
  const link = memoryLink(tap);
  const oprf = createEcdhOprf({ session: utf8('helped'), helpers });
  const [receiver, sender] = await runBoth(
    link,
    (channel) => oprf.receive(channel, somePoints(N), seededRng('receiver')),
    (channel) => oprf.send(channel, N, somePoints(M), new Uint32Array(0), seededRng('sender')),
  );
  const wire = link.frames.map(({ from, step, bytes }) => `${from} ${step} ${toHex(bytes)}`);
  return { receiver, sender, wire: wire.sort() };
}

function somePoints(n: number): Uint8Array {
  return concat(
    Array.from({ length: n }, (_, i) =>
      concat([ref.sha512(u32be(i)).subarray(0, POINT_BYTES - 1), Uint8Array.of(i % 3)]),
    ),
  );
}

describe('helper threads', () => {
  it('change nothing that either end gets or sees', async () => {
    const alone = await run([]);
    expect(alone.receiver.subarray(0, 16 * M)).toEqual(alone.sender);
    helped = [];
    expect(await run(counted.slice(0, 1))).toEqual(alone);
    expect(await run(counted)).toEqual(alone);
    expect(new Set(helped)).toEqual(new Set(['blind', 'evaluate', 'unblind', 'own']));
  });

  it.each(['blinded.0', 'evaluated.1'])('blame the peer for a bad element of %s', async (step) => {
    const cheat: Tap = (f) => {
      // The last element of the message is a point of the twist.
      if (f.step === step) f.bytes.set(ref.toLittle(2n), f.bytes.length - 32);
      return f;
    };
    await expect(run(counted, cheat)).rejects.toMatchObject({
      code: 'PEER_BAD_ENCODING',
      detail: { step: `test/${step}` },
    });
  });

  it('that die end the run by code', async () => {
    const dying = openHelper();
    const helper: Helper = (slice) => {
      const result = dying.helper(slice);
      void dying.close();
      return result;
    };
    await expect(run([helper])).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(dying.alive()).toBe(false);
    await expect(dying.helper(someSlice('own'))).rejects.toMatchObject({ code: 'WORKER_LOST' });
  });
});

describe('the desk', () => {
  it('gives what is urgent first, and no helper more than it should hold', async () => {
    const order: string[] = [];
    let held = 0;
    let heldMax = 0;
    const helper: Helper = async (slice) => {
      order.push(slice.kind);
      heldMax = Math.max(heldMax, ++held);
      await new Promise((resolve) => setTimeout(resolve, 1));
      held -= 1;
      return workSlice(slice);
    };
    const desk = openDesk([helper]);
    const own = Array.from({ length: 12 }, () => desk.give(someSlice('own'), false));
    const evaluated = Array.from({ length: 4 }, () => desk.give(someSlice('evaluate'), true));
    const results = await Promise.all([...own, ...evaluated]);
    const keys = workSlice(someSlice('own'));
    for (const result of results.slice(0, 12)) expect(result).toEqual(keys);
    expect(order.slice(0, 3)).toEqual(['own', 'own', 'own']);
    // Of the rest the urgent ones come first, whichever of the two threads takes them.
    expect(order.slice(3).lastIndexOf('evaluate')).toBeLessThan(4);
    expect(order.length).toBeLessThan(16);
    expect(heldMax).toBe(3);
  });

  it('forgets what waits when it is closed', async () => {
    const desk = openDesk([]);
    const settled: string[] = [];
    const one = desk.give(someSlice('own'), true).then(() => settled.push('one'));
    await one;
    void desk.give(someSlice('own'), true).then(() => settled.push('two'));
    desk.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(settled).toEqual(['one']);
  });
});

function someSlice(kind: 'own' | 'evaluate'): Slice {
  const scalar = new Uint8Array(32);
  scalar[31] = 64;
  const own = kind === 'own';
  return {
    ...{ kind, label: utf8('l'), path: 'p', scalar },
    points: somePoints(own ? 4 : 0),
    elements: own ? new Uint8Array(0) : ref.toLittle(9n),
  };
}
