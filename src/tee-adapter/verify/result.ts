import type { ErrorCode } from '../../core/errors.ts';
import type { TeeType } from '../../policy/index.ts';
import type { Claims } from './types.ts';

/**
 * Trust tiers of AR4SI (draft-ietf-rats-ar4si): 0 says nothing, 2–31 affirm, 32–95 warn, 96–127
 * contradict.
 */
export interface TrustVector {
  readonly 'instance-identity': number;
  readonly configuration: number;
  readonly executables: number;
  readonly 'file-system': number;
  readonly hardware: number;
  readonly 'runtime-opaque': number;
  readonly 'storage-opaque': number;
  readonly 'sourced-data': number;
}

/** An attestation result in the shape of EAR (draft-ietf-rats-ear-04), unsigned. */
export interface Ear {
  readonly eat_profile: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly 'ear.verifier-id': { readonly build: string; readonly developer: string };
  readonly submods: Readonly<
    Record<
      string,
      {
        readonly 'ear.status': 'affirming' | 'contraindicated';
        readonly 'ear.trustworthiness-vector': TrustVector;
        readonly 'ear.appraisal-policy-id': string;
        readonly 'ear.veraison.annotated-evidence': Claims;
      }
    >
  >;
}

/**
 * What a relying party acts on. There is no warning that could be read as consent: `accepted` is
 * hardware, `accepted_simulated` is a policy that asked for none, anything else is `rejected`.
 */
export type AttestationResult =
  | {
      readonly decision: 'accepted';
      readonly tee: Exclude<TeeType, 'simulated'>;
      readonly ear: Ear;
    }
  | { readonly decision: 'accepted_simulated'; readonly tee: 'simulated'; readonly ear: Ear }
  | {
      readonly decision: 'rejected';
      readonly tee: TeeType;
      readonly code: ErrorCode;
      readonly reason: string;
      readonly ear: Ear;
    };

const PROFILE = 'tag:github.com,2023:veraison/ear';
const VERIFIER = { build: 'parley-tee-verify/1', developer: 'parley' };

const NOTHING: TrustVector = {
  'instance-identity': 0,
  configuration: 0,
  executables: 0,
  'file-system': 0,
  hardware: 0,
  'runtime-opaque': 0,
  'storage-opaque': 0,
  'sourced-data': 0,
};

/** Recognised instance and hardware, approved executables and configuration, opaque memory. */
const GENUINE: TrustVector = {
  ...NOTHING,
  'instance-identity': 2,
  configuration: 2,
  executables: 3,
  hardware: 2,
  'runtime-opaque': 2,
};
/** Hardware not recognised: there is none. */
const SIMULATED: TrustVector = { ...NOTHING, hardware: 97 };
/** 99: cryptographic validation failed, the claim every refusal shares. */
const REFUSED: TrustVector = { ...NOTHING, 'instance-identity': 99 };

const VECTORS = { accepted: GENUINE, accepted_simulated: SIMULATED, rejected: REFUSED } as const;

/** The EAR of one appraisal. Simulation is never affirmed, not even when it is accepted. */
export function earOf(
  decision: AttestationResult['decision'],
  tee: TeeType,
  policyId: string,
  claims: Claims,
  nowMs: number,
): Ear {
  return {
    eat_profile: PROFILE,
    iat: Math.floor(nowMs / 1000),
    'ear.verifier-id': VERIFIER,
    submods: {
      [tee]: {
        'ear.status': decision === 'accepted' ? 'affirming' : 'contraindicated',
        'ear.trustworthiness-vector': VECTORS[decision],
        'ear.appraisal-policy-id': policyId,
        'ear.veraison.annotated-evidence': claims,
      },
    },
  };
}
