import type { Channel } from '../../core/channel.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import type { Calibration } from '../../dp/index.ts';
import { createEcdhOprf, joinParameters, runPivot, runSender } from '../../protocols/psi/index.ts';
import type { Sharing, Wire } from '../../protocols/sharing/types.ts';
import type { Plan, Side } from '../../sql/plan.ts';
import type { LocalTable, OutputShare } from '../types.ts';
import { groupTotals } from './aggregate.ts';
import { vetAnswer } from './finish.ts';
import { encodePayload, payloadLayout } from './payload.ts';
import type { PairInputs } from './predicate.ts';
import { qualifyingPairs } from './predicate.ts';
import type { Placement, Shape } from './rows.ts';
import { clearPadding, rowsToLanes, rowsToWires, shapeOf } from './rows.ts';

/** What one party hands to a run. */
export interface RunOptions {
  readonly plan: Plan;
  readonly calibration: Calibration;
  /** 0 runs the pivot's half. */
  readonly side: Side;
  readonly table: LocalTable;
  /** The two ends' correlations and gates, from `openSharing`. */
  readonly sharing: Sharing;
  /** A channel of this run's own; every step is below it. */
  readonly channel: Channel;
  /** 32 bytes both ends agree on and never use again; labels every derived key. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
  readonly onProgress: OnProgress;
}

/**
 * Runs one party's half of a plan: join, predicate, aggregation, noise and threshold, all on
 * shares. Learns nothing but its own share of the vetted answer.
 *
 * Model: semi-honest, two parties. Sources: the PROTOCOL.md of each step. Message count, order and
 * lengths depend on the plan alone.
 * @throws ParleyError of the channel and of the protocols (fault `peer` or `transport`).
 */
export async function runPlan(options: RunOptions): Promise<OutputShare> {
  const { plan, channel, side, sharing, onProgress } = options;
  const stage = (name: string, done = 1, total = 1): void => {
    onProgress({ stage: name, done, total });
  };
  const joined = await join(options);
  stage('join');
  const qualifying = await qualifyingPairs(sharing, joined.inputs, joined.match);
  stage('predicate');
  const totals = await groupTotals(sharing, joined.inputs, qualifying, joined.lanes);
  stage('aggregate');
  const share = await vetAnswer(sharing, plan, options.calibration, totals);
  // Both ends are done before either leaves: a closed link must not cut the other's last step.
  const done = channel.sub('done');
  await done.send('done', new Uint8Array([side]));
  await done.recv('done', 1);
  stage('vet');
  return share;
}

interface Joined {
  readonly inputs: PairInputs;
  readonly match: Wire;
  readonly lanes: readonly Uint8Array[];
}

async function join(options: RunOptions): Promise<Joined> {
  const { plan, side, table, sharing, sessionId, rng, onProgress } = options;
  const layout = payloadLayout(plan);
  const params = {
    pivotCapacity: plan.sides[0].capacity,
    senderCapacity: plan.sides[1].capacity,
    xorBytes: layout.xorBytes,
    ringLanes: layout.ringLanes,
  };
  const { bins } = joinParameters(params.pivotCapacity, params.senderCapacity);
  const shape: Shape = shapeOf(bins, [plan.sides[0].slots, plan.sides[1].slots]);
  const context = {
    sharing,
    channel: options.channel.sub('psi'),
    oprf: createEcdhOprf({ session: sessionId, onProgress }),
    sessionId,
    rng,
    onProgress,
  };
  let own: PairInputs['own'] = null;
  let out;
  if (side === 0) {
    const pivot = await runPivot(context, params, { ids: table.ids });
    const place: Placement = { userOfBin: pivot.userOfBin, users: table.users };
    own = { table, place };
    out = pivot;
  } else {
    const payload = encodePayload(plan, layout, table);
    out = await runSender(context, params, {
      ids: table.ids,
      payloadXor: payload.xor,
      payloadRing: payload.ring,
    });
  }
  const payload = rowsToWires(out.xorShare, layout.xorBytes, shape);
  return {
    inputs: { plan, shape, layout, payload, own },
    match: clearPadding(out.match, bins),
    lanes: rowsToLanes(out.ringShare, layout.ringLanes, shape),
  };
}
