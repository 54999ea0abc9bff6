// Goal: the join over its real parts (either OPRF, SoftSpoken OT, GMW) equals the plain join, bin by
// bin the same with both, and all it sends has one shape whatever the data.
import { expect, it } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair, createTripleSource } from '../../src/protocols/ot/index.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';
import {
  createKkrtOprf,
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
import { twoParty } from '../support/two-party.ts';
import {
  expectPlainJoin,
  idsOf,
  messageShapes,
  openJoin,
  range,
  senderOf,
  type JoinCase,
  type JoinRun,
} from './support.ts';

const PARAMS = { pivotCapacity: 60, senderCapacity: 40, xorBytes: 3, ringLanes: 1 } as const;

it('is the plain join, in one shape, with either OPRF', async () => {
  const sets = [
    { ...PARAMS, pivot: range(0, 60), sender: range(30, 40) },
    { ...PARAMS, pivot: [], sender: range(0, 40) },
  ];
  const cases: RealCase[] = (['ecdh', 'kkrt'] as const).flatMap((oprf) =>
    sets.map((join) => ({ join, oprf })),
  );
  const runs = await runReal(cases);
  runs.forEach((run, i) => expectPlainJoin(cases[i]!.join, run));
  const [some, none, same, empty] = runs.map((run) => messageShapes(run.frames));
  expect(some!.length).toBeGreaterThan(10);
  expect(none).toEqual(some);
  expect(empty).toEqual(same);
  const [ecdh, , kkrt] = runs;
  expect(kkrt!.pivot.userOfBin).toEqual(ecdh!.pivot.userOfBin);
  expect(openJoin(kkrt!, sets[0]!).match).toEqual(openJoin(ecdh!, sets[0]!).match);
});

interface RealCase {
  readonly join: JoinCase;
  readonly oprf: 'ecdh' | 'kkrt';
}

/** The joins one after the other under one set-up of OTs, which is most of the work. */
async function runReal(cases: readonly RealCase[]): Promise<JoinRun[]> {
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
  const context = (party: 0 | 1, channel: Channel, choice: RealCase['oprf']): JoinContext => {
    const [rng, ot] = [rngs[party], ots[party]];
    const oprf = choice === 'ecdh' ? ecdhOprf : createKkrtOprf({ pair: ot });
    const triples = createTripleSource({ pair: ot, rng });
    const sharing = createSharing({ ...twoParty(party, channel.sub('share'), ot), triples, rng });
    return { sharing, channel, oprf, seed: sessionId.subarray(0, 16), rng };
  };
  const runs: JoinRun[] = [];
  for (const [i, { join, oprf: choice }] of cases.entries()) {
    const from = link.frames.length;
    const path = `psi ${i}`;
    const [pivot, sender]: [PivotOutput, JoinShares] = await runBoth(
      link,
      (ch) => runPivot(context(0, ch.sub(path), choice), join, { ids: idsOf(join.pivot) }),
      (ch) => runSender(context(1, ch.sub(path), choice), join, senderOf(join.sender, join)),
    );
    const frames = link.frames
      .slice(from)
      .map((frame) => ({ ...frame, path: frame.path.replace(path, 'psi') }));
    runs.push({ pivot, sender, frames, events: [] });
  }
  return runs;
}
