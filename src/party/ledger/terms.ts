import { ParleyError } from '../../core/errors.ts';
import { boundPath, type DatasetTerms } from '../../policy/index.ts';
import type { TermsEntry } from './entry.ts';
import type { Tally } from './tally.ts';

/** What a policy says of datasets, as the ledger is asked about it. */
export interface TermsOfPolicy {
  readonly datasets: readonly DatasetTerms[];
  /** Of the party in the policy, for paths. */
  readonly partyIndex: number;
  /** Whether a new epoch may begin a new budget. */
  readonly refresh: 'none' | 'new_data_epoch';
}

const HINT = {
  bound: 'a budget is spent under the bounds it began with; name a new data_epoch, on new data',
  epoch: 'rules.differential_privacy.budget_refresh: new_data_epoch allows one, signed by all',
} as const;

function refuse(path: string, what: string, hint: string): never {
  throw new ParleyError('POLICY_OUT_OF_RANGE', `a policy value ${what}`, { path, hint });
}

/**
 * Refuses a policy that would change what was promised about data that has spent of its budget:
 * other bounds, other tables, or a new epoch that nobody allowed. Columns may be left out or added.
 * @throws ParleyError POLICY_OUT_OF_RANGE with the field's path.
 */
export function expectTerms(tally: Tally, { datasets, partyIndex, refresh }: TermsOfPolicy): void {
  for (const named of datasets) {
    const { dataset, epoch, path } = named;
    const epochs = tally.epochsOf(dataset);
    if (epochs.length === 0) continue;
    if (!epochs.includes(epoch)) {
      if (refresh === 'none') {
        refuse(
          `${path}.data_epoch`,
          'names a new epoch, and the budget has no refresh',
          HINT.epoch,
        );
      }
      continue;
    }
    const { terms } = tally.account(named);
    if (terms !== null) expectSame(terms, named, partyIndex);
  }
}

function expectSame(
  known: Pick<TermsEntry, 'tables' | 'bounds'>,
  { tables, bounds, path }: DatasetTerms,
  partyIndex: number,
): void {
  const changed = 'changes a bound of data that has spent of its budget';
  const off = 'rules.differential_privacy';
  if (known.bounds[off] !== bounds[off]) refuse(off, changed, HINT.bound);
  // Without noise there are no bounds to keep.
  if (bounds[off] === 'off') return;
  const [gone] = known.tables.filter((table) => !tables.includes(table));
  const [added] = tables.filter((table) => !known.tables.includes(table));
  if (added !== undefined) refuse(`parties.${partyIndex}.tables.${added}`, changed, HINT.bound);
  if (gone !== undefined) refuse(path, changed, HINT.bound);
  for (const [bound, value] of Object.entries(bounds)) {
    const before = known.bounds[bound];
    const newColumn = before === undefined && bound.includes('.columns.');
    if (before === value || (newColumn && !hasColumn(known.bounds, bound))) continue;
    refuse(boundPath(partyIndex, bound), changed, HINT.bound);
  }
  for (const bound of Object.keys(known.bounds)) {
    if (bound in bounds || (bound.includes('.columns.') && !hasColumn(bounds, bound))) continue;
    refuse(boundPath(partyIndex, bound), changed, HINT.bound);
  }
}

/** True when these bounds have anything of the column that a bound is of. */
function hasColumn(bounds: Readonly<Record<string, string>>, bound: string): boolean {
  const column = bound.slice(0, bound.lastIndexOf('.') + 1);
  return Object.keys(bounds).some((other) => other.startsWith(column));
}

/** Terms to enter before the first reservation under them; null when those entered say all. */
export function termsToEnter(
  tally: Tally,
  { dataset, epoch, tables, bounds }: DatasetTerms,
): Omit<TermsEntry, 'seq'> | null {
  const known = tally.account({ dataset, epoch }).terms;
  const all = { ...known?.bounds, ...bounds };
  const said = known !== null && Object.keys(all).length === Object.keys(known.bounds).length;
  if (said) return null;
  return { kind: 'terms', dataset, epoch, tables: [...tables], bounds: all };
}
