/** Limits of one import. All may be lowered or raised by the caller. */
export interface ImportLimits {
  /** Data rows of one file. */
  readonly rowsMax: number;
  /** Bytes of one CSV record, quoted newlines included. */
  readonly recordBytesMax: number;
  /** Fields of one CSV record. */
  readonly fieldsMax: number;
  /** Problems listed in a {@link BadRowsError}; the total is always counted. */
  readonly problemsListed: number;
  /** Memory DuckDB may use while it sorts the coded rows; what is more goes to disk. */
  readonly databaseMemoryMb: number;
}

/** LOCAL. What {@link importTable} uses when its caller says nothing. */
export const IMPORT_LIMITS: ImportLimits = {
  rowsMax: 100_000_000,
  recordBytesMax: 1 << 20,
  fieldsMax: 20_000,
  problemsListed: 20,
  databaseMemoryMb: 384,
};

/** AGREEMENT. Coded decimals and integers are below this in magnitude: twelve digits. */
export const CODED_DIGITS_MAX = 12;

/** LOCAL. Bytes read from a CSV file at a time. */
export const READ_BYTES = 1 << 18;

/** LOCAL. Rows handed to DuckDB at a time; its vectors hold no more. */
export const CHUNK_ROWS = 2048;

/** LOCAL. Distinct cell texts remembered per date column. */
export const CELL_CACHE_MAX = 4096;

/** LOCAL. Longest normalised identifier in UTF-16 units: RFC 5321 allows 254 for an address. */
export const IDENTIFIER_CHARS_MAX = 320;

/** LOCAL. Memory DuckDB may use to read an opened store. */
export const READ_MEMORY_MB = 1024;
