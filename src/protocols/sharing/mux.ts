import { expect } from '../../core/errors.ts';
import { addRing, flipLanes, splitLanes, type Lane } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import { LANES_MAX } from './limits.ts';
import { multiplyAmongMany } from './mux-many.ts';
import { otWith } from './types.ts';
import type { RingVector, Sharing, Wire } from './types.ts';

// A shared bit times values, from XOR to additive shares, by correlated OT.

/** A factor of a shared bit. */
export type MuxTerm =
  /** The constant 1: the product is the bit itself. */
  | { readonly kind: 'one' }
  /** A value one party knows; null at the others. */
  | { readonly kind: 'owned'; readonly owner: number; readonly values: RingVector | null }
  /** An additively shared value; this party's share. Public: who may hold one that is not zero. */
  | { readonly kind: 'shared'; readonly share: RingVector; readonly holders?: readonly number[] };

/** The part of each term that one end puts in as the sender of its direction. */
interface Route {
  readonly term: number;
  /** Null at the end that receives. */
  readonly lane: Lane | null;
}

/**
 * Additive shares of bit · term for every term.
 *
 * With x = x0 ⊕ x1, v known to end p and q = 1 − p: x·v = x_p·v + x_q·(1 − 2·x_p)·v, so end p sends
 * one correlated OT with correction (1 − 2·x_p)·v and end q chooses with its bit share (Asharov,
 * Lindell, Schneider, Zohner, CCS 2013; ABY, NDSS 2015). A shared value is the sum of two owned
 * ones. All lanes of one direction ride on one vector OT per row; both directions
 * run at once. Semi-honest; nobody learns anything. Cost: at most `rows` COTs per direction, 8
 * bytes per lane each, beside the extension's own. More than two parties: {@link multiplyAmongMany}.
 *
 * @param bit - XOR shares. @returns one vector per term, in order.
 * @throws ParleyError what the OT throws.
 */
export async function multiplyBit(
  ctx: Sharing,
  bit: Wire,
  rows: number,
  terms: readonly MuxTerm[],
): Promise<RingVector[]> {
  expect(bit.length === bitBytes(rows), 'a wire is bitBytes(rows) long');
  if (rows === 0) return terms.map(() => new Uint8Array(0));
  if (terms.length > LANES_MAX) {
    const first = await multiplyBit(ctx, bit, rows, terms.slice(0, LANES_MAX));
    return [...first, ...(await multiplyBit(ctx, bit, rows, terms.slice(LANES_MAX)))];
  }
  if (ctx.parties > 2) return multiplyAmongMany(ctx, bit, rows, terms);
  const routes = routeTerms(ctx, terms);
  const outgoing = routes[ctx.party === 0 ? 0 : 1];
  const incoming = routes[ctx.party === 0 ? 1 : 0];
  const [sent, received] = await Promise.all([
    sendProducts(ctx, bit, rows, outgoing),
    receiveProducts(ctx, bit, rows, incoming),
  ]);
  return terms.map((_, term) => {
    const parts = [...outgoing.keys()]
      .filter((i) => outgoing[i]!.term === term)
      .map((i) => sent[i]!);
    incoming.forEach((route, i) => {
      if (route.term === term) parts.push(received[i]!);
    });
    return parts.reduce(addRing);
  });
}

/**
 * Additive shares of a shared bit (B2A): x = x0 + x1 − 2·x0·x1, one COT of one lane per row, party 0
 * sends; among n parties n·(n − 1)/2 COTs. Cost and model of {@link multiplyBit}.
 */
export async function bitToRing(ctx: Sharing, bit: Wire, rows: number): Promise<RingVector> {
  const [ring] = await multiplyBit(ctx, bit, rows, [{ kind: 'one' }]);
  return ring!;
}

/** Which terms ride in which direction; depends on the kinds of the terms only. */
function routeTerms(ctx: Sharing, terms: readonly MuxTerm[]): readonly [Route[], Route[]] {
  const routes: [Route[], Route[]] = [[], []];
  terms.forEach((term, i) => {
    if (term.kind === 'shared') {
      for (const from of [0, 1] as const) {
        routes[from].push({ term: i, lane: from === ctx.party ? term.share : null });
      }
    } else if (term.kind === 'owned') {
      const own = term.owner === ctx.party;
      expect(own === (term.values !== null), 'the owner alone holds an owned term');
      routes[term.owner === 0 ? 0 : 1].push({ term: i, lane: term.values });
    }
  });
  // Both ends know the constant 1: it rides where there are OTs already.
  const from = routes[0].length === 0 && routes[1].length > 0 ? 1 : 0;
  terms.forEach((term, i) => {
    if (term.kind === 'one')
      routes[from].push({ term: i, lane: from === ctx.party ? 'one' : null });
  });
  return routes;
}

async function sendProducts(
  ctx: Sharing,
  bit: Wire,
  rows: number,
  routes: readonly Route[],
): Promise<RingVector[]> {
  if (routes.length === 0) return [];
  const lanes = routes.map(({ lane }) => {
    expect(lane !== null, 'the sender of a direction holds its lanes');
    return lane;
  });
  const delta = flipLanes(lanes, bit, rows);
  const shares = await otWith(ctx, 1 - ctx.party).sender.correlatedRing64(
    delta,
    rows,
    lanes.length,
  );
  return splitLanes(shares, lanes.length, rows, lanes, bit);
}

async function receiveProducts(
  ctx: Sharing,
  bit: Wire,
  rows: number,
  routes: readonly Route[],
): Promise<RingVector[]> {
  if (routes.length === 0) return [];
  const shares = await otWith(ctx, 1 - ctx.party).receiver.correlatedRing64(
    bit,
    rows,
    routes.length,
  );
  return splitLanes(shares, routes.length, rows);
}
