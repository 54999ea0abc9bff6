import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { ParleyError } from '../core/errors.ts';
import { limitsOf } from '../dp/index.ts';
// The file itself: the whole room would load the database engine.
import { expectPinnedPlan } from '../party/pinned.ts';
import {
  formatPacket,
  loadPartyKeys,
  parsePacket,
  parsePolicy,
  policyDigest,
  signPolicy,
} from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import { describePolicy } from './describe.ts';
import { readPacket, readText, writeText } from './files.ts';
import { print, withErrors } from './output.ts';

/** `parley policy sign|verify|show`: the packet that every party signs and every node enforces. */
export function policyCommand(): Command {
  const command = new Command('policy').description('sign, verify and show the policy packet');
  command
    .command('sign')
    .description("add one party's signature: POLICY is the agreed policy (YAML or JSON)")
    .argument('<policy>', 'the policy all parties agreed on')
    .requiredOption('--party <name>', 'the party that signs')
    .requiredOption('--keys <file>', "that party's key file")
    .requiredOption('--packet <file>', 'the packet to make, or to add the signature to')
    .action((file: string, options: { party: string; keys: string; packet: string }) =>
      withErrors(false, async () => {
        const policy = parsePolicy(readText(file));
        expectPinnedPlan(policy, policyDigest(policy));
        expectBudgets(policy);
        const packet = addSignature(policy, options);
        writeText(options.packet, formatPacket(packet));
        const missing = policy.parties.filter((p) => packet.signatures[p.name] === undefined);
        print(`signed ${policyDigest(policy)}`);
        print(
          missing.length === 0 ? 'all parties have signed' : `still to sign: ${names(missing)}`,
        );
        return Promise.resolve();
      }),
    );
  command
    .command('verify')
    .description('check that every party has signed this packet, and nobody else')
    .argument('<packet>')
    .action((file: string) =>
      withErrors(false, async () => {
        const { policy, digest } = readPacket(file);
        expectBudgets(policy);
        print(`policy ${digest}\nroom ${policy.room}, signed by ${names(policy.parties)}`);
        return Promise.resolve();
      }),
    );
  command
    .command('show')
    .description('what a packet allows, in words')
    .argument('<packet>')
    .action((file: string) =>
      withErrors(false, async () => {
        const { policy, digest } = readPacket(file);
        print(describePolicy(policy, digest));
        return Promise.resolve();
      }),
    );
  return command;
}

/** What nodes refuse of a budget. @throws ParleyError POLICY_OUT_OF_RANGE with the field's path. */
function expectBudgets({ rules: { differential_privacy: dp } }: Policy): void {
  if (dp !== 'off') limitsOf(dp);
}

function names(parties: readonly { readonly name: string }[]): string {
  return parties.map((p) => p.name).join(', ');
}

function addSignature(
  policy: Policy,
  options: { readonly party: string; readonly keys: string; readonly packet: string },
): PolicyPacket {
  const keys = loadPartyKeys(options.keys);
  const named = policy.parties.find((p) => p.name === options.party);
  if (named?.identity_key !== keys.identity.publicKey) {
    throw new ParleyError('POLICY_FOREIGN', 'these keys are not the ones the policy names', {
      party: options.party,
    });
  }
  const before = existsSync(options.packet) ? parsePacket(readText(options.packet)) : null;
  if (before !== null && policyDigest(before.policy) !== policyDigest(policy)) {
    throw new ParleyError('POLICY_MISMATCH', 'the packet holds another policy than this file', {
      hint: 'agree on one policy file; start a new packet when it changes',
    });
  }
  const signature = signPolicy(policy, options.party, keys.identity.privateKey);
  return { policy, signatures: { ...before?.signatures, [options.party]: signature } };
}
