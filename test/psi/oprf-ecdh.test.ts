// Goal: both ends get the same F, recomputed here from the RFCs in BigInt; the agreed bytes are on the
// wire and never twice the same; and a peer that sends anything but group elements is named by code.
import { describe, expect, it } from 'vitest';
import { concat, toHex, u32be, utf8 } from '../../src/core/bytes.ts';
import type { Channel } from '../../src/core/channel.ts';
import type { ProgressEvent } from '../../src/core/progress.ts';
import { reveal } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { Rng } from '../../src/core/rng.ts';
import { areDistinct, FRAME_POINTS } from '../../src/protocols/psi/oprf-ecdh-steps.ts';
import { createEcdhOprf, ecdhOprf } from '../../src/protocols/psi/oprf-ecdh.ts';
import type { EcdhOprfOptions } from '../../src/protocols/psi/oprf-ecdh.ts';
import { KEY_BYTES, POINT_BYTES } from '../../src/protocols/psi/types.ts';
import { randomScalar } from '../../src/protocols/psi/x25519.ts';
import { memoryLink, runBoth } from '../support/memory-channel.ts';
import type { Tap } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import * as ref from './curve-reference.ts';
import { nodeX25519 } from './node-x25519.ts';

describe('both ends', () => {
  it('get F as the RFCs define it, equal at equal points only', async () => {
    const [mine, theirs] = [somePoints(7, 0), somePoints(9, 4)];
    const { receiver, sender } = await run(mine, theirs, { session: utf8('q1') });
    const key = reveal(randomScalar(seededRng('sender')));
    expect(receiver).toEqual(pointsOf(mine).map((x) => plainF(x, key, 'q1')));
    expect(sender).toEqual(pointsOf(theirs).map((y) => plainF(y, key, 'q1')));
    // mine is points 0..6, theirs 4..12: three in common, and no other key meets.
    expect(receiver.slice(4)).toEqual(sender.slice(0, 3));
    expect(new Set([...receiver, ...sender]).size).toBe(13);
  });

  it('separate sessions, channel paths, keys and the index byte of a point', async () => {
    const one = somePoints(1, 0);
    const rehashed = one.slice();
    rehashed[POINT_BYTES - 1]! ^= 1;
    const keyOf = async (r: Promise<Outcome>) => (await r).receiver[0];
    const keys = await Promise.all([
      keyOf(run(one, one)),
      keyOf(run(one, one, { session: utf8('a') })),
      keyOf(run(one, one, { session: utf8('b') })),
      keyOf(run(one, one, { path: 'elsewhere' })),
      keyOf(run(one, one, { rngs: [seededRng('receiver'), seededRng('another key')] })),
      keyOf(run(rehashed, one)),
    ]);
    expect(new Set(keys).size).toBe(6);
    // The receiver's own randomness changes the wire, never the result.
    expect(await keyOf(run(one, one, { rngs: [systemRng, seededRng('sender')] }))).toBe(keys[0]);
  });

  it.each([
    [0, 0],
    [0, 3],
    [3, 0],
    [FRAME_POINTS, 1],
    [FRAME_POINTS + 1, 5],
  ])('work at n = %i, m = %i', async (n, m) => {
    const all = somePoints(Math.max(n, m), 0);
    const points = [all.subarray(0, n * POINT_BYTES), all.subarray(0, m * POINT_BYTES)] as const;
    const { receiver, sender } = await run(...points);
    expect([receiver.length, sender.length]).toEqual([n, m]);
    const common = Math.min(n, m);
    expect(receiver.slice(0, common)).toEqual(sender.slice(0, common));
  });

  it('stream: two messages ahead of the replies, and progress counts every multiplication', async () => {
    const n = 3 * FRAME_POINTS + 1;
    const events: ProgressEvent[] = [];
    const onProgress = (e: ProgressEvent) => events.push(e);
    const { calls } = await run(somePoints(n, 0), somePoints(2, 0), { onProgress });
    expect(calls).toEqual([
      'send blinded.0 32768',
      'send blinded.1 32768',
      'send blinded.2 32768',
      'recv evaluated.0 32768',
      'send blinded.3 32',
      'recv evaluated.1 32768',
      'recv evaluated.2 32768',
      'recv evaluated.3 32',
    ]);
    const finished = events.filter((e) => e.done === e.total);
    expect(new Set(finished.map((e) => e.total))).toEqual(new Set([n + 2, 2 * n]));
    expect(finished.length).toBe(2);
  });
});

describe('the wire', () => {
  it('carries the pinned bytes under seeded randomness', async () => {
    const { wire } = await run(somePoints(5, 0), somePoints(3, 2), { session: utf8('pin') });
    expect(wire.map((f) => [f.from, f.step, f.bytes.length])).toEqual([
      [0, 'blinded.0', 160],
      [1, 'evaluated.0', 160],
    ]);
    const digest = ref.sha512(...wire.map((f) => f.bytes)).subarray(0, 16);
    expect(toHex(digest)).toBe('6862c2b4fa89290520eb6cc980d80087');
  });

  it('shares no element between two runs on the same data', async () => {
    const points = somePoints(20, 0);
    const rngs = [systemRng, systemRng] as const;
    const runs = [await run(points, points, { rngs }), await run(points, points, { rngs })];
    const elements = runs.flatMap((r) => r.wire.flatMap((f) => split(f.bytes, 32)));
    expect(elements.length).toBe(80);
    expect(new Set(elements).size).toBe(80);
  });
});

/** Order 4 on the curve, 8 on the curve, 2; RFC 7748 leaves naming them to Wycheproof's list. */
const LOW_ORDER = {
  'order 2': ref.toLittle(0n),
  'order 4': ref.toLittle(1n),
  'order 8': ref.unhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
};

describe.each([
  ['blinded.0', 'the receiver'],
  ['evaluated.0', 'the sender'],
] as const)('a bad %s', (step, who) => {
  const cheat =
    (edit: (bytes: Uint8Array) => Uint8Array): Tap =>
    (f) =>
      f.step === step ? { ...f, bytes: edit(f.bytes) } : f;
  /** Replaces the third of five points. */
  const put = (u: Uint8Array) =>
    cheat((bytes) => {
      bytes.set(u, 64);
      return bytes;
    });
  const bad = (tap: Tap) => run(somePoints(5, 0), somePoints(2, 0), { tap });

  it.each([
    ['a point of the twist', ref.toLittle(2n)],
    ['u + p', ref.toLittle(9n + ref.P)],
    ['p itself', ref.toLittle(ref.P)],
    ['bit 255', ref.toLittle(9n + 2n ** 255n)],
    ...Object.entries(LOW_ORDER),
  ])(`blames ${who} for %s`, async (_, u) => {
    await expect(bad(put(u))).rejects.toMatchObject({
      code: 'PEER_BAD_ENCODING',
      fault: 'peer',
      detail: { step: `test/${step}` },
    });
  });

  it('accepts any other point of the curve', async () => {
    await expect(bad(put(ref.toLittle(9n)))).resolves.toBeDefined();
  });

  it.each([
    ['a byte less', (b: Uint8Array) => b.subarray(1)],
    ['a point more', (b: Uint8Array) => concat([b, b.subarray(0, 32)])],
    ['nothing', () => new Uint8Array(0)],
  ])(`blames ${who} for %s`, async (_, edit) => {
    await expect(bad(cheat(edit))).rejects.toMatchObject({ code: 'PEER_BAD_LENGTH' });
  });

  it('is not mistaken for another message', async () => {
    const tap: Tap = (f) => (f.step === step ? { ...f, step: `${step}0` } : f);
    await expect(bad(tap)).rejects.toMatchObject({ code: 'PEER_OUT_OF_STEP' });
  });
});

describe('contracts', () => {
  it('refuses equal points before anything is sent', async () => {
    const link = memoryLink();
    const twice = concat([somePoints(3, 0), somePoints(1, 1)]);
    await expect(ecdhOprf.receive(link.ends[0], twice, systemRng)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    expect(link.frames).toEqual([]);
  });

  it('finds the one equal pair among many', () => {
    const points = somePoints(3000, 0);
    expect(areDistinct(points)).toBe(true);
    points.copyWithin(2999 * POINT_BYTES, 17 * POINT_BYTES, 18 * POINT_BYTES);
    expect(areDistinct(points)).toBe(false);
  });

  it('draws 32 bytes at each end and nothing else', async () => {
    const drawn: number[] = [];
    const counted: Rng = (bytes) => {
      drawn.push(bytes);
      return systemRng(bytes);
    };
    await run(somePoints(3, 0), somePoints(3, 0), { rngs: [counted, counted] });
    expect(drawn).toEqual([32, 32]);
  });
});

interface RunOptions extends EcdhOprfOptions {
  readonly tap?: Tap;
  readonly path?: string;
  readonly rngs?: readonly [Rng, Rng];
}

type Outcome = Awaited<ReturnType<typeof run>>;

async function run(mine: Uint8Array, theirs: Uint8Array, options: RunOptions = {}) {
  const rngs = options.rngs ?? [seededRng('receiver'), seededRng('sender')];
  const link = memoryLink(options.tap, options.path);
  const oprf = createEcdhOprf(options);
  const calls: string[] = [];
  const [receiver, sender] = await runBoth(
    link,
    (channel) => oprf.receive(logged(channel, calls), mine, rngs[0]),
    (channel) => oprf.send(channel, mine.length / POINT_BYTES, theirs, new Uint32Array(0), rngs[1]),
  );
  return {
    receiver: split(receiver, KEY_BYTES),
    sender: split(sender, KEY_BYTES),
    wire: link.frames,
    calls,
  };
}

/** The channel, with what is asked of it written down in order. */
function logged(channel: Channel, calls: string[]): Channel {
  return {
    ...channel,
    send(step, bytes) {
      calls.push(`send ${step} ${bytes.length}`);
      return channel.send(step, bytes);
    },
    recv(step, bytes) {
      calls.push(`recv ${step} ${bytes}`);
      return channel.recv(step, bytes);
    },
  };
}

/** Points number `from` to `from + n`: a 32-byte hash, then an index of 0, 1 or 2. */
function somePoints(n: number, from: number): Uint8Array {
  return concat(
    Array.from({ length: n }, (_, i) =>
      concat([ref.sha512(u32be(from + i)).subarray(0, 32), Uint8Array.of((from + i) % 3)]),
    ),
  );
}

function pointsOf(points: Uint8Array): Uint8Array[] {
  return Array.from({ length: points.length / POINT_BYTES }, (_, i) =>
    points.subarray(i * POINT_BYTES, (i + 1) * POINT_BYTES),
  );
}

function split(bytes: Uint8Array, each: number): string[] {
  return Array.from({ length: bytes.length / each }, (_, i) =>
    toHex(bytes.subarray(i * each, (i + 1) * each)),
  );
}

/** F of OPRF-ECDH.md, one point at a time, on channel path `test`. */
function plainF(point: Uint8Array, key: Uint8Array, label: string): string {
  const session = ref
    .sha512(utf8('parley/psi/oprf-ecdh/v1/session'), u32be(label.length), utf8(label), utf8('test'))
    .subarray(0, 24);
  const dst = concat([utf8('PARLEY-PSI-V1-curve25519_XMD:SHA-512_ELL2_NU_'), session]);
  const u = ref.toLittle(ref.elligator2(ref.hashToField(point, dst)));
  const prefix = new Uint8Array(128);
  prefix.set(concat([utf8('parley/psi/oprf-ecdh/v1/output'), session]));
  return toHex(ref.sha512(prefix, point, nodeX25519(key, u)!).subarray(0, KEY_BYTES));
}
