import type { LocalTable } from '../../engine/types.ts';

/** The buffers of a shard's own table, which go to its worker instead of being copied. */
export function movedBuffers(table: LocalTable): ArrayBuffer[] {
  const arrays = [
    table.ids,
    table.valid,
    ...Object.values(table.values),
    ...Object.values(table.present),
    ...table.bits,
  ];
  return [...new Set(arrays.map((array) => array.buffer as ArrayBuffer))];
}
