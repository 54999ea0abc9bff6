import { pino, type Logger } from 'pino';

/**
 * A role's log: JSON lines on stderr. Lines that cannot be written, as on a full disk, are lost;
 * they must not end the process.
 */
export function openLog(name: string): Logger {
  const destination = pino.destination(2);
  destination.on('error', () => undefined);
  return pino({ name, level: process.env['PARLEY_LOG'] ?? 'info' }, destination);
}
