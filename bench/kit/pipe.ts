import type { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import type { Channel } from '../../src/core/channel.ts';
import { createHold, createSchedule, systemTimers, type Net } from './net.ts';

/** A message on its way. `dueMs` is when the shaped network has delivered it; 0 at once. */
export interface Frame {
  readonly path: string;
  readonly step: string;
  readonly bytes: Uint8Array;
  readonly dueMs: number;
}

/** An ordered link between two parties. */
export interface Pipe {
  send(frame: Frame): void;
  /** Set once, before anything arrives. */
  onFrame: (frame: Frame) => void;
}

/** Over a message port: buffers that a message fills are moved, others copied. */
export function portPipe(port: MessagePort): Pipe {
  const pipe: Pipe = {
    send(frame) {
      const { bytes } = frame;
      const whole = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
      port.postMessage({ ...frame, bytes: whole }, [whole.buffer as ArrayBuffer]);
    },
    onFrame: () => undefined,
  };
  port.on('message', (frame: Frame) => pipe.onFrame(frame));
  return pipe;
}

const PREFIX_BYTES = 16;

/** Over a stream socket: 4 bytes of name length, 4 of body length, 8 of due time, name, body. */
export function socketPipe(socket: Socket): Pipe {
  socket.setNoDelay(true);
  const pipe: Pipe = {
    send({ path, step, bytes, dueMs }) {
      const name = Buffer.from(`${path}\n${step}`);
      const head = Buffer.alloc(PREFIX_BYTES + name.length);
      head.writeUInt32LE(name.length, 0);
      head.writeUInt32LE(bytes.length, 4);
      head.writeDoubleLE(dueMs, 8);
      head.set(name, PREFIX_BYTES);
      socket.cork();
      socket.write(head);
      socket.write(bytes);
      socket.uncork();
    },
    onFrame: () => undefined,
  };
  const read = createReader((frame) => pipe.onFrame(frame));
  socket.on('data', read);
  return pipe;
}

/** Cuts a byte stream into frames; the body is copied once. */
function createReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let head: Buffer = Buffer.alloc(0);
  let open: { path: string; step: string; dueMs: number; bytes: Uint8Array } | null = null;
  let filled = 0;
  return (chunk) => {
    let rest = chunk;
    for (;;) {
      if (open === null) {
        head = head.length === 0 ? rest : Buffer.concat([head, rest]);
        if (head.length < PREFIX_BYTES) return;
        const nameEnd = PREFIX_BYTES + head.readUInt32LE(0);
        if (head.length < nameEnd) return;
        const [path, step] = head.toString('utf8', PREFIX_BYTES, nameEnd).split('\n');
        const bytes = new Uint8Array(head.readUInt32LE(4));
        open = { path: path!, step: step!, dueMs: head.readDoubleLE(8), bytes };
        filled = 0;
        rest = head.subarray(nameEnd);
        head = Buffer.alloc(0);
      }
      const taken = rest.subarray(0, open.bytes.length - filled);
      open.bytes.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
      if (filled < open.bytes.length) return;
      onFrame(open);
      open = null;
    }
  };
}

/** What the ends of a pipe count and how it is slowed down. */
export interface MuxOptions {
  readonly net: Net | null;
  /** Told the length of each message sent. */
  readonly onSend: (bytes: number) => void;
}

interface Lane {
  readonly arrived: Frame[];
  readonly waiting: ((frame: Frame) => void)[];
}

/** Channels over a pipe. All of them share the pipe's bandwidth. */
export function openChannels(pipe: Pipe, { net, onSend }: MuxOptions): Channel {
  const lanes = new Map<string, Lane>();
  const laneAt = (path: string): Lane => {
    const lane = lanes.get(path) ?? { arrived: [], waiting: [] };
    lanes.set(path, lane);
    return lane;
  };
  const deliver = (frame: Frame): void => {
    const lane = laneAt(frame.path);
    const next = lane.waiting.shift();
    if (next === undefined) lane.arrived.push(frame);
    else next(frame);
  };
  const hold = createHold(deliver);
  pipe.onFrame = (frame) => (frame.dueMs === 0 ? deliver(frame) : hold(frame, frame.dueMs));
  const schedule = net === null ? null : createSchedule(net);
  const channel = (path: string): Channel => ({
    path,
    async send(step, bytes) {
      onSend(bytes.length);
      const dueMs = schedule === null ? 0 : schedule(systemTimers.nowMs(), bytes.length);
      pipe.send({ path, step, bytes, dueMs });
    },
    async recv(step, bytes) {
      const lane = laneAt(path);
      const frame =
        lane.arrived.shift() ?? (await new Promise<Frame>((resolve) => lane.waiting.push(resolve)));
      return expectFrame(frame, step, bytes);
    },
    sub: (name) => channel(`${path}/${name}`),
  });
  return channel('bench');
}

/** The body of the frame, if it is the message that was asked for. */
export function expectFrame(frame: Frame, step: string, bytes: number): Uint8Array {
  if (frame.step !== step || frame.bytes.length !== bytes) {
    throw new Error(
      `${frame.path}: wanted ${step} of ${bytes} bytes, got ${frame.step} of ${frame.bytes.length}`,
    );
  }
  return frame.bytes;
}
