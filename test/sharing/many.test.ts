// Goal: every protocol of the room gives the plain result among 2, 3 and 4 parties, and what any
// n − 1 of them see of an AND is uniform.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asParleyError } from '../../src/core/errors.ts';
import {
  createMeshTriples,
  createSharing,
  groupSums,
  lessThan,
  multiplyBit,
  packBits,
  ringToWord,
  signedAtLeastPublic,
  publicWord,
  unpackBits,
  elementsFromWord,
  type MuxTerm,
  type RingVector,
  type Sharing,
  type Wire,
  type Word,
} from '../../src/protocols/sharing/index.ts';
import { chiSquareTail } from '../support/chi-square.ts';
import { idealOtMesh } from '../support/ideal-sharing.ts';
import { memoryMesh, runAll, type MemoryMesh } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { elementsFromBigints, elementsToBigints, xorBytes } from './support.ts';

interface Many {
  readonly mesh: MemoryMesh;
  run<T>(part: (ctx: Sharing) => Promise<T>): Promise<T[]>;
}

let rooms = 0;

/** Real gates over ideal transfers. */
function many(parties: number, record = false): Many {
  const seed = `many ${rooms++}`;
  const mesh = memoryMesh(parties, undefined, 'test', record);
  const ots = idealOtMesh(parties, seededRng(`${seed} ot`));
  const ends = mesh.ends.map((channels, party) => {
    const rng = seededRng(`${seed} ${party}`);
    const below = (name: string): typeof channels => channels.map((c) => c?.sub(name) ?? null);
    const own = ots[party]!;
    const triples = createMeshTriples({ party, ots: own, channels: below('triples'), rng });
    return createSharing({ party, parties, channels: below('gates'), ots: own, triples, rng });
  });
  return { mesh, run: (part) => runAll(mesh, (party) => part(ends[party]!)) };
}

const rng = seededRng('many shares');

function shareBits(bits: readonly number[], parties: number): Wire[] {
  const plain = packBits(bits);
  const masks = Array.from({ length: parties - 1 }, () => rng(plain.length));
  return [masks.reduce(xorBytes, plain), ...masks];
}

function shareWord(values: readonly bigint[], bits: number, parties: number): Word[] {
  const wires = Array.from({ length: bits }, (_, i) =>
    shareBits(
      values.map((v) => Number((v >> BigInt(i)) & 1n)),
      parties,
    ),
  );
  return Array.from({ length: parties }, (_, p) => wires.map((shares) => shares[p]!));
}

function shareRing(values: readonly bigint[], parties: number): RingVector[] {
  const masks = Array.from({ length: parties - 1 }, () => rng(8 * values.length));
  const first = values.map((v, i) => v - masks.reduce((s, m) => s + elementsToBigints(m)[i]!, 0n));
  return [elementsFromBigints(first), ...masks];
}

const openBits = (shares: readonly Wire[], rows: number): number[] => [
  ...unpackBits(shares.reduce(xorBytes), rows),
];

const openRing = (shares: readonly RingVector[]): bigint[] =>
  shares
    .map(elementsToBigints)
    .reduce((sum, part) => sum.map((v, i) => BigInt.asUintN(64, v + part[i]!)));

const openWord = (shares: readonly Word[], rows: number): bigint[] =>
  elementsToBigints(
    elementsFromWord(
      shares.reduce((a, b) => a.map((wire, i) => xorBytes(wire, b[i]!))),
      rows,
    ),
  );

const counts = fc.constantFrom(2, 3, 4);
const values = (bits: number): fc.Arbitrary<bigint[]> =>
  fc.array(fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }), {
    minLength: 1,
    maxLength: 140,
  });
const runs = { numRuns: 15 };

describe('the plain result', () => {
  it('of a comparison of shared words', () =>
    fc.assert(
      fc.asyncProperty(counts, values(9), values(9), async (parties, x, y) => {
        const rows = Math.min(x.length, y.length);
        const [a, b] = [x.slice(0, rows), y.slice(0, rows)];
        const [xs, ys] = [shareWord(a, 9, parties), shareWord(b, 9, parties)];
        const out = await many(parties).run((s) => lessThan(s, xs[s.party]!, ys[s.party]!, rows));
        expect(openBits(out, rows)).toEqual(a.map((v, i) => (v < b[i]! ? 1 : 0)));
      }),
      runs,
    ));

  it('of a sum turned into bits, and of its comparison with a public bound', () =>
    fc.assert(
      fc.asyncProperty(counts, values(64), async (parties, x) => {
        const shares = shareRing(x, parties);
        const room = many(parties);
        const words = await room.run((s) => ringToWord(s, shares[s.party]!, x.length));
        expect(openWord(words, x.length)).toEqual(x);
        const bits = await room.run((s) =>
          signedAtLeastPublic(s, words[s.party]!, publicWord(5n, 64), x.length),
        );
        expect(openBits(bits, x.length)).toEqual(
          x.map((v) => (BigInt.asIntN(64, v) >= 5n ? 1 : 0)),
        );
      }),
      runs,
    ));

  it('of a shared bit times constants, owned and shared values', () =>
    fc.assert(
      fc.asyncProperty(counts, values(64), fc.nat(), async (parties, v, seed) => {
        const rows = v.length;
        const bits = v.map((_, i) => ((seed >> (i % 30)) & 1) ^ (i % 3 === 0 ? 1 : 0));
        const [bitShares, valueShares] = [shareBits(bits, parties), shareRing(v, parties)];
        const two = shareRing(v, 2);
        const owner = seed % parties;
        const out = await many(parties).run(({ ...s }) => {
          const zero = new Uint8Array(8 * rows);
          const held = s.party === 0 ? two[0]! : s.party === parties - 1 ? two[1]! : zero;
          const own = s.party === owner ? elementsFromBigints(v) : null;
          const terms: MuxTerm[] = [
            { kind: 'one' },
            { kind: 'owned', owner, values: own },
            { kind: 'shared', share: valueShares[s.party]! },
            { kind: 'shared', share: held, holders: [0, parties - 1] },
          ];
          return multiplyBit(s, bitShares[s.party]!, rows, terms);
        });
        const product = bits.map((bit, i) => (bit === 1 ? v[i]! : 0n));
        for (const [term, expected] of [bits.map(BigInt), product, product, product].entries()) {
          expect(openRing(out.map((shares) => shares[term]!))).toEqual(expected);
        }
      }),
      runs,
    ));

  it.each(['correlatedOts', 'unitVectors', 'sorted'] as const)('of group sums by %s', (method) =>
    fc.assert(
      fc.asyncProperty(
        counts,
        fc.constantFrom(1, 2, 10, 31, 32, 100),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        async (parties, groups, rows, lanes, seed) => {
          const draw = seededRng(`groups ${seed}`);
          const groupOfRow = Int32Array.from(draw(rows), (byte) => (byte % (groups + 1)) - 1);
          const plain = Array.from({ length: lanes }, () => elementsToBigints(draw(8 * rows)));
          const shares = plain.map((lane) => shareRing(lane, parties));
          const out = await many(parties).run((s) =>
            groupSums(s, {
              groups,
              groupOfRow: s.party === 0 ? groupOfRow : null,
              rows,
              lanes: shares.map((lane) => lane[s.party]!),
              method,
            }),
          );
          for (let lane = 0; lane < lanes; lane += 1) {
            const expected = Array.from({ length: groups }, () => 0n);
            groupOfRow.forEach((g, row) => {
              if (g >= 0) expected[g] = BigInt.asUintN(64, expected[g]! + plain[lane]![row]!);
            });
            expect(openRing(out.map((sums) => sums[lane]!))).toEqual(expected);
          }
        },
      ),
      runs,
    ),
  );

  it('of more rows of unit vectors than a slice holds, in one shape whatever the groups', async () => {
    const [groups, rows] = [2_000, 700];
    const shapes: string[][] = [];
    for (const groupOf of [(row: number) => row % groups, () => -1]) {
      const room = many(2, true);
      const groupOfRow = Int32Array.from({ length: rows }, (_, row) => groupOf(row));
      const lane = shareRing(
        Array.from({ length: rows }, (_, row) => BigInt(row)),
        2,
      );
      const out = await room.run((s) =>
        groupSums(s, {
          groups,
          groupOfRow: s.party === 0 ? groupOfRow : null,
          rows,
          lanes: [lane[s.party]!],
          method: 'unitVectors',
        }),
      );
      const sums = openRing(out.map((lanes) => lanes[0]!));
      groupOfRow.forEach((g, row) => {
        if (g >= 0) expect(sums[g]).toBe(BigInt(row));
      });
      expect(sums.filter((v) => v !== 0n).length).toBe(groupOf(1) < 0 ? 0 : rows - 1);
      const [{ link }] = room.mesh.links as [(typeof room.mesh.links)[number]];
      shapes.push(link.frames.map((f) => `${f.from} ${f.path}/${f.step} ${f.bytes.length}`));
    }
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[0]!.filter((s) => s.includes('unit.levels')).length).toBe(2);
  });
});

describe('what all but one see', () => {
  /** p-value of the bytes the first party sends in ANDs of the same inputs. */
  async function sentByFirst(parties: number): Promise<number> {
    const cells = new Float64Array(256);
    const rows = 1_024;
    for (let round = 0; round < 20; round += 1) {
      const room = many(parties, true);
      const ones = Array.from({ length: rows }, () => 1);
      const shares = [
        packBits(ones),
        ...Array.from({ length: parties - 1 }, () => new Uint8Array(128)),
      ];
      await room.run((s) => s.and([shares[s.party]!], [shares[s.party]!], rows));
      // All others are sent the same bytes.
      for (const frame of room.mesh.links[0]!.link.frames) {
        if (frame.from !== 0 || frame.step !== 'and') continue;
        for (const byte of frame.bytes) cells[byte]! += 1;
      }
    }
    const mean = cells.reduce((a, b) => a + b, 0) / 256;
    expect(mean).toBeGreaterThan(10);
    return chiSquareTail(
      cells.reduce((sum, c) => sum + (c - mean) ** 2 / mean, 0),
      255,
    );
  }

  it.each([2, 3, 4])('of the last of %i parties in an AND is uniform', async (parties) => {
    expect(await sentByFirst(parties)).toBeGreaterThan(1e-9);
  });

  it('would show a triple used twice', async () => {
    // The same masks under other inputs: the difference of what is sent is that of the inputs.
    const parties = 3;
    const mesh = memoryMesh(parties);
    const ots = idealOtMesh(parties, seededRng('reuse ot'));
    const fixed = Array.from({ length: parties }, (_, p) => {
      const draw = seededRng(`reuse ${p}`);
      return { a: draw(16), b: draw(16), c: draw(16) };
    });
    const sent = async (bit: number): Promise<Uint8Array> => {
      const from = mesh.links[0]!.link.frames.length;
      await runAll(mesh, (party) => {
        const s = createSharing({
          party,
          parties,
          channels: mesh.ends[party]!,
          ots: ots[party]!,
          rng,
          triples: {
            take: () =>
              Promise.resolve({
                a: fixed[party]!.a.slice(),
                b: fixed[party]!.b.slice(),
                c: fixed[party]!.c.slice(),
              }),
          },
        });
        const wire = packBits(Array.from({ length: 128 }, () => (party === 0 ? bit : 0)));
        return s.and([wire], [wire], 128);
      });
      return mesh.links[0]!.link.frames.slice(from).find((f) => f.from === 0)!.bytes;
    };
    const difference = xorBytes(await sent(0), await sent(1));
    expect([...difference].every((byte) => byte === 0xff)).toBe(true);
  });
});

it('a party that sends too little ends the others with its step', async () => {
  const mesh = memoryMesh(3, (frame) =>
    frame.step === 'and' ? { ...frame, bytes: frame.bytes.subarray(1) } : frame,
  );
  const ots = idealOtMesh(3, seededRng('short'));
  const caught = await runAll(mesh, async (party) => {
    const own = ots[party]!;
    const channels = mesh.ends[party]!;
    const triples = createMeshTriples({ party, ots: own, channels, rng: seededRng(`s${party}`) });
    const s = createSharing({ party, parties: 3, channels, ots: own, triples, rng });
    return s.and([new Uint8Array(16)], [new Uint8Array(16)], 128);
  }).catch((error: unknown) => asParleyError(error).code);
  expect(caught).toBe('PEER_BAD_LENGTH');
});
