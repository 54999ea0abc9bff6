import { newQueryId } from '../../../src/client/index.ts';
import type { CaseResult, Point } from './cases.ts';
import { allConnected, armOf, ask, nameAt, settled, startAgain } from './cases.ts';
import { checkAfter, leftFiles } from './checks.ts';
import { crashRoom } from './room.ts';
import type { Swept, SweepOptions } from './sweep.ts';
import { readTrace, type TraceStep } from './victim.ts';

const ROOM = { victim: 'shopgood', noise: true } as const;

/** The steps of a party's first start. */
async function countStart(): Promise<readonly TraceStep[]> {
  const room = await crashRoom({ ...ROOM, arm: { step: 0, mode: 'after' } });
  try {
    return readTrace(room.files);
  } finally {
    await room.close();
  }
}

/**
 * A party dies in its first start, is started again and answers. A power cut follows: what the dead
 * process made and did not sync must be as durable by then as what the second one made.
 */
async function runStart(point: Point): Promise<CaseResult> {
  const room = await crashRoom({ ...ROOM, arm: armOf(point) });
  const violations: string[] = [];
  const codes: string[] = [];
  const at = room.victim.isGone() ? nameAt(room, point) : null;
  try {
    for (const mode of [point.mode, 'lost'] as const) {
      if (codes.length > 0) await room.victim.die();
      if (room.victim.isGone()) {
        const { isReady, problems } = await startAgain(room, mode);
        violations.push(...problems);
        if (!isReady) break;
      }
      await allConnected(room);
      const { code } = await ask(room, room.newQuestion(), newQueryId());
      if (code !== 'answered') violations.push(`a question after it ends with ${code}`);
      codes.push(code);
      await settled(room);
    }
    violations.push(...checkAfter(room));
    const [first = '-', next = '-'] = codes;
    return { at, first, next, violations, left: leftFiles(room) };
  } finally {
    await room.close();
  }
}

/** Crashes a party's first start at every point; each in a room of its own. */
export async function sweepStarts({ choose, onCase }: SweepOptions): Promise<Swept> {
  const steps = await countStart();
  const results: (CaseResult & Point)[] = [];
  for (const point of choose(steps)) {
    if (point.step === 0) continue;
    const result = await runStart(point);
    results.push({ ...result, ...point });
    onCase(point, result);
  }
  return { scenario: { name: 'start' }, steps, results };
}
