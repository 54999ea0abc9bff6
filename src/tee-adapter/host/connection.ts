import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { asParleyError, errorOf, ParleyError } from '../../core/errors.ts';
import { errorDocumentSchema, greetingSchema, outcomeSchema } from '../../records/index.ts';
import type { EnclaveCall } from '../enclave/calls.ts';
import type { HelloReply, RunReply } from '../enclave/enclave.ts';
import { frameHead, readFrames, writeBytes } from '../enclave/frames.ts';
import { evidenceFromJson } from '../evidence-json.ts';

const nothing = z.strictObject({});
const reply = z.union([
  z.strictObject({ ok: z.unknown() }),
  z.strictObject({ error: errorDocumentSchema }),
]);

type Call<N extends EnclaveCall['call']> = Omit<Extract<EnclaveCall, { call: N }>, 'call'>;

/** The host's end of one enclave: what it hands on it could not have made. */
export interface EnclaveConnection {
  hello(call: Call<'hello'>): Promise<HelloReply>;
  loadPolicy(packet: unknown): Promise<void>;
  /** @param bytes - of the whole ciphertext; the chunks are passed on as they come. */
  putInput(
    call: Call<'put_input'>,
    bytes: number,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  run(call: Call<'run'>): Promise<RunReply>;
  close(): void;
}

function decoded<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ParleyError('FRAME_MALFORMED', 'the enclave answered with another form');
}

function away(cause?: unknown): ParleyError {
  return new ParleyError('ENCLAVE_AWAY', 'the connection to the enclave ended', {}, cause);
}

/** What a stream throws when the enclave behind it is gone, as our own error. */
async function unlessAway<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const error = asParleyError(thrown);
    throw error.code === 'CHANNEL_CLOSED' || error.code === 'INTERNAL' ? away(thrown) : error;
  }
}

/**
 * Speaks the four calls over a connected stream. Call after call: an enclave takes one at a time.
 * @throws ParleyError of the enclave; ENCLAVE_AWAY, FRAME_MALFORMED, FRAME_TOO_LARGE; of `putInput`
 *   PEER_BAD_LENGTH when the chunks are not as many bytes as were said, and what the chunks throw.
 */
export function enclaveConnection(stream: Duplex): EnclaveConnection {
  const frames = readFrames(stream);
  // Told by whoever reads or writes next.
  stream.on('error', () => undefined);
  const send = (bytes: Uint8Array): Promise<void> => unlessAway(writeBytes(stream, bytes));
  const answer = async (): Promise<unknown> => {
    const next = await unlessAway(frames.next());
    if (next.done === true) throw away();
    const said = decoded(reply, next.value.header);
    if ('error' in said) throw errorOf(said.error);
    return said.ok;
  };
  const ask = async (header: EnclaveCall): Promise<unknown> => {
    await send(frameHead(header, 0));
    return answer();
  };
  return {
    async hello(call) {
      const greeted = decoded(greetingSchema, await ask({ call: 'hello', ...call }));
      evidenceFromJson(greeted.evidence);
      return greeted;
    },
    async loadPolicy(packet) {
      decoded(nothing, await ask({ call: 'load_policy', packet }));
    },
    async putInput(call, bytes, chunks) {
      await send(frameHead({ call: 'put_input', ...call }, bytes));
      let left = bytes;
      for await (const chunk of chunks) {
        left -= chunk.length;
        if (left < 0) break;
        await send(chunk);
      }
      if (left !== 0) {
        throw new ParleyError('PEER_BAD_LENGTH', 'an input has another length than the plan', {
          party: call.party,
        });
      }
      decoded(nothing, await answer());
    },
    async run(call) {
      return decoded(outcomeSchema, await ask({ call: 'run', ...call }));
    },
    close: () => stream.destroy(),
  };
}
