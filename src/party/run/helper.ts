import { parentPort } from 'node:worker_threads';
import { wipe } from '../../core/bytes.ts';
import { asParleyError } from '../../core/errors.ts';
import { workSlice, type Slice } from '../../engine/mpc/index.ts';
import type { HelperResult } from './helpers.ts';

// The entry of a helper thread: slices in, results out, in order. It keeps nothing.
parentPort?.on('message', (slice: Slice) => {
  let reply: HelperResult;
  try {
    reply = { result: workSlice(slice) };
  } catch (error) {
    reply = { error: asParleyError(error).toJSON() };
  }
  wipe(slice.scalar);
  parentPort?.postMessage(reply);
});
