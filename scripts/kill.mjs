// `npm run test:kill -- [--runs 20] [--seed N] [--noise] [--parties] [--shards 16]`: builds, then kills
// processes of a room at random moments. `npm run test:kill -- --steps [...]`: at every durable step
// (test/kill/steps/README.md).
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' });
if (build.status !== 0) process.exit(build.status ?? 1);
const flags = process.argv.slice(2);
const bySteps = flags.includes('--steps');
const script = join(root, 'test/kill', bySteps ? 'steps/main.ts' : 'random-kills.ts');
const rest = flags.filter((flag) => flag !== '--steps');
const args = ['--import', 'tsx', script, ...rest];
const done = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
