import { amountText } from '../client/index.ts';
import {
  alike,
  columnText,
  errorTitle,
  explanationDocument,
  neededDocument,
  node,
  priceNode,
  targetText,
  visibleText,
} from './format.ts';
import { powerText, type NoisedPart, type PrivacyExplanation } from './privacy.ts';
import { treeLines, type TreeNode } from './tree.ts';

function partText({ what, released, epsilon, sensitivity, halfWidth }: NoisedPart): string {
  const hidden = released ? '' : ', never opened: it decides which groups open';
  return (
    `${what}: epsilon ${amountText(epsilon, 'up')}, one person changes it by ${sensitivity} at most, ` +
    `± ${halfWidth}${hidden}`
  );
}

function noiseNodes({ parts, delta, bounds }: PrivacyExplanation): readonly TreeNode[] {
  if (delta === null || bounds === null) return [];
  const { selection, truncation, quantisation } = delta;
  const limits = [
    `a person counts in at most ${bounds.partitions} groups (L0), ` +
      `with at most ${bounds.contributions} joined rows in each (C)`,
    `delta is made of: which groups open ${powerText(selection)}, ends of the noise ` +
      `${powerText(truncation)}, rounding of its thresholds ${powerText(quantisation)}, at most`,
  ];
  return [
    node('noise, in units of the column’s last digit', parts.map(partText)),
    node('bounds', limits),
  ];
}

/** The privacy of a question for a person. Ends in a line end. */
export function formatPrivacy(privacy: PrivacyExplanation): string {
  const { explanation, promise, needed } = privacy;
  const { groups, columns, confidenceLevel, learns } = explanation;
  const sections: readonly TreeNode[] = [
    node('promise', promise),
    priceNode(explanation),
    ...noiseNodes(privacy),
    node(errorTitle(confidenceLevel), columns.map(columnText)),
    node('groups', [visibleText(groups)]),
    ...(needed === null ? [] : [node('what a wanted error takes', [targetText(needed)])]),
    { text: 'who learns what', children: alike(learns) },
  ];
  return [
    `room ${explanation.room}, policy ${explanation.policyDigest}`,
    `plan ${explanation.planDigest}`,
    ...sections.flatMap((section) => ['', ...treeLines(section)]),
    '',
  ].join('\n');
}

export function privacyDocument(privacy: PrivacyExplanation): object {
  const { explanation, promise, parts, delta, bounds, needed } = privacy;
  const whole = Object.entries(explanationDocument(explanation));
  return {
    ...Object.fromEntries(whole.filter(([name]) => name !== 'cost' && name !== 'plan')),
    promise,
    noise: parts.map((part) => ({
      what: part.what,
      released: part.released,
      epsilon: part.epsilon,
      sensitivity: part.sensitivity,
      bits: part.bits,
      half_width: part.halfWidth,
    })),
    delta_parts: delta,
    bounds: bounds && {
      max_partitions_contributed: bounds.partitions,
      max_contributions_per_partition: bounds.contributions,
    },
    needed: needed && neededDocument(needed),
  };
}
