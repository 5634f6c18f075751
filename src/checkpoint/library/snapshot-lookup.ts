/*
 * Finds single entries in a snapshot file: reads of the slice that a key belongs to only the blocks
 * that the search touches, of its directory, hashes, pointers and entries, and keeps some of them.
 * The search is that of slice.ts: a bucket, then binary within it, so that a key with a million
 * sub-keys costs twenty steps. What a block holds is checked before it is used.
 */
import {
  compareEntries,
  Entry,
  entryFault,
  keyGroupOf,
  groupStart,
  readEntry,
} from '../../snapshot/entry.ts';
import { entryHeaderBytes, ops } from '../../snapshot/entry-format.ts';
import { setProbe } from '../../snapshot/image.ts';
import { sliceLayout } from '../../snapshot/slice.ts';
import { blockBytes, corruptSnapshot } from '../../snapshot/snapshot-format.ts';
import type { BlockPlace, SnapshotReader } from '../../snapshot/snapshot-reader.ts';
import { readU32 } from '../../std/bytes.ts';

const CACHE_BYTES_MAX = 8 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);

export class SnapshotLookup {
  readonly #reader: SnapshotReader;
  readonly #places = new Map<number, readonly BlockPlace[]>();
  /** Blocks, the ones used last at the end. */
  readonly #blocks = new Map<number, Uint8Array>();
  #cachedBytes = 0;

  constructor(reader: SnapshotReader) {
    this.#reader = reader;
  }

  /** The entry that the probe names, as a copy; clears do not count. */
  async find(probe: Entry): Promise<Entry | undefined> {
    const { slices } = this.#reader.footer;
    const { table, hash } = probe;
    for (const [index, slice] of slices.entries()) {
      if (slice.table !== table || slice.lastHash < hash || slice.firstHash > hash) continue;
      const found = await this.#findIn(index, probe);
      if (found) return found;
    }
    return undefined;
  }

  /** The newer of the clears that cover the probe's key. */
  async findClear(probe: Entry): Promise<Entry | undefined> {
    const bits = this.#reader.header.groupBits;
    const ofKey = new Entry();
    ofKey.assign(probe);
    ofKey.op = ops.clearKey;
    ofKey.flags = 0;
    ofKey.subKeyEnd = ofKey.valueEnd = ofKey.keyEnd;
    const ofTable = new Entry();
    const start = groupStart(keyGroupOf(probe.hash, bits), bits);
    setProbe(ofTable, probe.table, start, { bytes: NO_BYTES, start: 0, end: 0 });
    ofTable.op = ops.clearTable;
    const [key, table] = [await this.find(ofKey), await this.find(ofTable)];
    return key && table && key.lsn < table.lsn ? table : (key ?? table);
  }

  async #findIn(index: number, probe: Entry): Promise<Entry | undefined> {
    const slice = this.#reader.slice(index);
    const { dataBytes, entryCount, bucketCount } = slice;
    const layout = sliceLayout(dataBytes, entryCount, bucketCount);
    const bucket = (probe.hash - slice.firstHash) >>> slice.bucketShift;
    const borders = await this.#read(index, layout.directoryAt + bucket * 4, 8);
    let low = readU32(borders, 0);
    let high = readU32(borders, 4);
    if (low > high || high > entryCount) throw this.#corrupt(index, 'has a wrong directory');
    while (low < high) {
      const middle = (low + high) >>> 1;
      const hash = readU32(await this.#read(index, layout.hashesAt + middle * 4, 4), 0);
      let order = hash - probe.hash;
      if (order === 0) {
        const at = readU32(await this.#read(index, layout.pointersAt + middle * 4, 4), 0);
        const found = await this.#readEntry(index, at);
        order = compareEntries(found, probe);
        if (order === 0) return found;
      }
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  async #readEntry(index: number, at: number): Promise<Entry> {
    const { dataBytes, table } = this.#reader.slice(index);
    if (at + entryHeaderBytes > dataBytes) throw this.#corrupt(index, 'has a pointer past its end');
    const size = readU32(await this.#read(index, at, 4), 0);
    if (at + size > dataBytes) throw this.#corrupt(index, `has an entry of ${size} bytes`);
    const bytes = await this.#read(index, at, size);
    const fault = entryFault(bytes, 0, bytes.length);
    if (fault !== undefined) throw this.#corrupt(index, `has an entry that ${fault}`);
    const entry = new Entry();
    readEntry(bytes, 0, table, entry);
    return entry;
  }

  /** Bytes of a slice from an offset of its place in memory. */
  async #read(index: number, from: number, length: number): Promise<Uint8Array> {
    const places = await this.#placesOf(index);
    const { dataBytes } = this.#reader.slice(index);
    const dataBlocks = Math.ceil(dataBytes / blockBytes);
    const indexAt = places[dataBlocks]?.slabAt ?? 0;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = from + done;
      const number =
        at < dataBytes
          ? Math.floor(at / blockBytes)
          : dataBlocks + Math.floor((at - indexAt) / blockBytes);
      const place = places[number];
      if (!place || at < place.slabAt) throw this.#corrupt(index, 'is shorter than its index says');
      const block = await this.#block(index, number, place);
      const part = block.subarray(at - place.slabAt, at - place.slabAt + length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  async #placesOf(index: number): Promise<readonly BlockPlace[]> {
    const known = this.#places.get(index);
    if (known) return known;
    const places = await this.#reader.readBlockTable(index);
    this.#places.set(index, places);
    return places;
  }

  async #block(index: number, number: number, place: BlockPlace): Promise<Uint8Array> {
    const blocks = this.#blocks;
    // Offsets in the file tell blocks apart.
    const name = place.offset;
    let block = blocks.get(name);
    if (block) {
      blocks.delete(name);
    } else {
      block = await this.#reader.readBlock(place);
      if (block.length !== place.rawBytes)
        throw this.#corrupt(index, `has a short block ${number}`);
      if (!blocks.has(name)) this.#cachedBytes += block.length;
    }
    blocks.set(name, block);
    for (const [oldest, { length }] of blocks) {
      if (this.#cachedBytes <= CACHE_BYTES_MAX) break;
      blocks.delete(oldest);
      this.#cachedBytes -= length;
    }
    return block;
  }

  #corrupt(index: number, why: string): Error {
    const { path } = this.#reader;
    const { offset, table } = this.#reader.slice(index);
    return corruptSnapshot({ path, offset }, `slice ${why}`, { table });
  }
}
