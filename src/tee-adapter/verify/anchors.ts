import { parseCertificate, type Certificate } from './certificate.ts';
import {
  ARK_GENOA,
  ARK_MILAN,
  ARK_TURIN,
  ASK_GENOA,
  ASK_MILAN,
  ASK_TURIN,
  ASVK_GENOA,
  ASVK_MILAN,
  ASVK_TURIN,
} from './roots-amd.ts';
import type { SnpProduct } from '../../policy/index.ts';

export interface AmdAnchors {
  /** The self-signed root of the product line. */
  readonly ark: Certificate;
  /** Issuers of VCEKs and of VLEKs, for hosts that hand out the leaf alone. */
  readonly ask: Certificate;
  readonly asvk: Certificate;
}

/** What an appraisal believes without being told by the attester. */
export interface TrustAnchors {
  readonly amd: Readonly<Record<SnpProduct, AmdAnchors>>;
  readonly intel: Certificate;
  readonly aws: Certificate;
}

/**
 * Intel SGX Root CA, root of PCK certificates and of collateral. SHA-256
 * 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3.
 */
const INTEL_SGX_ROOT =
  'MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dY' +
  'IFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwC' +
  'Q0ExCzAJBgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dY' +
  'IFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwC' +
  'Q0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi71OiOSLRFhWGj' +
  'bnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVS' +
  'v1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwu' +
  'Y29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SVUr9QGzknBqwwDgYDVR0PAQH/BAQDAgEG' +
  'MBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94Bg' +
  'wTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI=';

/**
 * aws.nitro-enclaves G1. SHA-256
 * 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b.
 */
const AWS_NITRO_ROOT =
  'MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTELMAkGA1UEBhMCVVMxDzANBgNVBAoM' +
  'BkFtYXpvbjEMMAoGA1UECwwDQVdTMRswGQYDVQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcN' +
  'NDkxMDI4MTQyODA1WjBJMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMQwwCgYDVQQLDANBV1MxGzAZBgNVBAMM' +
  'EmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEGBSuBBAAiA2IABPwCVOumCMHzaHDimtqQvkY4MpJzbolL//Zy' +
  '2YlES1BR5TSksfbb48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZEh8l5YoQwTcU/' +
  '9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkFR+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGG' +
  'MAoGCCqGSM49BAMDA2kAMGYCMQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPWrfMC' +
  'MQCi85sWBbJwKKXdS6BptQFuZbT73o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6NIwLz3/Y=';

function pinned(base64: string): Certificate {
  return parseCertificate(new Uint8Array(Buffer.from(base64, 'base64')));
}

function amd(ark: string, ask: string, asvk: string): AmdAnchors {
  return { ark: pinned(ark), ask: pinned(ask), asvk: pinned(asvk) };
}

/** The vendors' roots. A test compares the fingerprints above the constants with the bytes. */
export const PINNED_ANCHORS: TrustAnchors = {
  amd: {
    milan: amd(ARK_MILAN, ASK_MILAN, ASVK_MILAN),
    genoa: amd(ARK_GENOA, ASK_GENOA, ASVK_GENOA),
    turin: amd(ARK_TURIN, ASK_TURIN, ASVK_TURIN),
  },
  intel: pinned(INTEL_SGX_ROOT),
  aws: pinned(AWS_NITRO_ROOT),
};
