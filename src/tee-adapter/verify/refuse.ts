import type { ErrorCode } from '../../core/errors.ts';
import { ParleyError } from '../../core/errors.ts';

/** Ends an appraisal. `what` is one sentence about the form, never about the bytes. */
export function refuse(code: ErrorCode, what: string): never {
  throw new ParleyError(code, what);
}

/** @throws ParleyError `code` unless `condition` holds. */
export function check(condition: boolean, code: ErrorCode, what: string): asserts condition {
  if (!condition) refuse(code, what);
}

/** Runs a decoder written for one kind of document and gives its refusals another code. */
export function relabelled<T>(from: ErrorCode, to: ErrorCode, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ParleyError && error.code === from) refuse(to, error.message);
    throw error;
  }
}
