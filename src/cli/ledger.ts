import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { amountText } from '../client/index.ts';
import { formatRational, sub, type Rational } from '../core/rational.ts';
import type { Limits } from '../dp/index.ts';
import { limitsOf, guaranteeOf } from '../dp/index.ts';
// The folder itself: the whole room would load the database engine.
import type { DatasetAccount, Entry, LedgerReport } from '../party/ledger/index.ts';
import { readLedger } from '../party/ledger/index.ts';
import { parseJsonStrict } from '../policy/json.ts';
import type { SignedHead } from '../records/index.ts';
import { parseRecord, signedHeadSchema } from '../records/index.ts';
import { readPacket, readText } from './files.ts';
import { EXIT_USAGE, print, tell, withErrors } from './output.ts';

interface LedgerFlags {
  readonly ledger?: string;
  readonly state?: string;
  readonly format: 'text' | 'json';
}
interface ShowFlags extends LedgerFlags {
  readonly policy?: string;
  readonly entries: number;
}
interface VerifyFlags extends LedgerFlags {
  readonly heads: readonly string[];
}
interface ExportFlags extends LedgerFlags {
  readonly heads?: boolean;
}

/** LOCAL. Most entries `show` lists. */
const ENTRIES_MAX = 1000;

/** `parley ledger`: what a party's own data has spent. Reads only; a node may be running on it. */
export function ledgerCommand(): Command {
  return new Command('ledger')
    .description("look at, check and copy a party's budget ledger; nothing is ever changed")
    .addCommand(showCommand())
    .addCommand(verifyCommand())
    .addCommand(exportCommand());
}

function ledgerOptions(command: Command): Command {
  return command
    .option('--state <dir>', "the node's state folder; its ledger is in ledger/")
    .option('--ledger <dir>', 'the ledger folder, as parley party was given it')
    .addOption(
      new Option('--format <format>', 'how to report').choices(['text', 'json']).default('text'),
    );
}

function showCommand(): Command {
  return ledgerOptions(
    new Command('show').description(
      'what every dataset has spent in every epoch, and what is left',
    ),
  )
    .option('--policy <packet>', 'the signed policy whose budgets are compared with')
    .option('--entries <n>', 'newest entries to list', entriesOf, 10)
    .action((flags: ShowFlags, command: Command) => {
      const directory = directoryOf(flags, command);
      return withErrors(flags.format === 'json', () => {
        show(directory, flags);
        return Promise.resolve();
      });
    });
}

function verifyCommand(): Command {
  return ledgerOptions(
    new Command('verify').description(
      'check every entry in full, the head beside it, and that it holds what other parties keep of it.\n' +
        'Exit code 0 when all holds, 3 when not.',
    ),
  )
    .option('--heads <file...>', 'what other parties wrote with: parley ledger export --heads', [])
    .action((flags: VerifyFlags, command: Command) => {
      const directory = directoryOf(flags, command);
      return withErrors(flags.format === 'json', () => {
        verify(directory, flags);
        return Promise.resolve();
      });
    });
}

function exportCommand(): Command {
  return ledgerOptions(
    new Command('export').description(
      'every entry as a line of JSON, then an anchor: number and hash of the last one',
    ),
  )
    .option('--heads', "instead, what is kept of other parties' ledgers; give it to their owners")
    .action((flags: ExportFlags, command: Command) => {
      const directory = directoryOf(flags, command);
      return withErrors(flags.format === 'json', () => {
        exportLedger(directory, flags);
        return Promise.resolve();
      });
    });
}

function directoryOf({ ledger, state }: LedgerFlags, command: Command): string {
  if (ledger !== undefined && state === undefined) return ledger;
  if (state !== undefined && ledger === undefined) return join(state, 'ledger');
  return command.error('error: give --state or --ledger', { exitCode: EXIT_USAGE });
}

function entriesOf(text: string): number {
  const entries = /^\d{1,4}$/.test(text) ? Number(text) : ENTRIES_MAX + 1;
  if (entries <= ENTRIES_MAX) return entries;
  throw new InvalidArgumentError(`It is a number from 0 to ${ENTRIES_MAX}.`);
}

function show(directory: string, flags: ShowFlags): void {
  const newest: Entry[] = [];
  const report = readLedger(directory, {
    onLine: ({ entry }) => {
      newest.push(entry);
      if (newest.length > flags.entries) newest.shift();
    },
  });
  const dp =
    flags.policy === undefined ? 'off' : readPacket(flags.policy).policy.rules.differential_privacy;
  const limits = dp === 'off' ? null : limitsOf(dp);
  const accounts = report.accounts.map((account) => accountView(account, limits));
  if (flags.format === 'json') {
    print(JSON.stringify({ ...summaryOf(report), accounts, newest }));
    return;
  }
  const { owner } = report;
  print(`${owner.party}, ${owner.room === null ? 'all rooms' : `room ${owner.room}`}`);
  print(`${report.entries} entries, ${report.queries} queries, head ${report.hash}`);
  if (accounts.length === 0) print('nothing was ever reserved');
  for (const account of accounts) {
    print(`\n${account.dataset}, epoch ${account.epoch}: ${account.queries} queries`);
    print(`  spent  ${amounts(account.spent, 'up')}`);
    if (account.left !== null) {
      print(`  left   ${amounts(account.left, 'down')}`);
    }
    if (account.promise !== null) {
      const { epsilon, delta } = account.promise;
      const so = `(${amountText(epsilon, 'up')}, ${amountText(delta, 'up')})`;
      print(`  holds  ${so}-differential privacy so far`);
    }
  }
  if (newest.length > 0) print('');
  for (const entry of newest) print(entryText(entry));
}

interface AccountView {
  readonly dataset: string;
  readonly epoch: string;
  readonly queries: number;
  readonly spent: { readonly epsilon: string; readonly delta: string; readonly rho: string };
  /** By the accounting of the policy; null without one. */
  readonly left: Readonly<Record<string, string>> | null;
  readonly promise: { readonly epsilon: string; readonly delta: string } | null;
}

function accountView(account: DatasetAccount, limits: Limits | null): AccountView {
  const { dataset, epoch, queries, spent } = account;
  const promise = limits === null ? null : guaranteeOf(spent, limits);
  const left = (whole: Rational, part: Rational): string => formatRational(sub(whole, part));
  return {
    ...{ dataset, epoch, queries },
    spent: {
      epsilon: formatRational(spent.epsilon),
      delta: formatRational(spent.delta),
      rho: formatRational(spent.rho),
    },
    left:
      limits === null
        ? null
        : {
            ...(limits.accounting === 'zcdp'
              ? { rho: left(limits.rho, spent.rho) }
              : { epsilon: left(limits.epsilon, spent.epsilon) }),
            delta: left(limits.delta, spent.delta),
          },
    promise: promise && {
      epsilon: formatRational(promise.epsilon),
      delta: formatRational(promise.delta),
    },
  };
}

function amounts(of: Readonly<Record<string, string>>, rounding: 'up' | 'down'): string {
  return Object.entries(of)
    .map(([kind, amount]) => `${kind} ${amountText(amount, rounding)}`)
    .join(', ');
}

function entryText(entry: Entry): string {
  switch (entry.kind) {
    case 'open':
      return `${entry.seq} opened`;
    case 'terms':
      return `${entry.seq} terms of ${entry.dataset}, epoch ${entry.epoch}`;
    case 'reserve': {
      const charged = entry.charges.map(({ dataset, epoch }) => `${dataset} (${epoch})`).join(', ');
      const { seq, epsilon, query_id, room } = entry;
      return `${seq} reserved epsilon ${amountText(epsilon, 'up')} of ${charged} for ${query_id} in ${room}`;
    }
    case 'peer_head':
      return `${entry.seq} kept head ${entry.head.document.seq} of ${entry.head.document.party}`;
    case 'commit':
      return `${entry.seq} released ${entry.query_id}`;
  }
}

function summaryOf(report: LedgerReport): Readonly<Record<string, unknown>> {
  const { owner, entries, queries, hash, unfinished } = report;
  const { party, room, identity_key } = owner;
  return { party, room, identity_key, entries, queries, head: hash, unfinished };
}

function verify(directory: string, flags: VerifyFlags): void {
  const kept = flags.heads.flatMap(readHeads);
  const report = readLedger(directory, { strict: true, kept });
  if (flags.format === 'json') {
    print(JSON.stringify({ verified: true, ...summaryOf(report), heads_checked: kept.length }));
    return;
  }
  print(`${report.entries} entries: form, canonical bytes and chain hold; head ${report.hash}`);
  print(
    'the signed head beside them is in the chain; every id is charged once, before its release',
  );
  if (report.unfinished > 0) {
    print(`${report.unfinished} bytes after the last entry are being written, or were cut short`);
  }
  if (kept.length > 0) print(`${kept.length} heads that other parties keep are in the chain`);
  else
    tell('not checked: what other parties keep of this ledger (--heads), which shows a roll-back');
}

/** @throws ParleyError FILE_NOT_FOUND, REQUEST_MALFORMED. */
function readHeads(path: string): readonly SignedHead[] {
  const lines = readText(path).split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const value = parseJsonStrict(line, { bytesMax: 4096, code: 'REQUEST_MALFORMED' });
      return parseRecord(signedHeadSchema, value, 'ledger head');
    });
}

function exportLedger(directory: string, flags: ExportFlags): void {
  if (flags.heads === true) {
    for (const head of readLedger(directory).peerHeads) print(JSON.stringify(head));
    return;
  }
  const report = readLedger(directory, {
    onLine: ({ entry, hash }) => print(JSON.stringify({ entry, hash })),
  });
  print(JSON.stringify({ anchor: { seq: report.entries, hash: report.hash }, head: report.head }));
}
