// Group sums by each method: both parties in one process and thread over an in-memory link, no
// network time, so the CPU is the sum of both ends; base OTs are not in it. Sums are checked outside the
// timer. Bytes each way include the OT extension's.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { systemRng } from '../src/core/rng.ts';
import { addRing, sumByIndex } from '../src/kernels/ring64/index.ts';
import { createOtPair, type BitOtPair, type FieldBits } from '../src/protocols/ot/index.ts';
import {
  createSharing,
  groupSumMethod,
  groupSums,
  type GroupSumMethod,
  type RingVector,
  type Sharing,
} from '../src/protocols/sharing/index.ts';
import { memoryLink, type Frame } from '../test/support/memory-channel.ts';
import { twoParty } from '../test/support/two-party.ts';

const METHODS = ['correlatedOts', 'unitVectors', 'sorted'] as const;
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: `${2 ** 14}` },
    groups: { type: 'string', default: '1000' },
    lanes: { type: 'string', default: '3' },
    k: { type: 'string', default: '4' },
    methods: { type: 'string', default: METHODS.join(',') },
    runs: { type: 'string', default: '3' },
  },
});
const rows = Number(flags.rows);
const groups = Number(flags.groups);
const lanes = Number(flags.lanes);
const runs = Number(flags.runs);
const k = Number(flags.k) as FieldBits;

const sent = [0, 0];
const { ends: channels } = memoryLink(
  (frame: Frame) => {
    sent[frame.from]! += frame.bytes.length;
    return frame;
  },
  'bench',
  false,
);
const sessionId = systemRng(32);
const pairs = await Promise.all(
  ([0, 1] as const).map((party): Promise<BitOtPair> =>
    createOtPair({ channel: channels[party].sub('ot'), party, k, sessionId, rng: systemRng }),
  ),
);
const ends = ([0, 1] as const).map((party): Sharing => {
  const noTriples = { take: () => Promise.reject(new Error('group sums take no triples')) };
  const link = twoParty(party, channels[party].sub('sums'), pairs[party]!);
  return createSharing({ ...link, triples: noTriples, rng: systemRng });
});

const shares = [0, 1].map(() => Array.from({ length: lanes }, () => systemRng(8 * rows)));
const draws = new Uint32Array(systemRng(4 * rows).buffer);
const groupOfRow = Int32Array.from(draws, (x) => (x % (groups + 1)) - 1);
const expected = shares[0]!.map((lane, i) =>
  sumByIndex(addRing(lane, shares[1]![i]!), groupOfRow, groups),
);

function check(out: readonly (readonly RingVector[])[]): void {
  expected.forEach((lane, i) => {
    if (Buffer.compare(addRing(out[0]![i]!, out[1]![i]!), lane) !== 0) throw new Error('wrong sum');
  });
}

async function measure(method: GroupSumMethod): Promise<number> {
  const cpuUs: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    sent.fill(0);
    const cpu = process.cpuUsage();
    const out = await Promise.all(
      ends.map((s) =>
        groupSums(s, {
          groups,
          groupOfRow: s.party === 0 ? groupOfRow : null,
          rows,
          lanes: shares[s.party]!,
          method,
        }),
      ),
    );
    const { user, system } = process.cpuUsage(cpu);
    cpuUs.push((user + system) / rows);
    check(out);
  }
  cpuUs.sort((a, b) => a - b);
  const round = (x: number): number => Math.round(x * 100) / 100;
  const line = {
    bench: 'group-sums',
    method,
    rows,
    groups,
    lanes,
    k,
    cpu_us_per_row_min: round(cpuUs[0]!),
    cpu_us_per_row_median: round(cpuUs[runs >> 1]!),
    cpu_us_per_row_max: round(cpuUs.at(-1)!),
    bytes_per_row_to_pivot: round(sent[1]! / rows),
    bytes_per_row_from_pivot: round(sent[0]! / rows),
    runs,
  };
  console.log(JSON.stringify(line));
  return cpuUs[0]!;
}

const machine = { node: process.version, cpu: cpus()[0]?.model, cpus: cpus().length };
console.log(JSON.stringify({ bench: 'group-sums', ...machine, chosen: groupSumMethod(groups) }));
const chosen = METHODS.filter((method) => flags.methods.split(',').includes(method));
const times = new Map<GroupSumMethod, number>();
for (const method of chosen) times.set(method, await measure(method));
const sorted = times.get('sorted');
for (const [method, us] of times) {
  if (sorted === undefined || method === 'sorted') continue;
  console.log(JSON.stringify({ method, cpu_times_sorted: Math.round((us / sorted) * 10) / 10 }));
}
