import { z } from 'zod';
import { ParleyError } from '../core/errors.ts';
import { equalBytes } from '../core/bytes.ts';
import { canonicalJson } from './canonical.ts';
import { expectAddresses, expectConsistent } from './checks.ts';
import { parsePolicyText } from './document.ts';
import { parseJsonStrict } from './json.ts';
import { PARTIES_MAX, POLICY_BYTES_MAX } from './limits.ts';
import { policyDraftSchema, policySchema, type PolicyDraft } from './schema.ts';
import type { AnalystPolicy, PartyPolicy, Policy, PolicyPacket } from './types.ts';

type Issue = z.core.$ZodIssue;

/** The issue inside a union that speaks of the object form, with its whole path. */
function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.at(-1)?.[0];
  if (inner === undefined) return issue;
  return innermost({ ...inner, path: [...issue.path, ...inner.path] });
}

// Values a caller can mend within the form; all else is a document of another form.
const OUT_OF_RANGE: ReadonlySet<Issue['code']> = new Set([
  'too_small',
  'too_big',
  'invalid_value',
  'custom',
]);

function refusal(error: z.ZodError): ParleyError {
  const [first] = error.issues;
  if (first === undefined) return new ParleyError('POLICY_MALFORMED', 'the policy does not parse');
  const issue = innermost(first);
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const field = issue.keys[0] ?? '';
    return new ParleyError(
      'POLICY_MALFORMED',
      'the policy has a field this version does not know',
      {
        path: path === '' ? field : `${path}.${field}`,
        fragment: field,
      },
    );
  }
  const code = OUT_OF_RANGE.has(issue.code) ? 'POLICY_OUT_OF_RANGE' : 'POLICY_MALFORMED';
  return new ParleyError(code, 'a policy value is missing or not acceptable', {
    path: path === '' ? '(document)' : path,
    hint: issue.message,
  });
}

function check<T extends PolicyDraft>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusal(parsed.error);
  expectConsistent(parsed.data);
  return parsed.data;
}

/**
 * Validates a policy given as plain data and fills in the documented defaults.
 * @throws ParleyError POLICY_MALFORMED, POLICY_OUT_OF_RANGE with the dotted path of the field.
 */
export function policyOf(value: unknown): Policy {
  const policy = check(policySchema, value);
  expectAddresses(policy);
  return policy;
}

/**
 * Reads a complete policy from YAML or JSON text, field by field as `docs/policy.md` has it.
 * @throws ParleyError POLICY_MALFORMED, POLICY_OUT_OF_RANGE with the dotted path of the field.
 */
export function parsePolicy(text: string): Policy {
  return policyOf(parsePolicyText(text));
}

/**
 * Reads a policy in which the salt, keys and analysts may still be missing.
 * @throws ParleyError as {@link parsePolicy}.
 */
export function parsePolicyDraft(text: string): PolicyDraft {
  return check(policyDraftSchema, parsePolicyText(text));
}

/** What a draft may lack. */
export interface DraftFill {
  readonly identifier_salt: string;
  /** By party name. */
  readonly parties: Readonly<
    Record<string, Pick<PartyPolicy, 'identity_key' | 'link_key' | 'address'>>
  >;
  /** Completes analysts of the same name; the others are added. */
  readonly analysts: readonly AnalystPolicy[];
}

/**
 * Fills in what a draft lacks; what it already says stays.
 * @throws ParleyError as {@link parsePolicy}; POLICY_MALFORMED when something is still missing.
 */
export function completeDraft(draft: PolicyDraft, fill: DraftFill): Policy {
  const named = new Set(draft.analysts.map((a) => a.name));
  return policyOf({
    ...draft,
    identifier_salt: draft.identifier_salt ?? fill.identifier_salt,
    parties: draft.parties.map((party) => ({
      ...(Object.hasOwn(fill.parties, party.name) ? fill.parties[party.name] : {}),
      ...party,
    })),
    analysts: [
      ...draft.analysts.map((a) => ({ ...fill.analysts.find((f) => f.name === a.name), ...a })),
      ...fill.analysts.filter((f) => !named.has(f.name)),
    ],
  });
}

const packetSchema = z.strictObject({
  policy: z.unknown(),
  signatures: z.record(z.string().max(63), z.string().regex(/^[A-Za-z0-9_-]{86}$/)),
});

/**
 * Validates a packet given as plain data. The policy must already be in its complete form: a packet
 * that leaves defaults out is not what was signed. Signatures are checked by `verifyPacket`.
 *
 * @throws ParleyError POLICY_MALFORMED, POLICY_OUT_OF_RANGE with the dotted path of the field.
 */
export function packetOf(value: unknown): PolicyPacket {
  const parsed = packetSchema.safeParse(value);
  if (!parsed.success) throw refusal(parsed.error);
  const { signatures } = parsed.data;
  if (Object.keys(signatures).length > PARTIES_MAX) {
    throw new ParleyError('POLICY_OUT_OF_RANGE', 'the packet holds too many signatures', {
      path: 'signatures',
    });
  }
  const policy = policyOf(parsed.data.policy);
  if (!equalBytes(canonicalJson(policy), canonicalJson(parsed.data.policy))) {
    throw new ParleyError('POLICY_MALFORMED', 'the policy of a packet must spell out every field', {
      path: 'policy',
    });
  }
  return { policy, signatures };
}

/** Reads a packet from JSON. @throws ParleyError as {@link packetOf}. */
export function parsePacket(document: string | Uint8Array): PolicyPacket {
  return packetOf(
    parseJsonStrict(document, {
      bytesMax: POLICY_BYTES_MAX,
      code: 'POLICY_MALFORMED',
      integersOnly: true,
    }),
  );
}

/** A packet as JSON text for a file: indented, with a line end. */
export function formatPacket(packet: PolicyPacket): string {
  return `${JSON.stringify(packet, null, 2)}\n`;
}
