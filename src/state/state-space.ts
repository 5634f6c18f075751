/*
 * The state of one engine: its tables, the open transaction, the images below the memtables, and
 * what all handles share (codec, clock, checks). Main thread only; nothing here waits.
 */
import type { HashSeed } from '../codec/hash.ts';
import { checksum } from '../codec/checksum.ts';
import { encodeKey, keyBytesMax, keyOfMapKey } from '../codec/key.ts';
import type { ValueCodec } from '../codec/value.ts';
import { InvalidArgumentError, TidemarkError } from '../errors.ts';
import { firstUserTable, reservedTables } from '../snapshot/entry-format.ts';
import type { Image } from '../snapshot/image.ts';
import { must } from '../std/assert.ts';
import type { Clock } from '../std/clock.ts';
import { BlobCounter } from './blob-totals.ts';
import { deleted, type Cell, type ListCell, type MapCell, type MapKey } from './cells.ts';
import type { ValueEncoder } from './changes.ts';
import type { CommitEncoder } from './commit-encoder.ts';
import { ImageLayers } from './image-layers.ts';
import { decodeInt64 } from './operand-changes.ts';
import { readStored } from './stored-value.ts';
import { Table } from './table.ts';
import {
  checkSameSchema,
  sameSettings,
  type StateKind,
  type TableDefinition,
} from './table-definition.ts';
import { Transaction } from './transaction.ts';
import {
  agreed,
  checkVersion,
  unversioned,
  versionOf,
  type EntryPlace,
  type Versioning,
} from './value-versions.ts';

export type AnyTable = Table<Cell> | Table<MapCell> | Table<ListCell>;

export interface StateSpaceInput {
  readonly codec: ValueCodec;
  readonly clock: Pick<Clock, 'nowMicros'>;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly checks: boolean;
  readonly recordBytesMax: number;
  /** Throws when the engine takes no calls. */
  readonly assertOpen: () => void;
  /** Throws when the engine takes no changes. */
  readonly assertWritable: () => void;
  /** Runs code of the user that may read, and change nothing. */
  readonly whileCalling: <T>(call: () => T) => T;
  /**
   * A view: settings that the store holds count, and not those that a handle asks for; the kind has
   * to be the stored one. @defaultValue false
   */
  readonly isView?: boolean;
  /** Of a view: how the engine that it belongs to reads a state. @defaultValue no state is known */
  readonly versioningOf?: (operator: string, state: string) => Versioning | undefined;
}

const chunkDefinition: TableDefinition = {
  id: reservedTables.chunks,
  operator: '',
  state: 'chunks',
  kind: 'value',
  ttlType: 'none',
  itemsMax: undefined,
};

/** Kinds whose values nobody can change: numbers, and bytes that are copied in and out. */
const immutableKinds: ReadonlySet<StateKind> = new Set(['counter', 'min', 'max', 'blob']);

export class StateSpace implements ValueEncoder {
  readonly codec: ValueCodec;
  readonly checks: boolean;
  readonly images: ImageLayers;
  readonly transaction: Transaction = new Transaction();
  readonly chunks: Table<Cell>;
  /** Totals of all blobs as of the last commit. */
  blobs: BlobCounter = new BlobCounter();
  readonly #clock: Pick<Clock, 'nowMicros'>;
  readonly #isView: boolean;
  readonly #liveVersioning: NonNullable<StateSpaceInput['versioningOf']>;
  readonly #recordBytesMax: number;
  readonly assertOpen: () => void;
  readonly assertWritable: () => void;
  readonly whileCalling: <T>(call: () => T) => T;
  readonly #tables = new Map<string, AnyTable>();
  readonly #stored = new Map<string, TableDefinition>();
  /** As commits have logged them. */
  readonly #logged = new Map<string, TableDefinition>();
  #unlogged: TableDefinition[] = [];
  #nextTable: number = firstUserTable;
  #generation = 1;
  #imagesLsn = 0;
  #lastTimestamp = 0;

  constructor(input: StateSpaceInput) {
    this.codec = input.codec;
    this.checks = input.checks;
    this.#clock = input.clock;
    this.#isView = input.isView ?? false;
    this.#liveVersioning = input.versioningOf ?? (() => undefined);
    this.#recordBytesMax = input.recordBytesMax;
    this.assertOpen = input.assertOpen;
    this.assertWritable = input.assertWritable;
    this.whileCalling = input.whileCalling;
    this.images = new ImageLayers(input.seed, input.groupBits);
    this.chunks = new Table<Cell>(chunkDefinition, this.#generation);
  }

  /** Timestamp by which live reads judge expiry: never before the last commit. */
  now(): number {
    return Math.max(this.#clock.nowMicros(), this.#lastTimestamp);
  }

  /** Timestamp of the next commit: strictly above the last (E1). */
  nextTimestamp(): number {
    return Math.max(this.#clock.nowMicros(), this.#lastTimestamp + 1);
  }

  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  set lastTimestamp(timestamp: number) {
    this.#lastTimestamp = timestamp;
  }

  /** Greatest LSN that an image holds. */
  get imagesLsn(): number {
    return this.#imagesLsn;
  }

  /** Definitions that commits have logged: what a checkpoint may go by and name. */
  loggedDefinitions(): TableDefinition[] {
    return [...this.#logged.values()];
  }

  /** Definitions that no commit has logged yet. */
  get unlogged(): readonly TableDefinition[] {
    return this.#unlogged;
  }

  /** A commit was sealed with these; others may have been made while it was encoded. */
  definitionsLogged(logged: readonly TableDefinition[]): void {
    if (logged.length === 0) return;
    for (const definition of logged) this.#setLogged(definition);
    this.#unlogged = this.#unlogged.filter((definition) => !logged.includes(definition));
  }

  /** Takes a definition that the store holds. */
  addStored(definition: TableDefinition): void {
    this.#setLogged(definition);
    this.#define(definition);
  }

  #setLogged(definition: TableDefinition): void {
    this.#logged.set(nameOf(definition.operator, definition.state), definition);
  }

  #define(definition: TableDefinition): void {
    this.#stored.set(nameOf(definition.operator, definition.state), definition);
    this.#nextTable = Math.max(this.#nextTable, definition.id + 1);
  }

  /**
   * The table of a state, made if it is new. The same name with another kind or TTL type is
   * SCHEMA_CHANGED, and so is an older version, or a newer one without `upgrade`; another `itemsMax`
   * or `compression` takes the place of the old one.
   */
  table(given: Omit<TableDefinition, 'id' | 'version'>, version?: Versioning): AnyTable {
    this.assertOpen();
    const name = nameOf(given.operator, given.state);
    const stored = this.#stored.get(name);
    const known = this.#tables.get(name);
    const versioning = this.#versioningFor(given, known, version);
    const ofGiven = versioning.version === 1 ? {} : { version: versioning.version };
    const asked =
      this.#isView && stored ? { ...stored, kind: given.kind } : { ...given, ...ofGiven };
    const definition = { ...asked, id: stored?.id ?? this.#nextTable };
    if (stored) checkSameSchema(stored, definition);
    if (stored && !versioning.lenient) checkVersion(stored, versioning);
    if (known) known.versioning = versioning;
    if (known && sameSettings(known.definition, asked)) return known;
    if (!stored || !sameSettings(stored, asked)) {
      this.#define(definition);
      this.#unlogged = [
        ...this.#unlogged.filter((other) => other.id !== definition.id),
        definition,
      ];
    }
    const table = this.#newTable(definition, known);
    table.versioning = versioning;
    this.#tables.set(name, table);
    return table;
  }

  /** How handles of a state read it; undefined where there are none. */
  versioningOf(operator: string, state: string): Versioning | undefined {
    return this.#tables.get(nameOf(operator, state))?.versioning;
  }

  #versioningFor(
    given: Pick<TableDefinition, 'operator' | 'state'>,
    known: AnyTable | undefined,
    asked: Versioning | undefined,
  ): Versioning {
    if (!this.#isView) return agreed(given, known?.versioning, asked ?? unversioned);
    const live = this.#liveVersioning(given.operator, given.state);
    const open = live ?? (known?.versioning.lenient ? undefined : known?.versioning);
    return asked ? agreed(given, open, asked) : { ...(open ?? unversioned), lenient: true };
  }

  #newTable(definition: TableDefinition, known: AnyTable | undefined): AnyTable {
    if (known) {
      known.definition = definition;
      return known;
    }
    if (definition.kind === 'map') return new Table<MapCell>(definition, this.#generation);
    if (definition.kind === 'list') return new Table<ListCell>(definition, this.#generation);
    return new Table<Cell>(definition, this.#generation);
  }

  /** Freezes all memtables; the open transaction's changes go over to the new ones. Its generation. */
  freeze(): number {
    const frozen = this.#generation;
    this.transaction.carryOver(() => {
      if (this.checks) this.#checkUnmutated();
      this.#generation++;
      for (const table of this.#allTables()) table.freeze(this.#generation);
    });
    return frozen;
  }

  /** Gives a view the states that commits have logged, with what is frozen of them now. */
  shareFrozen(view: StateSpace): void {
    for (const definition of this.#logged.values()) {
      view.addStored(definition);
      const name = nameOf(definition.operator, definition.state);
      const table = this.#tables.get(name);
      if (table) view.#tables.set(name, frozenOf(table, definition));
    }
    view.chunks.shareFrozen(this.chunks);
  }

  /** Images hold everything up to a generation. */
  retire(generation: number): void {
    for (const table of this.#allTables()) table.retire(generation);
  }

  /** Replaces the images, newest first, which hold everything up to an LSN. */
  setImages(newestFirst: readonly Image[], throughLsn: number): void {
    this.#imagesLsn = throughLsn;
    this.images.set(newestFirst);
  }

  encodeValue(
    table: Table<unknown>,
    key: MapKey,
    subKey: MapKey | undefined,
    value: unknown,
  ): Uint8Array {
    const raw = table.definition.kind === 'blob';
    let encoded: Uint8Array;
    try {
      const version = versionOf(table.definition);
      encoded = raw ? (value as Uint8Array) : this.codec.encode(value, version);
    } catch (error) {
      throw this.#placed(error, table, key, subKey);
    }
    this.checkSize(table, key, subKey, encoded.length);
    return encoded;
  }

  writeValue(
    encoder: CommitEncoder,
    table: Table<unknown>,
    key: MapKey,
    subKey: MapKey | undefined,
    value: unknown,
  ): number {
    if (table.definition.kind === 'blob') {
      const bytes = value as Uint8Array;
      this.checkSize(table, key, subKey, bytes.length);
      encoder.append(bytes);
      return this.checks ? this.crcOf(bytes) : 0;
    }
    try {
      this.codec.encodeInto(encoder, value, versionOf(table.definition));
    } catch (error) {
      throw this.#placed(error, table, key, subKey);
    }
    this.checkSize(table, key, subKey, encoder.valueBytes);
    return this.checks ? this.crcOf(encoder.value) : 0;
  }

  /** Refuses a key and a value that are larger than a record may be. */
  checkSize(
    table: Table<unknown>,
    key: MapKey,
    subKey: MapKey | undefined,
    valueBytes: number,
  ): void {
    // Keys are measured only where they can matter.
    if (valueBytes + 2 * keyBytesMax <= this.#recordBytesMax) return;
    const keyBytes = bytesOfKey(key) + (subKey === undefined ? 0 : bytesOfKey(subKey));
    const bytes = valueBytes + keyBytes;
    if (bytes <= this.#recordBytesMax) return;
    const { operator, state } = table.definition;
    throw new InvalidArgumentError(
      'RECORD_TOO_LARGE',
      `key and value of ${operator}.${state} are larger than recordBytesMax: ` +
        `${bytes} > ${this.#recordBytesMax} bytes`,
      { operator, state, key: keyOfMapKey(key), bytes },
    );
  }

  /**
   * Decodes the value of an entry, in the form that the state has in this process. The result never
   * aliases the entry, which code of the user may have overwritten afterwards if it is borrowed.
   */
  decode(table: AnyTable, entry: EntryPlace & { readonly valueEnd: number }): unknown {
    const { kind } = table.definition;
    if (table === this.chunks || kind === 'blob') {
      return entry.bytes.slice(entry.subKeyEnd, entry.valueEnd);
    }
    if (kind === 'counter') {
      return Number(decodeInt64(entry.bytes, entry.subKeyEnd, entry.valueEnd));
    }
    return readStored(this, table, entry);
  }

  crcOf(encoded: Uint8Array): number {
    // As a signed number, which a cell holds in place.
    return this.checks ? checksum(encoded) | 0 : 0;
  }

  #placed(error: unknown, table: Table<unknown>, key: MapKey, subKey: MapKey | undefined): unknown {
    if (!(error instanceof TidemarkError) || error.code !== 'INVALID_VALUE') return error;
    const { operator, state } = table.definition;
    const details = { ...error.details, operator, state, key: keyOfMapKey(key) };
    const where = subKey === undefined ? details : { ...details, subKey: keyOfMapKey(subKey) };
    const what = error.message.replace(/^the value cannot be stored: /, '');
    const message = `value of ${operator}.${state} cannot be stored: ${what}`;
    return new InvalidArgumentError('INVALID_VALUE', message, where, error);
  }

  *#allTables(): Generator<AnyTable> {
    yield this.chunks;
    yield* this.#tables.values();
  }

  /** Values that were changed behind the engine's back would be lost by a restart: VALUE_MUTATED. */
  #checkUnmutated(): void {
    for (const table of this.#allTables()) {
      if (table === this.chunks || immutableKinds.has(table.definition.kind)) continue;
      for (const [key, cell] of table.active.cells.entries()) {
        if ('items' in cell) {
          for (const item of cell.items) this.#checkCell(table, key, undefined, item);
        } else if ('cells' in cell) {
          for (const [subKey, inner] of cell.cells.entries()) {
            this.#checkCell(table, key, subKey, inner);
          }
        } else {
          this.#checkCell(table, key, undefined, cell);
        }
      }
    }
  }

  #checkCell(
    table: AnyTable,
    key: MapKey,
    subKey: MapKey | undefined,
    cell: { value: unknown; lsn: number; crc: number },
  ): void {
    if (cell.lsn === 0 || cell.value === deleted) return;
    let cause: unknown;
    try {
      if ((checksum(this.encodeValue(table, key, subKey, cell.value)) | 0) === cell.crc) return;
    } catch (error) {
      // What was stored once can be encoded: it has become something else.
      cause = error;
    }
    const { operator, state } = table.definition;
    throw new InvalidArgumentError(
      'VALUE_MUTATED',
      `value of ${operator}.${state} was changed after it was committed; set it again instead`,
      { operator, state, key: keyOfMapKey(must(key, 'a cell has a key')), lsn: cell.lsn },
      cause,
    );
  }
}

function frozenOf(table: AnyTable, definition: TableDefinition): AnyTable {
  const view = new Table<Cell>(definition, 0);
  view.shareFrozen(table as Table<Cell>);
  return view;
}

function bytesOfKey(key: MapKey): number {
  return encodeKey(keyOfMapKey(key)).length;
}

function nameOf(operator: string, state: string): string {
  return JSON.stringify([operator, state]);
}
