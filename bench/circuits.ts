// GMW gates, bit multiplication, group sums and joint noise, both ends in one process and one
// thread, so a time is that of both ends together. Over all-zero triples (a valid correlation that
// costs nothing, so this is the circuits' own cost) and over the real extension (k = 4). The link
// is in memory. Timing only; the first run is dropped. CPU time stays true on a busy machine.
import { cpus } from 'node:os';
import type { Channel } from '../src/core/channel.ts';
import { systemRng } from '../src/core/rng.ts';
import { createOtPair, createTripleSource } from '../src/protocols/ot/index.ts';
import { bitBytes } from '../src/protocols/ot/types.ts';
import {
  createSharing,
  discreteLaplace,
  groupSums,
  lessThan,
  multiplyBit,
  type Sharing,
  type Word,
} from '../src/protocols/sharing/index.ts';
import { memoryLink, runBoth } from '../test/support/memory-channel.ts';
import { twoParty } from '../test/support/two-party.ts';
import { lawOf } from '../test/sharing/noise-reference.ts';
import { idealOtPair } from '../test/support/ideal-ot.ts';

const RUNS = 3;

interface Work {
  readonly name: string;
  readonly unit: string;
  readonly units: number;
  readonly run: (ctx: Sharing) => Promise<unknown>;
}

const wires = (n: number, rows: number): Word =>
  Array.from({ length: n }, () => systemRng(bitBytes(rows)));

function work(): Work[] {
  const rows = 2 ** 16;
  const [x, y] = [wires(16, rows), wires(16, rows)];
  const bit = systemRng(bitBytes(rows));
  const share = systemRng(8 * rows);
  const groupOfRow = Int32Array.from({ length: rows }, (_, r) => r % 10);
  const law = lawOf(1n, 1n, 6);
  const cells = 1024;
  return [
    {
      name: 'lessThan, 16 bits',
      unit: 'AND',
      units: 16 * rows,
      run: (ctx) => lessThan(ctx, x, y, rows),
    },
    {
      name: 'multiplyBit, one and shared',
      unit: 'row',
      units: rows,
      run: (ctx) => multiplyBit(ctx, bit, rows, [{ kind: 'one' }, { kind: 'shared', share }]),
    },
    {
      name: 'groupSums, 10 groups, 2 lanes',
      unit: 'row and group',
      units: 10 * rows,
      run: (ctx) =>
        groupSums(ctx, {
          groups: 10,
          groupOfRow: ctx.party === 0 ? groupOfRow : null,
          rows,
          lanes: [share, share],
        }),
    },
    {
      name: 'discreteLaplace, rate 1, 7 coins of 64 bits',
      unit: 'AND',
      units: cells * 7 * 120,
      run: (ctx) => discreteLaplace(ctx, [law], new Int32Array(cells), cells),
    },
  ];
}

async function measure(
  over: string,
  { name, unit, units, run }: Work,
  both: (half: (ctx: Sharing) => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  const ns: number[] = [];
  let cpuNs = 0;
  for (let i = 0; i <= RUNS; i++) {
    const started = performance.now();
    const usage = process.cpuUsage();
    await both(run);
    if (i === 0) continue;
    ns.push(((performance.now() - started) * 1e6) / units);
    const { user, system } = process.cpuUsage(usage);
    cpuNs += ((user + system) * 1000) / units / RUNS;
  }
  ns.sort((a, b) => a - b);
  const round = (v: number): number => Math.round(v * 100) / 100;
  console.log(
    JSON.stringify({
      over,
      work: name,
      unit,
      units,
      ns_per_unit_median: round(ns[RUNS >> 1]!),
      ns_per_unit_min: round(ns[0]!),
      ns_per_unit_max: round(ns[RUNS - 1]!),
      cpu_ns_per_unit_mean: round(cpuNs),
      runs: RUNS,
    }),
  );
}

console.log(JSON.stringify({ bench: 'circuits', node: process.version, cpu: cpus()[0]?.model }));
const link = memoryLink((f) => f, 'bench', false);
const [ot0, ot1] = idealOtPair();
const free = ([0, 1] as const).map((party) =>
  createSharing({
    ...twoParty(party, link.ends[party].sub('free'), party === 0 ? ot0 : ot1),
    triples: {
      take: async (n) => {
        const [a, b, c] = [0, 1, 2].map(() => new Uint8Array(bitBytes(n)));
        return { a: a!, b: b!, c: c! };
      },
    },
    rng: systemRng,
  }),
);
const tasks = work();
for (const task of tasks.filter((t) => t.unit === 'AND')) {
  await measure('free triples', task, (half) => Promise.all(free.map(half)));
}

const open = async (channel: Channel, party: 0 | 1): Promise<Sharing> => {
  const sessionId = new Uint8Array(32);
  const ot = await createOtPair({
    channel: channel.sub('ot'),
    party,
    k: 4,
    sessionId,
    rng: systemRng,
  });
  const triples = createTripleSource({ pair: ot, rng: systemRng });
  return createSharing({ ...twoParty(party, channel.sub('gates'), ot), triples, rng: systemRng });
};
const [a, b] = await runBoth(
  link,
  (ch) => open(ch, 0),
  (ch) => open(ch, 1),
);
for (const task of tasks) {
  await measure('softspoken k=4', task, (half) =>
    runBoth(
      link,
      () => half(a),
      () => half(b),
    ),
  );
}
