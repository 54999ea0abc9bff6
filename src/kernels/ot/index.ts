import { loadKernel, type Kernel } from '../load.ts';

/**
 * What `assembly/index.ts` exports; arguments are addresses and counts. Arrays are whole 16-byte
 * lanes and `n` is a multiple of 128. Each comment there says what the function computes.
 */
export interface OtExports {
  xorInto(dst: number, src: number, bytes: number): void;
  xorMasked(dst: number, src: number, bytes: number, bit: number): void;
  fold1(u: number, rows: number, leaves: number, stride: number, bytes: number): void;
  fold2(u: number, rows: number, leaves: number, stride: number, bytes: number): void;
  fold4(u: number, rows: number, leaves: number, stride: number, bytes: number): void;
  transpose128(dst: number, src: number, stride: number, bytes: number, scratch: number): void;
  sigma(dst: number, src: number, n: number, offset: number): void;
  xorOffset(dst: number, src: number, n: number, offset: number): void;
  tweak(dst: number, src: number, n: number, blocks: number): void;
  xorRepeated(dst: number, src: number, n: number, blocks: number): void;
  packLsb(dst: number, keys: number, n: number): void;
  ring64Send(
    z: number,
    own: number,
    k0: number,
    k1: number,
    delta: number,
    n: number,
    lanes: number,
    keyBytes: number,
  ): void;
  ring64Take(dst: number, keys: number, n: number, lanes: number, keyBytes: number): void;
  ring64Add(dst: number, z: number, choices: number, n: number, lanes: number): void;
  ring6Send(z: number, own: number, k0: number, k1: number, delta: number, n: number): void;
  ring6Take(dst: number, keys: number, n: number): void;
  ring6Add(dst: number, z: number, choices: number, n: number): void;
}

/** Bytes of scratch that `transpose128` asks for. */
export const TRANSPOSE_SCRATCH_BYTES = 512;

export const otKernel: Kernel<OtExports> = loadKernel<OtExports>('ot', [
  'xorInto',
  'xorMasked',
  'fold1',
  'fold2',
  'fold4',
  'transpose128',
  'sigma',
  'xorOffset',
  'tweak',
  'xorRepeated',
  'packLsb',
  'ring64Send',
  'ring64Take',
  'ring64Add',
  'ring6Send',
  'ring6Take',
  'ring6Add',
]);
