/** One stage of one party in a running query. */
export interface ProgressLine {
  readonly who: string;
  readonly stage: string;
  /** Rows; a stage that counts none is 0 or 1 of 1. */
  readonly done: number;
  readonly total: number;
  /** What the party has sent to the other so far; null before it says. */
  readonly bytesSent: number | null;
}

/** Shows long work on stderr: one rewritten line on a terminal, one plain line per stage else. */
export interface ProgressDisplay {
  /** Takes all stages so far, each party's in the order they began. */
  update(lines: readonly ProgressLine[]): void;
  end(): void;
}

/** Where a display writes; `process.stderr` but for tests. */
export interface ProgressTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_CELLS = 16;
const COLUMNS_DEFAULT = 80;

export function progressDisplay(
  quiet: boolean,
  terminal: ProgressTerminal = process.stderr,
): ProgressDisplay {
  if (quiet) return { update: () => undefined, end: () => undefined };
  return terminal.isTTY === true ? rewrittenLine(terminal) : plainLines(terminal);
}

function rewrittenLine(terminal: ProgressTerminal): ProgressDisplay {
  let shown = false;
  const clear = (): void => {
    if (shown) terminal.write('\r\u001b[2K');
    shown = false;
  };
  return {
    update(lines) {
      const latest = new Map(lines.map((line) => [line.who, line]));
      if (latest.size === 0) return;
      const text = [...latest.values()]
        .map((line) => `${line.who} ${bar(line)} ${line.stage}${sizes(line)}`)
        .join('   ');
      clear();
      terminal.write(text.slice(0, Math.max(20, (terminal.columns ?? COLUMNS_DEFAULT) - 1)));
      shown = true;
    },
    end: clear,
  };
}

function bar({ done, total }: ProgressLine): string {
  const filled = total <= 0 ? 0 : Math.min(BAR_CELLS, Math.round((BAR_CELLS * done) / total));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`;
}

function plainLines(terminal: ProgressTerminal): ProgressDisplay {
  const seen = new Set<string>();
  return {
    update(lines) {
      for (const line of lines) {
        const key = `${line.who} ${line.stage}`;
        if (line.done < line.total || seen.has(key)) continue;
        seen.add(key);
        terminal.write(`  ${line.who}: ${line.stage} done${sizes(line)}\n`);
      }
    },
    end: () => undefined,
  };
}

/** ` 1,200 of 4,096 rows, 3.1 MB sent`, without what is not known. */
function sizes({ done, total, bytesSent }: ProgressLine): string {
  const rows = done < total ? `${count(done)} of ${count(total)} rows` : `${count(total)} rows`;
  const parts = [
    ...(total > 1 ? [rows] : []),
    ...(bytesSent === null ? [] : [`${byteCount(bytesSent)} sent`]),
  ];
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

function byteCount(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Shows a file being read: one rewritten bar on a terminal, a line per tenth elsewhere. */
export function readProgress(
  name: string,
  terminal: ProgressTerminal = process.stderr,
): {
  readonly onProgress: (event: { readonly done: number; readonly total: number }) => void;
  end(): void;
} {
  const shows = terminal.isTTY === true;
  const step = shows ? 1 / 200 : 1 / 10;
  const display = shows ? rewrittenLine(terminal) : null;
  let next = step;
  return {
    onProgress({ done, total }) {
      const part = total === 0 ? 1 : done / total;
      if (total === 0 || part < next) return;
      next = part + step;
      const percent = `${Math.floor(100 * part)}% read`;
      if (display === null) terminal.write(`${name}: ${percent}\n`);
      else display.update([{ who: name, stage: percent, done, total, bytesSent: null }]);
    },
    end: () => display?.end(),
  };
}
