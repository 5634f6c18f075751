/*
 * What commits do to what was there before them: a moment's images below, and above them a cell for
 * each entry that commits have touched since, as a memtable has (PROTOCOL E3 to E5). Folding is that
 * of the kernel. Memory: the images of the moment, and what was touched.
 * The feed of changes gives it commits in order, without a gap.
 */
import { decodeKey } from '../codec/key.ts';
import { hashBytes } from '../codec/hash.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { compareEntries, Entry } from '../snapshot/entry.ts';
import { entryFlags, firstUserTable, ops } from '../snapshot/entry-format.ts';
import type { CommitEntry } from '../snapshot/commit-format.ts';
import { foldNewer, startFromIdentity } from '../snapshot/fold.ts';
import { setProbe } from '../snapshot/image.ts';
import { FoldScratch } from '../snapshot/operators.ts';
import { PointFold } from '../snapshot/point-fold.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import {
  commitEntries,
  entriesOfKey,
  entryOf,
  timestampOf,
  type CommitRecord,
} from './commit-entries.ts';
import { describeChange, sameValue, type StateChange } from './diff.ts';
import { copyEntry, KeyFold } from './key-fold.ts';
import { mergeTable } from './moment-tables.ts';
import { releaseMoment, type StateMoment } from './state-moment.ts';

/** An entry that a commit left behind; null: it deleted it. */
type Cell = Entry | null;

interface KeyCells {
  cleared: boolean;
  readonly cells: Map<string, Cell>;
  /** Of a bounded list instead of cells. */
  fold?: KeyFold;
}

interface TableCells {
  cleared: boolean;
  readonly keys: Map<string, KeyCells>;
}

/** A commit in hand. */
interface Applying {
  readonly record: CommitRecord;
  readonly timestamp: number;
  /** Entries as they were before it, by where they stand, in the order in which it touches them. */
  readonly touched: Map<string, { definition: TableDefinition; before?: Entry; at: Entry }>;
  readonly effects: StateChange[];
  /** Bounded lists that have had their turn. */
  readonly lists: Set<string>;
}

export class BeforeView {
  readonly #moment: StateMoment;
  readonly #decoder: ValueDecoder;
  readonly #tables = new Map<number, TableCells>();
  readonly #scratch = new FoldScratch();
  readonly #probe = new Entry();
  readonly #fold = new PointFold();

  /** Takes over the moment. */
  constructor(moment: StateMoment, decoder: ValueDecoder) {
    this.#moment = moment;
    this.#decoder = decoder;
  }

  close(): Promise<void> {
    this.#tables.clear();
    return releaseMoment(this.#moment);
  }

  /** What the next commit does, which is taken in; definitions of its tables are known already. */
  apply(
    record: CommitRecord,
    definitions: ReadonlyMap<number, TableDefinition>,
  ): readonly StateChange[] {
    const timestamp = timestampOf(record);
    const applying: Applying = {
      record,
      timestamp,
      touched: new Map(),
      effects: [],
      lists: new Set(),
    };
    for (const change of commitEntries(record)) {
      const definition = definitions.get(change.table);
      if (change.table >= firstUserTable && definition) this.#change(change, definition, applying);
    }
    for (const { definition, before, at } of applying.touched.values()) {
      const after = this.#find(at, timestamp);
      if ((!before && !after) || (before && after && sameValue(before, after))) continue;
      applying.effects.push(describeChange({ definition }, { before, after }, this.#decoder));
    }
    return applying.effects;
  }

  #change(change: CommitEntry, definition: TableDefinition, applying: Applying): void {
    const { record, timestamp } = applying;
    const table = this.#table(definition.id);
    if (change.op === ops.clearTable) {
      for (const entry of this.#liveOfTable(definition, timestamp)) {
        const place = placeOf(entry);
        if (applying.touched.has(place)) continue;
        applying.touched.set(place, { definition, before: entry, at: entry });
      }
      table.cleared = true;
      table.keys.clear();
      return;
    }
    const { seed } = this.#moment.layers;
    const hash = hashBytes(record.bytes, change.keyStart, change.keyEnd, seed);
    const newer = entryOf(record, change, { hash, timestamp });
    // A list that was bounded once stays with its fold.
    const bounded = definition.itemsMax !== undefined || table.keys.get(keyId(newer))?.fold;
    if (definition.kind === 'list' && bounded) {
      this.#changeList(newer, definition, applying);
    } else if (change.op === ops.clearKey) {
      for (const entry of this.#liveOfKey(newer, definition, timestamp)) {
        this.#touch(entry, definition, applying);
      }
      const key = keyOf(table, newer);
      key.cleared = true;
      key.cells.clear();
    } else {
      const before = this.#touch(newer, definition, applying);
      keyOf(table, newer).cells.set(subKeyId(newer), this.#folded(before, newer));
    }
  }

  /** The entry as it is now; noted as that before the commit if nothing was noted yet. */
  #touch(at: Entry, definition: TableDefinition, { touched, timestamp }: Applying): Cell {
    const now = this.#find(at, timestamp);
    const place = placeOf(at);
    if (!touched.has(place)) {
      touched.set(place, { definition, at: copyEntry(at), ...(now && { before: now }) });
    }
    return now ?? null;
  }

  /** A bounded list as a whole, once a commit: an item that comes pushes another one out. */
  #changeList(newer: Entry, definition: TableDefinition, applying: Applying): void {
    const { record, timestamp, lists, effects } = applying;
    const id = `${definition.id} ${keyId(newer)}`;
    if (lists.has(id)) return;
    lists.add(id);
    const { groupBits } = this.#moment.layers;
    const key = keyOf(this.#table(definition.id), newer);
    if (!key.fold) {
      const unbounded = { ...definition, itemsMax: undefined };
      const live = this.#liveOfKey(newer, unbounded, timestamp);
      key.fold = new KeyFold(definition, groupBits);
      key.fold.set(live);
    }
    key.fold.table = definition;
    const before = key.fold.view(timestamp);
    const { bytes, keyStart, keyEnd, table, hash } = newer;
    const keyBytes = bytes.slice(keyStart, keyEnd);
    const place = { table, hash, key: keyBytes, subKey: undefined, groupBits };
    key.fold.apply(entriesOfKey(record, commitEntries(record), { place, timestamp }), timestamp);
    const after = key.fold.view(timestamp);
    const held = new Set(before.map(subKeyId));
    const kept = new Set(after.map(subKeyId));
    const tell = (step: { before: Entry | undefined; after: Entry | undefined }): void => {
      effects.push(describeChange({ definition }, step, this.#decoder));
    };
    for (const item of before) {
      if (!kept.has(subKeyId(item))) tell({ before: item, after: undefined });
    }
    for (const item of after) {
      if (!held.has(subKeyId(item))) tell({ before: undefined, after: item });
    }
  }

  #folded(before: Cell, newer: Entry): Cell {
    if (newer.op === ops.delete) return null;
    if (newer.op === ops.put) return copyEntry(newer);
    const folded = copyEntry(before ?? newer);
    if (before) foldNewer(folded, newer, this.#scratch);
    else startFromIdentity(folded);
    return copyEntry(folded);
  }

  /** The live entry at a place. */
  #find(at: Entry, time: number): Entry | undefined {
    const table = this.#tables.get(at.table);
    const key = table?.keys.get(keyId(at));
    const cell = key?.cells.get(subKeyId(at));
    if (cell !== undefined) return cell && isLive(cell, time) ? cell : undefined;
    if (table?.cleared || key?.cleared) return undefined;
    const probe = this.#probe;
    const { bytes, keyStart: start, keyEnd: end, subKeyEnd } = at;
    const hasSubKey = (at.flags & entryFlags.subKey) !== 0;
    const named = { bytes, start, end, subKeyEnd: hasSubKey ? subKeyEnd : undefined };
    setProbe(probe, at.table, at.hash, named);
    this.#fold.reset();
    for (const image of this.#moment.layers.newestFirst) {
      if (image.collect(probe, this.#fold)) break;
    }
    return this.#fold.settle(time) ? copyEntry(this.#fold.entry) : undefined;
  }

  /** Live entries of the key at which an entry stands, in order. */
  #liveOfKey(at: Entry, definition: TableDefinition, time: number): Entry[] {
    const table = this.#table(definition.id);
    const key = table.keys.get(keyId(at));
    const live: Entry[] = key ? liveCells(key, time) : [];
    if (!table.cleared && !key?.cleared) {
      const { layers, images } = this.#moment;
      const named = decodeKey(at.bytes, at.keyStart, at.keyEnd);
      const merged = mergeTable({ layers, images, now: time }, definition, named);
      while (merged.next()) {
        if (!key?.cells.has(subKeyId(merged))) live.push(copyEntry(merged));
      }
    }
    return live.sort(compareEntries);
  }

  /** Live entries of a table, in order. */
  #liveOfTable(definition: TableDefinition, time: number): Entry[] {
    const table = this.#table(definition.id);
    const live: Entry[] = [];
    for (const key of table.keys.values()) live.push(...liveCells(key, time));
    if (!table.cleared) {
      const { layers, images } = this.#moment;
      const merged = mergeTable({ layers, images, now: time }, definition);
      while (merged.next()) {
        const key = table.keys.get(keyId(merged));
        if (key?.cleared || key?.fold || key?.cells.has(subKeyId(merged))) continue;
        live.push(copyEntry(merged));
      }
    }
    return live.sort(compareEntries);
  }

  #table(id: number): TableCells {
    let table = this.#tables.get(id);
    if (!table) this.#tables.set(id, (table = { cleared: false, keys: new Map() }));
    return table;
  }
}

function keyOf(table: TableCells, at: Entry): KeyCells {
  const id = keyId(at);
  let key = table.keys.get(id);
  if (!key) table.keys.set(id, (key = { cleared: false, cells: new Map() }));
  return key;
}

function liveCells({ cells, fold }: KeyCells, time: number): Entry[] {
  if (fold) return [...fold.view(time)];
  return [...cells.values()].filter((cell): cell is Entry => cell !== null && isLive(cell, time));
}

function isLive({ expiry }: Entry, time: number): boolean {
  return expiry === 0 || expiry > time;
}

/** Bytes as text, one character each. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

function keyId({ bytes, keyStart, keyEnd }: Entry): string {
  return textOf(bytes, keyStart, keyEnd);
}

function subKeyId({ bytes, keyEnd, subKeyEnd }: Entry): string {
  return textOf(bytes, keyEnd, subKeyEnd);
}

function placeOf(at: Entry): string {
  return `${at.table} ${keyId(at).length} ${keyId(at)}${subKeyId(at)}`;
}
