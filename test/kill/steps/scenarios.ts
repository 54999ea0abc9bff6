import { newQueryId } from '../../../src/client/index.ts';
import type { Scenario } from './cases.ts';
import { ask, prepare } from './cases.ts';

const nothing = async (): Promise<undefined> => undefined;

/** A question's answer is kept by all before the same is asked once more. */
const asked: Scenario['before'] = (room, question) => ask(room, question, newQueryId());

const prepared: Scenario['before'] = (room, question) => prepare(room, question, newQueryId());

const party = { victim: 'shopgood', noise: true } as const;

/** What a role dies in. The party is the pivot; the other one writes the same. */
export const SCENARIOS: readonly Scenario[] = [
  { ...party, name: 'query', before: nothing, act: ask },
  { ...party, name: 'exact', noise: false, before: nothing, act: ask },
  { ...party, name: 'stock', before: prepared, act: ask },
  { ...party, name: 'prepare', before: nothing, act: prepare },
  { ...party, name: 'replay', before: asked, act: ask },
  { name: 'coordinator', victim: 'coordinator', noise: true, before: nothing, act: ask },
  { name: 'coordinator-replay', victim: 'coordinator', noise: true, before: asked, act: ask },
];
