/*
 * The space of a volume in memory: counted by file size, holes too. File systems in memory and the
 * simulated one take from it before they change a file, so that a refused write has changed nothing.
 */
import type { MemoryFile } from './memory-file.ts';
import { systemError } from './system-error.ts';

/** The space that all files share. */
export class MemorySpace {
  /** Bytes that all files together may have. */
  capacityBytes: number;
  #usedBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.#usedBytes);
  }

  /** Takes the space that a file of the new size needs more, or gives back what it needs less. */
  resize(file: MemoryFile, bytes: number, path: string): void {
    const more = bytes - file.bytes;
    if (more > 0 && more > this.freeBytes) throw systemError('ENOSPC', 'write', path);
    this.#usedBytes += more;
  }

  /** Counts what a file has taken or given back by other ways. */
  count(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Gives a file's space back once it has no name and no handle. */
  drop(file: MemoryFile): void {
    if (file.names > 0 || file.handles > 0) return;
    this.#usedBytes -= file.bytes;
    file.resize(0);
  }
}
