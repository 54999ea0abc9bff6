import { ParleyError, expect } from '../core/errors.ts';
import type { PartyPolicy, Policy } from '../policy/types.ts';
import type { DirectLinks, LinkEndpoint, RawPipe, Relay } from '../transport/index.ts';
import { listenDirect, provesPeer } from '../transport/index.ts';
import type { PartyOptions } from './node.ts';

/** Where a node takes the links of other parties. */
export interface ListenAddress {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/**
 * Opens the node's own end of direct links; null when the policy sends links through the relay.
 * @throws ParleyError BAD_CONFIG when policy and options differ, or the address cannot be listened
 *   on.
 */
export async function openDirect(
  policy: Policy,
  { party, listen, log }: Pick<PartyOptions, 'party' | 'listen' | 'log'>,
): Promise<DirectLinks | null> {
  const direct = policy.execution.links === 'direct';
  if (direct !== (listen !== undefined)) {
    const message = direct
      ? 'the links of this room are direct, and the node listens nowhere'
      : 'the links of this room go through the coordinator, and the node was told to listen';
    throw new ParleyError('BAD_CONFIG', message, { path: 'execution.links' });
  }
  return listen === undefined ? null : listenDirect({ party, ...listen, log });
}

/**
 * The pipe under one link of one query, as the signed policy chooses. The link on top has the same
 * keys and prologue either way; the initiator is the one that dials.
 */
export function pipeTo(
  at: { readonly policy: Policy; readonly relay: Relay; readonly direct: DirectLinks | null },
  queryId: string,
  peer: PartyPolicy,
  endpoint: LinkEndpoint,
): RawPipe {
  if (at.policy.execution.links === 'relay') return at.relay.pipe(queryId, peer.name);
  expect(at.direct !== null && peer.address !== undefined, 'the policy was checked');
  return endpoint.role === 'initiator'
    ? at.direct.dial(queryId, peer.address)
    : at.direct.accept(queryId, peer.name, (first) => provesPeer(endpoint, first));
}
