import type { ColumnPolicy, Policy } from '../policy/types.ts';
import { groupCount } from '../sql/index.ts';
import type { Plan, PlanSide, Side } from '../sql/plan.ts';

/** A line of the plan and what is below it. */
export interface TreeNode {
  readonly text: string;
  readonly children: readonly TreeNode[];
}

/**
 * A condition or value of a plan, read loosely: the plan's own types say which fields go together,
 * and a kind this page does not know is shown by its name.
 */
interface Loose {
  readonly kind?: string;
  readonly op?: string;
  readonly terms?: readonly Loose[];
  readonly term?: Loose;
  readonly left?: Loose;
  readonly right?: Loose;
  readonly list?: readonly Loose[];
  readonly column?: string;
  readonly value?: string | boolean | null;
  readonly side?: Side;
  readonly index?: number;
}

type ColumnOf = (column: string) => ColumnPolicy | undefined;

/** A coded integer as the column it is compared with writes it. */
function literalText(value: string | boolean | null, column: ColumnPolicy | undefined): string {
  if (typeof value !== 'string' || !/^-?\d+$/.test(value)) return String(value ?? 'NULL');
  switch (column?.type) {
    case 'date': {
      const day = new Date(Number(value) * 86_400_000);
      return Number.isNaN(day.getTime()) ? value : day.toISOString().slice(0, 10);
    }
    case 'text':
      return column.values?.[Number(value)] ?? '(no such value)';
    case 'boolean':
      return value === '0' ? 'false' : 'true';
    case 'decimal':
      return String(Number(value) / 10 ** (column.scale ?? 0));
    default:
      return value;
  }
}

function termText(term: Loose | undefined, columnOf: ColumnOf, against: Loose | undefined): string {
  if (term?.column !== undefined) return term.column;
  if (term?.value === undefined) return `(${term?.op ?? '…'})`;
  const column = against?.column === undefined ? undefined : columnOf(against.column);
  return literalText(term.value, column);
}

function predicateText(node: Loose, columnOf: ColumnOf): string {
  switch (node.kind) {
    case 'and':
    case 'or': {
      const parts = node.terms?.map((part) => predicateText(part, columnOf)) ?? [];
      return `(${parts.join(` ${node.kind.toUpperCase()} `)})`;
    }
    case 'not':
      return `NOT ${predicateText(node.term ?? {}, columnOf)}`;
    case 'compare': {
      const left = termText(node.left, columnOf, node.right);
      return `${left} ${node.op ?? '?'} ${termText(node.right, columnOf, node.left)}`;
    }
    case 'in': {
      const list = node.list?.map((item) => termText(item, columnOf, node.term)) ?? [];
      return `${termText(node.term, columnOf, undefined)} IN (${list.join(', ')})`;
    }
    case 'isNull':
      return `${termText(node.term, columnOf, undefined)} IS NULL`;
    case 'constant':
      return String(node.value ?? 'NULL').toUpperCase();
    default:
      return node.column ?? `(${node.kind ?? 'condition'})`;
  }
}

function columnsOf(policy: Policy, side: PlanSide): ColumnOf {
  const tables = policy.parties.find(({ name }) => name === side.party)?.tables ?? {};
  return (column) => tables[side.table]?.columns[column];
}

function pairText(plan: Plan, policy: Policy, node: Loose): string {
  const nameOf = (side: Side): string => plan.sides[side]!.table;
  if (node.kind === 'and' || node.kind === 'or') {
    const parts = node.terms?.map((part) => pairText(plan, policy, part)) ?? [];
    return `(${parts.join(` ${node.kind.toUpperCase()} `)})`;
  }
  if (node.kind === 'bit' && node.side !== undefined && node.index !== undefined) {
    const side = plan.sides[node.side]!;
    const bit = side.bits[node.index] as Loose | undefined;
    return `${side.table}[${predicateText(bit ?? {}, columnsOf(policy, side))}]`;
  }
  const operand = (of: Loose | undefined): string =>
    `${nameOf(of?.side ?? 0)}.${of?.column ?? '…'}`;
  return `${operand(node.left)} ${node.op ?? '?'} ${operand(node.right)}`;
}

function measureText(plan: Plan, measure: Loose): string {
  const side = measure.side === undefined ? '' : `${plan.sides[measure.side]!.table}.`;
  const of = measure.column === undefined ? '' : `(${side}${measure.column})`;
  return `${measure.kind ?? 'measure'}${of}`;
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

function sideNode(policy: Policy, side: PlanSide, index: Side): TreeNode {
  const columnOf = columnsOf(policy, side);
  const filter = side.filter as Loose | null;
  const role = index === 0 ? 'pivot' : 'sender';
  return {
    text: `${role} ${side.party}.${side.table}: room for ${side.capacity} people × ${side.slots} rows`,
    children: [
      ...(filter === null
        ? []
        : [
            leaf(`keeps rows where ${predicateText(filter, columnOf)}; in clear, at ${side.party}`),
          ]),
      ...(side.bounds === null
        ? []
        : [
            leaf(
              `keeps of a person at most ${side.bounds.partitions} of its groups, ` +
                `${side.bounds.rowsPerPartition} rows in each; by row key, at ${side.party}`,
            ),
          ]),
      ...(side.columns.length === 0 ? [] : [leaf(`brings ${side.columns.join(', ')}`)]),
    ],
  };
}

/** The plan from the answer down to the tables. */
export function planTree(plan: Plan, policy: Policy, rule: string): TreeNode {
  const { sides, groups, measures, join } = plan;
  const hidden = measures.filter(({ released }) => !released).length;
  const keys = groups.map((key) => {
    return `${sides[key.side]!.table}.${key.column} (${key.domain.length} values)`;
  });
  const bounds = contributionText(plan);
  const sums: TreeNode = {
    text: `sums on shares: ${measures.map((m) => measureText(plan, m.measure as Loose)).join(', ')}`,
    children: [
      ...(bounds === null ? [] : [leaf(bounds)]),
      leaf(keys.length === 0 ? 'one group' : `${groupCount(plan)} groups: ${keys.join(' × ')}`),
      ...(plan.pair === null
        ? []
        : [leaf(`row combinations where ${pairText(plan, policy, plan.pair)}; on shares`)]),
      {
        text:
          `join of ${sides.length} by ${join.oprf}, into shares, ` +
          `${join.shards} ${join.shards === 1 ? 'shard' : 'shards'}`,
        children: sides.map((side, i) => sideNode(policy, side, i)),
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
