// Goal: the pivot can compare decodings of one bin under two of its ids only if the OPRF lets it
// evaluate an id at bins where it did not place it. Here it cannot, and the same attack on a build
// weakened to one OPRF value per id exposes members.
import { describe, expect, it } from 'vitest';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import { okvsDecode, type Okvs } from '../../src/kernels/okvs/index.ts';
import { locate } from '../../src/protocols/psi/cuckoo.ts';
import { opprfPivot, opprfSender } from '../../src/protocols/psi/opprf.ts';
import { opprfShape, type OpprfShape } from '../../src/protocols/psi/opprf-steps.ts';
import { joinParameters } from '../../src/protocols/psi/index.ts';
import { KEY_BYTES, POINT_BYTES, type Oprf } from '../../src/protocols/psi/types.ts';
import { idealF, idealOprf } from '../support/ideal-oprf.ts';
import { memoryLink, runBoth } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { ID_BYTES, idsOf, range, senderOf } from './support.ts';

const N = 3_000;
const PIVOT = range(0, N);
const KEY = utf8('oprf key');
const SEED = seededRng('cross-bin')(16);
const { bins, tagBits } = joinParameters(N, N);

/** What the pivot may compute: an OPRF key for its id i at its bin h_j, or null. */
type Keys = (i: number, j: number) => Uint8Array | null;

describe('the cross-bin attack', () => {
  it.each([0.1, 0.3])('finds no collision at overlap %d', async (overlap) => {
    const { shape, hint, keys } = await honestRun(overlap, tagBits);
    expect(attack(shape, hint, keys).pairs).toBe(0);
  });

  it('finds none either where every bin has its own key', async () => {
    const { shape, hint, keys } = await perBinRun(0.3);
    expect(attack(shape, hint, keys).pairs).toBe(0);
  });

  it('finds as many collisions as false positives when tags are short', async () => {
    const { shape, hint, keys } = await honestRun(0.3, 8);
    const { pairs, compared } = attack(shape, hint, keys);
    const expected = compared / 256;
    expect(expected).toBeGreaterThan(20);
    expect(Math.abs(pairs - expected)).toBeLessThan(4 * Math.sqrt(expected));
  });

  it('exposes members of a build whose OPRF ignores the hash index', async () => {
    const { shape, hint, keys } = await weakRun(0.1);
    const { exposed } = attack(shape, hint, keys);
    const members = N * 0.1;
    expect(exposed.every((i) => i < members)).toBe(true);
    expect(exposed.length).toBeGreaterThanOrEqual(0.3 * members);
  });
});

interface Run {
  readonly shape: OpprfShape;
  readonly hint: Okvs;
  readonly keys: Keys;
}

/** The build as it is; the pivot keeps every key the OPRF gave it. */
async function honestRun(overlap: number, bits: number): Promise<Run> {
  const oprf = idealOprf(KEY);
  let points = new Uint8Array(0);
  let outputs = new Uint8Array(0);
  const recording: Oprf = {
    ...oprf,
    async receive(channel, asked, rng) {
      points = new Uint8Array(asked);
      outputs = new Uint8Array(await oprf.receive(channel, asked, rng));
      return new Uint8Array(outputs);
    },
  };
  const { shape, hint } = await run(recording, overlap, bits);
  expect(points.length).toBe(N * POINT_BYTES); // one evaluation per id and no more
  expectOwnPoints(points);
  const keyOf = new Map<string, Uint8Array>();
  for (let place = 0; place < N; place++) {
    const id = points.subarray(POINT_BYTES * place, POINT_BYTES * place + ID_BYTES);
    keyOf.set(id.toString(), outputs.subarray(KEY_BYTES * place, KEY_BYTES * (place + 1)));
  }
  // It has one key per id, of the bin where it placed it; the best it can do elsewhere is try that.
  const ids = idsOf(PIVOT);
  const keys: Keys = (i) =>
    keyOf.get(ids.subarray(ID_BYTES * i, ID_BYTES * (i + 1)).toString()) ?? null;
  return { shape, hint, keys };
}

/** With a key per bin the pivot asks bin by bin; it has no key of an id at any other bin. */
async function perBinRun(overlap: number): Promise<Run> {
  const oprf = idealOprf(KEY, true);
  const keyOf = new Map<string, Uint8Array>();
  const recording: Oprf = {
    ...oprf,
    async receive(channel, asked, rng) {
      const outputs = await oprf.receive(channel, asked, rng);
      expect(asked.length).toBe(bins * POINT_BYTES); // one evaluation per bin and no more
      range(0, bins).forEach((bin) => {
        const id = asked.subarray(POINT_BYTES * bin, POINT_BYTES * bin + ID_BYTES);
        keyOf.set(id.toString(), outputs.slice(KEY_BYTES * bin, KEY_BYTES * (bin + 1)));
      });
      return outputs;
    },
  };
  const made = await run(recording, overlap, tagBits);
  const ids = idsOf(PIVOT);
  const keys: Keys = (i) =>
    keyOf.get(ids.subarray(ID_BYTES * i, ID_BYTES * (i + 1)).toString()) ?? null;
  return { ...made, keys };
}

/** No two points alike; one per id, in the order of the ids, under indices 0 to 2. */
function expectOwnPoints(points: Uint8Array): void {
  const all = range(0, N).map((place) =>
    toHex(points.subarray(POINT_BYTES * place, POINT_BYTES * (place + 1))),
  );
  expect(new Set(all).size).toBe(N);
  expect(all.filter((point) => /0[012]$/.test(point)).length).toBe(N);
  const order = all.map((point) => point.slice(0, 2 * ID_BYTES)).join('');
  expect(order).toBe(toHex(idsOf(PIVOT)));
}

/** One OPRF value per id, from which anyone derives the key of each of its bins. */
async function weakRun(overlap: number): Promise<Run> {
  const value = (id: Uint8Array): Uint8Array => idealF(KEY, id);
  const evaluate = (points: Uint8Array): Uint8Array =>
    concat(
      range(0, points.length / POINT_BYTES).map((p) => {
        const at = POINT_BYTES * p;
        const j = points.subarray(at + ID_BYTES, at + POINT_BYTES);
        return idealF(value(points.subarray(at, at + ID_BYTES)), j);
      }),
    );
  const weak: Oprf = {
    perBin: true,
    receive: async (_channel, points) => evaluate(points),
    send: async (_channel, _count, points) => evaluate(points),
  };
  const ids = idsOf(PIVOT);
  const keys: Keys = (i, j) =>
    idealF(value(ids.subarray(ID_BYTES * i, ID_BYTES * (i + 1))), new Uint8Array([j]));
  return { ...(await run(weak, overlap, tagBits)), keys };
}

async function run(
  oprf: Oprf,
  overlap: number,
  bits: number,
): Promise<{ readonly shape: OpprfShape; readonly hint: Okvs }> {
  const payload = { xorBytes: 0, ringLanes: 0 };
  const shape = opprfShape({
    ...payload,
    bins,
    tagBits: bits,
    pivotCapacity: N,
    senderCapacity: N,
  });
  const theirs = [...range(0, N * overlap), ...range(10 * N, N * (1 - overlap))];
  const link = memoryLink();
  const context = { oprf, seed: SEED };
  await runBoth(
    link,
    (channel) => opprfPivot({ ...context, channel, rng: seededRng('pivot') }, shape, idsOf(PIVOT)),
    (channel) =>
      opprfSender(
        { ...context, channel, rng: seededRng('sender') },
        shape,
        senderOf(theirs, payload),
      ),
  );
  const bytesOf = (step: string): Uint8Array =>
    concat(link.frames.filter((frame) => frame.step === step).map((frame) => frame.bytes));
  return { shape, hint: { seed: bytesOf('hint-seed'), table: bytesOf('hint') } };
}

/** Decodes every id at its three bins and looks for two ids with one value in one bin. */
function attack(
  shape: OpprfShape,
  hint: Okvs,
  keys: Keys,
): { readonly pairs: number; readonly compared: number; readonly exposed: number[] } {
  const locations = locate(SEED, idsOf(PIVOT), bins);
  const tries = PIVOT.flatMap((i) =>
    [0, 1, 2].flatMap((j) => {
      const key = keys(i, j);
      return key === null ? [] : [{ i, bin: locations[3 * i + j]!, key }];
    }),
  );
  const tags = okvsDecode(shape.okvs, hint, concat(tries.map((t) => t.key)), tries.length);
  const { valueBytes } = shape.okvs;
  const seen = Array.from({ length: bins }, () => new Map<string, number[]>());
  tries.forEach(({ i, bin }, at) => {
    const tag = toHex(tags.subarray(valueBytes * at, valueBytes * (at + 1)));
    seen[bin]!.set(tag, [...(seen[bin]!.get(tag) ?? []), i]);
  });
  const choose2 = (n: number): number => (n * (n - 1)) / 2;
  const groups = seen.flatMap((values) => [...values.values()]);
  return {
    pairs: groups.reduce((sum, ids) => sum + choose2(ids.length), 0),
    compared: seen
      .map((values) => [...values.values()].reduce((sum, ids) => sum + ids.length, 0))
      .reduce((sum, n) => sum + choose2(n), 0),
    exposed: [...new Set(groups.filter((ids) => ids.length > 1).flat())],
  };
}
