import { daysOf } from '../../sql/index.ts';
import { normaliseIdentifier } from './identifiers.ts';
import { IMPORT_LIMITS } from './limits.ts';
import type { ImportLimits } from './limits.ts';
import { columnsOf, readSource } from './sources/index.ts';
import type { OnProgress } from '../../core/progress.ts';

/** LOCAL. Distinct texts remembered per column; more is no declared domain anyway. */
const VALUES_SHOWN_MAX = 12;

/** Numbers that a policy column can hold: at most six digits after the point. */
const INTEGER = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?\d+(\.\d{1,6})?$/;

/** What a column of a file could be declared as. */
export type LikelyType = 'email' | 'phone' | 'date' | 'decimal' | 'integer' | 'boolean' | 'text';

/** One column as the file has it. For its owner's eyes. */
export interface DescribedColumn {
  readonly name: string;
  readonly likely: LikelyType;
  /** Rows where it is empty or NULL. */
  readonly empty: number;
  /** Digits after the point, for decimals. */
  readonly scale: number | null;
  /** Least and greatest date or number, as written in a policy; null for other types. */
  readonly min: string | null;
  readonly max: string | null;
  /** All distinct texts where they are few; null where they are many or identify people. */
  readonly values: readonly string[] | null;
}

export interface DescribedFile {
  readonly rows: number;
  /** Rows that are malformed as a whole. */
  readonly badRows: number;
  readonly columns: readonly DescribedColumn[];
}

/** What has been seen of one column so far; a type drops out with the first text it cannot be. */
class Column {
  readonly name: string;
  readonly #possible = new Set<LikelyType>([
    'boolean',
    'date',
    'integer',
    'decimal',
    'phone',
    'email',
  ]);
  #empty = 0;
  #filled = 0;
  #scale = 0;
  #min: { readonly key: number; readonly text: string } | null = null;
  #max: { readonly key: number; readonly text: string } | null = null;
  #values: Set<string> | null = new Set();

  constructor(name: string) {
    this.name = name;
  }

  add(text: string): void {
    if (text === '') {
      this.#empty += 1;
      return;
    }
    this.#filled += 1;
    for (const type of this.#possible) if (!fits(type, text)) this.#possible.delete(type);
    if (this.#possible.has('decimal')) {
      this.#scale = Math.max(this.#scale, text.split('.')[1]?.length ?? 0);
      this.#range(Number(text), text);
    } else if (this.#possible.has('date')) this.#range(daysOf(text) ?? 0, text);
    this.#values?.add(text);
    if (this.#values !== null && this.#values.size > VALUES_SHOWN_MAX) this.#values = null;
  }

  #range(key: number, text: string): void {
    if (this.#min === null || key < this.#min.key) this.#min = { key, text };
    if (this.#max === null || key > this.#max.key) this.#max = { key, text };
  }

  describe(): DescribedColumn {
    const [likely = 'text'] = this.#filled === 0 ? [] : this.#possible;
    const ranged = ['date', 'integer', 'decimal'].includes(likely);
    const shown = likely === 'text' || likely === 'integer';
    return {
      name: this.name,
      likely,
      empty: this.#empty,
      scale: likely === 'decimal' ? this.#scale : null,
      min: ranged ? (this.#min?.text ?? null) : null,
      max: ranged ? (this.#max?.text ?? null) : null,
      values: shown && this.#values !== null ? [...this.#values].sort() : null,
    };
  }
}

function fits(type: LikelyType, text: string): boolean {
  switch (type) {
    case 'boolean':
      return /^(true|false)$/i.test(text);
    case 'date':
      return daysOf(text) !== null;
    case 'integer':
      return INTEGER.test(text);
    case 'decimal':
      return DECIMAL.test(text);
    case 'phone':
    case 'email':
      return normaliseIdentifier(type, text) !== null;
    case 'text':
      return true;
  }
}

/**
 * Looks through a file before there is a policy for it: its columns, what each could be declared
 * as, ranges, empty cells and small domains. Stores nothing. Texts that identify people (e-mail
 * addresses, phone numbers, domains of many values) are not among what is returned.
 *
 * Bounds in a policy must not be read off the data when they clamp under differential privacy: the
 * ranges here are for spotting mistakes.
 *
 * Cost: one pass over the file, memory for a few values a column.
 * @throws ParleyError FILE_NOT_FOUND, DATA_BAD_FILE.
 */
export async function describeFile(
  file: string,
  options: { readonly limits?: Partial<ImportLimits>; readonly onProgress?: OnProgress } = {},
): Promise<DescribedFile> {
  const limits = { ...IMPORT_LIMITS, ...options.limits };
  const needed = await columnsOf(file, limits);
  const columns = needed.map((name) => new Column(name));
  let rows = 0;
  const bad = new Set<number>();
  await readSource({
    file,
    needed,
    limits,
    onRow(row) {
      rows += 1;
      columns.forEach((column, i) => column.add(row.text(i)));
    },
    onProblem: (line) => bad.add(line),
    onProgress: options.onProgress,
  });
  return { rows, badRows: bad.size, columns: columns.map((column) => column.describe()) };
}
