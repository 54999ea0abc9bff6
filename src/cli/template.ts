import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import { createClient } from '../client/index.ts';
import { loadAnalystKeys } from '../policy/index.ts';
import type { Policy, QueryTemplate, TemplateParameter } from '../policy/types.ts';
import type { Backend } from '../records/index.ts';
import { planQuery } from '../sql/index.ts';
import {
  instantiate,
  named,
  templateLibrary,
  type GivenParameters,
  type LibraryTemplate,
} from '../templates/index.ts';
import { ask, printAnswer } from './ask.ts';
import { draftOf } from './explain.ts';
import { readPacket } from './files.ts';
import { backendOption, coordinatorUrlOf, formatOption, type Format } from './options.ts';
import { EXIT_USAGE, print, tell, withErrors } from './output.ts';
import { openRoom } from './room.ts';
import { clientOf } from './sandbox.ts';
import { abortOnSignal } from './signals.ts';

/** A template of the library, or one that a policy pins and nothing else is said of. */
type Listed = QueryTemplate & Partial<Pick<LibraryTemplate, 'title' | 'description'>>;

/** What a room offers: the templates its policy pins, or the library where it pins none. */
function offered(policy: Policy | null): {
  readonly templates: readonly Listed[];
  readonly pinned: boolean;
} {
  const pins = policy?.rules.queries?.templates ?? [];
  return pins.length > 0
    ? { templates: pins, pinned: true }
    : { templates: templateLibrary(), pinned: false };
}

function collect(text: string, before: GivenParameters): GivenParameters {
  const at = text.indexOf('=');
  const name = text.slice(0, at);
  if (at < 1) throw new InvalidArgumentError('It is NAME=VALUE.');
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...before, [name]: text.slice(at + 1) };
}

/** `parley template list|show|run`: questions that somebody has already worked out. */
export function templateCommand(): Command {
  const command = new Command('template').description(
    'ask the usual questions: attribution, overlap, reach, lift, journeys',
  );
  command
    .command('list')
    .description('the templates there are; with --policy, those the room runs')
    .option('--policy <packet>', 'a signed policy packet')
    .action((flags: { readonly policy?: string }) =>
      withErrors(false, async () => {
        const policy = flags.policy === undefined ? null : readPacket(flags.policy).policy;
        const { templates } = offered(policy);
        const width = Math.max(...templates.map(({ name }) => name.length));
        print(
          templates.map((t) => `${t.name.padEnd(width)}  ${t.title ?? ''}`.trimEnd()).join('\n'),
        );
        return Promise.resolve();
      }),
    );
  command
    .command('show')
    .description('what a template asks, what it takes, and its SQL')
    .argument('<name>')
    .option('--policy <packet>', 'look among those this policy pins')
    .option('--pin', 'print it as rules.queries.templates of a policy takes it')
    .action((name: string, flags: { readonly policy?: string; readonly pin?: boolean }) =>
      withErrors(false, async () => {
        const policy = flags.policy === undefined ? null : readPacket(flags.policy).policy;
        const template = named(offered(policy).templates, name);
        print(flags.pin === true ? pinText(template) : templateText(template));
        return Promise.resolve();
      }),
    );
  return command.addCommand(runCommand());
}

interface RunFlags {
  readonly policy?: string;
  readonly analyst?: string;
  readonly keys?: string;
  readonly coordinator?: string;
  readonly param: GivenParameters;
  readonly epsilon?: string;
  readonly backend?: Backend;
  readonly sql?: boolean;
  readonly format: Format;
  readonly quiet?: boolean;
}

function runCommand(): Command {
  return new Command('run')
    .description(
      'ask a template of a sandbox room (a folder, such as examples/templates) or, with --policy,\n' +
        '--analyst, --keys and --coordinator, of a real one',
    )
    .argument('<name>')
    .argument('[dir]', 'a sandbox room: policy.yaml and data/<party>/<table>.csv')
    .option('--param <name=value>', 'a parameter; may be repeated', collect, {})
    .option('--policy <packet>', 'your copy of the signed policy packet')
    .option('--analyst <name>', 'your name in the policy')
    .option('--keys <file>', 'your key file')
    .option('--coordinator <url>', 'such as http://127.0.0.1:7600', coordinatorUrlOf)
    .option('--epsilon <decimal>', "what to spend; the policy's default otherwise")
    .addOption(backendOption())
    .option('--sql', 'print the SQL with the parameters in it, and ask nobody')
    .addOption(formatOption())
    .option('--quiet', 'no progress')
    .action((name: string, directory: string | undefined, flags: RunFlags, command: Command) => {
      if ((directory === undefined) === (flags.policy === undefined)) {
        command.error('error: run takes a sandbox folder or --policy PACKET', {
          exitCode: EXIT_USAGE,
        });
      }
      return withErrors(flags.format === 'json', () =>
        directory === undefined
          ? runInRoom(name, flags, command)
          : runInSandbox(name, directory, flags),
      );
    });
}

/** The question and how a submission names it. */
function questionOf(
  name: string,
  { param }: RunFlags,
  policy: Policy,
): { readonly sql: string; readonly template?: { name: string; parameters: GivenParameters } } {
  const { templates, pinned } = offered(policy);
  const sql = instantiate(named(templates, name), param, policy);
  return pinned ? { sql, template: { name, parameters: param } } : { sql };
}

async function runInSandbox(name: string, directory: string, flags: RunFlags): Promise<void> {
  const { sql } = questionOf(name, flags, draftOf(directory));
  if (flags.sql === true) {
    print(sql);
    return;
  }
  const quiet = flags.quiet === true || flags.format !== 'table';
  const signal = abortOnSignal();
  const { epsilon, backend } = flags;
  const room = await openRoom({
    directory,
    signal,
    say: quiet ? () => undefined : tell,
    check: (policy, digest) => void planQuery(policy, digest, sql, { epsilon: epsilon ?? null }),
    ...(backend === 'tee' ? { simulatedEnclave: true } : {}),
  });
  try {
    const { sql: text, ...call } = questionOf(name, flags, room.policy);
    const { answer } = await ask(clientOf(room), text, {
      quiet,
      signal,
      ...call,
      ...(backend === undefined ? {} : { backend }),
      ...(epsilon === undefined ? {} : { epsilon }),
    });
    printAnswer(answer, flags.format);
  } finally {
    await room.close();
  }
}

async function runInRoom(name: string, flags: RunFlags, command: Command): Promise<void> {
  const { packet, policy } = readPacket(flags.policy ?? '');
  const { sql, ...call } = questionOf(name, flags, policy);
  if (flags.sql === true) {
    print(sql);
    return;
  }
  const { analyst, keys, coordinator, epsilon, backend } = flags;
  if (analyst === undefined || keys === undefined || coordinator === undefined) {
    command.error('error: a room is asked with --analyst, --keys and --coordinator', {
      exitCode: EXIT_USAGE,
    });
  }
  const client = createClient({ url: coordinator, packet, analyst, keys: loadAnalystKeys(keys) });
  const { answer } = await ask(client, sql, {
    quiet: flags.quiet === true,
    ...call,
    ...(backend === undefined ? {} : { backend }),
    ...(epsilon === undefined ? {} : { epsilon }),
  });
  printAnswer(answer, flags.format);
}

function kindText(parameter: TemplateParameter): string {
  switch (parameter.type) {
    case 'integer':
    case 'decimal':
    case 'date':
      return `${parameter.type}, ${parameter.min} to ${parameter.max}`;
    case 'text':
      return `one of ${parameter.values.join(', ')}`;
    case 'table':
      return parameter.values === undefined ? 'table' : `table: ${parameter.values.join(', ')}`;
    case 'column': {
      const { kinds = [], values = [], table } = parameter;
      const which = values.length > 0 ? `: ${values.join(', ')}` : '';
      return `${kinds.length > 0 ? `${kinds.join(' or ')} ` : ''}column of ${table}${which}`;
    }
    case 'value':
      return `value of ${parameter.column}`;
    case 'unit':
      return `identifier of ${parameter.table}, from the policy`;
  }
}

function templateText(template: Listed): string {
  const lines = [`${template.name}${template.title === undefined ? '' : `: ${template.title}`}`];
  if (template.description !== undefined) lines.push('', template.description.trim());
  const given = Object.entries(template.parameters).filter(([, p]) => p.type !== 'unit');
  if (given.length > 0) lines.push('', 'parameters (--param NAME=VALUE):');
  for (const [name, parameter] of given) {
    const { default: fallback, about } = parameter as { default?: string; about?: string };
    lines.push(
      `  ${name}${fallback === undefined ? ' (required)' : ` = ${fallback}`}` +
        `  ${about === undefined ? '' : `${about}; `}${kindText(parameter)}`,
    );
  }
  return [...lines, '', template.sql].join('\n');
}

/** The template as an entry of a policy in YAML. */
function pinText({ name, sql, parameters }: Listed): string {
  return stringify([{ name, sql, parameters }], { lineWidth: 0 });
}
