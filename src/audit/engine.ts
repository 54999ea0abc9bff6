import { calibrate, releaseRuleOf } from '../dp/index.ts';
import { runPlan, setUpOts, wipeSeeds, type OtSeeds } from '../engine/mpc/index.ts';
import type { LocalTable, OutputShare } from '../engine/types.ts';
import { systemRng } from '../core/rng.ts';
import type { Plan, Side } from '../sql/plan.ts';
import { localLink } from './link.ts';

/** Both parties of a room in one process, with one set of base OTs. */
export interface Engine {
  /** Runs the plan between the two; what opens is what the analyst's client would decode. */
  run(plan: Plan, tables: readonly LocalTable[]): Promise<OutputShare>;
  close(): void;
}

const SESSION_BYTES = 32;
/** LOCAL. SoftSpoken's k, the default of a policy. */
const OT_FIELD_BITS = 4;
const SIDES = [0, 1] as const;

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ b[i]!);
const other = (side: 0 | 1): 0 | 1 => (side === 0 ? 1 : 0);

/**
 * The engine that nodes run, on the very protocols, between two parties that share a process
 * instead of a network: joins, gates, noise and threshold are made as in a real run.
 * @throws ParleyError of the protocols.
 */
export async function openEngine(): Promise<Engine> {
  const link = localLink('audit');
  const sessionId = systemRng(SESSION_BYTES);
  const seeds = await Promise.all(
    SIDES.map((party) =>
      setUpOts({
        channel: link.ends[party].sub('base'),
        party,
        k: OT_FIELD_BITS,
        sessionId,
        rng: systemRng,
      }),
    ),
  );
  /** By side: null at a party's own, as the engine takes them. */
  const around = <T>(side: 0 | 1, value: T): (T | null)[] =>
    SIDES.map((at) => (at === other(side) ? value : null));
  let runs = 0;
  const half = (side: 0 | 1, name: string, plan: Plan, table: LocalTable): Promise<OutputShare> =>
    runPlan({
      plan,
      calibration: calibrate(releaseRuleOf(plan)),
      side: side satisfies Side,
      table,
      seeds: around<OtSeeds>(side, seeds[side]!),
      channels: around(side, link.ends[side].sub(name)),
      sessionId,
      rng: systemRng,
      onProgress: () => undefined,
    });
  return {
    async run(plan, tables) {
      const name = `q${runs++}`;
      const halves = SIDES.map((side) =>
        half(side, name, plan, tables[side]!).catch((error: unknown) => {
          link.close();
          throw error;
        }),
      );
      const [left, right] = await Promise.all(halves);
      return { open: xor(left!.open, right!.open), cells: xor(left!.cells, right!.cells) };
    },
    close() {
      link.close();
      for (const seed of seeds) wipeSeeds(seed);
    },
  };
}
