import type { Policy } from '../policy/types.ts';
import { groupCount, mixedKeys } from '../sql/index.ts';
import type { MixedKey, Plan, PlanSide, PlannedMeasure, Side } from '../sql/plan.ts';
import { wordsOf, type PlanWords } from './words.ts';

/** A line of the plan and what is below it. */
export interface TreeNode {
  readonly text: string;
  readonly children: readonly TreeNode[];
}

const leaf = (text: string): TreeNode => ({ text, children: [] });

/** Where joined rows are bounded. Null without differential privacy. */
function contributionText({ contributions, privacy }: Plan): string | null {
  if (contributions === null || privacy.differential === null) return null;
  const { rule, partitions, rowsPerPartition } = contributions;
  const { maxPartitions, maxContributions } = privacy.differential;
  const bound = `a person counts in at most ${maxPartitions} groups, ${maxContributions} joined rows in each`;
  if (rule === 'split') {
    return `${bound}: split between the tables beforehand, for there are many combinations of rows`;
  }
  const onShares = [
    ...(partitions === null ? [] : ['groups']),
    ...(rowsPerPartition === null ? [] : ['rows']),
  ];
  return onShares.length === 0
    ? `${bound}: by what the tables keep`
    : `${bound}: ${onShares.join(' and ')} are cut on shares`;
}

/** Declared rows of a person that take part. */
export const rowsOf = ({ eagerRows, slots }: PlanSide): number => eagerRows ?? slots;

function sideNode(words: PlanWords, side: PlanSide, index: Side): TreeNode {
  const { filter } = side;
  const role = index === 0 ? 'pivot' : 'sender';
  return {
    text: `${role} ${side.party}.${side.table}: room for ${side.capacity} people × ${rowsOf(side)} rows`,
    children: [
      ...(side.eagerRows === null
        ? []
        : [
            leaf(`adds each person's rows up first: ${side.slots} × ${side.capacity} sums to join`),
          ]),
      ...(filter === null
        ? []
        : [leaf(`keeps rows where ${words.condition(side, filter)}; in clear, at ${side.party}`)]),
      ...(side.bounds === null
        ? []
        : [
            leaf(
              `keeps of a person at most ${side.bounds.partitions} of its groups, ` +
                `${side.bounds.rowsPerPartition} rows in each; by row key, at ${side.party}`,
            ),
          ]),
      ...(side.columns.length === 0
        ? []
        : [leaf(`brings ${side.columns.map((name) => words.column(index, name)).join(', ')}`)]),
    ],
  };
}

/** All measures; the buckets of a histogram as one, a wide sum without its low part. */
function measuresText(measures: readonly PlannedMeasure[], words: PlanWords): string {
  const low = new Set(
    measures.flatMap((planned) => (planned.low === null ? [] : planned.low.measure)),
  );
  const texts = measures.flatMap(({ measure, histogram }, m) => {
    if (low.has(m)) return [];
    if (histogram === null) return [words.measure(measure)];
    const buckets = measures.filter((other) => other.histogram === histogram).length;
    const first = measures.findIndex((other) => other.histogram === histogram);
    return first === m ? [`histogram of ${buckets} buckets`] : [];
  });
  return texts.join(', ');
}

/** LOCAL. Labels of a key that are spelled out. */
const LABELS_SHOWN = 8;

/** When a joined row has each label of a key that no party knows. */
function labelNodes({ domain, labels }: MixedKey, words: PlanWords): readonly TreeNode[] {
  const more = labels.length - LABELS_SHOWN;
  const shown = labels.slice(0, LABELS_SHOWN).map((label, i) => {
    const name = domain[i] ?? 'NULL';
    return leaf(label === null ? `${name} else` : `${name} where ${words.pair(label)}; on shares`);
  });
  return more > 0 ? [...shown, leaf(`${more} more labels`)] : shown;
}

/** The plan from the answer down to the tables. */
export function planTree(plan: Plan, policy: Policy, rule: string): TreeNode {
  const { sides, groups, measures, join } = plan;
  const words = wordsOf(plan, policy);
  const hidden = measures.filter(({ released }) => !released).length;
  const keys = groups.map(
    (key) =>
      `${key.side === null ? 'a key over several parties' : words.column(key.side, key.column)} ` +
      `(${key.domain.length} values)`,
  );
  const bounds = contributionText(plan);
  const sums: TreeNode = {
    text: `sums on shares: ${measuresText(measures, words)}`,
    children: [
      ...(bounds === null ? [] : [leaf(bounds)]),
      {
        text: keys.length === 0 ? 'one group' : `${groupCount(plan)} groups: ${keys.join(' × ')}`,
        children: mixedKeys(plan).flatMap((key) => labelNodes(key, words)),
      },
      ...(plan.pair === null
        ? []
        : [leaf(`row combinations where ${words.pair(plan.pair)}; on shares`)]),
      {
        text:
          `join of ${sides.length} by ${join.oprf}, into shares, ` +
          `${join.shards} ${join.shards === 1 ? 'shard' : 'shards'}`,
        children: sides.map((side, i) => sideNode(words, side, i)),
      },
    ],
  };
  const release: TreeNode = {
    text: `release on shares: ${rule}${hidden === 0 ? '' : `; ${hidden} measures stay hidden`}`,
    children: [sums],
  };
  return {
    text: `answer for the analyst: ${plan.output.map(({ name }) => name).join(', ')}`,
    children: [release],
  };
}

/** The tree with lines drawn, one node a line. */
export function treeLines(node: TreeNode): string[] {
  const below = (children: readonly TreeNode[], indent: string): string[] =>
    children.flatMap((child, i) => {
      const last = i === children.length - 1;
      return [
        `${indent}${last ? '└─' : '├─'} ${child.text}`,
        ...below(child.children, `${indent}${last ? '   ' : '│  '}`),
      ];
    });
  return [node.text, ...below(node.children, '')];
}
