import { calibrate, type Calibration, type ReleaseRule } from './calibrate.ts';

/** LOCAL. Rules remembered: those of the dashboards of a room. */
const RULES_MAX = 32;

const known = new Map<string, Calibration>();

/**
 * `calibrate`, which is pure, remembering the last rules: identical questions are asked often, and
 * tens of milliseconds of exact arithmetic are most of what giving an answer again costs.
 * @throws ParleyError as `calibrate`.
 */
export function calibrateOnce(rule: ReleaseRule): Calibration {
  const text = JSON.stringify(rule);
  const found = known.get(text) ?? calibrate(rule);
  known.delete(text);
  known.set(text, found);
  const [oldest] = known.keys();
  if (known.size > RULES_MAX && oldest !== undefined) known.delete(oldest);
  return found;
}
