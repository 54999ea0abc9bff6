// Stands between a real party node and a real coordinator: sees every control message both ways and
// may add orders of its own. A coordinator that is hostile can do no more than this.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

type Message = Readonly<Record<string, unknown>> & { readonly type: string };

export interface HostileRelay {
  readonly url: string;
  /** What the party said, in order. */
  readonly reports: Message[];
  /** What the party was told, in order. */
  readonly orders: Message[];
  /** Binary frames from the party: pieces of its input. */
  frames: number;
  /** Orders to put after one that passes. */
  after: (order: Message) => readonly Message[];
  /** Says something to the party out of nothing. */
  say(order: Message): void;
  close(): Promise<void>;
}

export async function hostileRelay(coordinatorUrl: string): Promise<HostileRelay> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  let last: WebSocket | null = null;
  const relay: HostileRelay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reports: [],
    orders: [],
    frames: 0,
    after: () => [],
    say: (order) => last?.send(JSON.stringify(order)),
    close: async () => {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
  server.on('connection', (party) => {
    last = party;
    const up = new WebSocket(`${coordinatorUrl.replace('http', 'ws')}/v1/party`);
    const waiting: [Buffer, boolean][] = [];
    up.on('open', () => {
      for (const [data, binary] of waiting.splice(0)) up.send(data, { binary });
    });
    party.on('message', (data: Buffer, binary) => {
      if (binary) relay.frames += 1;
      else relay.reports.push(JSON.parse(data.toString()) as Message);
      if (up.readyState === up.OPEN) up.send(data, { binary });
      else waiting.push([data, binary]);
    });
    up.on('message', (data: Buffer, binary) => {
      party.send(data, { binary });
      if (binary) return;
      const order = JSON.parse(data.toString()) as Message;
      relay.orders.push(order);
      for (const more of relay.after(order)) party.send(JSON.stringify(more));
    });
    up.on('error', () => party.terminate());
    up.on('close', () => party.close());
    party.on('close', () => up.close());
  });
  return relay;
}
