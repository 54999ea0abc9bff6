import { Command, Option } from 'commander';
import {
  BUNDLE_BYTES_MAX,
  parseBundle,
  questionText,
  verifyBundle,
  type Bundle,
  type Report,
} from '../client/index.ts';
import { asParleyError, ParleyError } from '../core/errors.ts';
import { parseJsonStrict } from '../policy/index.ts';
import { parseRecord, rowProofSchema, verifyRowOpening } from '../records/index.ts';
import { readPacket, readText } from './files.ts';
import { print, renderError } from './output.ts';

interface VerifyFlags {
  readonly policy?: string;
  readonly row?: string;
  readonly format: 'text' | 'json';
}

/** LOCAL. Longest file of an opened row. */
const ROW_BYTES_MAX = 256 * 1024;

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
    .option('--row <proof>', 'a row that a party opened (parley data prove): is it in this data?')
    .addOption(
      new Option('--format <format>', 'how the report is printed')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action((file: string, flags: VerifyFlags) => {
      const json = flags.format === 'json';
      try {
        const bundle = parseBundle(readText(file, BUNDLE_BYTES_MAX));
        const report = reportOn(bundle, flags);
        const asked = report.genuine ? flags.row : undefined;
        const row = asked === undefined ? null : expectRow(bundle, readText(asked));
        print(json ? JSON.stringify(documentOf(report, row), null, 2) : textOf(report, row));
        if (!report.genuine) process.exitCode = EXIT_NOT_GENUINE;
      } catch (thrown) {
        const text = renderError(asParleyError(thrown), json);
        if (json) print(text);
        else process.stderr.write(`${text}\n`);
        process.exitCode = EXIT_NOT_GENUINE;
      }
    });
}

/**
 * Checks that a row is in the data its party stated for the run.
 * @returns that it is, in words.
 * @throws ParleyError REQUEST_MALFORMED, RECEIPT_INVALID naming the party.
 */
function expectRow({ gos }: Bundle, text: string): string {
  const value = parseJsonStrict(text, { bytesMax: ROW_BYTES_MAX, code: 'REQUEST_MALFORMED' });
  const { party, opening } = parseRecord(rowProofSchema, value, 'opened row');
  const stated = gos.find(({ document }) => document.party === party)?.document.datasets ?? [];
  const commitment = stated.find(({ table }) => table === opening.table);
  if (commitment === undefined) {
    throw new ParleyError('RECEIPT_INVALID', 'the run read no such table of this party', { party });
  }
  verifyRowOpening(opening, commitment);
  return `row ${opening.index} of ${opening.table} is in the data that ${party} stated for this run`;
}

/** @throws ParleyError FILE_NOT_FOUND, POLICY_*. */
function reportOn(bundle: Bundle, { policy }: VerifyFlags): Report {
  const pinned = policy === undefined ? {} : { policyDigest: readPacket(policy).digest };
  return verifyBundle(bundle, pinned);
}

function documentOf({ error, ...report }: Report, row: string | null): object {
  return {
    genuine: report.genuine,
    room: report.room,
    query_id: report.queryId,
    question: report.question,
    policy_digest: report.policyDigest,
    checks: report.checks,
    ...(row === null ? {} : { row }),
    not_checked: report.notChecked,
    ...(error === null ? {} : { error: error.toJSON() }),
  };
}

function whereOf({ detail: { party, path } }: ParleyError): string {
  const parts = [party, path].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` (${parts.join(' ')})`;
}

function textOf(report: Report, row: string | null): string {
  const { genuine, error, checks, notChecked, room, queryId, question, policyDigest } = report;
  const lines = [
    genuine ? 'GENUINE' : `NOT GENUINE [${error?.code ?? ''}]`,
    ...(room === null ? [] : [`room ${room}, policy ${policyDigest ?? ''}`]),
    ...(queryId === null ? [] : [`query ${queryId}`]),
    ...(question === null ? [] : questionText(question)),
    '',
    'checked:',
    ...checks.map(({ passed, says }) => `  ${passed ? 'ok ' : 'BAD'}  ${says}`),
    ...(row === null ? [] : [`  ok   ${row}`]),
  ];
  if (error !== null) lines.push('', `${error.message}${whereOf(error)}`);
  lines.push('', 'not checked, and not to be seen in a receipt:');
  lines.push(...notChecked.map((what) => `  -  ${what}`));
  return lines.join('\n');
}
