import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { fromBase64Url, toHex } from '../core/bytes.ts';
import { asParleyError, ParleyError } from '../core/errors.ts';
import { parseJsonStrict, verifyBytes } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import { ENCLAVE_NAME } from '../records/index.ts';
import {
  CLOSE_REPLACED,
  CONTROL_BYTES_MAX,
  decodeRelayFrame,
  HELLO_VERSION,
  helloBytes,
  keepHeartbeat,
  parseHello,
  parseReport,
  readdressed,
  SocketWriter,
  WS_MESSAGE_BYTES_MAX,
  type Greeting,
  type HelloMessage,
  type Order,
  type RelayFrame,
  type Report,
} from '../transport/index.ts';
import type { InputSink } from './input-sink.ts';
import { HELLO_BYTES_MAX, type CoordinatorLimits } from './limits.ts';
import type { Log } from './log.ts';

export interface HubOptions {
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly limits: CoordinatorLimits;
  readonly log: Log;
  readonly onConnected: (party: string) => void;
  /** Also when another connection takes over. */
  readonly onGone: (party: string) => void;
  readonly onReport: (party: string, report: Report) => void;
}

/** Two parties that may exchange relay frames for one query. */
interface Route {
  readonly parties: readonly string[];
  /** Payload bytes by sender. */
  readonly bytes: Record<string, number>;
}

/** The parties of a run in an enclave; whose input is taken, if any is just now. */
interface Inputs {
  readonly parties: readonly string[];
  readonly bytes: Record<string, number>;
  sink: InputSink | null;
}

/** A party that proved its key. */
interface Connection {
  readonly party: string;
  readonly socket: WebSocket;
  readonly writer: SocketWriter;
  /** Control messages it may still send now, and since when that was counted. */
  tokens: number;
  countedAt: number;
  /** Receivers that make it wait. */
  blockers: number;
}

/** RFC 6455 section 7.4.1. */
const CLOSE = { goingAway: 1001, policy: 1008 } as const;
/** Private range: the hello was refused; the reason went before as a message. */
const CLOSE_REFUSED = 4003;

/**
 * The parties' connections: proves who is who, passes control messages up, and relays frames
 * between the two parties of a running query.
 *
 * A second connection that proves the same key replaces the first: after a half-open loss the node
 * is back at once instead of waiting for a heartbeat. The one replaced is told and stays away.
 *
 * Nothing a party sends throws past its own connection. Each connection holds at most one message
 * of 1 MiB on the way in and SEND_BUFFER_BYTES_MAX on the way out; beyond, its senders are paused.
 */
export class PartyHub {
  readonly #options: HubOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: WS_MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
  });
  readonly #connections = new Map<string, Connection>();
  readonly #routes = new Map<string, Route>();
  readonly #inputs = new Map<string, Inputs>();
  readonly #pending = new Set<WebSocket>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  isConnected(party: string): boolean {
    return this.#connections.has(party);
  }

  /** Takes over an HTTP upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#greet(ws));
  }

  /** Sends an order; a party that is away does not get it. */
  send(party: string, order: Order): void {
    const connection = this.#connections.get(party);
    connection?.writer.write(JSON.stringify(order)).catch(() => undefined);
  }

  openRoute(queryId: string, parties: readonly string[]): void {
    this.#routes.set(queryId, { parties, bytes: noBytes(parties) });
  }

  /** Of a run in an enclave: nothing is relayed between parties. */
  openInputs(queryId: string, parties: readonly string[]): void {
    this.#inputs.set(queryId, { parties, bytes: noBytes(parties), sink: null });
  }

  /** Takes one party's input, or none. */
  feed(queryId: string, sink: InputSink | null): void {
    const inputs = this.#inputs.get(queryId);
    if (inputs !== undefined) inputs.sink = sink;
  }

  /** Payload bytes relayed, by sender. */
  closeRoute(queryId: string): Readonly<Record<string, number>> {
    const route = this.#routes.get(queryId) ?? this.#inputs.get(queryId);
    this.#routes.delete(queryId);
    this.#inputs.delete(queryId);
    return route?.bytes ?? {};
  }

  close(): void {
    for (const socket of this.#pending) socket.terminate();
    for (const { socket } of this.#connections.values()) {
      socket.close(CLOSE.goingAway);
      setTimeout(() => socket.terminate(), 1000).unref();
    }
  }

  /**
   * When too many have proved no key the oldest goes: a party answers the challenge at once, so it is
   * never the oldest for long, and strangers who hold places keep nobody out.
   */
  #greet(socket: WebSocket): void {
    const { limits, log } = this.#options;
    const nonce = toHex(randomBytes(32));
    this.#pending.add(socket);
    for (const oldest of this.#pending) {
      if (this.#pending.size <= limits.pendingHellosMax) break;
      this.#pending.delete(oldest);
      oldest.terminate();
    }
    const timer = setTimeout(() => socket.terminate(), limits.helloTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      this.#pending.delete(socket);
    };
    socket.on('error', () => socket.terminate());
    socket.once('close', settle);
    socket.once('message', (data, isBinary) => {
      settle();
      try {
        this.#admit(socket, this.#checkHello(data, isBinary, nonce));
      } catch (cause) {
        const error = asParleyError(cause);
        log.warn({ code: error.code }, 'a hello was refused');
        greet(socket, { type: 'refused', error: error.toJSON() });
        socket.close(CLOSE_REFUSED);
        setTimeout(() => socket.terminate(), 1000).unref();
      }
    });
    greet(socket, { type: 'challenge', version: HELLO_VERSION, nonce });
  }

  #checkHello(data: RawData, isBinary: boolean, nonce: string): HelloMessage {
    const { policy, policyDigest } = this.#options;
    if (isBinary) throw new ParleyError('FRAME_MALFORMED', 'expected a hello');
    const hello = parseHello(
      parseJsonStrict(data as Uint8Array, { bytesMax: HELLO_BYTES_MAX, code: 'FRAME_MALFORMED' }),
    );
    if (hello.room !== policy.room || hello.policy_digest !== policyDigest) {
      throw new ParleyError('POLICY_MISMATCH', 'the party holds another policy than this room', {
        hint: 'give every role the same signed policy packet',
      });
    }
    const party = policy.parties.find((p) => p.name === hello.party);
    const signature = fromBase64Url(hello.signature, 64);
    const proven =
      party !== undefined &&
      hello.nonce === nonce &&
      verifyBytes(party.identity_key, helloBytes(hello), signature);
    if (!proven) throw new ParleyError('LINK_AUTH_FAILED', 'the party did not prove its key');
    return hello;
  }

  #admit(socket: WebSocket, { party }: HelloMessage): void {
    const { limits, log } = this.#options;
    const former = this.#connections.get(party);
    if (former !== undefined) {
      this.#gone(former);
      former.socket.close(CLOSE_REPLACED);
      setTimeout(() => former.socket.terminate(), 1000).unref();
    }
    const connection: Connection = {
      party,
      socket,
      writer: new SocketWriter(socket),
      tokens: 10 * limits.controlPerSecondMax,
      countedAt: performance.now(),
      blockers: 0,
    };
    const heartbeat = keepHeartbeat(socket, limits.heartbeatMs, limits.heartbeatsMissedMax);
    this.#connections.set(party, connection);
    socket.on('close', () => this.#gone(connection));
    socket.on('message', (data, isBinary) => {
      heartbeat.alive();
      if (this.#connections.get(party) !== connection) return;
      try {
        if (isBinary) this.#relay(connection, data as Uint8Array);
        else this.#report(connection, data as Uint8Array);
      } catch (cause) {
        const { code } = asParleyError(cause);
        log.warn({ party, code }, 'a party broke the rules of its connection');
        socket.close(CLOSE.policy, code);
        this.#gone(connection);
      }
    });
    log.info({ party }, 'party connected');
    greet(socket, { type: 'welcome' });
    this.#options.onConnected(party);
  }

  #gone(connection: Connection): void {
    const { party } = connection;
    if (this.#connections.get(party) !== connection) return;
    this.#connections.delete(party);
    this.#options.log.info({ party }, 'party disconnected');
    this.#options.onGone(party);
  }

  #report(connection: Connection, data: Uint8Array): void {
    const perSecond = this.#options.limits.controlPerSecondMax;
    const now = performance.now();
    const earned = ((now - connection.countedAt) / 1000) * perSecond;
    connection.tokens = Math.min(10 * perSecond, connection.tokens + earned) - 1;
    connection.countedAt = now;
    if (connection.tokens < 0) {
      throw new ParleyError('FRAME_TOO_LARGE', 'a party sends too many control messages');
    }
    const limits = { bytesMax: CONTROL_BYTES_MAX, code: 'FRAME_MALFORMED' } as const;
    this.#options.onReport(connection.party, parseReport(parseJsonStrict(data, limits)));
  }

  #relay(from: Connection, message: Uint8Array): void {
    const frame = decodeRelayFrame(message);
    const inputs = this.#inputs.get(frame.queryId);
    if (inputs !== undefined) {
      this.#take(from, frame, inputs);
      return;
    }
    const route = this.#routes.get(frame.queryId);
    const to = this.#connections.get(frame.peer);
    // A frame may cross the end of its query on the way; one that never had a query is no better.
    const allowed =
      route?.parties.includes(from.party) === true &&
      route.parties.includes(frame.peer) &&
      frame.peer !== from.party;
    if (!allowed || to === undefined) return;
    route.bytes[from.party] = (route.bytes[from.party] ?? 0) + frame.payload.length;
    to.writer.write(readdressed(message, frame, from.party)).catch(() => undefined);
    if (!to.writer.hasRoom) this.#hold(from, to.writer, () => to.socket.terminate());
  }

  /** A piece of a sealed input, of the party whose turn it is. */
  #take(from: Connection, { peer, payload }: RelayFrame, { sink, bytes }: Inputs): void {
    if (peer !== ENCLAVE_NAME || sink?.party !== from.party) return;
    bytes[from.party] = (bytes[from.party] ?? 0) + payload.length;
    sink.take(payload);
    if (sink.hasRoom) return;
    this.#hold(from, sink, () => sink.end(new ParleyError('TIMEOUT', 'an enclave takes no input')));
  }

  /** Stops listening to a sender until its receiver has room again, or is given up. */
  #hold(from: Connection, to: { room(): Promise<void> }, giveUp: () => void): void {
    from.blockers += 1;
    from.socket.pause();
    const timer = setTimeout(giveUp, this.#options.limits.stallTimeoutMs);
    const go = (): void => {
      clearTimeout(timer);
      from.blockers -= 1;
      if (from.blockers === 0) from.socket.resume();
    };
    to.room().then(go, go);
  }
}

function noBytes(parties: readonly string[]): Record<string, number> {
  return Object.fromEntries(parties.map((party) => [party, 0]));
}

function greet(socket: WebSocket, greeting: Greeting): void {
  socket.send(JSON.stringify(greeting), { compress: false });
}
