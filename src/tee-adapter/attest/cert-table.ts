import { toHex } from '../../core/bytes.ts';
import { readerOf } from '../verify/reader.ts';
import type { SnpEndorsements } from '../verify/index.ts';

/** GUIDs of the GHCB specification, section 4.1.8.1, in the byte order they are written in. */
const GUID = {
  vcek: '63da758de6644564adc5f4b93be8accd',
  vlek: 'a8074bc2a25a483eaae639c045a0b8a1',
  intermediate: '4ab7b379bbac4fe4a02f05aef327c782',
} as const;

const ENTRY_BYTES = 24;
const ENTRIES_MAX = 16;

/**
 * Reads the certificates a host put beside a report: the endorsement key's and its issuer's. The
 * ARK, if there is one, is left where it is; nobody believes a root that the host brings.
 *
 * @returns null when the table has no endorsement key, as on many bare-metal hosts.
 * @throws ParleyError EVIDENCE_MALFORMED.
 */
export function endorsementsIn(table: Uint8Array): SnpEndorsements | null {
  const reader = readerOf(table);
  const found = new Map<string, Uint8Array>();
  for (let i = 0; i < ENTRIES_MAX && (i + 1) * ENTRY_BYTES <= table.length; i++) {
    const at = i * ENTRY_BYTES;
    if (reader.isZero(at, ENTRY_BYTES)) break;
    const guid = toHex(reader.bytes(at, 16));
    found.set(guid, reader.bytes(reader.u32(at + 16), reader.u32(at + 20)));
  }
  const leaf = found.get(GUID.vcek) ?? found.get(GUID.vlek);
  if (leaf === undefined) return null;
  const intermediate = found.get(GUID.intermediate);
  return { leaf, ...(intermediate === undefined ? {} : { intermediate }) };
}
