// Goal: what was made ahead is used once, whatever crashes and whatever is copied back; files that are
// cut, altered or another's do not open; parties use a batch only when all have it and all took it.
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { laneBytes } from '../../src/engine/mpc/index.ts';
import { takeTogether } from '../../src/party/stock/agree.ts';
import { Journal } from '../../src/party/stock/journal.ts';
import { batchBytes, demandOf, laneNames, type BatchMeta } from '../../src/party/stock/meta.ts';
import { readSealed, sealedBytes, writeSealed } from '../../src/party/stock/sealed.ts';
import { OFFERS_MAX, Stock } from '../../src/party/stock/stock.ts';
import { memoryMesh, runAll, type Tap } from '../support/memory-channel.ts';

const log = pino({ level: 'silent' });
/** An error of that code. */
const coded = (code: string): Error => expect.objectContaining({ code }) as Error;
const POLICY = 'a'.repeat(64);
const SHAPE = 'b'.repeat(64);
const CHUNK = 1 << 20;

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'parley-stock-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Over {
  readonly directory?: string;
  readonly policyDigest?: string;
  readonly party?: string;
  readonly linkKey?: Redacted<Uint8Array>;
  readonly bytesMax?: number;
}

const LINK_KEY = new Redacted(new Uint8Array(32).fill(9));

function openStock(over: Over = {}): Stock {
  return Stock.open({
    directory: join(dir, 'stock'),
    room: 'room',
    policyDigest: POLICY,
    party: 'shopgood',
    linkKey: LINK_KEY,
    bytesMax: 1 << 24,
    log,
    ...over,
  });
}

function metaOf(over: Partial<BatchMeta> = {}): BatchMeta {
  const lane = {
    triples: 256,
    pairTriples: [0, 0],
    sends: [[], [{ kind: 'ring64' as const, width: 2, n: 128 }]],
    receives: [[], [{ kind: 'ring6' as const, width: 1, n: 256 }]],
  };
  return {
    version: 1,
    batch: toHex(systemRng(32)),
    room: 'room',
    policy_digest: POLICY,
    party: 'shopgood',
    sides: ['shopgood', 'newsnow'],
    shape: SHAPE,
    k: 4,
    shards: 2,
    demand: { shard: lane, finish: { ...lane, sends: [[], []], receives: [[], []] } },
    ...over,
  };
}

/** Keeps a batch of random bytes. @returns what each lane holds. */
function fill(stock: Stock, meta = metaOf()): { meta: BatchMeta; lanes: Map<string, Uint8Array> } {
  const draft = stock.begin(meta);
  const lanes = new Map<string, Uint8Array>();
  for (const name of laneNames(meta)) {
    const bytes = systemRng(laneBytes(demandOf(meta, name)));
    lanes.set(name, bytes.slice());
    writeSealed(draft.file(name), [bytes.subarray(0, 100), bytes.subarray(100)]);
  }
  draft.keep();
  draft.discard();
  return { meta, lanes };
}

const folderOf = (batch: string): string => join(dir, 'stock', batch);

describe('a sealed file', () => {
  const file = (name = 'x', key = new Uint8Array(32).fill(1), label = 'batch/x') => ({
    path: join(dir, name),
    key,
    label,
  });

  it.each([0, 1, 16, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 77])(
    'gives back %i bytes, in whatever sections they came',
    (length) => {
      const bytes = systemRng(length);
      const cut = Math.floor(length / 3);
      const sections = [bytes.subarray(0, cut), new Uint8Array(0), bytes.subarray(cut)];
      writeSealed(file(), sections);
      expect(readFileSync(file().path)).toHaveLength(sealedBytes(length));
      expect(Buffer.compare(readSealed(file(), length), bytes)).toBe(0);
      expect(() => readSealed(file(), length + 1)).toThrow('cannot be read');
    },
  );

  const length = 2 * CHUNK + 5;
  const flip = (path: string, at: number): void => {
    const bytes = readFileSync(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  };
  const swapChunks = (path: string): void => {
    const bytes = readFileSync(path);
    const sealed = CHUNK + 16;
    const first = Buffer.from(bytes.subarray(0, sealed));
    bytes.copyWithin(0, sealed, 2 * sealed);
    first.copy(bytes, sealed);
    writeFileSync(path, bytes);
  };
  it.each<[string, (path: string) => void]>([
    ['cut', (path) => truncateSync(path, length)],
    ['emptied', (path) => truncateSync(path, 0)],
    ['longer', (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)]))],
    ['altered at the start', (path) => flip(path, 0)],
    ['altered in a tag', (path) => flip(path, CHUNK)],
    ['altered at the end', (path) => flip(path, sealedBytes(length) - 1)],
    ['reordered', swapChunks],
    ['missing', (path) => rmSync(path)],
  ])('that is %s does not open', (_, edit) => {
    writeSealed(file(), [systemRng(length)]);
    edit(file().path);
    expect(() => readSealed(file(), length)).toThrow(coded('STOCK_CORRUPT'));
  });

  it('does not open under another name, key, or as the head of a longer one', () => {
    writeSealed(file(), [systemRng(CHUNK)]);
    const corrupt = coded('STOCK_CORRUPT');
    expect(() => readSealed(file('x', file().key, 'batch/y'), CHUNK)).toThrow(corrupt);
    expect(() => readSealed(file('x', new Uint8Array(32)), CHUNK)).toThrow(corrupt);
    writeSealed(file('long'), [systemRng(2 * CHUNK)]);
    truncateSync(join(dir, 'long'), sealedBytes(CHUNK));
    expect(() => readSealed(file('long'), CHUNK)).toThrow(corrupt);
  });

  it('is never written over', () => {
    writeSealed(file(), [systemRng(3)]);
    expect(() => writeSealed(file(), [systemRng(3)])).toThrow(coded('STORAGE_FAILED'));
  });
});

describe('the journal', () => {
  const owner = { room: 'room', party: 'shopgood' };
  const path = (): string => join(dir, 'used.jsonl');
  const id = (n: number): string => n.toString(16).padStart(64, '0');

  it('remembers, refuses what it has, and drops a line that a crash cut short', () => {
    const journal = Journal.open(path(), owner);
    journal.append('taken', id(1));
    journal.append('erased', id(2));
    expect(() => journal.append('taken', id(2))).toThrow(coded('STOCK_USED'));
    journal.close();
    const whole = readFileSync(path(), 'utf8');
    for (const cut of [0, 1, 20, 300]) {
      const line = whole.trimEnd().split('\n').at(-1)!;
      writeFileSync(path(), whole + line.slice(0, cut));
      const again = Journal.open(path(), owner);
      expect([1, 2, 3].map((n) => again.has(id(n)))).toEqual([true, true, false]);
      again.append('taken', id(4));
      again.close();
      writeFileSync(path(), whole);
    }
    // A whole line that lost only its end counts.
    writeFileSync(path(), whole.slice(0, -1));
    const mended = Journal.open(path(), owner);
    expect(mended.has(id(2))).toBe(true);
    mended.append('taken', id(5));
    mended.close();
    const last = Journal.open(path(), owner);
    expect(last.has(id(5))).toBe(true);
    last.close();
  });

  it.each<[string, (text: string) => string]>([
    ['an edited batch', (text) => text.replace(id(1), id(7))],
    [
      'a missing line',
      (text) =>
        text
          .split('\n')
          .filter((_, i) => i !== 1)
          .join('\n'),
    ],
    ['a line that is no JSON', (text) => `{}\n${text}`],
    ['another kind', (text) => text.replace('"taken"', '"erased"')],
  ])('with %s does not open', (_, edit) => {
    const journal = Journal.open(path(), owner);
    journal.append('taken', id(1));
    journal.append('taken', id(2));
    journal.close();
    writeFileSync(path(), edit(readFileSync(path(), 'utf8')));
    expect(() => Journal.open(path(), owner)).toThrow(coded('STOCK_CORRUPT'));
  });

  it('of another room or party does not open', () => {
    Journal.open(path(), owner).close();
    for (const other of [
      { ...owner, party: 'newsnow' },
      { ...owner, room: 'other' },
    ]) {
      expect(() => Journal.open(path(), other)).toThrow(coded('STOCK_CORRUPT'));
    }
  });
});

describe('a batch', () => {
  const used = coded('STOCK_USED');

  it('is offered after a restart, gives its bytes once, and is gone', () => {
    const first = openStock();
    const { meta, lanes } = fill(first);
    first.close();
    const stock = openStock();
    expect(stock.offers(SHAPE)).toEqual([meta.batch]);
    expect(stock.offers('c'.repeat(64))).toEqual([]);
    expect(stock.bytes).toBe(batchBytes(meta));
    const taken = stock.take(meta.batch);
    expect(existsSync(join(folderOf(meta.batch), 'secret'))).toBe(false);
    for (const [name, bytes] of lanes) {
      expect(readSealed(taken.file(name), bytes.length)).toEqual(bytes);
    }
    expect(() => stock.take(meta.batch)).toThrow(used);
    expect(() => stock.begin(meta)).toThrow(used);
    expect(stock.offers(SHAPE)).toEqual([]);
    taken.release();
    expect(existsSync(folderOf(meta.batch))).toBe(false);
    stock.close();
    const again = openStock();
    expect(() => again.take(meta.batch)).toThrow(used);
    expect(() => again.begin(meta)).toThrow(used);
    again.close();
  });

  it('that is copied back is refused and erased, with the node up and after a restart', () => {
    const stock = openStock();
    const { meta } = fill(stock);
    cpSync(folderOf(meta.batch), join(dir, 'copy'), { recursive: true });
    stock.take(meta.batch).release();
    cpSync(join(dir, 'copy'), folderOf(meta.batch), { recursive: true });
    expect(() => stock.take(meta.batch)).toThrow(used);
    stock.close();
    const again = openStock();
    expect(again.offers(SHAPE)).toEqual([]);
    expect(() => again.take(meta.batch)).toThrow(used);
    expect(existsSync(folderOf(meta.batch))).toBe(false);
    again.close();
  });

  it('opens for nobody who has the folder but another link key, or has edited what it says', () => {
    const stock = openStock();
    const [a, b] = [fill(stock), fill(stock)];
    stock.close();
    const foreign = openStock({ linkKey: new Redacted(new Uint8Array(32).fill(8)) });
    expect(() => readSealed(foreign.take(a.meta.batch).file('s0'), 0)).toThrow();
    const length = a.lanes.get('s0')!.length;
    foreign.close();
    const path = join(folderOf(b.meta.batch), 'meta.json');
    const edited = { ...b.meta, shape: 'c'.repeat(64) };
    writeFileSync(path, JSON.stringify(edited));
    const again = openStock();
    const taken = again.take(b.meta.batch);
    expect(() => readSealed(taken.file('s0'), length)).toThrow(coded('STOCK_CORRUPT'));
    again.close();
  });

  it('of another policy, party or room, unfinished or unreadable, is erased at the start', () => {
    const stock = openStock();
    const [old, torn, bad] = [fill(stock), fill(stock), fill(stock)];
    const draft = stock.begin(metaOf());
    writeSealed(draft.file('s0'), [systemRng(10)]);
    stock.close();
    rmSync(join(folderOf(torn.meta.batch), 'secret'));
    writeFileSync(join(folderOf(bad.meta.batch), 'meta.json'), '{"version":2}');
    const again = openStock({ policyDigest: 'e'.repeat(64) });
    expect(again.offers(SHAPE)).toEqual([]);
    expect(again.bytes).toBe(0);
    again.close();
    expect(readdirSync(join(dir, 'stock')).filter((name) => name.length === 64)).toEqual([]);
    const back = openStock();
    expect(() => back.take(old.meta.batch)).toThrow(used);
    back.close();
  });

  it('is refused when it does not fit, drafts counted', () => {
    const bytes = batchBytes(metaOf());
    const stock = openStock({ bytesMax: 2 * bytes });
    const first = stock.begin(metaOf());
    fill(stock);
    const full = coded('STOCK_FULL');
    expect(() => stock.begin(metaOf())).toThrow(full);
    first.discard();
    stock.begin(metaOf()).discard();
    expect(stock.bytes).toBe(bytes);
    stock.close();
  });

  it('is guarded against a second process', () => {
    const stock = openStock();
    expect(() => openStock()).toThrow(coded('STORAGE_FAILED'));
    stock.close();
    openStock().close();
  });
});

describe('among parties', () => {
  const parties = (n: number, fillers: (stock: Stock, party: number) => void) =>
    Array.from({ length: n }, (_, party) => {
      const stock = openStock({ directory: join(dir, `stock${party}`), party: `p${party}` });
      fillers(stock, party);
      return stock;
    });
  let memory = memoryMesh(2);
  const run = (stocks: readonly (Stock | null)[], tap?: Tap) => {
    memory = memoryMesh(stocks.length, tap);
    return runAll(memory, (party) => takeTogether(stocks[party]!, memory.ends[party]!, SHAPE, log));
  };
  const ids = Array.from({ length: 20 }, () => toHex(systemRng(32))).sort();
  const put = (stock: Stock, party: number, which: readonly number[]): void => {
    for (const i of which) fill(stock, metaOf({ batch: ids[i]!, party: `p${party}` }));
  };

  it.each([2, 3])(
    '%i take the first batch that all have, and erase what not all have',
    async (n) => {
      const stocks = parties(n, (stock, party) => put(stock, party, [party, 5, 7]));
      const first = await run(stocks);
      expect(first.map((taken) => taken?.meta.batch)).toEqual(stocks.map(() => ids[5]));
      for (const stock of stocks) expect(stock.offers(SHAPE)).toEqual([ids[7]]);
      const second = await run(stocks);
      expect(second.map((taken) => taken?.meta.batch)).toEqual(stocks.map(() => ids[7]));
      expect(await run(stocks)).toEqual(stocks.map(() => null));
      for (const stock of stocks) stock.close();
    },
  );

  it('go without when one keeps no stock', async () => {
    const [stock] = parties(1, (own, party) => put(own, party, [1]));
    expect(await run([stock!, null])).toEqual([null, null]);
    stock!.close();
  });

  it('lose the batch, all of them, when one cannot take it', async () => {
    const stocks = parties(3, (stock, party) => put(stock, party, [1, 2]));
    rmSync(join(dir, 'stock2', ids[1]!, 'secret'));
    expect(await run(stocks)).toEqual([null, null, null]);
    expect((await run(stocks)).map((taken) => taken?.meta.batch)).toEqual([ids[2], ids[2], ids[2]]);
    for (const stock of stocks) stock.close();
  });

  it('do not use a batch again with a party that was set back to an older disk', async () => {
    const stocks = parties(2, (stock, party) => put(stock, party, [3]));
    stocks[0]!.close();
    cpSync(join(dir, 'stock0'), join(dir, 'backup'), { recursive: true });
    const reopened = openStock({ directory: join(dir, 'stock0'), party: 'p0' });
    expect((await run([reopened, stocks[1]!]))[0]?.meta.batch).toBe(ids[3]);
    reopened.close();
    rmSync(join(dir, 'stock0'), { recursive: true });
    cpSync(join(dir, 'backup'), join(dir, 'stock0'), { recursive: true });
    const setBack = openStock({ directory: join(dir, 'stock0'), party: 'p0' });
    expect(setBack.offers(SHAPE)).toEqual([ids[3]]);
    expect(await run([setBack, stocks[1]!])).toEqual([null, null]);
    setBack.close();
    stocks[1]!.close();
  });

  it('have journalled a batch before anybody goes on with it', async () => {
    const stocks = parties(2, (stock, party) => put(stock, party, [4]));
    // Party 1's word that it took the batch never arrives: party 0 does not go on.
    memory = memoryMesh(2, (f) => (f.from === 1 && f.step === 'taken' ? null : f));
    let done = false;
    const waiting = takeTogether(stocks[0]!, memory.ends[0]!, SHAPE, log).then(() => (done = true));
    await takeTogether(stocks[1]!, memory.ends[1]!, SHAPE, log);
    expect(done).toBe(false);
    memory.close();
    await expect(waiting).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
    for (const [party, stock] of stocks.entries()) {
      expect(readFileSync(join(dir, `stock${party}`, 'used.jsonl'), 'utf8')).toContain(ids[4]);
      stock.close();
    }
  });

  it.each<[string, string, (bytes: Uint8Array) => Uint8Array]>([
    ['an unordered list', 'offers', (b) => b.map((x, i) => (i < 64 ? 255 - (i >> 5) : x))],
    ['a gap in its list', 'offers', (b) => b.map((x, i) => (i >= 64 && i < 96 ? 7 : x))],
    ['another answer', 'taken', () => Uint8Array.of(2)],
  ])('blame one that sends %s', async (_, step, edit) => {
    const stocks = parties(2, (stock, party) => put(stock, party, [6]));
    const tap: Tap = (f) => (f.step === step && f.from === 1 ? { ...f, bytes: edit(f.bytes) } : f);
    await expect(run(stocks, tap)).rejects.toMatchObject({ code: 'PEER_BAD_ENCODING' });
    for (const stock of stocks) stock.close();
  });

  it('offer a bounded list, and more than that later', async () => {
    const all = Array.from({ length: OFFERS_MAX + 2 }, (_, i) => i);
    const stocks = parties(2, (stock, party) => put(stock, party, all));
    for (const i of all) {
      expect((await run(stocks)).map((taken) => taken?.meta.batch)).toEqual([ids[i], ids[i]]);
    }
    for (const stock of stocks) stock.close();
  });

  it('keep what the end of a full list says nothing of', async () => {
    // Party 1 has lost the first two, so its list reaches two further than that of party 0.
    const all = Array.from({ length: OFFERS_MAX + 2 }, (_, i) => i);
    const stocks = parties(2, (stock, party) => put(stock, party, all.slice(2 * party)));
    expect((await run(stocks)).map((taken) => taken?.meta.batch)).toEqual([ids[2], ids[2]]);
    for (const stock of stocks) {
      expect(stock.offers(SHAPE)).toEqual(ids.slice(3, OFFERS_MAX + 2));
      stock.close();
    }
  });
});

/** Takes batch after batch and prints the id of every correlation it gets to see; from dist/. */
const CHILD = `
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { Redacted } from './dist/core/redacted.js';
import { laneBytes } from './dist/engine/mpc/index.js';
import { demandOf, laneNames } from './dist/party/stock/meta.js';
import { readSealed } from './dist/party/stock/sealed.js';
import { Stock } from './dist/party/stock/stock.js';
const say = (line) => {
  for (;;) {
    try {
      return writeSync(1, line + '\\n');
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
};
const stock = Stock.open({ directory: process.argv[1], room: 'room', policyDigest: '${POLICY}',
  party: 'shopgood', linkKey: new Redacted(new Uint8Array(32).fill(9)), bytesMax: 2 ** 24,
  log: pino({ level: 'silent' }) });
say('offers ' + stock.offers('${SHAPE}').length);
for (const batch of stock.offers('${SHAPE}')) {
  say('taking ' + batch);
  const taken = stock.take(batch);
  say('taken ' + batch);
  for (const name of laneNames(taken.meta)) {
    const bytes = readSealed(taken.file(name), laneBytes(demandOf(taken.meta, name)));
    for (let at = 0; at < bytes.length; at += 16) {
      say('id ' + createHash('sha256').update(bytes.subarray(at, at + 16)).digest('hex'));
    }
  }
}
say('end');
`;

describe('kill -9', () => {
  it('at any moment never lets a correlation be used twice', async () => {
    const stock = openStock();
    const batches = new Set(Array.from({ length: 14 }, () => fill(stock).meta.batch));
    cpSync(join(dir, 'stock'), join(dir, 'before'), { recursive: true });
    stock.close();
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const seen: string[] = [];
    const taken: string[] = [];
    let kills = 0;
    let ended = false;
    for (let round = 0; !ended && round < 40; round += 1) {
      // Whole batches are copied back before every start, the journal is not.
      for (const batch of batches) {
        if (existsSync(folderOf(batch)) || round % 2 === 0) continue;
        cpSync(join(dir, 'before', batch), folderOf(batch), { recursive: true });
      }
      const lines = await runChild(root, round);
      seen.push(...lines.filter((l) => l.startsWith('id ')));
      taken.push(...lines.filter((l) => l.startsWith('taken ')));
      ended = lines.includes('end');
      if (!ended) kills += 1;
    }
    expect(ended).toBe(true);
    expect(kills).toBeGreaterThan(3);
    expect(seen.length).toBeGreaterThan(100);
    expect(new Set(seen).size).toBe(seen.length);
    expect(new Set(taken).size).toBe(taken.length);
    const last = openStock();
    for (const batch of batches) {
      expect(() => last.take(batch)).toThrow(coded('STOCK_USED'));
    }
    last.close();
  });

  /** Kills by turns as soon as a batch is being taken, was taken, and somewhere in its use. */
  function runChild(cwd: string, round: number): Promise<string[]> {
    const at = ['taking ', 'taken ', 'id ', 'offers '][round % 4]!;
    const skip = at === 'id ' ? round : at === 'offers ' ? -1 : 1 + (round % 3);
    return new Promise((resolve, reject) => {
      const child = spawn(
        process.execPath,
        ['--input-type=module', '-e', CHILD, join(dir, 'stock')],
        { cwd, stdio: ['ignore', 'pipe', 'inherit'] },
      );
      let text = '';
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString('utf8');
        const hits = text.split('\n').filter((line) => line.startsWith(at)).length;
        if (skip >= 0 && hits >= skip) child.kill('SIGKILL');
        else if (round % 8 === 3) setTimeout(() => child.kill('SIGKILL'), round % 5);
      });
      child.on('error', reject);
      child.on('close', () => resolve(text.split('\n').slice(0, -1)));
    });
  }
});
