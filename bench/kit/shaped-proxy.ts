import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createHold, createSchedule, systemTimers, type Net } from './net.ts';

/** LOCAL. Bytes on their way in one direction before the sender is held up, as socket buffers do. */
const BACKLOG_BYTES = 1 << 20;

/** A TCP proxy that gives every byte the net's latency and bandwidth, each direction for itself. */
export interface ShapedProxy {
  readonly url: string;
  close(): void;
}

/** @param target - URL of a server on this machine; the proxy's differs in the port only. */
export async function startShapedProxy(target: string, net: Net): Promise<ShapedProxy> {
  const url = new URL(target);
  const { port, hostname } = url;
  const sockets = new Set<Socket>();
  // All connections of a party share its two directions.
  const [up, down] = [createSchedule(net), createSchedule(net)];
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket.setNoDelay(true));
      socket.on('error', () => socket.destroy());
    }
    forward(near, far, up);
    forward(far, near, down);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.port = `${(server.address() as AddressInfo).port}`;
  return {
    url: url.href.replace(/\/$/, ''),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function forward(from: Socket, to: Socket, schedule: ReturnType<typeof createSchedule>): void {
  let backlog = 0;
  const hold = createHold<Buffer | null>((chunk) => {
    if (chunk === null) {
      to.end();
      return;
    }
    to.write(chunk);
    backlog -= chunk.length;
    if (backlog < BACKLOG_BYTES) from.resume();
  });
  from.on('data', (chunk: Buffer) => {
    backlog += chunk.length;
    hold(chunk, schedule(systemTimers.nowMs(), chunk.length));
    if (backlog >= BACKLOG_BYTES) from.pause();
  });
  from.on('close', () => hold(null, schedule(systemTimers.nowMs(), 0)));
}
