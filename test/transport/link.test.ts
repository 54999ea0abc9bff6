// Goal: whatever is sent on any channel arrives there, once, whole and in order, or the link ends
// with the code that names what happened; a hostile carrier or peer cannot make it do otherwise.
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { concat, utf8 } from '../../src/core/bytes.ts';
import type { Channel } from '../../src/core/channel.ts';
import { ParleyError } from '../../src/core/errors.ts';
import { Redacted } from '../../src/core/redacted.ts';
import {
  encodeClose,
  encodeCredit,
  encodeMore,
  encodeOpen,
  encodeStart,
  encodeWant,
} from '../../src/transport/frames.ts';
import {
  openLink,
  type Link,
  type LinkOptions,
  type TraceEvent,
} from '../../src/transport/link.ts';
import {
  dhKeyPairOf,
  generateDhKeyPair,
  HandshakeState,
  KK,
  type TransportCiphers,
} from '../../src/transport/noise/index.ts';
import type { RawPipe } from '../../src/transport/raw-pipe.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { pipePair, type PayloadTap, type PipePair } from './memory-pipe.ts';

const rng = seededRng('link');
const SECRETS = [new Redacted(rng(32)), new Redacted(rng(32))] as const;
const PUBLIC = SECRETS.map((s) => dhKeyPairOf(s).publicKey) as [Uint8Array, Uint8Array];
const MIB = 1 << 20;

it('carries any messages on any channels, each channel in order', async () => {
  const { ends } = await openPair();
  const size = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 65_000, max: 66_000 }),
    fc.integer({ min: 0, max: MIB }),
  );
  let run = 0;
  const message = fc.record({ from: fc.constantFrom(0, 1), channel: fc.nat(4), size });
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 12 }), fc.boolean(), async (plan, late) => {
      run += 1;
      const sends = plan.map((m, i) => ({ ...m, step: `m${i}`, body: rng(m.size) }));
      const outgoing = sends.map((m) =>
        at(ends[m.from], run, m.channel).send(m.step, m.body.slice()),
      );
      if (late) await Promise.all(outgoing);
      // Receives of one channel follow each other; channels run side by side.
      const lanes = new Map<string, Promise<void>>();
      for (const m of sends) {
        const key = `${m.from} ${m.channel}`;
        const before = lanes.get(key) ?? Promise.resolve();
        lanes.set(
          key,
          before.then(async () => {
            const got = await at(ends[1 - m.from]!, run, m.channel).recv(m.step, m.size);
            expect(Buffer.compare(got, m.body)).toBe(0);
            expect(got.byteOffset).toBe(0);
          }),
        );
      }
      await Promise.all([...outgoing, ...lanes.values()]);
    }),
    { numRuns: 40 },
  );
  await closeBoth(ends);
});

it('puts the same frames in the same records for the same calls', async () => {
  const sizes = async (): Promise<number[]> => {
    const { ends, pipes } = await openPair();
    await exchange(ends);
    await closeBoth(ends);
    return pipes.sent[0].map((p) => p.length);
  };
  const first = await sizes();
  // Version, e and tag; then one record of an open frame and a start frame with its 100 bytes.
  expect(first[0]).toBe(49);
  expect(first[1]).toBe(2 + 16 + (5 + 'one'.length) + (14 + 'step'.length) + 100);
  expect(await sizes()).toEqual(first);
});

it('counts and traces what crosses it', async () => {
  const events: TraceEvent[] = [];
  const { ends, pipes } = await openPair({
    edit: (o, me) => (me === 0 ? { ...o, path: 'q1', trace: (e) => events.push(e) } : o),
  });
  await exchange(ends);
  expect(events).toEqual([
    { direction: 'out', path: 'q1/one', step: 'step', bytes: 100 },
    { direction: 'in', path: 'q1/one', step: 'reply', bytes: 3 },
  ]);
  const sent = pipes.sent[0].reduce((n, p) => n + p.length, 0);
  expect(ends[0].stats).toMatchObject({ bytesSent: sent, messages: 2 });
  expect(ends[1].stats).toMatchObject({ bytesReceived: sent, messages: 2 });
  await closeBoth(ends);
});

it.each<[string, (o: LinkOptions) => LinkOptions]>([
  ['another prologue', (o) => ({ ...o, prologue: utf8('other session') })],
  ['another key than pinned', (o) => ({ ...o, localStatic: new Redacted(rng(32)) })],
  ['a pin of another key', (o) => ({ ...o, remoteStatic: PUBLIC[1] })],
])('opens no link with %s', async (_, edit) => {
  const opened = openPair({ edit: (o, me) => (me === 1 ? edit(o) : o) });
  await expect(opened).rejects.toMatchObject({ code: 'LINK_AUTH_FAILED', fault: 'transport' });
});

it('tells both ends when the handshake fails', async () => {
  const pipes = pipePair();
  const wrong = { prologue: utf8('other session') };
  const both = await Promise.allSettled([
    openLink(optionsOf(pipes, 0)),
    openLink({ ...optionsOf(pipes, 1), ...wrong }),
  ]);
  expect(both.map((b) => (b.status === 'rejected' ? codeOf(b.reason) : 'open'))).toEqual([
    'LINK_AUTH_FAILED',
    'LINK_AUTH_FAILED',
  ]);
});

it('opens no link when its own first message is reflected', async () => {
  const pipes = pipePair([(p) => (pipes.inject(0, p), [])]);
  await expect(openLink(optionsOf(pipes, 0))).rejects.toMatchObject({ code: 'LINK_AUTH_FAILED' });
});

it('gives up on a peer that does not answer the handshake', async () => {
  const pipes = pipePair();
  const limits = { handshakeTimeoutMs: 30 };
  await expect(openLink({ ...optionsOf(pipes, 0), limits })).rejects.toMatchObject({
    code: 'TIMEOUT',
  });
});

// Payload 0 of either side is the handshake; payload 1 is the first message.
const flip =
  (byte: number): PayloadTap =>
  (p, i) =>
    i === 1 ? [p.map((b, at) => (at === byte ? b ^ 0x40 : b))] : [p];
it.each<[string, PayloadTap]>([
  ['a flipped bit in a length', flip(0)],
  ['a flipped bit in the ciphertext', flip(40)],
  [
    'a flipped bit in the tag',
    (p, i) => [i === 1 ? p.map((b, at) => (at === p.length - 1 ? b ^ 1 : b)) : p],
  ],
  ['a repeated payload', (p, i) => (i === 1 ? [p, p] : [p])],
  ['a replayed handshake', (p, i) => (i === 1 ? [new Uint8Array(49).fill(1), p] : [p])],
  ['a cut payload', (p, i) => [i === 1 ? p.slice(0, -1) : p]],
  ['an empty payload', (p, i) => (i === 1 ? [new Uint8Array(0), p] : [p])],
  [
    'a payload with something behind it',
    (p, i) => [i === 1 ? concat([p, Uint8Array.of(0, 16)]) : p],
  ],
  ['a dropped payload', (p, i) => (i === 1 ? [] : [p])],
])('ends with LINK_TAMPERED on %s', async (_, tap) => {
  const { ends } = await openPair({ taps: [tap] });
  const [a, b] = ends.map((e) => e.root.sub('x')) as [Channel, Channel];
  void a.send('one', new Uint8Array(100)).catch(() => undefined);
  const answer = a.recv('answer', 1);
  const two = new Promise((resolve) => setImmediate(resolve)).then(() => a.send('two', rng(100)));
  void two.catch(() => undefined);
  const read = (async () => {
    await b.recv('one', 100);
    await b.recv('two', 100);
    await b.recv('three', 1);
  })();
  await expect(read).rejects.toMatchObject({ code: 'LINK_TAMPERED', fault: 'transport' });
  await expect(answer).rejects.toMatchObject({
    code: 'PEER_ABORTED',
    detail: { hint: 'the peer reported LINK_TAMPERED' },
  });
  await expect(b.send('late', rng(1))).rejects.toMatchObject({ code: 'LINK_TAMPERED' });
});

it('ends with LINK_TAMPERED when swapped, reflected or spliced', async () => {
  // swapped: hold payload 1 back until payload 2 came
  let held: Uint8Array | null = null;
  const swap: PayloadTap = (p, i) => {
    if (i === 1) held = p.slice();
    return i === 1 ? [] : i === 2 ? [p, held!] : [p];
  };
  const swapped = await openPair({ taps: [swap] });
  const reader = swapped.ends[1].root.recv('one', 9);
  reader.catch(() => undefined);
  await swapped.ends[0].root.send('one', rng(9));
  await swapped.ends[0].root.send('two', rng(9)).catch(() => undefined);
  await expect(reader).rejects.toMatchObject({ code: 'LINK_TAMPERED' });

  const reflected = await openPair({ taps: [(p, i) => (i === 1 ? (reflected0(p), []) : [p])] });
  function reflected0(p: Uint8Array): void {
    reflected.pipes.inject(0, p);
  }
  const waiting = reflected.ends[0].root.recv('one', 9);
  waiting.catch(() => undefined);
  await reflected.ends[0].root.send('one', rng(9)).catch(() => undefined);
  await expect(waiting).rejects.toMatchObject({ code: 'LINK_TAMPERED' });

  const [one, other] = [await openPair(), await openPair()];
  const spliced = other.ends[1].root.recv('one', 9);
  spliced.catch(() => undefined);
  await one.ends[0].root.send('one', rng(9));
  other.pipes.inject(1, one.pipes.sent[0][1]!);
  await expect(spliced).rejects.toMatchObject({ code: 'LINK_TAMPERED' });
  await closeBoth(one.ends);
});

it.each([
  ['another step', 'two', 8, 'PEER_OUT_OF_STEP'],
  ['a shorter message', 'one', 9, 'PEER_BAD_LENGTH'],
  ['a longer message', 'one', 7, 'PEER_BAD_LENGTH'],
])('blames the peer for %s, early or late', async (_, step, bytes, code) => {
  const expected = { code, fault: 'peer', detail: { step: `x/${step}` } };
  const { ends } = await openPair();
  const [a, b] = ends.map((e) => e.root.sub('x')) as [Channel, Channel];
  const early = expect(b.recv(step, bytes)).rejects.toMatchObject(expected);
  await a.send('one', rng(8));
  await early;
  const [c, d] = ends.map((e) => e.root.sub('y')) as [Channel, Channel];
  await c.send('one', rng(8));
  await a.send('one', rng(8));
  await expect(d.recv(step, bytes)).rejects.toMatchObject({ code });
  // A broken channel stays broken; the others go on.
  await expect(b.recv('one', 8)).rejects.toMatchObject({ code });
  await exchange(ends);
  await closeBoth(ends);
});

it('refuses a wrong length from the header, before the body has come', async () => {
  const peer = await hostilePeer();
  const read = peer.link.root.recv('big', 10);
  peer.say(encodeOpen(0, ''), encodeStart(0, 0, 200 * MIB, 'big', 1), new Uint8Array(1));
  await expect(read).rejects.toMatchObject({ code: 'PEER_BAD_LENGTH' });
  peer.link.abort('CANCELLED');
});

it.each<[string, Uint8Array[], string]>([
  ['an unknown frame', [Uint8Array.of(99)], 'FRAME_MALFORMED'],
  ['a cut frame', [encodeOpen(0, 'abc').slice(0, 6)], 'FRAME_MALFORMED'],
  ['a message on no channel', [encodeStart(3, 0, 1, 's', 1), rng(1)], 'FRAME_MALFORMED'],
  ['one channel twice', [encodeOpen(0, 'a'), encodeOpen(0, 'b')], 'FRAME_MALFORMED'],
  ['one path twice', [encodeOpen(0, 'a'), encodeOpen(1, 'a')], 'FRAME_MALFORMED'],
  ['an unprintable path', [encodeOpen(0, 'a b')], 'FRAME_MALFORMED'],
  [
    'a skipped message',
    [encodeOpen(0, ''), encodeStart(0, 1, 1, 's', 1), rng(1)],
    'FRAME_MALFORMED',
  ],
  [
    'an interrupted message',
    [encodeOpen(0, ''), encodeStart(0, 0, 2, 's', 1), rng(1), encodeStart(0, 1, 1, 's', 1), rng(1)],
    'FRAME_MALFORMED',
  ],
  ['a continuation of nothing', [encodeOpen(0, ''), encodeMore(0, 1), rng(1)], 'FRAME_MALFORMED'],
  [
    'a message that goes on',
    [encodeOpen(0, ''), encodeStart(0, 0, 1, 's', 1), rng(1), encodeMore(0, 1), rng(1)],
    'FRAME_MALFORMED',
  ],
  ['an empty first fragment', [encodeOpen(0, ''), encodeStart(0, 0, 1, 's', 0)], 'FRAME_MALFORMED'],
  ['an unknown close code', [Uint8Array.of(6, 3, 65, 66, 67)], 'FRAME_MALFORMED'],
  ['credit out of nothing', [encodeCredit(1)], 'FRAME_MALFORMED'],
  ['a wish for no channel', [encodeWant(7, 0)], 'FRAME_MALFORMED'],
  [
    'a message above 256 MiB',
    [encodeOpen(0, ''), encodeStart(0, 0, 256 * MIB + 1, 's', 1), rng(1)],
    'FRAME_TOO_LARGE',
  ],
])('ends the link on %s', async (_, frames, code) => {
  const peer = await hostilePeer();
  const read = peer.link.root.recv('other', 2);
  read.catch(() => undefined);
  peer.say(...frames);
  expect(await peer.link.closed).toMatchObject({ code });
  await expect(read).rejects.toBeDefined();
});

it('ends the link when the peer ignores the window, even with empty messages', async () => {
  for (const size of [0, 60_000]) {
    const peer = await hostilePeer({ windowBytes: MIB });
    peer.say(encodeOpen(0, ''));
    for (let i = 0; i * (256 + size) <= MIB; i += 1) {
      peer.say(encodeStart(0, i, size, 's', size), new Uint8Array(size));
    }
    expect(await peer.link.closed).toMatchObject({ code: 'FRAME_TOO_LARGE' });
  }
});

it('ends the link when the peer opens too many channels', async () => {
  const peer = await hostilePeer();
  for (let i = 0; i <= 4096; i += 1) peer.say(encodeOpen(i, `c${i}`));
  expect(await peer.link.closed).toMatchObject({ code: 'FRAME_TOO_LARGE' });
});

it('stops sending at the window and goes on when the peer reads', async () => {
  const limits = { windowBytes: 2 * MIB };
  const { ends } = await openPair({ edit: (o) => ({ ...o, limits }) });
  let handedOver = 0;
  const sends = Array.from({ length: 10 }, (_, i) =>
    ends[0].root.send(`m${i}`, new Uint8Array(MIB)).then(() => (handedOver += 1)),
  );
  while (handedOver === 0) await new Promise((resolve) => setImmediate(resolve));
  // As many turns again as the first one took several times over: the second stays.
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(handedOver).toBe(1);
  for (let i = 0; i < 10; i += 1) await ends[1].root.recv(`m${i}`, MIB);
  await Promise.all(sends);
  expect(handedOver).toBe(10);
  await closeBoth(ends);
});

it('never lets a full window keep back what the peer waits for', async () => {
  const limits = { windowBytes: MIB };
  const { ends } = await openPair({ edit: (o) => ({ ...o, limits }) });
  const [a, b] = [ends[0].root, ends[1].root];
  const full = a.sub('full').send('bulk', new Uint8Array(3 * MIB));
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Asked for after the window filled, and longer than the window itself.
  const wanted = b.sub('urgent').recv('now', 2 * MIB);
  await a.sub('urgent').send('now', new Uint8Array(2 * MIB));
  expect((await wanted).length).toBe(2 * MIB);
  expect((await b.sub('full').recv('bulk', 3 * MIB)).length).toBe(3 * MIB);
  await full;
  await closeBoth(ends);
});

it('leaves what came before an orderly end readable', async () => {
  const { ends } = await openPair();
  await ends[0].root.send('last', rng(5));
  await ends[0].close();
  expect(await ends[1].closed).toBeNull();
  expect((await ends[1].root.recv('last', 5)).length).toBe(5);
  await expect(ends[1].root.recv('more', 5)).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  await expect(ends[1].root.send('more', rng(5))).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
  await expect(ends[0].root.recv('more', 5)).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
});

it('hands over everything queued before it closes', async () => {
  const { ends } = await openPair();
  const sent = ends[0].root.send('big', new Uint8Array(3 * MIB));
  const closing = ends[0].close();
  expect((await ends[1].root.recv('big', 3 * MIB)).length).toBe(3 * MIB);
  await Promise.all([sent, closing]);
});

it('passes an abort on by its code', async () => {
  const { ends } = await openPair();
  const read = ends[1].root.recv('x', 1);
  ends[0].abort('BUDGET_EXHAUSTED');
  await expect(read).rejects.toMatchObject({
    code: 'PEER_ABORTED',
    detail: { hint: 'the peer reported BUDGET_EXHAUSTED' },
  });
  expect(await ends[1].closed).toMatchObject({ code: 'PEER_ABORTED' });
});

it('ends with CANCELLED when its signal aborts, and tells the peer', async () => {
  const stop = new AbortController();
  const { ends } = await openPair({
    edit: (o, me) => (me === 0 ? { ...o, signal: stop.signal } : o),
  });
  const reads = ends.map((e) => e.root.recv('x', 1));
  stop.abort();
  await expect(reads[0]).rejects.toMatchObject({ code: 'CANCELLED' });
  await expect(reads[1]).rejects.toMatchObject({ code: 'PEER_ABORTED' });
  const late = openLink({ ...optionsOf(pipePair(), 0), signal: stop.signal });
  await expect(late).rejects.toMatchObject({ code: 'CANCELLED' });
});

it('ends with CHANNEL_CLOSED when the pipe is lost', async () => {
  const { ends, pipes } = await openPair();
  const reads = ends.map((e) => e.root.recv('x', 1));
  pipes.cut();
  for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
});

it.each([
  ['refuses a message', () => Promise.reject(new ParleyError('CHANNEL_CLOSED', 'lost'))],
  ['never has room again', () => new Promise<void>(() => undefined)],
])('ends the sends that a pipe has when it %s', async (_, send) => {
  let broken = false;
  const breaking = (raw: RawPipe): RawPipe => ({
    ...raw,
    send: (payload) => (broken ? send() : raw.send(payload)),
  });
  const { ends, pipes } = await openPair({ edit: (o) => ({ ...o, raw: breaking(o.raw) }) });
  broken = true;
  // The first is whole inside the payload the pipe has; the second is half in it.
  const sends = [
    ends[0].root.send('whole', rng(5)),
    ends[0].root.send('half', new Uint8Array(MIB)),
  ].map((sent) => sent.then(() => 'sent', codeOf));
  await new Promise((resolve) => setImmediate(resolve));
  pipes.cut();
  expect(await Promise.all(sends)).toEqual(['CHANNEL_CLOSED', 'CHANNEL_CLOSED']);
});

it('notices a peer that has gone quiet, but not one that only computes', async () => {
  const limits = { idleTimeoutMs: 160 };
  let deaf = false;
  const { ends } = await openPair({
    taps: [(p) => (deaf ? [] : [p])],
    edit: (o) => ({ ...o, limits }),
  });
  const read = ends[1].root.recv('x', 1);
  const outcome = vi.fn();
  void read.then(outcome, outcome);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(outcome).not.toHaveBeenCalled();
  deaf = true;
  await expect(read).rejects.toMatchObject({ code: 'TIMEOUT' });
});

it('fills its payloads with bulk data', async () => {
  const { ends, pipes } = await openPair();
  const body = new Uint8Array(8 * MIB);
  await Promise.all([ends[0].root.send('b', body), ends[1].root.recv('b', body.length)]);
  const sizes = pipes.sent[0].slice(1).map((p) => p.length);
  expect(sizes.slice(0, -1)).toEqual(sizes.slice(0, -1).fill(256 * 1024));
  // Per 64 KiB record: two bytes of length, a tag and a header of five bytes or a little more.
  expect(ends[0].stats.bytesSent - body.length).toBeLessThan(64 + 129 * (2 + 16 + 5 + 16));
  await closeBoth(ends);
});

// --- helpers ---

function optionsOf(pipes: PipePair, me: 0 | 1): LinkOptions {
  return {
    raw: pipes.ends[me],
    role: me === 0 ? 'initiator' : 'responder',
    localStatic: SECRETS[me],
    remoteStatic: PUBLIC[me === 0 ? 1 : 0],
    prologue: utf8('room/policy/query/session'),
  };
}

interface PairOptions {
  readonly taps?: readonly [PayloadTap?, PayloadTap?];
  readonly edit?: (options: LinkOptions, me: 0 | 1) => LinkOptions;
}

async function openPair(
  options: PairOptions = {},
): Promise<{ ends: readonly [Link, Link]; pipes: PipePair }> {
  const pipes = pipePair(options.taps);
  const edit = options.edit ?? ((o) => o);
  const open = (me: 0 | 1): Promise<Link> => openLink(edit(optionsOf(pipes, me), me));
  const opening = [open(0), open(1)] as const;
  opening.forEach((p) => void p.catch(() => undefined));
  return { ends: await Promise.all(opening), pipes };
}

function at(link: Link, run: number, channel: number): Channel {
  const child = link.root.sub(`r${run}`);
  return channel === 0 ? child : child.sub(`c${channel}`);
}

async function exchange(ends: readonly [Link, Link]): Promise<void> {
  const [a, b] = ends.map((e) => e.root.sub('one')) as [Channel, Channel];
  await a.send('step', new Uint8Array(100));
  await b.recv('step', 100);
  await b.send('reply', new Uint8Array(3));
  await a.recv('reply', 3);
}

async function closeBoth(ends: readonly [Link, Link]): Promise<void> {
  await Promise.all(ends.map((e) => e.close()));
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** A link whose peer holds the right key and says whatever the test wants. */
async function hostilePeer(
  limits: LinkOptions['limits'] = {},
): Promise<{ link: Link; say: (...frames: Uint8Array[]) => void }> {
  const pipes = pipePair();
  const handshake = new HandshakeState({
    pattern: KK,
    initiator: true,
    prologue: concat([utf8('parley/link/v1\0'), utf8('room/policy/query/session')]),
    localStatic: dhKeyPairOf(SECRETS[0]),
    remoteStatic: PUBLIC[1],
    ephemeral: generateDhKeyPair,
  });
  const raw: RawPipe = pipes.ends[0];
  const ciphers = new Promise<TransportCiphers>((resolve) => {
    raw.onMessage((payload) => {
      if (handshake.done) return;
      handshake.read(payload.subarray(1));
      resolve(handshake.split());
    });
  });
  const opening = openLink({ ...optionsOf(pipes, 1), limits });
  await raw.send(concat([Uint8Array.of(1), handshake.write(new Uint8Array(0))]));
  const [link, { sending }] = await Promise.all([opening, ciphers]);
  return {
    link,
    say: (...frames) => {
      const out = new Uint8Array(70_000);
      const bytes = sending.encryptMessageInto(frames, out, 2);
      out[0] = bytes >> 8;
      out[1] = bytes & 0xff;
      void raw.send(out.slice(0, bytes + 2)).catch(() => undefined);
    },
  };
}

it('hears an orderly end from a peer that only says that', async () => {
  const peer = await hostilePeer();
  peer.say(encodeClose(null));
  expect(await peer.link.closed).toBeNull();
});
