// Goal: a stranger at the port for direct links learns nothing, holds little and for a short time,
// and never keeps a peer that holds the right key from opening its link.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { concat, toBase64Url, utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import {
  listenDirect,
  openLink,
  provesPeer,
  type DirectLimits,
  type DirectLinks,
  type Link,
  type LinkEndpoint,
} from '../../src/transport/index.ts';
import {
  dhKeyPairOf,
  generateDhKeyPair,
  HandshakeState,
  KK,
} from '../../src/transport/noise/index.ts';
import { seededRng } from '../support/seeded-rng.ts';

const rng = seededRng('direct');
const QUERY = 'q'.repeat(16);
const SECRETS = [new Redacted(rng(32)), new Redacted(rng(32))] as const;
const PUBLIC = SECRETS.map((s) => dhKeyPairOf(s).publicKey) as [Uint8Array, Uint8Array];
const warn = vi.fn();
const log = { info: () => undefined, warn };
const PROLOGUE = 'room/policy/query/session';
const REFUSAL = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

it('opens one link per query and peer, and takes the key that verifies', async () => {
  const { listener, dialer } = await pair();
  const [a, b] = await Promise.all([initiator(dialer, listener), responder(listener)]);
  await Promise.all([a.root.send('x', rng(9)), b.root.recv('x', 9)]);
  // The same handshake message again, as whoever saw it on the way could send: nobody waits for it.
  expect(await knock(listener, { first: firstPayload() })).toBe(REFUSAL);
  await Promise.all([b.root.send('y', rng(9)), a.root.recv('y', 9)]);
});

it.each<[string, Knock]>([
  ['another key', { first: firstPayload({ localStatic: new Redacted(rng(32)) }) }],
  ['another prologue', { first: firstPayload({ prologue: utf8('room/policy/query/other') }) }],
  ['another query id', { first: firstPayload(), query: 'r'.repeat(16) }],
  ['another party', { first: firstPayload(), party: 'gamma' }],
  ['random bytes', { first: rng(49) }],
  ['a payload of no handshake', { first: utf8('hello') }],
  ['too long a payload', { first: rng(257) }],
  ['no payload', {}],
  ['another path', { first: firstPayload(), path: '/v1/party' }],
  ['a key of small order', { first: concat([Uint8Array.of(1), new Uint8Array(48)]) }],
  ['no upgrade', { first: firstPayload(), headers: ['Connection: close'] }],
])('answers a stranger with %s in the same words, and still waits for the peer', async (_, how) => {
  const { listener, dialer } = await pair();
  const waiting = responder(listener);
  expect(await knock(listener, how)).toBe(REFUSAL);
  const [a, b] = await Promise.all([initiator(dialer, listener), waiting]);
  await Promise.all([a.root.send('x', rng(9)), b.root.recv('x', 9)]);
});

it('keeps waiting after a replay in a broken request', async () => {
  const { listener, dialer } = await pair();
  const waiting = responder(listener);
  const headers = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: short',
  ];
  expect(await knock(listener, { first: firstPayload(), headers })).toMatch(/^HTTP\/1.1 400 /);
  await Promise.all([initiator(dialer, listener), waiting]);
});

it('ends who is slow: silent, byte by byte, or with a request that never ends', async () => {
  const { listener } = await pair({ openTimeoutMs: 150 });
  const sockets = [await dial(listener), await dial(listener), await dial(listener)] as const;
  const gone = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  sockets[1].write('GET /v1/link/');
  const drip = setInterval(() => sockets[1].write('q'), 20);
  sockets[2].write('POST / HTTP/1.1\r\nContent-Length: 1000000\r\n');
  // Node's own patience is a minute: without ours this does not end in time.
  await Promise.all(gone);
  clearInterval(drip);
}, 30_000);

it('ends a request above 8 KiB without reading on', async () => {
  const { listener } = await pair();
  const socket = await dial(listener);
  const gone = new Promise((resolve) => socket.once('close', resolve));
  let sent = 0;
  socket.write('GET / HTTP/1.1\r\n');
  const flood = setInterval(() => {
    for (let i = 0; i < 64 && !socket.destroyed; i += 1) {
      socket.write(`x-${sent}: ${'y'.repeat(1000)}\r\n`);
      sent += 1;
    }
  }, 1);
  await gone;
  clearInterval(flood);
  // What the kernel took before the end was noticed, not what was ready to be sent.
  expect(sent).toBeLessThan(5_000);
});

it('lets a peer in while strangers hold every place', async () => {
  const { listener, dialer } = await pair({ strangersMax: 8, openTimeoutMs: 60_000 });
  const crowd: Socket[] = [];
  for (let i = 0; i < 40; i += 1) crowd.push(await dial(listener));
  // The oldest went; as many as allowed stay.
  await until(() => crowd.filter((socket) => !socket.destroyed).length === 8);
  const [a, b] = await Promise.all([initiator(dialer, listener), responder(listener)]);
  await Promise.all([a.root.send('x', rng(9)), b.root.recv('x', 9)]);
});

it('does not count an open link among the strangers', async () => {
  const { listener, dialer } = await pair({ strangersMax: 4, openTimeoutMs: 100 });
  const [a, b] = await Promise.all([initiator(dialer, listener), responder(listener)]);
  for (let i = 0; i < 20; i += 1) await dial(listener);
  await new Promise((resolve) => setTimeout(resolve, 250));
  await Promise.all([a.root.send('x', rng(9)), b.root.recv('x', 9)]);
});

it('keeps quiet in the log however often somebody knocks', async () => {
  const { listener } = await pair();
  warn.mockClear();
  for (let i = 0; i < 33; i += 1) await knock(listener, {});
  expect(warn.mock.calls.map(([fields]) => (fields as { refused: number }).refused)).toEqual([
    1, 2, 4, 8, 16, 32,
  ]);
});

it.each<[string, string | Uint8Array]>([
  ['a message above 256 KiB', new Uint8Array(256 * 1024 + 1)],
  ['a text message', 'hello'],
])('ends the link of a peer that sends %s', async (_, message) => {
  const { listener } = await pair();
  const waiting = responder(listener);
  const socket = new WebSocket(`ws://127.0.0.1:${listener.port}/v1/link/${QUERY}/alpha`, {
    headers: { 'parley-link': toBase64Url(firstPayload()) },
    perMessageDeflate: false,
  });
  open.push({ close: () => socket.terminate() });
  socket.on('open', () => socket.send(message));
  const read = (await waiting).root.recv('x', 1);
  await expect(read).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
});

it('gives up dialling nobody, and a peer that never takes it, with TIMEOUT', async () => {
  const { listener, dialer } = await pair();
  for (const address of ['ws://127.0.0.1:1', addressOf(listener)]) {
    const raw = dialer.dial(QUERY, address);
    const limits = { handshakeTimeoutMs: 200 };
    await expect(openLink({ ...endpoint(0), raw, limits })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
  }
});

it('notices a false peer behind the address', async () => {
  const { listener, dialer } = await pair();
  // It takes the connection for a peer of another key: whatever it answers does not verify.
  const raw = listener.accept(QUERY, 'alpha', () => true);
  raw.onClose(() => undefined);
  raw.onMessage(() => void raw.send(rng(49)).catch(() => undefined));
  await expect(initiator(dialer, listener)).rejects.toMatchObject({ code: 'LINK_AUTH_FAILED' });
});

it('is not sent elsewhere', async () => {
  const { dialer } = await pair();
  const asked = vi.fn();
  const trap = createServer(asked);
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
  const redirect = createServer((socket) => {
    const to = `Location: ws://127.0.0.1:${(trap.address() as AddressInfo).port}/`;
    socket.end(`HTTP/1.1 302 Found\r\n${to}\r\nContent-Length: 0\r\n\r\n`);
  });
  await new Promise<void>((resolve) => redirect.listen(0, '127.0.0.1', resolve));
  open.push(trap, redirect);
  const raw = dialer.dial(QUERY, `ws://127.0.0.1:${(redirect.address() as AddressInfo).port}`);
  const limits = { handshakeTimeoutMs: 200 };
  await expect(openLink({ ...endpoint(0), raw, limits })).rejects.toMatchObject({
    code: 'TIMEOUT',
  });
  expect(asked).not.toHaveBeenCalled();
});

it('waits for room when the socket takes no more', async () => {
  const { listener, dialer } = await pair();
  const deaf = connectThrough(listener.port);
  const raw = listener.accept(QUERY, 'alpha', (first) => provesPeer(endpoint(1), first));
  raw.onClose(() => undefined);
  const taken = new Promise<void>((resolve) => raw.onMessage(() => resolve()));
  const out = dialer.dial(QUERY, `ws://127.0.0.1:${await deaf.port}`);
  out.onClose(() => undefined);
  out.onMessage(() => undefined);
  await out.send(firstPayload());
  await taken;
  deaf.pause();
  let handedOver = 0;
  const sends = (async () => {
    for (let i = 0; i < 240; i += 1) {
      await out.send(new Uint8Array(256 * 1024));
      handedOver += 1;
    }
  })();
  sends.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  // 60 MB in all: at most 8 MB wait here, the rest of the way is the kernel's.
  expect(handedOver).toBeLessThan(200);
  deaf.resume();
  await sends;
});

it('ends every pipe when it is closed, and cannot listen where it may not', async () => {
  const { listener, dialer } = await pair();
  const [a, b] = await Promise.all([initiator(dialer, listener), responder(listener)]);
  const read = b.root.recv('never', 1);
  const blocked = a.root.recv('never', 1);
  await listener.close();
  await expect(read).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  await expect(blocked).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  await expect(listenDirect({ party: 'x', host: '192.0.2.1', port: 0, log })).rejects.toMatchObject(
    {
      code: 'BAD_CONFIG',
    },
  );
});

// --- helpers ---

function endpoint(end: 0 | 1): LinkEndpoint {
  return {
    role: end === 0 ? 'initiator' : 'responder',
    localStatic: SECRETS[end],
    remoteStatic: PUBLIC[end === 0 ? 1 : 0],
    prologue: utf8(PROLOGUE),
  };
}

/** A genuine first payload, unless something in it is replaced. */
function firstPayload(edit: Partial<LinkEndpoint> = {}): Uint8Array {
  const { localStatic, remoteStatic, prologue } = { ...endpoint(0), ...edit };
  const handshake = new HandshakeState({
    pattern: KK,
    initiator: true,
    prologue: concat([utf8('parley/link/v1\0'), prologue]),
    localStatic: dhKeyPairOf(localStatic),
    remoteStatic,
    ephemeral: generateDhKeyPair,
  });
  return concat([Uint8Array.of(1), handshake.write(new Uint8Array(0))]);
}

async function pair(
  limits: Partial<DirectLimits> = {},
): Promise<{ listener: DirectLinks; dialer: DirectLinks }> {
  const base = { host: '127.0.0.1', port: 0, log };
  const dialer = await listenDirect({ ...base, party: 'alpha' });
  const listener = await listenDirect({ ...base, party: 'beta', limits });
  open.push(dialer, listener);
  return { listener, dialer };
}

function addressOf(listener: DirectLinks): string {
  return `ws://127.0.0.1:${listener.port}`;
}

function initiator(dialer: DirectLinks, listener: DirectLinks): Promise<Link> {
  return openLink({ ...endpoint(0), raw: dialer.dial(QUERY, addressOf(listener)) });
}

function responder(listener: DirectLinks): Promise<Link> {
  const raw = listener.accept(QUERY, 'alpha', (first) => provesPeer(endpoint(1), first));
  return openLink({ ...endpoint(1), raw });
}

/** A proxy that can stop reading from who dials. */
function connectThrough(to: number): { port: Promise<number>; pause(): void; resume(): void } {
  const sockets: Socket[] = [];
  const proxy = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    const onward = connect(to, '127.0.0.1').on('error', () => undefined);
    socket.on('data', (bytes) => onward.write(bytes));
    onward.pipe(socket);
  });
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  });
  const port = new Promise<number>((resolve) => {
    proxy.listen(0, '127.0.0.1', () => resolve((proxy.address() as AddressInfo).port));
  });
  return {
    port,
    pause: () => sockets.forEach((socket) => socket.pause()),
    resume: () => sockets.forEach((socket) => socket.resume()),
  };
}

interface Knock {
  readonly first?: Uint8Array;
  readonly query?: string;
  readonly party?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
}

/** Asks for a link as a stranger would, and returns all that comes back. */
async function knock(listener: DirectLinks, how: Knock): Promise<string> {
  const path = how.path ?? `/v1/link/${how.query ?? QUERY}/${how.party ?? 'alpha'}`;
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}`,
  ];
  const lines = [`GET ${path} HTTP/1.1`, 'Host: x', ...(how.headers ?? upgrade)];
  if (how.first !== undefined) lines.push(`parley-link: ${toBase64Url(how.first)}`);
  const socket = await dial(listener);
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

async function dial(listener: DirectLinks): Promise<Socket> {
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('error', () => undefined);
  open.push({ close: () => socket.destroy() });
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
