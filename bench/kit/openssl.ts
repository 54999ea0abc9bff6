import { spawnSync } from 'node:child_process';

let found: number | null | undefined;

/** X25519 a second of the system's OpenSSL on one core, in this run; null where there is none. */
export function opensslX25519(): number | null {
  if (found === undefined) {
    const { stdout } = spawnSync('openssl', ['speed', '-seconds', '1', 'ecdhx25519'], {
      encoding: 'utf8',
    });
    const line = /ecdh \(X25519\)\s+\S+s\s+([\d.]+)/.exec(stdout);
    found = line?.[1] === undefined ? null : Math.round(Number(line[1]));
  }
  return found;
}
