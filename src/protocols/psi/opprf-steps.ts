import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { okvsDecode, okvsEncode, okvsShape, type Okvs } from '../../kernels/okvs/index.ts';
import type { CuckooTable } from './cuckoo.ts';
import { HASHES } from './limits.ts';
import type { JoinShape } from './parameters.ts';
import { ID_BYTES, KEY_BYTES, POINT_BYTES } from './types.ts';

/** Hash index of a pivot's dummy point. No id of the sender is ever evaluated under it. */
const DUMMY_HASH = 255;

/** Bytes of a tag in memory; the bits from `tagBits` on are zero. */
const TAG_BYTES = 8;

/** The part of {@link JoinShape} the OPPRF needs. */
export type OpprfShape = Omit<JoinShape, 'hintBytes'>;

/** One end's output, one row per bin. */
export interface OpprfRows {
  /** bins·8: the comparison tag of each bin. */
  readonly tags: Uint8Array;
  /** bins·xorBytes: XOR share of the payload. */
  readonly xorShare: Uint8Array;
  /** bins·8·ringLanes: additive share of the payload. */
  readonly ringShare: Uint8Array;
}

/** What the sender holds per id. */
export interface SenderInput {
  /** users·32, distinct. */
  readonly ids: Uint8Array;
  /** users·xorBytes. */
  readonly payloadXor: Uint8Array;
  /** users·8·ringLanes. */
  readonly payloadRing: Uint8Array;
}

/** The shape of an OPPRF alone. Bin and tag sizes are the caller's, so that tests can shrink them. */
export function opprfShape(options: Omit<OpprfShape, 'okvs'>): OpprfShape {
  const valueBytes = 8 * options.ringLanes + options.xorBytes + Math.ceil(options.tagBits / 8);
  return { ...options, okvs: okvsShape(HASHES * options.senderCapacity, valueBytes) };
}

/**
 * The one OPRF point of every bin: `id‖j` where hash function j placed an id, and a fresh random id
 * under index 255 where the bin is empty.
 * @returns bins·POINT_BYTES.
 */
export function pivotPoints(ids: Uint8Array, table: CuckooTable, rng: Rng): Uint8Array {
  const bins = table.idOfBin.length;
  const dummies = rng(ID_BYTES * bins);
  const points = new Uint8Array(POINT_BYTES * bins);
  for (let bin = 0; bin < bins; bin++) {
    const id = table.idOfBin[bin]!;
    const at = POINT_BYTES * bin;
    if (id < 0) copyId(points, at, dummies, ID_BYTES * bin);
    else copyId(points, at, ids, ID_BYTES * id);
    points[at + ID_BYTES] = id < 0 ? DUMMY_HASH : table.hashOfBin[bin]!;
  }
  return points;
}

/** What an OPRF without a key per bin is asked for, and how bins find their keys again. */
export interface PlacePoints {
  /** capacity·POINT_BYTES. */
  readonly points: Uint8Array;
  /** Place of each bin's key among the points, -1 for an empty bin. */
  readonly placeOfBin: Int32Array;
}

/**
 * The one OPRF point of every place of the pivot's capacity, in the order of its ids, which says
 * nothing about bins: `id‖j` where function j placed the id, and a fresh random id under index 255
 * where the place is free or its id found no bin.
 */
export function placePoints(
  ids: Uint8Array,
  table: CuckooTable,
  capacity: number,
  rng: Rng,
): PlacePoints {
  const points = new Uint8Array(POINT_BYTES * capacity);
  const dummies = rng(ID_BYTES * capacity);
  for (let place = 0; place < capacity; place++) {
    copyId(points, POINT_BYTES * place, dummies, ID_BYTES * place);
    points[POINT_BYTES * place + ID_BYTES] = DUMMY_HASH;
  }
  table.idOfBin.forEach((id, bin) => {
    if (id < 0) return;
    copyId(points, POINT_BYTES * id, ids, ID_BYTES * id);
    points[POINT_BYTES * id + ID_BYTES] = table.hashOfBin[bin]!;
  });
  return { points, placeOfBin: table.idOfBin };
}

/** The key of every bin; empty bins read the hint at fresh random keys. @returns bins·KEY_BYTES. */
export function keysOfBins(keys: Uint8Array, placeOfBin: Int32Array, rng: Rng): Uint8Array {
  const out = rng(KEY_BYTES * placeOfBin.length);
  placeOfBin.forEach((place, bin) => {
    if (place < 0) return;
    out.set(keys.subarray(KEY_BYTES * place, KEY_BYTES * (place + 1)), KEY_BYTES * bin);
  });
  return out;
}

/**
 * The points `id‖0, id‖1, id‖2` of every id, in order.
 * @returns 3·n·POINT_BYTES.
 */
export function senderPoints(ids: Uint8Array): Uint8Array {
  const n = ids.length / ID_BYTES;
  const points = new Uint8Array(HASHES * POINT_BYTES * n);
  for (let i = 0; i < n; i++) {
    const p0 = HASHES * POINT_BYTES * i;
    const p1 = p0 + POINT_BYTES;
    const p2 = p1 + POINT_BYTES;
    for (let k = 0; k < ID_BYTES; k++) {
      const byte = ids[ID_BYTES * i + k]!;
      points[p0 + k] = byte;
      points[p1 + k] = byte;
      points[p2 + k] = byte;
    }
    points[p1 + ID_BYTES] = 1;
    points[p2 + ID_BYTES] = 2;
  }
  return points;
}

function copyId(to: Uint8Array, at: number, from: Uint8Array, start: number): void {
  for (let k = 0; k < ID_BYTES; k++) to[at + k] = from[start + k]!;
}

/** The sender's ids, filled up to the public capacity with random ids that match nothing. */
export function padIds(ids: Uint8Array, capacity: number, rng: Rng): Uint8Array {
  const out = new Uint8Array(ID_BYTES * capacity);
  out.set(ids);
  out.set(rng(out.length - ids.length), ids.length);
  return out;
}

/** The sender's rows, before it knows anything: a random tag and random payload shares per bin. */
export function drawRows(shape: OpprfShape, rng: Rng): OpprfRows {
  const tags = rng(TAG_BYTES * shape.bins);
  maskTags(tags, shape.tagBits);
  return {
    tags,
    xorShare: rng(shape.xorBytes * shape.bins),
    ringShare: rng(8 * shape.ringLanes * shape.bins),
  };
}

/** Clears the bits of every 8-byte tag from `tagBits` on. */
function maskTags(tags: Uint8Array, tagBits: number): void {
  const last = tagBits >> 3;
  const keep = (1 << (tagBits & 7)) - 1;
  for (let at = 0; at < tags.length; at += TAG_BYTES) {
    tags[at + last] = tags[at + last]! & keep;
    tags.fill(0, at + last + 1, at + TAG_BYTES);
  }
}

/**
 * Programs the hint: for id i and function j with b = h_j(id), the key F(id‖j) maps to
 * `payloadRing − ringShare_b ‖ payloadXor ⊕ xorShare_b ‖ tag_b`. Ids from the input's end on, the
 * dummies, carry a zero payload.
 *
 * @param keys - 3·capacity OPRF outputs in the order of {@link senderPoints}.
 * @param locations - bins in the same order.
 */
export function programHint(
  shape: OpprfShape,
  input: SenderInput,
  rows: OpprfRows,
  locations: Int32Array,
  keys: Uint8Array,
  rng: Rng,
): Okvs {
  expect(locations.length === shape.okvs.keys, 'three bins per sender id');
  const { xorBytes, ringLanes } = shape;
  const tagBytes = Math.ceil(shape.tagBits / 8);
  const { valueBytes } = shape.okvs;
  const users = input.ids.length / ID_BYTES;
  const values = new Uint8Array(valueBytes * shape.okvs.keys);
  const out = new DataView(values.buffer);
  const payload = viewOf(input.payloadRing);
  const masks = viewOf(rows.ringShare);
  for (let row = 0; row < locations.length; row++) {
    const bin = locations[row]!;
    const user = Math.floor(row / HASHES);
    const real = user < users;
    let at = valueBytes * row;
    for (let lane = 0; lane < ringLanes; lane++, at += 8) {
      const from = 8 * (ringLanes * user + lane);
      const mask = 8 * (ringLanes * bin + lane);
      const low = (real ? payload.getUint32(from, true) : 0) - masks.getUint32(mask, true);
      const high = (real ? payload.getUint32(from + 4, true) : 0) - masks.getUint32(mask + 4, true);
      out.setUint32(at, low, true);
      out.setUint32(at + 4, low < 0 ? high - 1 : high, true);
    }
    for (let k = 0; k < xorBytes; k++, at++) {
      const plain = real ? input.payloadXor[xorBytes * user + k]! : 0;
      values[at] = plain ^ rows.xorShare[xorBytes * bin + k]!;
    }
    for (let k = 0; k < tagBytes; k++, at++) values[at] = rows.tags[TAG_BYTES * bin + k]!;
  }
  return okvsEncode(shape.okvs, keys, values, rng);
}

/**
 * The pivot's rows: the hint at the one key it has per bin. Where its id is the sender's too, the
 * tag is the sender's tag of the bin and the shares add up to the payload; elsewhere all is
 * pseudorandom.
 */
export function readHint(shape: OpprfShape, hint: Okvs, keys: Uint8Array): OpprfRows {
  const { bins, xorBytes, ringLanes } = shape;
  const { valueBytes } = shape.okvs;
  const ringBytes = 8 * ringLanes;
  const tagBytes = Math.ceil(shape.tagBits / 8);
  const values = okvsDecode(shape.okvs, hint, keys, bins);
  const tags = new Uint8Array(TAG_BYTES * bins);
  const xorShare = new Uint8Array(xorBytes * bins);
  const ringShare = new Uint8Array(ringBytes * bins);
  for (let bin = 0; bin < bins; bin++) {
    let at = valueBytes * bin;
    for (let k = 0; k < ringBytes; k++, at++) ringShare[ringBytes * bin + k] = values[at]!;
    for (let k = 0; k < xorBytes; k++, at++) xorShare[xorBytes * bin + k] = values[at]!;
    for (let k = 0; k < tagBytes; k++, at++) tags[TAG_BYTES * bin + k] = values[at]!;
  }
  maskTags(tags, shape.tagBits);
  return { tags, xorShare, ringShare };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
