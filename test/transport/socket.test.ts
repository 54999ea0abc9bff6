// Goal: a connection that died without a word is given up within the beats promised, and one that
// shows any sign of life, or that we do not listen to, is not.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { DIRECT_LIMITS, RELAY_LIMITS } from '../../src/transport/limits.ts';
import { keepHeartbeat } from '../../src/transport/socket.ts';
import { COORDINATOR_LIMITS } from '../../src/coordinator/limits.ts';

const BEAT_MS = 10_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** As much of an open socket as a heartbeat sees. */
class Line extends EventEmitter {
  readonly OPEN = 1;
  readonly readyState = 1;
  isPaused = false;
  pings = 0;
  ended = false;
  ping(): void {
    this.pings += 1;
  }
  terminate(): void {
    this.ended = true;
    this.emit('close');
  }
}

function listen(): { line: Line; alive: () => void } {
  const line = new Line();
  return { line, ...keepHeartbeat(line as unknown as WebSocket, BEAT_MS, 3) };
}

it.each([0, 1, BEAT_MS / 2, BEAT_MS - 1])(
  'ends a line that fell silent %i ms after a beat within three beats',
  (afterMs) => {
    const { line, alive } = listen();
    vi.advanceTimersByTime(BEAT_MS + afterMs);
    alive();
    vi.advanceTimersByTime(2 * BEAT_MS);
    expect(line.ended).toBe(false);
    vi.advanceTimersByTime(BEAT_MS);
    expect(line.ended).toBe(true);
    // Two questions went unanswered before that.
    expect(line.pings).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  },
);

it.each(['ping', 'pong'])('takes a %s for a sign of life', (sign) => {
  const { line } = listen();
  for (let i = 0; i < 20; i += 1) {
    vi.advanceTimersByTime(2 * BEAT_MS);
    line.emit(sign);
  }
  expect(line.ended).toBe(false);
});

it('does not hold a silence of its own making against the peer', () => {
  const { line } = listen();
  line.isPaused = true;
  vi.advanceTimersByTime(20 * BEAT_MS);
  expect(line.ended).toBe(false);
  line.isPaused = false;
  vi.advanceTimersByTime(3 * BEAT_MS);
  expect(line.ended).toBe(true);
});

it('is set so that a dead peer is noticed within 30 s, and a query over within a minute', () => {
  for (const limits of [RELAY_LIMITS, DIRECT_LIMITS, COORDINATOR_LIMITS]) {
    const noticedMs = limits.heartbeatMs * limits.heartbeatsMissedMax;
    expect(limits.heartbeatMs).toBeLessThanOrEqual(10_000);
    expect(noticedMs).toBeLessThanOrEqual(30_000);
    expect(noticedMs + COORDINATOR_LIMITS.resumeGraceMs).toBeLessThan(60_000);
  }
});
