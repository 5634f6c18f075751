/*
 * `createSnapshot`: writes a snapshot file from entries in any order. A file is one commit: all its
 * entries share an LSN and a time, so what is in it does not depend on the order of the calls. A
 * delta takes store id, seed, timeline and the numbers of its tables from the chain that it
 * continues.
 *
 * Durability: the file appears under its name complete and synced, or not at all (snapshot-file.ts).
 */
import { createReaderDecoder } from '../../codec/value-reader.ts';
import { VERSION_MAX } from '../../codec/value-version.ts';
import { createValueCodec, type TypeDefinition, type ValueCodec } from '../../codec/value.ts';
import { registerCodecs, type CodecModule } from '../../codec/compression-modules.ts';
import {
  checkCompression,
  type CompressionOption,
  type CompressionSetting,
} from '../../codec/compression-setting.ts';
import type { Key } from '../../codec/key.ts';
import { ClosedError, InvalidArgumentError, toStorageError } from '../../errors.ts';
import { firstUserTable, operatorIds, ops, reservedTables } from '../../snapshot/entry-format.ts';
import { SlabPool } from '../../snapshot/slab-pool.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import type { SnapshotSummary } from '../../snapshot/snapshot-writer.ts';
import { sliceBytesDefault } from '../../snapshot/task-memory.ts';
import { Turns } from '../../snapshot/task-context.ts';
import { must } from '../../std/assert.ts';
import { definitionToPlain, type TableDefinition } from '../../state/table-definition.ts';
import { versionOf } from '../../state/value-versions.ts';
import { yieldNow } from '../../std/turns.ts';
import { badOption, knownOnly, wholeNumber } from '../../std/option-checks.ts';
import type { ArenaEntry } from './snapshot-arena.ts';
import { checkLineage } from './snapshot-chain.ts';
import {
  checkPath,
  closeSnapshotFiles,
  openSnapshotFiles,
  PartFiles,
  type SnapshotFile,
} from './snapshot-file.ts';
import { describeSnapshot, type SnapshotMetadata } from './snapshot-metadata.ts';
import { writeOutput } from './snapshot-output.ts';
import {
  checkExpiry,
  checkKeyGroups,
  checkTime,
  checkTypes,
  hexOr,
  seedOfBytes,
  type LibraryComponents,
  type Time,
} from './snapshot-options.ts';
import { SnapshotRuns } from './snapshot-runs.ts';
import { findTable, parseTableName, readDefinitions, type TableName } from './snapshot-tables.ts';

/** A snapshot that another call named: its path, or what a call said of it. */
export type SnapshotRef = string | { readonly path: string };

/** Options of `createSnapshot`. */
export interface CreateSnapshotOptions {
  /**
   * The snapshot that the new one continues, or the whole chain, base first: the new one is a delta
   * then. The chain is read for the names of its tables. @defaultValue none: a base
   */
  readonly base?: SnapshotRef | readonly SnapshotRef[];
  /** Compression of the file. @defaultValue 'lz4' */
  readonly compression?: CompressionOption;
  /** Codecs of your own, for `compression` and for reading `base`. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
  /** Key groups of a base, a power of two up to 65536. @defaultValue 128 */
  readonly keyGroups?: number;
  /** Seed of the key hash of a base, 16 hexadecimal digits. @defaultValue random */
  readonly seed?: string;
  /**
   * Store id, 32 hexadecimal digits. A delta by another writer than its base has one of its own and
   * is for `mergeLineages`. @defaultValue that of `base`, or random
   */
  readonly storeId?: string;
  /** Time of the commit that the file is: microseconds or a Date. @defaultValue now */
  readonly timestamp?: Time;
  /** Bytes of entries that are kept in memory before they go to disk. @defaultValue 67108864 (64 MiB) */
  readonly memoryBytesMax?: number;
  /** Classes whose instances can be values. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
}

/** Options of one entry. */
export interface EntryOptions {
  /** Makes the table a map. */
  readonly subKey?: Key;
  /** When the entry expires: microseconds or a Date. @defaultValue never */
  readonly expiresAt?: Time;
  /** For conflicts that are decided by it: microseconds or a Date. @defaultValue none */
  readonly eventTime?: Time;
  /**
   * Version of the value, as a state of an engine has it: 1 to 65,535.
   * @defaultValue that of the table in `base`; 1 where there is none
   */
  readonly version?: number;
}

/** What `finish` tells. */
export interface CreatedSnapshot extends SnapshotMetadata {
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  /** Calls whose entry a later call for the same key replaced or deleted. */
  readonly duplicateCount: number;
}

/** Takes entries for a snapshot. */
export interface SnapshotBuilder {
  /**
   * Puts an entry; key and value are copied. Of several calls for one key the last one counts.
   *
   * Synchronous, unless memory is full: then the promise resolves when there is room, and whoever
   * writes on without waiting is refused. `await` of either is right.
   * @throws InvalidArgumentError INVALID_KEY, INVALID_VALUE, INVALID_NAME, INVALID_OPTION: nothing
   * was added
   * @throws StorageError OVERLOADED when memory is full and nobody waits; IO, NO_SPACE of what was
   * spilled before
   */
  write(
    table: TableName,
    key: Key,
    value: unknown,
    options?: EntryOptions,
  ): Promise<void> | undefined;
  /** Deletes a key: in a delta from the base, and in both what was written before this call. */
  delete(
    table: TableName,
    key: Key,
    options?: Omit<EntryOptions, 'expiresAt' | 'version'>,
  ): Promise<void> | undefined;
  /** Makes the file; durable under its name when this resolves. */
  finish(): Promise<CreatedSnapshot>;
  /** Gives up: nothing stays on disk. Does nothing after `finish`. */
  abort(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const createOptionNames = [
  'base',
  'compression',
  'codecs',
  'keyGroups',
  'seed',
  'storeId',
  'timestamp',
  'memoryBytesMax',
  'types',
] as const satisfies readonly (keyof CreateSnapshotOptions)[];

const keyGroupsDefault = 128;
const memoryBytesDefault = 64 * 1024 * 1024;
const memoryBytesLeast = 64 * 1024;
const memoryBytesMost = 1024 * 1024 * 1024;
/** Largest entry: a quarter of what a slice can hold. */
const entryBytesMax = 256 * 1024 * 1024;

/** What a new file starts from. */
interface Origin {
  readonly header: SnapshotHeader;
  readonly definitions: ReadonlyMap<number, TableDefinition>;
}

/** As `createSnapshot`, over given components. */
export async function createSnapshotWith(
  given: string,
  options: CreateSnapshotOptions,
  components: LibraryComponents,
): Promise<SnapshotBuilder> {
  const path = checkPath('path', given);
  knownOnly(options, createOptionNames);
  const { codecs = [], memoryBytesMax = memoryBytesDefault } = options;
  await registerCodecs(codecs);
  const compression = checkCompression(options.compression ?? 'lz4', 'compression');
  wholeNumber('memoryBytesMax', memoryBytesMax, memoryBytesLeast, memoryBytesMost);
  const codec = createValueCodec(checkTypes(options.types));
  const parts = new PartFiles(components.fs, path, components.random);
  await parts.checkFree();
  const origin =
    options.base === undefined
      ? baseOrigin(options, components)
      : await deltaOrigin(options, components);
  return new FileBuilder({ ...origin, ...components, parts, codec, compression, memoryBytesMax });
}

function baseOrigin(
  { keyGroups = keyGroupsDefault, seed, storeId, timestamp }: CreateSnapshotOptions,
  { clock, random }: LibraryComponents,
): Origin {
  const header: SnapshotHeader = {
    kind: 'base',
    storeId: hexOr('storeId', storeId, 16, random),
    timeline: 1,
    epoch: 1,
    fromLsn: 0,
    lastLsn: 1,
    lastTimestamp: checkTime('timestamp', timestamp) || clock.nowMicros(),
    seed: seedOfBytes(hexOr('seed', seed, 8, random)),
    groupBits: Math.log2(checkKeyGroups(keyGroups)),
  };
  return { header, definitions: new Map() };
}

async function deltaOrigin(
  options: CreateSnapshotOptions,
  { fs, clock, random }: LibraryComponents,
): Promise<Origin> {
  for (const name of ['keyGroups', 'seed'] as const) {
    if (options[name] !== undefined)
      throw badOption(name, 'is that of base, and cannot be given', undefined);
  }
  const files = await openSnapshotFiles(fs, checkRefs('base', options.base));
  try {
    checkLineage(files.map(({ path, reader }) => ({ path, header: reader.header })));
    if (files[0]!.reader.header.kind !== 'base') {
      throw badOption(
        'base',
        'must start with a base: a delta does not name all tables',
        undefined,
      );
    }
    const older = must(files.at(-1), 'a chain has a file').reader.header;
    const lastTimestamp = checkTime('timestamp', options.timestamp);
    if (lastTimestamp !== 0 && lastTimestamp <= older.lastTimestamp) {
      throw badOption('timestamp', `must be after that of base, ${older.lastTimestamp}`, undefined);
    }
    const header: SnapshotHeader = {
      ...older,
      kind: 'delta',
      storeId:
        options.storeId === undefined
          ? older.storeId
          : hexOr('storeId', options.storeId, 16, random),
      fromLsn: older.lastLsn,
      lastLsn: older.lastLsn + 1,
      lastTimestamp: lastTimestamp || Math.max(clock.nowMicros(), older.lastTimestamp + 1),
    };
    return { header, definitions: await definitionsOf(files) };
  } finally {
    await closeSnapshotFiles(files);
  }
}

function definitionsOf(files: readonly SnapshotFile[]): Promise<Map<number, TableDefinition>> {
  const turns = new Turns({ yieldNow, cancelled: () => false });
  return readDefinitions(files, { slabs: new SlabPool(0), turns, decoder: createReaderDecoder() });
}

/** The paths of one snapshot, or of several. */
export function checkRefs(option: string, refs: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(refs) ? refs : [refs];
  if (list.length === 0) throw badOption(option, 'names no snapshot', undefined);
  return list.map((ref) => checkRef(option, ref));
}

export function checkRef(option: string, ref: unknown): string {
  const named = typeof ref === 'object' && ref !== null && 'path' in ref ? ref.path : ref;
  return checkPath(option, named);
}

interface BuilderInput extends Origin, LibraryComponents {
  readonly parts: PartFiles;
  readonly codec: ValueCodec;
  readonly compression: CompressionSetting;
  readonly memoryBytesMax: number;
}

/** A table of the new file. */
interface OpenTable {
  readonly definition: TableDefinition;
}

/** What is done to a key. */
interface NewChange {
  readonly op: number;
  readonly value: Uint8Array;
  readonly expiry: number;
  /** Of the value. */
  readonly version: number;
}

const NO_VALUE = new Uint8Array(0);
/** Idle slabs that are kept between two slices. */
const idleSlabBytesMax = 64 * 1024 * 1024;

class FileBuilder implements SnapshotBuilder {
  readonly #input: BuilderInput;
  readonly #slabs = new SlabPool(idleSlabBytesMax);
  readonly #turns: Turns;
  readonly #runs: SnapshotRuns;
  readonly #tables = new Map<string, OpenTable>();
  /** The greatest version that was written, by table. */
  readonly #versions = new Map<number, number>();
  #nextTable: number = firstUserTable;
  #state: 'open' | 'finishing' | 'finished' | 'aborted' = 'open';
  #finishing: Promise<CreatedSnapshot> | undefined;

  constructor(input: BuilderInput) {
    this.#input = input;
    const { fs, parts, header, memoryBytesMax } = input;
    this.#turns = new Turns({ yieldNow, cancelled: () => this.#state === 'aborted' });
    const slabs = this.#slabs;
    const turns = this.#turns;
    this.#runs = new SnapshotRuns({ fs, parts, header, slabs, turns, memoryBytesMax });
    for (const { id } of input.definitions.values()) {
      this.#nextTable = Math.max(this.#nextTable, id + 1);
    }
  }

  write(
    name: TableName,
    key: Key,
    value: unknown,
    options: EntryOptions = {},
  ): Promise<void> | undefined {
    this.#assertOpen();
    knownOnly(options, ['subKey', 'expiresAt', 'eventTime', 'version']);
    const { lastTimestamp } = this.#input.header;
    const expiry = checkExpiry('expiresAt', options.expiresAt, lastTimestamp);
    const version = this.#versionOf(name, options);
    const encoded = this.#input.codec.encode(value, version);
    if (encoded.length > entryBytesMax) {
      throw new InvalidArgumentError(
        'RECORD_TOO_LARGE',
        `value is larger than an entry can be: ${encoded.length} > ${entryBytesMax} bytes`,
        { bytes: encoded.length },
      );
    }
    return this.#add(name, key, options, { op: ops.put, value: encoded, expiry, version });
  }

  delete(
    name: TableName,
    key: Key,
    options: Omit<EntryOptions, 'expiresAt' | 'version'> = {},
  ): Promise<void> | undefined {
    this.#assertOpen();
    knownOnly(options, ['subKey', 'eventTime']);
    const change = { op: ops.delete, value: NO_VALUE, expiry: 0, version: 1 };
    return this.#add(name, key, options, change);
  }

  finish(): Promise<CreatedSnapshot> {
    this.#assertOpen();
    this.#state = 'finishing';
    this.#finishing = this.#finish();
    return this.#finishing;
  }

  async abort(): Promise<void> {
    if (this.#state === 'finished' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    await Promise.allSettled([this.#finishing]);
    await this.#runs.settle();
    await this.#input.parts.removeAll();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  #assertOpen(): void {
    if (this.#state === 'open') return;
    throw new ClosedError('CLOSED', `the snapshot is ${this.#state}: ${this.#input.parts.path}`);
  }

  #add(
    name: TableName,
    key: Key,
    { subKey, eventTime }: EntryOptions,
    { version, ...change }: NewChange,
  ): Promise<void> | undefined {
    const kind = subKey === undefined ? 'value' : 'map';
    const time = checkTime('eventTime', eventTime);
    const known = this.#findTable(name, kind);
    const definition = known?.definition ?? this.#newDefinition(name, kind);
    const fields = { operator: operatorIds.none, key, subKey, eventTime: time, ...change };
    const room = this.#runs.add({ table: definition.id, ...fields });
    if (!known) {
      this.#tables.set(tableKey(name), { definition });
      this.#nextTable = definition.id + 1;
    }
    this.#versions.set(definition.id, Math.max(version, this.#versions.get(definition.id) ?? 1));
    return room;
  }

  /** The version that an entry asks for, or its table has in the base. */
  #versionOf(name: TableName, { subKey, version }: EntryOptions): number {
    if (version !== undefined) return wholeNumber('version', version, 1, VERSION_MAX);
    const known = this.#findTable(name, subKey === undefined ? 'value' : 'map');
    return known ? versionOf(known.definition) : 1;
  }

  #findTable(name: TableName, kind: 'value' | 'map'): OpenTable | undefined {
    let table = this.#tables.get(tableKey(name));
    if (!table) {
      const stored = findTable(this.#input.definitions.values(), name);
      const open = [...this.#tables.values()].map(({ definition }) => definition);
      const definition = stored ?? findTable(open, name);
      if (!definition) return undefined;
      table = { definition };
      this.#tables.set(tableKey(name), table);
    }
    const { operator, state, kind: has } = table.definition;
    if (has === kind) return table;
    const what = kind === 'map' ? 'has no sub-keys' : 'needs a subKey';
    const why = has === 'map' || has === 'value' ? what : 'cannot be written here';
    throw new InvalidArgumentError('INVALID_CALL', `${operator}.${state} is a ${has} and ${why}`, {
      operator,
      state,
      kind: has,
    });
  }

  #newDefinition(name: TableName, kind: 'value' | 'map'): TableDefinition {
    const { operator, state } = parseTableName(name);
    return { id: this.#nextTable, operator, state, kind, ttlType: 'none', itemsMax: undefined };
  }

  async #finish(): Promise<CreatedSnapshot> {
    const { header, parts, definitions } = this.#input;
    try {
      const all = new Map(definitions);
      for (const { definition } of this.#tables.values()) {
        const { id } = definition;
        const known = all.get(id);
        const version = Math.max(versionOf(definition), this.#versions.get(id) ?? 1);
        if (known && versionOf(known) === version) continue;
        const made = version === 1 ? definition : { ...definition, version };
        all.set(id, made);
        await this.#runs.add(this.#catalogueEntry(made));
      }
      const part = parts.next();
      const written = await this.#writeFile(part);
      await parts.publish(part);
      await parts.removeAll();
      this.#state = 'finished';
      const { sha256, bytes: fileBytes, tables: totals } = written;
      const facts = { path: parts.path, header, totals, parents: [], fileBytes };
      const duplicateCount = this.#runs.written - this.#runs.distinct;
      return { ...describeSnapshot({ ...facts, definitions: all }), sha256, duplicateCount };
    } catch (error) {
      await this.#runs.settle();
      // The first error is the one to report.
      await Promise.allSettled([parts.removeAll()]);
      this.#state = 'aborted';
      throw toStorageError(error, 'write', parts.path);
    }
  }

  #writeFile(path: string): Promise<SnapshotSummary> {
    const { fs, header, compression, memoryBytesMax } = this.#input;
    const options = { path, header, compression, parents: [] };
    const sliceBytesMax = Math.min(sliceBytesDefault, memoryBytesMax);
    const tools = { slabs: this.#slabs, turns: this.#turns, sliceBytesMax };
    return writeOutput(fs, options, tools, (sink) =>
      this.#runs.merged(sink, header.kind === 'base'),
    );
  }

  #catalogueEntry(definition: TableDefinition): ArenaEntry {
    return {
      table: reservedTables.catalog,
      op: ops.put,
      operator: operatorIds.none,
      key: definition.id,
      subKey: undefined,
      value: this.#input.codec.encode(definitionToPlain(definition)),
      expiry: 0,
      eventTime: 0,
    };
  }
}

function tableKey(name: TableName): string {
  return typeof name === 'string' ? name : JSON.stringify([name?.operator, name?.state]);
}
