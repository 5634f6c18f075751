/*
 * A file of the simulated file system: what programs read, and beside it what is on the disk for
 * sure and every change that is not, in order.
 *
 * A sync makes durable what was changed before it was asked for. One that fails leaves the changes
 * *abandoned*, as Linux does: they are read, and no later sync brings them to the disk.
 */
import { MemoryFile } from '../fs/memory-file.ts';

/** One change of a file. `unsynced` and `abandoned` ones may be lost in a crash, whole or in part. */
export interface FileChange {
  readonly position: number;
  /** Undefined: the file was cut or grown to `position`. */
  readonly bytes: Uint8Array | undefined;
  readonly sizeAfter: number;
  readonly state: 'unsynced' | 'abandoned' | 'synced';
}

/** A file at a moment: what is on the disk for sure, and what came after it. */
export interface CapturedFile {
  readonly path: string;
  readonly disk: Uint8Array;
  readonly changes: readonly FileChange[];
}

/** What becomes of the changes of a file in a crash. */
export interface FileFate {
  /** How many of the changes the size of the file has followed. */
  readonly sizedChanges: number;
  /** The ranges of a written change that reach the disk, and what they hold there. */
  pieces(change: FileChange, index: number): readonly FilePiece[];
}

/** Bytes on the disk. */
export interface FilePiece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** Everything reaches the disk. */
const everything: FileFate = {
  sizedChanges: Number.POSITIVE_INFINITY,
  pieces: (change) => [{ position: change.position, bytes: change.bytes! }],
};

/** A file, live and on the disk. */
export class SimulatedFile extends MemoryFile {
  /** Its newest name. */
  path: string;
  #disk: Uint8Array;
  #changes: FileChange[] = [];
  #captured: CapturedFile | undefined;
  /** Live content as long as it is that of the disk: copied at the first change. */
  #unchanged: Uint8Array | undefined;

  /** `disk` is the file's content on the disk; nobody may change it. */
  constructor(path: string, disk: Uint8Array = new Uint8Array(0)) {
    super();
    this.path = path;
    this.#disk = disk;
    this.#unchanged = disk;
  }

  override get bytes(): number {
    return this.#unchanged?.byteLength ?? super.bytes;
  }

  override read(target: Uint8Array, position: number): number {
    if (!this.#unchanged) return super.read(target, position);
    const found = this.#unchanged.subarray(position, position + target.byteLength);
    target.set(found);
    return found.byteLength;
  }

  override write(source: Uint8Array, position: number): void {
    this.#copyLive();
    super.write(source, position);
  }

  override resize(bytes: number): void {
    this.#copyLive();
    super.resize(bytes);
  }

  /** The live content, as a copy. */
  content(): Uint8Array {
    const bytes = new Uint8Array(this.bytes);
    this.read(bytes, 0);
    return bytes;
  }

  /** A write that was done. The bytes are kept: they have to be a copy. */
  noteWrite(position: number, bytes: Uint8Array): void {
    this.#note({ position, bytes, sizeAfter: this.bytes, state: 'unsynced' });
  }

  /** The file was cut or grown. */
  noteResize(bytes: number): void {
    this.#note({ position: bytes, bytes: undefined, sizeAfter: bytes, state: 'unsynced' });
  }

  /** The changes that a sync which is asked for now is about. */
  unsynced(): ReadonlySet<FileChange> {
    return new Set(this.#changes.filter(({ state }) => state === 'unsynced'));
  }

  /** A sync has ended: well, or with an error that leaves nothing to be synced. */
  settle(changes: ReadonlySet<FileChange>, state: 'synced' | 'abandoned'): void {
    if (changes.size === 0) return;
    this.#changes = this.#changes.map((change) =>
      changes.has(change) && change.state === 'unsynced' ? { ...change, state } : change,
    );
    this.#settled();
  }

  /** Replaces the live content by that of the disk and the changes that may still be written. */
  dropCache(): void {
    const kept = this.#changes.filter(({ state }) => state !== 'abandoned');
    this.#unchanged = contentAfter(this.#disk, kept, everything);
    this.#changes = kept;
    super.resize(0);
    this.#settled();
  }

  capture(): CapturedFile {
    const { path } = this;
    if (this.#captured?.path === path) return this.#captured;
    this.#captured = { path, disk: this.#disk, changes: [...this.#changes] };
    return this.#captured;
  }

  #copyLive(): void {
    const content = this.#unchanged;
    if (!content) return;
    this.#unchanged = undefined;
    super.write(content, 0);
  }

  #note(change: FileChange): void {
    this.#changes.push(change);
    this.#captured = undefined;
  }

  /** What is synced, with nothing open before it, becomes part of the content on the disk. */
  #settled(): void {
    const open = this.#changes.findIndex(({ state }) => state !== 'synced');
    const count = open < 0 ? this.#changes.length : open;
    this.#disk = contentAfter(this.#disk, this.#changes.slice(0, count), everything);
    this.#changes = this.#changes.slice(count);
    this.#captured = undefined;
  }
}

/** The content of a file behind changes of which not all need have reached the disk. */
export function contentAfter(
  disk: Uint8Array,
  changes: readonly FileChange[],
  fate: FileFate,
): Uint8Array {
  if (changes.length === 0) return disk;
  const sized = Math.min(fate.sizedChanges, changes.length);
  const size = sized === 0 ? disk.byteLength : changes[sized - 1]!.sizeAfter;
  const most = changes.reduce((sum, { sizeAfter }) => Math.max(sum, sizeAfter), disk.byteLength);
  const content = new Uint8Array(Math.max(size, most));
  content.set(disk);
  for (const [index, change] of changes.entries()) {
    if (change.bytes) {
      for (const { position, bytes } of fate.pieces(change, index)) content.set(bytes, position);
    } else if (index < sized) {
      content.fill(0, change.position);
    }
  }
  return content.byteLength === size ? content : content.slice(0, size);
}
