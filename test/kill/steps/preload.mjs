// Given to a role's process by `node --import`: counts its durable steps and kills it at one of them.
//
// A step is a call that changes what is on disk below one folder: making, writing, cutting, syncing,
// renaming, linking, removing. Calls that do several (writeFile, recursive mkdir and rm) are taken apart.
// Asynchronous calls are done at once, which is one of the orders the real ones may come in. Worker
// threads count with the main thread. Calls that would change the folder and are not wrapped throw.
//
// PARLEY_STEPS in the environment is JSON: `root`, the folder; `shadow`, see unsynced.mjs; `trace`, a
// file that gets a line per counted step; `arm`, or null to wait for it as a message: `step` (0 only counts)
// and `mode`: `before` or `after` the step, or `torn`, half of what it writes; `deaf`, a file name whose
// fsyncs do nothing, for the control. The message `die` kills at once.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { trackUnsynced } from './unsynced.mjs';

const MODES = ['before', 'after', 'torn'];
const [COUNTING, COUNT, TARGET, MODE] = [0, 1, 2, 3];
const KEY = 'parley/steps';

const settings = JSON.parse(process.env.PARLEY_STEPS);
const raw = { ...fs };
const promised = { ...fs.promises };
const root = resolve(settings.root);
const disk = trackUnsynced(raw, root, settings.shadow);
const trace = raw.openSync(settings.trace, 'a', 0o600);
const shared = isMainThread ? new Int32Array(new SharedArrayBuffer(16)) : getEnvironmentData(KEY);
/** Files and folders below the root that are open here, by descriptor. */
const opened = new Map();

function arm({ step, mode }) {
  Atomics.store(shared, TARGET, step);
  Atomics.store(shared, MODE, MODES.indexOf(mode));
  Atomics.store(shared, COUNT, 0);
  Atomics.store(shared, COUNTING, 1);
}

if (isMainThread) {
  setEnvironmentData(KEY, shared);
  if (settings.arm !== null) arm(settings.arm);
  process.on('message', (message) => {
    if (message === 'die') die();
    arm(message);
    process.send('armed');
  });
  process.channel?.unref();
}

function die() {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** @param half - does half of the step; left out when it has no half. */
function step(what, path, act, half = act) {
  if (Atomics.load(shared, COUNTING) === 0) return act();
  const number = Atomics.add(shared, COUNT, 1) + 1;
  raw.writeSync(trace, `${number} ${what} ${relative(root, path) || '.'}\n`);
  if (number !== Atomics.load(shared, TARGET)) return act();
  const mode = MODES[Atomics.load(shared, MODE)];
  if (mode === 'torn') half();
  if (mode === 'after') act();
  return die();
}

const inside = (path) =>
  typeof path === 'string' && (resolve(path) === root || resolve(path).startsWith(`${root}/`));
const isThere = (path) => raw.existsSync(path);

/** What opening a file changes: nothing for most. */
function opening(path, flags, mode) {
  const makes =
    typeof flags === 'string' ? /[wa]/.test(flags) : (flags & fs.constants.O_CREAT) !== 0;
  const cuts =
    typeof flags === 'string' ? flags.startsWith('w') : (flags & fs.constants.O_TRUNC) !== 0;
  const touch = (how) => raw.closeSync(raw.openSync(path, how, mode));
  if (makes && !isThere(path)) {
    step('create', path, () => {
      disk.beforeNames(path);
      touch('wx');
      disk.created(path);
    });
  } else if (cuts && !String(flags).includes('x') && raw.statSync(path).size > 0) {
    step('truncate', path, () => {
      disk.beforeWrite(path);
      touch('w');
    });
  } else return flags;
  return typeof flags === 'string' ? flags.replace('x', '') : flags & ~fs.constants.O_EXCL;
}

function write(fd, bytes, position) {
  const path = opened.get(fd);
  const put = (length) => {
    disk.beforeWrite(path);
    return raw.writeSync(fd, bytes, 0, length, position);
  };
  const half = () => put(Math.floor(bytes.length / 2));
  return step('write', path, () => put(bytes.length), half);
}

const bytesOf = (data, encoding) =>
  typeof data === 'string' ? Buffer.from(data, encoding ?? 'utf8') : data;

/** The arguments of fs.writeSync, which has two forms. */
function written(data, a, b, c) {
  if (typeof data === 'string') return { bytes: bytesOf(data, b), position: a ?? null };
  const {
    offset = 0,
    length,
    position = null,
  } = typeof a === 'object' && a !== null ? a : { offset: a ?? 0, length: b, position: c ?? null };
  return { bytes: data.subarray(offset, offset + (length ?? data.length - offset)), position };
}

function sync(fd) {
  const path = opened.get(fd);
  step('fsync', path, () => {
    raw.fsyncSync(fd);
    if (settings.deaf === undefined || !path.endsWith(settings.deaf)) disk.synced(path);
  });
}

function cut(fd, length = 0) {
  const path = opened.get(fd);
  step('truncate', path, () => {
    disk.beforeWrite(path);
    raw.ftruncateSync(fd, length);
  });
}

const calls = {
  openSync(path, flags = 'r', mode = 0o666) {
    const fd = raw.openSync(path, opening(path, flags, mode), mode);
    opened.set(fd, resolve(path));
    return fd;
  },
  writeFileSync(path, data, options) {
    const { encoding, mode, flag } =
      typeof options === 'string' ? { encoding: options } : { ...options };
    const fd = calls.openSync(path, flag ?? 'w', mode);
    try {
      write(fd, bytesOf(data, encoding), null);
    } finally {
      fs.closeSync(fd);
    }
  },
  appendFileSync(path, data, options) {
    calls.writeFileSync(path, data, { ...options, flag: 'a' });
  },
  mkdirSync(path, options) {
    const { recursive = false, mode } = typeof options === 'object' ? options : { mode: options };
    if (recursive && isThere(path)) return undefined;
    const first =
      recursive && !isThere(dirname(path)) ? calls.mkdirSync(dirname(path), options) : undefined;
    step('mkdir', path, () => {
      disk.beforeNames(path);
      raw.mkdirSync(path, { mode });
      disk.madeFolder(resolve(path));
    });
    return recursive ? (first ?? path) : undefined;
  },
  renameSync(from, to) {
    step('rename', to, () => {
      disk.beforeNames(from);
      disk.beforeNames(to);
      if (isThere(to)) disk.beforeLoss(to);
      raw.renameSync(from, to);
    });
  },
  linkSync(from, to) {
    step('link', to, () => {
      disk.beforeNames(to);
      raw.linkSync(from, to);
    });
  },
  unlinkSync(path) {
    if (!isThere(path)) return raw.unlinkSync(path);
    return step('unlink', path, () => {
      disk.beforeNames(path);
      disk.beforeLoss(path);
      raw.unlinkSync(path);
    });
  },
  rmdirSync(path) {
    step('rmdir', path, () => {
      disk.beforeNames(path);
      raw.rmdirSync(path);
    });
  },
  rmSync(path, { recursive = false, force = false } = {}) {
    if (force && !isThere(path)) return;
    if (!raw.statSync(path).isDirectory()) return calls.unlinkSync(path);
    if (!recursive) return raw.rmSync(path);
    for (const name of raw.readdirSync(path)) calls.rmSync(join(path, name), { recursive });
    calls.rmdirSync(path);
  },
};

const onDescriptor = {
  writeSync(fd, data, a, b, c) {
    const { bytes, position } = written(data, a, b, c);
    return write(fd, bytes, position);
  },
  fsyncSync: sync,
  fdatasyncSync: sync,
  ftruncateSync: cut,
};

/** A file handle whose changes are steps. */
async function openHandle(path, flags = 'r', mode = 0o666) {
  const handle = await promised.open(path, opening(path, flags, mode), mode);
  const { fd } = handle;
  opened.set(fd, resolve(path));
  const close = handle.close.bind(handle);
  const put = async (data, options) => void write(fd, bytesOf(data, options?.encoding), null);
  return Object.assign(handle, {
    writeFile: put,
    appendFile: put,
    write: async (data, ...rest) => ({ bytesWritten: onDescriptor.writeSync(fd, data, ...rest) }),
    sync: async () => sync(fd),
    datasync: async () => sync(fd),
    truncate: async (length) => cut(fd, length),
    writev: unknown('writev'),
    createWriteStream: unknown('createWriteStream'),
    close: () => {
      opened.delete(fd);
      return close();
    },
  });
}

function unknown(name) {
  return () => {
    throw new Error(`the steps of ${name} are not known to the preload`);
  };
}

for (const [name, call] of Object.entries(calls)) {
  fs[name] = (path, ...rest) => (inside(path) ? call(path, ...rest) : raw[name](path, ...rest));
  const async = name.replace('Sync', '');
  if (async === 'open') continue;
  fs.promises[async] = async (path, ...rest) =>
    inside(path) ? call(path, ...rest) : promised[async](path, ...rest);
}
for (const [name, call] of Object.entries(onDescriptor)) {
  fs[name] = (fd, ...rest) => (opened.has(fd) ? call(fd, ...rest) : raw[name](fd, ...rest));
}
fs.closeSync = (fd) => {
  opened.delete(fd);
  raw.closeSync(fd);
};
fs.promises.open = (path, ...rest) =>
  inside(path) ? openHandle(path, ...rest) : promised.open(path, ...rest);

/** What no role uses below its state folder, and would go uncounted. */
const guarded =
  (of, name) =>
  (target, ...rest) => {
    const other = typeof rest[0] === 'string' && inside(rest[0]);
    if (inside(target) || other || opened.has(target)) unknown(name)();
    return of[name](target, ...rest);
  };
const NAMES = ['appendFile', 'copyFile', 'cp', 'link', 'mkdir', 'mkdtemp', 'rename', 'rm', 'rmdir'];
const MORE = ['symlink', 'truncate', 'unlink', 'writeFile', 'open', 'write', 'writev', 'fsync'];
for (const name of [...NAMES, ...MORE, 'fdatasync', 'ftruncate', 'createWriteStream']) {
  fs[name] = guarded(raw, name);
}
for (const name of ['copyFile', 'cp', 'mkdtemp', 'symlink', 'truncate']) {
  fs[`${name}Sync`] = guarded(raw, `${name}Sync`);
  fs.promises[name] = guarded(promised, name);
}
fs.writevSync = guarded(raw, 'writevSync');
syncBuiltinESMExports();
