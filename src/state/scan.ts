/*
 * Iteration over a table, or over one key of it: the merge kernel over the images and the memtables
 * (overlay-cursor.ts), in hash order. It sees the state as it was when it was made: the memtables
 * are read then, and the images are retained until it ends. One that is given up half-way ends at
 * `return`; one that is dropped only keeps its memory from being used again before it is collected.
 */
import { decodeKey, encodeKey, keyOfMapKey, type Key } from '../codec/key.ts';
import { hashBytes } from '../codec/hash.ts';
import { ops } from '../snapshot/entry-format.ts';
import type { Image } from '../snapshot/image.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import { deleted, type Cell, type ListCell, type MapCell, type MapKey } from './cells.ts';
import { listSubKey } from './changes.ts';
import { OverlayCursor } from './overlay-cursor.ts';
import type { AnyTable, StateSpace } from './state-space.ts';

/** Above every LSN: the open transaction is newer than everything committed. */
const OPEN_LSN = Number.MAX_SAFE_INTEGER;

/** One live entry in hand; valid until the next step. */
export interface Scanned {
  key(): Key;
  /** Sub-key of a map; of other kinds there is none. */
  subKey(): Key;
  value(): unknown;
  readonly lsn: number;
  readonly timestamp: number;
  /** Microseconds; 0 for none. */
  readonly expiry: number;
}

/** Iterates lazily; `give` turns the entry in hand into what the caller gets. */
export function scan<T>(
  space: StateSpace,
  table: AnyTable,
  onlyKey: MapKey | undefined,
  give: (entry: Scanned) => T,
): IterableIterator<T> {
  space.assertOpen();
  return new Scan(space, table, onlyKey, give);
}

/** Counts the live entries of a table: O(n). */
export function countLive(space: StateSpace, table: AnyTable): number {
  let count = 0;
  for (const _ of scan(space, table, undefined, () => true)) count++;
  return count;
}

class Scan<T> implements IterableIterator<T>, Scanned {
  readonly #space: StateSpace;
  readonly #table: AnyTable;
  readonly #give: (entry: Scanned) => T;
  readonly #overlay: OverlayCursor;
  readonly #merged: MergeIterator;
  #images: readonly Image[];
  #done = false;

  constructor(
    space: StateSpace,
    table: AnyTable,
    onlyKey: MapKey | undefined,
    give: (entry: Scanned) => T,
  ) {
    this.#space = space;
    this.#table = table;
    this.#give = give;
    this.#overlay = collectOverlay(space, table, onlyKey);
    const { images } = space;
    this.#images = table.hidesImages ? [] : images.newestFirst;
    const probe = onlyKey === undefined ? undefined : images.probe(table.id, onlyKey, undefined);
    // Slices that are read from a file can fail, here and at each step: nothing stays retained then.
    const inputs = this.#images
      .map((image) => (probe ? image.keyCursor(probe) : image.cursor({ table: table.id })))
      .toReversed();
    const { itemsMax } = table.definition;
    this.#merged = new MergeIterator([...inputs, this.#overlay], {
      base: true,
      view: true,
      lastTimestamp: space.now(),
      rules: itemsMax === undefined ? [] : [{ table: table.id, itemsMax }],
      groupBits: images.groupBits,
    });
    for (const image of this.#images) image.retain();
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this;
  }

  next(): IteratorResult<T> {
    if (!this.#done && this.#step()) return { done: false, value: this.#give(this) };
    this.#end();
    return { done: true, value: undefined };
  }

  return(): IteratorResult<T> {
    this.#end();
    return { done: true, value: undefined };
  }

  key(): Key {
    const { bytes, keyStart, keyEnd } = this.#merged;
    return decodeKey(bytes, keyStart, keyEnd);
  }

  subKey(): Key {
    const { bytes, keyEnd, subKeyEnd } = this.#merged;
    return decodeKey(bytes, keyEnd, subKeyEnd);
  }

  value(): unknown {
    const entry = this.#merged;
    if (this.#overlay.owns(entry)) return this.#overlay.decodedOf(entry);
    return this.#space.decode(this.#table, entry);
  }

  get lsn(): number {
    return this.#merged.lsn === OPEN_LSN ? 0 : this.#merged.lsn;
  }

  get timestamp(): number {
    return this.#merged.timestamp;
  }

  get expiry(): number {
    return this.#merged.expiry;
  }

  #step(): boolean {
    try {
      return this.#merged.next();
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    for (const image of this.#images) image.release();
    this.#images = [];
  }
}

/** The memtables of a table, or of one key, as a sorted run. */
function collectOverlay(
  space: StateSpace,
  table: AnyTable,
  onlyKey: MapKey | undefined,
): OverlayCursor {
  const overlay = new OverlayCursor();
  const seen = new Set<MapKey>();
  const closed = new Set<MapKey>();
  const seenSubKeys = new Map<MapKey, Set<MapKey>>();
  for (const layer of table.layersAboveImages()) {
    const cells: Iterable<[MapKey, Cell | MapCell | ListCell]> =
      onlyKey === undefined ? layer.cells.entries() : onlyEntry(layer.cells.get(onlyKey), onlyKey);
    for (const [key, cell] of cells) {
      if (closed.has(key)) continue;
      const keyBytes = encodeKey(keyOfMapKey(key));
      const hash = hashBytes(keyBytes, 0, keyBytes.length, space.images.seed);
      const at = { table: table.id, hash, key: keyBytes };
      if ('items' in cell) {
        addItems(overlay, at, cell, space.now());
      } else if ('cells' in cell) {
        let subKeys = seenSubKeys.get(key);
        if (!subKeys) seenSubKeys.set(key, (subKeys = new Set()));
        addSubKeys(overlay, at, cell, subKeys, space.now());
      } else if (!seen.has(key)) {
        seen.add(key);
        addCell(overlay, at, undefined, cell, space.now());
        continue;
      } else {
        continue;
      }
      if (cell.cleared) {
        closed.add(key);
        addClear(overlay, at, space.imagesLsn + 1);
      }
    }
  }
  overlay.sort();
  return overlay;
}

interface OverlayPlace {
  readonly table: number;
  readonly hash: number;
  readonly key: Uint8Array;
}

function onlyEntry<C>(cell: C | undefined, key: MapKey): [MapKey, C][] {
  return cell === undefined ? [] : [[key, cell]];
}

function addCell(
  overlay: OverlayCursor,
  at: OverlayPlace,
  subKey: Uint8Array | undefined,
  cell: Cell,
  now: number,
): void {
  const gone = cell.value === deleted;
  overlay.add({
    ...at,
    subKey,
    op: gone ? ops.delete : ops.put,
    lsn: cell.lsn === 0 ? OPEN_LSN : cell.lsn,
    timestamp: cell.lsn === 0 ? now : cell.timestamp,
    expiry: gone ? 0 : cell.expiry,
    value: cell.value,
  });
}

function addSubKeys(
  overlay: OverlayCursor,
  at: OverlayPlace,
  cell: MapCell,
  seen: Set<MapKey>,
  now: number,
): void {
  for (const [subKey, inner] of cell.cells.entries()) {
    if (seen.has(subKey)) continue;
    seen.add(subKey);
    addCell(overlay, at, encodeKey(keyOfMapKey(subKey)), inner, now);
  }
}

function addItems(overlay: OverlayCursor, at: OverlayPlace, cell: ListCell, now: number): void {
  for (const item of cell.items) {
    const { lsn, ordinal, timestamp, expiry, value } = item;
    const subKey = listSubKey(lsn, ordinal).slice();
    overlay.add({ ...at, subKey, op: ops.put, lsn, timestamp, expiry, value });
  }
  cell.pending.forEach(({ expiry, value }, ordinal) => {
    const subKey = listSubKey(OPEN_LSN, ordinal).slice();
    overlay.add({ ...at, subKey, op: ops.put, lsn: OPEN_LSN, timestamp: now, expiry, value });
  });
}

function addClear(overlay: OverlayCursor, at: OverlayPlace, lsn: number): void {
  const op = ops.clearKey;
  overlay.add({ ...at, subKey: undefined, op, lsn, timestamp: 0, expiry: 0, value: undefined });
}
