import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { errorOf, ParleyError } from '../../core/errors.ts';
import { errorDocumentSchema, sealedShareSchema } from '../../records/index.ts';
import type { EnclaveCall } from '../enclave/calls.ts';
import type { HelloReply, RunReply } from '../enclave/enclave.ts';
import { readFrames, writeFrame, type Frame } from '../enclave/frames.ts';
import { teeEnvelope } from '../enclave/records.ts';
import { evidenceFromJson } from '../evidence-json.ts';

const helloReply = z.strictObject({
  signing_key: z.string().max(64),
  sealing_key: z.string().max(64),
  evidence: z.unknown(),
  notice: z.string().max(256).exactOptional(),
});
const runReply = z.strictObject({
  envelope: z.strictObject({
    document: teeEnvelope,
    signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
  }),
  sealed: sealedShareSchema,
});
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
  putInput(call: Call<'put_input'>, ciphertext: Uint8Array): Promise<void>;
  run(call: Call<'run'>): Promise<RunReply>;
  close(): void;
}

function decoded<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ParleyError('FRAME_MALFORMED', 'the enclave answered with another form');
}

/**
 * Speaks the four calls over a connected stream. Call after call: an enclave takes one at a time.
 * @throws ParleyError of the enclave; CHANNEL_CLOSED, FRAME_MALFORMED, FRAME_TOO_LARGE.
 */
export function enclaveConnection(stream: Duplex): EnclaveConnection {
  const frames = readFrames(stream);
  const ask = async (
    header: EnclaveCall,
    body: Uint8Array = new Uint8Array(),
  ): Promise<unknown> => {
    await writeFrame(stream, { header, body });
    const next = await frames.next();
    if (next.done === true) {
      throw new ParleyError('CHANNEL_CLOSED', 'the connection to the enclave ended');
    }
    const answer = decoded(reply, (next.value satisfies Frame).header);
    if ('error' in answer) throw errorOf(answer.error);
    return answer.ok;
  };
  return {
    async hello(call) {
      const greeted = decoded(helloReply, await ask({ call: 'hello', ...call }));
      evidenceFromJson(greeted.evidence);
      return greeted as HelloReply;
    },
    async loadPolicy(packet) {
      decoded(nothing, await ask({ call: 'load_policy', packet }));
    },
    async putInput(call, ciphertext) {
      decoded(nothing, await ask({ call: 'put_input', ...call }, ciphertext));
    },
    async run(call) {
      return decoded(runReply, await ask({ call: 'run', ...call }));
    },
    close: () => stream.destroy(),
  };
}
