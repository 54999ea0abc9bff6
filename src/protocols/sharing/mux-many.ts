import { expect } from '../../core/errors.ts';
import { addRing, joinLanes, splitLanes, subRing } from '../../kernels/ring64/index.ts';
import type { MuxTerm } from './mux.ts';
import { otWith } from './types.ts';
import type { RingVector, Sharing, Wire } from './types.ts';

/** A product on its way: `value` is what is multiplied, `product` this party's share so far. */
interface Running {
  readonly term: MuxTerm;
  readonly value: RingVector;
  product: RingVector;
  /** Parties whose `value` or `product` may not be zero; public. */
  holders: ReadonlySet<number>;
}

/**
 * Additive shares of bit · term among more than two parties, one party's bit share at a time: with
 * x = x_0 ⊕ … ⊕ x_(n−1) and p_i = (x_0 ⊕ … ⊕ x_i)·v,
 *
 *   p_i = p_(i−1) + x_i·(v − 2·p_(i−1)),
 *
 * a bit party i knows times a value the others share: one correlated OT from each of them (Gilboa,
 * CRYPTO 1999), corrections all lanes at once. Parties that hold nothing yet are skipped, so a
 * constant or an owned value starts at its owner for free. Semi-honest, all but one may collude;
 * nobody learns anything. Cost per row: at most n·(n − 1) COTs of 8 bytes per lane, n rounds.
 */
export async function multiplyAmongMany(
  ctx: Sharing,
  bit: Wire,
  rows: number,
  terms: readonly MuxTerm[],
): Promise<RingVector[]> {
  const running = terms.map((term) => open(ctx, term, rows));
  const starts = [...new Set(running.map(({ term }) => startOf(term)))].sort((a, b) => a - b);
  for (const start of starts) {
    const group = running.filter(({ term }) => startOf(term) === start);
    const others = Array.from({ length: ctx.parties }, (_, i) => i).filter((i) => i !== start);
    for (const chooser of [start, ...others]) await step(ctx, bit, rows, group, chooser);
  }
  return running.map(({ product }) => product);
}

/** Whose bit comes first. */
function startOf(term: MuxTerm): number {
  return term.kind === 'owned' ? term.owner : 0;
}

function open(ctx: Sharing, term: MuxTerm, rows: number): Running {
  const zero = new Uint8Array(8 * rows);
  const everybody = Array.from({ length: ctx.parties }, (_, i) => i);
  if (term.kind === 'shared') {
    return { term, value: term.share, product: zero, holders: new Set(term.holders ?? everybody) };
  }
  const owner = startOf(term);
  if (term.kind === 'owned') {
    expect((ctx.party === owner) === (term.values !== null), 'the owner alone holds an owned term');
    return { term, value: term.values ?? zero, product: zero, holders: new Set([owner]) };
  }
  const value = ctx.party === owner ? ones(rows) : zero;
  return { term, value, product: zero, holders: new Set([owner]) };
}

function ones(rows: number): RingVector {
  const out = new Uint8Array(8 * rows);
  for (let row = 0; row < rows; row++) out[8 * row] = 1;
  return out;
}

/** p + x_i·(v − 2p) for all products of a group, with the bit share of party `chooser`. */
async function step(
  ctx: Sharing,
  bit: Wire,
  rows: number,
  group: readonly Running[],
  chooser: number,
): Promise<void> {
  const factor = ({ value, product }: Running): RingVector =>
    subRing(value, addRing(product, product));
  const heldBy = (party: number): Running[] => group.filter(({ holders }) => holders.has(party));
  if (ctx.party === chooser) {
    const own = heldBy(chooser);
    const zeros = new Uint8Array(8 * rows * own.length);
    const local = splitLanes(zeros, own.length, rows, own.map(factor), bit);
    const received = await Promise.all(
      Array.from({ length: ctx.parties }, async (_, peer) => {
        const lanes = heldBy(peer);
        if (peer === chooser || lanes.length === 0) return [];
        const mixed = await otWith(ctx, peer).receiver.correlatedRing64(bit, rows, lanes.length);
        const split = splitLanes(mixed, lanes.length, rows);
        return lanes.map((running, i) => ({ running, share: split[i]! }));
      }),
    );
    own.forEach((running, i) => (running.product = addRing(running.product, local[i]!)));
    for (const { running, share } of received.flat()) {
      running.product = addRing(running.product, share);
    }
  } else {
    const lanes = heldBy(ctx.party);
    if (lanes.length > 0) {
      const delta = joinLanes(lanes.map(factor), rows);
      const mixed = await otWith(ctx, chooser).sender.correlatedRing64(delta, rows, lanes.length);
      const split = splitLanes(mixed, lanes.length, rows);
      lanes.forEach((running, i) => (running.product = addRing(running.product, split[i]!)));
    }
  }
  for (const running of group) running.holders = new Set([...running.holders, chooser]);
}
