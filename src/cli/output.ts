import type { ParleyError } from '../core/errors.ts';
import { asParleyError, exitCodeOf } from '../core/errors.ts';

/** Exit code of wrong usage (sysexits EX_USAGE); 0, 2 and 3 are answers, refusals and faults. */
export const EXIT_USAGE = 64;

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** For people, never for programs: progress, warnings, what happens next. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** How an error reads: one JSON object for programs, two or three lines for people. */
export function renderError(error: ParleyError, json: boolean): string {
  if (json) return JSON.stringify({ error: error.toJSON() });
  const { fragment, hint, path, party, step } = error.detail;
  const where = [party, path, step].filter((part) => part !== undefined).join(' ');
  const lines = [`parley: ${error.message} [${error.code}]${where === '' ? '' : ` (${where})`}`];
  if (fragment !== undefined) lines.push(`  at: ${fragment.replaceAll(/\s+/g, ' ')}`);
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
