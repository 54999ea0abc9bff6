import type { Answer, Client } from '../client/index.ts';
import { formatCsv, formatJson, formatTable } from '../client/index.ts';
import { ParleyError } from '../core/errors.ts';
import type { QueryRecord } from '../records/index.ts';
import { print, tell } from './output.ts';
import type { ProgressLine } from './progress.ts';
import { progressDisplay } from './progress.ts';

export type Format = 'table' | 'json' | 'csv';

/** @throws ParleyError BAD_ARGUMENT for an unknown format. */
export function formatOf(text: string): Format {
  if (text === 'table' || text === 'json' || text === 'csv') return text;
  throw new ParleyError('BAD_ARGUMENT', 'the format is table, json or csv', { fragment: text });
}

export interface AskOptions {
  readonly epsilon?: string;
  readonly queryId?: string;
  /** No progress on stderr. */
  readonly quiet: boolean;
}

/** Asks, showing progress, and returns the verified answer with the last record seen. */
export async function ask(
  client: Client,
  sql: string,
  options: AskOptions,
): Promise<{ readonly answer: Answer; readonly record: QueryRecord | null }> {
  const display = progressDisplay(options.quiet);
  let last: QueryRecord | null = null;
  try {
    const answer = await client.answer(sql, {
      epsilon: options.epsilon ?? null,
      ...(options.queryId === undefined ? {} : { queryId: options.queryId }),
      onProgress: (record) => {
        last = record;
        display.update(linesOf(record));
      },
    });
    return { answer, record: last };
  } finally {
    display.end();
  }
}

/** Where each party stands: its stage, and beside it the bytes it has sent. */
function linesOf(record: QueryRecord): ProgressLine[] {
  const bytesOf = new Map(
    record.progress.filter((p) => p.stage === 'link.bytes').map((p) => [p.party, p.done]),
  );
  const stages = new Map(
    record.progress.filter((p) => p.stage !== 'link.bytes').map((p) => [p.party, p]),
  );
  return [...stages.values()].map(({ party, stage, done, total }) => {
    const bytes = bytesOf.get(party);
    const sent = bytes === undefined ? '' : ` (${(bytes / 1e6).toFixed(1)} MB sent)`;
    return { who: party, stage: `${stage}${sent}`, done, total };
  });
}

/** Prints a verified answer in one of the three formats, labels first for people. */
export function printAnswer(answer: Answer, format: Format): void {
  if (format === 'json') print(formatJson(answer));
  else if (format === 'csv') print(formatCsv(answer));
  else print(formatTable(answer));
  if (format === 'csv') for (const label of answer.labels) tell(label);
}
