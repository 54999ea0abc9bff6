import { z } from 'zod';
import { signedAuthorisationSchema } from '../../records/enclave.ts';
import { signedGoSchema, signedSubmissionSchema } from '../../records/schemas.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);

/** The four calls, in the order an enclave takes them; `put_input` once per party. */
export const callSchema = z.discriminatedUnion('call', [
  z.strictObject({
    call: z.literal('hello'),
    nonces: z.record(name, digest).readonly(),
    policy_digest: digest,
    plan_digest: digest,
    session: digest,
  }),
  z.strictObject({ call: z.literal('load_policy'), packet: z.unknown() }),
  z.strictObject({
    call: z.literal('put_input'),
    party: name,
    enc: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  }),
  z.strictObject({
    call: z.literal('run'),
    submission: signedSubmissionSchema,
    gos: z.array(signedGoSchema).max(8).readonly(),
    authorisations: z.array(signedAuthorisationSchema).max(8).readonly(),
  }),
]);
export type EnclaveCall = z.output<typeof callSchema>;
export type HelloCall = Extract<EnclaveCall, { readonly call: 'hello' }>;
export type RunCall = Extract<EnclaveCall, { readonly call: 'run' }>;
