import {
  amountsText,
  amountText,
  budgetName,
  questionsText,
  touchedDocument,
} from '../client/index.ts';
import { decimalText, mul, parseDecimal, rational } from '../core/rational.ts';
import type { BudgetView, Explanation } from './explain.ts';
import type { EpsilonNeeded } from './inverse.ts';
import { treeLines, type TreeNode } from './tree.ts';
import type { ExpectedColumn } from './visible.ts';

/** Bytes for a person, in powers of ten. */
function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]!}`;
}

const leaf = (text: string): TreeNode => ({ text, children: [] });
export const node = (text: string, children: readonly string[]): TreeNode => ({
  text,
  children: children.map(leaf),
});

export function columnText(column: ExpectedColumn): string {
  const { name, role, noised, halfWidth, relativePercent, assumesPeople } = column;
  if (role === 'group') return `${name}: a label, exact`;
  if (!noised) return `${name}: exact`;
  if (halfWidth === null) {
    const of = assumesPeople === null ? '' : ` for a group of ${assumesPeople} people; it varies`;
    return `${name}: noised, no interval${of}`;
  }
  const share = relativePercent === null ? '' : ` (${relativePercent}% of it)`;
  return assumesPeople === null
    ? `${name}: ± ${halfWidth}${share}`
    : `${name}: ± ${halfWidth}, for a group of ${assumesPeople} people${share}; it varies`;
}

/** The level rounded down: it is never said to be surer than it is. */
export function errorTitle(confidenceLevel: string): string {
  const percent = mul(rational(100n), parseDecimal(confidenceLevel));
  return `expected error, at ${decimalText(percent, 'down').text}% confidence`;
}

/** The smallest group that one is likely to see, and what is promised of smaller ones. */
export function visibleText({ smallestVisible, minUsers, belowK }: Explanation['groups']): string {
  const below =
    belowK === null
      ? `none below ${minUsers} ever is`
      : `one below ${minUsers} is with a chance of at most ${amountText(belowK, 'up')}`;
  return `the smallest likely to be visible has ${smallestVisible} people; ${below}`;
}

/** The price, the budgets it is charged to, and what they have left after it. */
export function priceNode({ price, budget }: Explanation): TreeNode {
  if (price === null || budget === null) {
    return leaf('price: none; NO DIFFERENTIAL PRIVACY in this room');
  }
  const { epsilon, rho, delta } = price;
  const zcdp =
    rho === null
      ? []
      : [
          `rho ${amountText(rho, 'up')}, which is what this room's budget counts (zCDP); ` +
            'epsilon and delta are what this answer alone promises',
        ];
  return node('price', [
    `epsilon ${amountText(epsilon, 'up')}`,
    `delta ${amountText(delta, 'up')}`,
    ...zcdp,
    `charged to ${budget.datasets.map(budgetName).join('; ')}`,
    ...budgetLines(budget),
  ]);
}

function budgetLines(budget: BudgetView): readonly string[] {
  const { binds, datasets, leftAfter, fits, wholeFits, rho, epsilon } = budget;
  const whole = `an untouched budget takes ${questionsText(wholeFits)} like this one`;
  const limit = rho === null ? epsilon : `rho ${rho}`;
  if (binds === null) {
    const unknown = `budget left after: not known here, of ${limit} in all; every answer states it`;
    return [unknown, whole];
  }
  if (budget.affordable === false) {
    const left = datasets.find((d) => d.dataset === binds.dataset && d.party === binds.party)?.left;
    const rest = left?.[binds.amount] ?? '0';
    return [
      `BUDGET EXHAUSTED: ${binds.amount} ${amountText(rest, 'down')} is left of ${budgetName(binds)}`,
      whole,
    ];
  }
  if (leftAfter === null || fits === null) {
    const unstated = datasets.filter(({ left }) => left === null).map(budgetName);
    const unknown = `that answer says nothing of ${unstated.join('; ')}`;
    return [`budget left after: not known here: ${unknown}`, whole];
  }
  return [
    `budget left after: ${amountsText(leftAfter, 'down')}, if nobody asks before`,
    `${questionsText(fits)} like this one ${fits === '1' ? 'fits' : 'fit'}, this one counted; ` +
      `${budgetName(binds)} binds, by its ${binds.amount}`,
  ];
}

function costNode({ cost }: Explanation): TreeNode {
  if (cost === null) return leaf('cost: not rehearsed');
  return node('expected cost (rehearsed on this machine; import and local stage not counted)', [
    `${bytesText(cost.totalBytes)} in all: ` +
      cost.bytes.map(({ party, bytes }) => `${party} sends ${bytesText(bytes)}`).join(', '),
    'CPU of one core: ' +
      cost.cpuSeconds.map(({ party, seconds }) => `${party} ${seconds} s`).join(', '),
  ]);
}

const PERMITS = {
  any: 'any question of an analyst of this room runs',
  templates: 'this room runs templates of its policy, nothing else',
  approved: 'runs once every company of the plan has approved it: parley approve',
} as const;

/** Roles that learn the same stand on one line. */
export function alike(roles: Explanation['learns']): readonly TreeNode[] {
  const byLines = new Map<string, string[]>();
  for (const { role, learns, never } of roles) {
    const lines = [...learns.map((l) => `learns ${l}`), ...never.map((n) => `never ${n}`)];
    const key = lines.join('\n');
    byLines.set(key, [...(byLines.get(key) ?? []), role]);
  }
  return [...byLines].map(([lines, names]) => node(names.join(', '), lines.split('\n')));
}

/** The explanation for a person. Ends in a line end. */
export function formatExplanation(explanation: Explanation): string {
  const { groups, columns, confidenceLevel, learns } = explanation;
  const sections: readonly TreeNode[] = [
    explanation.tree,
    priceNode(explanation),
    node(errorTitle(confidenceLevel), columns.map(columnText)),
    node('groups', [`${groups.count} in the declared domain`, visibleText(groups)]),
    node('promise', explanation.promise),
    costNode(explanation),
    {
      text: 'who learns what',
      children: alike(learns),
    },
  ];
  return [
    `room ${explanation.room}, policy ${explanation.policyDigest}`,
    `plan ${explanation.planDigest}`,
    `${PERMITS[explanation.queries]}; explaining costs nothing and tells nobody`,
    ...sections.flatMap((section) => ['', ...treeLines(section)]),
    '',
  ].join('\n');
}

function columnDocument(column: ExpectedColumn): object {
  return {
    name: column.name,
    type: column.type,
    role: column.role,
    noised: column.noised,
    half_width: column.halfWidth,
    relative_percent: column.relativePercent,
    assumes_people: column.assumesPeople,
  };
}

/** The explanation for a program: plain JSON. */
export function explanationDocument(e: Explanation): object {
  const { budget, cost, groups } = e;
  return {
    room: e.room,
    policy_digest: e.policyDigest,
    plan_digest: e.planDigest,
    queries: e.queries,
    plan: e.tree,
    price: e.price,
    budget: budget && {
      accounting: budget.accounting,
      epsilon: budget.epsilon,
      rho: budget.rho,
      delta: budget.delta,
      whole_fits: budget.wholeFits,
      datasets: budget.datasets.map(touchedDocument),
      left_before: budget.leftBefore,
      left_after: budget.leftAfter,
      fits: budget.fits,
      binds: budget.binds,
      affordable: budget.affordable,
    },
    confidence_level: e.confidenceLevel,
    columns: e.columns.map(columnDocument),
    groups: {
      count: groups.count,
      min_users: groups.minUsers,
      selection: groups.selection,
      below_k: groups.belowK,
      tau: groups.tau,
      smallest_likely_visible: groups.smallestVisible,
    },
    cost: cost && {
      bytes: Object.fromEntries(cost.bytes.map(({ party, bytes }) => [party, bytes])),
      total_bytes: cost.totalBytes,
      cpu_seconds: Object.fromEntries(cost.cpuSeconds.map((c) => [c.party, c.seconds])),
      shards: cost.shards,
      shard_users: cost.shardUsers,
    },
    learns: e.learns,
    promise: e.promise,
  };
}

/** The inverse question's answer in one line. */
export function targetText({ epsilon, targetPercent, groupSize }: EpsilonNeeded): string {
  return epsilon === null
    ? `no epsilon that the policy allows gives ${targetPercent}% in a group of ${groupSize} people`
    : `epsilon ${epsilon} gives ${targetPercent}% or better in a group of ${groupSize} people`;
}

/** The inverse question's answer for a person. Ends in a line end. */
export function formatNeeded(needed: EpsilonNeeded): string {
  const { epsilon, columns, smallestVisible } = needed;
  const title = targetText(needed);
  const lines = [
    ...columns.map(columnText),
    `the smallest group likely to be visible has ${smallestVisible} people`,
  ];
  const at = epsilon === null ? 'at the most a query may spend' : 'at that epsilon';
  return `${treeLines({ text: title, children: [node(at, lines)] }).join('\n')}\n`;
}

export function neededDocument(needed: EpsilonNeeded): object {
  return {
    target_percent: needed.targetPercent,
    group_size: needed.groupSize,
    epsilon: needed.epsilon,
    columns: needed.columns.map(columnDocument),
    smallest_likely_visible: needed.smallestVisible,
  };
}
