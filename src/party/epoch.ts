import { concat, fromHex, utf8 } from '../core/bytes.ts';
import { asParleyError, expect, ParleyError } from '../core/errors.ts';
import type { OnProgress } from '../core/progress.ts';
import { parsePublicKey } from '../policy/index.ts';
import type { Side } from '../sql/index.ts';
import type { Link, LinkEndpoint } from '../transport/index.ts';
import { openLink } from '../transport/index.ts';
import { pipeTo } from './links.ts';
import type { PartyContext } from './node.ts';
import { epochIdOf } from './run/held.ts';
import { parametersOf } from './run/parameters.ts';
import type { RunSetting } from './run/runner.ts';
import type { VettedQuery } from './vet.ts';

/** LOCAL. Least part of a stage between two progress reports. */
const PROGRESS_STEP = 0.05;

/** Which epoch of which session, and what stops it. */
export interface EpochOf {
  readonly session: string;
  readonly epoch: number;
  readonly signal: AbortSignal;
}

/** One link with every other party, by side; all or none. @throws ParleyError of the links. */
export async function openLinks(
  context: PartyContext,
  query: VettedQuery,
  of: EpochOf,
): Promise<readonly (Link | null)[]> {
  const open = async (side: Side): Promise<Link | null> =>
    side === query.side ? null : openLinkTo(context, query, of, side);
  const settled = await Promise.allSettled(query.plan.sides.map((_, side) => open(side)));
  const failed = settled.find((result) => result.status === 'rejected');
  const links = settled.map((result) => (result.status === 'fulfilled' ? result.value : null));
  if (failed === undefined) return links;
  for (const link of links) link?.abort(asParleyError(failed.reason).code);
  throw failed.reason;
}

function openLinkTo(
  context: PartyContext,
  { side, submission, plan }: VettedQuery,
  { session, epoch, signal }: EpochOf,
  peerSide: Side,
): Promise<Link> {
  const { policy, policyDigest, keys } = context;
  const peer = plan.sides[peerSide]!.party;
  const remote = policy.parties.find((p) => p.name === peer);
  expect(remote !== undefined, 'the plan names parties of the policy');
  const pair = [side, peerSide].sort().join('-');
  const fields = [policy.room, policyDigest, submission.query_id, session, `${epoch}`];
  const endpoint: LinkEndpoint = {
    role: side < peerSide ? 'initiator' : 'responder',
    localStatic: keys.link.privateKey,
    remoteStatic: parsePublicKey('x25519', remote.link_key),
    prologue: concat([utf8(`parley/link/v1\0${fields.join('\0')}`)]),
  };
  return openLink({
    ...endpoint,
    raw: pipeTo(context, submission.query_id, remote, endpoint),
    // Part of every label of a key (MUST 3), so the pair is in it, alike at both ends.
    path: `${submission.query_id}/e${epoch}/${pair}`,
    signal,
    ...(context.trace === undefined ? {} : { trace: context.trace }),
  });
}

/** An epoch as the computing takes it, over links that are open. */
export function settingOf(
  context: PartyContext,
  query: VettedQuery,
  { session, epoch, signal }: EpochOf,
  links: readonly (Link | null)[],
): RunSetting {
  const { plan, side, calibration, planDigest, submission } = query;
  const { query_id } = submission;
  const sessionId = fromHex(session, 32);
  return {
    plan,
    calibration,
    side,
    links,
    parameters: parametersOf(plan, planDigest, session, epoch),
    sessionId,
    epochId: epochIdOf(sessionId, epoch),
    epoch,
    pool: context.pool,
    signal,
    onProgress: reporter(context, query_id, links, signal),
    log: context.log.child({ query_id }),
  };
}

export function bytesSent(links: readonly (Link | null)[]): number {
  return links.reduce((sum, link) => sum + (link?.stats.bytesSent ?? 0), 0);
}

/** Passes on at most one report per stage and step of {@link PROGRESS_STEP}, with bytes sent. */
function reporter(
  { relay }: PartyContext,
  query_id: string,
  links: readonly (Link | null)[],
  signal: AbortSignal,
): OnProgress {
  let stage = '';
  let next = 0;
  const say = (name: string, done: number, total: number): void => {
    relay.sendControl({ type: 'progress', query_id, stage: name, done, total });
  };
  let over = signal.aborted;
  for (const link of links) {
    void link?.closed.then(() => {
      over = true;
    });
  }
  return (event) => {
    // The one place every long computation passes: a run nobody waits for stops here.
    if (over || signal.aborted) throw new ParleyError('CANCELLED', 'the query was cancelled');
    const part = event.total === 0 ? 1 : event.done / event.total;
    if (event.stage === stage && part < next && part < 1) return;
    stage = event.stage;
    next = part + PROGRESS_STEP;
    say(event.stage, event.done, event.total);
    const sent = bytesSent(links);
    if (part >= 1) say('link.bytes', sent, sent);
  };
}
