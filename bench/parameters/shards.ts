// Shard overflow: the exact binomial tail of `shardCapacity` at every number of shards, and the deal
// itself, counted.
import { CAPACITY_MAX, SHARDS_MAX, STATISTICAL_BITS } from '../../src/protocols/psi/limits.ts';
import { dealIds, shardCapacity } from '../../src/protocols/psi/shards.ts';
import { seededRng } from '../../test/support/seeded-rng.ts';
import { count, table, type Budget, type Result, type Row, type Verdict } from './report.ts';
import { chiSquareZ, lnUpperTail } from './stats.ts';

/** Largest P[an id is dealt to a given shard]: the deal maps 32 bits, so some get one value more. */
function shareOf(shards: number): number {
  return Math.ceil(2 ** 32 / shards) / 2 ** 32;
}

/** log2 of a bound on P[any shard overflows]: union over shards of exact binomial tails. */
export function log2Overflow(capacity: number, shards: number): number {
  const room = shardCapacity(capacity, shards);
  return (lnUpperTail(capacity, shareOf(shards), room + 1) + Math.log(shards)) / Math.LN2;
}

/** Declared users: few, odd, the page's, and the most a query may declare. */
function capacities(shards: number): number[] {
  const most = Math.min(4 * CAPACITY_MAX, shards * CAPACITY_MAX);
  const list = [shards, 64 * shards, 1_000, 12_345, 100_000, 2 ** 16 * shards, 2 ** 20, most];
  return [...new Set(list.filter((n) => n >= shards && n <= most))].sort((a, b) => a - b);
}

export function run({ seed, scale }: Budget): Result {
  const rows: Row[] = [];
  const verdicts: Verdict[] = [];
  const lines: unknown[][] = [];
  for (let shards = 2; shards <= SHARDS_MAX; shards++) {
    const tails = capacities(shards).map((n) => ({ n, log2: log2Overflow(n, shards) }));
    const worst = tails.reduce((a, b) => (b.log2 > a.log2 ? b : a));
    rows.push({
      part: 'tail',
      shards,
      capacities: tails.map(({ n }) => n),
      worst_at: worst.n,
      log2_overflow: worst.log2,
    });
    verdicts.push({
      claim: `${shards} shards overflow with at most 2^-${STATISTICAL_BITS}`,
      holds: worst.log2 <= -STATISTICAL_BITS,
    });
    const usual = 2 ** 16 * shards;
    if ((shards & (shards - 1)) !== 0) continue;
    const extra = (shardCapacity(usual, shards) / 2 ** 16 - 1) * 100;
    lines.push([
      shards,
      count(usual),
      `${extra.toFixed(2)}%`,
      log2Overflow(usual, shards).toFixed(1),
      count(worst.n),
      worst.log2.toFixed(1),
    ]);
  }
  const dealt = dealPart(seed, scale, rows, verdicts);
  const page = [
    `Bound on the probability that any shard overflows: exact binomial tail times shards, checked for every number of shards from 2 to ${SHARDS_MAX}. Capacities per row of the last columns are in the .jsonl:`,
    table(
      [
        'shards',
        'users',
        'room above the mean',
        'log2 of the tail',
        'worst at users',
        'log2 there',
      ],
      lines,
    ),
    'The deal, counted: fullest shard over all deals beside its room, chi-square of the counts (z):',
    table(['shards', 'users', 'deals', 'fullest', 'room', 'chi-square (z)'], dealt),
  ].join('\n\n');
  return { name: 'shards', rows, verdicts, page };
}

function dealPart(seed: string, scale: number, rows: Row[], verdicts: Verdict[]): unknown[][] {
  return [2, 7, 16, 64].map((shards) => {
    const users = 2 ** 14;
    const deals = Math.ceil(400 * scale);
    const rng = seededRng(`${seed} deal ${shards}`);
    const ids = rng(32 * users);
    const room = shardCapacity(users, shards);
    let fullest = 0;
    let statistic = 0;
    let dropped = 0;
    for (let deal = 0; deal < deals; deal++) {
      const counts = new Float64Array(shards);
      const out = dealIds(rng(16), ids, shards, room);
      dropped += out.dropped;
      for (const shard of out.shardOf) if (shard >= 0) counts[shard]! += 1;
      fullest = Math.max(fullest, ...counts);
      const mean = users / shards;
      statistic += counts.reduce((sum, c) => sum + (c - mean) ** 2 / mean, 0);
    }
    const z = chiSquareZ(statistic, deals * (shards - 1));
    rows.push({ part: 'deal', shards, users, deals, fullest, room, dropped, z });
    verdicts.push(
      { claim: `no deal into ${shards} shards overflows`, holds: dropped === 0 && fullest <= room },
      { claim: `${shards} shards are dealt evenly`, holds: Math.abs(z) < 5.5 },
    );
    return [shards, count(users), deals, count(fullest), count(room), z.toFixed(1)];
  });
}
