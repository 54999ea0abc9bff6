import { concat } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { parseJsonStrict } from '../policy/index.ts';
import { errorDocumentSchema, parseRecord } from '../records/index.ts';
import { z } from 'zod';

export type Fetch = typeof fetch;

export interface JsonRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  /** JSON text. */
  readonly body?: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
  readonly signal?: AbortSignal;
}

const errorBody = z.strictObject({ error: errorDocumentSchema });

/** Longest error body read. */
const ERROR_BYTES_MAX = 64 * 1024;

function transportError(error: unknown, signal: AbortSignal | undefined): ParleyError {
  if (error instanceof ParleyError) return error;
  if (signal?.aborted === true) return new ParleyError('CANCELLED', 'the query was cancelled');
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new ParleyError('TIMEOUT', 'the coordinator did not answer in time');
  }
  return new ParleyError('COORDINATOR_AWAY', 'the coordinator cannot be reached', {}, error);
}

async function readBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  // The typings of Response leave the element type open; fetch streams bytes.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    total += chunk.length;
    // Leaving the loop cancels the stream, so a hostile sender is cut off here.
    if (total > bytesMax) {
      throw new ParleyError('FRAME_TOO_LARGE', 'the coordinator sent more than it may');
    }
    parts.push(chunk);
  }
  return concat(parts);
}

/** The error a coordinator states, or that it speaks something else. */
function refusalOf(status: number, body: Uint8Array): ParleyError {
  try {
    const value = parseJsonStrict(body, { bytesMax: ERROR_BYTES_MAX });
    const { error } = parseRecord(errorBody, value, 'error');
    return new ParleyError(error.code, error.message, error.detail);
  } catch {
    return new ParleyError('COORDINATOR_AWAY', `the coordinator answered with status ${status}`, {
      hint: 'check that the address is that of a parley coordinator',
    });
  }
}

/**
 * One JSON request with a deadline and a cap on the response.
 *
 * @returns the parsed body of a 2xx response.
 * @throws ParleyError COORDINATOR_AWAY, TIMEOUT, CANCELLED, FRAME_TOO_LARGE, RESULT_INVALID (not
 *   JSON), and whatever code the coordinator's error body states.
 */
export async function requestJson(fetcher: Fetch, request: JsonRequest): Promise<unknown> {
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signal =
    request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal]);
  try {
    const response = await fetcher(request.url, {
      method: request.method,
      signal,
      redirect: 'error',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const bytesMax = response.ok ? request.bytesMax : ERROR_BYTES_MAX;
    const body = await readBody(response, bytesMax);
    if (!response.ok) throw refusalOf(response.status, body);
    return parseJsonStrict(body, { bytesMax, code: 'RESULT_INVALID' });
  } catch (error) {
    throw transportError(error, request.signal);
  }
}
