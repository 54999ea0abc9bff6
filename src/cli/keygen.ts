import { Command } from 'commander';
import { toBase64Url } from '../core/bytes.ts';
import { reveal } from '../core/redacted.ts';
import {
  generateAnalystKeys,
  generateKeyPair,
  generatePartyKeys,
  saveKeys,
} from '../policy/index.ts';
import { writeSecret } from './files.ts';
import { print, withErrors } from './output.ts';

/** Writes the private half for `parley enclave --attester simulated`. @returns the public half. */
export function makeSimulatorKey(file: string): string {
  const key = generateKeyPair('ed25519');
  writeSecret(file, toBase64Url(reveal(key.privateKey)));
  return key.publicKey;
}

/** `parley keygen`: a new key file, and the public halves to put into the policy. */
export function keygenCommand(): Command {
  const command = new Command('keygen').description(
    'make a key file (readable by you alone) and print the public keys for the policy',
  );
  command
    .command('party')
    .description('identity and link keys of a party node')
    .requiredOption('--out <file>', 'where to write the private keys')
    .action((options: { out: string }) =>
      withErrors(false, async () => {
        const keys = generatePartyKeys();
        saveKeys(options.out, keys);
        print(`identity_key: ${keys.identity.publicKey}\nlink_key: ${keys.link.publicKey}`);
        return Promise.resolve();
      }),
    );
  command
    .command('analyst')
    .description('signing and sealing keys of an analyst')
    .requiredOption('--out <file>', 'where to write the private keys')
    .action((options: { out: string }) =>
      withErrors(false, async () => {
        const keys = generateAnalystKeys();
        saveKeys(options.out, keys);
        print(`signing_key: ${keys.signing.publicKey}\nsealing_key: ${keys.sealing.publicKey}`);
        return Promise.resolve();
      }),
    );
  command
    .command('simulated')
    .description('key of simulated enclaves, for trying the enclave route out WITHOUT HARDWARE')
    .requiredOption('--out <file>', 'where to write the private key')
    .action((options: { out: string }) =>
      withErrors(false, async () => {
        print(`signing_key: ${makeSimulatorKey(options.out)}`);
        return Promise.resolve();
      }),
    );
  return command;
}
