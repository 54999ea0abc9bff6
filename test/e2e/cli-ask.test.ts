// Goal: explain, template and approve as a person calls them: what they print, write and refuse.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatPacket, saveKeys } from '../../src/policy/index.ts';
import { begin, killAll, type Finished } from '../support/command.ts';
import { examplePolicy } from '../support/example-room.ts';
import { signRoom } from '../support/live-room.ts';

const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS people FROM joined_data';
const COUNT = { name: 'people', sql: SQL, parameters: {} } as const;

let dir = '';
let packet = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-cli-ask-'));
  packet = join(dir, 'packet.json');
  const queries = { mode: 'approved', templates: [COUNT] } as const;
  const room = signRoom(examplePolicy('three-parties', { queries }));
  writeFileSync(packet, formatPacket(room.packet));
  saveKeys(join(dir, 'shopgood.json'), room.keys['shopgood']!);
  saveKeys(join(dir, 'ana.json'), room.analystKeys);
});
afterAll(() => {
  killAll();
  rmSync(dir, { recursive: true });
});

const run = (...args: string[]): Promise<Finished> => begin(args, {}).finished;

describe('parley explain', () => {
  it('explains a draft as a tree', async () => {
    const { code, stdout } = await run(
      ...['explain', 'examples/three-parties', '--no-cost'],
      "SELECT COUNT(DISTINCT hashed_email) AS people FROM joined_data WHERE tier = 'gold'",
    );
    expect(code).toBe(0);
    expect(stdout).toContain('keeps rows where tier = gold; in clear, at pointsplus');
    expect(stdout).toMatch(/people: ± \d+/);
    expect(stdout).toContain('who learns what');
  });

  it('explains a packet in JSON and finds the epsilon for an error', async () => {
    const json = await run('explain', '--policy', packet, '--format', 'json', SQL);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({
      queries: 'approved',
      price: { epsilon: '1/2' },
      columns: [{ name: 'people', half_width: expect.any(String) as string }],
      cost: { shards: 1, bytes: { shopgood: expect.any(Number) as number } },
    });
    const needed = await run(
      ...['explain', 'examples/three-parties', '--target-error', '5%', '--group-size', '200'],
      SQL,
    );
    expect(needed.stdout).toMatch(/^epsilon 0\.\d{3} gives 5% or better/);
  });

  it('refuses what cannot be asked with 2, and wrong usage with 64', async () => {
    const select = 'SELECT * FROM joined_data';
    const refused = await run('explain', '--policy', packet, '--format', 'json', select);
    expect(refused.code).toBe(2);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'SQL_SELECT_STAR' } });
    for (const args of [
      [SQL],
      ['--policy', packet, 'examples/three-parties', SQL],
      ['--policy', packet, '--target-error', '5%', SQL],
      ['--policy', packet, '--target-error', '5', '--group-size', '9', SQL],
    ]) {
      expect((await run('explain', ...args)).code).toBe(64);
    }
  }, 30_000);
});

describe('parley template', () => {
  it('lists the library, or what a packet pins, and shows the SQL', async () => {
    expect((await run('template', 'list')).stdout).toMatch(/attribution_last_touch +Campaign/);
    expect((await run('template', 'list', '--policy', packet)).stdout.trim()).toBe('people');
    const shown = await run('template', 'show', 'reach');
    expect(shown.stdout).toContain('FROM :exposures x');
    expect(shown.stdout).toContain('campaign = campaign_id');
    expect((await run('template', 'show', 'nothing')).code).toBe(2);
  }, 30_000);

  it('fills parameters in and refuses bad ones', async () => {
    const reach = ['template', 'run', 'reach', 'examples/templates', '--sql', '--param'];
    const good = await run(...reach, 'from=2025-10-01');
    expect(good.stdout).toContain(`BETWEEN DATE '2025-10-01' AND DATE '2026-12-31'`);
    const bad = await run(...reach, "from=2025-10-01' OR '1'='1");
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('TEMPLATE_PARAMETER');
    expect((await run('template', 'run', 'reach')).code).toBe(64);
  }, 30_000);
});

describe('parley template run --backend', () => {
  it('asks the backend it is told, which the policy must list; another word is wrong usage', async () => {
    const asks = ['template', 'run', 'people', '--policy', packet, '--analyst', 'ana'];
    // Nothing listens there: what is refused is refused before anything is sent.
    const there = ['--keys', join(dir, 'ana.json'), '--coordinator', 'http://127.0.0.1:9'];
    const refused = await run(...asks, ...there, '--format', 'json', '--backend', 'tee');
    expect(refused.code).toBe(2);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      error: { code: 'BACKEND_NOT_ALLOWED', detail: { fragment: 'tee' } },
    });
    expect((await run(...asks, ...there, '--backend', 'gpu')).code).toBe(64);
  }, 30_000);
});

describe('parley approve', () => {
  it('signs an approval into the state folder, lists it, and wants its own keys', async () => {
    const state = join(dir, 'state');
    const own = ['--policy', packet, '--keys', join(dir, 'shopgood.json'), '--state', state];
    const approved = await run('approve', SQL, ...own, '--party', 'shopgood', '--runs', '2');
    expect(approved.code).toBe(0);
    const [file = ''] = readdirSync(join(state, 'approvals'));
    const { document } = JSON.parse(readFileSync(join(state, 'approvals', file), 'utf8')) as {
      document: Record<string, unknown>;
    };
    expect(document).toMatchObject({ party: 'shopgood', analyst: 'ana', runs: 2, expires: null });
    expect(approved.stdout).toContain(document['plan_digest']);
    const explained = await run('explain', '--policy', packet, '--no-cost', SQL);
    expect(explained.stdout).toContain(`plan ${String(document['plan_digest'])}`);
    const listed = await run('approve', '--list', ...own, '--party', 'shopgood');
    expect(listed.stdout.trim()).toBe(`${String(document['plan_digest'])} ana 0 of 2 used`);
    const foreign = await run('approve', SQL, ...own, '--party', 'newsnow');
    expect([foreign.code, foreign.stderr]).toEqual([2, expect.stringContaining('POLICY_FOREIGN')]);
    expect((await run('approve', ...own, '--party', 'shopgood')).code).toBe(64);
  }, 30_000);
});
