import { asParleyError } from '../../../core/errors.ts';
import { parseJsonStrict } from '../../../policy/index.ts';
import { READ_BYTES } from '../limits.ts';
import type { ImportLimits } from '../limits.ts';
import { JsonObjects } from './json-objects.ts';
import type { SourceRequest } from './source.ts';
import { badFile, readBlocks } from './source.ts';

/** LOCAL. A row is flat; what else an object holds beside it is not looked at. */
const DEPTH_MAX = 16;

/** LOCAL. Objects whose keys are taken for the file's columns. */
const KEYS_FROM_OBJECTS = 1_000;

/**
 * The text that a CSV cell with this value would hold; null for what is no cell.
 *
 * A number is written with the fewest digits that name it. Every decimal of at most 15 digits comes
 * back digit for digit, and coded values have at most 12.
 */
function cellText(value: unknown): string | null {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return null;
}

/**
 * Reads JSON objects, one a row, either one after another (JSON Lines) or in one array. Values are
 * strings, numbers, true, false or null; a key that is not there counts as null. Keys that are not
 * needed may hold anything.
 *
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE when the file is empty, not readable, UTF-16, or
 *   no object has one of the needed keys: a misspelt one would read as NULL everywhere.
 */
export async function readJson(request: SourceRequest): Promise<void> {
  const { file, needed, limits, onRow, onProblem } = request;
  const seen = needed.map(() => false);
  let rows = 0;
  let problems = 0;
  const problem = (line: number, reason: string): void => {
    problems += 1;
    onProblem(line, reason);
  };
  const onObject = (bytes: Uint8Array, line: number): void => {
    const parsed = parseObject(bytes, limits.recordBytesMax);
    if (typeof parsed === 'string') {
      problem(line, parsed);
      return;
    }
    rows += 1;
    const texts: string[] = [];
    for (let i = 0; i < needed.length; i += 1) {
      const name = needed[i]!;
      seen[i] ||= Object.hasOwn(parsed, name);
      const text = cellText(Object.hasOwn(parsed, name) ? parsed[name] : null);
      if (text === null) {
        problem(line, `column ${name} holds an object or an array`);
        return;
      }
      texts.push(text);
    }
    onRow({ line, text: (index) => texts[index]! });
  };
  const objects = new JsonObjects({
    objectBytesMax: limits.recordBytesMax,
    onObject,
    onProblem: problem,
  });
  await readBlocks(request, READ_BYTES, (block, last) => objects.push(block, last));
  const missing = needed[seen.indexOf(false)];
  if (rows > 0 && problems === 0 && missing !== undefined) {
    throw badFile(file, `column ${missing} is missing`, 'no object of the file has this key');
  }
}

/** The keys of the first objects, in the order they appear. @throws ParleyError as {@link readJson}. */
export async function jsonColumns(file: string, limits: ImportLimits): Promise<readonly string[]> {
  const names = new Set<string>();
  let left = KEYS_FROM_OBJECTS;
  const objects = new JsonObjects({
    objectBytesMax: limits.recordBytesMax,
    onObject(bytes) {
      left -= 1;
      const parsed = left >= 0 ? parseObject(bytes, limits.recordBytesMax) : '';
      if (typeof parsed === 'string') return;
      for (const [name, value] of Object.entries(parsed))
        if (cellText(value) !== null) names.add(name);
    },
    onProblem: () => undefined,
  });
  const push = (block: Uint8Array, last: boolean): void => objects.push(block, last);
  await readBlocks({ file, onProgress: undefined }, READ_BYTES, push, () => left <= 0);
  return [...names];
}

function parseObject(
  bytes: Uint8Array,
  bytesMax: number,
): Readonly<Record<string, unknown>> | string {
  try {
    const value = parseJsonStrict(bytes, { bytesMax, depthMax: DEPTH_MAX });
    return value as Readonly<Record<string, unknown>>;
  } catch (error) {
    return asParleyError(error).message;
  }
}
