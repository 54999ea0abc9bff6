import { Command, Option } from 'commander';
import { BUNDLE_BYTES_MAX, parseBundle, verifyBundle, type Report } from '../client/index.ts';
import { asParleyError, type ParleyError } from '../core/errors.ts';
import { readPacket, readText } from './files.ts';
import { print, renderError } from './output.ts';

interface VerifyFlags {
  readonly policy?: string;
  readonly format: 'text' | 'json';
}

/** Exit code of a receipt that is not genuine, whatever is wrong with it. */
const EXIT_NOT_GENUINE = 2;

/** `parley verify`: a receipt file, offline. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'check a receipt file offline (parley query --receipt): signatures, plan, noise, ledger heads,\n' +
        'data commitments, and the answer again from the opened shares. Says what was and was not\n' +
        'checked. Exit codes: 0 genuine, 2 not; the code names what is wrong.',
    )
    .argument('<receipt>', 'a receipt.json')
    .option('--policy <packet>', 'your own copy of the signed policy packet')
    .addOption(
      new Option('--format <format>', 'how the report is printed')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action((file: string, flags: VerifyFlags) => {
      const json = flags.format === 'json';
      try {
        const report = reportOn(file, flags);
        print(json ? JSON.stringify(documentOf(report), null, 2) : textOf(report));
        if (!report.genuine) process.exitCode = EXIT_NOT_GENUINE;
      } catch (thrown) {
        const text = renderError(asParleyError(thrown), json);
        if (json) print(text);
        else process.stderr.write(`${text}\n`);
        process.exitCode = EXIT_NOT_GENUINE;
      }
    });
}

/** @throws ParleyError FILE_NOT_FOUND, INPUT_TOO_LARGE, POLICY_*, RECEIPT_INVALID (its form). */
function reportOn(file: string, { policy }: VerifyFlags): Report {
  const pinned = policy === undefined ? {} : { policyDigest: readPacket(policy).digest };
  return verifyBundle(parseBundle(readText(file, BUNDLE_BYTES_MAX)), pinned);
}

function documentOf({ error, ...report }: Report): object {
  return {
    genuine: report.genuine,
    room: report.room,
    query_id: report.queryId,
    policy_digest: report.policyDigest,
    checks: report.checks,
    not_checked: report.notChecked,
    ...(error === null ? {} : { error: error.toJSON() }),
  };
}

function whereOf({ detail: { party, path } }: ParleyError): string {
  const parts = [party, path].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` (${parts.join(' ')})`;
}

function textOf(report: Report): string {
  const { genuine, error, checks, notChecked, room, queryId, policyDigest } = report;
  const lines = [
    genuine ? 'GENUINE' : `NOT GENUINE [${error?.code ?? ''}]`,
    ...(room === null ? [] : [`room ${room}, policy ${policyDigest ?? ''}`]),
    ...(queryId === null ? [] : [`query ${queryId}`]),
    '',
    'checked:',
    ...checks.map(({ passed, says }) => `  ${passed ? 'ok ' : 'BAD'}  ${says}`),
  ];
  if (error !== null) lines.push('', `${error.message}${whereOf(error)}`);
  lines.push('', 'not checked, and not to be seen in a receipt:');
  lines.push(...notChecked.map((what) => `  -  ${what}`));
  return lines.join('\n');
}
