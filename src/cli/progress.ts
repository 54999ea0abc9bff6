import { tell } from './output.ts';

/** One role's place in a running query. */
export interface ProgressLine {
  readonly who: string;
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** Shows long work on stderr: one rewritten line on a terminal, one plain line per stage else. */
export interface ProgressDisplay {
  update(lines: readonly ProgressLine[]): void;
  end(): void;
}

const BAR_CELLS = 16;

export function progressDisplay(quiet: boolean): ProgressDisplay {
  if (quiet) return { update: () => undefined, end: () => undefined };
  return process.stderr.isTTY ? terminalDisplay() : plainDisplay();
}

function terminalDisplay(): ProgressDisplay {
  let shown = false;
  const clear = (): void => {
    if (shown) process.stderr.write('\r\u001b[2K');
    shown = false;
  };
  return {
    update(lines) {
      const text = lines.map((line) => `${line.who} ${bar(line)} ${line.stage}`).join('   ');
      clear();
      process.stderr.write(text.slice(0, Math.max(20, process.stderr.columns - 1)));
      shown = true;
    },
    end: clear,
  };
}

function bar({ done, total }: ProgressLine): string {
  const filled = total <= 0 ? 0 : Math.min(BAR_CELLS, Math.round((BAR_CELLS * done) / total));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`;
}

function plainDisplay(): ProgressDisplay {
  const seen = new Set<string>();
  return {
    update(lines) {
      for (const { who, stage, done, total } of lines) {
        const key = `${who} ${stage}`;
        if (done < total || seen.has(key)) continue;
        seen.add(key);
        tell(`  ${who}: ${stage} (${total})`);
      }
    },
    end: () => undefined,
  };
}
