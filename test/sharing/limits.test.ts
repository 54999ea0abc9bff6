// Goal: what is too wide for one message or one vector OT goes as several, and the result is the same.
import { expect, it } from 'vitest';
import { AND_BYTES_MAX, LANES_MAX } from '../../src/protocols/sharing/limits.ts';
import { groupSums, multiplyBit, type MuxTerm } from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  elementsFromBigints,
  makePair,
  openRing,
  shareBits,
  shareRing,
  xorBytes,
} from './support.ts';

const WIDE = 2 * LANES_MAX + 5;

it('multiplies a bit with more terms than one vector OT has lanes', async () => {
  const pair = makePair({ seed: 'wide-mux' });
  const bits = [1, 0, 1, 1, 0];
  const shares = shareBits(bits, seededRng('bits'));
  const values = Array.from({ length: WIDE }, (_, t) => bits.map((_b, r) => BigInt(100 * t + r)));
  const out = await pair.run((ctx) =>
    multiplyBit(
      ctx,
      shares[ctx.party as 0 | 1],
      bits.length,
      values.map((v): MuxTerm => ({
        kind: 'owned',
        owner: 1,
        values: ctx.party === 1 ? elementsFromBigints(v) : null,
      })),
    ),
  );
  values.forEach((v, t) => {
    expect(openRing([out[0][t]!, out[1][t]!])).toEqual(v.map((x, r) => (bits[r] === 1 ? x : 0n)));
  });
});

it('sums more lanes per group than one vector OT has', async () => {
  const pair = makePair({ seed: 'wide-groups' });
  const groupOfRow = Int32Array.of(0, 2, -1, 2, 1);
  const lanes = Array.from({ length: WIDE }, (_, l) =>
    [1n, 2n, 3n, 4n, 5n].map((v) => v + BigInt(l)),
  );
  const shares = lanes.map((lane, l) => shareRing(lane, seededRng(`lane${l}`)));
  const out = await pair.run((ctx) =>
    groupSums(ctx, {
      groups: 3,
      groupOfRow: ctx.party === 0 ? groupOfRow : null,
      rows: 5,
      lanes: shares.map((s) => s[ctx.party as 0 | 1]),
    }),
  );
  lanes.forEach(([a, b, , d, e], l) => {
    expect(openRing([out[0][l]!, out[1][l]!])).toEqual([a, e, b! + d!]);
  });
});

it('cuts an AND of more wires than one message carries', async () => {
  const pair = makePair({ seed: 'wide-and' });
  const rows = 2 ** 20;
  const wires = Math.ceil(AND_BYTES_MAX / (rows / 8)) + 1;
  const rng = seededRng('and');
  const [x0, x1, y0, y1] = [0, 1, 2, 3].map(() =>
    Array.from({ length: wires }, () => rng(rows / 8)),
  );
  const out = await pair.run((ctx) =>
    ctx.party === 0 ? ctx.and(x0!, y0!, rows) : ctx.and(x1!, y1!, rows),
  );
  expect(Math.max(...pair.frames.map((f) => f.bytes.length))).toBeLessThanOrEqual(
    2 * AND_BYTES_MAX,
  );
  expect(out[0]).toHaveLength(wires);
  for (const i of [0, 1, wires - 1]) {
    const x = xorBytes(x0![i]!, x1![i]!);
    const y = xorBytes(y0![i]!, y1![i]!);
    const z = xorBytes(out[0][i]!, out[1][i]!);
    expect(
      Buffer.compare(
        z,
        x.map((byte, at) => byte & y[at]!),
      ),
    ).toBe(0);
  }
});
