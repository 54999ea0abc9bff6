/** A link's shape, the same in both directions. */
export interface Net {
  readonly name: string;
  readonly rttMs: number;
  /** Per direction of one pair of parties, shared by all channels of the pair. */
  readonly mbit: number;
}

const PRESETS: readonly Net[] = [
  { name: 'lan', rttMs: 0.2, mbit: 10_000 },
  { name: 'wan', rttMs: 40, mbit: 100 },
  { name: 'mobile', rttMs: 100, mbit: 20 },
];

/** `none`, a preset, or `RTT,Mbit` (milliseconds and megabits a second). Null is unshaped. */
export function parseNet(text: string): Net | null {
  if (text === 'none') return null;
  const preset = PRESETS.find(({ name }) => name === text);
  if (preset !== undefined) return preset;
  const [rttMs, mbit, ...rest] = text.split(',').map(Number);
  if (rttMs === undefined || mbit === undefined || rest.length > 0 || !(rttMs >= 0 && mbit > 0)) {
    throw new RangeError(`--net is none, lan, wan, mobile or RTT,Mbit; not ${text}`);
  }
  return { name: text, rttMs, mbit };
}

/** `--net lan,wan,30,50` as a list: a number begins a pair. */
export function parseNets(text: string): (Net | null)[] {
  const items = text.split(',');
  const nets: (Net | null)[] = [];
  for (let i = 0; i < items.length; i += 1) {
    const pair = /^[\d.]+$/.test(items[i]!);
    nets.push(parseNet(pair ? `${items[i]!},${items[++i] ?? ''}` : items[i]!));
  }
  return nets;
}

/**
 * One direction of a link as arithmetic: when a message handed over at `nowMs` has wholly arrived.
 * Messages leave one after the other, each for as long as its bits take, and then travel RTT/2.
 */
export function createSchedule({ rttMs, mbit }: Net): (nowMs: number, bytes: number) => number {
  let freeAtMs = -Infinity;
  return (nowMs, bytes) => {
    freeAtMs = Math.max(nowMs, freeAtMs) + (8 * bytes) / (1e3 * mbit);
    return freeAtMs + rttMs / 2;
  };
}

/** The clock and timers that {@link createHold} runs on; a test gives its own. */
export interface Timers {
  nowMs(): number;
  /** Calls back after about `ms`; may be late, never early. */
  after(ms: number, call: () => void): void;
  /** Calls back on the next turn of the event loop. */
  soon(call: () => void): void;
}

/** One clock for all threads and processes of the machine (CLOCK_MONOTONIC). */
export const systemTimers: Timers = {
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
  after: (ms, call) => void setTimeout(call, ms),
  soon: (call) => void setImmediate(call),
};

/** LOCAL. Node rounds timers to whole milliseconds: the last part of a wait goes turn by turn. */
const SPIN_MS = 1.5;

/**
 * Keeps messages until they are due and gives them on in order. One timer for all that wait; being
 * late with one message does not move the next, which has a time of its own.
 */
export function createHold<T>(
  deliver: (item: T) => void,
  timers: Timers = systemTimers,
): (item: T, dueMs: number) => void {
  const waiting: { readonly item: T; readonly dueMs: number }[] = [];
  let armed = false;
  const arm = (): void => {
    const next = waiting[0];
    if (next === undefined || armed) return;
    armed = true;
    const leftMs = next.dueMs - timers.nowMs();
    if (leftMs > SPIN_MS) timers.after(Math.floor(leftMs - SPIN_MS + 0.5), wake);
    else timers.soon(wake);
  };
  const wake = (): void => {
    armed = false;
    while (waiting.length > 0 && waiting[0]!.dueMs <= timers.nowMs()) {
      deliver(waiting.shift()!.item);
    }
    arm();
  };
  return (item, dueMs) => {
    waiting.push({ item, dueMs });
    arm();
  };
}
