import { Command, InvalidArgumentError, Option } from 'commander';
import { ParleyError } from '../core/errors.ts';
import { parsePolicyDraft, policyDigest } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import {
  parseRecord,
  signedReceiptSchema,
  verifyReceipt,
  type SignedReceipt,
} from '../records/index.ts';
import { readPacket, readText } from './files.ts';
import type { Format } from './options.ts';
import { EXIT_USAGE, print, withErrors } from './output.ts';
import { completeWithKeys, readDraft } from './room.ts';

interface ExplainFlags {
  readonly policy?: string;
  readonly epsilon?: string;
  readonly answer?: string;
  readonly targetError?: string;
  readonly groupSize?: number;
  readonly cost: boolean;
  readonly privacy?: boolean;
  readonly format: Format;
}

function percentOf(text: string): string {
  const found = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text);
  if (found?.[1] === undefined || Number(found[1]) === 0) {
    throw new InvalidArgumentError('It is a percentage such as 5%.');
  }
  return found[1];
}

function groupSizeOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a number of people.');
  return Number(text);
}

/** `parley explain`: a question before it is asked. */
export function explainCommand(): Command {
  return new Command('explain')
    .description(
      'say what a question would cost, how exact its answer would be, and who would learn what:\n' +
        'explain --policy packet.json "SELECT ..." or, for a draft, explain DIR "SELECT ...".\n' +
        'Asks nobody and costs nothing.',
    )
    .argument('<what...>', 'the question, after the folder of a draft room if there is no --policy')
    .option('--policy <packet>', 'your copy of the signed policy packet')
    .option('--epsilon <decimal>', "what it would spend; the policy's default otherwise")
    .option('--answer <file>', 'your latest answer in JSON: its receipts say what is left to spend')
    .option('--target-error <percent>', 'find the epsilon that gives this error', percentOf)
    .option('--group-size <people>', 'in groups of this size', groupSizeOf)
    .option('--privacy', 'privacy alone: price by part, error, what opens, budget, who learns what')
    .option('--no-cost', 'leave out bytes and seconds, which take a second to rehearse')
    .addOption(new Option('--format <format>').choices(['table', 'json']).default('table'))
    .action((what: readonly string[], flags: ExplainFlags, command: Command) => {
      const [sql, directory, more] = what.toReversed();
      const rooms = [flags.policy, directory].filter((room) => room !== undefined);
      const inverse = [flags.targetError, flags.groupSize].filter((x) => x !== undefined);
      if (sql === undefined || more !== undefined || rooms.length !== 1 || inverse.length === 1) {
        command.error(
          inverse.length === 1
            ? 'error: --target-error and --group-size go together'
            : 'error: explain takes --policy PACKET "SELECT ..." or DIR "SELECT ..."',
          { exitCode: EXIT_USAGE },
        );
      }
      return withErrors(flags.format === 'json', async () => {
        const policy =
          flags.policy === undefined ? draftOf(directory ?? '') : readPacket(flags.policy).policy;
        const { targetError: percent, groupSize, format } = flags;
        const target =
          percent === undefined || groupSize === undefined ? null : { percent, groupSize };
        if (target !== null && flags.privacy !== true) {
          await printNeeded(policy, sql, target, format);
          return;
        }
        const options = {
          epsilon: flags.epsilon ?? null,
          format,
          ...(flags.answer === undefined ? {} : { receipts: receiptsOf(flags.answer, policy) }),
        };
        if (flags.privacy === true) await printPrivacy(policy, sql, { ...options, target });
        else await explainTo(policy, sql, { ...options, withoutCost: !flags.cost });
      });
    });
}

/** A draft room's policy with keys that are thrown away: its plan digests are nobody else's. */
export function draftOf(directory: string): Policy {
  return completeWithKeys(parsePolicyDraft(readDraft(directory))).policy;
}

/** Explains to stdout. @throws ParleyError every refusal of the SQL rooms. */
export async function explainTo(
  policy: Policy,
  sql: string,
  options: {
    readonly epsilon: string | null;
    readonly format: Format;
    readonly withoutCost?: boolean;
    readonly receipts?: readonly SignedReceipt[];
  },
): Promise<void> {
  const { format, ...rest } = options;
  // Loaded here: the kernels of a rehearsal are nothing that other commands need.
  const { explainQuery, explanationDocument, formatExplanation } =
    await import('../explain/index.ts');
  const explained = await explainQuery(policy, policyDigest(policy), sql, rest);
  if (format === 'json') print(JSON.stringify(explanationDocument(explained), null, 2));
  else print(formatExplanation(explained));
}

async function printPrivacy(
  policy: Policy,
  sql: string,
  options: {
    readonly epsilon: string | null;
    readonly format: Format;
    readonly receipts?: readonly SignedReceipt[];
    readonly target: { readonly percent: string; readonly groupSize: number } | null;
  },
): Promise<void> {
  const { format, target, ...rest } = options;
  const { explainPrivacy, formatPrivacy, privacyDocument } = await import('../explain/index.ts');
  const asked = target === null ? rest : { ...rest, target };
  const explained = await explainPrivacy(policy, policyDigest(policy), sql, asked);
  if (format === 'json') print(JSON.stringify(privacyDocument(explained), null, 2));
  else print(formatPrivacy(explained));
}

async function printNeeded(
  policy: Policy,
  sql: string,
  target: { readonly percent: string; readonly groupSize: number },
  format: Format,
): Promise<void> {
  const { epsilonNeeded, formatNeeded, neededDocument } = await import('../explain/index.ts');
  const needed = epsilonNeeded(policy, policyDigest(policy), sql, target);
  if (format === 'json') print(JSON.stringify(neededDocument(needed), null, 2));
  else print(formatNeeded(needed));
}

/**
 * The receipts of an answer, each checked for its party's signature under this policy.
 * @throws ParleyError REQUEST_MALFORMED, RECEIPT_INVALID, POLICY_MISMATCH.
 */
function receiptsOf(file: string, policy: Policy): readonly SignedReceipt[] {
  const digest = policyDigest(policy);
  let answer: unknown;
  try {
    answer = JSON.parse(readText(file));
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    throw new ParleyError('REQUEST_MALFORMED', 'the answer is not JSON');
  }
  const receipts: unknown = (answer as { receipts?: unknown } | null)?.receipts;
  if (!Array.isArray(receipts) || receipts.length === 0 || receipts.length > 8) {
    throw new ParleyError('REQUEST_MALFORMED', 'the answer holds no receipts', {
      hint: 'it is what parley query --format json printed',
    });
  }
  return receipts.map((receipt: unknown) => {
    const signed = parseRecord(signedReceiptSchema, receipt, 'receipt');
    if (verifyReceipt(signed, policy).policy_digest === digest) return signed;
    throw new ParleyError('POLICY_MISMATCH', 'the answer was given under another policy');
  });
}
