// Goal: never more queries at work than a party takes, first come, first served, whatever comes or
// ends while a turn is handed on.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StartLine } from '../../src/coordinator/line.ts';
import { newQuery, type Query } from '../../src/coordinator/query.ts';
import { submission } from './room.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ask = (): Query => newQuery(submission(), '00'.repeat(32));
const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1);

/** A line of one query at work. */
function lineOf(inFlightMax = 10) {
  const working = new Set<Query>();
  const started: Query[] = [];
  const failed: Query[] = [];
  const end = (query: Query): void => {
    query.state = 'failed';
    working.delete(query);
    line.leave(query);
  };
  const limits = { queriesRunningMax: 1, queriesInFlightMax: inFlightMax, queueTimeoutMs: 1_000 };
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
  expect(() => line.expectRoom([first, second])).toThrow(
    expect.objectContaining({ code: 'TOO_MANY_QUERIES' }),
  );
  await vi.advanceTimersByTimeAsync(1_000);
  expect(failed).toEqual([second]);
  line.expectRoom([first, second]);
});
