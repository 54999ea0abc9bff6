/** LIKE over the values of a declared domain: `%` is any text, `_` any one character. */

/**
 * A test for a pattern. Greedy matching with one point of return, so the time is the product of the
 * lengths at most. Texts are compared in NFC, as at import.
 */
export function likePattern(pattern: string, anyCase: boolean): (text: string) => boolean {
  const read = (text: string): string[] => {
    const normal = text.normalize('NFC');
    return Array.from(anyCase ? normal.toLowerCase() : normal);
  };
  const wanted = read(pattern);
  return (text) => matches(wanted, read(text));
}

function matches(pattern: readonly string[], text: readonly string[]): boolean {
  let [p, t, star, retry] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern[p] === '%') {
      star = p;
      retry = t;
      p += 1;
    } else if (p < pattern.length && (pattern[p] === '_' || pattern[p] === text[t])) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      p = star + 1;
      retry += 1;
      t = retry;
    } else return false;
  }
  while (pattern[p] === '%') p += 1;
  return p === pattern.length;
}
