import { NOISE_MESSAGE_BYTES_MAX, TAG_BYTES } from './noise/cipher-state.ts';
import { expect } from '../core/errors.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** AGREEMENT. Largest payload of one relay frame, and so of one datagram of a raw pipe. */
export const PAYLOAD_BYTES_MAX = 256 * KIB;

/** AGREEMENT. Largest control message, bytes of JSON. */
export const CONTROL_BYTES_MAX = MIB;

/** AGREEMENT. Largest ws message either way: a control message is the longest thing we say. */
export const WS_MESSAGE_BYTES_MAX = CONTROL_BYTES_MAX;

/** AGREEMENT. Longest party name and query id in a relay frame. */
export const NAME_BYTES_MAX = 64;

/** AGREEMENT. A payload is whole Noise messages, each behind its length in two bytes. */
export const RECORD_LENGTH_BYTES = 2;

/** AGREEMENT. Noise messages per payload; four fill 256 KiB to the byte. */
export const RECORDS_PER_PAYLOAD = 4;

/** AGREEMENT. Plaintext of one record: 256 KiB / 4 - 2 - 16 = 65,518 bytes. */
export const RECORD_TEXT_BYTES_MAX =
  PAYLOAD_BYTES_MAX / RECORDS_PER_PAYLOAD - RECORD_LENGTH_BYTES - TAG_BYTES;

expect(
  RECORD_TEXT_BYTES_MAX + TAG_BYTES <= NOISE_MESSAGE_BYTES_MAX,
  'a record is one Noise message',
);

/** AGREEMENT. Largest message of a channel. */
export const MESSAGE_BYTES_MAX = 256 * MIB;

/** AGREEMENT. Channels one side may open on a link. */
export const CHANNELS_MAX = 4096;

/** AGREEMENT. Longest path of a channel below the link's root, and longest step. */
export const PATH_CHARS_MAX = 256;
export const STEP_CHARS_MAX = 64;

/**
 * AGREEMENT. What a data frame costs of the window beside its bytes: the memory an unread frame
 * takes at the receiver, so that empty messages are not free.
 */
export const FRAME_COST_BYTES = 256;

/** AGREEMENT. Unread bytes a link's receiver holds. */
export const WINDOW_BYTES = 64 * MIB;

/**
 * AGREEMENT. Smallest window. Credit is given back by eighths, so with everything read less than an
 * eighth is still owed; a record must fit into the other seven, or its sender could wait for ever.
 */
export const WINDOW_BYTES_MIN = MIB;

expect(
  RECORD_TEXT_BYTES_MAX + FRAME_COST_BYTES <= (7 / 8) * WINDOW_BYTES_MIN,
  'a record fits beside the credit that is not yet given back',
);

/**
 * AGREEMENT. Times a run is begun: once, and again after a party or a link was lost. Each epoch has
 * links, base OTs and labels of its own.
 */
export const EPOCHS_MAX = 3;

/** AGREEMENT. Runs a party names on a new connection. */
export const HELD_RUNS_MAX = 16;

/** LOCAL. Bytes given to a socket but not yet written, above which senders wait. */
export const SEND_BUFFER_BYTES_MAX = 8 * MIB;

/** LOCAL. Frames kept for a pipe nobody opened yet, bytes per query; a handshake is 49. */
export const EARLY_BYTES_MAX = MIB;

/** LOCAL. Queries announced by the coordinator whose early frames are kept. */
export const ANNOUNCED_MAX = 64;

/** LOCAL defaults of a link; `windowBytes` must be equal on both sides. */
export interface LinkLimits {
  /** No byte from the peer for this long, while something is awaited: TIMEOUT. */
  readonly idleTimeoutMs: number;
  /** Longest handshake. */
  readonly handshakeTimeoutMs: number;
  /** Longest wait for queued messages when the link is closed. */
  readonly closeTimeoutMs: number;
  readonly windowBytes: number;
}

export const LINK_LIMITS: LinkLimits = {
  idleTimeoutMs: 60_000,
  handshakeTimeoutMs: 30_000,
  closeTimeoutMs: 5_000,
  windowBytes: WINDOW_BYTES,
};

/** AGREEMENT. Longest first payload of a direct pipe, which travels in a header; KK's has 49. */
export const FIRST_PAYLOAD_BYTES_MAX = 256;

/** LOCAL. Longest request for a direct pipe, whatever proxies add to it. */
export const LINK_REQUEST_BYTES_MAX = 8 * KIB;

/** LOCAL defaults of direct pipes between parties. */
export interface DirectLimits {
  /** From a connection to a proof of a peer's key; also the longest single attempt to dial. */
  readonly openTimeoutMs: number;
  /** Connections that have proved nothing; beyond, the oldest is ended. */
  readonly strangersMax: number;
  /** A refused dialer waits this long, doubled up to the maximum. */
  readonly redialMsMin: number;
  readonly redialMsMax: number;
  readonly heartbeatMs: number;
  readonly heartbeatsMissedMax: number;
}

export const DIRECT_LIMITS: DirectLimits = {
  openTimeoutMs: 5_000,
  strangersMax: 64,
  redialMsMin: 20,
  redialMsMax: 500,
  heartbeatMs: 10_000,
  heartbeatsMissedMax: 3,
};

/** LOCAL defaults of a party's connection to the coordinator. */
export interface RelayLimits {
  /** Longest opening handshake of the socket, and again of the hello. */
  readonly handshakeTimeoutMs: number;
  /** Longest time without a first welcome before `connectRelay` gives up. */
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  /** Heartbeats without a sign of life before a connection counts as dead. */
  readonly heartbeatsMissedMax: number;
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
}

export const RELAY_LIMITS: RelayLimits = {
  handshakeTimeoutMs: 10_000,
  connectTimeoutMs: 60_000,
  heartbeatMs: 10_000,
  heartbeatsMissedMax: 3,
  backoffMsMin: 200,
  backoffMsMax: 5_000,
};
