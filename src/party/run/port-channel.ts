import type { MessagePort, Transferable } from 'node:worker_threads';
import type { Channel } from '../../core/channel.ts';
import { asParleyError, errorOf, ParleyError } from '../../core/errors.ts';
import type { ErrorDocument } from '../../core/errors.ts';

// A party's channels live with its sockets on the main thread; shards run in worker threads. One
// message port per other party carries the calls of all channels below one root.

/** What a worker asks; `path` is below the bridged channel, '' for itself. */
export type PortRequest = { readonly id: number; readonly path: string; readonly step: string } & (
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'recv'; readonly length: number }
);

export type PortReply = { readonly id: number } & (
  { readonly bytes: Uint8Array | null } | { readonly error: ErrorDocument }
);

/** Bytes that own their whole buffer, so that they can be moved; copied only when they do not. */
export function movable(bytes: Uint8Array): [Uint8Array, Transferable[]] {
  const whole =
    bytes.constructor === Uint8Array &&
    bytes.byteLength === bytes.buffer.byteLength &&
    bytes.buffer instanceof ArrayBuffer;
  const own = whole ? bytes : new Uint8Array(bytes);
  return [own, [own.buffer as ArrayBuffer]];
}

interface Pending {
  readonly resolve: (bytes: Uint8Array | null) => void;
  readonly reject: (error: ParleyError) => void;
}

/**
 * The worker's end: a channel whose calls are carried out on the main thread. `send` resolves once
 * the main thread's has, so back-pressure reaches the worker.
 * @param path - of the bridged channel, for key labels and error steps.
 */
export function portChannel(port: MessagePort, path: string): Channel {
  const pending = new Map<number, Pending>();
  let next = 0;
  port.on('message', (reply: PortReply) => {
    const call = pending.get(reply.id);
    pending.delete(reply.id);
    if ('error' in reply) call?.reject(errorOf(reply.error));
    else call?.resolve(reply.bytes);
  });
  port.on('close', () => {
    const error = new ParleyError('CHANNEL_CLOSED', 'the node has closed the channel');
    for (const call of pending.values()) call.reject(error);
    pending.clear();
  });
  const ask = (request: PortRequest, moved: Transferable[]): Promise<Uint8Array | null> =>
    new Promise((resolve, reject) => {
      pending.set(request.id, { resolve, reject });
      port.postMessage(request, moved);
    });
  const below = (relative: string): Channel => ({
    path: relative === '' ? path : `${path}/${relative}`,
    async send(step, bytes) {
      const [own, moved] = movable(bytes);
      await ask({ id: next++, kind: 'send', path: relative, step, bytes: own }, moved);
    },
    async recv(step, length) {
      const request = { id: next++, kind: 'recv', path: relative, step, length } as const;
      return (await ask(request, [])) ?? new Uint8Array(0);
    },
    sub: (name) => below(relative === '' ? name : `${relative}/${name}`),
  });
  return below('');
}

/** The main thread's end: carries out a worker's calls on `root` and the channels below it. */
export function bridge(port: MessagePort, root: Channel): void {
  const channels = new Map<string, Channel>([['', root]]);
  const channelAt = (path: string): Channel => {
    const known = channels.get(path);
    if (known !== undefined) return known;
    const cut = path.lastIndexOf('/');
    const made = channelAt(path.slice(0, Math.max(0, cut))).sub(path.slice(cut + 1));
    channels.set(path, made);
    return made;
  };
  const carryOut = async (request: PortRequest): Promise<void> => {
    const { id, path, step } = request;
    try {
      const channel = channelAt(path);
      if (request.kind === 'send') {
        await channel.send(step, request.bytes);
        port.postMessage({ id, bytes: null } satisfies PortReply);
        return;
      }
      const [bytes, moved] = movable(await channel.recv(step, request.length));
      port.postMessage({ id, bytes } satisfies PortReply, moved);
    } catch (error) {
      port.postMessage({ id, error: asParleyError(error).toJSON() } satisfies PortReply);
    }
  };
  port.on('message', (request: PortRequest) => {
    void carryOut(request);
  });
}
