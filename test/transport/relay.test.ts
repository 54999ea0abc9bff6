// Goal: a party's connection proves who it is, carries links between two parties through the
// coordinator, comes back after a loss, and gives up exactly when it should.
import { afterEach, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import {
  connectRelay,
  decodeRelayFrame,
  openLink,
  readdressed,
  type RawPipe,
  type Relay,
  type RelayOptions,
} from '../../src/transport/index.ts';
import { encodeRelayHeader } from '../../src/transport/relay-frame.ts';
import { PipeTable } from '../../src/transport/relay-pipe.ts';
import { dhKeyPairOf } from '../../src/transport/noise/index.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { relayServer as startRelayServer, type RelayServer } from './relay-server.ts';

const rng = seededRng('relay');
const QUERY = 'q'.repeat(16);
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

it('reads the relay frames it writes, and readdresses them without changing the payload', () => {
  for (const [from, to] of [
    ['a', 'longer-name'],
    ['longer-name', 'a'],
    ['same', 'size'],
  ] as const) {
    const payload = rng(100);
    const frame = decodeRelayFrame(join(encodeRelayHeader(to, QUERY), payload));
    expect(frame).toEqual({ peer: to, queryId: QUERY, payload });
    const message = join(encodeRelayHeader(to, QUERY), payload);
    const moved = readdressed(message, decodeRelayFrame(message), from);
    expect(decodeRelayFrame(moved)).toEqual({ peer: from, queryId: QUERY, payload });
  }
});

it.each<[string, Uint8Array, string]>([
  ['nothing', new Uint8Array(0), 'FRAME_MALFORMED'],
  [
    'another version',
    join(Uint8Array.of(2), encodeRelayHeader('a', QUERY).slice(1)),
    'FRAME_MALFORMED',
  ],
  ['a cut name', encodeRelayHeader('party', QUERY).slice(0, 4), 'FRAME_MALFORMED'],
  ['a cut query id', encodeRelayHeader('party', QUERY).slice(0, -1), 'FRAME_MALFORMED'],
  ['a name that is none', encodeRelayHeader('../x', QUERY), 'FRAME_MALFORMED'],
  ['a query id that is none', encodeRelayHeader('a', 'short'), 'FRAME_MALFORMED'],
  [
    'too large a payload',
    join(encodeRelayHeader('a', QUERY), new Uint8Array(256 * 1024 + 1)),
    'FRAME_TOO_LARGE',
  ],
])('refuses a relay frame of %s', (_, message, code) => {
  expect(() => decodeRelayFrame(message)).toThrow(expect.objectContaining({ code }));
});

it('keeps early frames of announced queries, within bounds, for the pipe that asks', async () => {
  const table = new PipeTable({ connected: true, send: async () => undefined });
  table.deliver('a', QUERY, utf8('before it was announced'));
  table.announce(QUERY);
  table.deliver('a', QUERY, utf8('one'));
  table.deliver('b', QUERY, utf8('for another'));
  for (let i = 0; i < 6; i += 1) table.deliver('b', QUERY, new Uint8Array(256 * 1024));
  table.deliver('a', QUERY, utf8('two'));
  const heard: string[] = [];
  const pipe = table.open(QUERY, 'a');
  pipe.onMessage((p) => heard.push(new TextDecoder().decode(p)));
  table.deliver('a', QUERY, utf8('three'));
  expect(heard).toEqual(['one', 'two', 'three']);
  let kept = 0;
  table.open(QUERY, 'b').onMessage((p) => (kept += p.length));
  expect(kept).toBeLessThanOrEqual(1 << 20);
  pipe.close();
  table.deliver('a', QUERY, utf8('four'));
  expect(heard.length).toBe(3);
  await expect(pipe.send(rng(1))).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
});

it('ends every pipe when the connection is lost, and none opens without one', async () => {
  const port = { connected: true, send: async () => undefined };
  const table = new PipeTable(port);
  const ended = new Promise<void>((resolve) => table.open(QUERY, 'a').onClose(resolve));
  table.closeAll();
  await ended;
  port.connected = false;
  await new Promise<void>((resolve) => table.open(QUERY, 'a').onClose(resolve));
});

it('sends and receives messages as large as a relay frame may be', async () => {
  const server = await relayServer();
  const relay = await connect(server.url);
  const payloads: number[] = [];
  const pipe = relay.pipe(QUERY, 'other');
  const all = new Promise<void>((resolve) =>
    pipe.onMessage((p) => {
      payloads.push(p.length);
      if (payloads.length === 40) resolve();
    }),
  );
  for (let i = 0; i < 40; i += 1) await pipe.send(new Uint8Array(256 * 1024).fill(i));
  await all;
  expect(payloads).toEqual(payloads.map(() => 256 * 1024));
  // Relay frames are not masked twice over; control messages are (RFC 6455 section 5.3).
  expect(server.received.every((m) => m.length === 256 * 1024 + 24)).toBe(true);
});

it('waits for room when the socket takes no more', async () => {
  const server = await relayServer();
  const relay = await connect(server.url);
  server.sockets[0]!.pause();
  const pipe = relay.pipe(QUERY, 'other');
  let handedOver = 0;
  const sends = (async () => {
    for (let i = 0; i < 120; i += 1) {
      await pipe.send(new Uint8Array(256 * 1024));
      handedOver += 1;
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  // 30 MB in all: at most 8 MB wait here, the rest of the way is the kernel's.
  expect(handedOver).toBeLessThan(110);
  server.sockets[0]!.resume();
  await sends;
});

it('carries a link between two parties', async () => {
  const server = await relayServer();
  const [a, b] = [await connect(server.url, 'alpha'), await connect(server.url, 'beta')];
  server.link('alpha', 'beta');
  const secrets = [new Redacted(rng(32)), new Redacted(rng(32))] as const;
  const publics = secrets.map((s) => dhKeyPairOf(s).publicKey) as [Uint8Array, Uint8Array];
  const link = (me: 0 | 1, raw: RawPipe): ReturnType<typeof openLink> =>
    openLink({
      raw,
      role: me === 0 ? 'initiator' : 'responder',
      localStatic: secrets[me],
      remoteStatic: publics[me === 0 ? 1 : 0],
      prologue: utf8('p'),
    });
  const [x, y] = await Promise.all([
    link(0, a.pipe(QUERY, 'beta')),
    link(1, b.pipe(QUERY, 'alpha')),
  ]);
  const body = rng(3_000_000);
  const [, got] = await Promise.all([
    x.root.send('bulk', body.slice()),
    y.root.recv('bulk', body.length),
  ]);
  expect(Buffer.compare(got, body)).toBe(0);
  const pending = y.root.recv('never', 1);
  server.sockets[1]!.terminate();
  await expect(pending).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  await x.close();
});

it('comes back after a loss, tells of it, and takes orders again', async () => {
  const server = await relayServer();
  const relay = await connect(server.url);
  const states: boolean[] = [];
  const orders: string[] = [];
  relay.onConnection((connected) => states.push(connected));
  relay.onControl((order) => orders.push(order.type));
  server.sockets[0]!.terminate();
  await until(() => states.length === 2);
  expect(states).toEqual([false, true]);
  expect(server.sockets.length).toBe(2);
  server.sockets[1]!.send(JSON.stringify({ type: 'reserve', query_id: QUERY, ledgers: [] }));
  await until(() => orders.length === 1);
  expect(relay.sendControl({ type: 'ready', query_id: QUERY })).toBe(true);
  await relay.close();
  expect(await relay.closed).toBeNull();
  expect(relay.sendControl({ type: 'ready', query_id: QUERY })).toBe(false);
});

it.each([
  ['text that is not JSON', 'nonsense'],
  [
    'an order of another form',
    JSON.stringify({ type: 'reserve', query_id: QUERY, ledgers: [], more: 1 }),
  ],
  ['a binary message that does not decode', new Uint8Array(3)],
  ['a message above 1 MiB', JSON.stringify('x'.repeat(1 << 20))],
])('drops a connection on %s and tries the next', async (_, message) => {
  const server = await relayServer();
  const relay = await connect(server.url);
  server.sockets[0]!.send(message);
  await until(() => server.sockets.length === 2 && relay.connected);
});

it('notices a coordinator that no longer answers', async () => {
  const server = await relayServer();
  const relay = await connect(server.url, 'alpha', { heartbeatMs: 30 });
  let lost = false;
  relay.onConnection((connected) => (lost ||= !connected));
  server.sockets[0]!.pause();
  await until(() => lost);
});

it('stays away once another node has taken its place', async () => {
  const server = await relayServer();
  const relay = await connect(server.url);
  server.sockets[0]!.close(4001);
  expect(await relay.closed).toMatchObject({ code: 'CHANNEL_CLOSED' });
  expect(server.sockets.length).toBe(1);
});

it('gives up at once when it is refused, and after a time when nobody answers', async () => {
  const refusing = await relayServer({
    code: 'POLICY_MISMATCH',
    fault: 'policy',
    message: 'no',
    detail: {},
  });
  await expect(connect(refusing.url)).rejects.toMatchObject({ code: 'POLICY_MISMATCH' });
  const nobody = connect('http://127.0.0.1:1', 'alpha', { connectTimeoutMs: 100 });
  await expect(nobody).rejects.toMatchObject({ code: 'COORDINATOR_AWAY' });
  const stop = new AbortController();
  const stopped = connectRelay({ ...options('http://127.0.0.1:1', 'alpha'), signal: stop.signal });
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
});

// --- helpers ---

function options(url: string, party: string): RelayOptions {
  return {
    url,
    room: 'room',
    policyDigest: '00'.repeat(32),
    party,
    sign: () => new Uint8Array(64),
    log: { info: () => undefined, warn: () => undefined },
    limits: { backoffMsMin: 10, backoffMsMax: 30 },
  };
}

async function connect(
  url: string,
  party = 'alpha',
  limits: RelayOptions['limits'] = {},
): Promise<Relay> {
  const base = options(url, party);
  const relay = await connectRelay({ ...base, limits: { ...base.limits, ...limits } });
  open.push(relay);
  return relay;
}

async function relayServer(refusal?: object): Promise<RelayServer> {
  const server = await startRelayServer(refusal);
  open.push(server);
  return server;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  return new Uint8Array([...a, ...b]);
}
