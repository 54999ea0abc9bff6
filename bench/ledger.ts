// A node's start on a long ledger: a child process opens it, every hash anew, and refuses a used id.
// Writing the ledger is excluded. Prints time and resident memory; throws when the sums, the head or
// the refusal are wrong, or when an edited byte in the middle is not noticed.
//   npm run bench -- ledger [--entries 1000000]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Redacted, reveal } from '../src/core/redacted.ts';
import { formatRational, mul, parseDecimal, rational } from '../src/core/rational.ts';
import { rhoOf } from '../src/dp/index.ts';
import { Ledger } from '../src/party/ledger/index.ts';
import { ChainTip, entryDigest, linkHash } from '../src/party/ledger/chain.ts';
import type { Entry, EntryBody } from '../src/party/ledger/entry.ts';
import { entryBytes, formatLine } from '../src/party/ledger/entry.ts';
import { HeadFile } from '../src/party/ledger/head-file.ts';
import { LEDGER_FILE } from '../src/party/ledger/owner.ts';
import { generateKeyPair, keyPairOf, type KeyPair } from '../src/policy/index.ts';
import { signHead, type LedgerHead } from '../src/records/index.ts';
import { wrong } from './kit/check.ts';

const { values: flags } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    child: { type: 'string' },
    key: { type: 'string' },
  },
});
const ROOM = { room: 'bench', party: 'shopgood' };
const EPSILON = parseDecimal('0.01');
const DATASET = { dataset: 'shopgood/purchases', epoch: '0' };
const hex = (text: string): string => createHash('sha256').update(text).digest('hex');
const idOf = (query: number): string => `query${`${query}`.padStart(17, '0')}`;

const ownerOf = (identity: KeyPair) => ({ ...ROOM, shared: false, identity });

/** Three entries a query, as a node writes them; the signature of a peer's head is not looked at. */
function bodiesOf(query: number, peer: KeyPair): EntryBody[] {
  const seed = hex(`${query}`);
  const document: LedgerHead = {
    ...{ version: 1, room: ROOM.room, party: 'newsnow', identity_key: peer.publicKey },
    ...{ seq: 3 * query + 2, hash: seed },
  };
  return [
    {
      ...{ kind: 'reserve', query_id: idOf(query), room: ROOM.room, plan_digest: seed },
      ...{ policy_digest: hex('policy'), peers: ['newsnow'], dataset: hex('data') },
      charges: [DATASET],
      epsilon: formatRational(EPSILON),
      delta: '1/100000000',
      rho: formatRational(rhoOf([EPSILON])),
    },
    {
      kind: 'peer_head',
      query_id: idOf(query),
      head: { document, signature: 'A'.repeat(86) },
      continues: query === 0 ? [] : [3 * query - 1],
    },
    { kind: 'commit', query_id: idOf(query), share_digest: seed },
  ];
}

/** @returns how many queries are in it. */
function writeLedger(directory: string, entries: number, identity: KeyPair): number {
  Ledger.open(directory, ownerOf(identity)).close();
  const path = join(directory, LEDGER_FILE);
  const old = openSync(path, 'r');
  const first = Buffer.alloc(4096);
  const size = readSync(old, first, 0, first.length, 0);
  closeSync(old);
  const fd = openSync(path, 'w');
  const tip = new ChainTip();
  let lines: Buffer[] = [];
  const push = (entry: Entry): void => {
    const bytes = entryBytes(entry);
    const { n, previous, jump } = tip.next;
    const hash = linkHash(n, previous, jump, entryDigest(bytes));
    tip.push(hash);
    lines.push(formatLine(bytes, hash.toString('hex')));
    if (lines.length < 4096) return;
    writeSync(fd, Buffer.concat(lines));
    lines = [];
  };
  push((JSON.parse(first.toString('utf8', 0, size)) as { entry: Entry }).entry);
  const peer = generateKeyPair('ed25519');
  const queries = Math.ceil((entries - 1) / 3);
  for (let query = 0; query < queries; query += 1) {
    for (const body of bodiesOf(query, peer)) push({ seq: tip.seq + 1, ...body });
  }
  writeSync(fd, Buffer.concat(lines));
  closeSync(fd);
  const heads = HeadFile.open(directory, identity.publicKey);
  const document: LedgerHead = {
    ...{ version: 1, ...ROOM, identity_key: identity.publicKey },
    ...{ seq: tip.seq, hash: tip.hash.toString('hex') },
  };
  heads.write(signHead(document, identity.privateKey));
  heads.close();
  return queries;
}

/** In the child: what a node does before it is ready. */
function openOnce(directory: string, key: string): void {
  const identity = keyPairOf('ed25519', new Redacted(new Uint8Array(Buffer.from(key, 'hex'))));
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  const ledger = Ledger.open(directory, ownerOf(identity));
  const ms = performance.now() - before;
  const cpu = process.cpuUsage(cpuBefore);
  const { seq } = ledger.head.document;
  const { epsilon } = ledger.spentOf(DATASET);
  const used = [ledger.has(idOf(0)), ledger.has(idOf(1234)), ledger.has(`other${'0'.repeat(17)}`)];
  const proof = ledger.prove(2, seq).steps.length;
  ledger.close();
  const rssMib = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
  const spent = formatRational(epsilon);
  const cpu_ms = Math.round((cpu.user + cpu.system) / 1000);
  const found = {
    ms: Math.round(ms),
    cpu_ms,
    rss_mib: rssMib,
    peak_mib: peakMib,
    seq,
    spent,
    used,
    proof,
  };
  process.stdout.write(`${JSON.stringify(found)}\n`);
}

function flipByte(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.from([byte[0]! ^ 1]), 0, 1, at);
  closeSync(fd);
}

function main(): void {
  const directory = mkdtempSync(join(tmpdir(), 'parley-bench-ledger-'));
  try {
    const identity = generateKeyPair('ed25519');
    const key = Buffer.from(reveal(identity.privateKey)).toString('hex');
    const queries = writeLedger(directory, Number(flags.entries), identity);
    const args = ['--import', 'tsx', process.argv[1]!, '--child', directory, '--key', key];
    const open = (): Record<string, unknown> =>
      JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as never;
    const found = open();
    const spent = formatRational(mul(EPSILON, rational(BigInt(queries))));
    if (found['seq'] !== 3 * queries + 1) wrong('the ledger lost entries');
    if (found['spent'] !== spent) wrong('the ledger forgot spending');
    if (JSON.stringify(found['used']) !== '[true,true,false]') wrong('an id was forgotten');
    process.stdout.write(
      `${JSON.stringify({ bench: 'ledger', node: process.version, cpu: cpus()[0]?.model })}\n` +
        `${JSON.stringify({ entries: found['seq'], ...found })}\n`,
    );
    flipByte(join(directory, LEDGER_FILE), 300 * Math.floor(queries / 2));
    try {
      execFileSync(process.execPath, args, { stdio: 'pipe' });
    } catch (error) {
      if (!String((error as { stderr: unknown }).stderr).includes('LEDGER_CORRUPT')) throw error;
      return;
    }
    wrong('an edited byte was not noticed');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (flags.child === undefined) main();
else openOnce(flags.child, flags.key ?? '');
