import { z } from 'zod';
import { publicKey } from './schema-keys.ts';

/** Product lines of AMD EPYC whose endorsement roots are pinned. */
export const SNP_PRODUCTS = ['milan', 'genoa', 'turin'] as const;
export type SnpProduct = (typeof SNP_PRODUCTS)[number];

/** Least security patch levels, each compared on its own. Turin alone has `fmc`. */
export interface SnpTcb {
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
  readonly fmc?: number;
}

/** Statuses of Intel's TCB levels a policy may accept; OutOfDate and Revoked are none of them. */
export const INTEL_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
] as const;
export type IntelStatus = (typeof INTEL_STATUSES)[number];

interface Reference {
  /** Last day on which these values hold, UTC. */
  readonly not_after: string;
}

/** What of an SNP guest is the same whether its report is read directly or through a vTPM. */
interface SnpFields extends Reference {
  /** Launch measurements, 48 bytes of hex each. */
  readonly measurements: readonly string[];
  /** 32 bytes of hex the host gave at launch; zeros unless named. */
  readonly host_data: string;
  /** Product lines allowed, with the least patch level of each. */
  readonly min_tcb: Readonly<Partial<Record<SnpProduct, SnpTcb>>>;
  readonly endorsement_keys: readonly ('vcek' | 'vlek')[];
  /** Cloud providers whose VLEK is accepted, as the certificate names them. */
  readonly vlek_providers: readonly string[];
  /** Whether evidence without AMD's revocation list is refused. */
  readonly revocation_list: 'required' | 'if_given';
  /** Firmware that is loaded but not committed yet may still be rolled back. */
  readonly provisional_firmware: 'refused' | 'accepted';
}

export interface SnpReference extends SnpFields {
  readonly type: 'amd-sev-snp';
}

/** A guest below Azure's paravisor: the report covers the paravisor, its vTPM the rest. */
export interface AzureSnpReference extends SnpFields {
  readonly type: 'azure-sev-snp-vtpm';
  /** PCR index to accepted value, SHA-256 bank. */
  readonly pcrs: Readonly<Record<string, string>>;
}

export interface TdxMeasurement {
  readonly mrtd: string;
  /** Covers memory map and ACPI tables, which the host makes; `any` gives that check away. */
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
  readonly rtmr3: string;
}

export interface TdxReference extends Reference {
  readonly type: 'intel-tdx';
  readonly measurements: readonly TdxMeasurement[];
  readonly mr_config_id: string;
  readonly mr_owner: string;
  readonly mr_owner_config: string;
  readonly tcb_statuses: readonly IntelStatus[];
  readonly advisories_accepted: readonly string[];
  /** Least tcbEvaluationDataNumber of TCB info and QE identity. */
  readonly min_tcb_evaluation: number;
}

export interface SgxReference extends Reference {
  readonly type: 'intel-sgx';
  readonly mrenclaves: readonly string[];
  readonly mrsigner: string;
  readonly isv_prod_id: number;
  readonly min_isv_svn: number;
  readonly tcb_statuses: readonly IntelStatus[];
  readonly advisories_accepted: readonly string[];
  readonly min_tcb_evaluation: number;
}

export interface NitroReference extends Reference {
  readonly type: 'aws-nitro';
  /** PCR index to value: 0, 1 and 2 always, others as wanted. */
  readonly measurements: readonly Readonly<Record<string, string>>[];
  /** Oldest document, by its signed clock. */
  readonly max_age_s: number;
}

/** No hardware at all: a key that anyone holding it can sign any claim with. */
export interface SimulatedReference extends Reference {
  readonly type: 'simulated';
  readonly signing_key: string;
  readonly measurements: readonly string[];
}

export type TeeReference =
  | SnpReference
  | AzureSnpReference
  | TdxReference
  | SgxReference
  | NitroReference
  | SimulatedReference;
export type TeeType = TeeReference['type'];

/** `execution.tee`: the reference values of the enclaves the parties accept. */
export interface TeePolicy {
  readonly references: readonly TeeReference[];
}

const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
const zeros = (bytes: number): string => '0'.repeat(2 * bytes);
/** A measurement of zeros is what debug modes report, so it names nothing. */
const measured = (bytes: number): z.ZodString =>
  hex(bytes).refine((text) => text !== zeros(bytes), 'is the measurement of a debug mode');
const set = <T extends z.ZodType>(item: T): z.ZodArray<T> => z.array(item).min(1).max(64);
const svn = z.int().min(0).max(255);
const notAfter = z.iso.date().refine((text) => text >= '2020', 'must be a day from 2020 on');

const tcb = { bootloader: svn, tee: svn, snp: svn, microcode: svn };
const snpFields = {
  measurements: set(measured(48)),
  host_data: hex(32).default(zeros(32)),
  min_tcb: z
    .strictObject({
      milan: z.strictObject(tcb).exactOptional(),
      genoa: z.strictObject(tcb).exactOptional(),
      turin: z.strictObject({ ...tcb, fmc: svn }).exactOptional(),
    })
    .refine((products) => Object.keys(products).length > 0, 'must name a product'),
  endorsement_keys: z
    .array(z.enum(['vcek', 'vlek']))
    .min(1)
    .max(2),
  vlek_providers: z.array(z.string().min(1).max(128)).max(64).default([]),
  revocation_list: z.enum(['required', 'if_given']),
  provisional_firmware: z.enum(['refused', 'accepted']).default('refused'),
  not_after: notAfter,
};

const intelFields = {
  tcb_statuses: set(z.enum(INTEL_STATUSES)),
  advisories_accepted: z
    .array(z.string().regex(/^INTEL-SA-\d{5}$/))
    .max(256)
    .default([]),
  min_tcb_evaluation: z.int().min(1).max(1_000_000),
  not_after: notAfter,
};

/** Keys are PCR indices without leading zeros, below `count`. */
const pcrMap = (value: z.ZodString, count: number): z.ZodRecord<z.ZodString, z.ZodString> =>
  z.record(
    z
      .string()
      .regex(/^(0|[1-9]\d?)$/)
      .refine((index) => Number(index) < count, 'is not a PCR'),
    value,
  );
const nitroPcrs = pcrMap(measured(48), 32).refine(
  (pcrs) => ['0', '1', '2'].every((index) => Object.hasOwn(pcrs, index)),
  'must name PCR 0, 1 and 2',
);

const reference: z.ZodType<TeeReference> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('amd-sev-snp'), ...snpFields }),
  z.strictObject({
    type: z.literal('azure-sev-snp-vtpm'),
    ...snpFields,
    pcrs: pcrMap(hex(32), 24).refine((pcrs) => Object.keys(pcrs).length > 0, 'must name a PCR'),
  }),
  z.strictObject({
    type: z.literal('intel-tdx'),
    measurements: set(
      z.strictObject({
        mrtd: measured(48),
        rtmr0: z.union([z.literal('any'), hex(48)]),
        rtmr1: measured(48),
        rtmr2: measured(48),
        rtmr3: hex(48).default(zeros(48)),
      }),
    ),
    mr_config_id: hex(48).default(zeros(48)),
    mr_owner: hex(48).default(zeros(48)),
    mr_owner_config: hex(48).default(zeros(48)),
    ...intelFields,
  }),
  z.strictObject({
    type: z.literal('intel-sgx'),
    mrenclaves: set(measured(32)),
    mrsigner: measured(32),
    isv_prod_id: z.int().min(0).max(0xffff),
    min_isv_svn: z.int().min(0).max(0xffff),
    ...intelFields,
  }),
  z.strictObject({
    type: z.literal('aws-nitro'),
    measurements: set(nitroPcrs),
    max_age_s: z.int().min(1).max(10_800),
    not_after: notAfter,
  }),
  z.strictObject({
    type: z.literal('simulated'),
    signing_key: publicKey('ed25519'),
    measurements: set(measured(32)),
    not_after: notAfter,
  }),
]);

/** Strict: an unknown field, an empty list or a missing value is refused. */
export const teeSchema: z.ZodType<TeePolicy> = z.strictObject({
  references: z
    .array(reference)
    .min(1)
    .max(8)
    .refine(
      (list) => new Set(list.map(({ type }) => type)).size === list.length,
      'must name a type once',
    ),
});
