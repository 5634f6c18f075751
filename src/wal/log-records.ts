/*
 * Reads records out of ranges of the log, group by group through a window, so that memory is
 * bounded by the largest group and not by the range. A group that does not verify is corruption:
 * the ranges that this is given are known to be whole.
 */
import { CorruptionError, toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import {
  decodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  visitRecords,
} from './group-format.ts';
import type { LogRange } from './log-position.ts';
import { GroupScanner, type Border } from './segment-scan.ts';

/** One record of the log. */
export interface LogRecord {
  readonly lsn: number;
  readonly bytes: Uint8Array;
}

const WINDOW_BYTES = 1024 * 1024;

/** Records of the ranges from an LSN on, in order, as copies. */
export async function* readRecords(
  fs: FileSystem,
  ranges: readonly LogRange[],
  from: number,
): AsyncGenerator<LogRecord> {
  for (const range of ranges) {
    let handle: FileHandle;
    try {
      handle = await fs.open(range.path, 'read');
    } catch (error) {
      throw toStorageError(error, 'read the log', range.path);
    }
    try {
      yield* readRange(handle, range, from);
    } finally {
      await handle.close();
    }
  }
}

async function* readRange(
  handle: FileHandle,
  range: LogRange,
  from: number,
): AsyncGenerator<LogRecord> {
  const window = new Window(handle, range);
  let border: Border = { offset: range.start, lsn: range.firstLsn - 1, chain: range.chain };
  while (border.offset < range.end) {
    await window.hold(border.offset, groupHeaderBytes);
    const at = border.offset - window.base;
    const header = decodeGroupHeader(window.bytes, at, range.salt, border.offset);
    if (typeof header !== 'string') {
      await window.hold(border.offset, groupBytes(header.bodyBytes));
    }
    const scanner = new GroupScanner(window.bytes, window.base, range.salt, border);
    const group = scanner.next();
    if (!group) {
      throw new CorruptionError('CORRUPT_FRAME', `log group ${scanner.fault}: ${range.path}`, {
        path: range.path,
        offset: border.offset,
        lsn: border.lsn + 1,
      });
    }
    const records: LogRecord[] = [];
    if (group.kind === groupKinds.frames && scanner.border.lsn >= from) {
      const { bytes, start, end } = scanner.body;
      visitRecords(bytes, start, end, group.firstLsn, (lsn, recordStart, recordEnd) => {
        if (lsn >= from) records.push({ lsn, bytes: bytes.slice(recordStart, recordEnd) });
      });
    }
    border = scanner.border;
    yield* records;
  }
}

/** A part of a file in memory. */
class Window {
  readonly #handle: FileHandle;
  readonly #range: LogRange;
  base = 0;
  bytes: Uint8Array = new Uint8Array(0);

  constructor(handle: FileHandle, range: LogRange) {
    this.#handle = handle;
    this.#range = range;
  }

  /** Makes the window hold `count` bytes from an offset, or as many as the range has. */
  async hold(offset: number, count: number): Promise<void> {
    const wanted = Math.min(this.#range.end, offset + count);
    if (offset >= this.base && wanted <= this.base + this.bytes.length) return;
    const end = Math.min(this.#range.end, offset + Math.max(count, WINDOW_BYTES));
    const bytes = new Uint8Array(end - offset);
    const read = await this.#handle.read(bytes, offset);
    this.base = offset;
    this.bytes = read === bytes.length ? bytes : bytes.subarray(0, read);
  }
}
