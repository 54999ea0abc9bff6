import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { ask, printAnswer } from './ask.ts';
import { print, withErrors } from './output.ts';
import type { Room } from './room.ts';
import { openRoom } from './room.ts';
import { clientOf } from './sandbox.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

const ATTRIBUTION = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS converted_users,
       SUM(total_spent) AS total_revenue
FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const OVERLAP = `SELECT COUNT(DISTINCT hashed_email) AS overlap_count
FROM joined_data WHERE total_spent > 100.00`;

/** `parley demo`: the story of ShopGood and NewsNow, by the real protocol. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('the story of ShopGood and NewsNow: three rooms, six queries, real processes')
    .action(() =>
      withErrors(false, async () => {
        print(
          'ShopGood sells things and knows what its customers spent. NewsNow showed some people its ads.\n' +
            "Which purchases followed an ad? Neither may see the other's customers, and nobody sits between\n" +
            'them. Each company runs its own node; the two compute on secret shares; a coordinator carries\n' +
            'ciphertext; only the analyst can put the vetted answer together.\n',
        );
        await act(
          'seed-open',
          'THE SEVEN ROWS OF THE STORY, UNPROTECTED. Threshold 1 and noise OFF: for looking only, so that\n' +
            'the arithmetic can be checked by hand.',
        );
        await act(
          'seed',
          'THE SAME ROWS UNDER THE REAL POLICY. Both companies signed: no group below 10 people opens. The\n' +
            'nodes find that out on shares; nobody learns how many there were.',
        );
        await act(
          'shopgood-newsnow',
          'A ROOM OF REAL SIZE: 5,000 customers, 8,000 readers, several rows each, k = 50, epsilon 1 a query.\n' +
            'Each number carries noise that both nodes drew together, and an interval that says how much.',
          '1',
        );
      }),
    );
}

async function act(example: string, heading: string, epsilon?: string): Promise<void> {
  print(`\n== ${heading}\n`);
  const room = await openRoom({
    directory: join(EXAMPLES, example),
    say: (line) => print(`   ${line}`),
  });
  try {
    for (const sql of [ATTRIBUTION, OVERLAP]) {
      print(`\n${sql.replaceAll(/^/gm, '   > ')}\n`);
      const { answer } = await ask(clientOf(room), sql, {
        quiet: !process.stderr.isTTY,
        ...(epsilon === undefined ? {} : { epsilon }),
      });
      printAnswer(answer, 'table');
    }
    print(`\n${whoSawWhat(room)}`);
  } finally {
    await room.close();
  }
}

/** What each role could see of the queries just run, from the coordinator's own records. */
function whoSawWhat(room: Room): string {
  const seen = room.coordinatorView();
  const parties = room.policy.parties.map((p) => p.name);
  return [
    'who saw what:',
    ...parties.map((name) => {
      const others = parties.filter((other) => other !== name);
      const bytes = others.reduce((sum, other) => sum + (seen.relayedBySender[other] ?? 0), 0);
      const received = (bytes / 1e6).toFixed(1);
      return `   ${name}: its own rows, the SQL, declared sizes; of the other side ${received} MB of random shares`;
    }),
    `   coordinator: the SQL, the plan, and ${(seen.relayedBytes / 1e6).toFixed(1)} MB of ciphertext between the nodes`,
    '   analyst: the table above, checked against both signatures; nothing else',
    `   on disk at the coordinator: ${seen.storedBytes} bytes of query records, receipts and sealed shares`,
  ].join('\n');
}
