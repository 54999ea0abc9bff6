const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LF = 0x0a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === LF || byte === 0x0d || byte === 0x09;

/** Where the text is between objects: what may come next. */
type Between = 'start' | 'lines' | 'first' | 'item' | 'separator' | 'end';

export interface JsonObjectsOptions {
  /** Bytes of one object. */
  readonly objectBytesMax: number;
  /** The bytes of one whole object and the line it begins on; valid only during the call. */
  readonly onObject: (bytes: Uint8Array, line: number) => void;
  /** Text that is neither form; nothing after it is read. */
  readonly onProblem: (line: number, reason: string) => void;
}

/**
 * Cuts a JSON text into its objects, incrementally: either one object after another (one a line,
 * as in JSON Lines, though line ends are not required), or one array of objects. It finds where an
 * object ends by its braces outside strings and leaves what is inside to a parser. Blocks may be
 * cut anywhere.
 */
export class JsonObjects {
  readonly #o: JsonObjectsOptions;
  #between: Between = 'start';
  /** Bytes of the object so far, from earlier blocks. */
  #kept: Buffer = Buffer.alloc(0);
  #depth = 0;
  #inString = false;
  #escaped = false;
  #line = 1;
  #objectLine = 1;
  #halted = false;
  #first = true;

  constructor(options: JsonObjectsOptions) {
    this.#o = options;
  }

  push(block: Uint8Array, last: boolean): void {
    if (this.#halted) return;
    let i = this.#first && block[0] === 0xef && block[1] === 0xbb && block[2] === 0xbf ? 3 : 0;
    this.#first &&= block.length === 0;
    let start = 0;
    for (; i < block.length && !this.#over(); i += 1) {
      const byte = block[i]!;
      if (byte === LF) this.#line += 1;
      if (this.#depth > 0) {
        if (this.#inside(byte)) this.#finish(block.subarray(start, i + 1));
      } else if (byte === OPEN_OBJECT && this.#mayBegin()) {
        this.#depth = 1;
        this.#objectLine = this.#line;
        start = i;
      } else if (!isSpace(byte)) {
        this.#step(byte);
      }
    }
    if (this.#over()) return;
    if (this.#depth > 0) this.#keep(block.subarray(start));
    if (last) this.#end();
  }

  #over(): boolean {
    return this.#halted;
  }

  /** One byte of an object; true when it closes it. */
  #inside(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return false;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#depth -= 1;
    return this.#depth === 0;
  }

  #mayBegin(): boolean {
    return ['start', 'lines', 'first', 'item'].includes(this.#between);
  }

  /** A byte between objects that begins none. */
  #step(byte: number): void {
    if (byte === OPEN_ARRAY && this.#between === 'start') this.#between = 'first';
    else if (byte === COMMA && this.#between === 'separator') this.#between = 'item';
    else if (byte === CLOSE_ARRAY && ['first', 'separator'].includes(this.#between)) {
      this.#between = 'end';
    } else this.#halt('something else than JSON objects, one after another or in one array');
  }

  #finish(rest: Uint8Array): void {
    const whole = this.#kept.length === 0 ? rest : Buffer.concat([this.#kept, rest]);
    this.#kept = Buffer.alloc(0);
    this.#between = this.#between === 'start' || this.#between === 'lines' ? 'lines' : 'separator';
    if (whole.length > this.#o.objectBytesMax) this.#halt(this.#tooLong());
    else this.#o.onObject(whole, this.#objectLine);
  }

  #keep(rest: Uint8Array): void {
    if (this.#kept.length + rest.length > this.#o.objectBytesMax) this.#halt(this.#tooLong());
    // A copy, because the caller may reuse its block.
    else this.#kept = Buffer.concat([this.#kept, rest]);
  }

  #end(): void {
    if (this.#depth > 0) this.#halt('an object that is never closed');
    else if (['first', 'item', 'separator'].includes(this.#between)) {
      this.#halt('an array that is never closed');
    }
  }

  #tooLong(): string {
    return `an object longer than ${this.#o.objectBytesMax} bytes; a quote may be left open`;
  }

  #halt(reason: string): void {
    this.#halted = true;
    this.#kept = Buffer.alloc(0);
    this.#o.onProblem(this.#depth > 0 ? this.#objectLine : this.#line, reason);
  }
}
