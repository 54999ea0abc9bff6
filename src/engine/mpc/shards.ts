import { createHash } from 'node:crypto';
import { utf8 } from '../../core/bytes.ts';
import { dealIds, ID_BYTES, joinParameters, shardCapacity } from '../../protocols/psi/index.ts';
import type { JoinShape } from '../../protocols/psi/index.ts';
import type { Plan, Side } from '../../sql/plan.ts';
import type { LocalTable } from '../types.ts';
import { payloadLayout } from './payload.ts';

/**
 * Users of each side that one shard has room for: public, equal for all shards, and wide enough
 * that a fair deal overflows anywhere with probability below 2^-40 (PROTOCOL.md of psi).
 */
export function shardCapacities(plan: Plan): readonly number[] {
  return plan.sides.map(({ capacity }) => shardCapacity(capacity, plan.join.shards));
}

/** The public shape of the join of the pivot with one sender, in every shard. */
export function shardJoin(plan: Plan, sender: Side): JoinShape {
  const capacities = shardCapacities(plan);
  const { xorBytes, ringLanes } = payloadLayout(plan, sender);
  return joinParameters(capacities[0]!, capacities[sender]!, {
    xorBytes,
    ringLanes,
    shards: plan.join.shards,
  });
}

const DEAL_LABEL = utf8('parley/engine/deal/v1');

/** A party's users dealt into shards. */
export interface DealtTable {
  readonly shards: number;
  /** Users whose shard was full; for this party's eyes only. */
  readonly dropped: number;
  /** A fresh copy of one shard's rows: the caller's own, to be handed to a worker. */
  table(shard: number): LocalTable;
}

/**
 * Deals a party's users into the plan's shards, by a hash of the identifier under the session id,
 * which is fixed after every party has committed to its data. All parties deal alike, so users who
 * match meet. A user whose shard is full is left out, silently: how full shards are is private.
 */
export function dealShards(
  plan: Plan,
  side: Side,
  table: LocalTable,
  sessionId: Uint8Array,
): DealtTable {
  const { shards } = plan.join;
  const seed = createHash('sha256').update(DEAL_LABEL).update(sessionId).digest().subarray(0, 16);
  const capacity = shardCapacities(plan)[side]!;
  const { shardOf, dropped } = dealIds(new Uint8Array(seed), table.ids, shards, capacity);
  const counts = new Int32Array(shards);
  for (const shard of shardOf) if (shard >= 0) counts[shard]! += 1;
  const members = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  shardOf.forEach((shard, user) => {
    if (shard >= 0) members[shard]![counts[shard]!++] = user;
  });
  return { shards, dropped, table: (shard) => takeUsers(table, members[shard]!) };
}

/** A side's table without users: what message shapes may be asked of. */
export function emptyTable(plan: Plan, side: Side): LocalTable {
  const { columns, bits, slots } = plan.sides[side]!;
  const none = new Uint8Array(0);
  return {
    users: 0,
    ids: none,
    slots,
    valid: none,
    values: Object.fromEntries(columns.map((name) => [name, new Float64Array(0)])),
    present: Object.fromEntries(columns.map((name) => [name, none])),
    bits: bits.map(() => none),
  };
}

/** The rows of some users, in the order given. */
function takeUsers(table: LocalTable, members: Int32Array): LocalTable {
  const users = members.length;
  const { slots } = table;
  const take = <T extends Float64Array | Uint8Array>(from: T, to: T): T => {
    for (let s = 0; s < slots; s += 1) {
      for (let u = 0; u < users; u += 1) to[s * users + u] = from[s * table.users + members[u]!]!;
    }
    return to;
  };
  const takeAll = <T extends Float64Array | Uint8Array>(
    columns: Readonly<Record<string, T>>,
    make: () => T,
  ): Record<string, T> =>
    Object.fromEntries(Object.entries(columns).map(([name, from]) => [name, take(from, make())]));
  const ids = new Uint8Array(users * ID_BYTES);
  members.forEach((user, u) => {
    ids.set(table.ids.subarray(user * ID_BYTES, (user + 1) * ID_BYTES), u * ID_BYTES);
  });
  const bytes = (): Uint8Array => new Uint8Array(users * slots);
  return {
    users,
    ids,
    slots,
    valid: take(table.valid, bytes()),
    values: takeAll(table.values, () => new Float64Array(users * slots)),
    present: takeAll(table.present, bytes),
    bits: table.bits.map((from) => take(from, bytes())),
  };
}
