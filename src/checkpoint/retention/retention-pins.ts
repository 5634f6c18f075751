/*
 * What is in use and must not be collected, whatever the rules say: a checkpoint, the moment of an
 * LSN, or snapshots alone, with the reason that a plan prints. Pins live in memory and end with the process; readers
 * in other processes need none, since a file that is open stays readable (F1).
 *
 * Pins of a directory are found by file system and path, so that a reader of a directory whose
 * engine is in the same process tells that engine what it reads.
 */
import type { FileSystem } from '../../fs/file-system.ts';

/** Something that stays while the pin is there. */
export type RetentionPin = { readonly reason: string } & (
  | {
      /** The checkpoint of this id, with its snapshots. */
      readonly recordId: number;
    }
  | {
      /** The moment of this LSN: the newest checkpoint at or before it, and the log from there. */
      readonly lsn: number;
      /** @defaultValue the current one */
      readonly timeline?: number | undefined;
    }
  | {
      /** Snapshots of these names, whether a checkpoint names them or not. */
      readonly snapshots: readonly string[];
    }
);

/** The pins of one directory. */
export class PinSet {
  readonly #pins = new Set<RetentionPin>();

  get size(): number {
    return this.#pins.size;
  }

  list(): readonly RetentionPin[] {
    return [...this.#pins];
  }

  /** Adds a pin; the function that is returned takes it away. */
  add(pin: RetentionPin): () => void {
    const own = { ...pin };
    this.#pins.add(own);
    return () => void this.#pins.delete(own);
  }
}

const sets = new WeakMap<FileSystem, Map<string, PinSet>>();

/** The pins of a directory, by its absolute path. */
export function pinsOf(fs: FileSystem, dir: string): PinSet {
  let byPath = sets.get(fs);
  if (!byPath) sets.set(fs, (byPath = new Map()));
  let pins = byPath.get(dir);
  if (!pins) byPath.set(dir, (pins = new PinSet()));
  return pins;
}
