// Puts four answers of Intel's certification service into the one file that `parley enclave
// --tdx-collateral` reads. It checks nothing; the enclave host and every party do.
//
//   node collateral.mjs DIR > collateral.json
//
// DIR has tcb.json and tcb.headers, qe.json and qe.headers, pck.crl, root.crl; docs/tee.md says how
// they are fetched. Bodies are kept to the byte: Intel's signatures are over them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  process.stderr.write('usage: node collateral.mjs DIR > collateral.json\n');
  process.exit(64);
}
const text = (name) => readFileSync(join(directory, name), 'utf8');
const base64Url = (name) => readFileSync(join(directory, name)).toString('base64url');

/** The issuer chain: PEM in a header, percent-encoded. */
function chainIn(name, header) {
  const found = text(name)
    .split(/\r?\n/)
    .filter((line) => line.toLowerCase().startsWith(`${header}:`));
  if (found.length !== 1) throw new Error(`${name} has no single header ${header}`);
  return decodeURIComponent(found[0].slice(header.length + 1).trim());
}

const collateral = {
  tcbInfo: text('tcb.json'),
  tcbInfoChain: chainIn('tcb.headers', 'tcb-info-issuer-chain'),
  qeIdentity: text('qe.json'),
  qeIdentityChain: chainIn('qe.headers', 'sgx-enclave-identity-issuer-chain'),
  rootCrl: base64Url('root.crl'),
  pckCrl: base64Url('pck.crl'),
};
process.stdout.write(`${JSON.stringify(collateral)}\n`);
