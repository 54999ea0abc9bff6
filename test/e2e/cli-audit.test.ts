// Goal: `parley audit` and `parley explain --privacy` as a person and a program call them.
import { afterAll, describe, expect, it } from 'vitest';
import type { Finished } from '../support/command.ts';
import { begin, killAll } from '../support/command.ts';

afterAll(killAll);
const run = (...args: string[]): Promise<Finished> => begin(args, {}).finished;

describe('parley audit', () => {
  it('plays a game against this build, in JSON', async () => {
    const { code, stdout, stderr } = await run(
      ...['audit', '--game', 'planted-user', '--trials', '200', '--format', 'json'],
    );
    expect(stderr).toContain('planted-user: held');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      epsilon: '1',
      confidence: 0.999,
      private: [{ game: 'planted-user', trials: 200, epsilon_claimed: 1, verdict: 'held' }],
      exact_k_noise_off: [{ game: 'planted-user', success: 1, verdict: 'held' }],
      holds: true,
    });
  }, 60_000);

  it('refuses what it cannot play', async () => {
    expect((await run('audit', '--game', 'chess')).code).toBe(64);
    expect((await run('audit', '--trials', 'many')).code).toBe(64);
    const few = await run('audit', '--trials', '5', '--format', 'json');
    expect(few.code).toBe(2);
    expect(JSON.parse(few.stdout)).toMatchObject({ error: { code: 'BAD_ARGUMENT' } });
  }, 60_000);
});

describe('parley explain --privacy', () => {
  const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS people FROM joined_data';

  it('says price by part, promise, error, what a wanted error takes, and who learns what', async () => {
    const { code, stdout } = await run('explain', '--privacy', 'examples/three-parties', SQL);
    expect(code).toBe(0);
    for (const section of ['promise', 'price', 'noise, in units', 'expected error', 'who learns']) {
      expect(stdout).toContain(section);
    }
    expect(stdout).toMatch(/epsilon 0\.\d{3} gives 5% or better in a group of 200 people/);
    expect(stdout).not.toContain('expected cost');
  }, 30_000);

  it('answers another target, in JSON', async () => {
    const { stdout } = await run(
      ...['explain', '--privacy', 'examples/three-parties', SQL, '--format', 'json'],
      ...['--target-error', '10%', '--group-size', '300'],
    );
    expect(JSON.parse(stdout)).toMatchObject({
      needed: { target_percent: '10', group_size: 300 },
      noise: [{ what: 'people', sensitivity: '1' }],
    });
  }, 30_000);
});
