import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { decodeRelayFrame, readdressed } from '../../src/transport/index.ts';

export interface RelayServer {
  readonly url: string;
  readonly sockets: WebSocket[];
  readonly received: Uint8Array[];
  /** From now on passes frames between these two. */
  link(a: string, b: string): void;
  close(): void;
}

/** The least that answers like a coordinator: welcomes everybody, echoes binary messages. */
export async function relayServer(refusal?: object): Promise<RelayServer> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  const sockets: WebSocket[] = [];
  const received: Uint8Array[] = [];
  const byName = new Map<string, WebSocket>();
  let linked = false;
  server.on('connection', (socket) => {
    sockets.push(socket);
    let name = '';
    socket.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      if (!isBinary) {
        const message = JSON.parse(bytes.toString()) as { type: string; party: string };
        if (message.type !== 'hello') return;
        name = message.party;
        byName.set(name, socket);
        socket.send(
          JSON.stringify(refusal ? { type: 'refused', error: refusal } : { type: 'welcome' }),
        );
        return;
      }
      received.push(bytes);
      const frame = decodeRelayFrame(bytes);
      const target = linked ? byName.get(frame.peer) : socket;
      target?.send(linked ? readdressed(bytes, frame, name) : bytes);
    });
    socket.send(JSON.stringify({ type: 'challenge', version: 1, nonce: '00'.repeat(32) }));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    sockets,
    received,
    link: () => (linked = true),
    close() {
      for (const socket of sockets) socket.terminate();
      server.close();
      http.close();
    },
  };
}
