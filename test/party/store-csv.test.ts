// Goal: the CSV reader reads what RFC 4180 allows as DuckDB's reader does, however the file is cut
// into blocks, and names the line and the reason of what it does not allow.
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CsvScanner } from '../../src/party/store/sources/csv.ts';

interface Read {
  readonly rows: readonly (readonly string[])[];
  readonly lines: readonly number[];
  readonly problems: readonly (readonly [number, string])[];
}

const LIMITS = { recordBytesMax: 1000, fieldsMax: 50 };

function scan(bytes: Uint8Array, cuts: readonly number[] = [], limits = LIMITS): Read {
  const rows: string[][] = [];
  const lines: number[] = [];
  const problems: [number, string][] = [];
  const scanner = new CsvScanner(
    limits,
    (record) => {
      rows.push(Array.from({ length: record.fields }, (_, i) => record.text(i)));
      lines.push(record.line);
    },
    (line, reason) => problems.push([line, reason]),
  );
  const ends = [...new Set(cuts.filter((c) => c < bytes.length))].sort((a, b) => a - b);
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    // The reader may not keep a block it was lent.
    const lent = bytes.slice(from, end);
    scanner.push(lent, false);
    lent.fill(0x58);
    from = end;
  }
  scanner.push(new Uint8Array(0), true);
  return { rows, lines, problems };
}

const text = (s: string, cuts?: readonly number[]): Read => scan(new TextEncoder().encode(s), cuts);

function quote(field: string): string {
  return `"${field.replaceAll('"', '""')}"`;
}

const someField = fc.string({
  unit: fc.constantFrom(...Array.from('ab1 ",\n\r\té𝔘=\'')),
  maxLength: 6,
});

describe('what RFC 4180 allows', () => {
  it('gives back any table, cut anywhere, with the line of each record', () => {
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) =>
        fc.array(fc.array(someField, { minLength: width, maxLength: width }), { maxLength: 6 }),
      );
    fc.assert(
      fc.property(
        table,
        fc.array(fc.nat(80), { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.boolean(),
        (rows, cuts, end, bom, lastEnd) => {
          const records = rows.map((row) => row.map(quote).join(','));
          const body = records.join(end) + (lastEnd && rows.length > 0 ? end : '');
          const read = text((bom ? '\ufeff' : '') + body, cuts);
          expect(read.problems).toEqual([]);
          expect(read.rows).toEqual(rows);
          let line = 1;
          const starts = records.map((record) => {
            const start = line;
            line += record.split('\n').length;
            return start;
          });
          expect(read.lines).toEqual(starts);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('agrees with the reader of DuckDB on tables written half quoted', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'parley-csv-'));
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const file = join(dir, 'a.csv');
    const cell = fc.tuple(
      fc.string({ unit: fc.constantFrom(...Array.from('ab1 é')), maxLength: 4 }),
      fc.boolean(),
    );
    const special = fc.constantFrom<[string, boolean]>(
      ['a,b', true],
      ['a"b', true],
      ['a\nb', true],
    );
    const row = fc.array(fc.oneof(cell, special), { minLength: 3, maxLength: 3 });
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 5 }), async (rows) => {
          const body = rows.map((r) => r.map(([s, q]) => (q ? quote(s) : s)).join(',')).join('\n');
          writeFileSync(file, `x,y,z\n${body}\n`);
          const theirs = await connection.runAndReadAll(
            `SELECT * FROM read_csv('${file}', auto_detect=false, header=true, delim=',', quote='"',
               escape='"', columns={'x':'VARCHAR','y':'VARCHAR','z':'VARCHAR'}, parallel=false)`,
          );
          const known = theirs.getRows().map((r) => r.map((v) => (v === null ? '' : String(v))));
          expect(text(`x,y,z\n${body}\n`).rows.slice(1)).toEqual(known);
        }),
        { numRuns: 60 },
      );
    } finally {
      connection.closeSync();
      instance.closeSync();
      rmSync(dir, { recursive: true });
    }
  });

  it('tells a blank line from an empty quoted field', () => {
    const blanks: boolean[] = [];
    const scanner = new CsvScanner(
      LIMITS,
      (r) => blanks.push(r.blank),
      () => undefined,
    );
    scanner.push(new TextEncoder().encode('\n\r\n""\n,\n'), true);
    expect(blanks).toEqual([true, true, false, false]);
  });
});

describe('what it does not allow', () => {
  it.each([
    ['a quote inside a field', 'a,b\n1,x"y\n2,z\n', 2, 'a quote inside a field'],
    ['text after a quote', 'a,b\n1,"x"y\n2,z\n', 2, 'text after a closing quote'],
    ['a lone carriage return', 'a,b\n1,x\ry\n2,z\n', 2, 'a carriage return that ends no line'],
    ['a quote after quoted lines', 'a,b\n"p\nq"r,x\n2,z\n', 2, 'text after a closing quote'],
  ])('names the line of %s and goes on', (_, body, line, reason) => {
    const whole = text(body);
    expect(whole.problems).toEqual([[line, reason]]);
    expect(whole.rows.at(-1)).toEqual(['2', 'z']);
    expect(whole.lines.at(-1)).toBe(body.split('\n').length - 1);
    for (let cut = 1; cut < body.length; cut += 1) expect(text(body, [cut])).toEqual(whole);
  });

  it('names bytes that are not UTF-8, also at the very end', () => {
    const read = scan(Uint8Array.of(0x61, 0x0a, 0xc3, 0x28, 0x0a, 0x62, 0x0a, 0xe2, 0x82));
    expect(read.rows).toEqual([['a'], ['b']]);
    expect(read.problems.map(([line]) => line)).toEqual([2, 4]);
  });

  it('stops at a quote that is never closed', () => {
    const body = 'a,b\n1,"x\n2,y\n';
    expect(text(body)).toMatchObject({
      rows: [['a', 'b']],
      problems: [[2, 'a quote that is never closed']],
    });
  });

  it('takes a record at the limit and stops past it', () => {
    const at = `${'x'.repeat(999)}\n`;
    expect(text(`${at}y\n`)).toMatchObject({ problems: [], lines: [1, 2] });
    const past = text(`x${at}y\n`, [10, 500, 1000]);
    expect(past.rows).toEqual([]);
    expect(past.problems).toHaveLength(1);
    expect(past.problems[0]?.[1]).toContain('longer than 1000 bytes');
    // A bad record without an end is cut off too, not kept for ever.
    expect(text(`a"${'x'.repeat(2000)}`, [500, 1500]).problems[0]?.[1]).toContain('longer than');
  });

  it('takes as many fields as the limit and names a record with more', () => {
    expect(text(','.repeat(49)).rows[0]).toHaveLength(50);
    expect(text(`${','.repeat(50)}\nx`)).toMatchObject({
      rows: [['x']],
      problems: [[1, 'more than 50 fields']],
    });
  });

  it('neither throws nor depends on the cuts for any bytes at all', () => {
    const bytes = fc.array(fc.constantFrom(0x22, 0x2c, 0x0a, 0x0d, 0x61, 0xc3, 0xa9, 0xef), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(40), { maxLength: 5 }), (raw, cuts) => {
        const data = Uint8Array.from(raw);
        expect(scan(data, cuts)).toEqual(scan(data));
      }),
      { numRuns: 500 },
    );
  });
});
