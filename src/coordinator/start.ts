import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { ParleyError } from '../core/errors.ts';
import { policyDigest } from '../policy/index.ts';
import type { PolicyPacket } from '../policy/types.ts';
import type { RoomDocument } from '../records/index.ts';
import { openAudit } from './audit.ts';
import type { EnclaveHost } from './enclave.ts';
import { createApi } from './http.ts';
import { PartyHub } from './hub.ts';
import { COORDINATOR_LIMITS, type CoordinatorLimits } from './limits.ts';
import type { Log } from './log.ts';
import { QueryBook } from './queries.ts';
import { RecordStore } from './store.ts';

export interface CoordinatorOptions {
  /** Already verified by `verifyPacket`. */
  readonly packet: PolicyPacket;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Holds `audit.jsonl` and `records/`; made when missing. One coordinator per directory. */
  readonly dataDir: string;
  /** Name and version told to analysts; `parley` unless told. */
  readonly software?: string;
  readonly log: Log;
  /** Where queries for an enclave run; without it they fail before anybody pays. */
  readonly enclaveHost?: EnclaveHost;
  readonly limits?: Partial<CoordinatorLimits>;
}

export interface Coordinator {
  /** `http://host:port`, also the base of the parties' `ws:` address. */
  readonly url: string;
  readonly port: number;
  /** Finishes running queries within `drainTimeoutMs`, fails the rest, ends every connection. */
  close(): Promise<void>;
}

/**
 * Starts a room's coordinator: the analysts' HTTP API and the parties' relay on one port.
 *
 * It learns SQL texts, plans, declared sizes, timing and who takes part; never a share that opens,
 * an identifier, a hash of one or a result. It is trusted with nothing: it can delay and refuse,
 * and every other lie of it is refused by the parties or by the analyst's client.
 *
 * @throws ParleyError STORAGE_FAILED, BAD_CONFIG when the address cannot be listened on.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { packet, dataDir, log, software = 'parley' } = options;
  const { policy } = packet;
  const limits = { ...COORDINATOR_LIMITS, ...options.limits };
  const digest = policyDigest(policy);
  const store = await RecordStore.open(dataDir, limits);
  const audit = await openAudit(dataDir, log);

  const hub: PartyHub = new PartyHub({
    policy,
    policyDigest: digest,
    limits,
    log,
    onConnected: (party) => audit.write({ event: 'party_connected', party }),
    onGone: (party) => {
      audit.write({ event: 'party_disconnected', party });
      queries.partyGone(party);
    },
    onReport: (party, report) => queries.report(party, report),
  });
  const queries = new QueryBook({
    ...{ packet, policy, policyDigest: digest, limits, store, audit, log, hub },
    enclaveHost: options.enclaveHost ?? null,
  });
  const room = (): RoomDocument => ({
    room: policy.room,
    policy_digest: digest,
    software,
    parties: policy.parties.map(({ name }) => ({ name, connected: hub.isConnected(name) })),
  });
  const server = httpServer(createApi({ packet, room, queries, log }).fetch, hub, limits);
  try {
    await listen(server, options.host, options.port);
  } catch (error) {
    await audit.close();
    throw error;
  }
  audit.write({ event: 'started' });
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}`,
    port,
    close: once(async () => {
      await queries.drain();
      hub.close();
      await closeServer(server);
      audit.write({ event: 'stopped' });
      await audit.close();
    }),
  };
}

type Fetch = Parameters<typeof getRequestListener>[0];

/** Node's own limits on headers and requests are too lax for strangers. */
function httpServer(fetch: Fetch, hub: PartyHub, limits: CoordinatorLimits): Server {
  const listener = getRequestListener(fetch);
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => void listener(request, response),
  );
  server.maxConnections = limits.connectionsMax;
  server.maxHeadersCount = 64;
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/v1/party') {
      hub.upgrade(request, socket, head);
      return;
    }
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
  });
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new ParleyError('BAD_CONFIG', 'the address cannot be listened on', {}, cause)),
    );
    server.listen(port, host, resolve);
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    // Long polls have been answered by now; what is left after a moment is not worth waiting for.
    setTimeout(() => server.closeAllConnections(), 500).unref();
  });
}

function once(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => (running ??= act());
}
