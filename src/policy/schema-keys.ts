import { z } from 'zod';
import { parsePublicKey, type KeyKind } from './keys.ts';

/** A public key as documents write it; points of small order are refused here already. */
export function publicKey(kind: KeyKind): z.ZodType<string> {
  return z
    .string()
    .regex(new RegExp(`^${kind}:[A-Za-z0-9_-]{43}$`))
    .refine((text) => {
      try {
        parsePublicKey(kind, text);
        return true;
      } catch {
        return false;
      }
    }, `is not a usable ${kind} public key`);
}
