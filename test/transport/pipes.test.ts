// Goal: whatever carries a link, the link works the same. One suite; every pipe must pass it.
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import {
  connectRelay,
  listenDirect,
  openLink,
  provesPeer,
  type Link,
  type LinkEndpoint,
  type RawPipe,
} from '../../src/transport/index.ts';
import { dhKeyPairOf } from '../../src/transport/noise/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { pipePair } from './memory-pipe.ts';
import { relayServer } from './relay-server.ts';

const rng = seededRng('pipes');
const QUERY = 'q'.repeat(16);
const SECRETS = [new Redacted(rng(32)), new Redacted(rng(32))] as const;
const PUBLIC = SECRETS.map((s) => dhKeyPairOf(s).publicKey) as [Uint8Array, Uint8Array];
const log = { info: () => undefined, warn: () => undefined };

/** A way to carry links between two ends; end 0 speaks first. */
interface Carrier {
  open(end: 0 | 1): RawPipe;
  /** Loses whatever connections there are. */
  cut(): void;
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const CARRIERS: Readonly<Record<string, () => Promise<Carrier>>> = {
  memory: async () => {
    const pipes = pipePair();
    return { open: (end) => pipes.ends[end], cut: () => pipes.cut() };
  },
  relay: async () => {
    const server = await relayServer();
    closing.push(() => server.close());
    const connect = async (party: string): ReturnType<typeof connectRelay> => {
      const sign = (): Uint8Array => new Uint8Array(64);
      const base = { room: 'room', policyDigest: '00'.repeat(32), sign, log };
      const relay = await connectRelay({ ...base, url: server.url, party });
      closing.push(() => relay.close());
      return relay;
    };
    const relays = [await connect('alpha'), await connect('beta')] as const;
    const announced = relays.map(
      (relay) => new Promise<void>((resolve) => relay.onControl(() => resolve())),
    );
    for (const socket of server.sockets) {
      socket.send(
        JSON.stringify({
          type: 'query',
          query_id: QUERY,
          submission: {},
          plan_digest: '00'.repeat(32),
        }),
      );
    }
    // Announced: early frames are kept from here on.
    await Promise.all(announced);
    server.link('alpha', 'beta');
    return {
      open: (end) => relays[end].pipe(QUERY, end === 0 ? 'beta' : 'alpha'),
      cut: () => server.sockets.forEach((socket) => socket.terminate()),
    };
  },
  direct: async () => {
    const base = { host: '127.0.0.1', port: 0, log };
    const ends = [
      await listenDirect({ ...base, party: 'alpha' }),
      await listenDirect({ ...base, party: 'beta' }),
    ] as const;
    // Through a proxy, as TLS in front is one, so that the test can lose the connection.
    const sockets: Socket[] = [];
    const proxy = createServer((socket) => {
      const onward = connectTcp(ends[1].port, '127.0.0.1');
      for (const s of [socket, onward]) sockets.push(s.on('error', () => undefined));
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => proxy.close(),
      () => Promise.all(ends.map((end) => end.close())),
    );
    const address = `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}/front`;
    return {
      open: (end) =>
        end === 0
          ? ends[0].dial(QUERY, address)
          : ends[1].accept(QUERY, 'alpha', (first) => provesPeer(endpoint(1), first)),
      cut: () => sockets.forEach((socket) => socket.destroy()),
    };
  },
};

describe.each(Object.entries(CARRIERS))('%s pipes', (_, make) => {
  it('carry bulk both ways, whole and in order', async () => {
    const [a, b] = await both(await make());
    const bodies = [rng(3_000_000), rng(2_000_000)] as const;
    const [fromA, fromB] = await Promise.all([
      b.root.recv('bulk', bodies[0].length),
      a.root.recv('bulk', bodies[1].length),
      a.root.send('bulk', bodies[0].slice()),
      b.root.send('bulk', bodies[1].slice()),
    ]);
    expect(Buffer.compare(fromA, bodies[0])).toBe(0);
    expect(Buffer.compare(fromB, bodies[1])).toBe(0);
    expect(a.stats.bytesSent).toBe(b.stats.bytesReceived);
  });

  it.each([0, 1] as const)('open when end %i comes first', async (first) => {
    const carrier = await make();
    const early = link(carrier, first);
    await new Promise((resolve) => setTimeout(resolve, 120));
    const late = link(carrier, first === 0 ? 1 : 0);
    const [x, y] = await Promise.all([early, late]);
    await Promise.all([x.root.send('s', rng(5)), y.root.recv('s', 5)]);
  });

  it('hand over what was said before an orderly end', async () => {
    const [a, b] = await both(await make());
    await a.root.send('last', new Uint8Array(1_000_000));
    await a.close();
    expect((await b.root.recv('last', 1_000_000)).length).toBe(1_000_000);
    expect(await b.closed).toBeNull();
  });

  it('pass on why a link was given up', async () => {
    const [a, b] = await both(await make());
    const read = b.root.recv('x', 1);
    a.abort('BUDGET_EXHAUSTED');
    await expect(read).rejects.toMatchObject({ code: 'PEER_ABORTED' });
  });

  it('end both links with CHANNEL_CLOSED when they are lost in mid-run', async () => {
    const carrier = await make();
    const [a, b] = await both(carrier);
    await Promise.all([a.root.send('s', rng(5)), b.root.recv('s', 5)]);
    const reads = [a, b].map((end) => end.root.recv('never', 1));
    carrier.cut();
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  });

  it('take nothing after they were closed, and do not call back', async () => {
    const carrier = await make();
    for (const end of [0, 1] as const) {
      const pipe = carrier.open(end);
      let calls = 0;
      pipe.onClose(() => (calls += 1));
      pipe.onMessage(() => (calls += 1));
      pipe.close();
      await expect(pipe.send(rng(49))).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
      expect(calls).toBe(0);
    }
  });
});

// --- helpers ---

function endpoint(end: 0 | 1): LinkEndpoint {
  return {
    role: end === 0 ? 'initiator' : 'responder',
    localStatic: SECRETS[end],
    remoteStatic: PUBLIC[end === 0 ? 1 : 0],
    prologue: utf8('room/policy/query/session'),
  };
}

function link(carrier: Carrier, end: 0 | 1): Promise<Link> {
  return openLink({ ...endpoint(end), raw: carrier.open(end) });
}

function both(carrier: Carrier): Promise<[Link, Link]> {
  return Promise.all([link(carrier, 0), link(carrier, 1)]);
}
