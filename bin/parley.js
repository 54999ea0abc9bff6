#!/usr/bin/env node
// The `parley` command. In a checkout that has not been built yet it builds first, once.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist/cli/main.js');
if (!existsSync(main) && existsSync(join(root, 'scripts/build.mjs'))) {
  process.stderr.write('parley: first run in this checkout, building\n');
  const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], {
    stdio: ['ignore', 2, 2],
  });
  if (build.status !== 0) process.exit(build.status ?? 1);
}
await import(main);
