// Goal: what all parties but one see together of a whole run has one shape, is uniform, and says
// nothing about the last one's inputs; and the tests that say so catch a build that leaks.
//
// For every N and every honest party: messages it sends, what ANDs open, hints as the pivot decodes
// them, output shares; chi-square of bytes, of bytes and of single bits between two inputs, a naive
// Bayes classifier, correlation with membership. Limits and false alarms: view-statistics.ts.
// PARLEY_VIEW_RUNS=64 npx vitest run test/engine/collusion.test.ts is the long version (minutes).
//
// Mutants wrap faces below the engine. An OPRF without the hash index is caught by
// test/psi/cross-bin.test.ts, an attack that these tests, of messages alone, cannot see.
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { OutputShare } from '../../src/engine/types.ts';
import { systemRng, type Rng } from '../../src/core/rng.ts';
import type { TripleSource } from '../../src/protocols/ot/index.ts';
import type { CuckooTable } from '../../src/protocols/psi/cuckoo.ts';
import { openBench, tablesOf, type Bench, type Input } from '../support/collusion.ts';
import {
  classify,
  rowCorrelation,
  sameBits,
  sameBytes,
  uniformity,
  Z_MAX,
  type Accuracy,
  type Samples,
  type Score,
} from '../support/view-statistics.ts';
import { viewOf, type Decoded, type View } from '../support/views.ts';

/** What the wrapped faces record, and how they are spoilt. */
const hooks = vi.hoisted(() => ({
  decoded: [] as Decoded[],
  tables: [] as CuckooTable[],
  noMasks: false,
  noFreeColumns: false,
  oneTriple: false,
}));

vi.mock('../../src/protocols/psi/opprf-steps.ts', async (load) => {
  const real = await load<typeof import('../../src/protocols/psi/opprf-steps.ts')>();
  return {
    ...real,
    drawRows: (...args: Parameters<typeof real.drawRows>) => {
      const rows = real.drawRows(...args);
      if (hooks.noMasks) {
        rows.xorShare.fill(0);
        rows.ringShare.fill(0);
      }
      return rows;
    },
    readHint: (...args: Parameters<typeof real.readHint>) => {
      const rows = real.readHint(...args);
      const copy = { tags: rows.tags.slice(), xorShare: rows.xorShare.slice() };
      const hintSeed = args[1].seed.slice();
      hooks.decoded.push({ hintSeed, rows: { ...copy, ringShare: rows.ringShare.slice() } });
      return rows;
    },
  };
});

vi.mock('../../src/protocols/psi/cuckoo.ts', async (load) => {
  const real = await load<typeof import('../../src/protocols/psi/cuckoo.ts')>();
  return {
    ...real,
    place: (...args: Parameters<typeof real.place>) => {
      const table = real.place(...args);
      hooks.tables.push(table);
      return table;
    },
  };
});

vi.mock('../../src/kernels/okvs/okvs.ts', async (load) => {
  const real = await load<typeof import('../../src/kernels/okvs/okvs.ts')>();
  return {
    ...real,
    okvsEncode: (...[shape, keys, values, rng]: Parameters<typeof real.okvsEncode>) => {
      // It draws a seed of 16 bytes, then the free columns.
      const spoilt: Rng = (bytes) => (bytes === 16 ? rng(bytes) : new Uint8Array(bytes));
      return real.okvsEncode(shape, keys, values, hooks.noFreeColumns ? spoilt : rng);
    },
  };
});

vi.mock('../../src/protocols/ot/triples.ts', async (load) => {
  const real = await load<typeof import('../../src/protocols/ot/triples.ts')>();
  /** Hands out the same triples again and again. */
  const reusing = (source: TripleSource): TripleSource => {
    let kept: Awaited<ReturnType<TripleSource['take']>> | null = null;
    return {
      get available() {
        return source.available;
      },
      reserve: (n) => source.reserve(n),
      close: () => source.close(),
      take: async (n) => {
        if (!hooks.oneTriple) return source.take(n);
        if (kept === null || 8 * kept.a.length < n) kept = await source.take(n);
        const cut = (bits: Uint8Array): Uint8Array => bits.slice(0, n / 8);
        return { a: cut(kept.a), b: cut(kept.b), c: cut(kept.c) };
      },
    };
  };
  return {
    ...real,
    createTripleSource: (...args: Parameters<typeof real.createTripleSource>) =>
      reusing(real.createTripleSource(...args)),
    tripleSourceOf: (...args: Parameters<typeof real.tripleSourceOf>) =>
      reusing(real.tripleSourceOf(...args)),
  };
});

/** Runs per input and number of parties. */
const RUNS = Number(process.env['PARLEY_VIEW_RUNS'] ?? '0');
const runsOf = (parties: number): number => (RUNS > 0 ? RUNS : { 2: 10, 3: 6, 4: 4 }[parties]!);

interface Trial {
  readonly input: Input;
  readonly views: readonly View[];
  readonly table: CuckooTable;
  readonly shares: readonly OutputShare[];
}

async function runOnce({ plan, links, room }: Bench, input: Input): Promise<Trial> {
  for (const { link } of links.links) link.frames.length = 0;
  hooks.decoded.length = 0;
  hooks.tables.length = 0;
  const shares = await room.run(plan, tablesOf(plan, input));
  const recorded = { links, decoded: [...hooks.decoded], shares };
  const views = plan.sides.map((_, honest) => viewOf(recorded, honest));
  return { input, views, table: hooks.tables[0]!, shares };
}

async function trialsOf(bench: Bench, runs: number): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (let i = 0; i < runs; i += 1) {
    for (const input of ['equal', 'disjoint'] as const) trials.push(await runOnce(bench, input));
  }
  return trials;
}

/** The same kind of bytes from all runs, apart by input. */
function samplesOf(trials: readonly Trial[], honest: number): Samples[] {
  const kinds = [...trials[0]!.views[honest]!.kinds.keys()];
  const of = (kind: string, input: Input): Uint8Array[] =>
    trials.filter((t) => t.input === input).map((t) => t.views[honest]!.kinds.get(kind)!);
  return kinds.map((kind) => ({ kind, byInput: [of(kind, 'equal'), of(kind, 'disjoint')] }));
}

/** Rows per bin of what the others hold, and whether the bin's user is everybody's. */
function correlations(trials: readonly Trial[], honest: number): Score[] {
  const equal = trials.filter(({ input }) => input === 'equal');
  const bins = equal[0]!.table.idOfBin.length;
  const kinds = honest === 0 ? ['sent s0.a0/psi/oprf/corrections'] : ['decoded payload bits'];
  return kinds.flatMap((kind) => {
    const rows = equal.flatMap(({ views, table }) => {
      const bytes = views[honest]!.kinds.get(kind);
      if (bytes === undefined) return [];
      const width = honest === 0 ? 16 : bytes.length / bins;
      // Corrections are planes of 16 bytes a bin, to every sender; any plane is as good as a row.
      return Array.from({ length: bytes.length / width }, (_, row) => ({
        bytes: bytes.subarray(width * row, width * (row + 1)),
        secret: table.idOfBin[row % bins]! >= 0,
      }));
    });
    return rows.length === 0 ? [] : [rowCorrelation(kind, rows)];
  });
}

interface Findings {
  readonly scores: readonly Score[];
  readonly accuracies: readonly Accuracy[];
  /** Whatever is beyond its limit. */
  readonly alarms: readonly string[];
}

function examine(trials: readonly Trial[], honest: number): Findings {
  const samples = samplesOf(trials, honest);
  const given = <T>(value: T | null): T[] => (value === null ? [] : [value]);
  const scores = [
    ...samples.map(uniformity),
    ...samples.flatMap((s) => given(sameBytes(s))),
    ...samples.flatMap((s) => given(sameBits(s))),
    ...correlations(trials, honest),
  ];
  const accuracies = samples.flatMap((s) => given(classify(s)));
  const alarms = [
    ...scores.filter(({ z }) => !(Math.abs(z) < Z_MAX)).map((s) => `${s.kind}: ${s.test}`),
    ...accuracies
      .filter(({ accuracy, accuracyMax }) => accuracy > accuracyMax)
      .map(({ kind }) => `${kind}: classifier`),
  ];
  return { scores, accuracies, alarms };
}

afterEach(() => Object.assign(hooks, { noMasks: false, noFreeColumns: false, oneTriple: false }));

describe.each([2, 3, 4])('all but one of %i parties', (parties) => {
  let bench: Bench;
  let trials: Trial[];
  const honestParties = Array.from({ length: parties }, (_, side) => side);
  beforeAll(async () => {
    bench = await openBench(parties, 'kkrt');
    trials = await trialsOf(bench, runsOf(parties));
  }, 600_000);

  it('see the same shapes for equal, disjoint, empty and filtered tables', async () => {
    const others = [await runOnce(bench, 'empty'), await runOnce(bench, 'filtered')];
    for (const honest of honestParties) {
      const shape = trials[0]!.views[honest]!.shape;
      expect(shape.length).toBeGreaterThan(20);
      for (const trial of [...trials, ...others]) expect(trial.views[honest]!.shape).toEqual(shape);
    }
  });

  it('compute something: the two inputs have different answers', () => {
    const answers = [0, 1].map((i) =>
      trials[i]!.shares.map(({ cells }) => cells).reduce((a, b) => a.map((x, k) => x ^ b[k]!)),
    );
    expect(answers[0]).not.toEqual(answers[1]);
  });

  it.each(honestParties)('see uniform bytes that say nothing about party %i', (honest) => {
    const { scores, accuracies, alarms } = examine(trials, honest);
    const kinds = new Set(scores.map(({ kind }) => kind));
    // The kinds that must be there are there.
    for (const kind of ['opened (d, e)', 'opened differences', 'output share']) {
      expect(kinds).toContain(kind);
    }
    const wanted = honest === 0 ? /oprf\/corrections/ : /psi\/hint$/;
    expect([...kinds].some((kind) => wanted.test(kind))).toBe(true);
    expect([...kinds].some((kind) => /ring64$/.test(kind))).toBe(true);
    expect([...kinds].some((kind) => /^sent .*\/ot\.[01]\/corrections$/.test(kind))).toBe(true);
    expect(accuracies.length).toBeGreaterThan(5);
    expect(alarms).toEqual([]);
  });
});

describe('what they would see of a build that leaks', () => {
  it.each([
    ['payload shares without a mask', 'noMasks', 1, /^decoded payload/],
    ['free OKVS columns of zeros', 'noFreeColumns', 1, /psi\/hint: bytes uniform$/],
    ['a triple used again', 'oneTriple', 0, /^opened differences: bytes uniform$/],
  ] as const)('%s', async (_, mutant, honest, alarm) => {
    const bench = await openBench(2, 'kkrt');
    hooks[mutant] = true;
    const { alarms } = examine(await trialsOf(bench, 3), honest);
    expect(alarms.some((text) => alarm.test(text))).toBe(true);
    // Every test that must see it, by name.
    if (mutant !== 'noMasks') return;
    expect(alarms).toContain('decoded payload bits: bytes uniform');
    expect(alarms).toContain('decoded payload bits: bytes same for both inputs');
    expect(alarms).toContain('decoded payload bits: row bits independent of membership');
  });

  it('a weak bias, by the classifier', () => {
    const draw = (bias: number): Uint8Array[] =>
      Array.from({ length: 8 }, () =>
        systemRng(16_384).map((b, i) => (i % bias === 0 ? b & 15 : b)),
      );
    const fair: Samples = { kind: 'fair', byInput: [draw(Infinity), draw(Infinity)] };
    const biased: Samples = { kind: 'biased', byInput: [draw(8), draw(Infinity)] };
    expect(classify(fair)!.accuracy).toBeLessThan(classify(fair)!.accuracyMax);
    expect(classify(biased)!.accuracy).toBeGreaterThan(0.6);
    expect(classify(biased)!.accuracyMax).toBeLessThan(0.6);
  });

  it('a bit of the input in every sixteenth byte of a message that stays uniform', async () => {
    let input: Input = 'equal';
    const bench = await openBench(2, 'kkrt', (frame) => {
      if (frame.step !== 'hint') return frame;
      const bytes = frame.bytes.map((byte, i) =>
        i % 16 === 0 ? (byte & 0xfe) | (input === 'equal' ? (i / 16) & 1 : ~(i / 16) & 1) : byte,
      );
      return { ...frame, bytes };
    });
    const trials: Trial[] = [];
    for (let i = 0; i < 6; i += 1) {
      for (input of ['equal', 'disjoint'] as const) trials.push(await runOnce(bench, input));
    }
    // Only the test by position can see it.
    expect(examine(trials, 1).alarms).toEqual(['sent s0.a0/psi/hint: bits same for both inputs']);
  });
});
