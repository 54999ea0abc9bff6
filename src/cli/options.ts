import { InvalidArgumentError, Option } from 'commander';

export type Format = 'table' | 'json' | 'csv';

/** `--format`; another word is wrong usage. */
export function formatOption(): Option {
  return new Option('--format <format>', 'how the answer is printed')
    .choices(['table', 'json', 'csv'])
    .default('table');
}

/** `--backend`; without it shares, where the policy allows them. */
export function backendOption(): Option {
  return new Option(
    '--backend <backend>',
    'what it runs on: mpc, shares at the parties; tee, an attested enclave',
  ).choices(['mpc', 'tee']);
}

/** A port as the operating system takes it. @throws InvalidArgumentError: wrong usage. */
export function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  return port;
}

/** `host:port`, an IPv6 host in brackets. @throws InvalidArgumentError: wrong usage. */
export function listenOf(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:]+)\]|([^\s:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) {
    throw new InvalidArgumentError('It is an address such as 0.0.0.0:7700.');
  }
  return { host, port: portOf(port) };
}

/** Base address of a coordinator. @throws InvalidArgumentError: wrong usage. */
export function coordinatorUrlOf(text: string): string {
  const { protocol } = URL.canParse(text) ? new URL(text) : { protocol: '' };
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new InvalidArgumentError('It is an address such as http://127.0.0.1:7600.');
  }
  return text;
}

/** Worker threads of a query, 1 to 64. @throws InvalidArgumentError: wrong usage. */
export function workersOf(text: string): number {
  const workers = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (workers < 1 || workers > 64) throw new InvalidArgumentError('It is a number from 1 to 64.');
  return workers;
}

/** Seconds a query waits for a lost party, 1 to 20. @throws InvalidArgumentError: wrong usage. */
export function graceOf(text: string): number {
  const seconds = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > 20) throw new InvalidArgumentError('It is a number from 1 to 20.');
  return seconds;
}

/** Bytes of a stock, 0 to 2^53 − 1. @throws InvalidArgumentError: wrong usage. */
export function stockBytesOf(text: string): number {
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('It is a number of bytes.');
  return bytes;
}
