import { utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import type { Link } from '../../src/transport/index.ts';
import { openLink } from '../../src/transport/index.ts';
import { dhKeyPairOf } from '../../src/transport/noise/index.ts';
import { pipePair } from '../transport/memory-pipe.ts';
import { seededRng } from './seeded-rng.ts';

/** Real links between every two of n parties, over pipes in memory: links[i][j], null for i = j. */
export async function linkMesh(parties: number, path = 'q'): Promise<(Link | null)[][]> {
  const rng = seededRng('link mesh');
  const secrets = Array.from({ length: parties }, () => new Redacted(rng(32)));
  const links: (Link | null)[][] = secrets.map(() => secrets.map(() => null));
  for (let i = 0; i < parties; i += 1) {
    for (let j = i + 1; j < parties; j += 1) {
      const pipes = pipePair();
      const open = (own: number, peer: number): Promise<Link> =>
        openLink({
          raw: pipes.ends[own < peer ? 0 : 1],
          role: own < peer ? 'initiator' : 'responder',
          localStatic: secrets[own]!,
          remoteStatic: dhKeyPairOf(secrets[peer]!).publicKey,
          prologue: utf8('mesh'),
          path,
        });
      [links[i]![j], links[j]![i]] = await Promise.all([open(i, j), open(j, i)]);
    }
  }
  return links;
}
