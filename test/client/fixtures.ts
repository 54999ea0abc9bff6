import { createHash } from 'node:crypto';
import { toHex } from '../../src/core/bytes.ts';
import { priceOf } from '../../src/client/receipt/derive.ts';
import { createClient, releaseOf, shareBytes, type MpcBundle } from '../../src/client/index.ts';
import {
  openingOf,
  SUITE,
  sealShare,
  sessionOf,
  shareCommitment,
  shareDigest,
  signGo,
  signReceipt,
  signSubmission,
  submissionDigest,
  type Go,
  type Json,
  type QueryRecord,
  type Receipt,
  type SealContext,
  type SealedShare,
  type SignedSubmission,
  type TemplateCall,
} from '../../src/records/index.ts';
import {
  boundsRecord,
  planDigest,
  planQuery,
  tablesOfSides,
  type Plan,
} from '../../src/sql/index.ts';
import type { SampleRoom } from '../policy/samples.ts';
import { seededRng } from '../support/seeded-rng.ts';

export const SENTINEL = -(1n << 63n);

export const QUERY_1 = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS converted_users,
  SUM(total_spent) AS total_revenue FROM joined_data
  WHERE exposure_date < purchase_date GROUP BY campaign_id`;
export const QUERY_2 = `SELECT COUNT(DISTINCT hashed_email) AS overlap_count FROM joined_data
  WHERE total_spent > 100.00`;

const SALT = new Uint8Array(32).fill(7);
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Switches noise off and opens every group. */
export const OPEN = (yaml: string): string =>
  yaml
    .replace(/differential_privacy:\n(.|\n)*$/, 'differential_privacy: off\n')
    .replace('group: 10', 'group: 1');

/** Per group its released cells in measure order, or null for a closed group. */
export type Groups = readonly (readonly bigint[] | null)[];

/** The opened answer as bytes: `open ‖ cells`. */
export function answerBytes(plan: Plan, groups: Groups): Uint8Array {
  const bytes = shareBytes(plan);
  const out = new Uint8Array(bytes.open + bytes.cells);
  const view = new DataView(out.buffer, bytes.open);
  const released = bytes.cells / 8 / groups.length;
  groups.forEach((cells, g) => {
    if (cells !== null) out[g >> 3]! |= 1 << (g & 7);
    for (let i = 0; i < released; i += 1) {
      view.setBigInt64(8 * (i * groups.length + g), cells?.[i] ?? SENTINEL, true);
    }
  });
  return out;
}

/** What a dishonest party or coordinator changes on the way; each field one kind of lie. */
export interface Lies {
  readonly go?: (go: Go) => Go;
  readonly receipt?: (receipt: Receipt) => Receipt;
  /** Which party the two above apply to; both when left out. */
  readonly of?: string;
  readonly sealed?: (context: SealContext) => SealContext;
  readonly share?: (share: Uint8Array) => Uint8Array;
  /** What is sealed in place of what was committed to. */
  readonly opening?: (opening: Uint8Array) => Uint8Array;
  readonly record?: (record: QueryRecord) => QueryRecord;
}

const noises = new Map<string, { readonly [key: string]: Json }>();

/** Calibration takes a while; the same plan is asked often. */
function noiseOf(plan: Plan): { readonly [key: string]: Json } {
  const digest = planDigest(plan);
  const noise = noises.get(digest) ?? (releaseOf(plan).noise as unknown as { [key: string]: Json });
  noises.set(digest, noise);
  return noise;
}

const sealedShares = new Map<string, Promise<SealedShare>>();

/** Sealing is the slowest step, and most lies leave the shares alone. */
function sealedOnce(share: Uint8Array, key: string, context: SealContext): Promise<SealedShare> {
  const name = `${toHex(share)}/${key}/${JSON.stringify(context)}`;
  const sealed = sealedShares.get(name) ?? sealShare(share, key, context);
  sealedShares.set(name, sealed);
  return sealed;
}

/** The record of an honest run that opens to `groups`, made by two real signers. */
export async function answeredRecord(
  room: SampleRoom,
  submission: SignedSubmission,
  groups: Groups,
  lies: Lies = {},
): Promise<QueryRecord> {
  const { document } = submission;
  const plan = planQuery(room.policy, room.digest, document.sql, { epsilon: document.epsilon });
  const noise = noiseOf(plan);
  const shared = {
    version: 1,
    room: room.policy.room,
    policy_digest: room.digest,
    query_id: document.query_id,
    plan_digest: planDigest(plan),
    submission_digest: submissionDigest(document),
  } as const;
  const parties = plan.sides.map((side) => side.party);
  const lying = (party: string): Lies => (lies.of === undefined || lies.of === party ? lies : {});
  const keyOf = (party: string) => room.parties[party]!.identity.privateKey;
  const datasets = Object.fromEntries(
    tablesOfSides(plan).map((side) => [
      side.party,
      side.tables.map((table) => ({ table, commitment: hashOf(`${side.party}/${table}`) })),
    ]),
  );
  const rng = seededRng(`${document.query_id}/${document.sql}`);
  const gos = parties.map((party) => {
    const go: Go = {
      ...shared,
      party,
      ledger_before: toHex(rng(32)),
      ledger_after: toHex(rng(32)),
      datasets: datasets[party]!,
      ledger_seq: 2,
      suite: SUITE,
      nonce: toHex(rng(32)),
    };
    return signGo(lying(party).go?.(go) ?? go, keyOf(party));
  });
  const session = sessionOf(gos, room.policy, parties);
  const opened = answerBytes(plan, groups);
  const mask = rng(opened.length);
  const answers = await Promise.all(
    parties.map(async (party, i) => {
      const own = i === 0 ? mask : opened.map((byte, at) => byte ^ mask[at]!);
      const context: SealContext = { ...shared, session, party };
      const opening = openingOf(lying(party).share?.(own) ?? own, () => SALT);
      const share_commitment = shareCommitment(opening, context);
      const sealed = await sealedOnce(
        lying(party).opening?.(opening) ?? opening,
        room.ana.sealing.publicKey,
        lying(party).sealed?.(context) ?? context,
      );
      const go = gos[i]!.document;
      const receipt: Receipt = {
        ...shared,
        backend: 'mpc',
        session,
        party,
        suite: SUITE,
        datasets,
        ledger_before: go.ledger_before,
        ledger_after: go.ledger_after,
        noise,
        bounds: boundsRecord(plan) as unknown as { [key: string]: Json },
        price: priceOf(plan),
        share_digest: shareDigest({ ...sealed, party }),
        share_commitment,
        spent: [
          {
            dataset: `${party}/${plan.sides[i]!.table}`,
            epoch: '0',
            epsilon: '3/2',
            delta: '3/20000000',
          },
        ],
        software: 'parley test',
      };
      return {
        receipt: signReceipt(lying(party).receipt?.(receipt) ?? receipt, keyOf(party)),
        sealed: { ...sealed, party },
      };
    }),
  );
  const record: QueryRecord = {
    version: 1,
    query_id: document.query_id,
    state: 'answered',
    revision: 9,
    plan_digest: shared.plan_digest,
    error: null,
    progress: [],
    gos,
    answers,
  };
  return lies.record?.(record) ?? record;
}

/** The receipt file of an honest run that opens to `groups`, as the client writes it. */
export async function bundleOfRun(
  room: SampleRoom,
  sql: string,
  queryId: string,
  groups: Groups,
  template?: TemplateCall,
): Promise<MpcBundle> {
  const { keys, packet, digest } = { keys: room.ana, packet: room.packet, digest: room.digest };
  const submission = signSubmission(
    {
      version: 1,
      room: room.policy.room,
      policy_digest: digest,
      query_id: queryId,
      analyst: 'ana',
      sql,
      epsilon: null,
      backend: 'mpc',
      ...(template === undefined ? {} : { template }),
    },
    keys.signing.privateKey,
  );
  const record = await answeredRecord(room, submission, groups);
  const fetched: typeof fetch = () =>
    Promise.resolve(new Response(JSON.stringify(record), { status: 200 }));
  const client = createClient({ url: 'http://room', packet, analyst: 'ana', keys, fetch: fetched });
  const asked = { queryId, ...(template === undefined ? {} : { template }) };
  return (await client.answer(sql, asked)).bundle as MpcBundle;
}
