import { spawn } from 'node:child_process';
import { concat, utf8 } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { readCbor, type Cbor } from '../verify/cbor.ts';
import type { Attester } from './attester.ts';
import { unavailable } from './tsm.ts';

/** AWS: requests of at most 0x1000 bytes, responses of at most 0x3000. */
export const NSM_REQUEST_BYTES_MAX = 0x1000;
export const NSM_RESPONSE_BYTES_MAX = 0x3000;

/**
 * One request to the Nitro Secure Module. The device is an ioctl, which Node cannot issue: in an
 * enclave image the helper of deploy/nitro does.
 */
export type Nsm = (request: Uint8Array) => Promise<Uint8Array>;

function head(major: number, length: number): Uint8Array {
  if (length < 24) return new Uint8Array([(major << 5) | length]);
  if (length < 0x100) return new Uint8Array([(major << 5) | 24, length]);
  return new Uint8Array([(major << 5) | 25, length >> 8, length & 0xff]);
}

const text = (value: string): Uint8Array => concat([head(3, value.length), utf8(value)]);
const bytes = (value: Uint8Array): Uint8Array => concat([head(2, value.length), value]);

/** CBOR of `{"Attestation": {"user_data": …, "nonce": …, "public_key": …}}`. */
export function attestationRequest(
  userData: Uint8Array,
  nonce: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  return concat([
    head(5, 1),
    text('Attestation'),
    head(5, 3),
    text('user_data'),
    bytes(userData),
    text('nonce'),
    bytes(nonce),
    text('public_key'),
    bytes(publicKey),
  ]);
}

function member(value: Cbor | undefined, key: string): Cbor | undefined {
  return value instanceof Map ? value.get(key) : undefined;
}

function documentIn(response: Uint8Array): Uint8Array {
  let reply: Cbor;
  try {
    reply = readCbor(response);
  } catch (error) {
    return unavailable('the Nitro Secure Module answered with something else', error);
  }
  const document = member(member(reply, 'Attestation'), 'document');
  if (!(document instanceof Uint8Array)) unavailable('the Nitro Secure Module made no document');
  return document;
}

/** Attests a Nitro enclave. */
export function nitroAttester(nsm: Nsm): Attester<'aws-nitro'> {
  return {
    tee: 'aws-nitro',
    async attest({ reportData, nonce, publicKey }) {
      const request = attestationRequest(reportData, nonce, publicKey);
      return { tee: 'aws-nitro', document: documentIn(await nsm(request)) };
    },
  };
}

/**
 * Speaks to the device through a helper process: request on its standard input, response on its
 * standard output, exit code 0.
 *
 * @param command - absolute path of the helper; started with an empty environment.
 * @throws ParleyError ATTESTER_UNAVAILABLE; TIMEOUT.
 */
export function nsmHelper(command: string, args: readonly string[], timeoutMs: number): Nsm {
  return (request) =>
    new Promise((resolve, reject) => {
      if (request.length > NSM_REQUEST_BYTES_MAX) unavailable('a request to the NSM is too long');
      const child = spawn(command, args, { env: {}, stdio: ['pipe', 'pipe', 'ignore'] });
      const parts: Uint8Array[] = [];
      let length = 0;
      const fail = (error: ParleyError): void => {
        clearTimeout(timer);
        child.kill('SIGKILL');
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new ParleyError('TIMEOUT', 'the NSM helper did not answer in time')),
        timeoutMs,
      );
      const gone = (cause?: unknown): void =>
        fail(new ParleyError('ATTESTER_UNAVAILABLE', 'the NSM helper does not work', {}, cause));
      child.on('error', gone);
      child.stdin.on('error', gone);
      child.stdout.on('data', (part: Uint8Array) => {
        length += part.length;
        parts.push(part);
        if (length > NSM_RESPONSE_BYTES_MAX) gone();
      });
      child.on('close', (code) => {
        clearTimeout(timer);
        if (code === 0) resolve(concat(parts));
        else gone();
      });
      child.stdin.end(request);
    });
}
