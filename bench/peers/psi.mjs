// @openmined/psi.js on two sets of n identifiers, half in common, in one thread: set-up message,
// request, response, cardinality. It reveals the size of the intersection and gives no shares.
//   npm ci --prefix bench/peers && node bench/peers/psi.mjs --n 10000
import { appendFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import PSI from '@openmined/psi.js';

const { values } = parseArgs({
  options: { n: { type: 'string', default: '1000,10000' }, out: { type: 'string' } },
});
const psi = await PSI();
const names = (from, n) => Array.from({ length: n }, (_, i) => `person${from + i}@example.com`);

for (const n of values.n.split(',').map(Number)) {
  const start = performance.now();
  const server = psi.server.createWithNewKey(false);
  const client = psi.client.createWithNewKey(false);
  const setUp = server.createSetupMessage(1e-9, n, names(n / 2, n)).serializeBinary();
  const request = client.createRequest(names(0, n)).serializeBinary();
  const response = server.processRequest(psi.request.deserializeBinary(request)).serializeBinary();
  const size = client.getIntersectionSize(
    psi.serverSetup.deserializeBinary(setUp),
    psi.response.deserializeBinary(response),
  );
  const ms = performance.now() - start;
  if (size !== n / 2) throw new Error(`wrong intersection: ${size}`);
  const line = {
    bench: 'peers',
    case: 'psi.js',
    cpu: cpus()[0]?.model,
    n,
    ms_median: Math.round(ms),
    ids_per_second: Math.round((1e3 * n) / ms),
    bytes: setUp.length + request.length + response.length,
    runs: 1,
  };
  console.log(JSON.stringify(line));
  if (values.out !== undefined) appendFileSync(values.out, `${JSON.stringify(line)}\n`);
}
