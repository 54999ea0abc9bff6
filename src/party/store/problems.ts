import { ParleyError } from '../../core/errors.ts';

/** One reason why a file was not imported. It never repeats a cell's content. */
export interface ImportProblem {
  /** Base name of the file. */
  readonly file: string;
  /** Line on which the record starts, from 1. The header is line 1 unless blank lines precede it. */
  readonly line: number;
  /** Name of the column in the header, or null when the record itself is malformed. */
  readonly column: string | null;
  readonly reason: string;
}

/** `purchases.csv:12: total_spent: not a decimal number`. */
export function formatProblem(problem: ImportProblem): string {
  const column = problem.column === null ? '' : ` ${problem.column}:`;
  return `${problem.file}:${problem.line}:${column} ${problem.reason}`;
}

/** DATA_BAD_ROWS with the list that a person needs to mend the file. Nothing was imported. */
export class BadRowsError extends ParleyError {
  /** The first problems in file order, at most `problemsListed`. */
  readonly problems: readonly ImportProblem[];
  /** Problems in all. */
  readonly total: number;

  /** @param party - whose file it is, where that is known. */
  constructor(problems: readonly ImportProblem[], total: number, party?: string) {
    const first = problems[0];
    const more = total === 1 ? '' : ', and more like it';
    super('DATA_BAD_ROWS', `nothing was imported: ${first ? formatProblem(first) : ''}${more}`, {
      hint: 'mend the rows listed and import the file again',
      ...(party === undefined ? {} : { party }),
    });
    this.problems = problems;
    this.total = total;
  }
}

/** Collects problems in file order; keeps the first few and counts all. */
export interface ProblemList {
  add(line: number, column: string | null, reason: string): void;
  readonly total: number;
  /** @throws BadRowsError when there is any problem. */
  throwIfAny(): void;
}

export function problemList(file: string, listed: number): ProblemList {
  const problems: ImportProblem[] = [];
  let total = 0;
  return {
    add(line, column, reason) {
      total += 1;
      if (problems.length < listed) problems.push({ file, line, column, reason });
    },
    get total() {
      return total;
    },
    throwIfAny() {
      if (total > 0) throw new BadRowsError(problems, total);
    },
  };
}
