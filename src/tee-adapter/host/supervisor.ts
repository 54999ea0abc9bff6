import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import { PRESENT } from '../enclave/limits.ts';

/** LOCAL. Enclaves at once; a coordinator runs fewer queries than that. */
const ENCLAVES_MAX = 8;
/** LOCAL. Longest start of an enclave process. */
const START_TIMEOUT_MS = 30_000;
const STDERR_CHARS_MAX = 4096;

/** The built entry: an enclave is always JavaScript, also when this file runs from source. */
const ENTRY = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts')
      ? '../../../dist/tee-adapter/enclave/main.js'
      : '../enclave/main.js',
    import.meta.url,
  ),
);

export interface SupervisorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface SupervisorOptions {
  /** Unix socket to listen on; every connection gets an enclave of its own. */
  readonly socket: string;
  /** Arguments of the enclave process after its socket: `simulated <key file> <measurement>`. */
  readonly attester: readonly string[];
  /** Intel's collateral for the next enclave, its last argument as a file; asked for each anew. */
  readonly collateral?: () => Promise<Uint8Array>;
  readonly log: SupervisorLog;
}

export interface Supervisor {
  /** Ends every enclave that runs. */
  close(): Promise<void>;
}

interface Started {
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly exited: Promise<unknown>;
}

/**
 * Node opens an inspector on SIGUSR1, which is a way in; newer versions can be told not to. Others
 * rely on the supervisor's user being nobody else's.
 */
function nodeFlags(): readonly string[] {
  const flag = '--disable-sigusr1';
  return process.allowedNodeEnvironmentFlags.has(flag) ? [flag] : [];
}

async function start(folder: string, attester: readonly string[]): Promise<Started> {
  const path = join(folder, 'enclave.sock');
  const child = spawn(process.execPath, [...nodeFlags(), ENTRY, path, ...attester], {
    // Variables such as NODE_OPTIONS and LD_PRELOAD change what runs.
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (): void => reject(new ParleyError('ENCLAVE_AWAY', 'an enclave did not start'));
    const timer = setTimeout(fail, START_TIMEOUT_MS);
    void exited.then(fail);
    child.stderr.on('data', (part: Buffer) => {
      said = (said + part.toString()).slice(-STDERR_CHARS_MAX);
      if (!said.split('\n').includes('ready')) return;
      clearTimeout(timer);
      resolve();
    });
  });
  try {
    await ready;
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return { child, socket, exited };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** Passes bytes both ways until either end is gone; what an enclave said last is still delivered. */
async function carry(host: Socket, enclave: Socket): Promise<void> {
  const gone = new Promise((resolve) => host.once('close', resolve));
  if (host.destroyed) return;
  enclave.on('error', () => host.destroy());
  host.pipe(enclave);
  enclave.pipe(host);
  await gone;
  enclave.destroy();
}

/** Arguments of one enclave process. Collateral is a copy: what was checked is what is used. */
async function argumentsOf(
  folder: string,
  { attester, collateral }: SupervisorOptions,
): Promise<readonly string[]> {
  if (collateral === undefined) return attester;
  const file = join(folder, 'collateral.json');
  await writeFile(file, await collateral(), { mode: 0o600 });
  return [...attester, file];
}

/** One connection, one enclave: bytes are passed on both ways and neither outlives the other. */
async function serve(
  host: Socket,
  options: SupervisorOptions,
  running: Set<ChildProcess>,
): Promise<void> {
  const { log } = options;
  const folder = await mkdtemp(join(tmpdir(), 'parley-enclave-'));
  try {
    const { child, socket, exited } = await start(folder, await argumentsOf(folder, options));
    running.add(child);
    log.info({ pid: child.pid }, 'an enclave was started for one run');
    await carry(host, socket);
    child.kill('SIGKILL');
    await exited;
    running.delete(child);
    log.info({ pid: child.pid }, 'the enclave of a run has ended');
  } finally {
    host.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new ParleyError('BAD_CONFIG', 'the socket cannot be listened on', {}, cause)),
    );
    server.listen(path, resolve);
  });
}

/**
 * Runs enclaves for a coordinator: a fresh process for every connection, gone with it. It is the
 * host of the threat model: it carries bytes it can read nothing in, and can only refuse.
 *
 * On real hardware each connection must reach an enclave (a virtual machine) of its own as well.
 *
 * @throws ParleyError BAD_CONFIG.
 */
export async function superviseEnclaves(options: SupervisorOptions): Promise<Supervisor> {
  const { socket: path, log } = options;
  const running = new Set<ChildProcess>();
  const serving = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: false }, (host) => {
    host.on('error', () => host.destroy());
    if (serving.size >= ENCLAVES_MAX) {
      log.warn({ running: serving.size }, 'as many enclaves run as are allowed');
      host.destroy();
      return;
    }
    const work = serve(host, options, running)
      .catch((error: unknown) => log.warn({ code: asParleyError(error).code }, 'no enclave'))
      .finally(() => serving.delete(work));
    serving.add(work);
  });
  await listen(server, path);
  // Whoever may connect may use the hardware.
  await chmod(path, 0o600);
  return {
    async close() {
      server.close();
      for (const child of running) child.kill('SIGKILL');
      await Promise.all(serving);
    },
  };
}

/**
 * Connects to a supervisor, or to whatever bridges to an enclave, and waits for the enclave's first
 * byte. It proves nothing: it keeps parties from paying where no enclave starts.
 * @throws ParleyError ENCLAVE_AWAY.
 */
export async function connectEnclave(path: string): Promise<Socket> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.setTimeout(START_TIMEOUT_MS + 1_000, () => socket.destroy(new Error('no enclave came')));
    // Throws on an error; an end without a byte gives null.
    await once(socket, 'readable');
    const [said] = (socket.read(1) as Buffer | null) ?? [];
    if (said !== PRESENT) throw new Error('no enclave was started');
    socket.setTimeout(0);
    return socket;
  } catch (cause) {
    socket.destroy();
    throw new ParleyError(
      'ENCLAVE_AWAY',
      'there is no enclave host, or it has no enclave',
      {},
      cause,
    );
  }
}
