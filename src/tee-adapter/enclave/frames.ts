import type { Readable, Writable } from 'node:stream';
import { canonicalJson, parseJsonStrict } from '../../policy/index.ts';
import { concat, u32be } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { BODY_BYTES_MAX, HEADER_BYTES_MAX } from './limits.ts';

/** A call or a reply: a JSON document and, for inputs, bytes beside it. */
export interface Frame {
  readonly header: unknown;
  readonly body: Uint8Array;
}

const PREFIX_BYTES = 8;

/** `u32 header length ‖ u32 body length ‖ header`, big-endian; so many bytes of body follow. */
export function frameHead(header: unknown, bodyBytes: number): Uint8Array {
  const json = canonicalJson(header);
  return concat([u32be(json.length), u32be(bodyBytes), json]);
}

/** Resolves when the bytes are on their way. @throws ParleyError CHANNEL_CLOSED. */
export function writeBytes(stream: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error == null ? resolve() : reject(closed(error))));
  });
}

export function writeFrame(stream: Writable, { header, body }: Frame): Promise<void> {
  return writeBytes(stream, concat([frameHead(header, body.length), body]));
}

function closed(cause?: unknown): ParleyError {
  return new ParleyError('CHANNEL_CLOSED', 'the connection to the enclave ended', {}, cause);
}

/**
 * Frames of a stream, in order, until it ends.
 * @throws ParleyError FRAME_TOO_LARGE before anything of that size is read; FRAME_MALFORMED;
 *   CHANNEL_CLOSED when the stream ends inside a frame.
 */
export async function* readFrames(stream: Readable): AsyncGenerator<Frame, void> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let need = PREFIX_BYTES;
  const take = (): Uint8Array => {
    const all = concat(parts);
    parts = all.length > need ? [all.subarray(need)] : [];
    held = all.length - need;
    return all.slice(0, need);
  };
  let lengths: { header: number; body: number } | null = null;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    parts.push(chunk);
    held += chunk.length;
    while (held >= need) {
      const bytes = take();
      if (lengths === null) {
        const view = new DataView(bytes.buffer);
        lengths = { header: view.getUint32(0), body: view.getUint32(4) };
        if (lengths.header > HEADER_BYTES_MAX || lengths.body > BODY_BYTES_MAX) {
          throw new ParleyError('FRAME_TOO_LARGE', 'a frame is larger than an enclave takes');
        }
        need = lengths.header + lengths.body;
        continue;
      }
      const limits = { bytesMax: HEADER_BYTES_MAX, code: 'FRAME_MALFORMED' } as const;
      const header = parseJsonStrict(bytes.subarray(0, lengths.header), limits);
      const body = bytes.slice(lengths.header);
      lengths = null;
      need = PREFIX_BYTES;
      yield { header, body };
    }
  }
  if (held > 0 || lengths !== null) throw closed();
}
