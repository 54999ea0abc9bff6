import { expect } from '../../core/errors.ts';
import { loadKernel } from '../load.ts';
import type { Arena } from '../load.ts';

interface NetworkExports {
  permute(
    asSender: number,
    x: number,
    n: number,
    lanes: number,
    first: number,
    stride: number,
    k: number,
    other: number,
    z: number,
  ): void;
  select(
    asSender: number,
    x: number,
    blocks: number,
    width: number,
    outputs: number,
    lanes: number,
    first: number,
    stride: number,
    k: number,
    other: number,
    z: number,
  ): void;
  prefixSums(x: number, n: number, lanes: number): void;
  differences(x: number, n: number, lanes: number): void;
}

const kernel = loadKernel<NetworkExports>('network', [
  'permute',
  'select',
  'prefixSums',
  'differences',
]);
const { fn } = kernel;

const ELEMENT_BYTES = 8;
const BLOCK_BYTES = 16;

/** Rows sorted by a permutation network, summed up, and `outputs` of the sums selected. */
export interface SortedSumsShape {
  /** Wires of the permutation. */
  readonly wires: number;
  /** Its number of switches. */
  readonly permutationSwitches: number;
  /** Blocks of the selection, of `width` wires each; at least `wires` in all. */
  readonly blocks: number;
  /** A power of two, at least `outputs`. */
  readonly width: number;
  readonly outputs: number;
  /** Switches of both networks. */
  readonly switches: number;
  readonly lanes: number;
}

/** Bytes of one OT's key: whole blocks. */
function keyBytes(lanes: number): number {
  return Math.ceil(lanes / 2) * BLOCK_BYTES;
}

interface Ends {
  readonly sending: 0 | 1;
  readonly keys: number;
  readonly others: number;
  readonly corrections: number;
}

/** Both networks on the rows at `x`; leaves the outputs there. */
function run(shape: SortedSumsShape, x: number, ends: Ends): void {
  const { wires, permutationSwitches, blocks, width, outputs, lanes } = shape;
  const { sending, keys, others, corrections } = ends;
  const stride = keyBytes(lanes);
  fn.permute(sending, x, wires, lanes, 0, stride, keys, others, corrections);
  fn.prefixSums(x, wires, lanes);
  const first = permutationSwitches;
  fn.select(
    ...([sending, x, blocks, width, outputs, lanes] as const),
    ...([first, stride, keys, others, corrections] as const),
  );
  fn.differences(x, outputs, lanes);
}

function rowsArena(arena: Arena, { blocks, width, wires, lanes }: SortedSumsShape): number {
  expect(blocks * width >= wires, 'the selection has every wire');
  return arena.alloc(blocks * width * lanes * ELEMENT_BYTES);
}

/**
 * The sender's half: its share of the selected sums and the correction of every switch.
 * @param rows - its share of the first wires, lanes innermost; the other wires are zero.
 * @param k0 - both keys of one OT per switch, ⌈lanes / 2⌉ blocks each.
 * @returns `sums`: outputs·lanes elements, lanes innermost; `corrections`: switches·lanes.
 */
export function sendSortedSums(
  shape: SortedSumsShape,
  rows: Uint8Array,
  k0: Uint8Array,
  k1: Uint8Array,
): { readonly sums: Uint8Array; readonly corrections: Uint8Array } {
  const { wires, outputs, switches, lanes } = shape;
  const bytes = switches * keyBytes(lanes);
  expect(k0.length === bytes && k1.length === bytes, 'two keys per switch');
  expect(rows.length <= wires * lanes * ELEMENT_BYTES, 'a wire per row');
  return kernel.run((arena) => {
    const x = rowsArena(arena, shape);
    arena.view(x, rows.length).set(rows);
    const messageBytes = switches * lanes * ELEMENT_BYTES;
    const corrections = arena.alloc(messageBytes);
    run(shape, x, { sending: 1, keys: arena.put(k0), others: arena.put(k1), corrections });
    return {
      sums: arena.get(x, outputs * lanes * ELEMENT_BYTES),
      corrections: arena.get(corrections, messageBytes),
    };
  });
}

/**
 * The receiver's half, whose share of every row is zero at first.
 * @param settings - one packed bit per switch. @param keys - the chosen key of each.
 * @returns its share of the selected sums.
 */
export function receiveSortedSums(
  shape: SortedSumsShape,
  settings: Uint8Array,
  keys: Uint8Array,
  corrections: Uint8Array,
): Uint8Array {
  const { outputs, switches, lanes } = shape;
  expect(keys.length === switches * keyBytes(lanes), 'a key per switch');
  expect(8 * settings.length >= switches, 'a setting per switch');
  expect(corrections.length === switches * lanes * ELEMENT_BYTES, 'a correction per switch');
  return kernel.run((arena) => {
    const x = rowsArena(arena, shape);
    const ends: Ends = {
      sending: 0,
      keys: arena.put(keys),
      others: arena.put(settings),
      corrections: arena.put(corrections),
    };
    run(shape, x, ends);
    return arena.get(x, outputs * lanes * ELEMENT_BYTES);
  });
}
