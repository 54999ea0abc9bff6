import { randomFillSync } from 'node:crypto';

/**
 * A source of uniform bytes. Protocol code takes one as a required argument; every shipped entry
 * point passes {@link systemRng}, and only tests ever pass anything else.
 */
export type Rng = (bytes: number) => Uint8Array;

/** LOCAL. Largest single request handed to the system CSPRNG. */
const FILL_BYTES_MAX = 1 << 28;

/** The operating system's CSPRNG through node:crypto. */
export const systemRng: Rng = (bytes) => {
  const out = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += FILL_BYTES_MAX) {
    randomFillSync(out, at, Math.min(FILL_BYTES_MAX, bytes - at));
  }
  return out;
};
