import { expect, ParleyError } from '../core/errors.ts';
import { formatRational, parseRational } from '../core/rational.ts';
import type { Price } from '../dp/index.ts';
import { excessOver, FREE, mostOf } from '../dp/index.ts';
import type {
  Amounts,
  LedgerExtension,
  LedgerStatement,
  SignedGo,
  SignedHead,
  SignedStatement,
} from '../records/index.ts';
import { expectHeadOf, signStatement, verifyStatement } from '../records/index.ts';
import type { PeerNote } from './ledger/index.ts';
import { verifyBetween } from './ledger/index.ts';
import type { PartyContext } from './node.ts';
import type { VettedQuery } from './vet.ts';

// What the parties of a query tell each other of their ledgers, before one of them pays: README.md of
// ledger/. A statement with `ready`, everybody's statements with `reserve`, an extension with the go.

/** What a party said of its ledger, and what it held the others to when it said so. */
export interface StatedLedger {
  readonly statement: SignedStatement;
  /** By party: heads kept of it then. */
  readonly kept: ReadonlyMap<string, readonly SignedHead[]>;
}

type Context = Pick<PartyContext, 'policy' | 'policyDigest' | 'party' | 'keys' | 'ledger'>;

/** Everybody's statement, own one left out, and what follows from them. */
export interface HeardLedgers {
  /** Most that another party reserved for queries with this one, beyond what this one did. */
  readonly missing: Price;
  /** Heads of this party that others keep. */
  readonly keptOfUs: readonly SignedHead[];
}

/** States this ledger's head, the heads kept of the query's other parties, and what is shared with each. */
export function stateLedger(context: Context, query: VettedQuery): StatedLedger {
  const { policy, policyDigest, party, keys, ledger } = context;
  const kept = new Map(
    query.peers.map((peer) => [
      peer.party,
      ledger.peerHeads(peer.party, keyOf(context, peer.party)),
    ]),
  );
  const document: LedgerStatement = {
    version: 1,
    room: policy.room,
    policy_digest: policyDigest,
    query_id: query.submission.query_id,
    party,
    head: ledger.head,
    seen: [...kept].map(([peer, heads]) => ({
      party: peer,
      heads,
      shared: amountsOf(ledger.shared(policyDigest, peer)),
    })),
  };
  return { statement: signStatement(document, keys.identity.privateKey), kept };
}

/**
 * Compares everybody's statement with what is known here: others' memory of this ledger with the
 * ledger, and their heads with the memory of them. Nothing was reserved before it returns.
 *
 * @throws ParleyError GO_INVALID; LEDGER_ROLLED_BACK when this ledger lacks what another has a head
 *   of; LEDGER_FORKED naming a party whose head is behind, or beside, one it signed before.
 */
export function hearLedgers(
  context: Context,
  query: VettedQuery,
  { kept }: StatedLedger,
  statements: readonly SignedStatement[],
): HeardLedgers {
  const { policy, policyDigest, party, ledger } = context;
  let missing = FREE;
  const keptOfUs: SignedHead[] = [];
  for (const { party: peer } of query.peers) {
    const signed = onlyOf(statements, ({ document }) => document.party === peer, peer);
    const { query_id } = query.submission;
    const said = verifyStatement(signed, policy, {
      ...{ policy_digest: policyDigest, query_id, party: peer },
    });
    const memory = onlyOf(said.seen, (seen) => seen.party === party, peer);
    for (const head of memory.heads) {
      expectHeadOf(head, policy, party);
      ledger.expectHolds(head, peer);
      keptOfUs.push(head);
    }
    const { seq, hash } = said.head.document;
    for (const { document: before } of kept.get(peer) ?? []) {
      const same = seq !== before.seq || hash === before.hash;
      if (seq < before.seq || !same) throw forked(peer);
    }
    const excess = excessOver(priceOf(memory.shared), ledger.shared(policyDigest, peer));
    missing = mostOf(missing, excess);
  }
  return { missing, keptOfUs };
}

/** Shows that the ledger after a reservation continues every head that others keep of it. */
export function extendLedger(
  { ledger }: Pick<Context, 'ledger'>,
  keptOfUs: readonly SignedHead[],
): LedgerExtension {
  const { head } = ledger;
  const numbers = new Set(keptOfUs.map(({ document }) => document.seq));
  return { head, proofs: [...numbers].map((from) => ledger.prove(from, head.document.seq)) };
}

/**
 * Checks that every other party's ledger, with its reservation for this run, continues all that is
 * kept of it, and is the one its go names.
 *
 * @returns what to keep of each, before the first message of the run.
 * @throws ParleyError GO_INVALID, LEDGER_FORKED naming the party.
 */
export function hearExtensions(
  { policy }: Pick<Context, 'policy'>,
  query: VettedQuery,
  { kept }: StatedLedger,
  gos: readonly SignedGo[],
  extensions: readonly LedgerExtension[],
): readonly PeerNote[] {
  return query.peers.map(({ party: peer }): PeerNote => {
    const { head, proofs } = onlyOf(extensions, (e) => e.head.document.party === peer, peer);
    const { seq, hash } = expectHeadOf(head, policy, peer);
    const go = gos.find(({ document }) => document.party === peer)?.document;
    if (go?.ledger_seq !== seq || go.ledger_after !== hash) {
      throw new ParleyError('GO_INVALID', 'a go names another ledger head than its party shows', {
        party: peer,
        path: 'ledger_after',
      });
    }
    const former = kept.get(peer) ?? [];
    for (const { document: before } of former) {
      const proof = proofs.find(({ from }) => from === before.seq);
      if (proof === undefined || !verifyBetween(before, { seq, hash }, proof.steps)) {
        throw forked(peer);
      }
    }
    return { head, continues: former.map(({ document }) => document.seq) };
  });
}

function forked(party: string): ParleyError {
  return new ParleyError(
    'LEDGER_FORKED',
    `the ledger of ${party} does not continue the one it signed before`,
    { party, hint: 'its owner has to put the newest copy of its ledger back' },
  );
}

/** The one item that is of a party. @throws ParleyError GO_INVALID naming who should have said it. */
function onlyOf<T>(items: readonly T[], isIt: (item: T) => boolean, speaker: string): T {
  const [only, ...others] = items.filter(isIt);
  if (only !== undefined && others.length === 0) return only;
  throw new ParleyError('GO_INVALID', 'a party does not state its ledger once', { party: speaker });
}

function keyOf({ policy }: Pick<Context, 'policy'>, party: string): string {
  return policy.parties.find(({ name }) => name === party)?.identity_key ?? '';
}

function amountsOf({ epsilon, delta, rho }: Price): Amounts {
  const text = formatRational;
  return { epsilon: text(epsilon), delta: text(delta), rho: text(rho) };
}

function priceOf({ epsilon, delta, rho }: Amounts): Price {
  const read = parseRational;
  return { epsilon: read(epsilon), delta: read(delta), rho: read(rho) };
}

/** The talk of ledgers of one query at one party, from its `ready` to the goes of all. */
export class LedgerTalk {
  readonly #context: Context;
  readonly #query: VettedQuery;
  readonly #stated: StatedLedger;
  #heard: HeardLedgers | null = null;

  constructor(context: Context, query: VettedQuery) {
    this.#context = context;
    this.#query = query;
    this.#stated = stateLedger(context, query);
  }

  get statement(): SignedStatement {
    return this.#stated.statement;
  }

  /** @throws ParleyError as {@link hearLedgers}. */
  hear(statements: readonly SignedStatement[]): void {
    this.#heard = hearLedgers(this.#context, this.#query, this.#stated, statements);
  }

  /** What others reserved with this party and it does not know of. */
  get missing(): Price {
    return this.#known.missing;
  }

  /** After the reservation. */
  extend(): LedgerExtension {
    return extendLedger(this.#context, this.#known.keptOfUs);
  }

  /**
   * Keeps the others' heads, durably, before the first message of the run.
   * @throws ParleyError GO_INVALID, LEDGER_FORKED, STORAGE_FAILED.
   */
  keep(gos: readonly SignedGo[], extensions: readonly LedgerExtension[]): void {
    const notes = hearExtensions(this.#context, this.#query, this.#stated, gos, extensions);
    this.#context.ledger.notePeers(this.#query.submission.query_id, notes);
  }

  get #known(): HeardLedgers {
    expect(this.#heard !== null, 'a party hears of the others before it reserves');
    return this.#heard;
  }
}
