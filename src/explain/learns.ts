import { groupCount } from '../sql/index.ts';
import type { Plan } from '../sql/plan.ts';
import { rowsOf } from './tree.ts';

/** What one role will know afterwards that it did not know before. */
export interface Learns {
  readonly role: string;
  readonly learns: readonly string[];
  readonly never: readonly string[];
}

/**
 * Who learns what from running this plan, by docs/THREAT-MODEL.md: semi-honest parties, all but one
 * of which may be in league with each other and with the coordinator.
 */
export function whoLearns(plan: Plan, smallest: bigint): readonly Learns[] {
  const { sides, groups, privacy } = plan;
  const sizes = sides.map((s) => `${s.table} at most ${s.capacity} people × ${rowsOf(s)} rows`);
  const shape = [
    'the text of the question, its plan and who asks',
    `declared sizes: ${sizes.join('; ')}`,
    ...(groups.length === 0
      ? []
      : [`the labels of all ${groupCount(plan)} groups, from the policy`]),
    'whether the same was asked before, and which tables are unchanged since an earlier question',
  ];
  const hidden = 'who matched, how many matched';
  const parties = sides.map(({ party }): Learns => ({
    role: party,
    learns: [...shape, 'when it runs, and how many bytes: the same for any rows'],
    never: [
      "the others' rows, identifiers or keyed hashes",
      hidden,
      ...(sides.some((other) => other.party !== party && other.filter !== null)
        ? ["how many rows the others' conditions keep"]
        : []),
      'the answer, or which groups open',
    ],
  }));
  const everything = privacy.differential === null && privacy.minUsers <= 1;
  const closed = everything
    ? 'which groups are empty'
    : privacy.belowK === null
      ? `which groups stay closed; those below ${privacy.minUsers} people always do`
      : `which groups stay closed; one below ${privacy.minUsers} people opens ` +
        `with a chance of at most ${privacy.belowK}`;
  return [
    ...parties,
    {
      role: 'coordinator',
      learns: [...shape, 'timing, traffic and receipts; what each dataset of the query has spent'],
      never: ['a share that opens, a keyed hash, the answer', hidden],
    },
    {
      role: 'analyst',
      learns: [
        'which tables are unchanged since an earlier question',
        privacy.differential === null
          ? 'the exact value of every open group: NO NOISE'
          : 'the noised values of the open groups, with intervals',
        closed,
        ...(everything ? [] : [`most likely nothing of groups below ${smallest} people`]),
      ],
      never: [
        ...(privacy.differential === null ? [] : ['the values before noise']),
        "anybody's rows, identifiers or keyed hashes",
        `${hidden}, beyond what the released values say`,
      ],
    },
  ];
}
