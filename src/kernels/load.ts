import { readFileSync } from 'node:fs';
import { expect, ParleyError } from '../core/errors.ts';

/** The part of the WebAssembly JavaScript API used here; lib.dom would bring the whole browser. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface WasmApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** LOCAL. WebAssembly page size, fixed by the WebAssembly specification (section 2.5.5). */
const PAGE_BYTES = 65_536;

/** A WebAssembly kernel: its exported functions and a bump arena over its linear memory. */
export interface Kernel<Exports> {
  readonly fn: Exports;
  /**
   * Runs `body` with a fresh arena; everything allocated is zeroed and given back at the end, so
   * no secret stays in linear memory. Not re-entrant: `body` is synchronous.
   */
  run<T>(body: (arena: Arena) => T): T;
}

/** Addresses are byte offsets into linear memory, 16-byte aligned. */
export interface Arena {
  /** `bytes` of zeroed memory. */
  alloc(bytes: number): number;
  /** Copies `data` in and returns its address. */
  put(data: Uint8Array): number;
  /** Copies `bytes` out from `address`. */
  get(address: number, bytes: number): Uint8Array;
  /** A view that the next `alloc` or `put` may detach; for immediate use. */
  view(address: number, bytes: number): Uint8Array;
}

/**
 * Compiles and instantiates `dist/kernels/<name>.wasm`. The path is the same seen from `src/` and
 * from `dist/`. `Exports` lists the module's functions; each is checked to exist.
 */
export function loadKernel<Exports extends object>(
  name: string,
  exportNames: readonly (keyof Exports & string)[],
): Kernel<Exports> {
  const file = new URL(`../../dist/kernels/${name}.wasm`, import.meta.url);
  const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;
  const { exports } = new wasm.Instance(new wasm.Module(readFileSync(file)), {});
  const memory = exports['memory'] as WasmMemory;
  const base = exports['heapBase'] as { readonly value: number } | undefined;
  expect(base !== undefined, `kernel ${name} exports heapBase`);
  for (const fn of exportNames) {
    expect(typeof exports[fn] === 'function', `kernel ${name} exports ${fn}`);
  }
  const start = align(base.value);
  let top = start;
  let busy = false;
  const arena: Arena = {
    alloc(bytes) {
      const address = top;
      const next = align(top + bytes);
      const missing = next - memory.buffer.byteLength;
      if (missing > 0) grow(memory, missing);
      top = next;
      return address;
    },
    put(data) {
      const address = arena.alloc(data.length);
      new Uint8Array(memory.buffer, address, data.length).set(data);
      return address;
    },
    get: (address, bytes) => new Uint8Array(memory.buffer, address, bytes).slice(),
    view: (address, bytes) => new Uint8Array(memory.buffer, address, bytes),
  };
  return {
    fn: exports as unknown as Exports,
    run(body) {
      expect(!busy, `kernel ${name} is not re-entered`);
      busy = true;
      try {
        return body(arena);
      } finally {
        const used = top - start;
        top = start;
        busy = false;
        new Uint8Array(memory.buffer, start, used).fill(0);
      }
    },
  };
}

/** Not by bit operations: addresses above 2 GiB are negative as 32-bit integers. */
function align(address: number): number {
  return Math.ceil(address / 16) * 16;
}

/** Grows linear memory, at most to 4 GiB. @throws ParleyError INPUT_TOO_LARGE; nothing changes. */
function grow(memory: WasmMemory, bytes: number): void {
  try {
    memory.grow(Math.ceil(bytes / PAGE_BYTES));
  } catch (error) {
    throw new ParleyError(
      'INPUT_TOO_LARGE',
      'a computation needs more memory than there is',
      {},
      error,
    );
  }
}
