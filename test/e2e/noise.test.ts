// Goal: the noise that two real processes draw follows the exact discrete Laplace law, and the same
// test fails when one party's random bits are fixed and the other's are left out.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientOf } from '../../src/cli/sandbox.ts';
import type { Room } from '../../src/cli/room.ts';
import { openRoom } from '../../src/cli/room.ts';
import { rational } from '../../src/core/rational.ts';
import { discreteLaplace as lawOf } from '../../src/dp/index.ts';
import { discreteLaplace } from '../../src/protocols/sharing/index.ts';
import { chiSquareTail, laplaceChiSquare } from '../support/chi-square.ts';
import type { EngineRoom } from '../support/engine.ts';
import { engineRoom } from '../support/engine.ts';
import { runAll } from '../support/memory-channel.ts';

const GROUPS = 250;
const QUERIES = 10;
const MEASURES = 4;
/** privacy.md section 7, test 7. */
const P_MIN = 1e-9;

const policyYaml = `
version: 1
room: noise
parties:
  - name: left
    tables:
      l:
        privacy_unit_column: { name: id, kind: exact }
        max_users: ${GROUPS}
        max_rows_per_user: 1
        columns:
          g: { type: text, values: [${Array.from({ length: GROUPS }, (_, g) => `g${g}`).join(', ')}] }
          a: { type: integer, lower: "0", upper: "1", nullable: true }
  - name: right
    tables:
      r:
        privacy_unit_column: { name: id, kind: exact }
        max_users: ${GROUPS}
        max_rows_per_user: 1
        columns: { b: { type: integer, lower: "0", upper: "1", nullable: true } }
views: { v: { join: [l, r], privacy_unit_alias: id } }
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT]
  min_privacy_units_per_group: 1
  partition_selection: exact_k
  differential_privacy:
    noise_mechanism: discrete_laplace
    epsilon_budget: "${MEASURES * QUERIES}"
    max_epsilon_per_query: "${MEASURES}"
    delta_budget: "1e-6"
    max_partitions_contributed: 1
    max_contributions_per_partition: 1
  join: { oprf: ecdh }
  size_disclosure: declared
  cache_identical_queries: false
execution: { backends: [mpc], tee: null }
`;

const SQL = `SELECT g, COUNT(DISTINCT id) AS u, COUNT(*) AS n, COUNT(a) AS na, COUNT(b) AS nb FROM v GROUP BY g`;

describe('through two node processes', () => {
  let dir = '';
  let room: Room;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'parley-noise-'));
    writeFileSync(join(dir, 'policy.yaml'), policyYaml);
    for (const [party, header, cell] of [
      ['left', 'id,g,a', (g: number) => `user${g},g${g},1`],
      ['right', 'id,b', (g: number) => `user${g},1`],
    ] as const) {
      mkdirSync(join(dir, 'data', party), { recursive: true });
      const lines = Array.from({ length: GROUPS }, (_, g) => cell(g));
      writeFileSync(
        join(dir, 'data', party, `${party[0]!}.csv`),
        `${[header, ...lines].join('\n')}\n`,
      );
    }
    room = await openRoom({ directory: dir });
  }, 120_000);
  afterAll(async () => {
    await room.close();
    rmSync(dir, { recursive: true });
  });

  it(`draws ${GROUPS * MEASURES * QUERIES} cells of the law at epsilon 1 each`, async () => {
    const noise: number[] = [];
    for (let q = 0; q < QUERIES; q += 1) {
      const { rows } = await clientOf(room).answer(SQL, { epsilon: `${MEASURES}` });
      expect(rows).toHaveLength(GROUPS);
      for (const { cells } of rows) {
        // Every group holds exactly one user, one pair, one non-NULL a and b.
        for (const cell of cells.slice(1)) noise.push(Number(cell.value) - 1);
      }
    }
    expect(noise).toHaveLength(GROUPS * MEASURES * QUERIES);
    const { statistic, degrees } = laplaceChiSquare(noise, 1);
    expect(degrees).toBeGreaterThan(5);
    expect(chiSquareTail(statistic, degrees)).toBeGreaterThan(P_MIN);
  }, 300_000);
});

describe('the test of the test', () => {
  const law = lawOf(rational(1n), 1n, 64);
  const ROWS = 10_000;
  const rooms = new Map<number, EngineRoom>();
  beforeAll(async () => {
    for (const parties of [2, 3]) rooms.set(parties, await engineRoom({ parties }));
  });

  async function draw(bitsOf: readonly (number | null)[]): Promise<number[]> {
    const room = rooms.get(bitsOf.length)!;
    const meshes = room.meshes();
    const shares = await runAll(room.links, (side) => {
      const fill = bitsOf[side] ?? null;
      const { sharing } = meshes[side]!;
      const weak =
        fill === null ? sharing : { ...sharing, rng: (n: number) => new Uint8Array(n).fill(fill) };
      return discreteLaplace(weak, [law], new Int32Array(ROWS), ROWS);
    });
    return Array.from({ length: ROWS }, (_, r) => {
      let value = 0n;
      for (let bit = 0; bit < 64; bit += 1) {
        const coin = shares.reduce((sum, word) => sum ^ (word[bit]![r >> 3]! >> (r & 7)), 0) & 1;
        value |= BigInt(coin) << BigInt(bit);
      }
      return Number(BigInt.asIntN(64, value));
    });
  }

  it.each<[string, readonly (number | null)[], boolean]>([
    ['both honest', [null, null], true],
    ["one party's bits fixed, the other honest", [0xff, null], true],
    ["one party's bits fixed, the other's left out", [0xa5, 0], false],
    ['two of three fixed, the third honest', [0xff, 0xa5, null], true],
    ['two of three left out, the third fixed', [0, 0, 0xa5], false],
  ])('%s', async (_, bitsOf, passes) => {
    const { statistic, degrees } = laplaceChiSquare(await draw(bitsOf), 1);
    expect(chiSquareTail(statistic, degrees) > P_MIN).toBe(passes);
  });
});
