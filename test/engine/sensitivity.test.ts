// Goal: privacy.md section 7, test 8. Whatever rows a person has, taking the person out changes no measure
// by more than the D1 its noise is drawn for, nor more groups than L0; a fault planted in the bounds is
// seen; and the multi-party engine changes by what the plain one does.
import { beforeAll, describe, expect, it } from 'vitest';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import { dice } from '../support/random-room.ts';
import { bare } from '../support/bare.ts';
import type { EngineRoom } from '../support/engine.ts';
import { calibrationOf, combine, engineRoom } from '../support/engine.ts';
import { randomNeighbours } from '../support/neighbours.ts';
import {
  excess,
  fuzz,
  PAIRS_PER_FAULT,
  plantFaults,
  planOf,
  SHAPES,
} from '../statistics/sensitivity.ts';

describe('privacy 8: sensitivity of joined rows, noise off', () => {
  it('privacy 8: 320 neighbours change no measure by more than D1, nor more groups than L0', () => {
    const { wrong, tight } = fuzz(320);
    expect(wrong).toEqual([]);
    // A bound that nothing comes near would prove nothing.
    tight.forEach((count, i) => expect(count, SHAPES[i]!.sql).toBeGreaterThan(0));
  });

  it('privacy 8: more than 100 planted faults are each seen', () => {
    const { planted, missed } = plantFaults(PAIRS_PER_FAULT);
    expect(missed).toEqual([]);
    expect(planted).toBeGreaterThan(100);
  });
});

describe('privacy 8: through the multi-party engine', () => {
  const rooms = new Map<number, EngineRoom>();
  beforeAll(async () => {
    for (const parties of [2, 3]) rooms.set(parties, await engineRoom({ parties }));
  });

  it.each(
    SHAPES.map((shape, i) => [shape.sql.replaceAll(/\s+/g, ' '), i] as const).filter(
      (_, i) => i % 2 === 0,
    ),
  )('privacy 8: %s', async (_, i) => {
    const { policy, plan } = planOf(SHAPES[i]!);
    const exact = bare(plan);
    const room = rooms.get(plan.sides.length)!;
    const { before, after } = randomNeighbours(dice(i + 1), policy, plan);
    const answers = [];
    for (const tables of [before, after]) {
      const totals = aggregatePlain(exact, tables);
      const plain = releasePlain(exact, calibrationOf(exact), totals, () => 0n);
      expect(combine(await room.run(exact, tables))).toEqual(plain);
      answers.push(totals);
    }
    expect(excess(plan, answers[0]!, answers[1]!)).toBeNull();
  });
});
