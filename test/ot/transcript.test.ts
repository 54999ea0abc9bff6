// Goal: set-up and correlations put the agreed bytes on the wire, for a fixed seed of each end, and
// ends that use another k notice. A changed digest is a changed protocol.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import { createOtPair, type BitOtPair, type FieldBits } from '../../src/protocols/ot/index.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import { memoryLink, runBoth, type MemoryLink } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { bitOf, trustedPairs } from './trusted.ts';

/** Every kind of call in both directions; returns all outputs of this end. */
async function script(pair: BitOtPair, party: 0 | 1, rng: Rng): Promise<Uint8Array> {
  const { sender, receiver } = pair;
  const [keys, chosen] = await Promise.all([
    sender.random(300),
    receiver.random(rng(bitBytes(300)), 300),
  ]);
  const long = await Promise.all([sender.random(9, 3), receiver.random(rng(16), 9, 3)]);
  const ring64 = await Promise.all([
    sender.correlatedRing64(rng(8 * 3 * 50), 50, 3),
    receiver.correlatedRing64(rng(bitBytes(50)), 50, 3),
  ]);
  const ring6 = await Promise.all([
    sender.correlatedRing6(new Uint8Array(131).fill(party), 131),
    receiver.correlatedRing6(rng(bitBytes(131)), 131),
  ]);
  const outputs = [keys.k0, keys.k1, chosen, long[0].k0, long[0].k1, long[1]];
  return new Uint8Array(Buffer.concat([...outputs, ...ring64, ...ring6]));
}

/** Frames of the two directions interleave as they like; those of one end in one are ordered. */
function digestOf(link: MemoryLink, outputs: readonly Uint8Array[]): string {
  const digest = createHash('sha256');
  for (const path of ['test/ot.0', 'test/ot.1']) {
    for (const from of [0, 1]) {
      for (const frame of link.frames) {
        if (frame.path !== path || frame.from !== from) continue;
        digest.update(`${path} ${from} ${frame.step} ${frame.bytes.length}\n`).update(frame.bytes);
      }
    }
  }
  for (const output of outputs) digest.update(output);
  return digest.digest('hex');
}

const end = (link: MemoryLink, party: 0 | 1, k: FieldBits, rng: Rng): Promise<BitOtPair> =>
  createOtPair({
    channel: link.ends[party],
    party,
    k,
    sessionId: new Uint8Array(32).fill(k),
    rng,
  });

it('puts the agreed bytes on the wire from the base OTs on, k = 4', async () => {
  const link = memoryLink();
  const run = async (party: 0 | 1): Promise<[BitOtPair, Uint8Array]> => {
    const rng = seededRng(`party ${party}`);
    const pair = await end(link, party, 4, rng);
    return [pair, await script(pair, party, rng)];
  };
  const [[first, out0], [second, out1]] = await runBoth(
    link,
    () => run(0),
    () => run(1),
  );
  expect(digestOf(link, [out0, out1])).toMatchInlineSnapshot(
    `"b022866f4e8c4c5c4daae686d7ce636540fc943bfd7474f9f91ebab25e34fef9"`,
  );
  const setUp = link.frames.filter((f) => /base|trees/.test(f.step));
  expect(setUp.map((f) => `${f.path} ${f.from} ${f.step} ${f.bytes.length}`).sort()).toEqual([
    'test/ot.0 0 base.receiver 8192',
    'test/ot.0 1 base.sender 32',
    'test/ot.0 1 trees 3072',
    'test/ot.1 0 trees 3072',
  ]);
  // The two ends of each direction agree, and the directions do not share a Delta.
  const choices = systemRng(16);
  const [a, b, c, d] = await Promise.all([
    first.sender.random(128),
    second.receiver.random(choices, 128),
    second.sender.random(128),
    first.receiver.random(choices, 128),
  ]);
  const pick = (keys: { k0: Uint8Array; k1: Uint8Array }): Uint8Array =>
    keys.k0.map((x, at) => (bitOf(choices, at >> 4) === 1 ? keys.k1[at]! : x));
  expect(b).toEqual(pick(a));
  expect(d).toEqual(pick(c));
});

it('puts the agreed bytes on the wire after trusted base OTs, k = 2', async () => {
  const link = memoryLink();
  const [first, second] = trustedPairs(link.ends, 2, 'transcript');
  const outputs = await runBoth(
    link,
    () => script(first, 0, seededRng('party 0')),
    () => script(second, 1, seededRng('party 1')),
  );
  expect(digestOf(link, outputs)).toMatchInlineSnapshot(
    `"237f70272f2b6d37211832e61f0c5bacda6b5fb29dafa62ac9bed4563de0fe00"`,
  );
});

it('blames a peer that uses another k', async () => {
  const link = memoryLink();
  const mixed = runBoth(
    link,
    () => end(link, 0, 2, systemRng),
    () => end(link, 1, 4, systemRng),
  );
  await expect(mixed).rejects.toMatchObject({ code: 'PEER_BAD_LENGTH', fault: 'peer' });
});
