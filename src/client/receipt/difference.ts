import { equalBytes } from '../../core/bytes.ts';
import { canonicalJson } from '../../policy/index.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

function same(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(canonicalJson(a), canonicalJson(b));
}

/**
 * The dotted path of the first place where two JSON values differ, or null when they are the same.
 * @param path - of the values themselves.
 */
export function firstDifference(a: unknown, b: unknown, path: string): string | null {
  if (same(a, b)) return null;
  if (!isFields(a) || !isFields(b) || Array.isArray(a) !== Array.isArray(b)) return path;
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  const own = (value: Fields, name: string): unknown =>
    Object.hasOwn(value, name) ? value[name] : undefined;
  for (const name of names) {
    const found = firstDifference(own(a, name), own(b, name), `${path}.${name}`);
    if (found !== null) return found;
  }
  return path;
}
