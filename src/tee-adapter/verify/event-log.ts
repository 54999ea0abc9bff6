import { createHash } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { EVENTS_MAX, EVENT_LOG_BYTES_MAX } from './limits.ts';
import { readerOf, type Reader } from './reader.ts';
import { check, refuse } from './refuse.ts';

/** One measurement of a confidential computing event log. */
export interface LogEvent {
  /** 1 to 4 for RTMR 0 to 3; 0 would be the launch measurement. */
  readonly register: number;
  readonly type: number;
  readonly digest: Uint8Array;
}

const ALGORITHM_SHA384 = 0x0c;
const DIGEST_BYTES = 48;
const EV_NO_ACTION = 3;
const RTMRS = 4;
/** What unused space of the log area reads as. */
const UNUSED = 0xffffffff;

function bad(what: string): never {
  refuse('EVIDENCE_EVENT_LOG', `the event log ${what}`);
}

/** The TCG_EfiSpecIdEvent that opens the log; says which digests follow. */
function headerEnd(log: Reader): { at: number; sizes: Map<number, number> } {
  const size = log.u32(28);
  const signature = Buffer.from(log.bytes(32, 16)).toString('latin1');
  if (log.u32(4) !== EV_NO_ACTION || signature !== 'Spec ID Event03\0') bad('has another header');
  const count = log.u32(56);
  if (count === 0 || count > 8) bad('has another header');
  const sizes = new Map<number, number>();
  for (let i = 0; i < count; i++) sizes.set(log.u16(60 + 4 * i), log.u16(62 + 4 * i));
  if (sizes.get(ALGORITHM_SHA384) !== DIGEST_BYTES) bad('has no SHA-384 digests');
  return { at: 32 + size, sizes };
}

/**
 * Decodes a CCEL area: TCG_PCR_EVENT2 records until unused space.
 * Source: TCG PC Client Platform Firmware Profile 1.06 section 10; UEFI 2.10 section 38.
 * @throws ParleyError EVIDENCE_EVENT_LOG.
 */
export function parseEventLog(bytes: Uint8Array): LogEvent[] {
  if (bytes.length > EVENT_LOG_BYTES_MAX) bad('is too long');
  const log = readerOf(bytes, 'EVIDENCE_EVENT_LOG');
  const events: LogEvent[] = [];
  let { at } = headerEnd(log);
  const { sizes } = headerEnd(log);
  while (at < log.length && log.u32(at) !== UNUSED) {
    const register = log.u32(at);
    const type = log.u32(at + 4);
    const count = log.u32(at + 8);
    if (register > RTMRS || count !== sizes.size) bad('has a bad record');
    at += 12;
    let digest: Uint8Array | undefined;
    for (let i = 0; i < count; i++) {
      const algorithm = log.u16(at);
      const length = sizes.get(algorithm) ?? bad('has a digest of an unknown algorithm');
      if (algorithm === ALGORITHM_SHA384) digest = log.bytes(at + 2, length);
      at += 2 + length;
    }
    const size = log.u32(at);
    log.bytes(at + 4, size);
    at += 4 + size;
    events.push({ register, type, digest: digest ?? bad('has a record without a digest') });
    if (events.length > EVENTS_MAX) bad('has too many records');
  }
  if (!bytes.subarray(at).every((byte) => byte === 0xff)) bad('goes on after its end');
  return events;
}

/** RTMR 0 to 3 after every event: `RTMR ← SHA-384(RTMR ‖ digest)`. */
export function replay(events: readonly LogEvent[]): Uint8Array[] {
  const registers = Array.from({ length: RTMRS }, () => new Uint8Array(DIGEST_BYTES));
  for (const { register, type, digest } of events) {
    if (register === 0 || type === EV_NO_ACTION) continue;
    const hash = createHash('sha384')
      .update(registers[register - 1]!)
      .update(digest);
    registers[register - 1] = new Uint8Array(hash.digest());
  }
  return registers;
}

/** @throws ParleyError EVIDENCE_EVENT_LOG unless the log replays to these registers. */
export function expectReplay(log: Uint8Array, rtmrs: readonly Uint8Array[]): void {
  const replayed = replay(parseEventLog(log)).map(toHex);
  const equal = rtmrs.every((rtmr, i) => toHex(rtmr) === replayed[i]);
  check(equal, 'EVIDENCE_EVENT_LOG', 'the event log does not replay to the RTMRs');
}
