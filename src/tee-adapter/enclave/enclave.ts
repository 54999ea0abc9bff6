import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { wipe } from '../../core/bytes.ts';
import {
  canonicalJson,
  generateKeyPair,
  packetOf,
  verifyPacket,
  type KeyPair,
} from '../../policy/index.ts';
import type { Policy } from '../../policy/types.ts';
// By file, not by the room's face: what is imported is measured and trusted.
import { openingOf, shareCommitment } from '../../records/commitment.ts';
import {
  ENCLAVE_NAME,
  expectAuthorised,
  signEnvelope,
  type EnclaveGreeting,
  type EnclaveOutcome,
  type TeeEnvelope,
} from '../../records/enclave.ts';
import {
  datasetsOfGos,
  sessionOf,
  submissionDigest,
  verifySubmission,
} from '../../records/records.ts';
import { sealShare, shareDigest } from '../../records/seal.ts';
import { TEE_SUITE } from '../../records/suite.ts';
import { planDigest, planQuery, tablesOfSides, type Plan } from '../../sql/index.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { AnyAttester } from '../attest/index.ts';
import { bindingOf } from '../binding.ts';
import { evidenceDigest, evidenceToJson } from '../evidence-json.ts';
import { SIMULATION_NOTICE } from '../simulated.ts';
import type { EnclaveCall, HelloCall, RunCall } from './calls.ts';
import { compute } from './compute.ts';
import { decodeInput, openInput, sealedInputBytes, wipeTable, type SealedInput } from './input.ts';
import { TIME_CLASS_MS } from './limits.ts';

export interface EnclaveOptions {
  readonly attester: AnyAttester;
  readonly rng: Rng;
  /** Monotonic milliseconds, and a wait: for the time classes of answers. */
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** What an enclave says to its host, call by call. */
export type HelloReply = EnclaveGreeting;
export type RunReply = EnclaveOutcome;

export type EnclaveReply = HelloReply | RunReply | Readonly<Record<string, never>>;

interface Greeted {
  readonly hello: HelloCall;
  readonly signing: KeyPair;
  readonly sealing: KeyPair;
  readonly evidenceDigest: string;
}

interface Loaded {
  readonly policy: Policy;
  readonly digest: string;
}

const EMPTY = Object.freeze({});

function outOfStep(what: string): never {
  throw new ParleyError('PEER_OUT_OF_STEP', what);
}

/**
 * One run of one plan in one process. Keys are made at `hello`, live in memory and die with the
 * run; nothing is written anywhere. The host carries the calls and may carry them badly: any call
 * that is out of step, malformed or refused ends the enclave, so it cannot be asked again.
 */
export class Enclave {
  readonly #o: EnclaveOptions;
  readonly #inputs = new Map<string, SealedInput>();
  #greeted: Greeted | null = null;
  #loaded: Loaded | null = null;
  #state: 'idle' | 'busy' | 'over' = 'idle';

  constructor(options: EnclaveOptions) {
    this.#o = options;
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /**
   * @param body - the ciphertext of `put_input`, empty otherwise.
   * @throws ParleyError of the refusal; the enclave is over then.
   */
  async call(call: EnclaveCall, body: Uint8Array): Promise<EnclaveReply> {
    if (this.#state !== 'idle') outOfStep('the enclave takes one call at a time, until it ends');
    this.#state = 'busy';
    try {
      const reply = await this.#dispatch(call, body);
      this.#state = call.call === 'run' ? 'over' : 'idle';
      return reply;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Forgets keys and inputs. */
  end(): void {
    this.#state = 'over';
    this.#greeted = null;
    this.#inputs.clear();
  }

  #dispatch(call: EnclaveCall, body: Uint8Array): Promise<EnclaveReply> {
    if (call.call !== 'put_input' && body.length > 0)
      outOfStep('a call has a body it may not have');
    switch (call.call) {
      case 'hello':
        return this.#hello(call);
      case 'load_policy':
        return Promise.resolve(this.#loadPolicy(call.packet));
      case 'put_input':
        return Promise.resolve(
          this.#putInput({ party: call.party, enc: call.enc, ciphertext: body }),
        );
      case 'run':
        return this.#run(call);
    }
  }

  async #hello(hello: HelloCall): Promise<HelloReply> {
    if (this.#greeted !== null) outOfStep('the enclave has been greeted already');
    const { attester } = this.#o;
    const signing = generateKeyPair('ed25519');
    const sealing = generateKeyPair('x25519');
    const binding = bindingOf({
      tee: attester.tee,
      signing_key: signing.publicKey,
      sealing_key: sealing.publicKey,
      nonces: hello.nonces,
      policy: hello.policy_digest,
      plan: hello.plan_digest,
      session: hello.session,
    });
    const evidence = evidenceToJson(await attester.attest(binding));
    this.#greeted = { hello, signing, sealing, evidenceDigest: evidenceDigest(evidence) };
    return {
      signing_key: signing.publicKey,
      sealing_key: sealing.publicKey,
      evidence,
      ...(attester.tee === 'simulated' ? { notice: SIMULATION_NOTICE } : {}),
    };
  }

  #loadPolicy(packet: unknown): EnclaveReply {
    const { hello } = this.#greeted ?? outOfStep('the enclave has not been greeted');
    if (this.#loaded !== null) outOfStep('the enclave has a policy already');
    const { policy, digest } = verifyPacket(packetOf(packet));
    if (digest !== hello.policy_digest) {
      throw new ParleyError('POLICY_MISMATCH', 'the evidence is bound to another policy');
    }
    const { tee } = policy.execution;
    if (tee?.references.some(({ type }) => type === this.#o.attester.tee) !== true) {
      throw new ParleyError('POLICY_MISMATCH', 'the policy names no enclave of this type');
    }
    this.#loaded = { policy, digest };
    return EMPTY;
  }

  #putInput(input: SealedInput): EnclaveReply {
    const { policy } = this.#loaded ?? outOfStep('the enclave has no policy yet');
    const { party } = input;
    if (!policy.parties.some(({ name }) => name === party)) {
      throw new ParleyError('REQUEST_MALFORMED', 'an input is of a party outside the room');
    }
    if (this.#inputs.has(party)) outOfStep('a party’s input is there already');
    this.#inputs.set(party, input);
    return EMPTY;
  }

  async #run(call: RunCall): Promise<RunReply> {
    const arrivedMs = this.#o.nowMs();
    const greeted = this.#greeted ?? outOfStep('the enclave has not been greeted');
    const loaded = this.#loaded ?? outOfStep('the enclave has no policy yet');
    const plan = this.#expectRun(call, greeted, loaded);
    const tables = await this.#openInputs(plan, greeted);
    let reply: RunReply;
    try {
      reply = await this.#answer(call, plan, tables, greeted, loaded);
    } catch (error) {
      // What went wrong in there may depend on rows; the host learns that it did.
      throw new ParleyError('INTERNAL', 'the run failed', {}, asParleyError(error));
    } finally {
      tables.forEach(wipeTable);
      this.end();
    }
    const spentMs = this.#o.nowMs() - arrivedMs;
    await this.#o.sleep(Math.ceil(spentMs / TIME_CLASS_MS) * TIME_CLASS_MS - spentMs);
    return reply;
  }

  /** The plan that everybody signed for, or a refusal. */
  #expectRun(
    { submission, gos, authorisations }: RunCall,
    { hello, signing, sealing, evidenceDigest: evidence_digest }: Greeted,
    { policy, digest }: Loaded,
  ): Plan {
    const document = verifySubmission(submission, policy);
    if (document.backend !== 'tee') {
      throw new ParleyError('BACKEND_NOT_ALLOWED', 'the query was not asked of an enclave');
    }
    const plan = planQuery(policy, digest, document.sql, { epsilon: document.epsilon });
    const plan_digest = planDigest(plan);
    if (plan_digest !== hello.plan_digest) {
      throw new ParleyError('PLAN_MISMATCH', 'the evidence is bound to another plan');
    }
    const submission_digest = submissionDigest(document);
    const parties = plan.sides.map(({ party }) => party);
    const { query_id, room } = document;
    const agreed = { query_id, plan_digest, submission_digest, suite: TEE_SUITE };
    if (sessionOf(gos, policy, parties, agreed) !== hello.session) {
      throw new ParleyError('GO_INVALID', 'the evidence is bound to another session');
    }
    datasetsOfGos(gos, tablesOfSides(plan));
    const nonces = Object.fromEntries(gos.map((go) => [go.document.party, go.document.nonce]));
    const same = Buffer.compare(canonicalJson(nonces), canonicalJson(hello.nonces)) === 0;
    if (!same) throw new ParleyError('GO_INVALID', 'the evidence is bound to other nonces');
    const expected = gos.map(({ document: { party, ledger_before, ledger_after, nonce } }) => ({
      ...{ room, policy_digest: digest, query_id, plan_digest, submission_digest },
      ...{ session: hello.session, party, ledger_before, ledger_after, nonce, evidence_digest },
      signing_key: signing.publicKey,
      sealing_key: sealing.publicKey,
    }));
    expectAuthorised(authorisations, expected, policy);
    const names = [...this.#inputs.keys()].sort().join();
    if (names !== [...parties].sort().join()) {
      outOfStep('the inputs are not those of the parties of the plan');
    }
    return plan;
  }

  async #openInputs(
    plan: Plan,
    { hello, sealing, evidenceDigest }: Greeted,
  ): Promise<LocalTable[]> {
    const tables: LocalTable[] = [];
    for (const side of plan.sides) {
      const { party } = side;
      const input = this.#inputs.get(party)!;
      const { policy_digest, plan_digest, session } = hello;
      const context = {
        policy_digest,
        plan_digest,
        session,
        evidence_digest: evidenceDigest,
        party,
      };
      if (input.ciphertext.length !== sealedInputBytes(side)) {
        throw new ParleyError('DATA_BAD_ROWS', 'an input has another length', { party });
      }
      const bytes = await openInput(input, sealing.privateKey, context);
      try {
        tables.push(decodeInput(bytes, side));
      } finally {
        wipe(bytes);
      }
      this.#inputs.delete(party);
    }
    return tables;
  }

  async #answer(
    { submission: { document }, gos }: RunCall,
    plan: Plan,
    tables: readonly LocalTable[],
    { hello, signing, evidenceDigest: evidence_digest }: Greeted,
    { policy, digest: policy_digest }: Loaded,
  ): Promise<RunReply> {
    const { answer, noise } = compute(plan, tables, this.#o.rng);
    const analyst = policy.analysts.find(({ name }) => name === document.analyst)!;
    const { query_id, room } = document;
    const { plan_digest, session } = hello;
    const run = { room, policy_digest, query_id, plan_digest, session };
    const sealedFor = { ...run, party: ENCLAVE_NAME };
    const opening = openingOf(answer, this.#o.rng);
    const share_commitment = shareCommitment(opening, sealedFor);
    const sealed = await sealShare(opening, analyst.sealing_key, sealedFor);
    wipe(answer, opening);
    const envelope: TeeEnvelope = {
      version: 1,
      ...run,
      submission_digest: submissionDigest(document),
      evidence_digest,
      noise,
      ledgers: Object.fromEntries(
        gos.map(({ document: { party, ledger_before: before, ledger_after: after } }) => [
          party,
          { before, after },
        ]),
      ),
      share_digest: shareDigest(sealed),
      share_commitment,
      simulated: this.#o.attester.tee === 'simulated',
    };
    return { envelope: signEnvelope(envelope, signing.privateKey), sealed };
  }
}
