import { systemRng } from '../../src/core/rng.ts';
import type { Rng } from '../../src/core/rng.ts';
import { calibrate } from '../../src/dp/index.ts';
import type { Calibration } from '../../src/dp/index.ts';
import { openSharing, runPlan } from '../../src/engine/mpc/index.ts';
import type { LocalTable, OutputShare } from '../../src/engine/types.ts';
import type { Sharing } from '../../src/protocols/sharing/types.ts';
import type { Plan } from '../../src/sql/index.ts';
import type { MemoryLink } from './memory-channel.ts';
import { memoryLink, runBoth } from './memory-channel.ts';

/** Two engines in one process over an in-memory link: real protocols, base OTs done once. */
export interface EnginePair {
  readonly link: MemoryLink;
  readonly sharing: readonly [Sharing, Sharing];
  run(
    plan: Plan,
    tables: readonly [LocalTable, LocalTable],
  ): Promise<readonly [OutputShare, OutputShare]>;
}

let sessions = 0;

export async function enginePair(
  rngs: readonly [Rng, Rng] = [systemRng, systemRng],
  link: MemoryLink = memoryLink(undefined, 'test', false),
): Promise<EnginePair> {
  const sessionId = systemRng(32);
  const open = (side: 0 | 1): Promise<Sharing> =>
    openSharing({ side, channel: link.ends[side].sub('session'), sessionId, rng: rngs[side] });
  const sharing = await runBoth(
    link,
    () => open(0),
    () => open(1),
  );
  return {
    link,
    sharing,
    async run(plan, tables) {
      const calibration = calibrationOf(plan);
      const name = `run${sessions++}`;
      const half = (side: 0 | 1): Promise<OutputShare> =>
        runPlan({
          plan,
          calibration,
          side,
          table: tables[side],
          sharing: sharing[side],
          channel: link.ends[side].sub(name),
          sessionId,
          rng: rngs[side],
          onProgress: () => undefined,
        });
      return runBoth(
        link,
        () => half(0),
        () => half(1),
      );
    },
  };
}

export function calibrationOf(plan: Plan): Calibration {
  return calibrate({ ...plan.privacy, measures: plan.measures });
}

/** XOR of both shares: what the analyst's client sees. */
export function combine(shares: readonly [OutputShare, OutputShare]): OutputShare {
  const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ b[i]!);
  return {
    open: xor(shares[0].open, shares[1].open),
    cells: xor(shares[0].cells, shares[1].cells),
  };
}
