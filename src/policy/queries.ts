/** The part of a policy that says which questions nodes run. */
import { z } from 'zod';
import {
  DOMAIN_VALUES_MAX,
  TEMPLATE_PARAMETERS_MAX,
  TEMPLATE_SQL_CHARS_MAX,
  TEMPLATES_MAX,
  VALUE_CHARS_MAX,
} from './limits.ts';
import type { QueriesPolicy, QueryTemplate, TemplateParameter } from './types.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/);
const value = z
  .string()
  .min(1)
  .max(VALUE_CHARS_MAX)
  .refine((text) => !/[\p{Surrogate}\p{Control}]/u.test(text), 'holds a control character');
const about = z.string().max(400).exactOptional();
const integer = z.string().regex(/^(0|-?[1-9]\d{0,14})$/, 'must be a whole number in quotes');
const decimal = z
  .string()
  .regex(/^-?(0|[1-9]\d{0,11})(\.\d{1,6})?$/, 'must be a decimal number in quotes');
const date = z.iso.date().refine((text) => text >= '0001', 'must be a day from year 1 on');
const values = z.array(value).min(1).max(DOMAIN_VALUES_MAX);
const columnTypes = z.enum(['date', 'decimal', 'integer', 'text', 'boolean']);

const range = <const T extends string, V extends z.ZodType<string>>(
  type: T,
  form: V,
): z.ZodObject<
  {
    type: z.ZodLiteral<T>;
    min: V;
    max: V;
    default: z.ZodExactOptional<V>;
    about: typeof about;
  },
  z.core.$strict
> =>
  z.strictObject({
    type: z.literal(type),
    min: form,
    max: form,
    default: form.exactOptional(),
    about,
  });

const parameter: z.ZodType<TemplateParameter> = z.discriminatedUnion('type', [
  range('integer', integer),
  range('decimal', decimal),
  range('date', date),
  z.strictObject({ type: z.literal('text'), values, default: value.exactOptional(), about }),
  z.strictObject({
    type: z.literal('table'),
    values: z.array(name).min(1).max(64).exactOptional(),
    default: name.exactOptional(),
    about,
  }),
  z.strictObject({
    type: z.literal('column'),
    table: name,
    kinds: z.array(columnTypes).min(1).exactOptional(),
    values: z.array(name).min(1).max(128).exactOptional(),
    default: name.exactOptional(),
    about,
  }),
  z.strictObject({
    type: z.literal('value'),
    column: name,
    default: value.exactOptional(),
    about,
  }),
  z.strictObject({ type: z.literal('unit'), table: name, about }),
]);

/** The parameters of a template, each by its name. */
export const templateParametersSchema: z.ZodType<Readonly<Record<string, TemplateParameter>>> = z
  .record(name, parameter)
  .refine((all) => Object.keys(all).length <= TEMPLATE_PARAMETERS_MAX, 'has too many parameters');

/** A template as a policy pins it. */
export const queryTemplateSchema: z.ZodType<QueryTemplate> = z.strictObject({
  name,
  sql: z
    .string()
    .min(1)
    .max(TEMPLATE_SQL_CHARS_MAX)
    .refine((text) => !/\p{Surrogate}/u.test(text), 'holds a lone surrogate'),
  parameters: templateParametersSchema,
});

export const queriesSchema: z.ZodType<QueriesPolicy> = z.strictObject({
  mode: z.enum(['any', 'templates', 'approved']),
  templates: z.array(queryTemplateSchema).max(TEMPLATES_MAX).default([]),
});
