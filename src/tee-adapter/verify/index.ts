/** Appraisal of attestation evidence: pure, offline, with an injected clock. */
export { PINNED_ANCHORS } from './anchors.ts';
export type { TrustAnchors } from './anchors.ts';
export { appraise } from './appraise.ts';
export type { Appraisal } from './appraise.ts';
export type { AttestationResult, Ear, TrustVector } from './result.ts';
export type { Evidence, EvidenceOf, IntelCollateral, SnpEndorsements } from './types.ts';
