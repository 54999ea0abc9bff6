import { digestOf } from '../policy/canonical.ts';
import type { Backend, DatasetCommitment } from './types.ts';

/** What two questions have in common when one answer serves both. */
export interface QueryKeyParts {
  readonly backend: Backend;
  /** Digest of the plan's core: what is computed, drawn and paid for; epsilon allocation included. */
  readonly core: string;
  readonly policyDigest: string;
  /** Of all parties of the plan, as stated in the goes. */
  readonly datasets: Readonly<Record<string, readonly DatasetCommitment[]>>;
  /** The key the answer is sealed to. */
  readonly sealingKey: string;
}

/**
 * The canonical query key (privacy.md section 5): SHA-256 over the plan's core, the policy, every
 * party's data and the analyst's sealing key. Equal keys mean the same question about the same data,
 * whose answer may be given again for nothing: that is post-processing. Another policy, a changed
 * cell in anybody's table, another epsilon or another analyst has another key. So has the other
 * backend: neither answer proves what the other does, and the analyst signed for one of them.
 *
 * @returns 64 hex characters.
 */
export function queryKeyOf(parts: QueryKeyParts): string {
  const { backend, core, policyDigest, datasets, sealingKey } = parts;
  return digestOf('parley/query-key/v1', {
    core,
    policy_digest: policyDigest,
    datasets,
    sealing_key: sealingKey,
    ...backendMark(backend),
  });
}

/** Shares came first and have no mark: their keys stay what they were. */
export function backendMark(backend: Backend): { readonly backend?: 'tee' } {
  return backend === 'tee' ? { backend } : {};
}
