// Goal: the real command, as its own process: exit codes, one document on stdout, stable error codes with
// one sentence and a hint, and nothing left behind, whatever it is given.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { begin, isAlive, killAll, until, type Finished, type Running } from '../support/command.ts';

const SEED_OPEN = fileURLToPath(new URL('../../examples/seed-open', import.meta.url));
const ATTRIBUTION = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS converted_users,
  SUM(total_spent) AS total_revenue
  FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const OVERLAP =
  'SELECT COUNT(DISTINCT hashed_email) AS overlap_count FROM joined_data WHERE total_spent > 100.00';

const dir = mkdtempSync(join(tmpdir(), 'parley-cli-'));
const at = (...parts: string[]): string => join(dir, ...parts);
/** Where the commands put what they throw away; empty when they are done. */
const scratch = at('tmp');
mkdirSync(scratch);
const env = { TMPDIR: scratch, PARLEY_LOG: 'warn' };
const parley = (...args: string[]): Promise<Finished> => begin(args, env).finished;

interface ErrorJson {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly detail: Readonly<Record<string, string>>;
  };
  readonly problems?: readonly { file: string; line: number; column: string; reason: string }[];
  readonly problems_total?: number;
}

/** The one JSON document that is all of stdout. */
function errorOf(done: Finished): ErrorJson {
  return JSON.parse(done.stdout) as ErrorJson;
}

/** A person's form: `parley: sentence [CODE]`, then at most indented lines. */
function expectText(done: Finished, exit: number, code: string, ...parts: string[]): void {
  const [first = '', ...rest] = done.stderr.trimEnd().split('\n');
  expect(first).toMatch(new RegExp(`^parley: [^\\n]+ \\[${code}\\]`));
  for (const line of rest) expect(line).toMatch(/^ {2}\S/);
  for (const part of parts) expect(done.stderr).toContain(part);
  expect(done.stdout).toBe('');
  expect(done.code).toBe(exit);
}

/** A copy of the example with one file changed; null removes the file. */
function variant(name: string, file: string, edit: (text: string) => string | null): string {
  const copy = at(name);
  cpSync(SEED_OPEN, copy, { recursive: true });
  const path = join(copy, file);
  const edited = edit(readFileSync(path, 'utf8'));
  if (edited === null) rmSync(path);
  else writeFileSync(path, edited);
  return copy;
}

/** A room as docs/operations.md sets it up: keys, one policy, two signatures, three processes. */
const room = {
  policy: at('policy.yaml'),
  packet: at('packet.json'),
  coordinatorState: at('coordinator'),
  url: '',
  keygen: [] as Finished[],
  signed: [] as Finished[],
  coordinator: null as Running | null,
  parties: new Map<string, Running>(),
  /** A question to an address where nobody listens; it takes a while to give up. */
  lonely: null as Promise<Finished> | null,
};
const keysOf = (name: string): string => at(`${name}.keys.json`);

async function readyLine(role: Running): Promise<Record<string, unknown>> {
  const line = await until('a ready line', () => {
    if (role.child.exitCode !== null) throw new Error(`ended: ${role.stdout()} ${role.stderr()}`);
    return /^(.+)\n/.exec(role.stdout())?.[1];
  });
  return JSON.parse(line) as Record<string, unknown>;
}

async function startCoordinator(state: string, port = '0'): Promise<void> {
  const args = ['coordinator', '--policy', room.packet, '--state', state, '--port', port];
  room.coordinator = begin(args, env);
  room.url = String((await readyLine(room.coordinator))['url']);
}

async function startParty(name: string, ...more: string[]): Promise<void> {
  const args = ['party', '--policy', room.packet, '--party', name, '--keys', keysOf(name)];
  const role = begin([...args, '--state', at(name), '--coordinator', room.url, ...more], env);
  room.parties.set(name, role);
  expect(await readyLine(role)).toMatchObject({ event: 'ready', role: 'party', party: name });
}

function queryArgs(sql: string, ...more: string[]): string[] {
  const own = ['--policy', room.packet, '--analyst', 'ana', '--keys', keysOf('ana')];
  return ['query', sql, ...own, '--coordinator', room.url, ...more];
}

beforeAll(async () => {
  room.keygen = await Promise.all([
    ...['shopgood', 'newsnow'].map((p) => parley('keygen', 'party', '--out', keysOf(p))),
    parley('keygen', 'analyst', '--out', keysOf('ana')),
  ]);
  const [shopgood = '', newsnow = '', ana = ''] = room.keygen.map((k) =>
    k.stdout.trimEnd().replaceAll('\n', ', '),
  );
  const draft = readFileSync(join(SEED_OPEN, 'policy.yaml'), 'utf8')
    .replace('- name: shopgood', `- name: shopgood\n    ${shopgood.replace(', ', '\n    ')}`)
    .replace('- name: newsnow', `- name: newsnow\n    ${newsnow.replace(', ', '\n    ')}`);
  writeFileSync(
    room.policy,
    `${draft}\nidentifier_salt: "${'5a'.repeat(32)}"\nanalysts:\n  - { name: ana, ${ana} }\n`,
  );
  for (const party of ['shopgood', 'newsnow']) {
    const options = ['--party', party, '--keys', keysOf(party), '--packet', room.packet];
    room.signed.push(await parley('policy', 'sign', room.policy, ...options));
    cpSync(room.packet, at(`packet-${room.signed.length}.json`));
  }
  const { keygen, signed } = room;
  expect([...keygen, ...signed].map((d) => [d.code, d.stderr])).toEqual(
    [...keygen, ...signed].map(() => [0, '']),
  );
  room.url = 'http://127.0.0.1:9';
  room.lonely = parley(...queryArgs(OVERLAP));
  await startCoordinator(room.coordinatorState);
  const data = (party: string): string[] => ['--data', join(SEED_OPEN, 'data', party)];
  await Promise.all(['shopgood', 'newsnow'].map((p) => startParty(p, ...data(p))));
}, 60_000);

afterAll(() => {
  killAll();
  rmSync(dir, { recursive: true, force: true });
});

describe.concurrent('help and usage', () => {
  const HELP: readonly (readonly [string, readonly string[]])[] = [
    ['', ['sandbox', 'demo', 'keygen', 'policy', 'party', 'coordinator', 'query', 'Exit codes']],
    ['sandbox', ['--query', '--serve', '--format', '--epsilon', '--state', '--port', '--quiet']],
    ['demo', ['ShopGood']],
    ['keygen', ['party', 'analyst']],
    ['keygen party', ['--out']],
    ['keygen analyst', ['--out']],
    ['policy', ['sign', 'verify', 'show']],
    ['policy sign', ['--party', '--keys', '--packet']],
    ['policy verify', ['<packet>']],
    ['policy show', ['<packet>']],
    ['party', ['--policy', '--party', '--keys', '--state', '--coordinator', '--data']],
    ['coordinator', ['--policy', '--state', '--host', '--port']],
    [
      'query',
      ['--policy', '--analyst', '--keys', '--coordinator', '--epsilon', '--id', '--receipt'],
    ],
    ['verify', ['<receipt>', '--policy', '--format', 'offline']],
  ];
  it.each(HELP)('parley %s --help', async (command, mentions) => {
    const done = await parley(...command.split(' ').filter((w) => w !== ''), '--help');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    for (const word of mentions) expect(done.stdout).toContain(word);
  });

  const party = ['party', '--policy', 'x', '--party', 'x', '--keys', 'x', '--state', 'x'];
  const USAGE: readonly (readonly [string, readonly string[], string])[] = [
    ['no command', [], 'Usage: parley'],
    ['an unknown command', ['sandbx'], "unknown command 'sandbx'"],
    ['an unknown option', ['sandbox', SEED_OPEN, '--qery', 'x'], "unknown option '--qery'"],
    ['a missing folder', ['sandbox'], "missing required argument 'dir'"],
    [
      'a sandbox without a task',
      ['sandbox', SEED_OPEN],
      '--query "SELECT ...", --explain or --serve',
    ],
    ['two tasks', ['sandbox', SEED_OPEN, '--serve', '--query', 'x'], 'cannot be used with'],
    ['an unknown format', ['sandbox', SEED_OPEN, '--query', 'x', '--format', 'xml'], 'table, json'],
    ['a bad port', ['sandbox', SEED_OPEN, '--serve', '--port', '70000'], '0 to 65535'],
    ['a missing option', ['keygen', 'party'], "required option '--out <file>'"],
    ['an address that is none', [...party, '--coordinator', 'room'], 'http://127.0.0.1:7600'],
  ];
  it.each(USAGE)('%s is wrong usage', async (_, args, says) => {
    const done = await parley(...args);
    expect(done).toMatchObject({ code: 64, stdout: '' });
    expect(done.stderr).toContain(says);
    expect(done.stderr).not.toMatch(/\n\s+at .*\.js/);
  });
});

describe.concurrent('refused before anything starts', () => {
  it('SELECT * in both forms', async () => {
    const ask = ['sandbox', SEED_OPEN, '--query', 'SELECT * FROM joined_data'];
    const [json, text] = await Promise.all([parley(...ask, '--format', 'json'), parley(...ask)]);
    expect(json).toMatchObject({ code: 2, stderr: '' });
    expect(errorOf(json).error).toMatchObject({ code: 'SQL_SELECT_STAR', fault: 'caller' });
    expect(errorOf(json).error.detail['hint']).toMatch(/./);
    expectText(text, 2, 'SQL_SELECT_STAR', '  hint: ');
  });

  it('an unknown column, naming it', async () => {
    const sql = 'SELECT SUM(total_spend) FROM joined_data';
    const done = await parley('sandbox', SEED_OPEN, '--query', sql);
    expectText(done, 2, 'SQL_UNKNOWN_COLUMN', 'at: total_spend');
  });

  const POLICIES: readonly (readonly [string, string, string, string, string])[] = [
    ['malformed', 'rules:', 'rules: [', 'POLICY_MALFORMED', 'policy'],
    ['unknown field', 'rules:', 'rules:\n  min_users: 1', 'POLICY_MALFORMED', 'rules.min_users'],
    [
      'out of range',
      'max_users: 1000 #',
      'max_users: 0 #',
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.max_users',
    ],
    [
      'bounds upside down',
      "upper: '500.00'",
      "upper: '-1.00'",
      'POLICY_OUT_OF_RANGE',
      'parties.0.tables.purchases.columns.total_spent.lower',
    ],
  ];
  it.each(POLICIES)('a policy that is %s', async (name, from, to, code, path) => {
    const folder = variant(`policy ${name}`, 'policy.yaml', (yaml) => {
      expect(yaml).toContain(from);
      return yaml.replace(from, to);
    });
    expectText(await parley('sandbox', folder, '--query', OVERLAP), 2, code, path);
  });

  it('a folder without a policy', async () => {
    const done = await parley('sandbox', at('nowhere'), '--serve', '--format', 'json');
    expect(done).toMatchObject({ code: 2, stderr: '' });
    expect(errorOf(done).error).toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(errorOf(done).error.detail['hint']).toContain('policy.yaml');
  });
});

describe.concurrent('keys and packets', () => {
  it('key files are private, never overwritten, and never printed', async () => {
    for (const name of ['shopgood', 'newsnow', 'ana']) {
      const text = readFileSync(keysOf(name), 'utf8');
      expect(statSync(keysOf(name)).mode & 0o777).toBe(0o600);
      const secrets = [...text.matchAll(/"private_key": "([^"]+)"/g)].map((m) => m[1]!);
      expect(secrets).toHaveLength(2);
      const printed = [...room.keygen, ...room.signed].map((d) => d.stdout + d.stderr).join('');
      expect(printed).toMatch(/ed25519:/);
      for (const secret of secrets) expect(printed).not.toContain(secret);
    }
    const before = readFileSync(keysOf('shopgood'), 'utf8');
    const again = await parley('keygen', 'party', '--out', keysOf('shopgood'));
    expectText(again, 2, 'BAD_ARGUMENT', 'hint: ');
    expect(readFileSync(keysOf('shopgood'), 'utf8')).toBe(before);
  });

  it('a packet signed by all is verified and shown', async () => {
    expect(room.signed[0]?.stdout).toContain('still to sign: newsnow');
    expect(room.signed[1]?.stdout).toContain('all parties have signed');
    const [verify, show] = await Promise.all([
      parley('policy', 'verify', room.packet),
      parley('policy', 'show', room.packet),
    ]);
    expect(verify).toMatchObject({ code: 0, stderr: '' });
    expect(verify.stdout).toContain('signed by shopgood, newsnow');
    expect(show).toMatchObject({ code: 0, stderr: '' });
    expect(show.stdout).toMatch(/NO DIFFERENTIAL PRIVACY/);
    expect(show.stdout).toContain('at most 1000 users, 2 rows each');
  });

  it("a party cannot sign with another's keys", async () => {
    const packet = at('not-mine.json');
    const options = ['--party', 'shopgood', '--keys', keysOf('newsnow'), '--packet', packet];
    expectText(await parley('policy', 'sign', room.policy, ...options), 2, 'POLICY_FOREIGN');
    expect(existsSync(packet)).toBe(false);
  });

  type Signatures = Record<string, string>;
  const PACKETS: readonly (readonly [string, string, (s: Signatures) => Signatures])[] = [
    ['unsigned', 'POLICY_UNSIGNED', () => ({})],
    ['signed by one', 'POLICY_UNSIGNED', ({ shopgood }) => ({ shopgood: shopgood! })],
    [
      'signed with the wrong key',
      'POLICY_BAD_SIGNATURE',
      ({ shopgood }) => ({ shopgood: shopgood!, newsnow: shopgood! }),
    ],
    ['signed by a stranger', 'POLICY_FOREIGN', (s) => ({ ...s, mallory: s['shopgood']! })],
  ];
  it.each(PACKETS)('a packet %s starts nothing', async (name, code, edit) => {
    const packet = JSON.parse(readFileSync(room.packet, 'utf8')) as { signatures: Signatures };
    const file = at(`${name}.json`);
    writeFileSync(file, JSON.stringify({ ...packet, signatures: edit(packet.signatures) }));
    const state = at(`state ${name}`);
    const common = ['--policy', file, '--state', state];
    const node = ['--party', 'shopgood', '--keys', keysOf('shopgood'), '--coordinator', room.url];
    const [verify, party, coordinator] = await Promise.all([
      parley('policy', 'verify', file),
      parley('party', ...common, ...node, '--data', join(SEED_OPEN, 'data', 'shopgood')),
      parley('coordinator', ...common, '--port', '0'),
    ]);
    expectText(verify, 2, code);
    for (const done of [party, coordinator]) {
      expect(done.code).toBe(2);
      expect(done.stdout.trimEnd()).not.toContain('\n');
      expect(errorOf(done).error.code).toBe(code);
    }
    expect(existsSync(state)).toBe(false);
  });

  it('a node with keys of another party writes nothing', async () => {
    const common = ['--policy', room.packet, '--state', at('foreign'), '--coordinator', room.url];
    const node = ['--party', 'shopgood', '--keys', keysOf('newsnow')];
    const done = await parley('party', ...common, ...node);
    expect(done.code).toBe(2);
    expect(errorOf(done).error.code).toBe('POLICY_FOREIGN');
    expect(existsSync(at('foreign'))).toBe(false);
  });
});

describe('data that does not fit', () => {
  const PURCHASES = 'data/shopgood/purchases.csv';

  it('every bad row is listed with file, line and reason', async () => {
    const bad = Array.from({ length: 22 }, (_, i) => `9,p${i}@example.com,2025-10-12,1${i}.x\n`);
    const folder = variant('bad rows', PURCHASES, (csv) => csv + bad.join(''));
    const first = readFileSync(join(SEED_OPEN, PURCHASES), 'utf8').trimEnd().split('\n').length + 1;
    const ask = ['sandbox', folder, '--query', OVERLAP, '--quiet'];
    const [json, text] = await Promise.all([parley(...ask, '--format', 'json'), parley(...ask)]);
    expect(json).toMatchObject({ code: 2, stderr: '' });
    const { error, problems, problems_total } = errorOf(json);
    expect(error).toMatchObject({ code: 'DATA_BAD_ROWS', detail: { party: 'shopgood' } });
    expect(problems_total).toBe(22);
    expect(problems?.map((p) => [p.file, p.line, p.column])).toEqual(
      Array.from({ length: 20 }, (_, i) => ['purchases.csv', first + i, 'total_spent']),
    );
    for (const { reason } of problems ?? []) expect(reason).toMatch(/./);
    const listed = problems?.map((p) => `  ${p.file}:${p.line}: ${p.column}: ${p.reason}`) ?? [];
    expectText(text, 2, 'DATA_BAD_ROWS', ...listed, '  and 2 more');
    expect(json.stdout + text.stderr).not.toContain('example.com');
  });

  it('a missing table and a missing column', async () => {
    const noFile = variant('no file', PURCHASES, () => null);
    const noColumn = variant('no column', PURCHASES, (csv) => csv.replace('total_spent', 'spent'));
    const [file, column] = await Promise.all(
      [noFile, noColumn].map((folder) => parley('sandbox', folder, '--query', OVERLAP, '--quiet')),
    );
    expectText(file!, 2, 'FILE_NOT_FOUND', 'purchases.csv', '(shopgood)', 'hint: ');
    expectText(column!, 2, 'DATA_BAD_FILE', 'total_spent', '(shopgood)', 'hint: ');
  });
});

describe('a sandbox', () => {
  it('prints one JSON document and leaves nothing behind', async () => {
    const receipt = at('receipt.json');
    const ask = ['sandbox', SEED_OPEN, '--query', ATTRIBUTION, '--format', 'json'];
    const done = await parley(...ask, '--receipt', receipt);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const answer = JSON.parse(done.stdout) as {
      rows: { cells: { value: unknown }[] }[];
      labels: string[];
    };
    expect(answer.rows.map((row) => row.cells.map((cell) => cell.value))).toEqual([
      ['sg_fall25', 2, '107.75'],
    ]);
    expect(answer.labels.join()).toContain('NOISE OFF');
    expect(readdirSync(scratch)).toEqual([]);
  });

  it('keeps a receipt that verifies, and not when one number in it is another', async () => {
    const receipt = at('receipt.json');
    const said = await parley('verify', receipt);
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(said.stdout).toMatch(/^GENUINE\n/);
    expect(said.stdout).toContain('COUNT(DISTINCT hashed_email)');
    expect(said.stdout).toContain('not checked');
    const text = readFileSync(receipt, 'utf8');
    const forged = at('forged.json');
    writeFileSync(forged, text.replace('"value": "107.75"', '"value": "107.76"'));
    const caught = await parley('verify', forged, '--format', 'json');
    expect(caught).toMatchObject({ code: 2, stderr: '' });
    expect(JSON.parse(caught.stdout)).toMatchObject({
      genuine: false,
      error: { code: 'RESULT_INVALID', detail: { path: 'answer.rows.0.cells.2.value' } },
    });
    expect((await parley('verify', forged)).stdout).toContain('NOT GENUINE [RESULT_INVALID]');
    const pinned = await parley('verify', receipt, '--policy', room.packet, '--format', 'json');
    expect(JSON.parse(pinned.stdout)).toMatchObject({ error: { code: 'POLICY_MISMATCH' } });
    writeFileSync(forged, text.slice(0, -100));
    const cut = await parley('verify', forged, '--format', 'json');
    expect(cut.code).toBe(2);
    expect(errorOf(cut).error.code).toBe('RECEIPT_INVALID');
  });

  it('stops every process on a signal, while serving and while starting', async () => {
    const serving = begin(['sandbox', SEED_OPEN, '--serve', '--format', 'json'], env);
    const ready = (await readyLine(serving)) as { processes: Record<string, number> };
    const pids = Object.values(ready.processes);
    expect(pids).toHaveLength(3);
    expect(pids.every(isAlive)).toBe(true);
    serving.child.kill('SIGTERM');
    // A second signal on the way out must not leave a process or a folder behind.
    serving.child.kill('SIGINT');
    expect(await serving.finished).toMatchObject({ code: 0, stderr: '' });
    expect(pids.some(isAlive)).toBe(false);

    const starting = begin(['sandbox', SEED_OPEN, '--serve'], env);
    const pid = await until('a coordinator', () =>
      /coordinator \(process (\d+)\)/.exec(starting.stderr()),
    );
    starting.child.kill('SIGTERM');
    const done = await starting.finished;
    expect(done.stderr).toContain('[CANCELLED]');
    expect(done).toMatchObject({ code: 3, stdout: '' });
    expect(isAlive(Number(pid[1]))).toBe(false);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe('a room of processes', () => {
  const ID = 'cli-test-query-killed';
  /** A question that nobody has an answer to. */
  const FRESH = OVERLAP.replace('100.00', '101.00');

  it('answers as a table with loud labels and as CSV', async () => {
    const [table, csv] = await Promise.all([
      parley(...queryArgs(ATTRIBUTION)),
      parley(...queryArgs(OVERLAP, '--format', 'csv', '--quiet')),
    ]);
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/^\*\*\* NOISE OFF/);
    expect(table.stdout).toMatch(/sg_fall25 +\| +2 +\| +107\.75/);
    const stages = table.stderr
      .split('\n')
      .map((line) => /^ {2}(\w+: [\w.]+) done/.exec(line)?.[1]);
    const named = stages.filter((stage) => stage !== undefined);
    expect(named).toContain('shopgood: join.oprf');
    expect(named).toContain('newsnow: vet');
    expect(new Set(named).size, 'no stage is told twice').toBe(named.length);
    expect(table.stderr).toMatch(/rows, \d+\.\d [kM]B sent/);
    expect(csv.code).toBe(0);
    expect(csv.stdout.trimEnd().split(/\r?\n/)[0]).toMatch(/^overlap_count/);
    expect(csv.stderr).toContain('NOISE OFF');
  });

  it('opens a row of a party against a receipt, and no other', async () => {
    const receipt = at('room-receipt.json');
    const asked = await parley(...queryArgs(OVERLAP, '--quiet', '--receipt', receipt));
    expect(asked).toMatchObject({ code: 0 });
    const own = ['--policy', room.packet, '--party', 'shopgood', '--state', at('shopgood')];
    const open = ['data', 'prove', ...own, '--table', 'purchases', '--row'];
    const proved = await parley(...open, '0');
    expect(proved).toMatchObject({ code: 0, stderr: '' });
    const proof = at('row.json');
    writeFileSync(proof, proved.stdout);
    const check = ['verify', receipt, '--policy', room.packet, '--row', proof];
    const said = await parley(...check);
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(said.stdout).toContain('row 0 of purchases is in the data that shopgood stated');
    writeFileSync(proof, proved.stdout.replace('"index": 0', '"index": 1'));
    const lied = await parley(...check, '--format', 'json');
    expect(lied.code).toBe(2);
    expect(errorOf(lied).error.code).toBe('RECEIPT_INVALID');
    expectText(await parley(...open, 'x'), 2, 'BAD_ARGUMENT');
  });

  it('survives a party killed in mid-query', async () => {
    const victim = room.parties.get('shopgood')!;
    const asked = begin(queryArgs(FRESH, '--id', ID, '--format', 'json', '--quiet'), env);
    // Both have paid: from here on the two compute.
    const ledgers = ['shopgood', 'newsnow'].map((p) => at(p, 'ledger', 'ledger.jsonl'));
    await until('the charges', () => ledgers.every((l) => readFileSync(l, 'utf8').includes(ID)));
    const killedAt = performance.now();
    victim.child.kill('SIGKILL');
    const done = await asked.finished;
    expect(performance.now() - killedAt).toBeLessThan(60_000);
    expect(done).toMatchObject({ code: 3, stderr: '' });
    expect(errorOf(done).error).toMatchObject({ code: 'PARTY_AWAY' });
    expect(room.parties.get('newsnow')?.child.exitCode).toBe(null);
  });

  it('says that a party is away, soon', async () => {
    const done = await parley(...queryArgs(FRESH, '--quiet'));
    expectText(done, 3, 'PARTY_AWAY', '(shopgood)');
    expect(done.ms).toBeLessThan(15_000);
  });

  it('answers again when the party is back, which remembers what it was charged', async () => {
    await startParty('shopgood');
    const done = await parley(...queryArgs(OVERLAP, '--format', 'csv', '--quiet'));
    expect(done.code).toBe(0);
    // Killed or not, it holds what it answered before, and so does its peer.
    expect(done.stderr).toContain('byte for byte: nothing was spent');
    // A coordinator that has forgotten the query, or pretends to, does not make them run it again.
    const { port } = new URL(room.url);
    room.coordinator!.child.kill('SIGTERM');
    expect((await room.coordinator!.finished).code).toBe(0);
    await startCoordinator(at('coordinator-without-memory'), port);
    await until('both parties', async () => {
      const answer = (await (await fetch(`${room.url}/v1/room`)).json()) as {
        parties: { connected: boolean }[];
      };
      return answer.parties.every((p) => p.connected);
    });
    const again = await parley(...queryArgs(FRESH, '--id', ID, '--format', 'json', '--quiet'));
    expect(again).toMatchObject({ code: 2, stderr: '' });
    expect(errorOf(again).error).toMatchObject({ code: 'QUERY_ID_REUSED' });
    expect(errorOf(again).error.detail['party']).toMatch(/shopgood|newsnow/);
  });

  it('stops every role on SIGTERM', async () => {
    for (const role of [...room.parties.values(), room.coordinator!]) role.child.kill('SIGTERM');
    const ended = await Promise.all(
      [...room.parties.values(), room.coordinator!].map((r) => r.finished),
    );
    expect(ended.map((done) => done.code)).toEqual([0, 0, 0]);
    expect(existsSync(at('shopgood', 'ledger', 'lock'))).toBe(false);
  });

  it('gives up on a coordinator that is away, in bounded time', async () => {
    const done = await room.lonely!;
    expectText(done, 3, 'COORDINATOR_AWAY');
    expect(done.ms).toBeLessThan(60_000);
  });
});
