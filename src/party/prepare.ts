import { asParleyError, expect, ParleyError } from '../core/errors.ts';
import type { SignedGo } from '../records/index.ts';
import type { Link } from '../transport/index.ts';
import { sessionWith, signOwnGo } from './consent.ts';
import type { PreparedReport } from './control.ts';
import { bytesSent, openLinks, settingOf } from './epoch.ts';
import type { PartyContext } from './node.ts';
import { agreeOnAll } from './run/runner.ts';
import { prepareRun, type Stock } from './stock/index.ts';
import type { VettedQuery } from './vet.ts';

/**
 * One submission whose purpose is to prepare, at one party: the steps of a query, each taken once and in
 * order, without charge, table or answer. It has one epoch and leaves nothing but a batch of stock that
 * every party has: interrupted, it is over, since there is nothing in it worth taking up again.
 */
export class PrepareSession {
  readonly #context: PartyContext;
  readonly #stock: Stock;
  readonly query: VettedQuery;
  readonly #stop = new AbortController();
  #state: 'vetted' | 'reserved' | 'running' | 'over' = 'vetted';
  #go: SignedGo | null = null;

  /** @throws ParleyError STOCK_OFF at a node that keeps none. */
  constructor(context: PartyContext, query: VettedQuery) {
    if (context.stock === null) {
      throw new ParleyError('STOCK_OFF', 'a party of this query prepares nothing ahead');
    }
    this.#context = context;
    this.#stock = context.stock;
    this.query = query;
  }

  get state(): 'vetted' | 'reserved' | 'running' | 'over' {
    return this.#state;
  }

  /** Consents; nothing is charged, so the ledger stays as it is. */
  reserve(): SignedGo {
    this.#step('vetted', 'reserved');
    const { seq, hash } = this.#context.ledger.head.document;
    this.#go = signOwnGo(this.#context, this.query, { before: hash, after: hash, seq });
    return this.#go;
  }

  /**
   * Takes everybody's goes and makes the batch with all other parties.
   * @throws ParleyError GO_INVALID, CANCELLED, and what links, protocols and stock throw.
   */
  async begin(gos: readonly SignedGo[]): Promise<PreparedReport> {
    this.#step('reserved', 'running');
    const [context, query, own] = [this.#context, this.query, this.#go];
    expect(own !== null, 'a reserved session has its go');
    const session = sessionWith(context, query, gos, own);
    const epoch = { session, epoch: 0, signal: this.#stop.signal };
    let links: readonly (Link | null)[] = [];
    try {
      links = await openLinks(context, query, epoch);
      const { party, log } = context;
      const { query_id } = query.submission;
      const began = performance.now();
      const run = settingOf(context, query, epoch, links);
      await agreeOnAll(run);
      const made = await prepareRun(run, this.#stock, party);
      const spent = { ms: Math.round(performance.now() - began), bytes_sent: bytesSent(links) };
      log.info({ query_id, batch: made.batch, stock_bytes: made.bytes, ...spent }, 'prepared');
      return { type: 'prepared', query_id };
    } catch (error) {
      for (const link of links) link?.abort(asParleyError(error).code);
      throw error;
    } finally {
      await Promise.all(links.map(async (link) => link?.close()));
      this.#state = 'over';
    }
  }

  /** Stops it for good. */
  cancel(): void {
    this.#state = 'over';
    this.#stop.abort();
  }

  #step(from: 'vetted' | 'reserved', to: 'reserved' | 'running'): void {
    if (this.#state !== from) {
      throw new ParleyError('FRAME_MALFORMED', 'the coordinator sent a step out of order');
    }
    this.#state = to;
  }
}
