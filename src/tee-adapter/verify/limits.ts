/** LOCAL. Longest single certificate; AMD's and Amazon's are below 2 KB. */
export const CERTIFICATE_BYTES_MAX = 8 * 1024;
/** LOCAL. Certificates of one chain, leaf and root included; Nitro uses 5. */
export const CHAIN_CERTIFICATES_MAX = 8;
/** LOCAL. Longest revocation list; Intel's longest is 3 KB today. */
export const CRL_BYTES_MAX = 1024 * 1024;
/** LOCAL. Longest TCB info or QE identity. */
export const COLLATERAL_BYTES_MAX = 256 * 1024;
/** LOCAL. Longest quote: 8,000 bytes as clouds pad them, twice. */
export const QUOTE_BYTES_MAX = 16 * 1024;
/** LOCAL. Longest Nitro document: NSM answers are at most 0x3000 bytes. */
export const NITRO_BYTES_MAX = 0x3000;
/** LOCAL. Longest event log, its padding included: the usual ACPI area is 256 KiB. */
export const EVENT_LOG_BYTES_MAX = 512 * 1024;
export const EVENTS_MAX = 4096;
/** LOCAL. Longest HCL blob and TPM quote of an Azure guest. */
export const HCL_BYTES_MAX = 16 * 1024;
export const TPM_QUOTE_BYTES_MAX = 1024;
/** LOCAL. How far an attester's signed clock may run ahead of ours. */
export const CLOCK_SKEW_MS = 60_000;
