// Goal: never more queries at work than a party takes, whatever comes or ends while a turn is handed
// on; first come, first served within an analyst, and no analyst waits for all of another's.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StartLine } from '../../src/coordinator/line.ts';
import { newQuery, type Query } from '../../src/coordinator/query.ts';
import { submission } from './room.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ask = (analyst = 'ana'): Query => newQuery(submission({ analyst }), '00'.repeat(32));
const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1);

/** A line of one query at work unless told. */
function lineOf(inFlightMax = 10, runningMax = 1) {
  const working = new Set<Query>();
  const started: Query[] = [];
  const failed: Query[] = [];
  const end = (query: Query): void => {
    query.state = 'failed';
    working.delete(query);
    line.leave(query);
  };
  const limits = {
    queriesRunningMax: runningMax,
    queriesInFlightMax: inFlightMax,
    queueTimeoutMs: 1_000,
  };
  const line = new StartLine({
    limits,
    start: (query) => {
      started.push(query);
      working.add(query);
    },
    fail: (query) => {
      failed.push(query);
      end(query);
    },
  });
  return { line, working, started, failed, end };
}

it('lets queries work one after the other, in order', async () => {
  const { line, started, end } = lineOf();
  const all = [ask(), ask(), ask()];
  for (const query of all) line.enter(query);
  for (const [i, query] of all.entries()) {
    await turn();
    expect(started).toEqual(all.slice(0, i + 1));
    end(query);
  }
});

it('gives a turn that is being handed on to nobody else', async () => {
  const { line, working, started, end } = lineOf();
  const [first, second, third] = [ask(), ask(), ask()];
  line.enter(first);
  line.enter(second);
  end(first);
  // Before the second has begun.
  line.enter(third);
  await turn();
  expect([...working]).toEqual([second]);
  end(second);
  await turn();
  expect(started).toEqual([first, second, third]);
});

it('hands a turn on when whoever has it ends before it begins', async () => {
  const { line, started, end } = lineOf();
  const [first, second, third] = [ask(), ask(), ask()];
  for (const query of [first, second, third]) line.enter(query);
  end(first);
  end(second);
  await turn();
  expect(started).toEqual([first, third]);
});

it('lets nobody wait longer than allowed, and no more than so many', async () => {
  const { line, failed } = lineOf(2);
  const [first, second] = [ask(), ask()];
  line.enter(first);
  line.enter(second);
  expect(() => line.expectRoom([first, second], 'ana')).toThrow(
    expect.objectContaining({ code: 'TOO_MANY_QUERIES' }),
  );
  await vi.advanceTimersByTimeAsync(1_000);
  expect(failed).toEqual([second]);
  line.expectRoom([first, second], 'ana');
});

it('lets an analyst that floods the room hold up its own queries only', async () => {
  const { line, started, end } = lineOf(4, 2);
  const flood = [ask(), ask(), ask(), ask()];
  for (const query of flood) line.enter(query);
  const other = [ask('bob'), ask('bob')];
  line.expectRoom(flood, 'bob');
  line.enter(other[0]!);
  expect(() => line.expectRoom([...flood, other[0]!], 'bob')).toThrow(
    expect.objectContaining({ code: 'TOO_MANY_QUERIES' }),
  );
  line.enter(other[1]!);
  // Bob has none at work and is next; then whoever has fewer.
  for (const query of [flood[0]!, flood[1]!, other[0]!]) {
    end(query);
    await turn();
  }
  expect(started).toEqual([flood[0], flood[1], other[0], flood[2], other[1]]);
});
