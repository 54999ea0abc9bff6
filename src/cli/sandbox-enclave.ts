import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../core/bytes.ts';
import { systemRng } from '../core/rng.ts';
import type { PolicyDraft } from '../policy/index.ts';
import { makeSimulatorKey } from './keygen.ts';
import type { RoleProcess } from './processes.ts';
import { startRole } from './processes.ts';

/** LOCAL. A sandbox is thrown away long before. */
const DAYS_VALID = 2;

/** An enclave host of a sandbox, without hardware. */
export interface SandboxEnclave {
  /** The draft with the backend and with this host's key as its one simulated reference. */
  readonly draft: PolicyDraft;
  /** For `parley coordinator --enclave`. */
  readonly socket: string;
  start(state: string, signal: AbortSignal): Promise<RoleProcess>;
  remove(): void;
}

/**
 * Adds a simulated enclave to a draft that the sandbox itself completes, signs and throws away. The
 * draft on disk stays as it is: nobody who copies it takes over a reference without hardware.
 */
export function addSimulatedEnclave(draft: PolicyDraft): SandboxEnclave {
  // Not below the state: a socket's path has room for about 100 characters.
  const folder = mkdtempSync(join(tmpdir(), 'parley-host-'));
  const [socket, keyFile] = [join(folder, 'host.sock'), join(folder, 'simulator.key')];
  const measurement = toHex(systemRng(32));
  const { execution } = draft;
  const reference = {
    type: 'simulated',
    signing_key: makeSimulatorKey(keyFile),
    measurements: [measurement],
    not_after: new Date(Date.now() + DAYS_VALID * 86_400_000).toISOString().slice(0, 10),
  } as const;
  const others = execution.tee?.references.filter(({ type }) => type !== 'simulated') ?? [];
  const backends = [...new Set([...execution.backends, 'tee'] as const)];
  const tee = { references: [...others, reference] };
  return {
    draft: { ...draft, execution: { ...execution, backends, tee } },
    socket,
    start: (state, signal) =>
      startRole(
        'enclave host',
        [
          ...['enclave', '--socket', socket, '--attester', 'simulated'],
          ...['--key', keyFile, '--measurement', measurement],
        ],
        join(state, 'enclave.log'),
        signal,
      ),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
