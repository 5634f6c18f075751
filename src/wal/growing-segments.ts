/*
 * Segments that grow as they are written, and the space that is reserved for them: free space is
 * looked at when one is planned, less what earlier ones have not used yet, so that running out is a
 * refusal before sealing and not an error behind it (L10).
 */
import { StorageError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { PlannedSegment } from './pending-group.ts';

interface Reserved {
  left: number;
  started: boolean;
}

export class GrowingSegments {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #marksBytes: number;
  readonly #reserved = new Map<PlannedSegment, Reserved>();

  readonly #fillBytesLeft: () => number;

  /** `fillBytesLeft`: what the running fill of a segment has still to take. */
  constructor(fs: FileSystem, directory: string, marksBytes: number, fillBytesLeft: () => number) {
    this.#fs = fs;
    this.#directory = directory;
    this.#marksBytes = marksBytes;
    this.#fillBytesLeft = fillBytesLeft;
  }

  /** Bytes that segments which were planned will still take. */
  get reservedBytes(): number {
    let bytes = 0;
    for (const { left } of this.#reserved.values()) bytes += left;
    return bytes;
  }

  /** Plans a segment whose groups end at or below `limit`, or throws NO_SPACE. */
  plan(limit: number): PlannedSegment {
    const needed = limit + this.#marksBytes;
    const free = this.#freeBytes() - this.reservedBytes - this.#fillBytesLeft();
    if (free < needed) {
      const message = `not enough free space for the commit: ${needed} bytes needed, ${free} free`;
      throw new StorageError('NO_SPACE', message, { needed, free });
    }
    const segment: PlannedSegment = { source: 'own', limit };
    this.#reserved.set(segment, { left: needed, started: false });
    return segment;
  }

  #freeBytes(): number {
    try {
      return this.#fs.freeBytes(this.#directory);
    } catch (error) {
      throw toStorageError(error, 'look at the free space', this.#directory);
    }
  }

  /** A group was written: its bytes are no longer reserved, nor is what a full segment left over. */
  written(segment: PlannedSegment, bytes: number): void {
    for (const [other, reserved] of this.#reserved) {
      if (other === segment) {
        reserved.started = true;
        reserved.left -= bytes;
      } else if (reserved.started) {
        this.#reserved.delete(other);
      }
    }
  }
}
