// `npm run bench -- NAME [options]`: builds, then runs bench/NAME.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const names = readdirSync(join(root, 'bench'))
  .filter((f) => f.endsWith('.ts'))
  .map((f) => f.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !existsSync(join(root, 'bench', `${name}.ts`))) {
  process.stderr.write(
    `usage: npm run bench -- NAME [options]\nNAME is one of: ${names.join(', ')}\n`,
  );
  process.exit(64);
}
const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);
const done = spawnSync(
  process.execPath,
  ['--import', 'tsx', join(root, 'bench', `${name}.ts`), ...args],
  { cwd: root, stdio: 'inherit' },
);
process.exit(done.status ?? 1);
