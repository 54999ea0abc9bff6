// Goal: rooms import only the rooms that docs/ARCHITECTURE.md lets them import, and the house rules
// that a machine can decide hold.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(ROOT, 'src');

/** Room to the rooms it may import. `core` is open to all; a room may always import itself. */
const ARROWS: Record<string, readonly string[]> = {
  core: [],
  kernels: [],
  protocols: ['kernels'],
  dp: [],
  policy: [],
  sql: ['policy'],
  records: ['policy'],
  templates: ['policy', 'sql', 'records'],
  engine: ['protocols', 'dp', 'sql', 'policy'],
  'tee-adapter': ['engine', 'dp', 'sql', 'policy', 'records'],
  transport: [],
  coordinator: ['sql', 'policy', 'records', 'transport'],
  party: ['engine', 'dp', 'sql', 'policy', 'records', 'templates', 'transport', 'tee-adapter'],
  client: ['dp', 'sql', 'policy', 'records', 'templates', 'tee-adapter'],
  explain: ['engine', 'client', 'dp', 'sql', 'policy', 'records'],
  audit: ['party', 'engine', 'client', 'dp', 'sql', 'policy'],
  cli: [
    ...['party', 'coordinator', 'client', 'explain', 'audit', 'templates', 'tee-adapter'],
    ...['records', 'policy', 'sql', 'dp', 'transport'],
  ],
};

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((f) => join(folder, String(f)))
    .filter((f) => f.endsWith('.ts') && !f.includes('/assembly/') && statSync(f).isFile());
}

const sources = filesBelow(SRC).map((file) => ({
  name: relative(SRC, file),
  file,
  text: readFileSync(file, 'utf8'),
}));

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)].map((m) => m[1]!);
}

describe('arrows', () => {
  it.each(sources.map((s) => [s.name, s] as const))('%s', (name, { file, text }) => {
    const room = name.split('/')[0]!;
    expect(ARROWS, `room ${room} has arrows`).toHaveProperty(room);
    for (const target of importsOf(text)) {
      const to = relative(SRC, normalize(join(dirname(file), target))).split('/')[0]!;
      if (to === room || to === 'core') continue;
      expect(ARROWS[room], `${name} imports ${target}`).toContain(to);
    }
  });

  it('sees an arrow that points the wrong way', () => {
    expect(importsOf("import { x } from '../party/x.ts';\nawait import('./y.ts')")).toEqual([
      '../party/x.ts',
      './y.ts',
    ]);
  });
});

describe('tidy', () => {
  const banned: readonly (readonly [RegExp, string])[] = [
    [/Math\.random/, 'use Rng'],
    [/\bconsole\./, 'print in cli through its output'],
    [/\bas any\b/, 'give it a type'],
    [/FIXME|TODO|XXX/, 'do it or open an issue'],
    [/allocUnsafe/, 'use new Uint8Array'],
    [/eslint-disable(?!-next-line)/, 'disable one line, with a reason'],
  ];
  it.each(sources.map((s) => [s.name, s] as const))('%s', (name, { text }) => {
    for (const [token, instead] of banned) expect(text, `${name}: ${instead}`).not.toMatch(token);
    const lines = text.split('\n');
    expect(lines.length, `${name}: lines`).toBeLessThanOrEqual(401);
    for (const line of lines) expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(120);
  });

  it('no test is focused', () => {
    for (const file of filesBelow(join(ROOT, 'test'))) {
      expect(readFileSync(file, 'utf8'), file).not.toMatch(/\b(?:it|describe|test)\.only\(/);
    }
  });

  it('every protocol folder says who learns what', () => {
    for (const folder of ['ot', 'psi', 'sharing']) {
      const page = readFileSync(join(SRC, 'protocols', folder, 'PROTOCOL.md'), 'utf8');
      expect(page.toLowerCase()).toContain('learns');
    }
  });
});
