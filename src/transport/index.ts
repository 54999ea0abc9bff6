/** Authenticated links between parties, and a party's connection to the coordinator. */
export { parseHello, parseReport } from './control.ts';
export type { Greeting, HelloMessage, Order, Report } from './control.ts';
export { listenDirect } from './direct.ts';
export type { DirectLinks, DirectOptions } from './direct.ts';
export { HELLO_VERSION, helloBytes } from './hello.ts';
export type { Hello } from './hello.ts';
export {
  CONTROL_BYTES_MAX,
  EPOCHS_MAX,
  HELD_RUNS_MAX,
  LINK_LIMITS,
  PAYLOAD_BYTES_MAX,
  RELAY_LIMITS,
  SEND_BUFFER_BYTES_MAX,
  WS_MESSAGE_BYTES_MAX,
} from './limits.ts';
export type { DirectLimits, LinkLimits, RelayLimits } from './limits.ts';
export { openLink, provesPeer } from './link.ts';
export type { Link, LinkEndpoint, LinkOptions, LinkStats, TraceEvent } from './link.ts';
export type { RawPipe } from './raw-pipe.ts';
export { decodeRelayFrame, readdressed } from './relay-frame.ts';
export type { RelayFrame } from './relay-frame.ts';
export { CLOSE_REPLACED, connectRelay } from './relay.ts';
export type { Relay, RelayOptions, TransportLog } from './relay.ts';
export { keepHeartbeat, SocketWriter } from './socket.ts';
