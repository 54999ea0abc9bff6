// Goal: equal JSON values give equal bytes exactly as RFC 8785 has them, and whatever is not JSON,
// or not one unambiguous JSON document, is refused.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUtf8, toHex } from '../../src/core/bytes.ts';
import { canonicalJson, digestOf, parseJsonStrict } from '../../src/policy/index.ts';

const vectors = new URL('../vectors/jcs/', import.meta.url);
const LIMITS = { bytesMax: 1 << 20 };
const json = fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' });

describe('canonical JSON', () => {
  it('agrees with sorting keys in a plain reference', () => {
    const sorted = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(sorted)
        : typeof value === 'object' && value !== null
          ? new Map(Object.entries(value).map(([k, v]) => [k, sorted(v)]))
          : value;
    const text = (value: unknown): string =>
      value instanceof Map
        ? `{${[...value.keys()]
            .sort()
            .map((k) => `${JSON.stringify(k)}:${text(value.get(k))}`)
            .join(',')}}`
        : Array.isArray(value)
          ? `[${value.map(text).join(',')}]`
          : JSON.stringify(value);
    fc.assert(
      fc.property(json, (value) => {
        expect(fromUtf8(canonicalJson(value))).toBe(text(sorted(value)));
      }),
    );
  });

  it('does not depend on the order of keys', () => {
    expect(canonicalJson({ b: 1, a: [true, null] })).toEqual(
      canonicalJson({ a: [true, null], b: 1 }),
    );
  });

  it('pins a digest with its domain', () => {
    const bytes = Buffer.concat([Buffer.from('parley/test/v1\0'), Buffer.from('{"a":1,"b":"ü"}')]);
    expect(digestOf('parley/test/v1', { b: 'ü', a: 1 })).toBe(
      createHash('sha256').update(bytes).digest('hex'),
    );
    expect(digestOf('parley/test/v1', {})).not.toBe(digestOf('parley/test/v2', {}));
  });

  it.each([
    ['undefined', undefined],
    ['an undefined property', { a: undefined }],
    ['a hole in an array', new Array(1)],
    ['NaN', NaN],
    ['infinity', [-Infinity]],
    ['a BigInt', 1n],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['bytes', new Uint8Array(1)],
    ['a function', () => 1],
    ['a symbol key', { [Symbol('s')]: 1 }],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a key', { '\udc00': 1 }],
  ])('refuses %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });

  it('writes 1,000 levels and refuses one more', () => {
    const nested = (levels: number): unknown => {
      let value: unknown = 0;
      for (let i = 0; i < levels; i++) value = [value];
      return value;
    };
    expect(canonicalJson(nested(1000))).toHaveLength(2001);
    expect(() => canonicalJson(nested(1001))).toThrow(/nested too deeply/);
  });

  it.each(readdirSync(new URL('input/', vectors)))('matches RFC 8785 %s', (file) => {
    const value = JSON.parse(readFileSync(new URL(`input/${file}`, vectors), 'utf8')) as unknown;
    const hex = readFileSync(
      new URL(`outhex/${file.replace('.json', '.txt')}`, vectors),
      'utf8',
    ).replace(/\s/g, '');
    expect(toHex(canonicalJson(value))).toBe(hex);
    expect(fromUtf8(canonicalJson(value))).toBe(
      readFileSync(new URL(`output/${file}`, vectors), 'utf8').trim(),
    );
  });
});

describe('strict JSON', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        // Whole numbers beyond 2^53 are refused on purpose; see below.
        fc.pre(!/(^|[^\d.e+])-?\d{16,}($|[^\d.e])/.test(text));
        expect(parseJsonStrict(text, LIMITS)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('never accepts what JSON.parse refuses', () => {
    const mutated = fc
      .tuple(json, fc.nat(), fc.string({ maxLength: 2 }))
      .map(([value, at, insert]) => {
        const text = JSON.stringify(value);
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + insert + text.slice(cut + (at % 2));
      });
    fc.assert(
      fc.property(mutated, (text) => {
        let ours: unknown;
        try {
          ours = parseJsonStrict(text, LIMITS);
        } catch (error) {
          expect(error).toMatchObject({ code: 'REQUEST_MALFORMED' });
          return;
        }
        expect(ours).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a duplicate key', '{"a":1,"a":2}'],
    ['a duplicate key behind an escape', '{"a":1,"\\u0061":2}'],
    ['__proto__', '{"__proto__":{}}'],
    ['an escaped __proto__', '{"__proto\\u005f_":{}}'],
    ['trailing data', '{} {}'],
    ['nothing', ''],
    ['a trailing comma', '[1,]'],
    ['a lone surrogate', '"\\ud800"'],
    ['a control character', '"\u0001"'],
    ['a leading zero', '01'],
    ['a plus sign', '+1'],
    ['NaN', 'NaN'],
    ['an overflow', '1e999'],
    ['an integer a double cannot hold', '9007199254740993'],
    ['single quotes', "{'a':1}"],
    ['a comment', '{}//'],
    ['an unfinished string', '"abc'],
    ['an unfinished object', '{"a":1'],
  ])('refuses %s', (_, text) => {
    expect(() => parseJsonStrict(text, LIMITS)).toThrow(
      expect.objectContaining({ code: 'REQUEST_MALFORMED' }),
    );
  });

  it('keeps members named like methods as plain data', () => {
    const value = parseJsonStrict('{"constructor":1,"toString":2}', LIMITS) as object;
    expect(Object.keys(value)).toEqual(['constructor', 'toString']);
  });

  it('limits bytes and depth, at and past', () => {
    const deep = (n: number): string => '['.repeat(n) + ']'.repeat(n);
    expect(parseJsonStrict(deep(32), LIMITS)).toEqual(JSON.parse(deep(32)));
    expect(() => parseJsonStrict(deep(33), LIMITS)).toThrow(/too deep/);
    expect(() => parseJsonStrict('['.repeat(1 << 19), LIMITS)).toThrow(/too deep/);
    expect(parseJsonStrict('"é"', { bytesMax: 4 })).toBe('é');
    expect(() => parseJsonStrict('"éa"', { bytesMax: 4 })).toThrow(/longer than 4 bytes/);
    expect(() => parseJsonStrict(new Uint8Array([0x22, 0xff, 0x22]), LIMITS)).toThrow(/UTF-8/);
  });

  it('refuses fractions when asked, under the code it is given', () => {
    const limits = { ...LIMITS, integersOnly: true, code: 'POLICY_MALFORMED' } as const;
    expect(parseJsonStrict('[12]', limits)).toEqual([12]);
    for (const text of ['1.0', '1e2']) {
      expect(() => parseJsonStrict(text, limits)).toThrow(
        expect.objectContaining({ code: 'POLICY_MALFORMED' }),
      );
    }
  });
});
