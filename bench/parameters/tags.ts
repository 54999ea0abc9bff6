// False matches: the shipped OPPRF (KKRT, OKVS) and equality test over SoftSpoken OT and GMW, with tags
// of 12 bits instead of 40 and more, on disjoint sets. Every bin must match with 2^-12.
import { setImmediate } from 'node:timers/promises';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair, createTripleSource } from '../../src/protocols/ot/index.ts';
import { binsFor } from '../../src/protocols/psi/cuckoo.ts';
import { equalTags } from '../../src/protocols/psi/equality.ts';
import { createKkrtOprf } from '../../src/protocols/psi/index.ts';
import { opprfPivot, opprfSender } from '../../src/protocols/psi/opprf.ts';
import { opprfShape } from '../../src/protocols/psi/opprf-steps.ts';
import { createSharing } from '../../src/protocols/sharing/index.ts';
import { memoryLink, runBoth } from '../../test/support/memory-channel.ts';
import { seededRng } from '../../test/support/seeded-rng.ts';
import { twoParty } from '../../test/support/two-party.ts';
import {
  count,
  figure,
  table,
  type Budget,
  type Result,
  type Row,
  type Verdict,
} from './report.ts';
import { interval } from './stats.ts';

const ALPHA = 1e-6;
const TAG_BITS = 12;
const USERS = 2 ** 14;

export async function run({ seed, scale }: Budget): Promise<Result> {
  const joins = Math.ceil(30 * scale);
  const { bins, matches, hits } = await falseMatches(joins, seed);
  const [low, high] = interval(matches, joins * bins, ALPHA);
  const expected = 2 ** -TAG_BITS;
  const rows: Row[] = [
    {
      part: 'tags',
      tag_bits: TAG_BITS,
      users: USERS,
      bins,
      joins,
      matches,
      common: hits,
      interval: [low, high],
    },
  ];
  const verdicts: Verdict[] = [
    {
      claim: 'false matches come as often as tags are short',
      holds: low <= expected && expected <= high,
    },
    { claim: 'the one common id of every join matches', holds: hits === joins },
  ];
  const page = [
    `Two sets of ${count(USERS)} ids with one id in common, tags of ${TAG_BITS} bits; matches of other bins (interval of 1 − 10^-6 a side):`,
    table(
      ['joins', 'bins', 'false matches', 'rate', 'interval', '2^-12', 'common id found'],
      [
        [
          joins,
          count(joins * bins),
          matches,
          figure(matches / (joins * bins)),
          `${figure(low)} – ${figure(high)}`,
          figure(expected),
          `${hits} of ${joins}`,
        ],
      ],
    ),
    'In production a tag has 40 + ceil(log2(bins of all shards)) bits: one false match in a whole join has probability at most 2^-40.',
  ].join('\n\n');
  return { name: 'tags', rows, verdicts, page };
}

/** Joins under one set-up, each with its own seed, ids and streams. */
async function falseMatches(
  joins: number,
  seed: string,
): Promise<{ bins: number; matches: number; hits: number }> {
  const link = memoryLink(undefined, 'tags', false);
  const rngs = [seededRng(`${seed} tags 0`), seededRng(`${seed} tags 1`)] as const;
  const sessionId = seededRng(`${seed} tags session`)(32);
  const open = async (party: 0 | 1, channel: Channel): Promise<Parts> => {
    const rng = rngs[party];
    const ot = await createOtPair({ channel: channel.sub('ot'), party, k: 2, sessionId, rng });
    const triples = createTripleSource({ pair: ot, rng });
    const sharing = createSharing({ ...twoParty(party, channel.sub('share'), ot), triples, rng });
    return { sharing, oprf: createKkrtOprf({ pair: ot }), rng };
  };
  const [a, b] = await runBoth(
    link,
    (ch) => open(0, ch),
    (ch) => open(1, ch),
  );
  const bins = binsFor(USERS);
  const shape = opprfShape({
    bins,
    tagBits: TAG_BITS,
    xorBytes: 0,
    ringLanes: 0,
    pivotCapacity: USERS,
    senderCapacity: USERS,
  });
  const draw = seededRng(`${seed} tags ids`);
  let [matches, hits] = [0, 0];
  for (let join = 0; join < joins; join++) {
    const [cuckooSeed, left, right] = [draw(16), draw(32 * USERS), draw(32 * USERS)];
    right.set(left.subarray(0, 32));
    const context = (channel: Channel, { oprf, rng }: Parts): Parameters<typeof opprfPivot>[0] => ({
      channel: channel.sub(`join ${join}`),
      oprf,
      seed: cuckooSeed,
      rng,
    });
    const none = new Uint8Array(0);
    const [pivot, sender] = await runBoth(
      link,
      async (ch) => {
        const { table: placed, rows } = await opprfPivot(context(ch, a), shape, left);
        const match = await equalTags(a.sharing, rows.tags, bins, TAG_BITS);
        return { match, bin: placed.idOfBin.indexOf(0) };
      },
      async (ch) => {
        const input = { ids: right, payloadXor: none, payloadRing: none };
        const rows = await opprfSender(context(ch, b), shape, input);
        return equalTags(b.sharing, rows.tags, bins, TAG_BITS);
      },
    );
    for (let bin = 0; bin < bins; bin++) {
      const share = pivot.match[bin >> 3]! ^ sender[bin >> 3]!;
      const matched = (share >> (bin & 7)) & 1;
      if (bin === pivot.bin) hits += matched;
      else matches += matched;
    }
    await setImmediate();
  }
  return { bins: bins - 1, matches, hits };
}

interface Parts {
  readonly sharing: ReturnType<typeof createSharing>;
  readonly oprf: ReturnType<typeof createKkrtOprf>;
  readonly rng: ReturnType<typeof seededRng>;
}
