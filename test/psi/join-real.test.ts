// Goal: the join over its real parts (ECDH OPRF, SoftSpoken OT, GMW) equals the plain join, and all
// it sends, from base OTs to the last AND, has one shape whatever the data.
import { expect, it } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair, createTripleSource } from '../../src/protocols/ot/index.ts';
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
  const shapes: string[][] = [];
  for (const join of cases) {
    const run = await runReal(join);
    expectPlainJoin(join, run);
    shapes.push(messageShapes(run.frames));
  }
  expect(shapes[1]).toEqual(shapes[0]);
});

async function runReal(join: JoinCase): Promise<JoinRun> {
  const link = memoryLink();
  const sessionId = new Uint8Array(32).fill(5);
  const open = async (party: 0 | 1, channel: Channel): Promise<JoinContext> => {
    const rng = seededRng(`real ${party}`);
    const ot = await createOtPair({ channel: channel.sub('ot'), party, k: 4, sessionId, rng });
    const triples = createTripleSource({ pair: ot, rng });
    const sharing = createSharing({ party, channel: channel.sub('share'), ot, triples, rng });
    return { sharing, channel: channel.sub('psi'), oprf: ecdhOprf, sessionId, rng };
  };
  const [pivot, sender]: [PivotOutput, JoinShares] = await runBoth(
    link,
    async (channel) => runPivot(await open(0, channel), join, { ids: idsOf(join.pivot) }),
    async (channel) => runSender(await open(1, channel), join, senderOf(join.sender, join)),
  );
  return { pivot, sender, frames: link.frames, events: [] };
}
