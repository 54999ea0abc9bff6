import { Command } from 'commander';
import { generateAnalystKeys, generatePartyKeys, saveKeys } from '../policy/index.ts';
import { print, withErrors } from './output.ts';

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
  return command;
}
