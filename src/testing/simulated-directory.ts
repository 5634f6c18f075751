/*
 * A directory of the simulated file system: the names that programs see, and beside them those that
 * are on the disk for sure and every change of names that is not, in order.
 *
 * A sync of the directory makes its changes durable. Two names that one rename changes in one
 * directory change together. A rename to another directory reaches the disk in two parts: the new
 * name, and never before it the removal of the old one.
 */
import { MemoryDirectory, type MemoryNode } from '../fs/memory-tree.ts';

/** A change of names in one directory, which reaches the disk whole or not at all. */
export interface NameChange {
  /** Each name, and what it stands for now; undefined: it is gone. */
  readonly names: readonly (readonly [name: string, node: MemoryNode | undefined])[];
  /** For the part of a rename that removes the old name: the part that makes the new one. */
  readonly after?: { readonly directory: SimulatedDirectory; readonly change: NameChange };
  synced: boolean;
}

/** A directory at a moment. */
export interface CapturedDirectory {
  readonly path: string;
  readonly disk: ReadonlyMap<string, MemoryNode>;
  /** Not on the disk for sure; `synced` says what is, although something before it is not. */
  readonly changes: readonly (NameChange & { readonly origin: NameChange })[];
}

/** A directory, live and on the disk. */
export class SimulatedDirectory extends MemoryDirectory {
  readonly path: string;
  #disk: ReadonlyMap<string, MemoryNode>;
  #changes: NameChange[] = [];
  #captured: CapturedDirectory | undefined;

  constructor(path: string) {
    super();
    this.path = path;
    this.#disk = new Map();
  }

  /** Puts what is live on the disk, as it is: for what a simulation starts with. */
  settle(): void {
    this.#disk = new Map(this.entries);
    this.#changes = [];
    this.#captured = undefined;
  }

  /** Changes names now, and on the disk when the directory is synced. */
  change(names: NameChange['names'], after?: NameChange['after']): NameChange {
    for (const [name, node] of names) {
      if (node) this.entries.set(name, node);
      else this.entries.delete(name);
    }
    const change = { names, synced: false, ...(after && { after }) };
    this.#changes.push(change);
    this.#captured = undefined;
    return change;
  }

  /** The changes that a sync which is asked for now makes durable. */
  unsynced(): readonly NameChange[] {
    return this.#changes.filter(({ synced }) => !synced);
  }

  /** A sync has ended well. */
  synced(changes: readonly NameChange[]): void {
    for (const change of changes) {
      change.synced = true;
      const { after } = change;
      if (after && !after.change.synced) after.directory.synced([after.change]);
    }
    const open = this.#changes.findIndex(({ synced }) => !synced);
    const count = open < 0 ? this.#changes.length : open;
    if (count > 0) {
      const disk = new Map(this.#disk);
      for (const { names } of this.#changes.splice(0, count)) applyNames(disk, names);
      this.#disk = disk;
    }
    this.#captured = undefined;
  }

  capture(): CapturedDirectory {
    this.#captured ??= {
      path: this.path,
      disk: this.#disk,
      changes: this.#changes.map((origin) => ({ ...origin, origin })),
    };
    return this.#captured;
  }
}

/** Makes names stand for what a change says. */
export function applyNames(to: Map<string, MemoryNode>, names: NameChange['names']): void {
  for (const [name, node] of names) {
    if (node) to.set(name, node);
    else to.delete(name);
  }
}
