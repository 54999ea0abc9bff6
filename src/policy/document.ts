import { isAlias, isMap, isPair, isScalar, parseAllDocuments, visit, type Document } from 'yaml';
import { utf8 } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { parseJsonStrict } from './json.ts';
import { POLICY_BYTES_MAX } from './limits.ts';

function malformed(message: string, path = '', hint = ''): ParleyError {
  return new ParleyError('POLICY_MALFORMED', message, {
    ...(path === '' ? {} : { path }),
    ...(hint === '' ? {} : { hint }),
  });
}

/** Dotted path of a node from the ancestors `visit` hands over; sequence items by index. */
function pathOf(ancestors: readonly unknown[], node: unknown, key: unknown): string {
  const steps: string[] = [];
  const chain = [...ancestors, node];
  chain.forEach((at, depth) => {
    if (isPair(at) && isScalar(at.key)) steps.push(String(at.key.value));
    const parent = chain[depth - 1];
    if (depth > 0 && !isPair(at) && !isPair(parent) && !isMap(parent)) {
      const items = (parent as { items?: readonly unknown[] }).items;
      const index = depth === chain.length - 1 ? key : items?.indexOf(at);
      if (items !== undefined && typeof index === 'number') steps.push(String(index));
    }
  });
  return steps.join('.');
}

const INTEGER = /^[+-]?(0|[1-9]\d*)$/;

/** Refuses what YAML allows and a policy must not hold. */
function expectPlainYaml(doc: Document.Parsed): void {
  visit(doc, (key, node, ancestors) => {
    if (isAlias(node)) {
      throw malformed('the policy uses a YAML alias', pathOf(ancestors, node, key));
    }
    if (!isScalar(node)) return;
    if (key === 'key') {
      if (typeof node.value !== 'string' || node.value === '__proto__') {
        throw malformed('a field name of the policy is not a plain name');
      }
      return;
    }
    // The source text decides, not the value: 1.00 reads as the number 1.
    const exact =
      typeof node.value !== 'number' ||
      (INTEGER.test(node.source ?? '') && Number.isSafeInteger(node.value));
    if (!exact) {
      const path = pathOf(ancestors, node, key);
      throw malformed('the policy holds a number that is not exact', path, 'put it in quotes');
    }
  });
}

function parseYaml(text: string): unknown {
  let documents: readonly Document.Parsed[];
  try {
    const parsed = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      uniqueKeys: true,
      strict: true,
      merge: false,
    });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    throw new ParleyError('POLICY_MALFORMED', 'the policy is not YAML', {}, error);
  }
  const [doc] = documents;
  if (doc === undefined) throw malformed('the policy is empty');
  if (documents.length > 1) throw malformed('the policy holds more than one YAML document');
  const problem = doc.errors[0] ?? doc.warnings[0];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    throw malformed(
      problem.code === 'DUPLICATE_KEY'
        ? 'the policy names a field twice'
        : 'the policy is not YAML',
      '',
      line === undefined ? '' : `at line ${line}`,
    );
  }
  expectPlainYaml(doc);
  return doc.toJS({ maxAliasCount: 0 }) as unknown;
}

/**
 * Reads a policy document: JSON when it starts with a brace, else YAML 1.2 (core schema) without
 * aliases, tags, duplicate keys and numbers that are not plain integers.
 *
 * @throws ParleyError POLICY_MALFORMED with the dotted path where there is one.
 */
export function parsePolicyText(text: string): unknown {
  if (utf8(text).length > POLICY_BYTES_MAX) {
    throw malformed(`the policy is longer than ${POLICY_BYTES_MAX} bytes`);
  }
  if (/^\s*\{/.test(text)) {
    const limits = {
      bytesMax: POLICY_BYTES_MAX,
      code: 'POLICY_MALFORMED',
      integersOnly: true,
    } as const;
    return parseJsonStrict(text, limits);
  }
  return parseYaml(text);
}
