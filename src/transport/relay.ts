import { randomFillSync, randomInt } from 'node:crypto';
import { WebSocket, type RawData } from 'ws';
import { concat, toBase64Url } from '../core/bytes.ts';
import { asParleyError, expect, isErrorCode, ParleyError } from '../core/errors.ts';
import { parseGreeting, parseOrder, type Order, type Report } from './control.ts';
import { HELLO_VERSION, helloBytes } from './hello.ts';
import {
  CONTROL_BYTES_MAX,
  RELAY_LIMITS,
  WS_MESSAGE_BYTES_MAX,
  type RelayLimits,
} from './limits.ts';
import type { RawPipe } from './raw-pipe.ts';
import { decodeRelayFrame, encodeRelayHeader } from './relay-frame.ts';
import { PipeTable } from './relay-pipe.ts';
import { keepHeartbeat, SocketWriter } from './socket.ts';

/** What is logged is counts, codes and names; pino's logger fits. */
export interface TransportLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface RelayOptions {
  /** Base URL of the coordinator, `http(s):` or `ws(s):`; `/v1/party` is appended. */
  readonly url: string;
  readonly room: string;
  readonly policyDigest: string;
  /** Own name in the policy. */
  readonly party: string;
  /** Ed25519 with the party's identity key; 64 bytes. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly log: TransportLog;
  readonly limits?: Partial<RelayLimits>;
  readonly signal?: AbortSignal;
}

/** A party's connection to the coordinator, kept up until it is closed. */
export interface Relay {
  readonly connected: boolean;
  /** Settles when no further attempt will be made: null after `close`, else why. Never rejects. */
  readonly closed: Promise<ParleyError | null>;
  /** Orders of the coordinator, in order. Nothing in them is verified. Set once, right away. */
  onControl(handle: (order: Order) => void): void;
  /** Told `false` when the connection is lost and `true` when it is back. */
  onConnection(handle: (connected: boolean) => void): void;
  /**
   * Hands a report to the connection. False when there is none: the coordinator has then ended the
   * party's queries by itself.
   */
  sendControl(report: Report): boolean;
  /** The pipe to the other party of a running query; one per query and peer. */
  pipe(queryId: string, peer: string): RawPipe;
  close(): Promise<void>;
}

/** Why one connection ended, as far as it matters for the next. */
interface Ending {
  /** Whether the coordinator had welcomed us. */
  readonly welcomed: boolean;
  readonly error: ParleyError;
}

/** Private range of RFC 6455 section 7.4.2: another connection proved the same key. */
export const CLOSE_REPLACED = 4001;

function away(cause?: unknown): ParleyError {
  return new ParleyError('COORDINATOR_AWAY', 'the coordinator cannot be reached', {}, cause);
}

function partyUrl(base: string): string {
  const url = new URL('v1/party', base.endsWith('/') ? base : `${base}/`);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  return url.href;
}

class RelayClient implements Relay {
  readonly closed: Promise<ParleyError | null>;
  readonly ready: Promise<void>;
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #pipes: PipeTable;
  readonly #stop = new AbortController();
  #socket: WebSocket | null = null;
  #writer: SocketWriter | null = null;
  #welcome = false;
  #bulk = false;
  #orders: Order[] = [];
  #onControl: ((order: Order) => void) | null = null;
  #onConnection: ((connected: boolean) => void) | null = null;
  #settleReady: { resolve: () => void; reject: (error: ParleyError) => void } | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#limits = { ...RELAY_LIMITS, ...options.limits };
    this.#pipes = new PipeTable(this.#pipePort());
    this.ready = new Promise((resolve, reject) => (this.#settleReady = { resolve, reject }));
    this.ready.catch(() => undefined);
    const stop = (): void => this.#stop.abort();
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted === true) stop();
    this.closed = this.#run();
  }

  get connected(): boolean {
    return this.#welcome;
  }

  onControl(handle: (order: Order) => void): void {
    this.#onControl = handle;
    for (const order of this.#orders.splice(0)) handle(order);
  }

  onConnection(handle: (connected: boolean) => void): void {
    this.#onConnection = handle;
  }

  sendControl(report: Report): boolean {
    const text = JSON.stringify(report);
    expect(Buffer.byteLength(text) <= CONTROL_BYTES_MAX, 'a control message is at most 1 MiB');
    if (!this.#welcome || this.#writer === null) return false;
    this.#writer.write(text).catch(() => undefined);
    return true;
  }

  pipe(queryId: string, peer: string): RawPipe {
    return this.#pipes.open(queryId, peer);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.closed;
  }

  #pipePort(): { readonly connected: boolean; send: PipeTableSend } {
    const isConnected = (): boolean => this.#welcome;
    return {
      get connected() {
        return isConnected();
      },
      send: async (peer, queryId, payload) => {
        if (this.#writer === null) throw away();
        const message = concat([encodeRelayHeader(peer, queryId), payload]);
        // See #mask. `write` masks before it returns, so the flag covers this message only.
        this.#bulk = true;
        const written = this.#writer.write(message);
        this.#bulk = false;
        await written;
      },
    };
  }

  /**
   * Masking key of a frame (RFC 6455 section 5.3). Masking keeps a browser's script from putting
   * chosen bytes on the wire in front of a careless proxy. A relay frame is a short header of
   * names and then AES-GCM ciphertext, which nobody chooses; its key is zero, which costs neither
   * side two passes over the data. Everything else is masked with fresh random bytes.
   */
  #mask(key: Buffer): void {
    if (this.#bulk) key.fill(0);
    else randomFillSync(key);
  }

  /** Connects again and again until stopped or sent away for good. */
  async #run(): Promise<ParleyError | null> {
    const { connectTimeoutMs, backoffMsMin, backoffMsMax } = this.#limits;
    const giveUpAt = performance.now() + connectTimeoutMs;
    let everWelcomed = false;
    for (let attempt = 0; ;) {
      const ending = this.#stop.signal.aborted ? null : await this.#session();
      if (this.#stop.signal.aborted || ending === null) {
        this.#settleReady?.reject(new ParleyError('CANCELLED', 'the operation was cancelled'));
        return null;
      }
      everWelcomed ||= ending.welcomed;
      const { error } = ending;
      const fields = { code: error.code, party: this.#options.party };
      const refused = error.code !== 'COORDINATOR_AWAY';
      const late = !everWelcomed && performance.now() >= giveUpAt;
      if ((!everWelcomed && refused) || late || error.code === 'CHANNEL_CLOSED') {
        this.#options.log.warn(fields, 'the coordinator is given up');
        this.#settleReady?.reject(error);
        return error;
      }
      attempt = ending.welcomed ? 0 : attempt + 1;
      const ceiling = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(attempt + 1, 16));
      const delayMs = randomInt(backoffMsMin, ceiling + 1);
      this.#options.log.warn({ ...fields, delayMs }, 'no connection to the coordinator; retrying');
      await this.#sleep(delayMs);
    }
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      this.#stop.signal.addEventListener('abort', done, { once: true });
      if (this.#stop.signal.aborted) done();
    });
  }

  /** One connection from its opening to its end. */
  #session(): Promise<Ending> {
    const { handshakeTimeoutMs, heartbeatMs, heartbeatsMissedMax } = this.#limits;
    const socket = new WebSocket(partyUrl(this.#options.url), {
      maxPayload: WS_MESSAGE_BYTES_MAX,
      perMessageDeflate: false,
      handshakeTimeout: handshakeTimeoutMs,
      followRedirects: false,
      generateMask: (key) => this.#mask(key),
    });
    this.#socket = socket;
    this.#writer = new SocketWriter(socket);
    const heartbeat = keepHeartbeat(socket, heartbeatMs, heartbeatsMissedMax);
    const stop = (): void => {
      socket.close(1000);
      // A coordinator that does not answer the close is not waited for.
      setTimeout(() => socket.terminate(), 1000).unref();
    };
    this.#stop.signal.addEventListener('abort', stop, { once: true });
    return new Promise<Ending>((resolve) => {
      let error: ParleyError | null = null;
      let welcomed = false;
      const helloTimer = setTimeout(() => socket.terminate(), 2 * handshakeTimeoutMs);
      socket.on('error', (cause) => (error ??= away(cause)));
      socket.on('message', (data, isBinary) => {
        heartbeat.alive();
        try {
          if (this.#welcome) this.#receive(data, isBinary);
          else if (this.#greet(data, isBinary)) {
            welcomed = true;
            clearTimeout(helloTimer);
            this.#setConnected(true);
          }
        } catch (cause) {
          error ??= asParleyError(cause);
          socket.terminate();
        }
      });
      socket.on('close', (code) => {
        clearTimeout(helloTimer);
        this.#stop.signal.removeEventListener('abort', stop);
        this.#socket = null;
        this.#writer = null;
        if (welcomed) this.#setConnected(false);
        if (code === CLOSE_REPLACED) error = replaced();
        resolve({ welcomed, error: error ?? away() });
      });
    });
  }

  #setConnected(connected: boolean): void {
    this.#welcome = connected;
    if (connected) {
      this.#options.log.info({ party: this.#options.party }, 'connected to the coordinator');
      this.#settleReady?.resolve();
    } else {
      this.#orders = [];
      this.#pipes.closeAll();
    }
    this.#onConnection?.(connected);
  }

  /** Answers the challenge. True once welcome. @throws ParleyError the coordinator's refusal. */
  #greet(data: RawData, isBinary: boolean): boolean {
    const greeting = parseGreeting(isBinary ? null : parseJson(data));
    if (greeting.type === 'welcome') return true;
    if (greeting.type === 'refused') throw refusalOf(greeting.error);
    const { room, policyDigest, party, sign } = this.#options;
    const hello = { room, policy_digest: policyDigest, party, nonce: greeting.nonce };
    const signature = toBase64Url(sign(helloBytes(hello)));
    this.#socket?.send(
      JSON.stringify({ type: 'hello', version: HELLO_VERSION, ...hello, signature }),
    );
    return false;
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (isBinary) {
      const { peer, queryId, payload } = decodeRelayFrame(data as Uint8Array);
      this.#pipes.deliver(peer, queryId, payload);
      return;
    }
    const order = parseOrder(parseJson(data));
    const { type } = order;
    if (type === 'query' || type === 'resume') this.#pipes.announce(order.query_id);
    if (type === 'abort' || type === 'over') this.#pipes.forget(order.query_id);
    if (this.#onControl === null) this.#orders.push(order);
    else this.#onControl(order);
  }
}

type PipeTableSend = (peer: string, queryId: string, payload: Uint8Array) => Promise<void>;

function parseJson(data: RawData): unknown {
  try {
    return JSON.parse((data as Buffer).toString('utf8')) as unknown;
  } catch (cause) {
    throw new ParleyError('FRAME_MALFORMED', 'a control message is not JSON', {}, cause);
  }
}

function refusalOf(error: { readonly code: string; readonly message: string }): ParleyError {
  const code = isErrorCode(error.code) ? error.code : 'LINK_AUTH_FAILED';
  return new ParleyError(code, error.message);
}

function replaced(): ParleyError {
  return new ParleyError('CHANNEL_CLOSED', 'another node connected with the key of this party', {
    hint: 'run one node per party',
  });
}

/**
 * Connects a party to its coordinator and keeps it connected: back-off with jitter, heartbeats,
 * a fresh proof of the identity key each time. Pipes and links do not survive a lost connection.
 *
 * The coordinator is not authenticated beyond TLS of a `wss:` URL, and need not be: it sees sizes,
 * times and names, and everything a party acts on is signed by others.
 *
 * @returns once welcome for the first time.
 * @throws ParleyError COORDINATOR_AWAY after `connectTimeoutMs`, the code of a refusal
 *   (LINK_AUTH_FAILED, POLICY_MISMATCH), CANCELLED.
 */
export async function connectRelay(options: RelayOptions): Promise<Relay> {
  const relay = new RelayClient(options);
  await relay.ready;
  return relay;
}
