/*
 * A slice that is not in memory: the same search as in slice.ts, over blocks that are read when they
 * are needed and stay in the cache as long as it has room. A lookup reads a few numbers of the index
 * and the entry; entries are copied out, since a block may be taken at the next reading.
 * Once the slice is known to be damaged every reading of it throws, wherever the damage is: nobody
 * is served a part of it.
 */
import type { TidemarkError } from '../errors.ts';
import { readU16, readU32 } from '../std/bytes.ts';
import type { BlockOwner, CachedBlock, TableOwner } from './block-cache.ts';
import type { BlockTable } from './block-places.ts';
import type { ColdFile } from './cold-file.ts';
import { compareEntries, compareKeys, Entry, entryKeyStart, readEntry } from './entry.ts';
import { entryHeaderBytes } from './entry-format.ts';
import type { SliceRecord } from './snapshot-footer.ts';
import { blockBytes } from './snapshot-format.ts';

/** Entries up to here are read whole where their key is compared. */
const SMALL_BYTES = 4096;
const BLOCK_SHIFT = 16;
const BLOCK_MASK = blockBytes - 1;

export class ColdSlice implements BlockOwner, TableOwner {
  tableUsed = false;
  readonly record: SliceRecord;
  readonly file: ColdFile;
  readonly #index: number;
  /** Blocks of entries, which those of the index follow. */
  readonly #dataBlocks: number;
  readonly #pointersAt: number;
  readonly #directoryAt: number;
  readonly #blocks: (CachedBlock | undefined)[] = [];
  readonly #entry = new Entry();
  #places: BlockTable | undefined;
  #cached = 0;
  #fault: TidemarkError | undefined;
  #used = false;

  constructor(file: ColdFile, record: SliceRecord, index: number) {
    this.file = file;
    this.record = record;
    this.#index = index;
    this.#dataBlocks = Math.ceil(record.dataBytes / blockBytes);
    // The index starts with the hashes, then come pointers and directory.
    this.#pointersAt = record.entryCount * 4;
    this.#directoryAt = record.entryCount * 8;
  }

  /** Why it cannot be read. */
  get fault(): TidemarkError | undefined {
    return this.#fault;
  }

  /** From now on every reading throws this. */
  markDamaged(error: TidemarkError): void {
    this.#fault ??= error;
  }

  /** Reads the entry with the probe's hash, key, rank and sub-key; false when there is none. */
  find(probe: Entry, into: Entry): boolean {
    const { firstHash, lastHash } = this.record;
    const { hash } = probe;
    if (hash < firstHash || hash > lastHash) return false;
    this.use();
    const bucket = this.#bucket(hash);
    let low = this.#word(this.#directoryAt + bucket * 4);
    let high = this.#word(this.#directoryAt + bucket * 4 + 4);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#word(middle * 4);
      const order = found === hash ? compareEntries(this.#keyOf(middle), probe) : found - hash;
      if (order === 0) {
        this.read(middle, into);
        return true;
      }
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  /** Index of the first entry of the probe's key, clear included, or where it would stand. */
  keyStart(probe: Entry): number {
    return this.#keyBorder(probe, 0);
  }

  /** Index behind the last entry of the probe's key. */
  keyEnd(probe: Entry): number {
    return this.#keyBorder(probe, 1);
  }

  /** Index of the first entry whose hash is at or above the given one. */
  hashStart(hash: number): number {
    const { firstHash, lastHash, entryCount } = this.record;
    if (hash <= firstHash) return 0;
    if (hash > lastHash) return entryCount;
    const bucket = this.#bucket(hash);
    let low = this.#word(this.#directoryAt + bucket * 4);
    let high = this.#word(this.#directoryAt + bucket * 4 + 4);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#word(middle * 4) < hash) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Reads the entry of an index; its bytes are the reader's own. */
  read(index: number, into: Entry): void {
    const at = this.#word(this.#pointersAt + index * 4);
    const size = this.#entrySize(at);
    readEntry(this.#copy(at, size), 0, this.record.table, into);
    if (into.subKeyEnd <= into.valueEnd) return;
    throw this.#malformed(`has an entry at ${at} with keys past its end`);
  }

  /** Tells at the first call that the slice is used, and throws when it is damaged. */
  use(): void {
    if (this.#fault) throw this.#fault;
    if (this.#used) return;
    this.#used = true;
    this.file.used(this.#index);
  }

  /** Gives up what it has in the cache. */
  drop(): void {
    const { cache } = this.file;
    for (const block of this.#blocks) if (block) cache.drop(block);
    this.#cached = 0;
    cache.dropTable(this);
    this.tableTaken();
  }

  blockTaken(index: number): void {
    // One that was about to be read is not counted yet.
    if (this.#blocks[index]) this.#cached--;
    this.#blocks[index] = undefined;
    this.#trim();
  }

  tableTaken(): void {
    this.#places = undefined;
    this.#trim();
  }

  /** A slice of which nothing is kept has no places for it either. */
  #trim(): void {
    if (this.#cached === 0 && !this.#places) this.#blocks.length = 0;
  }

  #bucket(hash: number): number {
    return (hash - this.record.firstHash) >>> this.record.bucketShift;
  }

  /** The first entry whose key is at least (0), or above (1), that of the probe. */
  #keyBorder(probe: Entry, border: 0 | 1): number {
    const { firstHash, lastHash, entryCount } = this.record;
    const { hash } = probe;
    if (hash < firstHash) return 0;
    if (hash > lastHash) return entryCount;
    const bucket = this.#bucket(hash);
    let low = this.#word(this.#directoryAt + bucket * 4);
    let high = this.#word(this.#directoryAt + bucket * 4 + 4);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#word(middle * 4);
      const order = found === hash ? compareKeys(this.#keyOf(middle), probe) : found - hash;
      if (order < border) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The entry of an index as far as its keys are concerned. Borrowed. */
  #keyOf(index: number): Entry {
    const at = this.#word(this.#pointersAt + index * 4);
    const size = this.#entrySize(at);
    let bytes = this.#copy(at, Math.min(size, SMALL_BYTES));
    if (bytes.length < size) {
      const keys = entryKeyStart(bytes, 0) + readU16(bytes, 28) + readU16(bytes, 30);
      if (keys > bytes.length) bytes = this.#copy(at, Math.min(size, keys));
    }
    const entry = this.#entry;
    readEntry(bytes, 0, this.record.table, entry);
    if (entry.subKeyEnd <= bytes.length) return entry;
    throw this.#malformed(`has an entry at ${at} with keys past its end`);
  }

  #entrySize(at: number): number {
    const { dataBytes } = this.record;
    if (at + entryHeaderBytes <= dataBytes) {
      const inBlock = at & BLOCK_MASK;
      const block = this.#block(at >>> BLOCK_SHIFT);
      const whole = inBlock + 4 <= blockBytes;
      const size = whole ? readU32(block.bytes, inBlock) : readU32(this.#copy(at, 4), 0);
      if (size >= entryHeaderBytes && at + size <= dataBytes) return size;
    }
    throw this.#malformed(`has no entry at ${at}`);
  }

  /** A number of the index, at an offset from its start. */
  #word(at: number): number {
    return this.#block(this.#dataBlocks + (at >>> BLOCK_SHIFT)).words[(at & BLOCK_MASK) >>> 2]!;
  }

  #copy(at: number, bytes: number): Uint8Array {
    const copy = new Uint8Array(bytes);
    for (let done = 0; done < bytes;) {
      const from = (at + done) & BLOCK_MASK;
      const part = Math.min(bytes - done, blockBytes - from);
      const block = this.#block((at + done) >>> BLOCK_SHIFT);
      copy.set(block.bytes.subarray(from, from + part), done);
      done += part;
    }
    return copy;
  }

  #block(index: number): CachedBlock {
    const block = this.#blocks[index] ?? this.#load(index);
    block.used = true;
    return block;
  }

  #load(index: number): CachedBlock {
    if (this.#fault) throw this.#fault;
    const { file } = this;
    const place = this.#table().at(index);
    // Only a block that was not checked can lead behind the last one.
    if (!place) throw this.#malformed(`has no block ${index}`);
    const block = file.cache.take(this, index);
    try {
      file.readBlock(this.#index, place, block.bytes);
    } catch (error) {
      // Whoever was told of the damage may have read others meanwhile, and one of those have taken it.
      if (block.owner === this && block.index === index) file.cache.drop(block);
      throw error;
    }
    this.#blocks[index] = block;
    this.#cached++;
    return block;
  }

  #table(): BlockTable {
    let table = this.#places;
    if (!table) {
      table = this.file.readPlaces(this.#index);
      this.#places = table;
      this.file.cache.holdTable(this, table.bytes);
    }
    this.tableUsed = true;
    return table;
  }

  #malformed(what: string): TidemarkError {
    return this.file.malformed(this.#index, what);
  }
}
