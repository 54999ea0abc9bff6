// Goal: a set network moves its wires as asked, whatever is asked, with as many switches as the
// papers say. The networks are walked here wire by wire, apart from the kernel that runs them on shares.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import {
  permutationSwitches,
  selectionOf,
  selectionSwitches,
  setPermutation,
  setSelection,
  type Selection,
} from '../../src/protocols/sharing/switch-networks.ts';
import { seededRng } from '../support/seeded-rng.ts';

/** Takes one setting after the other. */
function reader(bits: Uint8Array): { next(): boolean; readonly taken: () => number } {
  let at = 0;
  return {
    next: () => ((bits[at >> 3]! >> (at++ & 7)) & 1) === 1,
    taken: () => at,
  };
}

/** Waksman's construction: switches on inputs, two networks of half the size, switches on outputs. */
function permuted(wires: readonly number[], settings: { next(): boolean }): number[] {
  const n = wires.length;
  if (n < 2) return [...wires];
  const h = Math.floor(n / 2);
  const [upper, lower]: [number[], number[]] = [[], wires.slice(2 * h)];
  for (let i = 0; i < h; i += 1) {
    const crossed = settings.next();
    upper.push(wires[crossed ? h + i : i]!);
    lower.splice(i, 0, wires[crossed ? i : h + i]!);
  }
  const [up, low] = [permuted(upper, settings), permuted(lower, settings)];
  const out = [...up, ...low];
  for (let i = n % 2 === 0 ? 1 : 0; i < h; i += 1) {
    if (settings.next()) [out[i], out[h + i]] = [out[h + i]!, out[i]!];
  }
  return out;
}

function compacted(wires: readonly number[], settings: { next(): boolean }): number[] {
  const half = wires.length / 2;
  if (wires.length < 2) return [...wires];
  const left = compacted(wires.slice(0, half), settings);
  const out = [...left, ...compacted(wires.slice(half), settings)];
  for (let i = 0; i < half; i += 1) {
    if (settings.next()) [out[i], out[half + i]] = [out[half + i]!, out[i]!];
  }
  return out;
}

function selected({ blocks, width, outputs }: Selection, settings: { next(): boolean }): number[] {
  const parts = Array.from({ length: blocks }, (_, b) =>
    compacted(
      Array.from({ length: width }, (__, i) => b * width + i),
      settings,
    ),
  );
  const front = parts[0]!;
  for (const part of parts.slice(1)) {
    for (let i = 0; i < outputs; i += 1) if (settings.next()) front[i] = part[i]!;
  }
  return front.slice(0, outputs);
}

function shuffled(n: number, seed: string): Int32Array {
  const draws = new Uint32Array(seededRng(seed)(4 * n).slice().buffer);
  return Int32Array.from(draws.keys()).sort((a, b) => draws[a]! - draws[b]! || a - b);
}

function expectPermutes(source: Int32Array): void {
  const n = source.length;
  const bits = new Uint8Array(bitBytes(permutationSwitches(n)));
  setPermutation(source, bits);
  const settings = reader(bits);
  const out = permuted(
    Array.from({ length: n }, (_, i) => i),
    settings,
  );
  expect(out).toEqual([...source]);
  expect(settings.taken()).toBe(permutationSwitches(n));
}

describe('a permutation network', () => {
  it('realises every permutation of up to six wires', () => {
    const all = (n: number): number[][] =>
      n === 0
        ? [[]]
        : all(n - 1).flatMap((p) =>
            Array.from({ length: n }, (_, at) => [...p.slice(0, at), n - 1, ...p.slice(at)]),
          );
    for (let n = 1; n <= 6; n += 1) for (const p of all(n)) expectPermutes(Int32Array.from(p));
  });

  it('realises random permutations of 1 to 70 wires, and of thousands', () => {
    for (let n = 1; n <= 70; n += 1) {
      for (let run = 0; run < 5; run += 1) expectPermutes(shuffled(n, `${n} ${run}`));
    }
    for (const n of [1_000, 2_047, 2_048, 2_049, 5_003, 16_384])
      expectPermutes(shuffled(n, `${n}`));
  });

  it('realises the identity, the reversal and rotations', () => {
    for (const n of [2, 3, 7, 8, 64, 65, 999]) {
      for (const of of [
        (i: number) => i,
        (i: number) => n - 1 - i,
        (i: number) => (i + 1) % n,
        (i: number) => (i + (n >> 1)) % n,
      ]) {
        expectPermutes(Int32Array.from({ length: n }, (_, i) => of(i)));
      }
    }
  });

  it('has ⌈log2 1⌉ + … + ⌈log2 n⌉ switches', () => {
    let sum = 0;
    for (let n = 1; n <= 300; n += 1) {
      sum += Math.ceil(Math.log2(n));
      expect(permutationSwitches(n)).toBe(sum);
    }
  });
});

describe('a selection', () => {
  function expectSelects(wires: number, chosen: Int32Array): void {
    const selection = selectionOf(wires, chosen.length);
    const switches = selectionSwitches(selection);
    const first = wires % 11;
    const bits = new Uint8Array(bitBytes(first + switches));
    setSelection(selection, chosen, first, bits);
    const settings = reader(bits);
    for (let i = 0; i < first; i += 1) expect(settings.next()).toBe(false);
    expect(selected(selection, settings)).toEqual([...chosen]);
    expect(settings.taken()).toBe(first + switches);
  }

  const some = (wires: number, outputs: number, seed: string): Int32Array =>
    shuffled(wires, seed).slice(0, outputs).sort();

  it('brings any chosen wires to the front in order', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(), (wires, part, seed) => {
        expectSelects(wires, some(wires, 1 + (part % wires), `${seed}`));
      }),
      { numRuns: 300 },
    ));

  it('of all wires, of the first, of the last, of thousands', () => {
    for (let wires = 1; wires <= 70; wires += 1) {
      expectSelects(wires, some(wires, wires, 'all'));
      expectSelects(wires, Int32Array.of(0));
      expectSelects(wires, Int32Array.of(wires - 1));
    }
    expectSelects(5_000, some(5_000, 1_000, 'thousands'));
    expectSelects(16_384, some(16_384, 333, 'more'));
    const last = Int32Array.from({ length: 100 }, (_, i) => 4_000 - 100 + i);
    expectSelects(4_000, last);
  });

  it('has half the switches of a butterfly a block, and an output each to merge one', () => {
    expect(selectionSwitches(selectionOf(4_096, 1_000))).toBe(4 * 5 * 1_024 + 3 * 1_000);
    expect(selectionSwitches(selectionOf(7, 1))).toBe(6);
    expect(selectionSwitches(selectionOf(1, 1))).toBe(0);
  });
});
