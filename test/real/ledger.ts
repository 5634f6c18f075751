/*
 * Runs the process of ledger-child.mjs and keeps the ledger: the highest commit that it was told was
 * acknowledged. Acknowledgements come in order, so that one number says it all.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';

const child = fileURLToPath(new URL('ledger-child.mjs', import.meta.url));

/** Settings of the process. */
export interface LedgerSettings {
  /** Commits in flight. */
  readonly inFlight?: number;
  readonly valueBytes?: number;
  /** Ends by itself behind so many commits. */
  readonly commits?: number;
  /** Milliseconds between a commit and the next of the same caller. */
  readonly pauseMs?: number;
  /** Options of `openEngine` beside those that the process has. */
  readonly engine?: object;
}

/** How a process ended. */
export interface LedgerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

export class LedgerProcess {
  readonly process: ChildProcess;
  /** Highest commit that was acknowledged; 0 for none. */
  acknowledged = 0;
  /** As which commit it opened; undefined while it has not. */
  opened: number | undefined;
  readonly lines: string[] = [];
  readonly ended: Promise<LedgerEnd>;
  #onLine: (line: string) => void = () => {};

  constructor(dir: string, settings: LedgerSettings = {}, env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [child, dir, JSON.stringify(settings)], {
      env: { ...process.env, ...env, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const lines = createInterface({ input: this.process.stdout! });
    lines.on('line', (line) => this.#take(line));
    const read = new Promise<void>((resolve) => lines.on('close', resolve));
    this.ended = new Promise((resolve, reject) => {
      this.process.on('error', reject);
      this.process.on('exit', (code, signal) => {
        void read.then(() => resolve({ code, signal, errors }));
      });
    });
  }

  /** Resolves with the first line from now on that fits, or rejects when the process ends before. */
  line(fits: (line: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#onLine = (line) => {
        if (fits(line)) resolve(line);
      };
      void this.ended.then(({ errors }) => reject(new Error(`the process has ended: ${errors}`)));
    });
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.process.kill(signal);
  }

  #take(line: string): void {
    const [word, number] = line.split(' ');
    if (word === 'ack') {
      const acknowledged = Number(number);
      if (acknowledged !== this.acknowledged + 1 && this.acknowledged !== 0) {
        throw new Error(`acknowledged ${acknowledged} after ${this.acknowledged}`);
      }
      this.acknowledged = acknowledged;
    } else {
      this.lines.push(line);
      if (word === 'opened') this.opened = Number(number);
    }
    this.#onLine(line);
  }
}
