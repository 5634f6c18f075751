/*
 * What the command prints: text in large pieces, no faster than the reader takes it, and tables.
 * No colours: the same text on a terminal and in a file.
 */
import { once } from 'node:events';
import CliTable, { type HorizontalTableRow } from 'cli-table3';

/** What of a stream is needed. */
export interface TextStream extends NodeJS.EventEmitter {
  write(text: string): boolean;
}

const PIECE_CHARACTERS = 64 * 1024;

/** Collects text and writes it in pieces. */
export class Output {
  readonly #stream: TextStream;
  #pending = '';

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  /** Adds text; it is written at the latest by `flush`. */
  write(text: string): void {
    this.#pending += text;
  }

  /** Adds a line, and waits while the reader is behind. */
  async line(text = ''): Promise<void> {
    this.#pending += `${text}\n`;
    if (this.#pending.length >= PIECE_CHARACTERS) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '' && !this.#stream.write(text)) await once(this.#stream, 'drain');
  }

  /** Prints rows under headings. */
  async table(headings: readonly string[], rows: readonly HorizontalTableRow[]): Promise<void> {
    const table = new CliTable({
      head: [...headings],
      style: { head: [], border: [], compact: true },
    });
    table.push(...rows);
    await this.line(table.toString());
  }
}

/** Ends the process without a word when the reader of a stream is gone. */
export function closeQuietly(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}
