// Goal: what parties tell each other of their ledgers catches a ledger that lost entries or was forked,
// at its owner and at the others, and nothing a coordinator can do with it counts.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseDecimal } from '../../src/core/rational.ts';
import { FREE, rhoOf } from '../../src/dp/index.ts';
import {
  extendLedger,
  hearExtensions,
  hearLedgers,
  stateLedger,
  type StatedLedger,
} from '../../src/party/heads.ts';
import { Ledger } from '../../src/party/ledger/index.ts';
import type { PartyContext } from '../../src/party/node.ts';
import type { VettedQuery } from '../../src/party/vet.ts';
import { datasetTerms } from '../../src/policy/index.ts';
import type { LedgerExtension, SignedGo, SignedStatement } from '../../src/records/index.ts';
import { signHead, signStatement } from '../../src/records/index.ts';
import { sampleRoom } from '../policy/samples.ts';

const room = sampleRoom();
const NAMES = ['shopgood', 'newsnow'] as const;
type Name = (typeof NAMES)[number];
const other = (name: Name): Name => (name === 'shopgood' ? 'newsnow' : 'shopgood');

let dir = '';
const ledgers = new Map<Name, Ledger>();
let count = 0;

const ownerOf = (party: Name) => ({
  room: room.policy.room,
  party,
  shared: false,
  identity: room.parties[party]!.identity,
});
const folderOf = (party: Name): string => join(dir, party);
const open = (party: Name): void => {
  ledgers.set(party, Ledger.open(folderOf(party), ownerOf(party)));
};
const close = (party: Name): void => ledgers.get(party)!.close();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-heads-'));
  count = 0;
  for (const party of NAMES) open(party);
});
afterEach(() => {
  for (const party of NAMES) close(party);
  rmSync(dir, { recursive: true });
});

const contextOf = (party: Name): PartyContext =>
  ({
    policy: room.policy,
    policyDigest: room.digest,
    party,
    keys: room.parties[party]!,
    ledger: ledgers.get(party)!,
  }) as unknown as PartyContext;

const queryOf = (party: Name, id: string): VettedQuery =>
  ({
    submission: { query_id: id },
    peers: [{ party: other(party), side: 0 }],
  }) as unknown as VettedQuery;

const newId = (): string => `query-${`${(count += 1)}`.padStart(12, '0')}`;

function reserve(party: Name, id: string): { seq: number; after: string } {
  return ledgers.get(party)!.reserve(
    {
      queryId: id,
      planDigest: 'a'.repeat(64),
      policyDigest: room.digest,
      peers: [other(party)],
      dataset: 'c'.repeat(64),
      charges: datasetTerms(room.policy, party),
      epsilon: parseDecimal('0.1'),
      delta: parseDecimal('1e-8'),
      rho: rhoOf([parseDecimal('0.1')]),
    },
    { limits: null, missing: FREE },
  );
}

/** One query's talk at one party, in steps that can be given in any order with others. */
function talk(party: Name, id: string) {
  const context = contextOf(party);
  const query = queryOf(party, id);
  const stated: StatedLedger = stateLedger(context, query);
  return {
    stated,
    hear: (statements: readonly SignedStatement[]) =>
      hearLedgers(context, query, stated, statements),
    reserve: (heard: ReturnType<typeof hearLedgers>) => {
      const heads = reserve(party, id);
      const document = { party, ledger_seq: heads.seq, ledger_after: heads.after };
      const go = { document, signature: '' } as unknown as SignedGo;
      return { go, extension: extendLedger(context, heard.keptOfUs) };
    },
    begin: (gos: readonly SignedGo[], extensions: readonly LedgerExtension[]) => {
      const notes = hearExtensions(context, query, stated, gos, extensions);
      ledgers.get(party)!.notePeers(id, notes);
    },
  };
}

/** A whole query, as honest parties talk. */
function run(id = newId()): void {
  const [a, b] = NAMES.map((party) => talk(party, id)) as [ReturnType<typeof talk>, never];
  const both = [a, b] as readonly ReturnType<typeof talk>[];
  const statements = both.map(({ stated }) => stated.statement);
  const heard = both.map((t) => t.hear(statements));
  const went = both.map((t, i) => t.reserve(heard[i]!));
  for (const t of both) {
    t.begin(
      went.map(({ go }) => go),
      went.map(({ extension }) => extension),
    );
  }
}

/** Puts an older copy of a ledger's folder back. */
function rollBack(party: Name, copy: string): void {
  close(party);
  rmSync(folderOf(party), { recursive: true });
  cpSync(copy, folderOf(party), { recursive: true });
  open(party);
}
function copyOf(party: Name): string {
  const copy = join(dir, `copy-of-${party}`);
  cpSync(folderOf(party), copy, { recursive: true });
  rmSync(join(copy, 'ledger.lock'), { force: true });
  return copy;
}

const code = (name: string, party?: string): unknown =>
  expect.objectContaining({
    code: name,
    ...(party === undefined ? {} : { detail: expect.objectContaining({ party }) as unknown }),
  });

it('lets honest ledgers run, query after query, through restarts', () => {
  for (let i = 0; i < 5; i += 1) {
    run();
    close('newsnow');
    open('newsnow');
  }
  const kept = ledgers
    .get('shopgood')!
    .peerHeads('newsnow', room.parties['newsnow']!.identity.publicKey);
  // Shown to continue those before, only the newest is kept.
  expect(kept).toHaveLength(1);
});

it('notices a ledger copied back from two queries ago, at its owner and at the other', () => {
  run();
  const copy = copyOf('shopgood');
  run();
  run();
  rollBack('shopgood', copy);
  const id = newId();
  const [owner, peer] = [talk('shopgood', id), talk('newsnow', id)];
  const statements = [owner.stated.statement, peer.stated.statement];
  expect(() => owner.hear(statements)).toThrow(code('LEDGER_ROLLED_BACK'));
  expect(() => peer.hear(statements)).toThrow(code('LEDGER_FORKED', 'shopgood'));
  // The owner keeps to it, before anything is reserved.
  expect(() => reserve('shopgood', newId())).toThrow(code('LEDGER_ROLLED_BACK'));
});

it('notices a fork that has grown longer, at its owner and at the other', () => {
  run();
  const copy = copyOf('shopgood');
  run();
  rollBack('shopgood', copy);
  for (let i = 0; i < 5; i += 1) reserve('shopgood', newId());
  const id = newId();
  const [owner, peer] = [talk('shopgood', id), talk('newsnow', id)];
  const statements = [owner.stated.statement, peer.stated.statement];
  expect(() => owner.hear(statements)).toThrow(code('LEDGER_ROLLED_BACK'));
  // Its length says nothing; that it shows no way from the kept head does, before the first message.
  const heard = peer.hear(statements);
  const own = peer.reserve(heard);
  const { head } = ledgers.get('shopgood')!;
  const go = {
    document: {
      party: 'shopgood',
      ledger_seq: head.document.seq,
      ledger_after: head.document.hash,
    },
  } as unknown as SignedGo;
  const kept = statements[1]!.document.seen[0]!.heads;
  const proofs = kept.map((k) => ledgers.get('shopgood')!.prove(k.document.seq, head.document.seq));
  for (const shown of [proofs, []]) {
    expect(() => peer.begin([own.go, go], [own.extension, { head, proofs: shown }])).toThrow(
      code('LEDGER_FORKED', 'shopgood'),
    );
  }
});

it('runs several queries at once, whose goes come in another order than they were reserved', () => {
  run();
  const ids = [newId(), newId(), newId()];
  const talks = ids.map((id) => NAMES.map((party) => talk(party, id)));
  const heard = talks.map((both) =>
    both.map((t) => t.hear(both.map(({ stated }) => stated.statement))),
  );
  // The parties reserve in opposite orders, and begin in a third.
  const went = talks.map((): { go: SignedGo; extension: LedgerExtension }[] => []);
  for (const i of [0, 1, 2]) went[i]![0] = talks[i]![0]!.reserve(heard[i]![0]!);
  for (const i of [2, 1, 0]) went[i]![1] = talks[i]![1]!.reserve(heard[i]![1]!);
  for (const i of [1, 2, 0]) {
    for (const t of talks[i]!) {
      t.begin(
        went[i]!.map(({ go }) => go),
        went[i]!.map(({ extension }) => extension),
      );
    }
  }
  const key = room.parties['newsnow']!.identity.publicKey;
  expect(ledgers.get('shopgood')!.peerHeads('newsnow', key)).toHaveLength(3);
  // The next query shows all three in one chain.
  run();
  expect(ledgers.get('shopgood')!.peerHeads('newsnow', key)).toHaveLength(1);
});

it('counts what the other reserved and this one did not: the maximum holds', () => {
  run();
  const lost = newId();
  reserve('newsnow', lost);
  const id = newId();
  const [a, b] = [talk('shopgood', id), talk('newsnow', id)];
  const statements = [a.stated.statement, b.stated.statement];
  expect(a.hear(statements).missing).toEqual({
    epsilon: parseDecimal('0.1'),
    delta: parseDecimal('1e-8'),
    rho: rhoOf([parseDecimal('0.1')]),
  });
  expect(b.hear(statements).missing).toEqual(FREE);
});

it.each<[string, (own: SignedStatement, peer: SignedStatement) => readonly SignedStatement[]]>([
  ['nothing', () => []],
  ['its own statement for the other', (own) => [own]],
  ['one twice', (own, peer) => [own, peer, peer]],
  ['one of another query', (own) => [own, talk('newsnow', newId()).stated.statement]],
  [
    'an edited one',
    (own, { document, signature }) => [own, { document: { ...document, seen: [] }, signature }],
  ],
  [
    'one that forgets this party',
    (own, { document }) => [
      own,
      signStatement({ ...document, seen: [] }, room.parties['newsnow']!.identity.privateKey),
    ],
  ],
  ['a head this party never signed', (own, { document }) => [own, withHeads(document, 'newsnow')]],
])('does not believe a coordinator that passes on %s', (_, edit) => {
  run();
  const id = newId();
  const [a, b] = [talk('shopgood', id), talk('newsnow', id)];
  expect(() => a.hear(edit(a.stated.statement, b.stated.statement))).toThrow(
    code('GO_INVALID', _.includes('never signed') ? 'shopgood' : 'newsnow'),
  );
  // And nothing of it closes the ledger.
  reserve('shopgood', newId());
});

/** A statement that keeps a head of shopgood, signed by somebody else. */
function withHeads(document: SignedStatement['document'], forger: Name): SignedStatement {
  const { identity } = room.parties[forger]!;
  const { identity: real } = room.parties['shopgood']!;
  const names = { room: room.policy.room, party: 'shopgood', identity_key: real.publicKey };
  const head = signHead(
    { version: 1, ...names, seq: 99, hash: 'f'.repeat(64) },
    identity.privateKey,
  );
  const seen = document.seen.map((memory) => ({ ...memory, heads: [head] }));
  return signStatement({ ...document, seen }, identity.privateKey);
}

it('refuses a go that names another head than its party shows', () => {
  run();
  const id = newId();
  const both = NAMES.map((party) => talk(party, id));
  const statements = both.map(({ stated }) => stated.statement);
  const went = both.map((t) => t.reserve(t.hear(statements)));
  const { go } = went[1]!;
  const edited = { ...go, document: { ...go.document, ledger_after: 'e'.repeat(64) } };
  const extensions = went.map(({ extension }) => extension);
  expect(() => both[0]!.begin([went[0]!.go, edited], extensions)).toThrow(
    code('GO_INVALID', 'newsnow'),
  );
});
