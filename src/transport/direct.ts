import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { fromBase64Url } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { dialUntilTaken, DirectPipe, FIRST_PAYLOAD_HEADER, linkUrl } from './direct-pipe.ts';
import {
  DIRECT_LIMITS,
  FIRST_PAYLOAD_BYTES_MAX,
  LINK_REQUEST_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  type DirectLimits,
} from './limits.ts';
import type { RawPipe } from './raw-pipe.ts';
import type { TransportLog } from './relay.ts';

export interface DirectOptions {
  /** Own name in the policy, told to peers that are dialled. */
  readonly party: string;
  /** Where to listen; port 0 takes any free one. */
  readonly host: string;
  readonly port: number;
  readonly log: TransportLog;
  readonly limits?: Partial<DirectLimits>;
}

/** A party's connections to and from other parties, beside the coordinator. */
export interface DirectLinks {
  readonly port: number;
  /** The end that speaks first. Dials at its first payload, again and again until taken. */
  dial(queryId: string, address: string): RawPipe;
  /**
   * The end that is dialled: takes the first connection for this query and peer whose first payload
   * `proves` the peer's key. One pipe per query and peer; another one takes the place of the first.
   */
  accept(queryId: string, peer: string, proves: (first: Uint8Array) => boolean): RawPipe;
  /** Ends every pipe and lets go of the port. */
  close(): Promise<void>;
}

/** A pipe that waits for its connection. */
interface Awaited {
  readonly pipe: DirectPipe;
  readonly proves: (first: Uint8Array) => boolean;
}

const PATH = /^\/(?:[^?]*\/)?v1\/link\/([A-Za-z0-9_-]{16,64})\/([a-z][a-z0-9_-]{0,62})$/;
/** One answer for everything that is not taken: nobody learns which query runs here. */
const REFUSAL = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

class DirectListener implements DirectLinks {
  readonly #options: DirectOptions;
  readonly #limits: DirectLimits;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: PAYLOAD_BYTES_MAX,
    perMessageDeflate: false,
  });
  readonly #awaited = new Map<string, Awaited>();
  readonly #pipes = new Set<DirectPipe>();
  readonly #open = new Set<WebSocket>();
  /** Connections that have proved nothing, oldest first, with their deadlines. */
  readonly #strangers = new Map<Duplex, NodeJS.Timeout>();
  #refused = 0;

  constructor(options: DirectOptions) {
    this.#options = options;
    this.#limits = { ...DIRECT_LIMITS, ...options.limits };
    this.#server = this.#httpServer();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const message = 'the address for links cannot be listened on';
        reject(new ParleyError('BAD_CONFIG', message, {}, cause));
      });
      this.#server.listen(port, host, resolve);
    });
    // Running out of descriptors is not the end of the node.
    this.#server.on('error', () => this.#options.log.warn({}, 'the listener for links failed'));
  }

  dial(queryId: string, address: string): RawPipe {
    const url = linkUrl(address, queryId, this.#options.party);
    const pipe: DirectPipe = new DirectPipe(
      {
        onFirst: (first) =>
          dialUntilTaken(pipe, url, first, this.#limits, (socket) => this.#keep(socket)),
        onClose: () => this.#pipes.delete(pipe),
      },
      this.#limits,
    );
    this.#pipes.add(pipe);
    return pipe;
  }

  accept(queryId: string, peer: string, proves: (first: Uint8Array) => boolean): RawPipe {
    const key = keyOf(queryId, peer);
    const pipe: DirectPipe = new DirectPipe(
      {
        onReady: () => this.#awaited.set(key, { pipe, proves }),
        onClose: () => {
          this.#pipes.delete(pipe);
          if (this.#awaited.get(key)?.pipe === pipe) this.#awaited.delete(key);
        },
      },
      this.#limits,
    );
    this.#pipes.add(pipe);
    return pipe;
  }

  async close(): Promise<void> {
    for (const pipe of [...this.#pipes]) pipe.end();
    for (const socket of this.#open) socket.terminate();
    for (const socket of [...this.#strangers.keys()]) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #keep(socket: WebSocket): void {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
  }

  #httpServer(): Server {
    const { openTimeoutMs } = this.#limits;
    const server = createServer(
      {
        headersTimeout: openTimeoutMs,
        requestTimeout: openTimeoutMs,
        connectionsCheckingInterval: openTimeoutMs,
        maxHeaderSize: LINK_REQUEST_BYTES_MAX,
        insecureHTTPParser: false,
      },
      (request) => this.#refuse(request.socket),
    );
    server.maxHeadersCount = 64;
    server.on('connection', (socket) => this.#meet(socket));
    server.on('clientError', (_, socket) => socket.destroy());
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    return server;
  }

  /**
   * A stranger holds a socket and a bounded request, for a bounded time. When there are too many the
   * oldest goes: a peer proves its key with its first packet, so it is never the oldest for long,
   * and dials again if it was.
   */
  #meet(socket: Socket): void {
    const { strangersMax, openTimeoutMs } = this.#limits;
    const settle = (): void => {
      clearTimeout(this.#strangers.get(socket));
      this.#strangers.delete(socket);
    };
    socket.on('error', () => socket.destroy());
    socket.once('close', settle);
    this.#strangers.set(
      socket,
      setTimeout(() => socket.destroy(), openTimeoutMs),
    );
    for (const oldest of this.#strangers.keys()) {
      if (this.#strangers.size <= strangersMax) break;
      clearTimeout(this.#strangers.get(oldest));
      this.#strangers.delete(oldest);
      oldest.destroy();
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const call = callOf(request);
    const awaited = call === null ? undefined : this.#awaited.get(call.key);
    if (call === null || awaited?.proves(call.first) !== true) {
      this.#refuse(socket);
      return;
    }
    // The callback runs only when the WebSocket is well-formed too: a replay of the peer's header
    // in a broken request uses nothing up.
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      if (this.#awaited.get(call.key) !== awaited) {
        accepted.terminate();
        return;
      }
      this.#awaited.delete(call.key);
      clearTimeout(this.#strangers.get(socket));
      this.#strangers.delete(socket);
      this.#keep(accepted);
      awaited.pipe.attach(accepted, call.first);
    });
  }

  #refuse(socket: Duplex): void {
    this.#refused += 1;
    // Powers of two: whoever knocks does not write the log.
    if ((this.#refused & (this.#refused - 1)) === 0) {
      const fields = { refused: this.#refused };
      this.#options.log.warn(fields, 'connections that proved no key of a running query');
    }
    socket.end(REFUSAL, () => socket.destroy());
  }
}

/** What a request for a link says; null when it is none. */
function callOf(
  request: IncomingMessage,
): { readonly key: string; readonly first: Uint8Array } | null {
  const [, queryId, peer] = PATH.exec(request.url ?? '') ?? [];
  const first = request.headers[FIRST_PAYLOAD_HEADER];
  if (queryId === undefined || peer === undefined || typeof first !== 'string') return null;
  try {
    return { key: keyOf(queryId, peer), first: fromBase64Url(first, 1, FIRST_PAYLOAD_BYTES_MAX) };
  } catch {
    return null;
  }
}

function keyOf(queryId: string, peer: string): string {
  return `${queryId} ${peer}`;
}

/**
 * Listens for the links of other parties and dials theirs.
 *
 * Security is the link's own (Noise KK, keys pinned by the signed policy): a connection is taken
 * only when it brings a handshake message that verifies for the very query and peer; all others get
 * one answer and cost a socket and a request of LINK_REQUEST_BYTES_MAX for `openTimeoutMs`.
 *
 * @throws ParleyError BAD_CONFIG when the address cannot be listened on.
 */
export async function listenDirect(options: DirectOptions): Promise<DirectLinks> {
  const listener = new DirectListener(options);
  await listener.listen();
  return listener;
}
