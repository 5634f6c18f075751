/*
 * One table at run time: its cells in the active memtable, then in frozen ones, newest first. The
 * last frozen memtable stays as a read cache after its image took its place.
 */
import { emptyTableCells, type MapKey, type TableCells } from './cells.ts';
import type { TableDefinition } from './table-definition.ts';
import { unversioned, type Versioning } from './value-versions.ts';

export class Table<C> {
  definition: TableDefinition;
  /** How its values are read and written here; those of memtables are of its version. */
  versioning: Versioning = unversioned;
  active: TableCells<C>;
  /** Frozen, newest first. */
  frozen: TableCells<C>[] = [];
  /** Values of it were patched in this process: a cell of the open transaction may be a patch. */
  patched = false;
  /** Images hold everything of this generation and older ones. */
  #retired = 0;

  constructor(definition: TableDefinition, generation: number) {
    this.definition = definition;
    this.active = emptyTableCells<C>(generation);
  }

  get id(): number {
    return this.definition.id;
  }

  /** Whether some memtable hides everything that images hold of this table. */
  get hidesImages(): boolean {
    // On the path of every read of an image: no generator.
    if (this.active.cleared) return this.active.generation > this.#retired;
    for (const layer of this.frozen) {
      if (layer.cleared) return layer.generation > this.#retired;
    }
    return false;
  }

  /** Layers from the newest to the last that counts. */
  *layers(): Generator<TableCells<C>> {
    yield this.active;
    if (this.active.cleared) return;
    for (const layer of this.frozen) {
      yield layer;
      if (layer.cleared) return;
    }
  }

  /** Layers whose changes no image holds, from the newest to the last that counts. */
  *layersAboveImages(): Generator<TableCells<C>> {
    for (const layer of this.layers()) if (layer.generation > this.#retired) yield layer;
  }

  /** The newest cell of a key in any memtable. */
  find(key: MapKey): C | undefined {
    const { active } = this;
    const cell = active.cells.get(key);
    if (cell !== undefined || active.cleared || this.frozen.length === 0) return cell;
    for (const layer of this.frozen) {
      const found = layer.cells.get(key);
      if (found !== undefined || layer.cleared) return found;
    }
    return undefined;
  }

  /** The newest frozen cell of a key. */
  findFrozen(key: MapKey): C | undefined {
    if (this.active.cleared) return undefined;
    for (const layer of this.frozen) {
      const found = layer.cells.get(key);
      if (found !== undefined || layer.cleared) return found;
    }
    return undefined;
  }

  /** Starts a new active memtable; the old one is frozen. */
  freeze(generation: number): void {
    this.frozen.unshift(this.active);
    this.active = emptyTableCells<C>(generation);
  }

  /** Becomes a table of a view: what another one has frozen, below an empty memtable. */
  shareFrozen(of: Table<C>): void {
    this.active = emptyTableCells<C>(of.active.generation);
    this.frozen = [...of.frozen];
    this.#retired = of.#retired;
  }

  /** Images hold everything up to a generation: only the newest such memtable stays, as a cache. */
  retire(generation: number): void {
    this.#retired = generation;
    let cached = false;
    this.frozen = this.frozen.filter((layer) => {
      if (layer.generation > generation) return true;
      if (cached) return false;
      cached = true;
      return layer.generation === generation && layer.cells.size > 0;
    });
  }
}
