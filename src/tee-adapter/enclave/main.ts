// The enclave process: one connection on a unix socket, one run, and it ends. Inside a real enclave
// the socket is the measured end of a vsock bridge; started with an empty environment.
//
//   node main.js <socket> simulated <key file> <measurement>
//   node main.js <socket> amd-sev-snp
//   node main.js <socket> intel-tdx <collateral file>
//   node main.js <socket> aws-nitro <helper>
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fromBase64Url } from '../../core/bytes.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import { Redacted } from '../../core/redacted.ts';
import { systemRng } from '../../core/rng.ts';
import {
  TSM_ROOT,
  loadCollateral,
  nitroAttester,
  nodeTsmIo,
  nsmHelper,
  simulatedAttester,
  snpAttester,
  tdxAttester,
  type AnyAttester,
} from '../attest/index.ts';
import { IDLE_TIMEOUT_MS, PRESENT } from './limits.ts';
import { serveEnclave } from './serve.ts';

const NSM_TIMEOUT_MS = 10_000;
const SEED_BYTES = 32;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function attesterOf([type, first, second]: readonly string[]): AnyAttester {
  switch (type) {
    case 'simulated': {
      const seed = fromBase64Url(readFileSync(first ?? '', 'utf8').trim(), SEED_BYTES);
      const signingKey = new Redacted(seed);
      return simulatedAttester({ measurement: second ?? '', signingKey, shout: say });
    }
    case 'amd-sev-snp':
      return snpAttester({ root: TSM_ROOT, io: nodeTsmIo });
    case 'intel-tdx': {
      const collateral = async () => (await loadCollateral(first ?? '')).collateral;
      return tdxAttester({ root: TSM_ROOT, io: nodeTsmIo, collateral });
    }
    case 'aws-nitro':
      return nitroAttester(nsmHelper(first ?? '', [], NSM_TIMEOUT_MS));
    default:
      throw new ParleyError('BAD_ARGUMENT', 'no attester of this name runs inside an enclave');
  }
}

function main([socket, ...attesterArguments]: readonly string[]): void {
  if (socket === undefined) throw new ParleyError('BAD_ARGUMENT', 'a socket path is missing');
  const attester = attesterOf(attesterArguments);
  const server = createServer((stream) => {
    // One connection: whoever comes second finds nobody.
    server.close();
    stream.setTimeout(IDLE_TIMEOUT_MS, () => stream.destroy());
    stream.write(Uint8Array.of(PRESENT));
    void serveEnclave(stream, {
      attester,
      rng: systemRng,
      nowMs: () => performance.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  });
  server.maxConnections = 1;
  server.listen(socket, () => say('ready'));
}

try {
  main(process.argv.slice(2));
} catch (error) {
  const { code, message } = asParleyError(error);
  say(`${code}: ${message}`);
  process.exitCode = 1;
}
