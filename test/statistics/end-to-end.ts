// privacy 7: noise through the whole engine of two parties: join, totals, release, real transfers and
// triples, in one process over in-memory links. test/e2e/noise.test.ts does it through two nodes.
import type { Channel } from '../../src/core/channel.ts';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import { finishRun, openMesh, setUpOts, type OtSeeds } from '../../src/engine/mpc/index.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { calibrationOf, combine, engineRoom } from '../support/engine.ts';
import { memoryMesh, runAll, type MemoryMesh } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { elementsFromBigints, elementsToBigints } from '../sharing/support.ts';
import { cellsPolicy, cellsTables, USERS_SQL } from './cells.ts';
import { ALARM, chance, type Check } from './check.ts';
import { count, fitPValue, type Counts } from './fit.ts';

export const title = 'End to end through the engine';

interface Size {
  readonly groups: number;
  readonly queries: number;
}

function planOf(groups: number): Plan {
  return planQuery(cellsPolicy(groups, 1), 'd'.repeat(64), USERS_SQL, { epsilon: '1' });
}

/** Draws of opened cells, each of a group of `people`. */
function drawsOf(cells: Uint8Array, people: number): number[] {
  return elementsToBigints(cells).map((v) => Number(BigInt.asIntN(64, v)) - people);
}

async function wholeRuns({ groups, queries }: Size): Promise<Counts> {
  const room = await engineRoom();
  const plan = planOf(groups);
  const tables = cellsTables(plan, groups, 1);
  const counts: Counts = new Map();
  for (let q = 0; q < queries; q += 1) {
    count(counts, drawsOf(combine(await room.run(plan, tables)).cells, 1));
  }
  return counts;
}

interface Pair {
  readonly links: MemoryMesh;
  readonly seeds: readonly (readonly (OtSeeds | null)[])[];
  readonly sessionId: Uint8Array;
}

async function openPair(): Promise<Pair> {
  const links = memoryMesh(2, undefined, 'test', false);
  const sessionId = systemRng(32);
  const seeds = await runAll(links, (side) =>
    Promise.all(
      links.ends[side]!.map(async (channel, peer): Promise<OtSeeds | null> =>
        channel === null
          ? null
          : setUpOts({
              channel: channel.sub('base'),
              party: side < peer ? 0 : 1,
              k: 4,
              sessionId,
              rng: systemRng,
            }),
      ),
    ),
  );
  return { links, seeds, sessionId };
}

/**
 * The finish of queries whose parties draw all their random bits, those of the noise among them,
 * from these sources. Totals are what a join of one person a group adds up to.
 */
async function finishes(
  { links, seeds, sessionId }: Pair,
  name: string,
  { groups, queries }: Size,
  rngOf: (side: number) => Rng,
): Promise<Counts> {
  const plan = planOf(groups);
  const calibration = calibrationOf(plan);
  const mask = elementsToBigints(systemRng(8 * groups));
  const totals = [mask, mask.map((m) => 1n - m)].map((share) => elementsFromBigints(share));
  const counts: Counts = new Map();
  for (let q = 0; q < queries; q += 1) {
    const shares = await runAll(links, (side) => {
      const channels = links.ends[side]!.map((c): Channel | null => c?.sub(`${name}${q}`) ?? null);
      const options = { side, parties: 2, channels, seeds: seeds[side]!, sessionId };
      const mesh = openMesh({ ...options, rng: rngOf(side) });
      const onProgress = (): void => undefined;
      return finishRun({
        plan,
        calibration,
        side,
        mesh,
        channels,
        totals: totals[side]!,
        onProgress,
      });
    });
    count(counts, drawsOf(combine(shares).cells, 1));
  }
  return counts;
}

const stuck =
  (byte: number): Rng =>
  (n) =>
    new Uint8Array(n).fill(byte);

export async function run(long: boolean): Promise<readonly Check[]> {
  const size = long ? { groups: 4096, queries: 25 } : { groups: 1024, queries: 1 };
  const checks: Check[] = [];
  const record = (what: string, counts: Counts, mustFit: boolean): void => {
    const n = [...counts.values()].reduce((a, b) => a + b, 0);
    const p = fitPValue(counts, 1, 6);
    const wanted = n === size.groups * size.queries;
    const pass = wanted && (mustFit ? p >= ALARM : p < ALARM);
    checks.push({ test: '7', what, n, result: `p: ${chance(p)}`, pass });
  };
  record('whole runs, all randomness the system’s', await wholeRuns(size), true);
  const pair = await openPair();
  const weak: readonly (readonly [string, () => Rng])[] = [
    ['all 0', () => stuck(0)],
    ['all 1', () => stuck(0xff)],
    ['replayed in every query', () => seededRng('replayed')],
  ];
  for (const [name, source] of weak) {
    const rngOf = (side: number): Rng => (side === 0 ? source() : systemRng);
    const counts = await finishes(pair, name, size, rngOf);
    record(`one party's random bits ${name}`, counts, true);
  }
  const one = { groups: 256, queries: 1 };
  const control = await finishes(pair, 'control', one, (side) =>
    side === 0 ? seededRng('replayed') : stuck(0),
  );
  // A whole query of one party's good bits and the other's zeros fits; the same bits twice do not.
  const again = await finishes(pair, 'again', one, (side) =>
    side === 0 ? seededRng('replayed') : stuck(0),
  );
  const same = JSON.stringify([...control].sort()) === JSON.stringify([...again].sort());
  checks.push({
    test: '7',
    what: 'control: both parties replay, and the same noise comes twice',
    n: 2 * one.groups,
    result: same ? 'the same draws' : 'other draws',
    pass: same,
  });
  const fixed = await finishes(pair, 'fixed', size, (side) => stuck(side === 0 ? 0xa5 : 0));
  record('control: both parties’ bits stuck, must fail', fixed, false);
  return checks;
}
