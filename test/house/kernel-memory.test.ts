// Goal: a request for more linear memory than there is leaves the kernel as it was.
import { expect, it } from 'vitest';
import { loadKernel } from '../../src/kernels/load.ts';

it('refuses what does not fit, wipes, and works on', () => {
  const kernel = loadKernel<{ xorInto(dst: number, src: number, bytes: number): void }>('ot', [
    'xorInto',
  ]);
  const tooMuch = (): unknown =>
    kernel.run((arena) => {
      arena.put(new Uint8Array(64).fill(7));
      return arena.alloc(5 * 2 ** 30);
    });
  expect(tooMuch).toThrow(expect.objectContaining({ code: 'INPUT_TOO_LARGE' }));
  expect(tooMuch).toThrow(expect.objectContaining({ code: 'INPUT_TOO_LARGE' }));
  kernel.run((arena) => {
    const fresh = arena.alloc(64);
    expect(arena.get(fresh, 64)).toEqual(new Uint8Array(64));
    const a = arena.put(new Uint8Array(16).fill(5));
    kernel.fn.xorInto(fresh, a, 16);
    expect(arena.get(fresh, 16)).toEqual(new Uint8Array(16).fill(5));
  });
});
