// What must hold after any crash, read from what lies on disk, from logs, and from the messages the other
// party got. Every check returns sentences; none is what is wanted.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  compare,
  formatRational,
  mul,
  parseDecimal,
  rational,
} from '../../../src/core/rational.ts';
import { readLedger } from '../../../src/party/ledger/index.ts';
import { namePath } from './victim.ts';
import { EPSILON, PARTIES, type CrashRoom, type LogLine, type Party } from './room.ts';

interface LedgerEntry {
  readonly kind: string;
  readonly query_id?: string;
}

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Lines that have their end. */
const linesOf = (path: string): string[] => textOf(path).split('\n').slice(0, -1);

const entriesOf = (state: string): LedgerEntry[] =>
  linesOf(join(state, 'ledger', 'ledger.jsonl')).map(
    (line) => (JSON.parse(line) as { readonly entry: LedgerEntry }).entry,
  );

/** Batches that a party's journal has as taken, in order. */
const takenIn = (state: string): (string | undefined)[] =>
  linesOf(join(state, 'stock', 'used.jsonl'))
    .map((line) => (JSON.parse(line) as { readonly entry: LedgerEntry & { batch?: string } }).entry)
    .flatMap(({ kind, batch }) => (kind === 'taken' ? [batch] : []));

const repeated = <T>(all: readonly T[]): readonly T[] =>
  all.filter((one, i) => all.indexOf(one) !== i);

/** Log lines of a role's own process; what is no JSON is a process that ended by itself. */
export function victimLog(room: CrashRoom): readonly LogLine[] {
  const lines = textOf(room.files.log)
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    try {
      return JSON.parse(line) as LogLine;
    } catch {
      return { msg: line, code: 'INTERNAL' };
    }
  });
}

/** What a party's ledger says is spent, against what was answered. */
function checkSpent(room: CrashRoom, party: Party): string[] {
  const answers = room.answered.size;
  const directory = join(room.stateOf(party), 'ledger');
  try {
    const { accounts } = readLedger(directory, { strict: true });
    const spent = accounts[0]?.spent.epsilon ?? rational(0n);
    const due = room.noise ? mul(parseDecimal(EPSILON), rational(BigInt(answers))) : rational(0n);
    if (compare(spent, due) >= 0) return [];
    return [`${party} has spent ${formatRational(spent)} of ${formatRational(due)} due`];
  } catch (error) {
    if (answers === 0 && (error as { code?: unknown }).code === 'FILE_NOT_FOUND') return [];
    if (answers === 0 && entriesOf(room.stateOf(party)).length === 0) return [];
    return [`${party}'s ledger does not verify: ${String((error as { code?: unknown }).code)}`];
  }
}

/** The disk of a dead victim: what it has told others, or was answered, is on it. */
export function checkDisk(room: CrashRoom): string[] {
  const { victimRole: victim, traces, logs } = room;
  if (victim === 'coordinator') return [];
  const state = room.stateOf(victim);
  const problems = checkSpent(room, victim);
  const charged = new Set(
    entriesOf(state).flatMap(({ kind, query_id }) => (kind === 'reserve' ? [query_id] : [])),
  );
  const taken = new Set(takenIn(state));
  const heard = traces.filter(({ direction }) => direction === 'in').map(({ path }) => path);
  for (const queryId of new Set(heard.map((path) => path.split('/')[0]!))) {
    const paths = heard.filter((path) => path.startsWith(`${queryId}/`));
    // What only prepares is free; it alone speaks on streams of this name.
    const free = paths.some((path) => /^[^/]*\/e0\/stock\.(?:s|finish)/.test(path));
    if (!free && !charged.has(queryId) && paths.some((path) => /\/s\d+\.a/.test(path))) {
      problems.push('a message of a run was sent that is not charged on disk');
    }
    const run = join(state, 'runs', createHash('sha256').update(queryId).digest('hex'));
    const has = (file: string): boolean => existsSync(join(run, file));
    const finished = paths.some((path) => path.includes('/finish.'));
    if (finished && has('record') && !has('finish') && !has('answer')) {
      problems.push('a run whose finish began could be resumed');
    }
  }
  for (const { msg, batch } of logs) {
    if (msg === 'stock taken' && !taken.has(String(batch))) {
      problems.push('a batch was used by all that is not in the journal on disk');
    }
  }
  return problems;
}

/** Both parties, once all is over and the victim is back. */
export function checkAfter(room: CrashRoom): string[] {
  const logs = victimLog(room);
  const problems = PARTIES.flatMap((party) => checkParty(room, party));
  problems.push(...checkMessages(room));
  for (const { code, msg } of [...room.logs, ...logs]) {
    if (code === 'INTERNAL') problems.push(`a role met a bug: ${msg}`);
  }
  if (room.victimRole === 'coordinator') problems.push(...checkCoordinator(room));
  return problems;
}

function checkParty(room: CrashRoom, party: Party): string[] {
  const state = room.stateOf(party);
  const entries = entriesOf(state);
  const problems = checkSpent(room, party);
  const kinds = entries
    .filter(({ query_id }) => query_id !== undefined)
    .map(({ kind, query_id }) => `${kind} ${String(query_id)}`);
  for (const twice of repeated(kinds)) problems.push(`${party} has twice: ${twice}`);
  for (const batch of repeated(takenIn(state))) {
    problems.push(`${party} took a batch twice: ${String(batch)}`);
  }
  const own = party === room.victimRole ? victimLog(room) : room.logs;
  const batches = own.filter((line) => line.msg === 'stock taken' && isOf(room, party, line));
  for (const batch of repeated(batches.map((line) => line['batch']))) {
    problems.push(`${party} used a batch in two runs: ${String(batch)}`);
  }
  const attempts = own
    .filter((line) => line.msg === 'shard finished' && isOf(room, party, line))
    .map((line) => ['query_id', 'shard', 'attempt'].map((key) => String(line[key])).join(' '));
  for (const twice of repeated(attempts)) problems.push(`${party} ran an attempt twice: ${twice}`);
  const uses = linesOf(join(state, 'approvals', 'used.log')).length;
  const runs = entries.filter(({ kind }) => kind === 'reserve').length;
  if (uses < runs) problems.push(`${party} used ${uses} approvals for ${runs} runs`);
  return problems;
}

/** A victim's log is its own; that of this process is of all other roles. */
const isOf = (room: CrashRoom, party: Party, line: LogLine): boolean =>
  party === room.victimRole || line['party'] === party;

/** No finish in two epochs, no epoch twice, no attempt in two epochs. */
function checkMessages({ traces }: CrashRoom): string[] {
  const problems: string[] = [];
  const [finishes, attempts] = [new Map<string, Set<string>>(), new Map<string, Set<string>>()];
  const note = (map: typeof finishes, key: string, epoch: string): void =>
    void map.set(key, (map.get(key) ?? new Set()).add(epoch));
  const opened: string[] = [];
  for (const { party, direction, path, step } of traces) {
    if (direction !== 'out') continue;
    const [query = '', epoch = '', stream = ''] = path.split('/');
    if (stream.startsWith('finish.')) note(finishes, query, epoch);
    if (/^s\d+\.a\d+$/.test(stream)) note(attempts, `${query} ${stream}`, epoch);
    if (stream === 'parameters' && step === 'length') opened.push(`${party} ${path}`);
  }
  for (const [query, epochs] of finishes) {
    if (epochs.size > 1) problems.push(`the noise of ${query} was drawn twice`);
  }
  for (const [attempt, epochs] of attempts) {
    if (epochs.size > 1) problems.push(`an attempt was used twice: ${attempt}`);
  }
  for (const twice of repeated(opened)) problems.push(`an epoch was entered twice: ${twice}`);
  return problems;
}

/** Every line of the audit log can be read but those a crash cut, and every record. */
function checkCoordinator(room: CrashRoom): string[] {
  const state = room.stateOf('coordinator');
  const problems: string[] = [];
  for (const line of linesOf(join(state, 'audit.jsonl'))) {
    // A line that was cut stands alone: it begins like one, and no other begins in it.
    if (line.lastIndexOf('{"time"') > 0) problems.push('a cut audit line hides the next one');
  }
  const folder = join(state, 'records');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    try {
      JSON.parse(readFileSync(join(folder, name), 'utf8'));
    } catch {
      problems.push('a record cannot be read');
    }
  }
  return problems;
}

/** Files that nobody will remove or read again. */
export function leftFiles({ files }: CrashRoom): string[] {
  return readdirSync(files.root, { recursive: true })
    .map(String)
    .filter((name) => /\.tmp$|\.new$|\.lock\.\d+$/.test(name))
    .map(namePath);
}
