// The join from raw identifiers to shared match bits, base OTs included; half of each side's ids are
// on both.
import { systemRng } from '../src/core/rng.ts';
import { helpersOf } from '../src/party/run/helpers.ts';
import { hashIdentifiers } from '../src/party/store/identifiers.ts';
import { createTripleSource, extendOts, setUpOts } from '../src/protocols/ot/index.ts';
import { createEcdhOprf, createKkrtOprf, runPivot, runSender } from '../src/protocols/psi/index.ts';
import { createSharing } from '../src/protocols/sharing/index.ts';
import { twoParty } from '../test/support/two-party.ts';
import { bitOf, openBits, wrong } from './kit/check.ts';
import { benchTask } from './kit/main.ts';
import { peerChannel, SESSION, type Output, type Task } from './kit/task.ts';

export const task: Task = {
  name: 'join',
  unit: 'id',
  cases: ['ecdh', 'kkrt'],
  n: [1000, 10_000, 100_000],
  k: [2],
  runs: 3,
  // Threads of each party beside its own, for the curve work of ECDH.
  extras: { helpers: ['1'] },
  inLockstep: { helpers: '0' },
  // Beyond this ECDH is minutes of exponentiations.
  skip: ({ case: kind, n }) => kind === 'ecdh' && n > 20_000,
  async open(end, { case: kind, extra, k, n }) {
    const party = end.party === 0 ? 0 : 1;
    const channel = peerChannel(end);
    const raw = Array.from({ length: n }, (_, i) => `person${i + (party * n) / 2}@example.com`);
    const rng = systemRng;
    let at = 0;
    return async () => {
      const root = channel.sub(`${at++}`);
      const hashed = hashIdentifiers(new Uint8Array(32), 'email', raw);
      const ids = new Uint8Array(
        Buffer.concat(hashed.map((id) => id || wrong('a bad identifier'))),
      );
      const seeds = await setUpOts({
        channel: root.sub('base'),
        party,
        k,
        sessionId: SESSION,
        rng,
      });
      const pair = extendOts({ channel: root.sub('ot'), seeds, sessionId: SESSION });
      const sharing = createSharing({
        ...twoParty(party, root.sub('gates'), pair),
        triples: createTripleSource({ pair, rng }),
        rng,
      });
      const options = { session: SESSION, pair };
      const ecdh = { ...options, helpers: helpersOf(Number(extra['helpers'])) };
      const oprf = kind === 'kkrt' ? createKkrtOprf(options) : createEcdhOprf(ecdh);
      const seed = new Uint8Array(16).fill(2);
      const context = { sharing, channel: root.sub('psi'), oprf, seed, rng };
      const params = { pivotCapacity: n, senderCapacity: n, xorBytes: 0, ringLanes: 0 };
      const none = new Uint8Array(0);
      const input = { ids, payloadXor: none, payloadRing: none };
      const run = party === 0 ? runPivot : runSender;
      const { match, rows } = await run(context, params, input);
      return { match, rows };
    };
  },
  check(outputs, { n }) {
    const match = openBits(outputs.map((o: Output) => o['match'] as Uint8Array));
    let matched = 0;
    for (let row = 0; row < (outputs[0]!['rows'] as number); row += 1) matched += bitOf(match, row);
    if (matched !== n / 2) wrong(`${matched} of ${n / 2} match`);
  },
};

await benchTask(task, import.meta.url);
