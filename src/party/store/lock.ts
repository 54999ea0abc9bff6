import { ParleyError } from '../../core/errors.ts';
import { takeLock } from '../lock.ts';

/**
 * Lets one import at a time write to a store.
 *
 * @returns a function that gives the lock back.
 * @throws ParleyError STORAGE_FAILED when another import runs or the folder cannot be written.
 */
export function lockImport(path: string): () => void {
  let release: (() => void) | null;
  try {
    release = takeLock(path);
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the store cannot be written', {}, error);
  }
  if (release !== null) return release;
  throw new ParleyError('STORAGE_FAILED', 'another import is writing to this store');
}
