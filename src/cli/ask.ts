import type { Answer, Client } from '../client/index.ts';
import { budgetText, formatBundle, formatCsv, formatJson, formatTable } from '../client/index.ts';
import type { Backend, QueryRecord, TemplateCall } from '../records/index.ts';
import { writeText } from './files.ts';
import type { Format } from './options.ts';
import { print, tell } from './output.ts';
import type { ProgressLine } from './progress.ts';
import { progressDisplay } from './progress.ts';

export interface AskOptions {
  readonly epsilon?: string;
  readonly queryId?: string;
  readonly backend?: Backend;
  readonly template?: TemplateCall;
  readonly signal?: AbortSignal;
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
      ...(options.backend === undefined ? {} : { backend: options.backend }),
      ...(options.template === undefined ? {} : { template: options.template }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
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

/** Has a query's input-independent part made ahead, showing progress. */
export async function prepare(
  client: Client,
  sql: string,
  options: Omit<AskOptions, 'queryId' | 'backend'>,
): Promise<QueryRecord> {
  const display = progressDisplay(options.quiet);
  try {
    return await client.prepare(sql, {
      epsilon: options.epsilon ?? null,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (record) => display.update(linesOf(record)),
    });
  } finally {
    display.end();
  }
}

/** Every stage of every party so far, in the order they began, with the bytes the party has sent. */
function linesOf({ progress }: QueryRecord): ProgressLine[] {
  const bytesOf = new Map(
    progress.filter((p) => p.stage === 'link.bytes').map((p) => [p.party, p.done]),
  );
  return progress
    .filter((p) => p.stage !== 'link.bytes')
    .map(({ party, stage, done, total }) => {
      return { who: party, stage, done, total, bytesSent: bytesOf.get(party) ?? null };
    });
}

/**
 * Writes the receipt file of a verified answer, when one is wanted.
 * @throws ParleyError STORAGE_FAILED.
 */
export function keepReceipt({ bundle }: Answer, file: string | undefined): void {
  if (file !== undefined) writeText(file, formatBundle(bundle));
}

/** Prints a verified answer in one of the three formats, labels first for people. */
export function printAnswer(answer: Answer, format: Format): void {
  if (format === 'json') print(formatJson(answer));
  else if (format === 'csv') print(formatCsv(answer));
  else print(embolden(formatTable(answer), answer.labels.length));
  if (answer.replayOf !== null) {
    tell(`the answer of query ${answer.replayOf} again, byte for byte: nothing was spent`);
  }
  if (format !== 'json') for (const line of budgetText(answer)) tell(line);
  if (format === 'csv') for (const label of answer.labels) tell(label);
}

/** The labels at the head of a table in bold, where a terminal shows it. */
function embolden(table: string, labels: number): string {
  if (!process.stdout.isTTY) return table;
  const lines = table.split('\n');
  return lines.map((line, i) => (i < labels ? `\u001b[1m${line}\u001b[0m` : line)).join('\n');
}
