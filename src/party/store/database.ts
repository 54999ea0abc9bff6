import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { ParleyError } from '../../core/errors.ts';

/** AGREEMENT. Version of the tables inside a store file. */
export const STORE_VERSION = 2;

/** One open DuckDB file. */
export interface Database {
  readonly connection: DuckDBConnection;
  /** Another connection, for work at the same time: a streamed result owns its connection. */
  connect(): Promise<DuckDBConnection>;
  close(): void;
}

export interface DatabaseOptions {
  readonly path: string;
  readonly readOnly: boolean;
  readonly memoryMb: number;
  /** A second store to read from, attached read-only as `old`. */
  readonly attach?: string;
  /** Folder for what does not fit into memory; without it nothing spills. */
  readonly spill?: string;
}

/** An SQL string literal. The only free text that ever enters a statement is the caller's path. */
export function sqlString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Opens a database that spills nowhere but where it is told, loads no extension and, once it is open, reaches
 * no other file. Every setting is then locked.
 *
 * @throws ParleyError STORAGE_FAILED when the file cannot be opened.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  let instance: DuckDBInstance | null = null;
  try {
    instance = await DuckDBInstance.create(options.path, {
      access_mode: options.readOnly ? 'READ_ONLY' : 'READ_WRITE',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      memory_limit: `${options.memoryMb}MB`,
      temp_directory: options.spill ?? '',
    });
    const connection = await instance.connect();
    if (options.attach !== undefined) {
      await connection.run(`ATTACH ${sqlString(options.attach)} AS old (READ_ONLY)`);
    }
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    const opened = instance;
    return {
      connection,
      connect: () => opened.connect(),
      close() {
        connection.closeSync();
        opened.closeSync();
      },
    };
  } catch (error) {
    instance?.closeSync();
    throw new ParleyError(
      'STORAGE_FAILED',
      'the store cannot be opened',
      { hint: 'another process may be using it, or it is not a store' },
      error,
    );
  }
}

/** Runs `work`, turning what DuckDB throws into STORAGE_FAILED without its text. */
export async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    // DuckDB's message may quote values; it stays in `cause`, which nothing prints.
    throw new ParleyError('STORAGE_FAILED', what, {}, error);
  }
}

/** All rows of a small result, as strings; NULL is not expected. */
export async function readStrings(
  connection: DuckDBConnection,
  sql: string,
  values: readonly string[] = [],
): Promise<readonly (readonly string[])[]> {
  const reader = await connection.runAndReadAll(sql, [...values]);
  return reader.getRows().map((row) => row.map(String));
}
