// Goal: what all parties but one see of a whole run whose joins are ECDH has one shape, is uniform and
// unlinkable, and says nothing about the last one's inputs; and builds that leak are caught.
//
// Group elements are no uniform bytes: a u-coordinate is a value below 2^255 - 19 with bit 255 clear, of
// a point of the prime-order subgroup. So the byte tests of collusion.test.ts see its lowest 31 bytes,
// which are uniform up to 2^-100; and elements are tested as such: every one of their 255 bits is balanced,
// all lie in the subgroup (the small-order part of H1(x) would survive every multiplication), none occurs
// twice anywhere, and none is a power of a hash of a known identifier by a scalar the colluders know.
// PARLEY_VIEW_RUNS=64 npx vitest run test/engine/collusion-ecdh.test.ts is the long version.
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { Redacted, reveal } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { countOnCurve, fieldEach } from '../../src/kernels/curve25519/index.ts';
import { sessionHashes } from '../../src/protocols/psi/oprf-ecdh-steps.ts';
import type { Slice } from '../../src/protocols/psi/oprf-ecdh-slices.ts';
import { invertScalar, randomScalar, x25519Each } from '../../src/protocols/psi/x25519.ts';
import { openBench, tablesOf, type Bench, type Input } from '../support/collusion.ts';
import {
  balancedBits,
  classify,
  sameBits,
  sameBytes,
  uniformity,
  Z_MAX,
  type Samples,
} from '../support/view-statistics.ts';
import { viewOf, type Decoded, type View } from '../support/views.ts';

const ELEMENT = 32;
/** Everybody may guess this one. */
const KNOWN = knownScalar();

/** What the wrapped faces record, and how they are spoilt. */
const hooks = vi.hoisted(() => ({
  decoded: [] as Decoded[],
  slices: [] as Slice[],
  oneBlinding: false,
  oneKey: false,
  /** Hashes that are not bound to the run. */
  oneHash: false,
  /** The lowest bit that `blind` tries to give every element. */
  lowBit: null as 0 | 1 | null,
}));

vi.mock('../../src/protocols/psi/opprf-steps.ts', async (load) => {
  const real = await load<typeof import('../../src/protocols/psi/opprf-steps.ts')>();
  return {
    ...real,
    readHint: (...args: Parameters<typeof real.readHint>) => {
      const rows = real.readHint(...args);
      const copy = { tags: rows.tags.slice(), xorShare: rows.xorShare.slice() };
      const hintSeed = args[1].seed.slice();
      hooks.decoded.push({ hintSeed, rows: { ...copy, ringShare: rows.ringShare.slice() } });
      return rows;
    },
  };
});

vi.mock('../../src/protocols/psi/oprf-ecdh-slices.ts', async (load) => {
  const real = await load<typeof import('../../src/protocols/psi/oprf-ecdh-slices.ts')>();
  const workSlice = (given: Slice): Uint8Array | null => {
    const bound = hooks.oneHash ? { label: new Uint8Array(0), path: 'everywhere' } : {};
    const slice = { ...given, ...bound, scalar: spoilt(given) };
    hooks.slices.push({ ...slice, points: slice.points.slice(), elements: slice.elements.slice() });
    const result = real.workSlice(slice);
    if (slice.kind !== 'blind' || hooks.lowBit === null) return result;
    const other = real.workSlice({ ...slice, scalar: reveal(randomScalar(systemRng)) })!;
    return result!.map((byte, i) => {
      const first = i - (i % ELEMENT);
      return (result![first]! & 1) === hooks.lowBit ? byte : other[i]!;
    });
  };
  return { ...real, workSlice };
});

/** The scalar of a slice, kept, as it is wiped at the end of the run. */
function spoilt({ kind, scalar }: Slice): Uint8Array {
  if (hooks.oneBlinding && kind === 'blind') return KNOWN;
  if (hooks.oneBlinding && kind === 'unblind') return invertScalar(KNOWN)!;
  if (hooks.oneKey && (kind === 'own' || kind === 'evaluate')) return KNOWN;
  return scalar.slice();
}

function knownScalar(): Uint8Array {
  const scalar = new Uint8Array(32).fill(0x35);
  scalar[0] = 0x30;
  scalar[31] = 0x55;
  return scalar;
}

const RUNS = Number(process.env['PARLEY_VIEW_RUNS'] ?? '0');
const runsOf = (parties: number): number => (RUNS > 0 ? RUNS : { 2: 8, 3: 4, 4: 3 }[parties]!);

interface Trial {
  readonly input: Input;
  readonly views: readonly View[];
  readonly slices: readonly Slice[];
  readonly ids: readonly Uint8Array[];
}

async function runOnce({ plan, links, room }: Bench, input: Input): Promise<Trial> {
  for (const { link } of links.links) link.frames.length = 0;
  hooks.decoded.length = 0;
  hooks.slices.length = 0;
  const tables = tablesOf(plan, input);
  const shares = await room.run(plan, tables);
  const recorded = { links, decoded: [...hooks.decoded], shares };
  const views = plan.sides.map((_, honest) => viewOf(recorded, honest));
  return { input, views, slices: [...hooks.slices], ids: tables.map(({ ids }) => ids) };
}

async function trialsOf(bench: Bench, runs: number): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (let i = 0; i < runs; i += 1) {
    for (const input of ['equal', 'disjoint'] as const) trials.push(await runOnce(bench, input));
  }
  return trials;
}

const IS_ELEMENTS = /\/oprf\/(blinded|evaluated)\.\d+$|^unblinded$/;

/** The view, and from an honest sender the elements that the pivot is left with. */
function kindsOf(trial: Trial, honest: number): Map<string, Uint8Array> {
  const kinds = new Map(trial.views[honest]!.kinds);
  if (honest === 0) return kinds;
  const sent = kinds.get([...kinds.keys()].find((kind) => /oprf\/evaluated\.0$/.test(kind))!)!;
  const unblinded = trial.slices
    .filter(({ kind, elements }) => kind === 'unblind' && holds(sent, elements))
    .map(({ scalar, elements }) => x25519Each(new Redacted(scalar), elements).us);
  kinds.set('unblinded', concat(unblinded));
  return kinds;
}

function holds(all: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(all).includes(Buffer.from(part));
}

function samplesOf(trials: readonly Trial[], honest: number): Samples[] {
  const views = trials.map((trial) => ({ input: trial.input, kinds: kindsOf(trial, honest) }));
  const of = (kind: string, input: Input): Uint8Array[] =>
    views.filter((view) => view.input === input).map(({ kinds }) => kinds.get(kind)!);
  return [...views[0]!.kinds.keys()].map((kind) => ({
    kind,
    byInput: [of(kind, 'equal'), of(kind, 'disjoint')],
  }));
}

/** Elements without their highest byte. */
function lowBytes({ kind, byInput }: Samples): Samples {
  const cut = (bytes: Uint8Array) => bytes.filter((_, i) => i % ELEMENT !== ELEMENT - 1);
  const [a, b] = byInput;
  return { kind, byInput: [a.map(cut), b.map(cut)] };
}

const split = (bytes: Uint8Array): string[] =>
  Array.from({ length: bytes.length / ELEMENT }, (_, i) =>
    toHex(bytes.subarray(i * ELEMENT, (i + 1) * ELEMENT)),
  );

/** How many of `elements` are in the prime-order subgroup, or an element and a point of order 2 off. */
function squares(elements: Uint8Array): number {
  // On v^2 = u^3 + J u^2 + u, u(2Q) = ((u^2 - 1) / 2v)^2: the double of a point has a square u.
  return split(fieldEach('legendre', elements)).filter((x) => x === toHex(one())).length;
}

function one(): Uint8Array {
  const bytes = new Uint8Array(ELEMENT);
  bytes[0] = 1;
  return bytes;
}

/** Powers of the hash of every identifier anybody has, by every scalar the colluders know. */
function dictionary(trial: Trial, honest: number): Set<string> {
  const ids = new Set(trial.ids.flatMap(split));
  const points = concat(
    [...ids].flatMap((id) => [0, 1, 2].map((j) => concat([fromHex(id, 32), Uint8Array.of(j)]))),
  );
  const theirs = honest === 0 ? ['own', 'evaluate'] : ['blind', 'unblind'];
  const known = new Map(
    trial.slices.filter(({ kind }) => theirs.includes(kind)).map((s) => [toHex(s.scalar), s]),
  );
  const guesses = [KNOWN, ...[...known.values()].map(({ scalar }) => scalar)];
  const runs = new Map(trial.slices.map((s) => [s.path, sessionHashes(s.label, s.path)]));
  const powers = [...runs.values()].flatMap((hashes) => {
    const hashed = hashes.toCurve(points);
    return guesses.flatMap((scalar) => split(x25519Each(new Redacted(scalar), hashed).us));
  });
  return new Set(powers);
}

/** Whatever is beyond its limit. */
function alarmsOf(trials: readonly Trial[], honest: number): string[] {
  const samples = samplesOf(trials, honest);
  const elements = samples.filter(({ kind }) => IS_ELEMENTS.test(kind));
  const bytes = samples.map((s) => (IS_ELEMENTS.test(s.kind) ? lowBytes(s) : s));
  const scores = [
    ...bytes.map(uniformity),
    ...bytes.flatMap((s) => sameBytes(s) ?? []),
    ...bytes.flatMap((s) => sameBits(s) ?? []),
    ...elements.map((s) => balancedBits(s, ELEMENT, 255)),
  ];
  const all = elements.flatMap(({ byInput }) => split(concat(byInput.flat())));
  // One trial of each input.
  const found = trials.slice(0, 2).flatMap((trial) => {
    const powers = dictionary(trial, honest);
    const seen = kindsOf(trial, honest);
    return [...seen].flatMap(([kind, x]) =>
      IS_ELEMENTS.test(kind) ? split(x).filter((element) => powers.has(element)) : [],
    );
  });
  return [
    ...scores.filter(({ z }) => !(Math.abs(z) < Z_MAX)).map((s) => `${s.kind}: ${s.test}`),
    ...bytes.flatMap((s) => {
      const result = classify(s);
      if (result === null || result.accuracy <= result.accuracyMax) return [];
      return [`${s.kind}: classifier`];
    }),
    ...(new Set(all).size === all.length ? [] : ['elements: one occurs twice']),
    ...(found.length === 0 ? [] : ['elements: a known power of a known identifier']),
  ];
}

afterEach(() =>
  Object.assign(hooks, { oneBlinding: false, oneKey: false, oneHash: false, lowBit: null }),
);

describe.each([2, 3, 4])('all but one of %i parties', (parties) => {
  let bench: Bench;
  let trials: Trial[];
  const honestParties = Array.from({ length: parties }, (_, side) => side);
  beforeAll(async () => {
    bench = await openBench(parties, 'ecdh');
    trials = await trialsOf(bench, runsOf(parties));
  }, 600_000);

  it('see the same shapes for equal, disjoint, empty and filtered tables', async () => {
    const others = [await runOnce(bench, 'empty'), await runOnce(bench, 'filtered')];
    for (const honest of honestParties) {
      const { shape } = trials[0]!.views[honest]!;
      expect(shape.some((line) => /oprf\/(blinded|evaluated)\.0 \d+$/.test(line))).toBe(true);
      for (const trial of [...trials, ...others]) expect(trial.views[honest]!.shape).toEqual(shape);
    }
  });

  it.each(honestParties)('see nothing of party %i but uniform, unlinkable values', (honest) => {
    const kinds = [...kindsOf(trials[0]!, honest).keys()];
    const wanted = honest === 0 ? [/oprf\/blinded/] : [/oprf\/evaluated/, /^unblinded$/];
    for (const name of [...wanted, /^opened \(d, e\)$/, /^output share$/]) {
      expect(kinds.some((kind) => name.test(kind))).toBe(true);
    }
    expect(alarmsOf(trials, honest)).toEqual([]);
  });

  it.each(honestParties)('see elements of party %i in the prime-order subgroup only', (honest) => {
    const elements = concat(
      trials.flatMap((trial) =>
        [...kindsOf(trial, honest)].flatMap(([kind, x]) => (IS_ELEMENTS.test(kind) ? [x] : [])),
      ),
    );
    const n = elements.length / ELEMENT;
    expect(n).toBeGreaterThan(500);
    expect([countOnCurve(elements), squares(elements)]).toEqual([n, n]);
  });
});

describe('what they would see of a build that leaks', () => {
  const [again, power] = [
    'elements: one occurs twice',
    'elements: a known power of a known identifier',
  ];
  it.each([
    ['one blinding for all runs', ['oneBlinding'], 0, [power]],
    ['one key for all runs', ['oneKey'], 1, [power]],
    ['one blinding, and hashes of no run', ['oneBlinding', 'oneHash'], 0, [again, power]],
    ['one key, and hashes of no run', ['oneKey', 'oneHash'], 1, [again, power]],
  ] as const)('%s', async (_, mutants, honest, alarms) => {
    const bench = await openBench(2, 'ecdh');
    for (const mutant of mutants) hooks[mutant] = true;
    const seen = alarmsOf(await trialsOf(bench, 3), honest);
    expect(seen).toEqual(expect.arrayContaining([...alarms]));
  });

  it('an input in one bit of the elements', async () => {
    const bench = await openBench(2, 'ecdh');
    const trials: Trial[] = [];
    for (let i = 0; i < 6; i += 1) {
      for (const input of ['equal', 'disjoint'] as const) {
        hooks.lowBit = input === 'equal' ? 1 : 0;
        trials.push(await runOnce(bench, input));
      }
    }
    const alarms = alarmsOf(trials, 0);
    expect(alarms).toContain('sent s0.a0/psi/oprf/blinded.0: every bit of an item balanced');
  });

  it('points whose cofactor is not cleared', () => {
    const hashed = sessionHashes(new Uint8Array(0), 'p').toCurve(systemRng(33 * 200));
    expect(countOnCurve(hashed)).toBe(200);
    expect(squares(hashed)).toBeGreaterThan(50);
    expect(squares(hashed)).toBeLessThan(150);
  });
});
