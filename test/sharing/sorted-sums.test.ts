// Goal: group sums by sorting are the plain sums for any rows, groups and lanes among any parties; the
// messages say nothing of the groups; and each end's share of the sums is uniform.
import { describe, expect, it } from 'vitest';
import { asParleyError } from '../../src/core/errors.ts';
import type { Channel } from '../../src/core/channel.ts';
import { createOtPair } from '../../src/protocols/ot/index.ts';
import { groupSumMethod, groupSums, type Sharing } from '../../src/protocols/sharing/index.ts';
import { SORTED_GROUPS_MIN, SORTED_WIRES } from '../../src/protocols/sharing/limits.ts';
import { chiSquareTail } from '../support/chi-square.ts';
import { idealSharing } from '../support/ideal-sharing.ts';
import { memoryLink, memoryMesh, runAll, runBoth, type Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { twoParty } from '../support/two-party.ts';
import { elementsToBigints } from './support.ts';

type GroupOf = (row: number) => number;

interface Case {
  readonly parties?: number;
  readonly rows: number;
  readonly groups: number;
  readonly lanes: number;
  readonly groupOf: GroupOf;
  readonly tap?: Tap;
}

const wrap = (v: bigint): bigint => BigInt.asUintN(64, v);

/** Runs a case over ideal transfers. @returns every party's shares, frames and the plain values. */
async function run({ parties = 2, rows, groups, lanes, groupOf, tap }: Case) {
  const rng = seededRng(`sorted ${parties} ${rows} ${groups} ${lanes}`);
  const mesh = memoryMesh(parties, tap);
  const ideal = idealSharing(parties, rng);
  const held = ideal.ends.map(() => Array.from({ length: lanes }, () => rng(8 * rows)));
  const groupOfRow = Int32Array.from({ length: rows }, (_, row) => groupOf(row));
  const out = await runAll(mesh, (party) =>
    groupSums(
      { ...ideal.ends[party]!, channels: mesh.ends[party]! },
      {
        groups,
        groupOfRow: party === 0 ? groupOfRow : null,
        rows,
        lanes: held[party]!,
        method: 'sorted',
      },
    ),
  );
  const plain = Array.from({ length: lanes }, (_, lane) => {
    const sums = Array.from({ length: groups }, () => 0n);
    for (const shares of held) {
      elementsToBigints(shares[lane]!).forEach((v, row) => {
        const g = groupOfRow[row]!;
        if (g >= 0) sums[g] = wrap(sums[g]! + v);
      });
    }
    return sums;
  });
  return { out, plain, held, frames: mesh.links.map(({ link }) => link.frames) };
}

function opened(out: readonly (readonly Uint8Array[])[]): bigint[][] {
  return out[0]!.map((_, lane) =>
    out
      .map((shares) => elementsToBigints(shares[lane]!))
      .reduce((sum, part) => sum.map((v, g) => wrap(v + part[g]!))),
  );
}

const scattered =
  (groups: number): GroupOf =>
  (row) =>
    ((Math.imul(row + 1, 0x9e3779b1) >>> 8) % (groups + 1)) - 1;

describe('the plain sums', () => {
  it.each([
    [2, 1, 1, 1, () => 0],
    [2, 1, 1, 1, () => -1],
    [2, 1, 200, 2, () => 199],
    [3, 2, 3, 1, (row: number) => 2 - row],
    [2, 5, 1, 3, () => 0],
    [2, 300, 140, 3, () => -1],
    [2, 300, 140, 3, () => 139],
    [4, 300, 140, 2, () => 0],
    [2, 140, 140, 1, (row: number) => 139 - row],
    [3, 1_000, 333, 5, scattered(333)],
    [4, 257, 129, 4, scattered(129)],
    [2, 64, 4_096, 1, scattered(4_096)],
    [2, 3_000, 1_000, 9, scattered(1_000)],
  ] as const)('among %i parties: %i rows, %i groups, %i lanes', async (...c) => {
    const [parties, rows, groups, lanes, groupOf] = c;
    const { out, plain } = await run({ parties, rows, groups, lanes, groupOf });
    expect(opened(out)).toEqual(plain);
  });

  it('for all small shapes', async () => {
    for (let rows = 1; rows <= 9; rows += 1) {
      for (let groups = 1; groups <= 6; groups += 1) {
        const groupOf = scattered(groups);
        const { out, plain } = await run({ rows, groups, lanes: 1, groupOf });
        expect(opened(out)).toEqual(plain);
      }
    }
  });

  it('of more rows than a slice holds, in equal slices', async () => {
    const [rows, groups] = [2 * SORTED_WIRES, 150];
    const { out, plain, frames } = await run({
      rows,
      groups,
      lanes: 1,
      groupOf: scattered(groups),
    });
    expect(opened(out)).toEqual(plain);
    const sizes = frames[0]!.map((f) => `${f.from} ${f.step} ${f.bytes.length}`);
    expect(sizes.length).toBe(4);
    expect(new Set(sizes.slice(0, 2)).size).toBe(1);
  });

  it('over the real oblivious transfer, by the method the number of groups asks for', async () => {
    const [rows, groups] = [2_000, SORTED_GROUPS_MIN];
    expect(groupSumMethod(groups)).toBe('sorted');
    expect(groupSumMethod(groups - 1)).toBe('unitVectors');
    const groupOfRow = Int32Array.from({ length: rows }, (_, row) => scattered(groups)(row));
    const held = [0, 1].map((p) => [0, 1, 2].map((l) => seededRng(`real ${p} ${l}`)(8 * rows)));
    const half = async (channel: Channel, party: 0 | 1) => {
      const rng = seededRng(`real ${party}`);
      const setUp = { party, k: 4, sessionId: new Uint8Array(32), rng } as const;
      const ot = await createOtPair({ channel: channel.sub('ot'), ...setUp });
      const link = twoParty(party, channel.sub('sums'), ot);
      const s: Sharing = { ...link, rng, and: () => Promise.reject(new Error('no gate')) };
      const map = party === 0 ? groupOfRow : null;
      return groupSums(s, { groups, groupOfRow: map, rows, lanes: held[party]! });
    };
    const link = memoryLink();
    const out = await runBoth(
      link,
      (ch) => half(ch, 0),
      (ch) => half(ch, 1),
    );
    const plain = [0, 1, 2].map((lane) => {
      const sums = Array.from({ length: groups }, () => 0n);
      for (const shares of held) {
        elementsToBigints(shares[lane]!).forEach((v, row) => {
          const g = groupOfRow[row]!;
          if (g >= 0) sums[g] = wrap(sums[g]! + v);
        });
      }
      return sums;
    });
    expect(opened(out)).toEqual(plain);
    expect(link.frames.filter((f) => f.step === 'sorted.corrections').length).toBe(1);
  });
});

describe('what crosses', () => {
  it('has one shape whatever the groups', async () => {
    const [rows, groups] = [500, 160];
    const shapes: string[][] = [];
    for (const groupOf of [() => -1, () => 7, scattered(groups), (r: number) => r % groups]) {
      const { frames } = await run({ rows, groups, lanes: 2, groupOf });
      shapes.push(frames[0]!.map((f) => `${f.from} ${f.path}/${f.step} ${f.bytes.length}`));
    }
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
    expect(shapes[0]!.every((line) => line.startsWith('1 '))).toBe(true);
  });

  /** p-value of a flat law of bytes. */
  function uniform(bytes: Uint8Array): number {
    const cells = new Float64Array(256);
    for (const byte of bytes) cells[byte]! += 1;
    const mean = bytes.length / 256;
    expect(mean).toBeGreaterThan(10);
    return chiSquareTail(
      cells.reduce((sum, c) => sum + (c - mean) ** 2 / mean, 0),
      255,
    );
  }

  // The masks among it; that both ends apply them is in the sums.
  it('is uniform, and so is what each end holds', async () => {
    const { out, frames } = await run({ rows: 900, groups: 700, lanes: 2, groupOf: () => 3 });
    for (const { bytes } of frames[0]!) expect(uniform(bytes)).toBeGreaterThan(1e-9);
    for (const [lane] of out) expect(uniform(lane!)).toBeGreaterThan(1e-9);
  });

  it.each([
    ['sorted.corrections', -8],
    ['sorted.corrections', 8],
    ['sorted.masks', -1],
    ['sorted.masks', 8],
  ])('refuses %s of %i bytes more', async (step, more) => {
    const tap: Tap = (frame) => {
      if (frame.step !== step) return frame;
      const bytes = new Uint8Array(frame.bytes.length + more);
      bytes.set(frame.bytes.subarray(0, bytes.length));
      return { ...frame, bytes };
    };
    const rejected = await run({ rows: 20, groups: 40, lanes: 1, groupOf: () => 1, tap }).catch(
      (error: unknown) => asParleyError(error),
    );
    expect(rejected).toMatchObject({ code: 'PEER_BAD_LENGTH', detail: { step: `test/${step}` } });
  });
});
