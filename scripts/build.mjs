// Builds everything that ships: each kernel's AssemblyScript to WebAssembly, then src/ to dist/.
// A kernel is skipped when its .wasm is newer than its sources. `--kernels` stops after kernels.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const kernels = join(root, 'src/kernels');
const out = join(root, 'dist/kernels');

function run(script, args) {
  const done = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

function newest(dir) {
  const times = readdirSync(dir, { recursive: true }).map((f) => statSync(join(dir, f)).mtimeMs);
  return Math.max(...times);
}

mkdirSync(out, { recursive: true });
const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
for (const name of readdirSync(kernels)) {
  const source = join(kernels, name, 'assembly');
  if (!existsSync(join(source, 'index.ts'))) continue;
  const target = join(out, `${name}.wasm`);
  if (existsSync(target) && statSync(target).mtimeMs > newest(source)) continue;
  run(asc, [
    join('src/kernels', name, 'assembly/index.ts'),
    '--outFile',
    target,
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '-O3',
    '--noAssert',
    '--use',
    'abort=',
  ]);
}
if (!process.argv.includes('--kernels')) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  run(tsc, ['-p', 'tsconfig.build.json']);
}
