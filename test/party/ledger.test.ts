// Goal: the charge is durable and exact, one id is charged once, and a ledger that was edited,
// cut or belongs to somebody else does not open.
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseDecimal, rational } from '../../src/core/rational.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { Ledger } from '../../src/party/ledger/index.ts';

const OWNER = { room: 'room', party: 'shopgood' };
const BUDGET = { epsilon: parseDecimal('1'), delta: parseDecimal('1e-6') };
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-ledger-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = (): string => join(dir, 'ledger.jsonl');
const reservation = (n: number, epsilon = '0.1') => ({
  queryId: `query-${`${n}`.padStart(12, '0')}`,
  planDigest: 'a'.repeat(64),
  policyDigest: 'b'.repeat(64),
  dataset: 'c'.repeat(64),
  epsilon: parseDecimal(epsilon),
  delta: parseDecimal('1e-8'),
});
const coded = (code: ErrorCode): Error => expect.objectContaining({ code }) as Error;

function filled(entries: number): void {
  const ledger = Ledger.open(dir, OWNER);
  for (let i = 0; i < entries; i += 1) ledger.reserve(reservation(i), BUDGET);
  ledger.close();
}

it('admits exactly ten tenths and remembers them', () => {
  filled(10);
  const ledger = Ledger.open(dir, OWNER);
  expect(ledger.spent.epsilon).toEqual(rational(1n));
  expect(() => ledger.reserve(reservation(10, '1e-20'), BUDGET)).toThrow(coded('BUDGET_EXHAUSTED'));
  expect(ledger.has(reservation(3).queryId)).toBe(true);
  ledger.close();
});

it('writes the entry before it returns, chained to the head it names', () => {
  const ledger = Ledger.open(dir, OWNER);
  const first = ledger.reserve(reservation(1), BUDGET);
  const onDisk = readFileSync(file(), 'utf8').trimEnd().split('\n');
  expect(onDisk[1]).toContain(`"hash":"${first.after}"`);
  expect(onDisk[1]).toContain(`"previous":"${first.before}"`);
  const second = ledger.commit(reservation(1).queryId, 'd'.repeat(64));
  expect(second.before).toBe(first.after);
  ledger.close();
  const again = Ledger.open(dir, OWNER);
  expect(again.head).toBe(second.after);
  again.close();
});

it('charges an id once', () => {
  const ledger = Ledger.open(dir, OWNER);
  ledger.reserve(reservation(1), BUDGET);
  expect(() => ledger.reserve(reservation(1), BUDGET)).toThrow(coded('QUERY_ID_REUSED'));
  ledger.close();
});

it.each<[string, () => void]>([
  ['an edited amount', () => edit((t) => t.replace('"epsilon":"1/10"', '"epsilon":"1/11"'))],
  [
    'a removed entry',
    () =>
      edit((t) =>
        t
          .split('\n')
          .filter((_, i) => i !== 2)
          .join('\n'),
      ),
  ],
  [
    'swapped entries',
    () =>
      edit((t) => {
        const l = t.split('\n');
        return [l[0], l[2], l[1], ...l.slice(3)].join('\n');
      }),
  ],
  ['an unknown field', () => edit((t) => t.replace('"seq":1', '"seq":1,"x":1'))],
  ['a line that is not JSON', () => appendFileSync(file(), 'nonsense\n')],
  ['a first entry cut short', () => truncateSync(file(), 20)],
  ['another party', () => edit((t) => t.replace('shopgood', 'newsnow'))],
])('refuses to open after %s', (_, damage) => {
  filled(4);
  damage();
  expect(() => Ledger.open(dir, OWNER)).toThrow(coded('LEDGER_CORRUPT'));
});

function edit(change: (text: string) => string): void {
  const before = readFileSync(file(), 'utf8');
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(file(), after);
}

it('drops a last line cut short by a crash, and no other', () => {
  filled(3);
  appendFileSync(file(), '{"entry":{"seq":4');
  const ledger = Ledger.open(dir, OWNER);
  expect(ledger.spent.epsilon).toEqual(rational(3n, 10n));
  ledger.reserve(reservation(7), BUDGET);
  ledger.close();
  Ledger.open(dir, OWNER).close();
});

it('keeps a last entry that lost only its line end', () => {
  filled(3);
  edit((t) => t.trimEnd());
  const ledger = Ledger.open(dir, OWNER);
  expect(ledger.spent.epsilon).toEqual(rational(3n, 10n));
  ledger.reserve(reservation(7), BUDGET);
  ledger.close();
  const again = Ledger.open(dir, OWNER);
  expect(again.spent.epsilon).toEqual(rational(4n, 10n));
  again.close();
});

it('takes over the lock of an earlier life with the same process id', () => {
  writeFileSync(join(dir, 'ledger.lock'), `${process.pid} 1`);
  Ledger.open(dir, OWNER).close();
});

it('refuses another room, a second opener, and takes over the lock of a dead process', () => {
  const ledger = Ledger.open(dir, OWNER);
  expect(() => Ledger.open(dir, OWNER)).toThrow(coded('LEDGER_LOCKED'));
  ledger.close();
  expect(() => Ledger.open(dir, { ...OWNER, room: 'other' })).toThrow(coded('LEDGER_CORRUPT'));
  writeFileSync(join(dir, 'ledger.lock'), '4194305');
  Ledger.open(dir, OWNER).close();
});
