import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { Net } from './net.ts';
import type { Answer, Order } from './party.ts';
import type { Output, Params } from './task.ts';

export interface PartiesOptions {
  /** URL of the bench file, which exports `task`. */
  readonly module: string;
  readonly parties: number;
  readonly net: Net | null;
  /** A thread per party and message ports, or a process per party and TCP over loopback. */
  readonly link: 'threads' | 'processes';
}

export interface TimedRun {
  /** From the order to the last party's end. */
  readonly ms: number;
  /** By party: of its thread, or of its process with all its threads. */
  readonly cpuMs: readonly number[];
  /** Of all threads of all parties, those they started included. */
  readonly cpuAllMs: number;
  readonly bytes: readonly number[];
  /** Greatest resident memory so far: of each process, or of the one process of all threads. */
  readonly rssMb: readonly number[];
}

/** The parties of a bench; each has a core of its own if the machine has enough. */
export interface Parties {
  open(params: Params): Promise<void>;
  run(): Promise<TimedRun>;
  outputs(): Promise<readonly Output[]>;
  close(): Promise<void>;
}

interface Remote {
  ask(order: Order, transfer?: readonly MessagePort[]): Promise<Answer>;
  close(): Promise<void>;
}

export async function startParties(options: PartiesOptions): Promise<Parties> {
  const { parties, link, module, net } = options;
  const range = Array.from({ length: parties }, (_, i) => i);
  const remotes = range.map(link === 'threads' ? threadRemote : processRemote);
  const all = (order: Order): Promise<Answer[]> => Promise.all(remotes.map((r) => r.ask(order)));
  const startOf = (party: number, ports: (MessagePort | null)[] | null): Order => {
    return { do: 'start', module, party, parties, net, ports };
  };
  if (link === 'threads') {
    const mesh: (MessagePort | null)[][] = range.map(() => range.map(() => null));
    for (const i of range) {
      for (const j of range.slice(i + 1)) {
        const { port1, port2 } = new MessageChannel();
        mesh[i]![j] = port1;
        mesh[j]![i] = port2;
      }
    }
    const ports = (i: number): MessagePort[] => mesh[i]!.filter((port) => port !== null);
    await Promise.all(remotes.map((r, i) => r.ask(startOf(i, mesh[i]!), ports(i))));
  } else {
    const started = await Promise.all(remotes.map((r, i) => r.ask(startOf(i, null))));
    const tcp = started.map((answer) => answer.tcp!);
    await Promise.all(remotes.map((r, i) => r.ask({ do: 'connect', tcp: tcp.slice(0, i) })));
  }
  let line = 0;
  return {
    async open(params) {
      line += 1;
      await all({ do: 'open', line, params });
    },
    async run() {
      const startedAt = performance.now();
      const before = process.cpuUsage();
      const answers = await all({ do: 'run' });
      const ms = performance.now() - startedAt;
      const { user, system } = process.cpuUsage(before);
      const rssMb = answers.map((a) => a.rssMb!);
      return {
        ms,
        cpuMs: answers.map((a) => a.cpuMs!),
        cpuAllMs:
          link === 'threads'
            ? (user + system) / 1e3
            : answers.reduce((sum, a) => sum + a.cpuMs!, 0),
        bytes: answers.map((a) => a.bytes!),
        rssMb: link === 'threads' ? [Math.max(...rssMb)] : rssMb,
      };
    },
    outputs: async () => (await all({ do: 'output' })).map((a) => a.output!),
    async close() {
      await Promise.all(remotes.map((r) => r.close()));
    },
  };
}

/** Orders to one party are answered in turn; a party that dies fails the order it was given. */
function remoteOf(
  post: (order: Order, transfer: readonly MessagePort[]) => void,
  subscribe: (onAnswer: (answer: Answer) => void, onDeath: (why: unknown) => void) => void,
  close: () => Promise<void>,
): Remote {
  let pending: { resolve: (a: Answer) => void; reject: (e: unknown) => void } | null = null;
  subscribe(
    (answer) => {
      if (answer.error === undefined) pending?.resolve(answer);
      else pending?.reject(new Error(answer.error));
    },
    (why) => pending?.reject(why),
  );
  return {
    ask: (order, transfer = []) =>
      new Promise((resolve, reject) => {
        pending = { resolve, reject };
        post(order, transfer);
      }),
    close,
  };
}

function threadRemote(): Remote {
  const worker = new Worker(new URL('./party-thread.mjs', import.meta.url));
  return remoteOf(
    (order, transfer) => worker.postMessage(order, transfer),
    (onAnswer, onDeath) => {
      worker.on('message', onAnswer).on('error', onDeath);
    },
    async () => {
      await worker.terminate();
    },
  );
}

function processRemote(): Remote {
  const child: ChildProcess = fork(fileURLToPath(new URL('./party.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return remoteOf(
    (order) => {
      child.send(order);
    },
    (onAnswer, onDeath) => {
      child.on('message', (answer) => onAnswer(answer as Answer));
      child.on('exit', () => onDeath(new Error('a party process ended')));
    },
    () => {
      child.disconnect();
      child.kill();
      return gone;
    },
  );
}
