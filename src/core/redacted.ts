import { inspect } from 'node:util';

const SECRETS = new WeakMap<object, unknown>();

/** A secret that prints `<redacted>` in logs, errors, JSON and the debugger. */
export class Redacted<T> {
  /** Keeps `Redacted<A>` and `Redacted<B>` apart; never set. */
  declare readonly of: T;

  constructor(secret: T) {
    SECRETS.set(this, secret);
  }

  toString(): string {
    return '<redacted>';
  }

  toJSON(): string {
    return '<redacted>';
  }

  [inspect.custom](): string {
    return '<redacted>';
  }
}

/** Reading a secret is its own function, so that every use can be found. */
export function reveal<T>(redacted: Redacted<T>): T {
  return SECRETS.get(redacted) as T;
}
