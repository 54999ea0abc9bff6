// What all parties but one receive and hold of a run, taken apart by kind of message.
import type { OutputShare } from '../../src/engine/types.ts';
import type { OpprfRows } from '../../src/protocols/psi/opprf-steps.ts';
import type { Frame, MemoryMesh } from './memory-channel.ts';

/** A hint as the pivot decoded it. */
export interface Decoded {
  readonly hintSeed: Uint8Array;
  readonly rows: OpprfRows;
}

/** Everything recorded of one run, by whoever holds it. */
export interface Recorded {
  readonly links: MemoryMesh;
  readonly decoded: readonly Decoded[];
  readonly shares: readonly OutputShare[];
}

/** The joint view of all parties but `honest`: bytes by kind, and the shape of what was sent. */
export interface View {
  readonly kinds: ReadonlyMap<string, Uint8Array>;
  readonly shape: readonly string[];
}

interface Sent {
  readonly from: number;
  readonly to: number;
  readonly frame: Frame;
}

/** Messages whose bytes are no secret's mask. Everything else must be uniform. */
const CONSTANT = /\/done$/;

/** Streams of gates among all parties. */
const GATES = /\/gates$/;

/** Bytes of a decoded tag in memory of which every bit is used, at the sizes of these tests. */
const WHOLE_TAG_BYTES = 6;

export function viewOf({ links, decoded, shares }: Recorded, honest: number): View {
  const sent = sentFrames(links);
  const own = sent.filter(({ from }) => from === honest);
  const kinds = new Map<string, Uint8Array[]>();
  const add = (kind: string, bytes: Uint8Array): void => {
    kinds.set(kind, [...(kinds.get(kind) ?? []), bytes]);
  };
  const first = own.find(({ frame }) => GATES.test(frame.path))?.to;
  for (const { to, frame } of own) {
    const kind = `sent ${nameOf(frame)}`;
    // What a gate of all opens goes to everybody alike; it is counted once.
    const again = GATES.test(frame.path) && to !== first;
    if (!CONSTANT.test(kind) && !again) add(kind, frame.bytes);
  }
  for (const opened of openings(sent, honest)) {
    for (const [i, bytes] of opened.entries()) {
      add('opened (d, e)', bytes);
      // A mask used twice cancels here and leaves the difference of two secrets.
      const next = opened[i + 1];
      if (next !== undefined) add('opened differences', xorShorter(bytes, next));
    }
  }
  const seeds = own.filter(({ frame }) => frame.step === 'hint-seed');
  for (const { hintSeed, rows } of decoded) {
    if (!seeds.some(({ frame }) => Buffer.compare(frame.bytes, hintSeed) === 0)) continue;
    if (rows.xorShare.length > 0) add('decoded payload bits', rows.xorShare);
    if (rows.ringShare.length > 0) add('decoded payload values', rows.ringShare);
    add('decoded tags', wholeTags(rows.tags));
  }
  add('output share', shares[honest]!.cells);
  add('output shares of the others', xorAll(shares.filter((_, i) => i !== honest)));
  return {
    kinds: new Map([...kinds].map(([kind, parts]) => [kind, new Uint8Array(Buffer.concat(parts))])),
    shape: own.map(({ to, frame }) => `${to} ${nameOf(frame)} ${frame.bytes.length}`),
  };
}

/** All frames, each stream in order, streams by receiver and path. */
function sentFrames(links: MemoryMesh): Sent[] {
  return links.links
    .flatMap(({ i, j, link }) =>
      link.frames.map((frame) => {
        const [from, to] = frame.from === 0 ? [i, j] : [j, i];
        return { from, to, frame };
      }),
    )
    .map((sent, index) => ({ sent, index }))
    .sort(
      (a, b) =>
        a.sent.from - b.sent.from ||
        a.sent.to - b.sent.to ||
        compare(a.sent.frame.path, b.sent.frame.path) ||
        a.index - b.index,
    )
    .map(({ sent }) => sent);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `s0.a0/psi/oprf/corrections`, without the run. */
function nameOf({ path, step }: Frame): string {
  return `${path.replace(/^test\/run\d+\//, '')}/${step}`;
}

/**
 * What ANDs opened, stream by stream: the XOR of what all parties of the gate sent. Gates of two are
 * on `pair`, of all on `gates`, where everybody sends the same to all others.
 */
function openings(sent: readonly Sent[], honest: number): Uint8Array[][] {
  const ands = sent.filter(({ frame }) => frame.step === 'and');
  const streams = [...new Set(ands.map(({ frame }) => frame.path))];
  return streams.flatMap((path) => {
    const here = ands.filter(({ frame }) => frame.path === path);
    const from = (a: number, b: number): Uint8Array[] =>
      here.filter((s) => s.from === a && s.to === b).map(({ frame }) => frame.bytes);
    const peers = [...new Set(here.filter((s) => s.from === honest).map(({ to }) => to))];
    if (peers.length === 0) return [];
    const gates = GATES.test(path) ? [peers] : peers.map((peer) => [peer]);
    return gates.map((others) =>
      from(honest, others[0]!).map((own, i) =>
        others.reduce((sum, peer) => xorShorter(sum, from(peer, honest)[i]!), own),
      ),
    );
  });
}

function xorShorter(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: Math.min(a.length, b.length) }, (_, i) => a[i]! ^ b[i]!);
}

function xorAll(shares: readonly OutputShare[]): Uint8Array {
  return shares.map(({ cells }) => cells).reduce(xorShorter);
}

function wholeTags(tags: Uint8Array): Uint8Array {
  return tags.filter((_, i) => i % 8 < WHOLE_TAG_BYTES);
}
