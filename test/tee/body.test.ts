// Goal: what runs inside an enclave is what docs/tee.md lists: these rooms, these packages, no more
// code than stated. Every file here is part of what the parties trust.
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(ROOT, 'src');
// Imports that stay at run time; those of types alone are erased.
const IMPORT = /^(?:import|export)\s+(?!type\b)(?:[^'"]*?from\s*)?'([^']+)'/gms;

function bodyOf(entry: string): { files: Map<string, number>; packages: Set<string> } {
  const files = new Map<string, number>();
  const packages = new Set<string>();
  const walk = (file: string): void => {
    if (files.has(file)) return;
    const text = readFileSync(file, 'utf8');
    files.set(file, text.split('\n').length - 1);
    for (const [, target] of text.matchAll(IMPORT)) {
      if (target!.startsWith('.')) walk(normalize(join(dirname(file), target!)));
      else packages.add(target!);
    }
  };
  walk(join(SRC, entry));
  return { files, packages };
}

const { files, packages } = bodyOf('tee-adapter/enclave/main.ts');
const page = readFileSync(join(ROOT, 'docs/tee.md'), 'utf8');

it('imports the rooms and packages that docs/tee.md lists', () => {
  const rooms = [...files.keys()].map((file) => relative(SRC, file).split('/')[0]!);
  const listed = (label: string): string[] =>
    [...new RegExp(`^- ${label}: (.*)$`, 'm').exec(page)![1]!.matchAll(/`([^`]+)`/g)]
      .map(([, name]) => name!)
      .sort();
  expect([...new Set(rooms)].sort()).toEqual(listed('Rooms'));
  expect([...packages].sort()).toEqual(listed('Packages and modules'));
});

it('is no larger than docs/tee.md states', () => {
  const [, most, lines] = /^- Size: at most (\d+) files and ([\d,]+) lines/m.exec(page)!;
  const total = [...files.values()].reduce((sum, n) => sum + n, 0);
  expect(files.size).toBeLessThanOrEqual(Number(most));
  expect(total).toBeLessThanOrEqual(Number(lines!.replace(',', '')));
  // The bound means something: the body is not far below it.
  expect(total).toBeGreaterThan(0.7 * Number(lines!.replace(',', '')));
});
