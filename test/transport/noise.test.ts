// Goal: the handshake and the transport ciphers are Noise's, byte for byte as another
// implementation makes them, and refuse what Noise says to refuse.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import {
  CipherState,
  dh,
  dhKeyPairOf,
  generateDhKeyPair,
  HandshakeState,
  KK,
  NN,
  NX,
  protocolName,
  type DhKeyPair,
} from '../../src/transport/noise/index.ts';

interface Vector {
  readonly name: string;
  readonly init_prologue: string;
  readonly init_static?: string;
  readonly init_ephemeral: string;
  readonly init_remote_static?: string;
  readonly resp_prologue: string;
  readonly resp_static?: string;
  readonly resp_ephemeral: string;
  readonly resp_remote_static?: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../vectors/noise/cacophony.json', import.meta.url), 'utf8'),
) as { readonly vectors: readonly Vector[] };

describe.each(vectors)('$name', (vector) => {
  it('makes and reads the published messages', () => {
    const pattern = [KK, NN, NX].find((p) => protocolName(p) === vector.name)!;
    const initiator = sideOf(vector, pattern, true);
    const responder = sideOf(vector, pattern, false);
    const count = pattern.messages.length;
    vector.messages.slice(0, count).forEach(({ payload, ciphertext }, i) => {
      const [writer, reader] = i % 2 === 0 ? [initiator, responder] : [responder, initiator];
      const message = writer.write(bytes(payload));
      expect(toHex(message)).toBe(ciphertext);
      expect(toHex(reader.read(message))).toBe(payload);
    });
    const [a, b] = [initiator.split(), responder.split()];
    expect(a.handshakeHash).toEqual(b.handshakeHash);
    vector.messages.slice(count).forEach(({ payload, ciphertext }, i) => {
      const [from, to] = (i + count) % 2 === 0 ? [a, b] : [b, a];
      const message = from.sending.encryptWithAd(new Uint8Array(0), bytes(payload));
      expect(toHex(message)).toBe(ciphertext);
      expect(toHex(to.receiving.decryptMessage(message))).toBe(payload);
    });
  });
});

it('covers the pattern that links run', () => {
  expect(vectors.map((v) => v.name)).toContain('Noise_KK_25519_AESGCM_SHA256');
});

it.each([
  ['a short message', (m: Uint8Array) => m.slice(0, 31)],
  ['a cut tag', (m: Uint8Array) => m.slice(0, -1)],
  ['a flipped bit', (m: Uint8Array) => m.map((byte, i) => (i === m.length - 1 ? byte ^ 1 : byte))],
  ['an ephemeral key of order 4', (m: Uint8Array) => m.map((byte, i) => (i < 32 ? 0 : byte))],
])('refuses %s in the handshake', (_, edit) => {
  const [initiator, responder] = pair();
  expect(() => responder.read(edit(initiator.write(new Uint8Array(0))))).toThrow(
    expect.objectContaining({ code: 'LINK_AUTH_FAILED' }),
  );
});

// Points of order 1, 2, 4 and 8 and the non-canonical encodings of 0 and 1 (RFC 7748 section 6.1).
it.each([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])('refuses the low-order public key %s', (key) => {
  expect(() => dh(generateDhKeyPair(), fromHex(key, 32))).toThrow(
    expect.objectContaining({ code: 'LINK_AUTH_FAILED' }),
  );
});

it('uses a nonce once, in order, and never past the limit', () => {
  const key = new Uint8Array(32).fill(7);
  const [a, b] = [new CipherState(key, 3), new CipherState(key, 3)];
  const empty = new Uint8Array(0);
  const messages = [0, 1, 2].map((n) => a.encryptWithAd(empty, Uint8Array.of(n)));
  expect(new Set(messages.map(toHex)).size).toBe(3);
  expect(() => a.encryptWithAd(empty, empty)).toThrow(
    expect.objectContaining({ code: 'CHANNEL_CLOSED' }),
  );
  expect(toHex(b.decryptMessage(messages[0]!))).toBe('00');
  expect(() => b.decryptMessage(messages[0]!)).toThrow(
    expect.objectContaining({ code: 'LINK_TAMPERED' }),
  );
});

function bytes(hex: string): Uint8Array {
  return fromHex(hex, hex.length / 2);
}

function keyPair(hex: string | undefined): DhKeyPair | null {
  return hex === undefined ? null : dhKeyPairOf(new Redacted(bytes(hex)));
}

function sideOf(v: Vector, pattern: typeof KK, initiator: boolean): HandshakeState {
  const remote = initiator ? v.init_remote_static : v.resp_remote_static;
  return new HandshakeState({
    pattern,
    initiator,
    prologue: bytes(initiator ? v.init_prologue : v.resp_prologue),
    localStatic: keyPair(initiator ? v.init_static : v.resp_static),
    remoteStatic: remote === undefined ? null : bytes(remote),
    ephemeral: () => keyPair(initiator ? v.init_ephemeral : v.resp_ephemeral)!,
  });
}

function pair(): [HandshakeState, HandshakeState] {
  const [a, b] = [generateDhKeyPair(), generateDhKeyPair()];
  const common = { pattern: KK, prologue: new Uint8Array(0), ephemeral: generateDhKeyPair };
  return [
    new HandshakeState({
      ...common,
      initiator: true,
      localStatic: a,
      remoteStatic: b.publicKey,
    }),
    new HandshakeState({
      ...common,
      initiator: false,
      localStatic: b,
      remoteStatic: a.publicKey,
    }),
  ];
}
