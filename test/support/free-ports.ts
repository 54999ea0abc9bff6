import { createServer } from 'node:net';

/**
 * Below the ports that the system hands out by itself, so that what is free stays so. Workers of a test
 * run have process ids near each other: each begins at a place of its own.
 */
const [FIRST, PORTS] = [12_000, 20_000];
let next = (process.pid * 97) % PORTS;

/** Ports of loopback that are free and that nobody asks for by chance, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = FIRST + (next++ % PORTS);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
