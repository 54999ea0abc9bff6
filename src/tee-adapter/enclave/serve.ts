import type { Duplex } from 'node:stream';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import { callSchema, type EnclaveCall } from './calls.ts';
import { Enclave, type EnclaveOptions } from './enclave.ts';
import { readFrames, writeFrame } from './frames.ts';

const NO_BODY = new Uint8Array();

function callOf(header: unknown): EnclaveCall {
  const parsed = callSchema.safeParse(header);
  if (parsed.success) return parsed.data;
  throw new ParleyError('REQUEST_MALFORMED', 'a call to the enclave has another form');
}

/**
 * Serves one host connection with one enclave: calls in order, one reply each. Ends with the run,
 * with the first refusal or with the connection; nothing survives it.
 */
export async function serveEnclave(stream: Duplex, options: EnclaveOptions): Promise<void> {
  const enclave = new Enclave(options);
  // Not `for await`: leaving it would destroy the stream, and with it the word of a refusal.
  const frames = readFrames(stream);
  try {
    while (!enclave.over) {
      const next = await frames.next();
      if (next.done === true) break;
      const { header, body } = next.value;
      const reply = await enclave.call(callOf(header), body);
      await writeFrame(stream, { header: { ok: reply }, body: NO_BODY });
    }
  } catch (error) {
    // A code and a sentence; causes stay inside.
    const document = asParleyError(error).toJSON();
    await writeFrame(stream, { header: { error: document }, body: NO_BODY }).catch(() => undefined);
  } finally {
    enclave.end();
    stream.end();
  }
}
