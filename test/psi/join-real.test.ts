// Goal: the join over its real parts (ECDH OPRF, SoftSpoken OT, GMW) equals the plain join, and all
// it sends, from base OTs to the last AND, has one shape whatever the data.
import { expect, it } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair, createTripleSource } from '../../src/protocols/ot/index.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';
import {
  ecdhOprf,
  runPivot,
  runSender,
  type JoinContext,
  type JoinShares,
  type PivotOutput,
} from '../../src/protocols/psi/index.ts';
import { createSharing } from '../../src/protocols/sharing/index.ts';
import { memoryLink, runBoth } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  expectPlainJoin,
  idsOf,
  messageShapes,
  range,
  senderOf,
  type JoinCase,
  type JoinRun,
} from './support.ts';

const PARAMS = { pivotCapacity: 60, senderCapacity: 40, xorBytes: 3, ringLanes: 1 } as const;

it('is the plain join, in one shape', async () => {
  const cases: JoinCase[] = [
    { ...PARAMS, pivot: range(0, 60), sender: range(30, 40) },
    { ...PARAMS, pivot: [], sender: range(0, 40) },
  ];
  const runs = await runReal(cases);
  runs.forEach((run, i) => expectPlainJoin(cases[i]!, run));
  const [some, none] = runs.map((run) => messageShapes(run.frames));
  expect(some!.length).toBeGreaterThan(10);
  expect(none).toEqual(some);
});

/** The joins one after the other under one set-up of OTs, which is most of the work. */
async function runReal(cases: readonly JoinCase[]): Promise<JoinRun[]> {
  const link = memoryLink();
  const sessionId = new Uint8Array(32).fill(5);
  const rngs = [seededRng('real 0'), seededRng('real 1')] as const;
  const setUp = (party: 0 | 1, channel: Channel): Promise<OtPair> =>
    createOtPair({ channel: channel.sub('ot'), party, k: 4, sessionId, rng: rngs[party] });
  const ots = await runBoth(
    link,
    (channel) => setUp(0, channel),
    (channel) => setUp(1, channel),
  );
  const context = (party: 0 | 1, channel: Channel): JoinContext => {
    const [rng, ot] = [rngs[party], ots[party]];
    const triples = createTripleSource({ pair: ot, rng });
    const sharing = createSharing({ party, channel: channel.sub('share'), ot, triples, rng });
    return { sharing, channel, oprf: ecdhOprf, sessionId, rng };
  };
  const runs: JoinRun[] = [];
  for (const [i, join] of cases.entries()) {
    const from = link.frames.length;
    const path = `psi ${i}`;
    const [pivot, sender]: [PivotOutput, JoinShares] = await runBoth(
      link,
      (ch) => runPivot(context(0, ch.sub(path)), join, { ids: idsOf(join.pivot) }),
      (ch) => runSender(context(1, ch.sub(path)), join, senderOf(join.sender, join)),
    );
    const frames = link.frames
      .slice(from)
      .map((frame) => ({ ...frame, path: frame.path.replace(path, 'psi') }));
    runs.push({ pivot, sender, frames, events: [] });
  }
  return runs;
}
