/*
 * Fills segments with zeros ahead of need (L2): temporary name, zeros, a sync every 512 KiB so that
 * commits do not queue behind a large one, and waits with them until the writer rotates. At most
 * `readyMax` wait. One fill runs at a time; one that fails leaves nothing behind and is tried again
 * when the writer next asks. After `stop` no file is touched any more (L11).
 */
import { StorageError, toStorageError, type TidemarkError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { temporaryName } from './segment-format.ts';

const FILL_BYTES = 512 * 1024;

/** A file full of zeros that is not part of the log yet. */
export interface ReadySegment {
  readonly handle: FileHandle;
  readonly path: string;
  readonly size: number;
}

export class SegmentPipeline {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #size: number;
  readonly #readyMax: number;
  readonly #nextNumber: () => number;
  readonly #ready: ReadySegment[] = [];
  #filling: Promise<void> | undefined;
  #stopped = false;
  #leaving = false;
  #failure: TidemarkError | undefined;
  #reserved = 0;

  /** Bytes that the running fill has still to take. */
  fillBytesLeft = 0;
  /** Bytes of the volume that are promised to others. */
  reservedElsewhere: () => number = () => 0;

  constructor(
    fs: FileSystem,
    directory: string,
    size: number,
    readyMax: number,
    nextNumber: () => number,
  ) {
    this.#fs = fs;
    this.#directory = directory;
    this.#size = size;
    this.#readyMax = readyMax;
    this.#nextNumber = nextNumber;
  }

  /** Why the last fill failed, until one succeeds. */
  get failure(): TidemarkError | undefined {
    return this.#failure;
  }

  /** Ready segments that nobody has reserved. */
  get available(): number {
    return this.#ready.length - this.#reserved;
  }

  /** Promises one ready segment to a later `take`; there must be one available. */
  reserve(): void {
    this.#reserved++;
  }

  /** Takes a reserved segment; the caller owns its handle, and starts the next fill when it is in use. */
  take(): ReadySegment {
    this.#reserved--;
    return this.#ready.shift()!;
  }

  /** Fills segments in the background until enough are ready. */
  start(): void {
    if (this.#filling || this.#stopped || this.#ready.length >= this.#readyMax) return;
    this.#filling = this.#fillAll().finally(() => {
      this.#filling = undefined;
    });
  }

  /** Resolves when the running fill has ended, well or not; starts one if there is need. */
  async settled(): Promise<void> {
    this.start();
    await this.#filling;
  }

  /** Ends filling and removes what was filled. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.#filling;
    await this.#closeReady();
  }

  /** Ends filling at the next call; files stay as they are, for the next opening to remove. */
  stop(): void {
    this.#stopped = true;
    this.#leaving = true;
  }

  /** As `stop`, and closes what is open. */
  async abandon(): Promise<void> {
    this.stop();
    await this.#filling;
    await this.#closeReady();
  }

  /** Closes every file, also behind one that cannot be closed; throws the first error then. */
  async #closeReady(): Promise<void> {
    const closing = this.#ready.splice(0).map(async ({ handle, path }) => {
      await handle.close();
      if (!this.#leaving) await this.#fs.unlink(path);
    });
    const ended = await Promise.allSettled(closing);
    for (const result of ended) if (result.status === 'rejected') throw result.reason;
  }

  async #fillAll(): Promise<void> {
    while (this.#ready.length < this.#readyMax && !this.#stopped) {
      const path = `${this.#directory}/${temporaryName(this.#nextNumber())}`;
      try {
        this.#checkSpace();
        const handle = await this.#fill(path);
        if (!handle) return;
        this.#ready.push({ handle, path, size: this.#size });
        this.#failure = undefined;
      } catch (error) {
        this.#failure = toStorageError(error, 'fill a segment', path);
        return;
      } finally {
        this.fillBytesLeft = 0;
      }
    }
  }

  /** Zeros must not take the space of frames that are sealed already (L10). */
  #checkSpace(): void {
    const free = this.#fs.freeBytes(this.#directory) - this.reservedElsewhere();
    this.fillBytesLeft = this.#size;
    if (free >= this.#size) return;
    throw new StorageError(
      'NO_SPACE',
      `not enough free space for a segment: ${this.#size} bytes needed (segmentBytesMax), ${free} free`,
      { option: 'segmentBytesMax', needed: this.#size, free },
    );
  }

  async #fill(path: string): Promise<FileHandle | undefined> {
    const handle = await this.#fs.open(path, 'create');
    try {
      await this.#writeZeros(handle);
    } catch (error) {
      // The error to tell is that of the fill; what this cannot remove, the next opening does.
      await this.#discard(handle, path).catch(() => {});
      throw error;
    }
    if (!this.#stopped) return handle;
    await this.#discard(handle, path);
    return undefined;
  }

  async #writeZeros(handle: FileHandle): Promise<void> {
    const zeros = new Uint8Array(Math.min(FILL_BYTES, this.#size));
    for (let at = 0; at < this.#size; at += zeros.length) {
      if (this.#stopped) return;
      const left = this.#size - at;
      await handle.write(left < zeros.length ? zeros.subarray(0, left) : zeros, at);
      this.fillBytesLeft = Math.max(0, left - zeros.length);
      if (!this.#stopped) await handle.sync();
    }
  }

  async #discard(handle: FileHandle, path: string): Promise<void> {
    await handle.close();
    if (!this.#leaving) await this.#fs.unlink(path);
  }
}
