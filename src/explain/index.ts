/** A question before it is asked; see README.md. */
export { forecastCost } from './cost.ts';
export type { CostForecast } from './cost.ts';
export { explainQuery } from './explain.ts';
export type { BudgetView, Explanation, ExplainOptions } from './explain.ts';
export { explanationDocument, formatExplanation, formatNeeded, neededDocument } from './format.ts';
export { formatPrivacy, privacyDocument } from './format-privacy.ts';
export { epsilonNeeded } from './inverse.ts';
export type { EpsilonNeeded } from './inverse.ts';
export { explainPrivacy } from './privacy.ts';
export type { NoisedPart, PrivacyExplanation } from './privacy.ts';
export { treeLines } from './tree.ts';
export type { TreeNode } from './tree.ts';
export { smallestVisible } from './visible.ts';
export type { ExpectedColumn } from './visible.ts';
