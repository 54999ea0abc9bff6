import { ParleyError } from '../core/errors.ts';
import { compare, parseDecimal } from '../core/rational.ts';
import type {
  ColumnPolicy,
  Policy,
  QueryTemplate,
  TablePolicy,
  TemplateParameter,
} from '../policy/types.ts';
import { piecesOf } from './placeholders.ts';

/** Values by parameter name, as text. */
export type GivenParameters = Readonly<Record<string, string>>;

type Parameter<T extends TemplateParameter['type']> = Extract<TemplateParameter, { type: T }>;
/** Where tables and columns are looked up. */
type Tables = Pick<Policy, 'parties'>;

interface Call {
  readonly template: QueryTemplate;
  readonly given: GivenParameters;
  readonly policy: Tables;
}

function refuse(name: string, what: string, hint?: string): ParleyError {
  return new ParleyError('TEMPLATE_PARAMETER', `a template's parameter ${what}`, {
    fragment: name,
    ...(hint === undefined ? {} : { hint }),
  });
}

function malformed(name: string, what: string): ParleyError {
  return new ParleyError('TEMPLATE_MALFORMED', `the template ${what}`, { fragment: name });
}

function parameterOf(call: Call, name: string): TemplateParameter {
  const { parameters } = call.template;
  const found = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  if (found === undefined) throw malformed(name, 'uses a parameter that it does not declare');
  return found;
}

/** What the run gave, or the default. */
function valueOf({ given }: Call, name: string, parameter: TemplateParameter): string {
  const value = Object.hasOwn(given, name) ? given[name] : parameter.default;
  if (value === undefined) throw refuse(name, 'has no value', `give it with --param ${name}=…`);
  return value;
}

function tableOf(call: Call, name: string): readonly [string, TablePolicy] {
  const parameter = parameterOf(call, name);
  if (parameter.type !== 'table') throw malformed(name, 'takes a table from another parameter');
  const value = valueOf(call, name, parameter);
  const tables = Object.fromEntries(call.policy.parties.flatMap((p) => Object.entries(p.tables)));
  const allowed = parameter.values ?? Object.keys(tables);
  const table = Object.hasOwn(tables, value) ? tables[value] : undefined;
  if (table === undefined || !allowed.includes(value)) {
    throw refuse(name, 'names no table it may', `it is one of ${allowed.join(', ')}`);
  }
  return [value, table];
}

function columnOf(call: Call, name: string): readonly [string, ColumnPolicy] {
  const parameter = parameterOf(call, name);
  if (parameter.type !== 'column') throw malformed(name, 'takes a column from another parameter');
  const [, { columns }] = tableOf(call, parameter.table);
  const { kinds, values } = parameter;
  const allowed = Object.keys(columns).filter((column) => {
    const kind = columns[column]!.type;
    return (kinds?.includes(kind) ?? true) && (values?.includes(column) ?? true);
  });
  const value = valueOf(call, name, parameter);
  if (!allowed.includes(value)) {
    throw refuse(name, 'names no column it may', `it is one of ${allowed.join(', ')}`);
  }
  return [value, columns[value]!];
}

const quotedName = (name: string): string => `"${name}"`;
const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const FORMS = {
  integer: { pattern: /^(0|-?[1-9]\d{0,14})$/, what: 'a whole number' },
  decimal: { pattern: /^-?(0|[1-9]\d{0,11})(\.\d{1,6})?$/, what: 'a decimal number' },
  date: { pattern: /^\d{4}-\d{2}-\d{2}$/, what: 'a day such as 2025-12-31' },
} as const;

function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** A literal of a number or day within the parameter's range. */
function rangeLiteral(
  call: Call,
  name: string,
  parameter: Parameter<'integer' | 'decimal' | 'date'>,
): string {
  const value = valueOf(call, name, parameter);
  const { type, min, max } = parameter;
  const { pattern, what } = FORMS[type];
  if (!pattern.test(value) || (type === 'date' && !isDay(value))) {
    throw refuse(name, 'has a value of another form', `it is ${what}`);
  }
  const order = (a: string, b: string): number =>
    type === 'date' ? (a < b ? -1 : a > b ? 1 : 0) : compare(parseDecimal(a), parseDecimal(b));
  if (order(value, min) < 0 || order(value, max) > 0) {
    throw refuse(name, 'is out of range', `it is ${min} to ${max}`);
  }
  // A sign of its own never meets another: two would begin a comment.
  const literal = value.startsWith('-') ? ` ${value}` : value;
  return type === 'date' ? `DATE '${value}'` : literal;
}

function domainLiteral(call: Call, name: string, parameter: Parameter<'value'>): string {
  const [, column] = columnOf(call, parameter.column);
  const value = valueOf(call, name, parameter);
  const domain = column.type === 'boolean' ? ['true', 'false'] : (column.values ?? []);
  if (!domain.includes(value)) {
    throw refuse(name, 'is not in the domain of its column', `it is one of ${domain.join(', ')}`);
  }
  return column.type === 'text' ? quotedText(value) : value;
}

/** A parameter as it stands in the SQL: a literal, or a quoted name that the policy declares. */
function rendered(call: Call, name: string): string {
  const parameter = parameterOf(call, name);
  switch (parameter.type) {
    case 'integer':
    case 'decimal':
    case 'date':
      return rangeLiteral(call, name, parameter);
    case 'text': {
      const value = valueOf(call, name, parameter);
      if (parameter.values.includes(value)) return quotedText(value);
      throw refuse(name, 'has no such value', `it is one of ${parameter.values.join(', ')}`);
    }
    case 'table':
      return quotedName(tableOf(call, name)[0]);
    case 'column':
      return quotedName(columnOf(call, name)[0]);
    case 'value':
      return domainLiteral(call, name, parameter);
    case 'unit':
      return quotedName(tableOf(call, parameter.table)[1].privacy_unit_column.name);
  }
}

function expectKnown({ template, given }: Call): void {
  for (const name of Object.keys(given)) {
    const known = Object.hasOwn(template.parameters, name) ? template.parameters[name] : undefined;
    if (known !== undefined && known.type !== 'unit') continue;
    const names = Object.entries(template.parameters).flatMap(([n, { type }]) =>
      type === 'unit' ? [] : [n],
    );
    throw refuse(name, 'is not one that can be given', `they are ${names.join(', ')}`);
  }
}

/**
 * The SQL of a template with its parameters filled in. Pure, and deterministic: every node gets the
 * same text from the same packet. Nothing of a value is copied as it came but what its type admits:
 * numbers and days of a fixed form within a range, text from a list, names that the policy declares;
 * text and names are quoted. What the SQL may ask is then the planner's to judge, as ever.
 *
 * @throws ParleyError TEMPLATE_PARAMETER naming the parameter: unknown, missing, of another form, out
 *   of range. TEMPLATE_MALFORMED when the template itself does not hold together.
 */
export function instantiate(
  template: QueryTemplate,
  given: GivenParameters,
  policy: Tables,
): string {
  const call: Call = { template, given, policy };
  expectKnown(call);
  // Also those that the SQL does not use: a value that is refused is refused everywhere.
  const values = new Map(Object.keys(template.parameters).map((n) => [n, rendered(call, n)]));
  return piecesOf(template.sql)
    .map((piece) => {
      if (piece.kind === 'text') return piece.text;
      return values.get(piece.name) ?? rendered(call, piece.name);
    })
    .join('');
}
