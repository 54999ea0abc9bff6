// Goal: the two halves share exactly the plain join, send what the public sizes say and nothing that
// depends on the data, and blame the peer, by code, when the peer misbehaves.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import { joinParameters, runPivot } from '../../src/protocols/psi/index.ts';
import { opprfPivot, opprfSender } from '../../src/protocols/psi/opprf.ts';
import { keysOfBins, opprfShape, placePoints } from '../../src/protocols/psi/opprf-steps.ts';
import { idealOprf } from '../support/ideal-oprf.ts';
import { idealSharingPair } from '../support/ideal-sharing.ts';
import { memoryLink, runBoth, type Frame } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  byteBias,
  expectPlainJoin,
  idsOf,
  messageShapes,
  openJoin,
  range,
  runJoin,
  senderOf,
  transcriptDigest,
  type JoinRun,
} from './support.ts';

const SMALL = { pivotCapacity: 60, senderCapacity: 50, xorBytes: 5, ringLanes: 2 } as const;

describe('plain join', () => {
  it('agrees on any two sets', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(80), { maxLength: SMALL.pivotCapacity }),
        fc.uniqueArray(fc.nat(80), { maxLength: SMALL.senderCapacity }),
        fc.record({ xorBytes: fc.nat(20), ringLanes: fc.nat(3) }),
        fc.string(),
        fc.boolean(),
        async (pivot, sender, payload, seed, perBin) => {
          const oprf = idealOprf(utf8(seed), perBin);
          const join = { ...SMALL, ...payload, pivot, sender, seed, oprf };
          expectPlainJoin(join, await runJoin(join));
        },
      ),
      { numRuns: 25 },
    ));

  it.each([
    ['disjoint', range(0, 50), range(100, 50)],
    ['equal', range(0, 50), range(0, 50)],
    ['no pivot users', [], range(0, 50)],
    ['no sender users', range(0, 50), []],
    ['both empty', [], []],
    ['pivot within sender', range(10, 5), range(0, 50)],
    ['sender within pivot', range(0, 50), range(10, 5)],
  ])('%s', async (_, pivot, sender) => {
    const join = { ...SMALL, pivot, sender };
    expectPlainJoin(join, await runJoin(join));
  });

  it('agrees on 3,000 by 3,000 users, and reports its stages', async () => {
    const join = {
      pivot: range(0, 3_000),
      sender: range(1_500, 3_000),
      pivotCapacity: 3_000,
      senderCapacity: 3_100,
      xorBytes: 3,
      ringLanes: 1,
    };
    const run = await runJoin(join);
    expectPlainJoin(join, run);
    const bins = 4_050;
    expect(run.pivot.rows).toBe(bins);
    for (const stage of ['join.opprf', 'join.equality']) {
      const events = run.events.filter((event) => event.stage === stage);
      expect(events.at(-1)).toEqual({ stage, done: bins, total: bins });
    }
  });
});

describe('on the wire', () => {
  it('pins the bytes of a small join', async () => {
    const run = await runJoin({ ...SMALL, pivot: range(0, 40), sender: range(20, 40) });
    expect(messageShapes(run.frames)).toEqual([
      '1 test/hint-seed 16',
      `1 test/hint ${(188 + 128) * (5 + 16 + 7)}`,
    ]);
    expect(transcriptDigest(run.frames)).toBe(
      '98bd75366d0b61fbb78da4d4a21cf0a94994dea7b027bb279e992adb292145ae',
    );
  });

  it('has one shape for disjoint, equal and empty sets, and that of the public parameters', async () => {
    const sets = [
      [range(0, 50), range(100, 50)],
      [range(0, 50), range(0, 50)],
      [[], []],
      [[7], range(0, 50)],
    ] as const;
    const shapes = await Promise.all(
      sets.map(async ([pivot, sender]) =>
        messageShapes((await runJoin({ ...SMALL, pivot, sender })).frames),
      ),
    );
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
  });

  it('splits a large hint', async () => {
    const big = { ...SMALL, senderCapacity: 2_000, xorBytes: 200 };
    const join = { ...big, pivot: range(0, 60), sender: range(0, 2_000) };
    const run = await runJoin(join);
    expectPlainJoin(join, run);
    const hints = run.frames.filter((frame) => frame.step === 'hint').map((f) => f.bytes.length);
    expect(hints).toEqual([1 << 20, joinParameters(60, 2_000, big).hintBytes - (1 << 20)]);
  });

  it('fixes the bins by the seed', async () => {
    const join = { ...SMALL, pivot: range(0, 40), sender: [] };
    const plain = await runJoin(join);
    const other = await runJoin({ ...join, session: 8 });
    expect([...other.pivot.userOfBin]).not.toEqual([...plain.pivot.userOfBin]);
  });
});

describe('what each end holds', () => {
  const join = {
    pivot: range(0, 1_000),
    sender: range(0, 1_000),
    pivotCapacity: 1_000,
    senderCapacity: 1_000,
    xorBytes: 16,
    ringLanes: 2,
  };

  it('is uniform to the pivot even where it matched', async () => {
    const { pivot } = await runJoin(join);
    const matched = range(0, pivot.rows).filter((row) => pivot.userOfBin[row] !== -1);
    const rowsOf = (shares: Uint8Array, width: number): Uint8Array =>
      concat(matched.map((row) => shares.subarray(width * row, width * (row + 1))));
    expect(byteBias(rowsOf(pivot.xorShare, 16))).toBeLessThan(5);
    expect(byteBias(rowsOf(pivot.ringShare, 16))).toBeLessThan(5);
    expect(byteBias(pivot.match.subarray(0, 168))).toBeLessThan(5);
  });

  it('is uniform to the sender, and the hint is uniform', async () => {
    const { sender, frames } = await runJoin(join);
    expect(byteBias(sender.xorShare)).toBeLessThan(5);
    expect(byteBias(sender.ringShare)).toBeLessThan(5);
    expect(byteBias(frames.find((frame) => frame.step === 'hint')!.bytes)).toBeLessThan(5);
  });

  it('matches falsely at the rate of the tag length', async () => {
    const shape = opprfShape({ ...join, senderCapacity: 9, bins: 1_400, tagBits: 8 });
    let equal = 0;
    const runs = 12;
    for (let run = 0; run < runs; run++) {
      const link = memoryLink();
      const context = (party: 0 | 1) => ({
        oprf: idealOprf(utf8('key')),
        seed: seededRng(`seed ${run}`)(16),
        rng: seededRng(`rng ${run} ${party}`),
      });
      const [pivot, sender] = await runBoth(
        link,
        (channel) => opprfPivot({ ...context(0), channel }, shape, idsOf(range(0, 900))),
        (channel) =>
          opprfSender({ ...context(1), channel }, shape, senderOf(range(2_000, 9), join)),
      );
      for (let row = 0; row < 1_400; row++) {
        equal += pivot.rows.tags[8 * row] === sender.tags[8 * row] ? 1 : 0;
      }
      expect(pivot.rows.tags.filter((_, at) => at % 8 !== 0).every((byte) => byte === 0)).toBe(
        true,
      );
    }
    const expected = (runs * 1_400) / 256;
    expect(Math.abs(equal - expected)).toBeLessThan(4 * Math.sqrt(expected));
  });
});

describe('one point per place', () => {
  const ids = idsOf(range(0, 3));
  // Id 1 found no bin; bin 2 is empty.
  const table = {
    idOfBin: Int32Array.of(2, 0, -1),
    hashOfBin: Uint8Array.of(1, 2, 0),
    dropped: 1,
  };

  it('follows the ids, not the bins; dummies are fresh and under no index of the sender', () => {
    const { points, placeOfBin } = placePoints(ids, table, 5, seededRng('places'));
    const at = (place: number): Uint8Array => points.subarray(33 * place, 33 * (place + 1));
    expect(at(0)).toEqual(concat([ids.subarray(0, 32), Uint8Array.of(2)]));
    expect(at(2)).toEqual(concat([ids.subarray(64, 96), Uint8Array.of(1)]));
    expect([1, 3, 4].map((place) => at(place)[32])).toEqual([255, 255, 255]);
    expect(toHex(points)).not.toContain(toHex(ids.subarray(32, 64)));
    expect(new Set(range(0, 5).map((place) => toHex(at(place)))).size).toBe(5);
    expect([...placeOfBin]).toEqual([2, 0, -1]);
  });

  it('brings keys to their bins, and a random one to an empty bin', () => {
    const keys = seededRng('keys')(16 * 5);
    const [one, other] = ['a', 'b'].map((label) =>
      keysOfBins(keys, table.idOfBin, seededRng(label)),
    );
    expect(one!.subarray(0, 32)).toEqual(concat([keys.subarray(32, 48), keys.subarray(0, 16)]));
    expect(other!.subarray(0, 32)).toEqual(one!.subarray(0, 32));
    expect(other!.subarray(32)).not.toEqual(one!.subarray(32));
  });
});

describe('dishonest peer', () => {
  const join = { ...SMALL, pivot: range(0, 10), sender: range(5, 10) };
  const edited = (step: string, edit: (bytes: Uint8Array) => Uint8Array): Promise<JoinRun> =>
    runJoin({ ...join, tap: (f) => (f.step === step ? { ...f, bytes: edit(f.bytes) } : f) });

  it.each(['hint-seed', 'hint'])('is blamed for a %s of another length', async (step) => {
    for (const edit of [
      (bytes: Uint8Array) => bytes.subarray(1),
      (bytes: Uint8Array) => concat([bytes, new Uint8Array(1)]),
      () => new Uint8Array(0),
    ]) {
      await expect(edited(step, edit)).rejects.toMatchObject({
        code: 'PEER_BAD_LENGTH',
        fault: 'peer',
        detail: { step: `test/${step}` },
      });
    }
  });

  it('is blamed for another message', async () => {
    const tap = (f: Frame): Frame => (f.step === 'hint-seed' ? { ...f, step: 'hint' } : f);
    await expect(runJoin({ ...join, tap })).rejects.toMatchObject({ code: 'PEER_OUT_OF_STEP' });
  });

  it('cannot make two ends disagree unseen with another hint: there is no match', async () => {
    const run = await edited('hint', (bytes) => bytes.map((byte) => byte ^ 0x55));
    const matches = openJoin(run, join).match.filter((bit) => bit === 1).length;
    expect(matches).toBeLessThan(5); // an even number of table rows cancels; half of them survive
  });
});

describe('limits', () => {
  it('refuses more ids than the capacity before anything is sent', async () => {
    const frames: Frame[] = [];
    const tap = (f: Frame): Frame => (frames.push(f), f);
    const over = { ...SMALL, pivot: range(0, 61), sender: range(0, 50), tap };
    await expect(runJoin(over)).rejects.toMatchObject({ code: 'INPUT_TOO_LARGE', fault: 'caller' });
    expect(frames.filter((frame) => frame.from === 0)).toEqual([]);
    const sender = { ...SMALL, pivot: range(0, 60), sender: range(0, 51) };
    await expect(runJoin(sender)).rejects.toMatchObject({ code: 'INPUT_TOO_LARGE' });
  });

  it('takes exactly the capacity', async () => {
    const join = { ...SMALL, pivot: range(0, 60), sender: range(0, 50) };
    expectPlainJoin(join, await runJoin(join));
  });

  it('refuses a repeated id', async () => {
    const join = { ...SMALL, pivot: [1, 2, 1], sender: [] };
    await expect(runJoin(join)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('follows the public numbers', () => {
    expect(joinParameters(1 << 16, 1 << 16, { xorBytes: 8, ringLanes: 1 })).toMatchObject({
      bins: 85_197,
      tagBits: 57,
      okvs: { keys: 196_608, rows: 245_888, valueBytes: 24 },
      hintBytes: 245_888 * 24,
    });
    expect(joinParameters(1, 1).tagBits).toBe(51);
    expect(joinParameters(1 << 20, 1).tagBits).toBe(61);
  });

  it('counts the bins of all shards in the tag', () => {
    const shards = (count: number) => ({ xorBytes: 0, ringLanes: 0, shards: count });
    const [one, many] = [joinParameters(1 << 16, 1), joinParameters(1 << 16, 1, shards(64))];
    expect(many.bins).toBe(one.bins);
    expect([one.tagBits, many.tagBits]).toEqual([57, 63]);
    expect(joinParameters(1_000, 1, shards(3)).tagBits).toBe(40 + 13);
    const code: unknown = expect.objectContaining({ code: 'BAD_ARGUMENT' });
    expect(() => joinParameters(1 << 20, 1, shards(64))).toThrow(code);
    for (const count of [0, 65, 1.5]) {
      expect(() => joinParameters(1_000, 1, shards(count))).toThrow(code);
    }
  });

  it.each([
    [0, 1],
    [1, 0],
    [(1 << 20) + 1, 1],
    [1, 1.5],
    [Number.NaN, 1],
  ])('refuses capacities %d and %d', (pivot, sender) => {
    const code: unknown = expect.objectContaining({ code: 'BAD_ARGUMENT' });
    expect(() => joinParameters(pivot, sender)).toThrow(code);
  });

  it('refuses a payload that does not fit', () => {
    const code: unknown = expect.objectContaining({ code: 'BAD_ARGUMENT' });
    expect(() => joinParameters(1, 1, { xorBytes: 3_900, ringLanes: 0 })).not.toThrow();
    expect(() => joinParameters(1, 1, { xorBytes: 3_893, ringLanes: 1 })).toThrow(code);
    expect(() => joinParameters(1, 1, { xorBytes: -1, ringLanes: 1 })).toThrow(code);
  });

  it('refuses to run a half as the other party', async () => {
    const { ends } = idealSharingPair();
    const context = {
      sharing: ends[1],
      channel: memoryLink().ends[1],
      oprf: idealOprf(utf8('key')),
      seed: new Uint8Array(16),
      rng: seededRng('x'),
    };
    const half = runPivot(context, SMALL, { ids: idsOf([1]) });
    await expect(half).rejects.toThrow(/party 0/);
  });
});
