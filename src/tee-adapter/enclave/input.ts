import type { webcrypto } from 'node:crypto';
import { fromBase64Url, toBase64Url, toHex, wipe } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { reveal, type Redacted } from '../../core/redacted.ts';
import type { LocalTable } from '../../engine/types.ts';
import { domainSeparated, parsePublicKey } from '../../policy/index.ts';
import { hpkeSuite } from '../../records/seal.ts';
import type { PlanSide } from '../../sql/index.ts';

const ID_BYTES = 32;
const ENC_BYTES = 32;
const TAG_BYTES = 16;
const HEAD_BYTES = 4;

/** What a sealed input is bound to: opening it in another run, or as another party's, fails. */
export interface InputContext {
  readonly policy_digest: string;
  readonly plan_digest: string;
  readonly session: string;
  readonly evidence_digest: string;
  readonly party: string;
}

export interface SealedInput {
  readonly party: string;
  /** Encapsulated key, base64url of 32 bytes. */
  readonly enc: string;
  readonly ciphertext: Uint8Array;
}

/** Bytes of an encoded table: by the plan alone, so that the length tells nothing of the rows. */
export function inputBytes({ capacity, slots, columns, bits }: PlanSide): number {
  const cell = 1 + 9 * columns.length + bits.length;
  return HEAD_BYTES + capacity * (ID_BYTES + slots * cell);
}

/** Bytes of a sealed input, tag included. */
export function sealedInputBytes(side: PlanSide): number {
  return inputBytes(side) + TAG_BYTES;
}

/** `users ‖ ids ‖ valid ‖ (values ‖ present) per column ‖ bits`, every part at full capacity. */
export function encodeInput(table: LocalTable, side: PlanSide): Uint8Array {
  const { capacity, slots, columns } = side;
  expect(table.users <= capacity && table.slots === slots, 'a table fits its side of the plan');
  const out = new Uint8Array(inputBytes(side));
  const view = new DataView(out.buffer);
  view.setUint32(0, table.users);
  let at = HEAD_BYTES;
  const part = (bytes: Uint8Array, full: number): void => {
    out.set(bytes, at);
    at += full;
  };
  part(table.ids, capacity * ID_BYTES);
  part(table.valid, capacity * slots);
  for (const column of columns) {
    for (const value of table.values[column]!) {
      view.setFloat64(at, value);
      at += 8;
    }
    at += 8 * (capacity * slots - table.values[column]!.length);
    part(table.present[column]!, capacity * slots);
  }
  for (const bits of table.bits) part(bits, capacity * slots);
  return out;
}

function malformed(party: string): never {
  throw new ParleyError('DATA_BAD_ROWS', 'an input has another form than its plan', { party });
}

/** @throws ParleyError DATA_BAD_ROWS: another length, too many users, values that are none. */
export function decodeInput(bytes: Uint8Array, side: PlanSide): LocalTable {
  const { party, capacity, slots, columns } = side;
  if (bytes.length !== inputBytes(side)) malformed(party);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const users = view.getUint32(0);
  if (users > capacity) malformed(party);
  const cells = users * slots;
  let at = HEAD_BYTES;
  const part = (length: number, full: number): Uint8Array => {
    const taken = bytes.slice(at, at + length);
    at += full;
    return taken;
  };
  const flags = (): Uint8Array => {
    const taken = part(cells, capacity * slots);
    return taken.every((flag) => flag <= 1) ? taken : malformed(party);
  };
  const ids = part(users * ID_BYTES, capacity * ID_BYTES);
  const distinct = new Set<string>();
  for (let u = 0; u < users; u += 1) {
    distinct.add(toHex(ids.subarray(u * ID_BYTES, (u + 1) * ID_BYTES)));
  }
  if (distinct.size !== users) malformed(party);
  const valid = flags();
  const values: Record<string, Float64Array> = {};
  const present: Record<string, Uint8Array> = {};
  for (const column of columns) {
    const own = new Float64Array(cells);
    for (let i = 0; i < cells; i += 1) own[i] = view.getFloat64(at + 8 * i);
    if (!own.every(Number.isSafeInteger)) malformed(party);
    at += 8 * capacity * slots;
    values[column] = own;
    present[column] = flags();
  }
  const bits = side.bits.map(flags);
  return { users, ids, slots, valid, values, present, bits };
}

export function wipeTable({ ids, valid, values, present, bits }: LocalTable): void {
  wipe(ids, valid, ...Object.values(present), ...bits);
  for (const column of Object.values(values)) column.fill(0);
}

function infoOf(context: InputContext): Uint8Array {
  const { policy_digest, plan_digest, session, evidence_digest, party } = context;
  const bound = { policy_digest, plan_digest, session, evidence_digest, party };
  return domainSeparated('parley/tee-input/v1', bound);
}

/**
 * Seals one party's input to the key its evidence binds. RFC 9180 base mode, empty aad; who sealed
 * it is said by the authorisation, which only the party can sign.
 */
export async function sealInput(
  plaintext: Uint8Array,
  sealingKey: string,
  context: InputContext,
): Promise<SealedInput> {
  const suite = hpkeSuite();
  const recipientPublicKey = (await suite.kem.deserializePublicKey(
    parsePublicKey('x25519', sealingKey),
  )) as webcrypto.CryptoKey;
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoOf(context) }, plaintext);
  const { party } = context;
  return { party, enc: toBase64Url(new Uint8Array(enc)), ciphertext: new Uint8Array(ct) };
}

/** @throws ParleyError DATA_BAD_ROWS when it was sealed to another key or run, or altered. */
export async function openInput(
  { enc, ciphertext }: SealedInput,
  privateKey: Redacted<Uint8Array>,
  context: InputContext,
): Promise<Uint8Array> {
  const { party } = context;
  if (ciphertext.length < TAG_BYTES) malformed(party);
  try {
    const suite = hpkeSuite();
    const recipientKey = (await suite.kem.deserializePrivateKey(
      reveal(privateKey),
    )) as webcrypto.CryptoKey;
    const key = { recipientKey, enc: fromBase64Url(enc, ENC_BYTES), info: infoOf(context) };
    return new Uint8Array(await suite.open(key, ciphertext));
  } catch (cause) {
    throw new ParleyError('DATA_BAD_ROWS', 'a sealed input does not open', { party }, cause);
  }
}
