// Goal: the kit's figures mean what bench/README.md says: rounds, shaped networks, spreads, plots and
// tables; and a bench that computes something wrong fails.
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { breathe } from '../../src/core/progress.ts';
import { createLockstep } from '../../bench/kit/lockstep.ts';
import { parseOptions } from '../../bench/kit/main.ts';
import { createHold, createSchedule, parseNet, parseNets } from '../../bench/kit/net.ts';
import { openChannels, socketPipe, type Frame, type Pipe } from '../../bench/kit/pipe.ts';
import { combinations, parseCounts, round3, spreadOf } from '../../bench/kit/stats.ts';
import type { Task } from '../../bench/kit/task.ts';
import { drawChart, escapeXml, logTicks, spreadLabels } from '../../bench/plot/svg.ts';
import { fillMarker, parseResults, resultsTable } from '../../bench/plot/table.ts';

describe('spread', () => {
  it('is median, least and greatest', () => {
    expect(spreadOf([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9 });
    expect(spreadOf([4, 2])).toEqual({ median: 4, min: 2, max: 4 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  it('keeps three digits, and whole numbers whole', () => {
    expect([0, 0.012345, 1.2345, 123.45, 123_456.7].map(round3)).toEqual([
      0, 0.0123, 1.23, 123, 123_457,
    ]);
  });
});

describe('flags', () => {
  const task: Task = {
    name: 'example',
    unit: 'row',
    cases: ['a', 'b'],
    n: [10],
    k: [2, 4],
    extras: { bits: ['16'] },
    skip: (params) => params.case === 'b' && params.k === 2,
    open: () => Promise.reject(new Error('not run')),
    check: () => undefined,
  };

  it('reads counts and powers', () => {
    expect(parseCounts('7,2^10')).toEqual([7, 1024]);
    for (const bad of ['0', '-1', '1.5', 'x', '']) expect(() => parseCounts(bad)).toThrow();
  });

  it('combines lists, the last fastest', () => {
    expect(combinations({ x: [1, 2], y: ['p', 'q'] })).toEqual([
      { x: 1, y: 'p' },
      { x: 1, y: 'q' },
      { x: 2, y: 'p' },
      { x: 2, y: 'q' },
    ]);
  });

  it('makes the lines of a bench', () => {
    const { lines, runs, link } = parseOptions(task, [
      '--n',
      '8,2^4',
      '--net',
      'wan',
      '--runs',
      '2',
    ]);
    expect([lines.length, runs, link]).toEqual([6, 2, 'threads']);
    expect(lines[0]).toEqual({
      net: { name: 'wan', rttMs: 40, mbit: 100 },
      parties: 2,
      case: 'a',
      k: 2,
      extra: { bits: '16' },
      n: 8,
    });
    for (const bad of [
      ['--case', 'c'],
      ['--k', '3'],
      ['--link', 'x'],
      ['--nn', '1'],
    ]) {
      expect(() => parseOptions(task, bad)).toThrow();
    }
  });
});

describe('shaped network', () => {
  it('is named or given by numbers', () => {
    expect(parseNet('none')).toBeNull();
    expect(parseNet('mobile')).toEqual({ name: 'mobile', rttMs: 100, mbit: 20 });
    expect(parseNet('30,50')).toEqual({ name: '30,50', rttMs: 30, mbit: 50 });
    expect(parseNets('lan,30,50,none').map((n) => n?.name)).toEqual(['lan', '30,50', undefined]);
    for (const bad of ['dsl', '30', '30,0', '-1,5', '1,2,3']) {
      expect(() => parseNet(bad)).toThrow(RangeError);
    }
  });

  it('delivers after the bits of all before it, its own, and half the round trip', () => {
    // 8 Mbit/s: 1,000 bytes are one millisecond.
    const due = createSchedule({ name: 'x', rttMs: 40, mbit: 8 });
    expect(due(0, 1000)).toBeCloseTo(21);
    expect(due(0, 2000)).toBeCloseTo(23);
    expect(due(2, 1000)).toBeCloseTo(24);
    // Idle in between: nothing is carried over.
    expect(due(100, 1000)).toBeCloseTo(121);
  });

  it('sends no more than the bandwidth and keeps the order, whatever is sent when', () => {
    const messages = fc.array(fc.tuple(fc.nat(50), fc.nat(100_000)), { minLength: 1 });
    fc.assert(
      fc.property(messages, (list) => {
        const due = createSchedule({ name: 'x', rttMs: 10, mbit: 100 });
        let [now, last, bytes] = [0, 0, 0];
        for (const [gap, size] of list) {
          now += gap;
          bytes += size;
          const at = due(now, size);
          expect(at).toBeGreaterThanOrEqual(Math.max(last, now + 5 + size / 12_500 - 1e-6));
          last = at;
        }
        expect(last).toBeGreaterThanOrEqual(bytes / 12_500 + 5 - 1e-6);
      }),
    );
  });

  it('holds in order, never early, by one timer at a time, and late timers move nothing', () => {
    let nowMs = 0;
    const timers: { readonly atMs: number; readonly call: () => void }[] = [];
    const got: [string, number][] = [];
    const hold = createHold<string>((item) => got.push([item, nowMs]), {
      nowMs: () => nowMs,
      after: (ms, call) => timers.push({ atMs: nowMs + ms, call }),
      soon: (call) => timers.push({ atMs: nowMs + 0.01, call }),
    });
    const due: Record<string, number> = { a: 20.25, b: 20.3, c: 48, d: 48.5 };
    for (const [item, dueMs] of Object.entries(due)) hold(item, dueMs);
    for (let steps = 0; timers.length > 0 && steps < 5000; steps += 1) {
      expect(timers).toHaveLength(1);
      const { atMs, call } = timers.pop()!;
      // Every timer of more than a turn is a millisecond late.
      nowMs = atMs - nowMs > 0.5 ? atMs + 1 : atMs;
      call();
    }
    expect(got.map(([item]) => item)).toEqual(['a', 'b', 'c', 'd']);
    for (const [item, atMs] of got) {
      expect(atMs).toBeGreaterThanOrEqual(due[item]!);
      expect(atMs).toBeLessThan(due[item]! + 1.1);
    }
  });
});

describe('links', () => {
  async function socketPair(): Promise<[Socket, Socket]> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const near = connect((server.address() as { port: number }).port, '127.0.0.1');
    const [far] = (await once(server, 'connection')) as [Socket];
    server.close();
    return [near, far];
  }

  it('carries messages of any length over a socket, channels apart', async () => {
    const [near, far] = await socketPair();
    let sent = 0;
    const options = { net: null, onSend: (bytes: number) => void (sent += bytes) };
    const [a, b] = [near, far].map((s) => openChannels(socketPipe(s), options)) as [
      Channel,
      Channel,
    ];
    const sizes = [0, 1, 70_000, 3, 1_000_000];
    for (const size of sizes) {
      await a.sub('x').send('m', new Uint8Array(size).fill(size & 255));
      await a.sub('y').send('n', Uint8Array.of(7));
    }
    for (const size of sizes) {
      expect(await b.sub('y').recv('n', 1)).toEqual(Uint8Array.of(7));
      const got = await b.sub('x').recv('m', size);
      expect(got.every((byte) => byte === (size & 255))).toBe(true);
    }
    expect(sent).toBe(sizes.reduce((sum, size) => sum + size + 1, 0));
    near.destroy();
    far.destroy();
  });

  it('refuses a message that was not asked for, and stamps those of a shaped net', async () => {
    const frames: Frame[] = [];
    const pipe: Pipe = { send: (frame) => void frames.push(frame), onFrame: () => undefined };
    const net = { name: 'x', rttMs: 0, mbit: 1e6 };
    const channel = openChannels(pipe, { net, onSend: () => undefined });
    await channel.send('m', new Uint8Array(3));
    expect(frames[0]!.dueMs).toBeGreaterThan(0);
    pipe.onFrame({ ...frames[0]!, dueMs: 0 });
    await expect(channel.recv('m', 4)).rejects.toThrow(/wanted m of 4 bytes, got m of 3/);
  });
});

describe('rounds', () => {
  const between = (step: ReturnType<typeof createLockstep>, party: number): Channel =>
    step.ends[party]![1 - party]!;

  it('are the longest chain of messages that wait for each other', async () => {
    const step = createLockstep(2);
    const { rounds, bytes } = await step.run(async (party) => {
      const channel = between(step, party);
      // Three there and back again, and beside them one message that nothing waits for.
      const aside = channel.sub('aside');
      await aside.send('m', new Uint8Array(5));
      for (let i = 0; i < 6; i += 1) {
        if (i % 2 === party) await channel.send('m', new Uint8Array(1));
        else await channel.recv('m', 1);
        await breathe();
      }
      await aside.recv('m', 5);
    });
    expect([rounds, bytes]).toEqual([6, [8, 8]]);
  });

  /** Longer than a timer, turn after turn: the parties are not waiting meanwhile. */
  async function computeForTurns(): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) {
      const until = performance.now() + 3;
      while (performance.now() < until);
      await breathe();
    }
  }

  it('count an exchange and a stream of messages once', async () => {
    const step = createLockstep(3);
    const { rounds } = await step.run(async (party) => {
      const peers = step.ends[party]!.filter((end) => end !== null);
      for (const peer of peers) {
        for (let i = 0; i < 4; i += 1) {
          await peer.send('m', new Uint8Array(i));
          await computeForTurns();
        }
      }
      for (const peer of peers) for (let i = 0; i < 4; i += 1) await peer.recv('m', i);
    });
    expect(rounds).toBe(1);
  });

  it('end when every party waits for another', async () => {
    const step = createLockstep(2);
    const stuck = step.run((party) => between(step, party).recv('m', 1));
    await expect(stuck).rejects.toThrow(/every party waits/);
  });
});

describe('plots', () => {
  it('escapes text', () => {
    expect(escapeXml('a<b & "c">')).toBe('a&lt;b &amp; &quot;c&quot;&gt;');
    const chart = { title: 'x < y & z', xLabel: 'n', yLabel: '<s>' };
    const svg = drawChart({ ...chart, series: [{ name: '<i>', points: [[1, 2]] }] });
    expect(svg).toContain('x &lt; y &amp; z');
    expect(svg.replaceAll(/<\/?(svg|rect|text|line|polyline|circle|g)\b[^<>]*>/g, '')).not.toMatch(
      /[<>]/,
    );
  });

  it('has places on a logarithmic axis, and refuses what has none', () => {
    expect(logTicks(1, 10)).toEqual([1, 2, 5, 10]);
    expect(logTicks(0.01, 1000)).toEqual([0.01, 0.1, 1, 10, 100, 1000]);
    const chart = { title: '', xLabel: '', yLabel: '' };
    expect(() => drawChart({ ...chart, series: [{ name: '', points: [[1, 0]] }] })).toThrow();
    expect(() => drawChart({ ...chart, series: [] })).toThrow(/nothing to draw/);
  });

  it('keeps the names of lines apart', () => {
    expect(spreadLabels([10, 12, 50, 11], 15)).toEqual([10, 40, 55, 25]);
  });
});

describe('tables', () => {
  const text = [
    '{"bench":"x","node":"v1","cpu":"old"}',
    '{"bench":"x","case":"a","n":10,"k":2,"ms_median":1.5,"ms_min":1,"ms_max":2,"bytes_sent":[1,2]}',
    '{"bench":"x","node":"v2","cpu":"new"}',
    '{"bench":"x","case":"a","n":2000,"k":2,"ms_median":3,"ms_min":3,"ms_max":3,"bytes_sent":[1,2]}',
    '',
  ].join('\n');

  it('say what is constant once', () => {
    const { machine, lines } = parseResults(text);
    expect(machine).toMatchObject({ cpu: 'new' });
    expect(resultsTable(lines).split('\n')).toEqual([
      'case a; k 2.',
      '',
      '| n | ms, median | min – max |',
      '|---|---|---|',
      '| 10 | 1.5 | 1 – 2 |',
      '| 2,000 | 3 | 3 – 3 |',
    ]);
  });

  it('go between their markers', () => {
    const page = 'a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb';
    const filled = fillMarker(page, 'x', 'new');
    expect(filled).toBe('a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb');
    expect(fillMarker(filled, 'x', 'new')).toBe(filled);
    expect(() => fillMarker(page, 'y', '')).toThrow(RangeError);
  });
});
