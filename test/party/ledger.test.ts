// Goal: the charge is durable and exact, one id is charged once, budgets are of datasets over all rooms,
// and a ledger that was edited, cut, copied back or belongs to somebody else does not open.
import fc from 'fast-check';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Rational } from '../../src/core/rational.ts';
import { add, compare, parseDecimal, rational, ZERO } from '../../src/core/rational.ts';
import { FREE, rhoOf, type Limits } from '../../src/dp/index.ts';
import { ChainTip, entryDigest, linkHash } from '../../src/party/ledger/chain.ts';
import type { Entry } from '../../src/party/ledger/entry.ts';
import { entryBytes, formatLine } from '../../src/party/ledger/entry.ts';
import { Ledger, verifyBetween, type Room } from '../../src/party/ledger/index.ts';
import type { DatasetTerms } from '../../src/policy/index.ts';
import { datasetTerms, generateKeyPair } from '../../src/policy/index.ts';
import { sampleRoom } from '../policy/samples.ts';

const IDENTITY = generateKeyPair('ed25519');
const OWNER = { room: 'room', party: 'shopgood', shared: false, identity: IDENTITY };
const LIMITS: Limits = {
  accounting: 'basic',
  epsilon: parseDecimal('1'),
  delta: parseDecimal('1e-6'),
};
const ROOM: Room = { limits: LIMITS, missing: FREE };
const policy = sampleRoom().policy;
const TERMS = datasetTerms(policy, 'shopgood');

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-ledger-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = (): string => join(dir, 'ledger.jsonl');
const head = (): string => join(dir, 'head');
const reservation = (n: number, epsilon = '0.1', charges: readonly DatasetTerms[] = TERMS) => ({
  queryId: `query-${`${n}`.padStart(12, '0')}`,
  planDigest: 'a'.repeat(64),
  policyDigest: 'b'.repeat(64),
  peers: ['newsnow'],
  dataset: 'c'.repeat(64),
  charges,
  epsilon: parseDecimal(epsilon),
  delta: parseDecimal('1e-8'),
  rho: rhoOf([parseDecimal(epsilon)]),
});
const coded = (code: ErrorCode, path?: string): Error =>
  expect.objectContaining({
    code,
    ...(path === undefined ? {} : { detail: expect.objectContaining({ path }) as unknown }),
  }) as Error;

function filled(entries: number): void {
  const ledger = Ledger.open(dir, OWNER);
  for (let i = 0; i < entries; i += 1) ledger.reserve(reservation(i), ROOM);
  ledger.close();
}

function reopened<T>(read: (ledger: Ledger) => T, owner = OWNER): T {
  const ledger = Ledger.open(dir, owner);
  try {
    return read(ledger);
  } finally {
    ledger.close();
  }
}

function edit(change: (text: string) => string): void {
  const before = readFileSync(file(), 'utf8');
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(file(), after);
}

describe('charging', () => {
  it('admits exactly ten tenths and remembers them', () => {
    filled(10);
    reopened((ledger) => {
      expect(ledger.spentOf(TERMS[0]!).epsilon).toEqual(rational(1n));
      const beyond = reservation(10, '1e-20');
      expect(() => ledger.reserve(beyond, ROOM)).toThrow(
        coded('BUDGET_EXHAUSTED', 'rules.differential_privacy.epsilon_budget'),
      );
      expect(ledger.has(reservation(3).queryId)).toBe(true);
      expect(ledger.has(beyond.queryId)).toBe(false);
    });
  });

  it('writes the entry before it returns, with its head beside it', () => {
    const ledger = Ledger.open(dir, OWNER);
    const first = ledger.reserve(reservation(1), ROOM);
    const onDisk = readFileSync(file(), 'utf8').trimEnd().split('\n');
    // The first entry opens, the second says under what terms the dataset spends.
    expect(onDisk).toHaveLength(3);
    expect(onDisk[2]).toContain(`"hash":"${first.after}"`);
    expect(onDisk[1]).toContain(`"hash":"${first.before}"`);
    expect(first.seq).toBe(3);
    expect(readFileSync(head(), 'utf8')).toContain(first.after);
    const second = ledger.reserve(reservation(2), ROOM);
    expect(second).toMatchObject({ before: first.after, seq: 4 });
    ledger.commit(reservation(1).queryId, 'd'.repeat(64));
    ledger.close();
    reopened((again) => {
      expect(again.head.document.seq).toBe(5);
      expect(again.reserved(reservation(1).queryId)).toMatchObject({ released: 'd'.repeat(64) });
    });
  });

  it('charges an id once', () => {
    const ledger = Ledger.open(dir, OWNER);
    ledger.reserve(reservation(1), ROOM);
    expect(() => ledger.reserve(reservation(1), ROOM)).toThrow(coded('QUERY_ID_REUSED'));
    ledger.close();
  });

  it('counts what others say is missing here', () => {
    filled(8);
    reopened((ledger) => {
      const missing = { ...FREE, epsilon: parseDecimal('0.15') };
      expect(() => ledger.reserve(reservation(8), { limits: LIMITS, missing })).toThrow(
        coded('BUDGET_EXHAUSTED'),
      );
      ledger.reserve(reservation(8, '0.05'), { limits: LIMITS, missing });
    });
  });

  it('adds up as a plain sum does, for each dataset and epoch, through restarts', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            datasets: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1 }),
            milli: fc.integer({ min: 1, max: 400 }),
            restart: fc.boolean(),
          }),
          { maxLength: 12 },
        ),
        (steps) => {
          rmSync(dir, { recursive: true });
          const named = [0, 1, 2, 3].map((i): DatasetTerms => {
            const [one] = TERMS;
            return { ...one!, dataset: `d${i >> 1}`, epoch: `e${i & 1}` };
          });
          const sums = named.map((): Rational => ZERO);
          let ledger = Ledger.open(dir, OWNER);
          steps.forEach(({ datasets, milli, restart }, n) => {
            const price = rational(BigInt(milli), 1000n);
            const charges = datasets.map((i) => named[i]!);
            const fits = datasets.every((i) => compare(add(sums[i]!, price), rational(1n)) <= 0);
            const own = { ...reservation(n, '1', charges), epsilon: price };
            if (fits) {
              ledger.reserve(own, ROOM);
              for (const i of datasets) sums[i] = add(sums[i]!, price);
            } else {
              expect(() => ledger.reserve(own, ROOM)).toThrow(coded('BUDGET_EXHAUSTED'));
            }
            if (!restart) return;
            ledger.close();
            ledger = Ledger.open(dir, OWNER);
          });
          named.forEach((charge, i) => {
            expect(ledger.spentOf(charge).epsilon).toEqual(sums[i]);
          });
          ledger.close();
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('what does not open', () => {
  it.each<[string, ErrorCode, () => void]>([
    [
      'an edited amount',
      'LEDGER_CORRUPT',
      () => edit((t) => t.replace('"epsilon":"1/10"', '"epsilon":"1/11"')),
    ],
    [
      'a removed entry',
      'LEDGER_CORRUPT',
      () => edit((t) => t.split('\n').toSpliced(3, 1).join('\n')),
    ],
    [
      'swapped entries',
      'LEDGER_CORRUPT',
      () =>
        edit((t) => {
          const l = t.split('\n');
          return [...l.slice(0, 2), l[3], l[2], ...l.slice(4)].join('\n');
        }),
    ],
    [
      'an unknown field',
      'LEDGER_CORRUPT',
      () => edit((t) => t.replace('"seq":3', '"seq":3,"x":1')),
    ],
    ['a line that is not JSON', 'LEDGER_CORRUPT', () => appendFileSync(file(), 'nonsense\n')],
    [
      'amounts edited and all hashes made anew',
      'LEDGER_ROLLED_BACK',
      () => edit((t) => rechained(t.replaceAll('"epsilon":"1/10"', '"epsilon":"1/11"'))),
    ],
    [
      'a tail cut at a line end',
      'LEDGER_ROLLED_BACK',
      () => edit((t) => `${t.trimEnd().split('\n').slice(0, -1).join('\n')}\n`),
    ],
    ['a tail cut within a line', 'LEDGER_ROLLED_BACK', () => edit((t) => t.slice(0, -30))],
    ['all entries but the first gone', 'LEDGER_ROLLED_BACK', () => edit((t) => firstLine(t))],
    ['a first entry cut short', 'LEDGER_ROLLED_BACK', () => truncateSync(file(), 20)],
    ['its entries removed', 'LEDGER_ROLLED_BACK', () => rmSync(file())],
    ['its head removed', 'LEDGER_CORRUPT', () => rmSync(head())],
    [
      'a head signed by another',
      'LEDGER_CORRUPT',
      () =>
        writeFileSync(
          head(),
          readFileSync(head(), 'utf8').replaceAll('"signature":"', '"signature":"A'),
        ),
    ],
  ])('%s: %s', (_, code, damage) => {
    filled(4);
    damage();
    expect(() => Ledger.open(dir, OWNER)).toThrow(coded(code));
    // And it is not mended by having been refused.
    expect(() => Ledger.open(dir, OWNER)).toThrow(coded(code));
  });

  const firstLine = (text: string): string => text.slice(0, text.indexOf('\n') + 1);

  function rechained(text: string): string {
    const tip = new ChainTip();
    const lines = text.trimEnd().split('\n');
    return lines
      .map((line) => {
        const bytes = entryBytes((JSON.parse(line) as { entry: Entry }).entry);
        const { n, previous, jump } = tip.next;
        const hash = linkHash(n, previous, jump, entryDigest(bytes));
        tip.push(hash);
        return formatLine(bytes, hash.toString('hex')).toString();
      })
      .join('');
  }

  it('a copy from before the last entry, when the head beside it is newer', () => {
    filled(2);
    const copy = `${dir}-copy`;
    copyFileSync(file(), copy);
    reopened((ledger) => ledger.reserve(reservation(5), ROOM));
    copyFileSync(copy, file());
    rmSync(copy);
    expect(() => Ledger.open(dir, OWNER)).toThrow(coded('LEDGER_ROLLED_BACK'));
  });

  it('a ledger that another party showed to be old, also after a restart', () => {
    filled(2);
    const copy = `${dir}-copy`;
    cpSync(dir, copy, { recursive: true });
    const later = reopened((ledger) => {
      ledger.reserve(reservation(5), ROOM);
      return ledger.head;
    });
    rmSync(dir, { recursive: true });
    cpSync(copy, dir, { recursive: true });
    rmSync(copy, { recursive: true });
    // Copied back with its head, it cannot know.
    const ledger = Ledger.open(dir, OWNER);
    expect(() => ledger.expectHolds(later, 'newsnow')).toThrow(coded('LEDGER_ROLLED_BACK'));
    expect(() => ledger.reserve(reservation(6), ROOM)).toThrow(coded('LEDGER_ROLLED_BACK'));
    expect(() => ledger.expectAffordable(TERMS, FREE, ROOM)).toThrow(coded('LEDGER_ROLLED_BACK'));
    ledger.close();
    expect(() => Ledger.open(dir, OWNER)).toThrow(coded('LEDGER_ROLLED_BACK'));
  });

  it('of another room, party or key, and two at once', () => {
    filled(1);
    const ledger = Ledger.open(dir, OWNER);
    expect(() => Ledger.open(dir, OWNER)).toThrow(coded('LEDGER_LOCKED'));
    ledger.close();
    const other = { ...OWNER, identity: generateKeyPair('ed25519') };
    expect(() => Ledger.open(dir, { ...OWNER, room: 'other' })).toThrow(
      coded('LEDGER_FOREIGN', 'room'),
    );
    expect(() => Ledger.open(dir, { ...OWNER, party: 'newsnow' })).toThrow(
      coded('LEDGER_FOREIGN', 'party'),
    );
    expect(() => Ledger.open(dir, other)).toThrow(coded('LEDGER_FOREIGN', 'identity_key'));
    writeFileSync(join(dir, 'ledger.lock'), '4194305');
    Ledger.open(dir, OWNER).close();
    writeFileSync(join(dir, 'ledger.lock'), `${process.pid} 1`);
    Ledger.open(dir, OWNER).close();
  });
});

describe('a crash', () => {
  it('leaves a last line cut short, which is dropped, and no other', () => {
    filled(3);
    appendFileSync(file(), '{"entry":{"seq":6');
    reopened((ledger) => {
      expect(ledger.spentOf(TERMS[0]!).epsilon).toEqual(rational(3n, 10n));
      ledger.reserve(reservation(7), ROOM);
    });
    expect(reopened((ledger) => ledger.spentOf(TERMS[0]!).epsilon)).toEqual(rational(4n, 10n));
  });

  it('may leave a last entry without its line end, which counts', () => {
    filled(3);
    edit((t) => t.trimEnd());
    reopened((ledger) => {
      expect(ledger.spentOf(TERMS[0]!).epsilon).toEqual(rational(3n, 10n));
      ledger.reserve(reservation(7), ROOM);
    });
    expect(reopened((ledger) => ledger.spentOf(TERMS[0]!).epsilon)).toEqual(rational(4n, 10n));
  });

  it('between entry and head leaves a head that is behind, or torn: the other slot is whole', () => {
    filled(3);
    const older = readFileSync(head());
    reopened((ledger) => ledger.reserve(reservation(7), ROOM));
    const newer = readFileSync(head());
    writeFileSync(head(), older);
    expect(reopened((ledger) => ledger.spentOf(TERMS[0]!).epsilon)).toEqual(rational(4n, 10n));
    const torn = Buffer.from(newer);
    const changed = [0, 1].find((i) => !newer.subarray(i * 1024).equals(older.subarray(i * 1024)))!;
    torn.fill(0x20, changed * 1024 + 100, changed * 1024 + 200);
    writeFileSync(head(), torn);
    expect(reopened((ledger) => ledger.spentOf(TERMS[0]!).epsilon)).toEqual(rational(4n, 10n));
  });

  it('after the first entry leaves no head', () => {
    Ledger.open(dir, OWNER).close();
    rmSync(head());
    Ledger.open(dir, OWNER).close();
  });
});

describe('a ledger of all rooms', () => {
  const shared = { ...OWNER, shared: true };

  it('has one budget a dataset, whichever room asks', () => {
    reopened((ledger) => {
      for (let i = 0; i < 6; i += 1) ledger.reserve(reservation(i), ROOM);
    }, shared);
    reopened(
      (ledger) => {
        for (let i = 6; i < 10; i += 1) ledger.reserve(reservation(i), ROOM);
        expect(() => ledger.reserve(reservation(10), ROOM)).toThrow(coded('BUDGET_EXHAUSTED'));
        const other = TERMS.map((terms) => ({ ...terms, dataset: 'other' }));
        ledger.reserve(reservation(11, '1', other), ROOM);
        // A larger budget of another room is spent from where the dataset stands.
        const limits: Limits = { ...LIMITS, epsilon: parseDecimal('1.1') };
        ledger.reserve(reservation(12), { limits, missing: FREE });
        expect(() => ledger.reserve(reservation(13), { limits, missing: FREE })).toThrow(
          coded('BUDGET_EXHAUSTED'),
        );
      },
      { ...shared, room: 'second' },
    );
  });
});

describe('terms', () => {
  type Edit = (policy: {
    rules: { differential_privacy: unknown };
    parties: { tables: Record<string, Record<string, unknown>> }[];
  }) => void;
  const table = (p: Parameters<Edit>[0]): Record<string, unknown> =>
    p.parties[0]!.tables['purchases']!;
  const columns = (p: Parameters<Edit>[0]) => table(p)['columns'] as Record<string, object>;
  const dp = (p: Parameters<Edit>[0]): object => p.rules.differential_privacy as object;
  const path = 'parties.0.tables.purchases';

  function load(change: Edit, refresh: 'none' | 'new_data_epoch' = 'none'): void {
    const edited = structuredClone(policy);
    change(edited as unknown as Parameters<Edit>[0]);
    reopened((ledger) => {
      ledger.expectTerms({ datasets: datasetTerms(edited, 'shopgood'), partyIndex: 0, refresh });
    });
  }

  it.each<[string, string, Edit]>([
    [
      'L0',
      'rules.differential_privacy.max_partitions_contributed',
      (p) => Object.assign(dp(p), { max_partitions_contributed: 2 }),
    ],
    [
      'C',
      'rules.differential_privacy.max_contributions_per_partition',
      (p) => Object.assign(dp(p), { max_contributions_per_partition: 1 }),
    ],
    [
      'rows of a person',
      `${path}.max_rows_per_user`,
      (p) => Object.assign(table(p), { max_rows_per_user: 3 }),
    ],
    [
      'a clamp',
      `${path}.columns.total_spent.upper`,
      (p) => Object.assign(columns(p)['total_spent']!, { upper: '501' }),
    ],
    [
      'a missing clamp',
      `${path}.columns.total_spent.lower`,
      (p) => delete (columns(p)['total_spent'] as { lower?: string }).lower,
    ],
    ['noise off', 'rules.differential_privacy', (p) => (p.rules.differential_privacy = 'off')],
    [
      'the privacy unit',
      `${path}.privacy_unit_column`,
      (p) => Object.assign(table(p), { privacy_unit_column: { name: 'phone', kind: 'phone' } }),
    ],
    [
      'a second table of the dataset',
      `parties.0.tables.refunds`,
      (p) => {
        Object.assign(table(p), { dataset: 'crm' });
        p.parties[0]!.tables['refunds'] = { ...table(p) };
      },
    ],
    [
      'a new epoch that nobody allowed',
      `${path}.data_epoch`,
      (p) => Object.assign(table(p), { data_epoch: '2' }),
    ],
  ])('refuses a policy that changes %s, at %s', (what, at, change) => {
    const crm = TERMS.map((terms) => ({ ...terms, dataset: 'crm' }));
    reopened((ledger) => {
      ledger.reserve(reservation(1, '0.1', what.includes('second table') ? crm : TERMS), ROOM);
    });
    expect(() => load(change)).toThrow(coded('POLICY_OUT_OF_RANGE', at));
  });

  it('accepts other columns, another budget, and everything while nothing was spent', () => {
    load((p) => Object.assign(dp(p), { max_partitions_contributed: 2 }));
    reopened((ledger) => ledger.reserve(reservation(1), ROOM));
    load(() => undefined);
    load((p) => Object.assign(dp(p), { epsilon_budget: '9' }));
    load((p) => Object.assign(columns(p), { extra: { type: 'boolean', nullable: false } }));
    load((p) => delete columns(p)['total_spent']);
  });

  it('enters columns that come later, and keeps them to their bounds too', () => {
    reopened((ledger) => ledger.reserve(reservation(1), ROOM));
    const more = structuredClone(policy);
    const extra = { type: 'integer', nullable: false, scale: 0, lower: '0', upper: '5' };
    Object.assign(more.parties[0]!.tables['purchases']!.columns, { extra });
    reopened((ledger) => {
      ledger.reserve(reservation(2, '0.1', datasetTerms(more, 'shopgood')), ROOM);
      ledger.reserve(reservation(3, '0.1', datasetTerms(more, 'shopgood')), ROOM);
    });
    const terms = readFileSync(file(), 'utf8').match(/"kind":"terms"/g);
    expect(terms).toHaveLength(2);
    expect(() =>
      load((p) => Object.assign(columns(p), { extra: { ...extra, upper: '6' } })),
    ).toThrow(coded('POLICY_OUT_OF_RANGE', `${path}.columns.extra.upper`));
  });

  it('gives a new epoch a new budget when the policy says so, and the old one keeps its own', () => {
    reopened((ledger) => {
      for (let i = 0; i < 10; i += 1) ledger.reserve(reservation(i), ROOM);
    });
    load((p) => Object.assign(table(p), { data_epoch: '2' }), 'new_data_epoch');
    const next = TERMS.map((terms) => ({ ...terms, epoch: '2' }));
    reopened((ledger) => {
      ledger.reserve(reservation(20, '1', next), ROOM);
      expect(() => ledger.reserve(reservation(21, '0.1', next), ROOM)).toThrow(
        coded('BUDGET_EXHAUSTED'),
      );
      expect(() => ledger.reserve(reservation(22), ROOM)).toThrow(coded('BUDGET_EXHAUSTED'));
    });
  });
});

it('proves that its entries are in later ones, from the file', () => {
  filled(9);
  reopened((ledger) => {
    const { document: last } = ledger.head;
    const lines = readFileSync(file(), 'utf8').trimEnd().split('\n');
    for (const from of [1, 2, 5, 9, last.seq]) {
      const { hash } = JSON.parse(lines[from - 1]!) as { hash: string };
      const { steps } = ledger.prove(from, last.seq);
      expect(verifyBetween({ seq: from, hash }, last, steps)).toBe(true);
      expect(verifyBetween({ seq: from, hash: 'e'.repeat(64) }, last, steps)).toBe(from > last.seq);
    }
  });
});
