import { spawnSync } from 'node:child_process';

/** X25519 a second of the system's OpenSSL on one core, measured now; null where there is none. */
export function opensslX25519(): number | null {
  const { stdout } = spawnSync('openssl', ['speed', '-seconds', '1', 'ecdhx25519'], {
    encoding: 'utf8',
  });
  const line = /ecdh \(X25519\)\s+\S+s\s+([\d.]+)/.exec(stdout);
  return line?.[1] === undefined ? null : Math.round(Number(line[1]));
}
