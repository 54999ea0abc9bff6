// One party of a bench, in a thread or a process of its own: does what the main thread says.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { isMainThread, parentPort, type MessagePort } from 'node:worker_threads';
import type { Net } from './net.ts';
import { openChannels, portPipe, socketPipe, type Pipe } from './pipe.ts';
import { createSeeds, type End, type Output, type Params, type Task } from './task.ts';

/** What a party is asked; every order is answered by one {@link Answer}. */
export type Order =
  | {
      readonly do: 'start';
      /** Exports `task`. */
      readonly module: string;
      readonly party: number;
      readonly parties: number;
      readonly net: Net | null;
      /** Threads: a port to every other party. */
      readonly ports: readonly (MessagePort | null)[] | null;
    }
  /** Processes: the TCP ports of the parties before this one. */
  | { readonly do: 'connect'; readonly tcp: readonly number[] }
  | { readonly do: 'open'; readonly line: number; readonly params: Params }
  | { readonly do: 'run' }
  | { readonly do: 'output' };

export interface Answer {
  readonly error?: string;
  readonly tcp?: number;
  readonly cpuMs?: number;
  readonly bytes?: number;
  readonly rssMb?: number;
  readonly output?: Output;
}

interface State {
  readonly task: Task;
  readonly party: number;
  readonly parties: number;
  readonly net: Net | null;
  readonly pipes: (Pipe | null)[];
  /** Processes: sockets of parties after this one. */
  readonly incoming: Promise<Socket>[];
  end: End | null;
  sent: number;
  work: () => Promise<Output>;
  output: Output;
}

let state: State | undefined;

function stateNow(): State {
  if (state === undefined) throw new Error('not started');
  return state;
}

async function obey(order: Order): Promise<Answer> {
  switch (order.do) {
    case 'start':
      return start(order);
    case 'connect':
      await connectAll(order.tcp);
      return {};
    case 'open': {
      const { end, task } = stateNow();
      if (end === null) throw new Error('not connected');
      const channels = end.channels.map((c) => c?.sub(`line${order.line}`) ?? null);
      stateNow().work = await task.open({ ...end, channels }, order.params);
      return {};
    }
    case 'run': {
      const now = stateNow();
      now.sent = 0;
      const cpu = cpuMs();
      now.output = await now.work();
      const spent = cpuMs() - cpu;
      const rssMb = Math.round(process.resourceUsage().maxRSS / 1024);
      return { cpuMs: spent, bytes: now.sent, rssMb };
    }
    case 'output':
      return { output: stateNow().output };
  }
}

async function start(order: Order & { do: 'start' }): Promise<Answer> {
  const { task } = (await import(order.module)) as { task: Task };
  const { party, parties, net, ports } = order;
  state = {
    task,
    party,
    parties,
    net,
    pipes: Array.from({ length: parties }, (_, i) => {
      const port = ports?.[i];
      return port == null ? null : portPipe(port);
    }),
    incoming: [],
    end: null,
    sent: 0,
    work: () => Promise.reject(new Error('nothing is open')),
    output: {},
  };
  if (ports !== null) {
    openEnd();
    return {};
  }
  const server = createServer();
  const waiting: ((socket: Socket) => void)[] = [];
  for (let peer = party + 1; peer < parties; peer += 1) {
    state.incoming.push(new Promise((resolve) => waiting.push(resolve)));
  }
  server.on('connection', (socket) => waiting.shift()?.(socket));
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return { tcp: (server.address() as { port: number }).port };
}

/** Connects to the parties before, in their order, then names those that came. */
async function connectAll(tcp: readonly number[]): Promise<void> {
  const { party, pipes, incoming } = stateNow();
  for (const [peer, port] of tcp.entries()) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(Uint8Array.of(party));
    pipes[peer] = socketPipe(socket);
  }
  for (const arriving of incoming) {
    const socket = await arriving;
    const peer = await new Promise<number>((resolve) => {
      socket.once('readable', () => resolve((socket.read(1) as Buffer)[0]!));
    });
    pipes[peer] = socketPipe(socket);
  }
  openEnd();
}

function openEnd(): void {
  const now = stateNow();
  const { party, parties, net, pipes } = now;
  const onSend = (bytes: number): void => void (now.sent += bytes);
  const channels = pipes.map((pipe) =>
    pipe === null ? null : openChannels(pipe, { net, onSend }),
  );
  now.end = { party, parties, channels, seeds: createSeeds(party, channels) };
}

/** CPU time of this party: of its thread where the kernel tells (Linux), else of the process. */
function cpuMs(): number {
  if (!isMainThread) {
    try {
      return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;
    } catch {
      return NaN;
    }
  }
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

const answer = (reply: Answer): void => {
  if (parentPort !== null) parentPort.postMessage(reply);
  else process.send?.(reply);
};
const onOrder = (order: Order): void => {
  obey(order).then(answer, (error: unknown) =>
    answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
};
if (parentPort !== null) parentPort.on('message', onOrder);
else process.on('message', onOrder);
