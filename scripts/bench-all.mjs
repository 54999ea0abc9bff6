// `npm run bench:all`: the reference list. Each results file in docs/bench is made anew, then plots
// and tables follow. About a quarter of an hour on two idle cores; `npm run bench:all -- ot join` does
// only the files named. Run it on a quiet machine.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const docs = join(root, 'docs/bench');

/** Results file, bench, flags; a file may take several runs. */
const RUNS = [
  ['hash-to-curve', 'hash-to-curve', ''],
  ['okvs', 'okvs', ''],
  ['base-ot', 'base-ot', ''],
  ['ot', 'ot', '--case random --n 2^14,2^16,2^18,2^20,2^22 --k 1,2,4'],
  ['ot', 'ot', '--case random --n 2^14,2^16,2^18,2^20 --k 8 --runs 3'],
  ['ot', 'ot', '--case ring6,ring64 --n 2^20 --k 1,2,4,8 --runs 3'],
  ['and', 'and', '--case and --n 2^14,2^16,2^18,2^20,2^22'],
  ['and', 'and', '--case triples,free-triples'],
  ['and', 'and', '--case and --parties 3,4 --n 2^18 --runs 3'],
  ['row', 'row', ''],
  ['less-than', 'less-than', '--triples ot,batch,free'],
  [
    'less-than-nets',
    'less-than',
    '--triples batch --k 4 --n 2^10,2^12,2^14,2^16 --net lan,wan,mobile --runs 3',
  ],
  ['equality', 'equality', ''],
  ['mux', 'mux', ''],
  ['group-sums', 'group-sums', '--groups 10,30,100,300,1000 --lanes 3'],
  ['planning', 'planning', ''],
  ['import', 'import', '--rows 1000000,5000000'],
  ['noise', 'noise', '--triples ot,free'],
  ['oprf', 'oprf', ''],
  ['join', 'join', ''],
  ['query1', 'query1', '--users 16384 --oprf kkrt --k 2 --runs 3'],
  ['query1', 'query1', '--users 65536 --oprf kkrt --k 2 --runs 3'],
  ['query1', 'query1', '--users 262144 --oprf kkrt --k 2 --runs 1'],
  ['query1', 'query1', '--users 16384 --oprf kkrt --parties 3 --runs 1'],
  ['query1', 'query1', '--users 16384 --oprf kkrt --parties 4 --runs 1'],
  ['query1', 'query1', '--users 16384 --oprf kkrt --campaigns 1000 --runs 1'],
  ['query1', 'query1', '--users 16384 --oprf kkrt --campaigns 10 --categories 8 --runs 1'],
  ['query1-nets', 'query1', '--users 16384 --oprf kkrt --net lan --runs 1'],
  ['query1-nets', 'query1', '--users 16384 --oprf kkrt --net wan --runs 1'],
  ['query1-nets', 'query1', '--users 16384 --oprf kkrt --net mobile --runs 1'],
];

const run = (args) => {
  const done = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
};

const wanted = process.argv.slice(2);
const chosen = RUNS.filter(([file]) => wanted.length === 0 || wanted.includes(file));
mkdirSync(docs, { recursive: true });
run([join(root, 'scripts/build.mjs')]);
for (const file of new Set(chosen.map(([name]) => name))) {
  rmSync(join(docs, `${file}.jsonl`), { force: true });
}
for (const [file, bench, flags] of chosen) {
  const out = ['--out', join(docs, `${file}.jsonl`)];
  const args = flags.split(' ').filter((flag) => flag !== '');
  process.stdout.write(`\n# ${bench} ${flags}\n`);
  run(['--import', 'tsx', join(root, 'bench', `${bench}.ts`), ...args, ...out]);
}
if (
  existsSync(join(root, 'bench/peers/node_modules')) &&
  (wanted.length === 0 || wanted.includes('peers'))
) {
  const out = join(docs, 'peers.jsonl');
  rmSync(out, { force: true });
  process.stdout.write('\n# peers\n');
  run([join(root, 'bench/peers/psi.mjs'), '--out', out]);
}
run(['--import', 'tsx', join(root, 'bench/plot/main.ts')]);
