import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ParleyError } from '../core/errors.ts';
import { parsePolicyText, queryTemplateSchema } from '../policy/index.ts';
import type { QueryTemplate } from '../policy/types.ts';

/** A template of the library: what a policy pins, and what people read. */
export interface LibraryTemplate extends QueryTemplate {
  readonly title: string;
  readonly description: string;
}

/** The folder that ships with the package: `templates/`, beside `src/` and beside `dist/`. */
const FOLDER = fileURLToPath(new URL('../../templates/', import.meta.url));

const HEADER = /^\/\*\s*\n([\s\S]*?)\n\*\/\s*\n/;
const people = z.object({ title: z.string().min(1).max(120), description: z.string().max(2000) });

/**
 * Reads a template file: a header in YAML inside a leading comment (name, title, description,
 * parameters), then the SQL.
 *
 * @throws ParleyError TEMPLATE_MALFORMED naming the template and the field.
 */
export function parseTemplate(text: string, name: string): LibraryTemplate {
  const header = HEADER.exec(text);
  if (header?.[1] === undefined) {
    throw new ParleyError('TEMPLATE_MALFORMED', 'a template starts with a comment in YAML', {
      fragment: name,
    });
  }
  let fields: unknown;
  try {
    fields = parsePolicyText(header[1]);
  } catch (error) {
    throw new ParleyError('TEMPLATE_MALFORMED', 'the header of a template is not plain YAML', {
      fragment: name,
      ...(error instanceof ParleyError ? error.detail : {}),
    });
  }
  const { title, description, ...rest } = (fields ?? {}) as Record<string, unknown>;
  const words = people.safeParse({ title, description });
  const sql = text.slice(header[0].length).trim();
  const template = queryTemplateSchema.safeParse({ ...rest, sql });
  const issue = words.error?.issues[0] ?? template.error?.issues[0];
  if (!words.success || !template.success || template.data.name !== name) {
    const path = issue?.path.join('.') ?? 'name';
    throw new ParleyError('TEMPLATE_MALFORMED', 'the header of a template does not parse', {
      fragment: name,
      path: path === '' ? '(header)' : path,
      ...(issue === undefined ? {} : { hint: issue.message }),
    });
  }
  return { ...template.data, ...words.data };
}

/** Every template of the library by name. @throws ParleyError TEMPLATE_MALFORMED. */
export function templateLibrary(folder = FOLDER): readonly LibraryTemplate[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => parseTemplate(readFileSync(join(folder, file), 'utf8'), basename(file, '.sql')));
}

/** @throws ParleyError TEMPLATE_UNKNOWN naming those there are. */
export function libraryTemplate(name: string): LibraryTemplate {
  return named(templateLibrary(), name);
}

/** The template of that name. @throws ParleyError TEMPLATE_UNKNOWN naming those there are. */
export function named<T extends QueryTemplate>(templates: readonly T[], name: string): T {
  const found = templates.find((template) => template.name === name);
  if (found !== undefined) return found;
  const names = templates.map((template) => template.name);
  throw new ParleyError('TEMPLATE_UNKNOWN', 'there is no such template', {
    fragment: name,
    hint: names.length === 0 ? 'the policy pins none' : `there are ${names.join(', ')}`,
  });
}
