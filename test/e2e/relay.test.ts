// Goal: nothing the coordinator relays, answers or stores holds an identifier, a hash, a share that opens
// or a result; and all messages are the same in number, order and size whatever the tables hold.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { openShare } from '../../src/records/index.ts';
import type { QueryRecord } from '../../src/records/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { hashIdentifiers } from '../../src/party/store/index.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import type { Row } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent
  FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const REVENUE = '48211.37';

/** Every WebSocket message of this process, whichever end sent it, and every HTTP body. */
const recorded: Buffer[] = [];
// eslint-disable-next-line @typescript-eslint/unbound-method -- put back below, called with its own `this`
const emit = WebSocket.prototype.emit;
WebSocket.prototype.emit = function (this: WebSocket, event: string | symbol, ...args: unknown[]) {
  if (event === 'message') {
    const data = args[0] as Buffer | Buffer[] | ArrayBuffer;
    if (Array.isArray(data)) recorded.push(...data.map((part) => Buffer.from(part)));
    else recorded.push(Buffer.from(data as Buffer));
  }
  return emit.call(this, event, ...args);
} as typeof emit;
afterAll(() => {
  WebSocket.prototype.emit = emit;
});

const recordingFetch: typeof fetch = async (input, init) => {
  if (typeof init?.body === 'string') recorded.push(Buffer.from(init.body));
  const response = await fetch(input, init);
  const body = Buffer.from(await response.clone().arrayBuffer());
  recorded.push(body);
  return response;
};

const purchase = (email: string, spent: string): Row => ({
  email,
  purchase_date: '2025-10-12',
  total_spent: spent,
  items: '3',
  category: 'home',
  online: 'true',
});
const exposure = (email: string): Row => ({
  email,
  campaign_id: 'sg_fall25',
  exposure_date: '2025-10-05',
  seconds: '12.5',
  clicked: 'true',
});
const people = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}.person${i}@example.com`);

function storedBytes(room: LiveRoom): Buffer {
  const folder = join(room.dir, 'coordinator');
  const files = readdirSync(folder, { recursive: true }).map((f) => join(folder, String(f)));
  return Buffer.concat(files.filter((f) => statSync(f).isFile()).map((f) => readFileSync(f)));
}

/** All forms in which bytes may stand in a message. */
function formsOf(bytes: Uint8Array): Buffer[] {
  const b = Buffer.from(bytes);
  return [
    b,
    Buffer.from(b.toString('hex')),
    Buffer.from(b.toString('base64').replaceAll('=', '')),
    Buffer.from(b.toString('base64url')),
  ];
}

function holdsAny(haystack: Buffer, needles: readonly Buffer[]): boolean {
  return needles.some((needle) => haystack.includes(needle));
}

it('relays and stores no identifier, hash, opening share or result', async () => {
  recorded.length = 0;
  const emails = people('alice', 30);
  const room = await liveRoom(
    roomPolicy(OPEN_RULES, 2),
    {
      purchases: emails.map((email, i) => purchase(email, i === 0 ? REVENUE : '0.00')),
      exposures: emails.map(exposure),
    },
    recordingFetch,
  );
  try {
    const seen: QueryRecord[] = [];
    const answer = await room.client.answer(SQL, { onProgress: (record) => seen.push(record) });
    expect(answer.rows.map((row) => row.cells.map((cell) => cell.value))).toEqual([
      ['sg_fall25', 30, REVENUE],
    ]);
    const haystack = Buffer.concat([...recorded, storedBytes(room)]);
    expect(recorded.length).toBeGreaterThan(50);
    // The search itself works: what must be there is found.
    expect(haystack.includes(Buffer.from(answer.queryId))).toBe(true);
    expect(haystack.includes(Buffer.from(answer.planDigest))).toBe(true);

    const salt = fromHex(room.policy.identifier_salt, 32);
    const needles: Buffer[] = [];
    for (const email of emails) {
      needles.push(Buffer.from(email));
      const hash = hashIdentifiers(salt, 'email', [email])[0] as Uint8Array;
      needles.push(...formsOf(hash), Buffer.from(hash.slice(0, 8)));
      needles.push(...formsOf(createHash('sha256').update(email).digest()));
    }
    expect(holdsAny(haystack, needles)).toBe(false);
    expect(holdsAny(Buffer.concat([haystack, needles[1]!]), needles)).toBe(true);

    const { answers, gos } = seen.at(-1)!;
    expect(gos).toHaveLength(2);
    const shares = await Promise.all(
      answers.map(({ receipt: { document }, sealed }) =>
        openShare(sealed, room.analystKeys.sealing.privateKey, document),
      ),
    );
    expect(shares).toHaveLength(2);
    const cells = shares[0]!.map((byte, i) => byte ^ shares[1]![i]!).slice(-48);
    const revenue = Buffer.alloc(8);
    revenue.writeBigInt64LE(4_821_137n);
    expect(Buffer.from(cells).includes(revenue)).toBe(true);
    const opening = [
      ...shares.map((s) => Buffer.from(s.slice(-48))),
      revenue,
      Buffer.from(REVENUE),
      Buffer.from('4821137'),
    ];
    expect(holdsAny(haystack, opening)).toBe(false);
  } finally {
    await room.close();
  }
});

it('sends the same messages for disjoint, equal and empty tables', async () => {
  const tables = {
    equal: {
      purchases: people('a', 20).map((e) => purchase(e, '5.00')),
      exposures: people('a', 20).map(exposure),
    },
    disjoint: {
      purchases: people('a', 20).map((e) => purchase(e, '5.00')),
      exposures: people('b', 9).map(exposure),
    },
    empty: { purchases: [], exposures: [] },
  };
  const shapes: unknown[] = [];
  for (const rows of Object.values(tables)) {
    const room = await liveRoom(roomPolicy(OPEN_RULES, 2), rows);
    try {
      const { queryId } = await room.client.answer(SQL);
      shapes.push(
        [...room.traces].map(([party, events]) => {
          const byPath = new Map<string, string[]>();
          for (const { direction, path, step, bytes } of events) {
            const key = `${direction} ${path.replace(queryId, 'q')}`;
            byPath.set(key, [...(byPath.get(key) ?? []), `${step}:${bytes}`]);
          }
          return [party, [...byPath].sort(([a], [b]) => (a < b ? -1 : 1))];
        }),
      );
    } finally {
      await room.close();
    }
  }
  expect(JSON.stringify(shapes[0]).length).toBeGreaterThan(1000);
  expect(shapes[1]).toEqual(shapes[0]);
  expect(shapes[2]).toEqual(shapes[0]);
});
