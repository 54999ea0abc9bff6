import type { Rational } from '../../core/rational.ts';
import { mul, parseRational, rational } from '../../core/rational.ts';
import type { Price } from '../../dp/index.ts';
import { addPrices, FREE } from '../../dp/index.ts';
import type { DatasetEpoch } from '../../policy/index.ts';
import type { ReserveEntry, TermsEntry } from './entry.ts';

/** What a ledger says of one dataset in one epoch. */
export interface DatasetAccount extends DatasetEpoch {
  readonly spent: Price;
  readonly queries: number;
  /** Under what terms it spends; null before its first reservation. */
  readonly terms: Pick<TermsEntry, 'tables' | 'bounds'> | null;
}

/** Reservations that differ in nothing that is added up. */
interface Alike {
  readonly entry: ReserveEntry;
  count: number;
}

/**
 * The sums of a ledger: what every dataset has spent in every epoch, over all rooms and analysts,
 * and what was reserved under a policy for queries with each other party.
 *
 * Entries are first counted, and added when a sum is asked for: a million rows of a few prices are
 * a few additions.
 */
export class Tally {
  readonly #waiting = new Map<string, Alike>();
  readonly #accounts = new Map<string, Map<string, DatasetAccount>>();
  readonly #shared = new Map<string, Price>();

  reserve(entry: ReserveEntry): void {
    const { policy_digest: policy, peers, charges, epsilon, delta, rho } = entry;
    let key = `${policy} ${epsilon} ${delta} ${rho}`;
    for (const peer of peers) key += ` ${peer}`;
    for (const { dataset, epoch } of charges) key += `\n${dataset}\t${epoch}`;
    const alike = this.#waiting.get(key);
    if (alike === undefined) this.#waiting.set(key, { entry, count: 1 });
    else alike.count += 1;
  }

  terms({ dataset, epoch, tables, bounds }: TermsEntry): void {
    this.#put({ ...this.#account(dataset, epoch), terms: { tables, bounds } });
  }

  account({ dataset, epoch }: DatasetEpoch): DatasetAccount {
    this.#settle();
    return this.#account(dataset, epoch);
  }

  /** Every epoch of a dataset that anything was reserved in. */
  epochsOf(dataset: string): readonly string[] {
    this.#settle();
    const epochs = [...(this.#accounts.get(dataset)?.values() ?? [])];
    return epochs.filter(({ queries }) => queries > 0).map(({ epoch }) => epoch);
  }

  accounts(): readonly DatasetAccount[] {
    this.#settle();
    return [...this.#accounts.values()].flatMap((epochs) => [...epochs.values()]);
  }

  /** Reserved under a policy for queries in which that party takes part. */
  shared(policyDigest: string, peer: string): Price {
    this.#settle();
    return this.#shared.get(`${policyDigest} ${peer}`) ?? FREE;
  }

  #account(dataset: string, epoch: string): DatasetAccount {
    const known = this.#accounts.get(dataset)?.get(epoch);
    return known ?? { dataset, epoch, spent: FREE, queries: 0, terms: null };
  }

  #put(account: DatasetAccount): void {
    const epochs = this.#accounts.get(account.dataset) ?? new Map<string, DatasetAccount>();
    epochs.set(account.epoch, account);
    this.#accounts.set(account.dataset, epochs);
  }

  #settle(): void {
    for (const { entry, count } of this.#waiting.values()) {
      const price = timesPrice(entry, count);
      for (const { dataset, epoch } of entry.charges) {
        const known = this.#account(dataset, epoch);
        const spent = addPrices(known.spent, price);
        this.#put({ ...known, spent, queries: known.queries + count });
      }
      for (const peer of entry.peers) {
        const key = `${entry.policy_digest} ${peer}`;
        this.#shared.set(key, addPrices(this.#shared.get(key) ?? FREE, price));
      }
    }
    this.#waiting.clear();
  }
}

function timesPrice({ epsilon, delta, rho }: ReserveEntry, count: number): Price {
  const times = (amount: string): Rational => mul(parseRational(amount), rational(BigInt(count)));
  return { epsilon: times(epsilon), delta: times(delta), rho: times(rho) };
}
