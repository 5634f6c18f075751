/*
 * `openSnapshot`: reads one snapshot file. Opening reads the footer and the tables of names and
 * positions; entries are read slice by slice, single keys block by block, so memory does not grow
 * with the file. Nothing is written. Calls after `close` are refused.
 */
import { registerCodecs, type CodecModule } from '../../codec/compression-modules.ts';
import { encodeKeyInto, decodeKey, keyBytesMax, type Key } from '../../codec/key.ts';
import { hashBytes } from '../../codec/hash.ts';
import type { TypeDefinition } from '../../codec/value.ts';
import { createReaderDecoder } from '../../codec/value-reader.ts';
import { ClosedError, CorruptionError, InvalidArgumentError } from '../../errors.ts';
import { Entry, groupStart } from '../../snapshot/entry.ts';
import { ops, reservedTables } from '../../snapshot/entry-format.ts';
import { setProbe } from '../../snapshot/image.ts';
import { MergeIterator } from '../../snapshot/merge-iterator.ts';
import type { RunCursor } from '../../snapshot/run-cursor.ts';
import { SlabPool } from '../../snapshot/slab-pool.ts';
import type { SnapshotFault } from '../../snapshot/tasks.ts';
import { findSnapshotFaults, hashFile } from '../../snapshot/snapshot-verify.ts';
import { Turns } from '../../snapshot/task-context.ts';
import { fromHex } from '../../std/bytes.ts';
import { must } from '../../std/assert.ts';
import type { TableDefinition } from '../../state/table-definition.ts';
import { yieldNow } from '../../std/turns.ts';
import { badOption, knownOnly, wholeNumber } from '../../std/option-checks.ts';
import { rulesOf } from '../checkpointer-input.ts';
import { checkLineage } from './snapshot-chain.ts';
import { checkRefs, type SnapshotRef } from './snapshot-create.ts';
import { describeEntry, type SnapshotEntry, type StoredBlob } from './snapshot-entries.ts';
import {
  checkPath,
  closeSnapshotFiles,
  openSnapshotFiles,
  type SnapshotFile,
} from './snapshot-file.ts';
import { SnapshotLookup } from './snapshot-lookup.ts';
import { describeSnapshot, type SnapshotMetadata } from './snapshot-metadata.ts';
import { checkFlag, checkTypes, type LibraryComponents } from './snapshot-options.ts';
import {
  forEachReserved,
  mustFindTable,
  readDefinitions,
  type TableName,
  type TableTools,
} from './snapshot-tables.ts';
import { walkRanges } from './snapshot-walk.ts';

/** Options of `openSnapshot`. */
export interface OpenSnapshotOptions {
  /**
   * The snapshots that a delta continues, base first: for the names and kinds of tables that they
   * define. @defaultValue none: what the file itself defines
   */
  readonly older?: SnapshotRef | readonly SnapshotRef[];
  /** Classes whose instances are values; others are given as `UnknownTypeValue`. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
  /** Codecs of your own that the file was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Which entries. */
export interface EntriesOptions {
  /** @defaultValue all tables */
  readonly table?: TableName;
  /** Key groups from the first to before the second. @defaultValue all */
  readonly keyGroups?: readonly [first: number, end: number];
  /**
   * Leaves out what has expired by now, and of bounded lists what a reader would not see.
   * @defaultValue false: everything that the file holds
   */
  readonly skipExpired?: boolean;
}

/** What `verify` found. */
export interface SnapshotVerification {
  /** Empty: the file is sound. */
  readonly faults: readonly SnapshotFault[];
  /** Of the file, hexadecimal. */
  readonly sha256: string;
}

/** An open snapshot file. */
export interface Snapshot {
  readonly metadata: SnapshotMetadata;
  /** Positions of sources that the file holds; null: removed by a delta. */
  readonly positions: Readonly<Record<string, unknown>>;
  /**
   * Entries in the order of the file: table, hash of the key, key, sub-key.
   * @throws CorruptionError CORRUPT_SNAPSHOT
   * @throws NotFoundError STATE_NOT_FOUND
   */
  entries(options?: EntriesOptions): AsyncGenerator<SnapshotEntry>;
  /**
   * The entry of a key, or of a key and sub-key of a map; undefined when the file says nothing of
   * it. Of a delta a clear that covers the key counts. Reads some blocks of the file, not all.
   * @throws InvalidArgumentError INVALID_CALL for a list, and for a map without sub-key
   */
  get(table: TableName, key: Key, subKey?: Key): Promise<SnapshotEntry | undefined>;
  /** Checks every byte: digests of blocks, order, hashes, index against entries. */
  verify(options?: { readonly sha256?: string }): Promise<SnapshotVerification>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const IDLE_SLAB_BYTES_MAX = 64 * 1024 * 1024;
const COUNT_BYTES = 8;

/** As `openSnapshot`, over given components. */
export async function openSnapshotWith(
  given: string,
  options: OpenSnapshotOptions,
  components: LibraryComponents,
): Promise<Snapshot> {
  const path = checkPath('path', given);
  knownOnly(options, ['older', 'types', 'codecs']);
  const decoder = createReaderDecoder(checkTypes(options.types));
  await registerCodecs(options.codecs ?? []);
  const older = options.older === undefined ? [] : checkRefs('older', options.older);
  const turns = new Turns({ yieldNow, cancelled: () => false });
  const tools = { slabs: new SlabPool(IDLE_SLAB_BYTES_MAX), turns, decoder };
  const files = await openSnapshotFiles(components.fs, [...older, path]);
  const file = must(files.at(-1), 'the file itself was opened');
  try {
    checkLineage(files.map(({ path, reader }) => ({ path, header: reader.header })));
    const definitions = await readDefinitions(files, tools);
    const positions = await readPositions(file, tools);
    return new FileSnapshot({ ...components, ...tools, file, definitions, positions });
  } catch (error) {
    await file.handle.close();
    throw error;
  } finally {
    await closeSnapshotFiles(files.slice(0, -1));
  }
}

async function readPositions(
  file: SnapshotFile,
  tools: TableTools,
): Promise<Readonly<Record<string, unknown>>> {
  const positions: [string, unknown][] = [];
  await forEachReserved([file], reservedTables.positions, tools, (entry) => {
    const { bytes, keyStart, keyEnd, subKeyEnd, valueEnd, op } = entry;
    const source = String(decodeKey(bytes, keyStart, keyEnd));
    const gone = op !== ops.put;
    positions.push([source, gone ? null : tools.decoder.decode(bytes, subKeyEnd, valueEnd)]);
  });
  return Object.freeze(Object.fromEntries(positions.sort(([a], [b]) => (a < b ? -1 : 1))));
}

interface SnapshotInput extends LibraryComponents, TableTools {
  readonly file: SnapshotFile;
  readonly definitions: ReadonlyMap<number, TableDefinition>;
  readonly positions: Readonly<Record<string, unknown>>;
}

class FileSnapshot implements Snapshot {
  readonly metadata: SnapshotMetadata;
  readonly positions: Readonly<Record<string, unknown>>;
  readonly #input: SnapshotInput;
  readonly #lookup: SnapshotLookup;
  #closing: Promise<void> | undefined;

  constructor(input: SnapshotInput) {
    const { file, definitions } = input;
    const { footer, bytes: fileBytes } = file.reader;
    const { header, tables: totals, parents } = footer;
    this.metadata = describeSnapshot({
      path: file.path,
      header,
      totals,
      parents,
      fileBytes,
      definitions,
    });
    this.positions = input.positions;
    this.#input = input;
    this.#lookup = new SnapshotLookup(file.reader);
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<SnapshotEntry> {
    this.#assertOpen();
    knownOnly(options, ['table', 'keyGroups', 'skipExpired']);
    const skipExpired = checkFlag('skipExpired', options.skipExpired, false);
    const { file, slabs, turns, decoder, definitions, clock } = this.#input;
    const { kind, lastTimestamp } = file.reader.header;
    const now = skipExpired ? Math.max(clock.nowMicros(), lastTimestamp) : 0;
    const walk = { slabs, turns, tables: this.#tables(options.table), ...this.#hashes(options) };
    const list = new ListPlaces();
    for await (const range of walkRanges([file], walk)) {
      const stored = range.cursors[0]!;
      const cursor = skipExpired && kind === 'base' ? this.#view(stored, now) : stored;
      const definition = definitions.get(range.table);
      while (cursor.next()) {
        if (cursor.op === ops.clearTable && cursor.hash < range.firstHash) continue;
        if (now !== 0 && cursor.expiry !== 0 && cursor.expiry <= now) continue;
        const entry = describeEntry(cursor, definition, decoder);
        const index = definition?.kind === 'list' ? list.next(cursor) : undefined;
        yield await this.#complete({ ...entry, index });
        this.#assertOpen();
      }
    }
  }

  async get(name: TableName, key: Key, subKey?: Key): Promise<SnapshotEntry | undefined> {
    this.#assertOpen();
    const { file, definitions, decoder } = this.#input;
    const definition = mustFindTable(definitions.values(), name, file.path);
    const { operator, state, kind } = definition;
    if (kind === 'list' || (kind === 'map') !== (subKey !== undefined)) {
      const plain = kind === 'map' ? 'needs a subKey' : 'has no sub-keys';
      const why = kind === 'list' ? 'read it with entries' : plain;
      throw new InvalidArgumentError('INVALID_CALL', `${operator}.${state} is a ${kind}: ${why}`, {
        operator,
        state,
        kind,
      });
    }
    const probe = probeOf(file, definition.id, key, subKey);
    const found = await this.#lookup.find(probe);
    if (found) return this.#complete(describeEntry(found, definition, decoder));
    const isDelta = file.reader.header.kind === 'delta';
    const clear = isDelta ? await this.#lookup.findClear(probe) : undefined;
    return clear && describeEntry(clear, definition, decoder);
  }

  async verify(options: { readonly sha256?: string } = {}): Promise<SnapshotVerification> {
    this.#assertOpen();
    knownOnly(options, ['sha256']);
    const { file, slabs, turns } = this.#input;
    const { handle, path } = file;
    const checks = { level: 'full' } as const;
    const { faults } = await findSnapshotFaults(handle, path, checks, { slabs, turns });
    const sha256 = await hashFile(handle, path, turns);
    if (options.sha256 !== undefined && options.sha256 !== sha256) {
      faults.unshift({ path, offset: 0, what: `digest is ${sha256}` });
    }
    return { faults, sha256 };
  }

  close(): Promise<void> {
    this.#closing ??= this.#input.file.handle.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (!this.#closing) return;
    throw new ClosedError('CLOSED', `the snapshot is closed: ${this.#input.file.path}`);
  }

  #tables(name: TableName | undefined): number[] {
    const { file, definitions } = this.#input;
    if (name !== undefined) return [mustFindTable(definitions.values(), name, file.path).id];
    return this.metadata.tables.map(({ id }) => id);
  }

  #hashes({ keyGroups }: EntriesOptions): { firstHash?: number; lastHash?: number } {
    if (keyGroups === undefined) return {};
    const { groupBits } = this.#input.file.reader.header;
    const count = 2 ** groupBits;
    if (!Array.isArray(keyGroups)) throw badOption('keyGroups', 'must be [first, end]', undefined);
    const first = wholeNumber('keyGroups[0]', keyGroups[0], 0, count - 1);
    const end = wholeNumber('keyGroups[1]', keyGroups[1], first + 1, count);
    const lastHash = end === count ? 0xffff_ffff : groupStart(end, groupBits) - 1;
    return { firstHash: groupStart(first, groupBits), lastHash };
  }

  /** What a reader sees at a time. */
  #view(cursor: RunCursor, now: number): RunCursor {
    const { definitions, file } = this.#input;
    const rules = rulesOf([...definitions.values()]);
    const { groupBits } = file.reader.header;
    return new MergeIterator([cursor], {
      base: true,
      view: true,
      lastTimestamp: now,
      rules,
      groupBits,
    });
  }

  /** A blob of a base is its bytes. */
  async #complete(entry: SnapshotEntry): Promise<SnapshotEntry> {
    const { file } = this.#input;
    if (entry.kind !== 'blob' || entry.op !== 'put' || file.reader.header.kind !== 'base') {
      return entry;
    }
    return { ...entry, value: await this.#readBlob(entry.value as StoredBlob) };
  }

  async #readBlob({ bytes: length, chunks }: StoredBlob): Promise<Uint8Array> {
    const { path } = this.#input.file;
    const bytes = Buffer.alloc(length);
    let at = 0;
    for (const chunk of chunks) {
      const digest = must(fromHex(chunk), 'a digest is hexadecimal');
      const probe = probeOf(this.#input.file, reservedTables.chunks, digest, undefined);
      const found = await this.#lookup.find(probe);
      if (!found) throw badBlob(path, `chunk is missing: ${chunk}`);
      const content = found.bytes.subarray(found.subKeyEnd + COUNT_BYTES, found.valueEnd);
      if (at + content.length > length) throw badBlob(path, 'chunks are longer than it');
      bytes.set(content, at);
      at += content.length;
    }
    if (at !== length) throw badBlob(path, 'chunks are shorter than it');
    return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
  }
}

function badBlob(path: string, why: string): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', `blob of a snapshot: ${why}: ${path}`, { path });
}

/** Names a key of a file's table. */
function probeOf(file: SnapshotFile, table: number, key: Key, subKey: Key | undefined): Entry {
  const bytes = new Uint8Array(2 * keyBytesMax);
  const end = encodeKeyInto(key, bytes, 0);
  const subKeyEnd = subKey === undefined ? undefined : encodeKeyInto(subKey, bytes, end);
  const probe = new Entry();
  const hash = hashBytes(bytes, 0, end, file.reader.header.seed);
  setProbe(probe, table, hash, { bytes, start: 0, end, subKeyEnd });
  return probe;
}

/** Counts the items of a list's key. */
class ListPlaces {
  #key: string | undefined;
  #index = 0;

  next({ bytes, keyStart, keyEnd }: Entry): number {
    const key = Buffer.from(bytes.subarray(keyStart, keyEnd)).toString('latin1');
    this.#index = key === this.#key ? this.#index + 1 : 0;
    this.#key = key;
    return this.#index;
  }
}
