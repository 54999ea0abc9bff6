// Goal: the preload counts what a process changes on disk, kills it where it is told, and knows what a
// power cut would undo; at chosen steps of a query no crash breaks what must hold; and a check that is
// told of a missing fsync sees it. All steps: `npm run test:kill -- --steps`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mode, Point } from './steps/cases.ts';
import { cutPower, type Disk } from './steps/power-cut.ts';
import { SCENARIOS } from './steps/scenarios.ts';
import { sweep, type Swept } from './steps/sweep.ts';
import { nameOf, readTrace, type Arm, type TraceStep } from './steps/victim.ts';

const PRELOAD = fileURLToPath(new URL('./steps/preload.mjs', import.meta.url));

/** Syncs some of what it writes, in the main thread and in a worker, by both kinds of calls. */
const SCRIPT = `
import * as fs from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
const root = process.argv[1];
const at = (name) => root + '/' + name;
const sync = (path) => { const fd = fs.openSync(path); fs.fsyncSync(fd); fs.closeSync(fd); };
fs.writeFileSync(at('kept'), 'old');
sync(at('kept'));
sync(root);
fs.appendFileSync(at('kept'), 'new.');
fs.writeFileSync(at('fresh.tmp'), 'unsynced');
fs.renameSync(at('fresh.tmp'), at('renamed'));
fs.mkdirSync(at('folder/inner'), { recursive: true });
const file = await open(at('folder/file'), 'w');
await file.writeFile('in a folder');
await file.sync();
await file.close();
const code =
  "import('node:fs').then((fs) => fs.writeFileSync(" + JSON.stringify(at('worker')) + ", 'thread'))";
await new Promise((done) => new Worker(code, { eval: true }).once('exit', done));
await rm(at('folder'), { recursive: true });
`;

const STEPS = [
  ...['create kept', 'write kept', 'fsync kept', 'fsync .', 'write kept', 'create fresh.tmp'],
  ...['write fresh.tmp', 'rename renamed', 'mkdir folder', 'mkdir folder/inner'],
  ...['create folder/file', 'write folder/file', 'fsync folder/file', 'create worker'],
  ...['write worker', 'unlink folder/file', 'rmdir folder/inner', 'rmdir folder'],
];

describe('a process with the preload', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'parley-preload-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  let runs = 0;
  function run(arm: Arm): { disk: Disk; steps: readonly TraceStep[]; signal: string | null } {
    const home = join(dir, `${(runs += 1)}`);
    const disk = { root: join(home, 'disk'), shadow: join(home, 'shadow') };
    mkdirSync(disk.root, { recursive: true });
    const trace = join(home, 'trace');
    const env = { ...process.env, PARLEY_STEPS: JSON.stringify({ ...disk, trace, arm }) };
    const args = ['--import', PRELOAD, '--input-type=module', '-e', SCRIPT, disk.root];
    const { signal, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    expect(stderr).toBe('');
    return { disk, steps: readTrace({ trace }), signal };
  }

  /** Every file with its content; folders end in a slash. */
  const contentOf = (root: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(root, { recursive: true, withFileTypes: true }).map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const name = path.slice(root.length + 1);
        return entry.isDirectory() ? [`${name}/`, ''] : [name, readFileSync(path, 'utf8')];
      }),
    );

  it('counts every change in order, of every thread, and dies at none of them', () => {
    const { disk, steps, signal } = run({ step: 0, mode: 'after' });
    expect(signal).toBeNull();
    expect(steps.map(nameOf)).toEqual(STEPS);
    expect(contentOf(disk.root)).toEqual({
      kept: 'oldnew.',
      renamed: 'unsynced',
      worker: 'thread',
    });
  });

  it('dies before, after or in the middle of a step, also in a worker', () => {
    const kept = (mode: Arm['mode']): unknown => {
      const { disk, steps, signal } = run({ step: 5, mode });
      expect([steps.length, signal]).toEqual([5, 'SIGKILL']);
      return contentOf(disk.root);
    };
    expect(kept('before')).toEqual({ kept: 'old' });
    expect(kept('torn')).toEqual({ kept: 'oldne' });
    expect(kept('after')).toEqual({ kept: 'oldnew.' });
    const { disk, signal } = run({ step: 15, mode: 'torn' });
    expect(signal).toBe('SIGKILL');
    expect(contentOf(disk.root)).toMatchObject({ worker: 'thr' });
  });

  it('loses in a power cut what was not synced, and nothing else', () => {
    const { disk } = run({ step: 16, mode: 'after' });
    cutPower(disk, 'lost');
    expect(contentOf(disk.root)).toEqual({ kept: 'old' });

    const hollow = run({ step: 15, mode: 'after' });
    cutPower(hollow.disk, 'hollow');
    expect(contentOf(hollow.disk.root)).toEqual({
      kept: 'old',
      renamed: '',
      worker: '',
      'folder/': '',
      'folder/inner/': '',
      'folder/file': 'in a folder',
    });
  });
});

type Chosen = readonly (readonly [mode: Mode, step: string])[];

/** The first step of each name; `rest` is after everything. */
const choose =
  (chosen: Chosen) =>
  (steps: readonly TraceStep[]): readonly Point[] =>
    chosen.map(([mode, name]) => {
      const found = steps.find((step) => nameOf(step) === name);
      if (found === undefined && name !== 'rest') throw new Error(`no step ${name}`);
      return { step: found?.number ?? 0, mode };
    });

const sweptAt = (
  name: string,
  chosen: Chosen,
  options: { readonly first?: boolean; readonly deaf?: string } = {},
): Promise<Swept> =>
  sweep(
    SCENARIOS.find((scenario) => scenario.name === name)!,
    {
      choose: choose(chosen),
      onCase: () => undefined,
      ...options,
    },
  );

/** A few process starts each; on a busy machine they take their time. */
const TIMEOUT_MS = 240_000;

const told = ({ results }: Swept) =>
  results.map(({ mode, at, violations }) => [mode, at, violations]);

it.concurrent(
  'a party keeps what must hold through crashes at chosen steps',
  async () => {
    const chosen: Chosen = [
      // Whatever was not synced when the node started, the ledger's own name before all.
      ['lost', 'rest'],
      ['torn', 'write state/ledger/ledger.jsonl'],
      // Half removed: it must not look like a run that may be resumed.
      ['after', 'unlink state/runs/*/finish'],
    ];
    const swept = await sweptAt('query', chosen);
    expect(told(swept)).toEqual(chosen.map(([mode, at]) => [mode, at, []]));
  },
  TIMEOUT_MS,
);

it.concurrent(
  'a coordinator keeps what must hold through crashes at chosen steps',
  async () => {
    const chosen: Chosen = [
      ['hollow', 'rest'],
      ['torn', 'write state/audit.jsonl'],
    ];
    expect(told(await sweptAt('coordinator', chosen, { first: true }))).toEqual(
      chosen.map(([mode, at]) => [mode, at, []]),
    );
  },
  TIMEOUT_MS,
);

it.concurrent(
  'control: a ledger that is not synced is seen',
  async () => {
    const { results } = await sweptAt('query', [['lost', 'rest']], {
      first: true,
      deaf: 'ledger.jsonl',
    });
    expect(results[0]!.violations).toEqual(
      expect.arrayContaining([expect.stringMatching(/^shopgood's ledger does not verify/)]),
    );
  },
  TIMEOUT_MS,
);
