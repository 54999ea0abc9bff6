import type { Redacted } from '../../core/redacted.ts';
import { SIMULATION_NOTICE, signSimulated } from '../simulated.ts';
import type { Attester } from './attester.ts';

export interface SimulatedOptions {
  /** What the policy lists as the measurement of this code, 32 bytes of hex; nobody measured it. */
  readonly measurement: string;
  readonly signingKey: Redacted<Uint8Array>;
  /** Told at the start and at every statement that nothing here is protected. */
  readonly shout: (notice: string) => void;
}

/**
 * An attester without hardware, for trying the enclave route out. Its evidence is of a type of its
 * own, which verifiers refuse unless the signed policy names it and this very key.
 */
export function simulatedAttester(options: SimulatedOptions): Attester<'simulated'> {
  options.shout(SIMULATION_NOTICE);
  return {
    tee: 'simulated',
    attest({ reportData }) {
      options.shout(SIMULATION_NOTICE);
      const { measurement, signingKey } = options;
      const statement = signSimulated(measurement, reportData, signingKey);
      return Promise.resolve({ tee: 'simulated', statement });
    },
  };
}
