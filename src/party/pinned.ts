import { ParleyError } from '../core/errors.ts';
import type { Policy, QueryTemplate, TemplateParameter } from '../policy/types.ts';
import { planQuery } from '../sql/index.ts';
import { instantiate } from '../templates/index.ts';

/** A value that the parameter admits, undefined to leave it to its default or when none is known. */
function exampleOf(
  parameter: TemplateParameter,
  { parameters }: QueryTemplate,
  { parties }: Policy,
): string | undefined {
  if (parameter.type === 'unit' || parameter.default !== undefined) return undefined;
  if (parameter.type === 'value') {
    const column = parameters[parameter.column];
    const table = column?.type === 'column' ? parameters[column.table] : undefined;
    if (column?.type !== 'column' || table?.type !== 'table') return undefined;
    const name = column.default ?? column.values?.[0] ?? '';
    const owner = table.default ?? table.values?.[0] ?? '';
    const declared = parties.flatMap(({ tables }) =>
      Object.hasOwn(tables, owner) ? [tables[owner]!] : [],
    )[0];
    const found = declared === undefined ? undefined : declared.columns[name];
    return found?.type === 'boolean' ? 'true' : found?.values?.[0];
  }
  return 'min' in parameter ? parameter.min : parameter.values?.[0];
}

/**
 * Refuses a policy that pins a template which cannot run: it does not hold together, or its SQL has no
 * plan under this very policy. Planned once, with its defaults and else the least of what each
 * parameter admits; a table or column that is left to the run without default or list is not guessed
 * and such a template not planned.
 *
 * Every node looks when it starts, whoever starts it; the command line looks wherever it reads a policy.
 *
 * @throws ParleyError POLICY_OUT_OF_RANGE with the path of the template and the planner's reason.
 */
export function expectPinnedPlan(policy: Policy, digest: string): void {
  (policy.rules.queries?.templates ?? []).forEach((template, i) => {
    const given: Record<string, string> = {};
    for (const [name, parameter] of Object.entries(template.parameters)) {
      const example = exampleOf(parameter, template, policy);
      if (example !== undefined) given[name] = example;
      else if (parameter.type !== 'unit' && parameter.default === undefined) return;
    }
    try {
      planQuery(policy, digest, instantiate(template, given, policy), { epsilon: null });
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      const { fragment, hint } = error.detail;
      const reason = [error.code, error.message, fragment, hint].filter(Boolean).join(': ');
      throw new ParleyError(
        'POLICY_OUT_OF_RANGE',
        'the policy pins a template that has no plan',
        { path: `rules.queries.templates.${i}`, hint: `${template.name}: ${reason}` },
        error,
      );
    }
  });
}
