import { budgetDocument } from './format-budget.ts';
import type { Answer, AnswerCell, AnswerColumn, AnswerRow, AnswerTable } from './answer.ts';

const SUPPRESSED = '[REDACTED]';

/** Text a terminal shows as it is: a control character in a column name becomes a mark. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}

function cellText(cell: AnswerCell, column: AnswerColumn, row: AnswerRow): string {
  if (row.suppressed && column.role === 'aggregate') return SUPPRESSED;
  return cell.value === null ? 'NULL' : printable(String(cell.value));
}

interface TextColumn {
  readonly title: string;
  readonly left: boolean;
  readonly cells: readonly string[];
}

function textColumns(answer: AnswerTable): readonly TextColumn[] {
  return answer.columns.flatMap((column, i): TextColumn[] => {
    const at = (row: AnswerRow): AnswerCell => row.cells[i] ?? { value: null, interval: null };
    const values = {
      title: printable(column.name),
      left: column.type === 'text' || column.type === 'date' || column.type === 'boolean',
      cells: answer.rows.map((row) => cellText(at(row), column, row)),
    };
    if (!column.noised) return [values];
    const widths = answer.rows.map((row) => at(row).interval?.half_width ?? '');
    return [values, { title: '±', left: false, cells: widths }];
  });
}

/** Columns on a terminal: by code point, which is right for the alphabets policies use. */
function width(text: string): number {
  return Array.from(text).length;
}

/**
 * The answer for a person: labels first, aligned columns, `±` beside every noised column,
 * `[REDACTED]` where a group did not pass the threshold, `NULL` for SQL's NULL. Ends in a line end.
 */
export function formatTable(answer: AnswerTable): string {
  const columns = textColumns(answer);
  const widths = columns.map((c) => Math.max(width(c.title), ...c.cells.map(width)));
  const pad = (text: string, i: number, left: boolean): string => {
    const fill = ' '.repeat((widths[i] ?? 0) - width(text));
    return left ? text + fill : fill + text;
  };
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => pad(text, i, columns[i]?.left ?? true))
      .join(' | ')
      .trimEnd();
  const rule = widths.map((n) => '-'.repeat(n)).join('-+-');
  const rows = answer.rows.map((_, r) => line(columns.map((c) => c.cells[r] ?? '')));
  const count = `(${answer.rows.length} ${answer.rows.length === 1 ? 'row' : 'rows'}`;
  const hidden =
    answer.groupsSuppressed === 0
      ? ')'
      : `, ${answer.groupsSuppressed} of ${answer.groups} groups suppressed)`;
  return [
    ...answer.labels.map((label) => `*** ${label} ***`),
    line(columns.map((c) => c.title)),
    rule,
    ...rows,
    `${count}${hidden}`,
    '',
  ].join('\n');
}

/** The answer as one JSON document, for {@link formatJson} or to build on. */
export function answerDocument(answer: Answer): object {
  return {
    query_id: answer.queryId,
    replay_of: answer.replayOf,
    room: answer.plan.room,
    policy_digest: answer.plan.policyDigest,
    plan_digest: answer.planDigest,
    session: answer.session,
    backend: answer.backend,
    labels: answer.labels,
    promise: answer.promise,
    columns: answer.columns,
    rows: answer.rows,
    groups: answer.groups,
    groups_suppressed: answer.groupsSuppressed,
    epsilon_spent: answer.epsilonSpent,
    delta_spent: answer.deltaSpent,
    rho_spent: answer.rhoSpent,
    budget_left: answer.budgetLeft && budgetDocument(answer.budgetLeft),
    confidence_level: answer.plan.privacy.confidenceLevel,
    receipts: answer.receipts,
    attestation: answer.attestation,
  };
}

/**
 * The answer for a program: one indented JSON document with columns and their types, rows with
 * every cell's interval and mechanism, what was spent, and the signed receipts.
 */
export function formatJson(answer: Answer): string {
  return `${JSON.stringify(answerDocument(answer), null, 2)}\n`;
}

/** RFC 4180 section 2.6 and 2.7; a lone empty string is quoted to differ from NULL. */
function csvField(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Header and rows as CSV (RFC 4180 with `\n` line ends, as databases write it). NULL and suppressed
 * cells are empty; intervals are left to JSON.
 */
export function formatCsv(answer: AnswerTable): string {
  const lines = [
    answer.columns.map((column) => csvField(column.name)),
    ...answer.rows.map((row) =>
      row.cells.map(({ value }) => (value === null ? '' : csvField(String(value)))),
    ),
  ];
  return lines.map((fields) => `${fields.join(',')}\n`).join('');
}
