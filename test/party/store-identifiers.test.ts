// Goal: identifiers that name one person give one unit, and others do not.
import fc from 'fast-check';
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import {
  hashIdentifiers,
  normaliseIdentifier,
  unitHasher,
} from '../../src/party/store/identifiers.ts';

interface Vector {
  readonly raw: string;
  readonly normalised: string;
  readonly sha256?: string;
}
interface Vectors {
  readonly emails: readonly Vector[];
  readonly phones: readonly Vector[];
}

const VECTORS = JSON.parse(
  readFileSync(new URL('../vectors/uid2/normalisation.json', import.meta.url), 'utf8'),
) as Vectors;
const SALT = Uint8Array.from({ length: 32 }, (_, i) => i);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('UID2 vectors', () => {
  it.each(VECTORS.emails)('e-mail $raw', ({ raw, normalised, sha256: digest }) => {
    expect(normaliseIdentifier('email', raw)).toBe(normalised);
    expect(normaliseIdentifier('email', ` ${raw}\t`)).toBe(normalised);
    expect(sha256(normaliseIdentifier('email', raw) ?? '')).toBe(digest);
  });

  it('joins the e-mails whose normalised forms are equal, and no others', () => {
    const units = hashIdentifiers(
      SALT,
      'email',
      VECTORS.emails.map((v) => v.raw),
    );
    VECTORS.emails.forEach((a, i) =>
      VECTORS.emails.forEach((b, j) => {
        const equal = toHex(units[i] as Uint8Array) === toHex(units[j] as Uint8Array);
        expect(equal).toBe(a.normalised === b.normalised);
      }),
    );
  });

  it.each(VECTORS.phones)('phone $raw', ({ raw, normalised, sha256: digest }) => {
    expect(normaliseIdentifier('phone', normalised)).toBe(normalised);
    if (digest !== undefined) expect(sha256(normalised)).toBe(digest);
    // Without its plus the country is unknown, and the raw text is refused, never guessed at.
    expect(normaliseIdentifier('phone', raw)).toBeNull();
  });
});

describe('e-mail', () => {
  it.each([
    ['ZOË@Example.com', 'zoë@example.com'],
    ['zoe\u0308@example.com', 'zoë@example.com'],
    ['a.b+c@gmail.com.au', 'a.b+c@gmail.com.au'],
    ['a.b+c@googlemail.com', 'a.b+c@googlemail.com'],
    ['a.b+c+d@GMAIL.com', 'ab@gmail.com'],
  ])('%s becomes %s', (raw, normalised) => {
    expect(normaliseIdentifier('email', raw)).toBe(normalised);
  });

  it.each(['alice', '@example.com', 'alice@', 'a b@example.com', 'a@b@c', 'a\0@b', '+x@gmail.com'])(
    'refuses %j',
    (raw) => expect(normaliseIdentifier('email', raw)).toBeNull(),
  );

  it('takes 320 characters and refuses 321', () => {
    const of = (n: number): string => `${'a'.repeat(n - 4)}@b.c`;
    expect(normaliseIdentifier('email', of(320))).toBe(of(320));
    expect(normaliseIdentifier('email', of(321))).toBeNull();
  });
});

describe('phone', () => {
  it.each([
    ['+1 (234) 567-8901', '+12345678901'],
    ['+65.1243.5678', '+6512435678'],
    ['+12345678', '+12345678'],
    ['+123456789012345', '+123456789012345'],
  ])('%s becomes %s', (raw, normalised) => {
    expect(normaliseIdentifier('phone', raw)).toBe(normalised);
  });

  it.each([
    '+1234567',
    '+1234567890123456',
    '0012345678901',
    '+0123456789',
    '+12345678x',
    '++12345678',
    '+١٢٣٤٥٦٧٨٩',
  ])('refuses %s', (raw) => expect(normaliseIdentifier('phone', raw)).toBeNull());
});

describe('every kind', () => {
  const someKind = fc.constantFrom('email' as const, 'phone' as const, 'exact' as const);

  it.each(['email', 'phone', 'exact'] as const)('%s: nothing but space is empty', (kind) => {
    expect(normaliseIdentifier(kind, '')).toBe('');
    expect(normaliseIdentifier(kind, ' \t\u00a0\n')).toBe('');
    expect(hashIdentifiers(SALT, kind, [' '])).toEqual(['']);
  });

  it('normalising twice changes nothing', () => {
    const someText = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc
        .tuple(
          fc.string({ unit: 'grapheme', maxLength: 9 }),
          fc.constantFrom('@gmail.com', '@İ.com'),
        )
        .map((t) => t.join('')),
    );
    fc.assert(
      fc.property(someKind, someText, (kind, raw) => {
        const once = normaliseIdentifier(kind, raw);
        if (once !== null) expect(normaliseIdentifier(kind, once)).toBe(once);
      }),
      { numRuns: 500 },
    );
  });

  it('the unit is HMAC-SHA-256 over kind, zero byte and normalised text', () => {
    fc.assert(
      fc.property(
        someKind,
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
        (kind, id) => {
          const known = createHmac('sha256', SALT).update(`${kind}\0${id}`).digest('hex');
          expect(toHex(unitHasher(SALT, kind)(id))).toBe(known);
        },
      ),
    );
    const long = '𝔘'.repeat(160);
    expect(toHex(unitHasher(SALT, 'exact')(long))).toBe(
      createHmac('sha256', SALT).update(`exact\0${long}`).digest('hex'),
    );
  });

  it('a unit handed out stays as it is when the next one is made', () => {
    const unitOf = unitHasher(SALT, 'exact');
    const first = unitOf('a');
    const copy = toHex(first);
    unitOf('b');
    expect(toHex(first)).toBe(copy);
  });
});
