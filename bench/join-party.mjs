// One party of bench/join.ts, in its own thread, over the built modules.
import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { hashIdentifiers } from '../dist/party/store/identifiers.js';
import { createTripleSource, extendOts, setUpOts } from '../dist/protocols/ot/index.js';
import {
  createEcdhOprf,
  createKkrtOprf,
  runPivot,
  runSender,
} from '../dist/protocols/psi/index.js';
import { createSharing } from '../dist/protocols/sharing/index.js';

const { party, n, oprf, k, port } = workerData;
const rng = (bytes) => new Uint8Array(randomBytes(bytes));
let bytesSent = 0;

/** A channel straight over the port: messages by path, in order. */
const waiting = new Map();
const arrived = new Map();
port.on('message', ({ path, bytes }) => {
  const resolve = waiting.get(path)?.shift();
  if (resolve !== undefined) resolve(bytes);
  else if (arrived.has(path)) arrived.get(path).push(bytes);
  else arrived.set(path, [bytes]);
});
const channel = (path) => ({
  path,
  async send(step, bytes) {
    bytesSent += bytes.length;
    port.postMessage({ path: `${path}/${step}`, bytes: new Uint8Array(bytes) });
  },
  recv(step) {
    const at = `${path}/${step}`;
    const ready = arrived.get(at)?.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => {
      if (waiting.has(at)) waiting.get(at).push(resolve);
      else waiting.set(at, [resolve]);
    });
  },
  sub: (name) => channel(`${path}/${name}`),
});

const raw = Array.from({ length: n }, (_, i) => `person${i + (party * n) / 2}@example.com`);

async function run() {
  const ids = new Uint8Array(Buffer.concat(hashIdentifiers(new Uint8Array(32), 'email', raw)));
  const sessionId = new Uint8Array(32).fill(1);
  const root = channel('bench');
  const seeds = await setUpOts({ channel: root.sub('base'), party, k, sessionId, rng });
  const pair = extendOts({ channel: root.sub('ot'), seeds, sessionId });
  const both = (value) => (party === 0 ? [null, value] : [value, null]);
  const sharing = createSharing({
    party,
    parties: 2,
    channels: both(root.sub('gates')),
    ots: both(pair),
    triples: createTripleSource({ pair, rng }),
    rng,
  });
  const options = { session: sessionId, pair };
  const context = {
    sharing,
    channel: root.sub('psi'),
    oprf: oprf === 'kkrt' ? createKkrtOprf(options) : createEcdhOprf(options),
    seed: new Uint8Array(16).fill(2),
    rng,
  };
  const params = { pivotCapacity: n, senderCapacity: n, xorBytes: 0, ringLanes: 0 };
  const none = new Uint8Array(0);
  const input = { ids, payloadXor: none, payloadRing: none };
  return party === 0 ? runPivot(context, params, input) : runSender(context, params, input);
}

parentPort.on('message', async () => {
  const { match, rows } = await run();
  parentPort.postMessage({ kind: 'done', half: { match, rows, bytesSent } });
});
parentPort.postMessage({ kind: 'ready' });
