import { isUtf8 } from 'node:buffer';

const QUOTE = 0x22;
const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;

/** Says which record or line is no CSV, and why; the text never repeats the file's content. */
export type OnCsvProblem = (line: number, reason: string) => void;

export interface CsvLimits {
  /** Bytes of one record, quoted newlines included. */
  readonly recordBytesMax: number;
  readonly fieldsMax: number;
}

/** The record being visited; valid only during the callback. Lines count from 1. */
export interface CsvRecord {
  /** Line on which the record starts. */
  readonly line: number;
  readonly fields: number;
  /** True for a line without a single byte, which is also a record with one empty field. */
  readonly blank: boolean;
  /** Text of field `index`, unquoted. */
  text(index: number): string;
}

type Outcome = 'record' | 'incomplete' | 'bad';

/**
 * A strict, incremental reader of RFC 4180: comma, double quotes doubled inside quotes, lines that
 * end in LF or CRLF, UTF-8 with or without a byte order mark. Blocks may be cut anywhere.
 *
 * Stricter than most: a quote inside an unquoted field, text after a closing quote, a lone CR and
 * bytes that are not UTF-8 are problems, and reading goes on with the next line. A quote that is
 * never closed, or a record over the limit, ends the reading, for nothing after it can be trusted.
 */
export class CsvScanner implements CsvRecord {
  line = 1;
  fields = 0;
  blank = false;

  private readonly onRecord: (record: CsvRecord) => void;
  private readonly onProblem: OnCsvProblem;
  private readonly limits: CsvLimits;
  private starts = new Int32Array(64);
  private stops = new Int32Array(64);
  private escaped = new Uint8Array(64);
  /** Whether the quoted field just read holds doubled quotes. */
  private doubled = false;
  private data: Buffer = Buffer.alloc(0);
  private begun = false;
  private halted = false;
  /** Where the last parse stopped, and how many lines it spans. */
  private at = 0;
  private spans = 0;
  private bytesSeen = 0;
  private reason = '';

  constructor(limits: CsvLimits, onRecord: (record: CsvRecord) => void, onProblem: OnCsvProblem) {
    this.limits = limits;
    this.onRecord = onRecord;
    this.onProblem = onProblem;
  }

  /** Reads one block; `last` says that the file ends with it. */
  push(block: Uint8Array, last: boolean): void {
    if (this.halted) return;
    const fresh = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    this.data = this.data.length === 0 ? fresh : Buffer.concat([this.data, fresh]);
    let from = 0;
    if (!this.begun) {
      if (this.data.length < 3 && !last) {
        this.keep(0);
        return;
      }
      this.begun = true;
      if (this.data[0] === 0xef && this.data[1] === 0xbb && this.data[2] === 0xbf) from = 3;
    }
    while (from < this.data.length) {
      const outcome = this.parse(from, last);
      const end = outcome === 'record' ? this.at : outcome === 'bad' ? this.resume(last) : -1;
      if ((end < 0 ? this.data.length : end) - from > this.limits.recordBytesMax) {
        this.halt(this.tooLong());
        break;
      }
      if (end < 0) break;
      if (outcome === 'bad') this.onProblem(this.line, this.reason);
      else this.emit(from, end);
      this.line += this.spans;
      from = end;
    }
    this.keep(from);
  }

  text(index: number): string {
    const encoding = this.bytesSeen < 0x80 ? 'latin1' : 'utf8';
    const raw = this.data.toString(encoding, this.starts[index], this.stops[index]);
    return this.escaped[index] === 1 ? raw.replaceAll('""', '"') : raw;
  }

  private tooLong(): string {
    return `a record longer than ${this.limits.recordBytesMax} bytes; a quote may be left open`;
  }

  private halt(reason: string): void {
    if (!this.halted) this.onProblem(this.line, reason);
    this.halted = true;
    this.data = Buffer.alloc(0);
  }

  private keep(from: number): void {
    // A copy, because the caller may reuse its block.
    this.data = this.halted ? Buffer.alloc(0) : Buffer.from(this.data.subarray(from));
  }

  private emit(from: number, end: number): void {
    if (this.bytesSeen >= 0x80 && !isUtf8(this.data.subarray(from, end))) {
      this.onProblem(this.line, 'bytes that are not UTF-8');
      return;
    }
    this.blank = this.fields === 1 && this.stops[0] === from;
    this.onRecord(this);
  }

  /** Skips to the line after a bad record; -1 when that line is not here yet. */
  private resume(last: boolean): number {
    const newline = this.data.indexOf(LF, this.at);
    if (newline < 0 && !last) return -1;
    this.spans += 1;
    return newline < 0 ? this.data.length : newline + 1;
  }

  private field(start: number, stop: number, escaped: 0 | 1): boolean {
    const n = this.fields;
    if (n === this.limits.fieldsMax) return false;
    if (n === this.starts.length) this.grow();
    this.starts[n] = start;
    this.stops[n] = stop;
    this.escaped[n] = escaped;
    this.fields = n + 1;
    return true;
  }

  private grow(): void {
    const size = 2 * this.starts.length;
    const larger = <T extends Int32Array | Uint8Array>(old: T, fresh: T): T => {
      fresh.set(old);
      return fresh;
    };
    this.starts = larger(this.starts, new Int32Array(size));
    this.stops = larger(this.stops, new Int32Array(size));
    this.escaped = larger(this.escaped, new Uint8Array(size));
  }

  private bad(at: number, reason: string): Outcome {
    this.at = at;
    this.reason = reason;
    return 'bad';
  }

  /** Parses one record from `from`; on `record`, `at` is where the next one starts. */
  private parse(from: number, last: boolean): Outcome {
    const { data } = this;
    this.fields = 0;
    this.spans = 0;
    this.bytesSeen = 0;
    for (let i = from; ; i += 1) {
      const quoted = i < data.length && data[i] === QUOTE;
      const start = quoted ? i + 1 : i;
      const end = quoted ? this.quotedEnd(start) : this.plainEnd(start);
      if (quoted && end === data.length) {
        if (last) this.halt('a quote that is never closed');
        return 'incomplete';
      }
      i = quoted ? end + 1 : end;
      // A closing quote at the end of the block may be the first of two.
      if (i >= data.length && !last) return 'incomplete';
      if (!this.field(start, end, quoted && this.doubled ? 1 : 0)) {
        return this.bad(i, `more than ${this.limits.fieldsMax} fields`);
      }
      const next = i < data.length ? data[i] : LF;
      if (next === COMMA) continue;
      if (next === CR && i + 1 >= data.length && !last) return 'incomplete';
      if (next === LF || (next === CR && data[i + 1] === LF)) {
        this.at = Math.min(data.length, next === CR ? i + 2 : i + 1);
        this.spans += 1;
        return 'record';
      }
      if (next === CR) return this.bad(i, 'a carriage return that ends no line');
      return this.bad(i, quoted ? 'text after a closing quote' : 'a quote inside a field');
    }
  }

  /** Index of the byte that ends an unquoted field, or the data's length. */
  private plainEnd(start: number): number {
    const { data } = this;
    let i = start;
    let seen = this.bytesSeen;
    for (; i < data.length; i += 1) {
      const byte = data[i]!;
      if (byte === COMMA || byte === LF || byte === CR || byte === QUOTE) break;
      seen |= byte;
    }
    this.bytesSeen = seen;
    return i;
  }

  /** Index of the closing quote, or the data's length when it is not here. */
  private quotedEnd(start: number): number {
    const { data } = this;
    this.doubled = false;
    let seen = this.bytesSeen;
    let i = start;
    for (; i < data.length; i += 1) {
      const byte = data[i]!;
      if (byte === LF) this.spans += 1;
      if (byte === QUOTE) {
        if (data[i + 1] !== QUOTE) break;
        this.doubled = true;
        i += 1;
      }
      seen |= byte;
    }
    this.bytesSeen = seen;
    return Math.min(i, data.length);
  }
}
