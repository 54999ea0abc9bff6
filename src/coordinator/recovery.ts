import { ParleyError } from '../core/errors.ts';
import type { QueryError } from '../records/index.ts';
import { EPOCHS_MAX, type Report } from '../transport/index.ts';
import type { Audit } from './audit.ts';
import type { PartyHub } from './hub.ts';
import { away, TERMINAL, timeout, type Query } from './query.ts';

export interface RecoveryOptions {
  readonly hub: Pick<PartyHub, 'isConnected' | 'send'>;
  readonly audit: Audit;
  readonly graceMs: number;
  readonly fail: (query: Query, error: QueryError) => void;
  readonly changed: (query: Query) => void;
}

type HeldRuns = Extract<Report, { type: 'held' }>['runs'];

/**
 * Runs that broke off. Everybody stops, whoever was lost may come back, and when all are there the
 * next epoch is announced; else the query fails. What only prepares fails at once: parties keep
 * nothing of it that could be taken up. It only proposes: every party checks for itself
 * that an epoch is higher than any it entered, that it may still resume, and what it resumes from.
 */
export class RecoveryDesk {
  readonly #o: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#o = options;
  }

  /** A party (or, with null, a link) of a running query is lost: stop the others and wait. */
  interrupt(query: Query, lost: string | null): void {
    const { purpose, backend } = query.submission.document;
    // An enclave is started once per session, and what only prepares leaves nothing to take up.
    if (purpose === 'prepare' || backend === 'tee') {
      this.#o.fail(query, lost === null ? broken() : away(lost));
      return;
    }
    if (query.recovery !== null) {
      if (lost !== null) query.recovery.parked.delete(lost);
      return;
    }
    const answered = query.answers.size > 0;
    if (!answered && query.epoch + 1 >= EPOCHS_MAX) {
      this.#o.fail(query, lost === null ? tooOften() : away(lost));
      return;
    }
    const timer = setTimeout(() => this.#late(query), this.#o.graceMs);
    query.recovery = { lost, parked: new Set(), timer };
    const party = lost === null ? {} : { party: lost };
    const { epoch } = query;
    this.#o.audit.write({ event: 'interrupted', query_id: query.id, epoch, ...party });
    // Who has answered proves that all have finished: there is nothing to repeat, only to fetch.
    if (answered) return;
    for (const name of query.parties) {
      if (name !== lost) this.#o.hub.send(name, { type: 'park', query_id: query.id, epoch });
    }
  }

  /** A party has stopped its epoch, on order or because a link broke. */
  parked(query: Query, party: string, epoch: number): void {
    // Of an epoch that is past: it crossed a `resume` on the way.
    if (query.state !== 'running' || epoch !== query.epoch) return;
    if (query.recovery === null) this.interrupt(query, null);
    query.recovery?.parked.add(party);
    this.#tryResume(query);
  }

  /** What a party still has, at the start of its connection. */
  held(party: string, runs: HeldRuns, active: ReadonlyMap<string, Query>): void {
    for (const { query_id } of runs) {
      const query = active.get(query_id);
      const mine = query?.parties.includes(party) === true && !TERMINAL.has(query.state);
      if (!mine) this.#o.hub.send(party, { type: 'over', query_id });
    }
    for (const query of [...active.values()]) {
      const waited = query.parties.includes(party) && !query.answers.has(party);
      // A new connection comes after the loss of the old one, which began a recovery.
      if (!waited || query.state !== 'running' || query.recovery === null) continue;
      const run = runs.find(({ query_id }) => query_id === query.id);
      if (run === undefined || run.epoch > query.epoch) {
        this.#o.fail(query, away(party));
      } else if (!run.answered) {
        query.recovery.parked.add(party);
        this.#tryResume(query);
      }
    }
  }

  close(query: Query): void {
    if (query.recovery !== null) clearTimeout(query.recovery.timer);
    query.recovery = null;
  }

  #tryResume(query: Query): void {
    const { recovery } = query;
    if (recovery === null || !query.parties.every((party) => recovery.parked.has(party))) return;
    this.close(query);
    query.epoch += 1;
    const { id, epoch } = query;
    this.#o.audit.write({ event: 'resumed', query_id: id, epoch });
    this.#o.changed(query);
    for (const party of query.parties) {
      this.#o.hub.send(party, { type: 'resume', query_id: id, epoch });
    }
  }

  #late(query: Query): void {
    if (TERMINAL.has(query.state) || query.recovery === null) return;
    const { lost, parked } = query.recovery;
    const missing = query.parties.filter((party) => !query.answers.has(party));
    const absent = missing.find((party) => !this.#o.hub.isConnected(party));
    const slow = missing.find((party) => !parked.has(party)) ?? lost ?? undefined;
    this.#o.fail(
      query,
      absent === undefined ? timeout('a party did not come back to its run', slow) : away(absent),
    );
  }
}

function tooOften(): QueryError {
  const error = new ParleyError('CHANNEL_CLOSED', 'links between the parties broke too often');
  return error.toJSON();
}

function broken(): QueryError {
  const error = new ParleyError('CHANNEL_CLOSED', 'a link between the parties broke');
  return error.toJSON();
}
