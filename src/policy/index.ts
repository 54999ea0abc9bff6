/** The policy packet: schema, canonical bytes, digests, keys and signatures. */
export { canonicalJson, digestOf, domainSeparated } from './canonical.ts';
export { parseJsonStrict } from './json.ts';
export type { JsonLimits } from './json.ts';
export {
  generateAnalystKeys,
  generatePartyKeys,
  loadAnalystKeys,
  loadPartyKeys,
  saveKeys,
} from './keyfiles.ts';
export type { AnalystKeys, PartyKeys } from './keyfiles.ts';
export { formatPublicKey, generateKeyPair, keyPairOf, parsePublicKey } from './keys.ts';
export type { KeyKind, KeyPair } from './keys.ts';
export { parsePolicyText } from './document.ts';
export { queryTemplateSchema, templateParametersSchema } from './queries.ts';
export { policyDigest, signPolicy, verifyPacket } from './packet.ts';
export {
  completeDraft,
  formatPacket,
  packetOf,
  parsePacket,
  parsePolicy,
  parsePolicyDraft,
  policyOf,
} from './policy.ts';
export type { DraftFill } from './policy.ts';
export type { AnalystDraft, PartyDraft, PolicyDraft } from './schema.ts';
export { signBytes, signDocument, verifyBytes, verifyDocument } from './signing.ts';
export { INTEL_STATUSES, SNP_PRODUCTS, teeSchema } from './tee.ts';
export type {
  AzureSnpReference,
  IntelStatus,
  NitroReference,
  SgxReference,
  SimulatedReference,
  SnpProduct,
  SnpReference,
  SnpTcb,
  TdxMeasurement,
  TdxReference,
  TeePolicy,
  TeeReference,
  TeeType,
} from './tee.ts';
export { boundPath, chargesOfSide, datasetOfTable, datasetTerms, FIRST_EPOCH } from './datasets.ts';
export type { DatasetEpoch, DatasetTerms } from './datasets.ts';
