import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { toHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { systemRng } from '../core/rng.ts';
// The folder itself: the whole room would load the database engine.
import {
  ApprovalBook,
  APPROVAL_RUNS_MAX,
  approvalId,
  signApproval,
  writeApproval,
} from '../party/approvals/index.ts';
import { loadPartyKeys } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import { planDigest, planQuery } from '../sql/index.ts';
import { readPacket } from './files.ts';
import { EXIT_USAGE, print, withErrors } from './output.ts';

interface ApproveFlags {
  readonly policy: string;
  readonly party: string;
  readonly keys: string;
  readonly state: string;
  readonly planDigest?: string;
  readonly analyst?: string;
  readonly epsilon?: string;
  readonly runs: number;
  readonly expires?: string;
  readonly list?: boolean;
  readonly format: 'text' | 'json';
}

function digestOption(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new InvalidArgumentError('It is 64 hex digits.');
  return text;
}

function runsOption(text: string): number {
  const runs = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (runs < 1 || runs > APPROVAL_RUNS_MAX) {
    throw new InvalidArgumentError(`It is a number from 1 to ${APPROVAL_RUNS_MAX}.`);
  }
  return runs;
}

function expiresOption(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError('It is a day or time in UTC: 2026-12-31, 2026-12-31T12:00Z.');
  }
  return new Date(time).toISOString();
}

/** `parley approve`: a data owner's consent to one question. */
export function approveCommand(): Command {
  return new Command('approve')
    .description(
      "consent to one question in this company's name, in rooms whose policy asks for it. Read it\n" +
        'first with parley explain. Takes effect at once; delete the file it prints to take it back.',
    )
    .argument('[sql]', 'the question; or name its plan with --plan-digest')
    .requiredOption('--policy <packet>', 'the signed policy packet')
    .requiredOption('--party <name>', 'the company that approves')
    .requiredOption('--keys <file>', "the company's key file")
    .requiredOption('--state <dir>', "the node's state folder")
    .option('--plan-digest <hex>', 'the plan, as parley explain and refusals name it', digestOption)
    .option('--analyst <name>', 'who may ask it (default: the only analyst of the policy)')
    .option('--epsilon <decimal>', "what it spends; the policy's default otherwise")
    .option('--runs <n>', 'how often it may run', runsOption, 1)
    .option('--expires <time>', 'until when', expiresOption)
    .option('--list', 'show the approvals there are instead')
    .addOption(new Option('--format <format>').choices(['text', 'json']).default('text'))
    .action((sql: string | undefined, flags: ApproveFlags, command: Command) => {
      const named = [sql, flags.planDigest, flags.list].filter((given) => given !== undefined);
      if (named.length !== 1) {
        command.error('error: approve takes a question, --plan-digest or --list', {
          exitCode: EXIT_USAGE,
        });
      }
      return withErrors(flags.format === 'json', () => {
        if (flags.list === true) list(flags);
        else approve(sql, flags);
        return Promise.resolve();
      });
    });
}

/** The party of the policy that these keys are of. @throws ParleyError POLICY_FOREIGN. */
function ownerOf(flags: ApproveFlags): {
  readonly policy: Policy;
  readonly digest: string;
  readonly keys: ReturnType<typeof loadPartyKeys>;
  readonly directory: string;
} {
  const { policy, digest } = readPacket(flags.policy);
  const keys = loadPartyKeys(flags.keys);
  const party = policy.parties.find(({ name }) => name === flags.party);
  if (party?.identity_key !== keys.identity.publicKey) {
    throw new ParleyError('POLICY_FOREIGN', 'these keys are not the ones the policy names', {
      party: flags.party,
    });
  }
  return { policy, digest, keys, directory: join(flags.state, 'approvals') };
}

function analystOf(policy: Policy, name: string | undefined): string {
  const [only, ...others] = policy.analysts;
  const found =
    name === undefined
      ? others.length === 0
        ? only
        : undefined
      : policy.analysts.find((analyst) => analyst.name === name);
  if (found !== undefined) return found.name;
  throw new ParleyError('ANALYST_UNKNOWN', 'an approval names one analyst of the policy', {
    hint: `give --analyst: ${policy.analysts.map((a) => a.name).join(', ')}`,
  });
}

function approve(sql: string | undefined, flags: ApproveFlags): void {
  const { policy, digest, keys, directory } = ownerOf(flags);
  if (policy.rules.queries?.mode !== 'approved') {
    throw new ParleyError('BAD_ARGUMENT', 'this policy asks for no approval', {
      hint: 'rules.queries.mode is approved in rooms that do',
    });
  }
  const plan =
    sql === undefined
      ? (flags.planDigest ?? '')
      : planDigest(planQuery(policy, digest, sql, { epsilon: flags.epsilon ?? null }));
  const document = {
    version: 1,
    room: policy.room,
    policy_digest: digest,
    party: flags.party,
    plan_digest: plan,
    analyst: analystOf(policy, flags.analyst),
    runs: flags.runs,
    expires: flags.expires ?? null,
    nonce: toHex(systemRng(16)),
  } as const;
  const file = writeApproval(directory, signApproval(document, keys.identity.privateKey));
  if (flags.format === 'json') {
    print(JSON.stringify({ id: approvalId(document), file, ...document }));
    return;
  }
  const until = document.expires === null ? '' : `, until ${document.expires}`;
  const runs = document.runs === 1 ? 'once' : `${document.runs} times`;
  print(`approved plan ${plan}\nfor ${document.analyst}, ${runs}${until}\n${file}`);
}

function list(flags: ApproveFlags): void {
  const { policy, digest, keys, directory } = ownerOf(flags);
  const identityKey = keys.identity.publicKey;
  const owner = { room: policy.room, policyDigest: digest, party: flags.party, identityKey };
  const held = new ApprovalBook(directory, owner).list();
  if (flags.format === 'json') {
    print(JSON.stringify(held.map(({ id, used, document }) => ({ id, used, ...document }))));
    return;
  }
  if (held.length === 0) print('no approvals');
  for (const { document: d, used } of held) {
    const until = d.expires === null ? '' : `, until ${d.expires}`;
    const other = d.policy_digest === digest ? '' : ' (another policy)';
    print(`${d.plan_digest} ${d.analyst} ${used} of ${d.runs} used${until}${other}`);
  }
}
