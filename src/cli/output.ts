import type { ParleyError } from '../core/errors.ts';
import { asParleyError, exitCodeOf } from '../core/errors.ts';
// The file itself: the whole room would load the database engine for every command.
import { BadRowsError, formatProblem } from '../party/store/problems.ts';

/** Exit code of wrong usage (sysexits EX_USAGE); 0, 2 and 3 are answers, refusals and faults. */
export const EXIT_USAGE = 64;

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** For people, never for programs: progress, warnings, what happens next. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/**
 * How an error reads: one JSON object for programs, a few lines for people. Bad rows of a file are
 * listed beside the error: `problems` holds the first of `problems_total`.
 */
export function renderError(error: ParleyError, json: boolean): string {
  const bad = error instanceof BadRowsError ? error : null;
  if (json) {
    const listed = bad === null ? {} : { problems: bad.problems, problems_total: bad.total };
    return JSON.stringify({ error: error.toJSON(), ...listed });
  }
  const { fragment, hint, path, party, step } = error.detail;
  const where = [party, path, step].filter((part) => part !== undefined).join(' ');
  const lines = [`parley: ${error.message} [${error.code}]${where === '' ? '' : ` (${where})`}`];
  if (fragment !== undefined) lines.push(`  at: ${fragment.replaceAll(/\s+/g, ' ')}`);
  if (bad !== null) {
    lines.push(...bad.problems.map((problem) => `  ${formatProblem(problem)}`));
    const more = bad.total - bad.problems.length;
    if (more > 0) lines.push(`  and ${more} more`);
  }
  if (hint !== undefined) lines.push(`  hint: ${hint}`);
  return lines.join('\n');
}

/** Runs a command's body; prints what goes wrong and sets the exit code. */
export async function withErrors(json: boolean, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (thrown) {
    const error = asParleyError(thrown);
    const text = renderError(error, json);
    if (json) print(text);
    else tell(text);
    if (error.code === 'INTERNAL' && process.env['PARLEY_DEBUG'] === '1') tell(String(error.cause));
    process.exitCode = exitCodeOf(error);
  }
}
