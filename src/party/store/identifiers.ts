import { hash } from 'node:crypto';
import { utf8 } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import type { IdentifierKind } from '../../policy/types.ts';
import { IDENTIFIER_CHARS_MAX } from './limits.ts';

/** Bytes of a privacy unit: one HMAC-SHA-256 tag. */
export const UNIT_BYTES = 32;

/** Bytes of a room's identifier salt. */
export const SALT_BYTES = 32;

const NOT_ASCII = /[^\0-\x7f]/;
const EMAIL = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u;
const PHONE_PUNCTUATION = /[\s().-]/g;
/** ITU-T E.164 section 6: at most 15 digits, the first of which begins a country code. */
const PHONE = /^\+[1-9][0-9]{7,14}$/;

function nfc(text: string): string {
  return NOT_ASCII.test(text) ? text.normalize('NFC') : text;
}

function email(trimmed: string): string | null {
  // Lower-casing can undo composition, so NFC is taken again.
  const lower = nfc(trimmed.toLowerCase());
  if (!EMAIL.test(lower)) return null;
  if (!lower.endsWith('@gmail.com')) return lower;
  // Only gmail.com ignores dots and a +suffix; other providers may not.
  const local = lower.slice(0, lower.indexOf('@'));
  const plus = local.indexOf('+');
  const kept = (plus < 0 ? local : local.slice(0, plus)).replaceAll('.', '');
  return kept === '' ? null : `${kept}@gmail.com`;
}

function phone(trimmed: string): string | null {
  const digits = trimmed.replace(PHONE_PUNCTUATION, '');
  // Without the plus the country is a guess, and a wrong guess joins two people.
  return PHONE.test(digits) ? digits : null;
}

/**
 * Brings an identifier to the one form that both parties hash.
 *
 * `email`: NFC, trimmed, lower case, then the UID2 rules (IAB Tech Lab, "Normalization and
 * Encoding"): for gmail.com alone, dots and a `+suffix` of the local part are removed. `phone`:
 * E.164 with spaces, dashes, dots and parentheses removed; the leading plus is required. `exact`:
 * NFC and trimmed.
 *
 * @returns the normalised form, the empty string when there is none (an empty identifier matches
 *   nobody), or null when the text is no identifier of this kind.
 */
export function normaliseIdentifier(kind: IdentifierKind, raw: string): string | null {
  const trimmed = nfc(raw).trim();
  if (trimmed === '') return '';
  const normalised =
    kind === 'email' ? email(trimmed) : kind === 'phone' ? phone(trimmed) : trimmed;
  return normalised === null || normalised.length > IDENTIFIER_CHARS_MAX ? null : normalised;
}

/**
 * The privacy unit of an identifier: HMAC-SHA-256 under the room's salt over
 * `kind ‖ 0x00 ‖ normalised`, 32 bytes. The salt is known to every party of the room, so a unit is
 * a pseudonym and protects nothing by itself.
 *
 * Source: RFC 2104. The two padded keys are prepared once, because a table has millions of
 * identifiers and node:crypto's Hmac object costs three times the two hashes.
 *
 * @returns a function from a non-empty result of {@link normaliseIdentifier} to its unit.
 */
export function unitHasher(
  salt: Uint8Array,
  kind: IdentifierKind,
): (normalised: string) => Uint8Array {
  expect(salt.length === SALT_BYTES, 'the salt has 32 bytes');
  const padded = (pad: number): number[] =>
    Array.from({ length: 64 }, (_, i) => (salt[i] ?? 0) ^ pad);
  const prefix = Buffer.concat([Buffer.from(padded(0x36)), utf8(`${kind}\0`)]);
  // A UTF-16 unit is at most three bytes of UTF-8.
  const inner = Buffer.alloc(prefix.length + 3 * IDENTIFIER_CHARS_MAX);
  const outer = Buffer.alloc(64 + UNIT_BYTES);
  const tag = Buffer.alloc(UNIT_BYTES);
  inner.set(prefix);
  outer.set(padded(0x5c));
  return (normalised) => {
    expect(normalised !== '', 'an empty identifier has no unit');
    expect(normalised.length <= IDENTIFIER_CHARS_MAX, 'the identifier was normalised');
    const end = prefix.length + inner.write(normalised, prefix.length, 'utf8');
    // A digest as a string of bytes is several times cheaper than one in a Buffer of its own.
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), 64, 'latin1');
    tag.write(hash('sha256', outer, 'binary'), 'latin1');
    return new Uint8Array(tag);
  };
}

/**
 * Normalises and hashes a batch.
 *
 * @returns per identifier its 32 bytes, the empty string when it is empty, or null when it is no
 *   identifier of this kind.
 */
export function hashIdentifiers(
  salt: Uint8Array,
  kind: IdentifierKind,
  raws: readonly string[],
): (Uint8Array | '' | null)[] {
  const unitOf = unitHasher(salt, kind);
  return raws.map((raw) => {
    const normalised = normaliseIdentifier(kind, raw);
    return normalised === null || normalised === '' ? normalised : unitOf(normalised);
  });
}
