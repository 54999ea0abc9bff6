// Goal: one plan, two backends: shares at the parties and an attested enclave give equal answers, spend
// from one ledger, and leave receipts that the same verifier accepts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EnclaveCalls, EnclaveHost } from '../../src/coordinator/index.ts';
import { formatBundle, formatTable, parseBundle, verifyBundle } from '../../src/client/index.ts';
import { reveal } from '../../src/core/redacted.ts';
import type { RulesPolicy } from '../../src/policy/types.ts';
import {
  connectEnclave,
  enclaveConnection,
  sealedInputBytes,
  superviseEnclaves,
  type Supervisor,
} from '../../src/tee-adapter/host/index.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import { testHost, withEnclave } from '../support/enclave-host.ts';
import { MEASUREMENT, simulator } from '../support/enclave-room.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const silent = { info: () => undefined, warn: () => undefined };
const KKRT: RulesPolicy = { ...OPEN_RULES, join: { ...OPEN_RULES.join, oprf: 'kkrt' } };

const TWO = [
  `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s
   FROM joined_data GROUP BY campaign_id`,
  `SELECT COUNT(*) AS n, AVG(items) AS a FROM joined_data
   WHERE exposure_date < purchase_date AND category = 'home'`,
];
const THREE = [
  `SELECT tier, COUNT(DISTINCT hashed_email) AS u, SUM(points) AS p
   FROM joined_data WHERE member_since < purchase_date GROUP BY tier`,
];

describe('equal answers, with noise and threshold off', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-tee-e2e-'));
  let supervisor: Supervisor;
  const socket = join(folder, 'host.sock');
  const processes = {
    connect: async () => enclaveConnection(await connectEnclave(socket)),
    inputBytes: sealedInputBytes,
  };
  beforeAll(async () => {
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, Buffer.from(reveal(simulator.privateKey)).toString('base64url'));
    const attester = ['simulated', keyFile, MEASUREMENT];
    supervisor = await superviseEnclaves({ socket, attester, log: silent });
  });
  afterAll(async () => {
    await supervisor.close();
    rmSync(folder, { recursive: true });
  });

  it.each([
    [2, TWO],
    [3, THREE],
  ])('%i parties, the enclave a process of its own', async (parties, queries) => {
    const rows = randomRows(dice(40 + parties), 40, 2, true);
    const policy = withEnclave(roomPolicy(KKRT, 2, parties));
    const room = await liveRoom(policy, rows, undefined, false, { enclaveHost: processes });
    try {
      for (const sql of queries) {
        const inEnclave = await room.client.answer(sql, { backend: 'tee' });
        const onShares = await room.client.answer(sql, { backend: 'mpc' });
        expect(inEnclave.planDigest).toBe(onShares.planDigest);
        expect(inEnclave.columns).toEqual(onShares.columns);
        expect(inEnclave.rows).toEqual(onShares.rows);
        // The comparison says something: there are values to compare.
        expect(JSON.stringify(onShares.rows)).toMatch(/[1-9]/);
        expect(inEnclave.labels).toEqual([SIMULATION_NOTICE, ...onShares.labels]);
        expect(formatTable(inEnclave).split('\n')[0]).toBe(`*** ${SIMULATION_NOTICE} ***`);
        const { attestation } = inEnclave;
        expect(attestation).toMatchObject({ tee: 'simulated', decision: 'accepted_simulated' });
        expect(onShares.attestation).toBeNull();
      }
    } finally {
      await room.close();
    }
  });
});

const NOISY: RulesPolicy = {
  ...KKRT,
  partition_selection: 'pre_threshold',
  min_privacy_units_per_group: 1,
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: '3',
    max_epsilon_per_query: '1',
    default_epsilon_per_query: '1',
    delta_budget: '1e-3',
    delta_per_query: '1e-5',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 4,
    noise_threshold_bits: 80,
  },
};

describe('with noise on', () => {
  const host = testHost();
  let room: LiveRoom;
  beforeAll(async () => {
    const rows = randomRows(dice(7), 40, 2, true);
    const policy = withEnclave(roomPolicy(NOISY, 2));
    room = await liveRoom(policy, rows, undefined, true, { enclaveHost: host });
  });
  afterAll(() => room.close());

  it('one ledger pays for both backends, and both receipts verify alike', async () => {
    const left: (string | null | undefined)[] = [];
    const asked = [
      ['tee', TWO[0]!],
      ['mpc', TWO[0]!],
      ['tee', TWO[1]!],
    ] as const;
    for (const [backend, sql] of asked) {
      const answer = await room.client.answer(sql, { backend });
      left.push(answer.budgetLeft?.epsilon);
      const file = formatBundle(answer.bundle);
      const report = verifyBundle(parseBundle(file), { policyDigest: room.client.policyDigest });
      expect(report.error).toBeNull();
      expect(report.genuine).toBe(true);
      const simulated = report.checks.some(({ says }) => says.includes(SIMULATION_NOTICE));
      expect(simulated).toBe(backend === 'tee');
    }
    expect(left).toEqual(['2', '1', '0']);
    for (const backend of ['tee', 'mpc'] as const) {
      const fresh = 'SELECT COUNT(*) AS n FROM joined_data';
      await expect(room.client.answer(fresh, { backend })).rejects.toMatchObject({
        code: 'BUDGET_EXHAUSTED',
      });
      // What was answered is answered again for nothing.
      const again = await room.client.answer(TWO[0]!, { backend });
      expect(again).toMatchObject({ epsilonSpent: '0', replayOf: expect.any(String) as string });
    }
    // Refused before anybody paid, and before any enclave was started.
    expect(host.started).toBe(2);
  });
});

describe('an enclave that dies in the middle of its run', () => {
  it('fails the query, keeps the charge, and nobody consents again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-tee-dies-'));
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, Buffer.from(reveal(simulator.privateKey)).toString('base64url'));
    const socket = join(folder, 'host.sock');
    const pids: number[] = [];
    const info = (fields: object, message: string): void => {
      if (message.includes('started')) pids.push((fields as { readonly pid: number }).pid);
    };
    const attester = ['simulated', keyFile, MEASUREMENT];
    const supervisor = await superviseEnclaves({ socket, attester, log: { ...silent, info } });
    const host: EnclaveHost = {
      inputBytes: sealedInputBytes,
      connect: async () => {
        const calls = enclaveConnection(await connectEnclave(socket));
        const run: EnclaveCalls['run'] = (call) => {
          const answer = calls.run(call);
          process.kill(pids.at(-1)!, 'SIGKILL');
          return answer;
        };
        return { ...calls, run };
      },
    };
    const rows = randomRows(dice(5), 30, 2, true);
    const policy = withEnclave(roomPolicy(NOISY, 2));
    const room = await liveRoom(policy, rows, undefined, false, { enclaveHost: host });
    try {
      const queryId = 'an-enclave-that-dies';
      const ask = () => room.client.answer(TWO[0]!, { backend: 'tee', queryId });
      await expect(ask()).rejects.toMatchObject({ code: 'ENCLAVE_AWAY' });
      // The same id is the same record: no other enclave, no other charge.
      await expect(ask()).rejects.toMatchObject({ code: 'ENCLAVE_AWAY' });
      expect(pids).toHaveLength(1);
      const answer = await room.client.answer(TWO[0]!, { backend: 'mpc' });
      expect(answer.budgetLeft?.epsilon).toBe('1');
    } finally {
      await room.close();
      await supervisor.close();
      rmSync(folder, { recursive: true });
    }
  });
});

it('an input of many frames, taken slowly, arrives whole: the sender is held back and goes on', async () => {
  const rows = randomRows(dice(8), 40, 2, true);
  const sizes = (maxUsers: number) => {
    const policy = withEnclave(roomPolicy(KKRT, 2));
    const parties = policy.parties.map((party) => ({
      ...party,
      tables: Object.fromEntries(
        Object.entries(party.tables).map(([name, t]) => [name, { ...t, max_users: maxUsers }]),
      ),
    }));
    return { ...policy, parties };
  };
  const answers: unknown[] = [];
  let chunks = 0;
  for (const maxUsers of [64, 150_000]) {
    const host = testHost();
    host.mischief = ({ putInput }) => ({
      putInput: (call, bytes, input) => putInput(call, bytes, slowly(input)),
    });
    const slowly = async function* (input: AsyncIterable<Uint8Array>) {
      for await (const chunk of input) {
        // Slower than frames come in, so that more than 1 MiB waits and the socket is paused.
        await new Promise((go) => setTimeout(go, 10));
        chunks += 1;
        yield chunk;
      }
    };
    const room = await liveRoom(sizes(maxUsers), rows, undefined, false, { enclaveHost: host });
    try {
      answers.push((await room.client.answer(TWO[0]!, { backend: 'tee' })).rows);
    } finally {
      await room.close();
    }
  }
  expect(answers[1]).toEqual(answers[0]);
  // Two parties: one frame each, then 150,000 users at some 50 bytes each in frames of 256 KiB.
  expect(chunks).toBeGreaterThan(50);
});

it('a room of enclaves alone asks one unless told otherwise, and runs nothing on shares', async () => {
  const policy = withEnclave(roomPolicy(KKRT, 1));
  const execution = { ...policy.execution, backends: ['tee'] } as const;
  const rows = randomRows(dice(6), 10, 1, true);
  const room = await liveRoom({ ...policy, execution }, rows, undefined, false, {
    enclaveHost: testHost(),
  });
  try {
    expect((await room.client.answer(TWO[1]!)).backend).toBe('tee');
    const onShares = room.client.answer(TWO[1]!, { backend: 'mpc' });
    await expect(onShares).rejects.toMatchObject({ code: 'BACKEND_NOT_ALLOWED' });
    const ahead = room.client.prepare(TWO[1]!);
    await expect(ahead).rejects.toMatchObject({ code: 'BACKEND_NOT_ALLOWED' });
  } finally {
    await room.close();
  }
});

describe('refused before anybody pays', () => {
  it('a backend that the policy does not list', async () => {
    const rows = randomRows(dice(3), 5, 1, true);
    const room = await liveRoom(roomPolicy(KKRT, 1), rows);
    try {
      await expect(room.client.answer(TWO[1]!, { backend: 'tee' })).rejects.toMatchObject({
        code: 'BACKEND_NOT_ALLOWED',
      });
    } finally {
      await room.close();
    }
  });

  it.each([
    ['has none', null],
    ['has one that does not start', ['simulated', '/nowhere/key', MEASUREMENT]],
  ])('an enclave in a room whose operator %s: the budget is whole afterwards', async (_, told) => {
    const rows = randomRows(dice(4), 30, 1, true);
    const socket = join(mkdtempSync(join(tmpdir(), 'parley-no-enclave-')), 'host.sock');
    const supervisor =
      told === null ? null : await superviseEnclaves({ socket, attester: told, log: silent });
    const enclaveHost: EnclaveHost = {
      inputBytes: sealedInputBytes,
      connect: async () => enclaveConnection(await connectEnclave(socket)),
    };
    const extras = supervisor === null ? {} : { enclaveHost };
    const policy = withEnclave(roomPolicy(NOISY, 2));
    const room = await liveRoom(policy, rows, undefined, false, extras);
    try {
      await expect(room.client.answer(TWO[0]!, { backend: 'tee' })).rejects.toMatchObject({
        code: 'ENCLAVE_AWAY',
      });
      const answer = await room.client.answer(TWO[0]!, { backend: 'mpc' });
      expect(answer.budgetLeft?.epsilon).toBe('2');
    } finally {
      await room.close();
      await supervisor?.close();
      rmSync(dirname(socket), { recursive: true });
    }
  });
});
