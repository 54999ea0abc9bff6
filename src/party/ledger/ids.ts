import { hash as digestOnce } from 'node:crypto';

/** LOCAL. Slots at first, a power of two; doubled when half of them are taken. */
const SLOTS_FIRST = 1 << 12;

/**
 * A set of query ids in 16 bytes each. It keeps 63 bits of the SHA-256 of each id, so it never
 * forgets one; that it takes a new id for a used one has probability n/2^63, and then only refuses
 * a query whose id the analyst chose.
 */
export class IdSet {
  /** Pairs of words; both zero is an empty slot. */
  #slots = new Uint32Array(2 * SLOTS_FIRST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    const [high, low] = fingerprint(id);
    const at = this.#find(high, low);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  /** @returns false when it was there before. */
  add(id: string): boolean {
    const [high, low] = fingerprint(id);
    const at = this.#find(high, low);
    if (this.#slots[at] !== 0 || this.#slots[at + 1] !== 0) return false;
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    this.#size += 1;
    if (4 * this.#size > this.#slots.length) this.#grow();
    return true;
  }

  /** Index of the fingerprint, or of the empty slot it goes to. */
  #find(high: number, low: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let slot = high & mask;
    for (;;) {
      const at = 2 * slot;
      if (slots[at] === high && slots[at + 1] === low) return at;
      if (slots[at] === 0 && slots[at + 1] === 0) return at;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (let i = 0; i < old.length; i += 2) {
      const [high, low] = [old[i] ?? 0, old[i + 1] ?? 0];
      if (high === 0 && low === 0) continue;
      const at = this.#find(high, low);
      this.#slots[at] = high;
      this.#slots[at + 1] = low;
    }
  }
}

function fingerprint(id: string): readonly [number, number] {
  const digest = digestOnce('sha256', id, 'buffer');
  // Never two zeros, which mark an empty slot.
  return [digest.readUInt32LE(0), (digest.readUInt32LE(4) | 1) >>> 0];
}
