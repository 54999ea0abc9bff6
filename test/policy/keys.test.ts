// Goal: signatures are Ed25519 as Wycheproof has it, key files come back as they were written and
// are private, and a private key never shows in text.
import { chmodSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { toBase64Url, utf8 } from '../../src/core/bytes.ts';
import { Redacted, reveal } from '../../src/core/redacted.ts';
import {
  formatPublicKey,
  generateAnalystKeys,
  generateKeyPair,
  generatePartyKeys,
  keyPairOf,
  loadAnalystKeys,
  loadPartyKeys,
  parsePublicKey,
  saveKeys,
  signBytes,
  signDocument,
  verifyBytes,
  verifyDocument,
} from '../../src/policy/index.ts';

interface Wycheproof {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: 'valid' | 'invalid';
    }[];
  }[];
}

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

describe('signatures', () => {
  it('agrees with every Wycheproof Ed25519 case', () => {
    const url = new URL('../vectors/wycheproof/ed25519_test.json', import.meta.url);
    const file = JSON.parse(readFileSync(url, 'utf8')) as Wycheproof;
    let seen = 0;
    for (const { publicKey, tests } of file.testGroups) {
      const key = formatPublicKey('ed25519', hex(publicKey.pk));
      for (const { tcId, msg, sig, result } of tests) {
        expect([tcId, verifyBytes(key, hex(msg), hex(sig))]).toEqual([tcId, result === 'valid']);
        seen += 1;
      }
    }
    expect(seen).toBe(file.numberOfTests);
  });

  it('agrees with RFC 8032 section 7.1, test 2', () => {
    const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
    const pair = keyPairOf('ed25519', new Redacted(hex(seed)));
    expect(pair.publicKey).toBe(
      formatPublicKey(
        'ed25519',
        hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
      ),
    );
    expect(Buffer.from(signBytes(pair.privateKey, hex('72'))).toString('hex')).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
        '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
  });

  it('binds a document to its domain, content and key', () => {
    const pair = generateKeyPair('ed25519');
    const signature = signDocument('parley/a/v1', { x: 1 }, pair.privateKey);
    expect(verifyDocument('parley/a/v1', { x: 1 }, pair.publicKey, signature)).toBe(true);
    expect(verifyDocument('parley/b/v1', { x: 1 }, pair.publicKey, signature)).toBe(false);
    expect(verifyDocument('parley/a/v1', { x: 2 }, pair.publicKey, signature)).toBe(false);
    const other = generateKeyPair('ed25519').publicKey;
    expect(verifyDocument('parley/a/v1', { x: 1 }, other, signature)).toBe(false);
    expect(verifyDocument('parley/a/v1', { x: 1 }, pair.publicKey, `${signature}A`)).toBe(false);
  });

  it('refuses a small-order key that would verify a forged signature', () => {
    // R = identity, s = 0 under the identity as key verifies any message by the bare equation.
    const identity = hex('01'.padEnd(64, '0'));
    const forged = hex('01'.padEnd(128, '0'));
    expect(verifyBytes(formatPublicKey('ed25519', identity), utf8('any'), forged)).toBe(false);
  });
});

describe('public keys', () => {
  it.each([
    ['another curve', 'x25519:'],
    ['no prefix', ''],
  ])('refuses %s', (_, prefix) => {
    const raw = toBase64Url(parsePublicKey('ed25519', generateKeyPair('ed25519').publicKey));
    expect(() => parsePublicKey('ed25519', prefix + raw)).toThrow(
      expect.objectContaining({ code: 'REQUEST_MALFORMED' }),
    );
  });
});

describe('key files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-keys-'));

  it('come back as they were written, private to their owner', () => {
    const party = generatePartyKeys();
    const analyst = generateAnalystKeys();
    const [a, b] = [join(folder, 'party.json'), join(folder, 'analyst.json')];
    saveKeys(a, party);
    saveKeys(b, analyst);
    expect(statSync(a).mode & 0o777).toBe(0o600);
    const loaded = loadPartyKeys(a);
    expect(loaded.identity.publicKey).toBe(party.identity.publicKey);
    expect(reveal(loaded.link.privateKey)).toEqual(reveal(party.link.privateKey));
    expect(reveal(loadAnalystKeys(b).sealing.privateKey)).toEqual(
      reveal(analyst.sealing.privateKey),
    );
  });

  it('are never overwritten', () => {
    const path = join(folder, 'once.json');
    saveKeys(path, generatePartyKeys());
    const before = readFileSync(path, 'utf8');
    expect(() => saveKeys(path, generatePartyKeys())).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  it.each([
    ['open to others', (text: string) => text, 0o644, 'BAD_CONFIG'],
    ['not JSON', () => 'keys', 0o600, 'BAD_CONFIG'],
    ['of another kind', (t: string) => t.replace('"party"', '"analyst"'), 0o600, 'BAD_CONFIG'],
    ['cut', (text: string) => text.slice(0, 200), 0o600, 'BAD_CONFIG'],
  ])('are refused when %s', (name, edit, mode, code) => {
    const path = join(folder, `${name}.json`);
    saveKeys(path, generatePartyKeys());
    writeFileSync(path, edit(readFileSync(path, 'utf8')));
    chmodSync(path, mode);
    expect(() => loadPartyKeys(path)).toThrow(expect.objectContaining({ code }));
  });

  it('are refused when the halves were mixed, without quoting them', () => {
    const path = join(folder, 'mixed.json');
    const keys = generatePartyKeys();
    const mixed = { ...keys.identity, privateKey: generateKeyPair('ed25519').privateKey };
    saveKeys(path, { ...keys, identity: mixed });
    let caught: unknown;
    try {
      loadPartyKeys(path);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: 'BAD_CONFIG' });
    expect(inspect(caught)).not.toContain(toBase64Url(reveal(mixed.privateKey)));
  });

  it('are named when missing', () => {
    expect(() => loadPartyKeys(join(folder, 'none.json'))).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
  });

  it('never print a private key', () => {
    const keys = generatePartyKeys();
    const secret = reveal(keys.identity.privateKey);
    for (const text of [
      JSON.stringify(keys),
      inspect(keys, { depth: 9 }),
      String(keys.identity.privateKey),
    ]) {
      expect(text).not.toContain(toBase64Url(secret));
      expect(text).not.toContain(Buffer.from(secret).toString('hex'));
    }
  });
});
