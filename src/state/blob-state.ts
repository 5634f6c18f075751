/*
 * The `blob` kind: large byte arrays, cut into content-defined chunks. A chunk is an entry of a
 * reserved table, keyed by its SHA-256, with its references counted by operands; a blob is the list
 * of its chunks. So what did not change is not logged, stored or merged again, and equal chunks of
 * different blobs are stored once.
 */
import { createHash } from 'node:crypto';
import { chunkEnds } from '../codec/chunking.ts';
import { mapKeyOf, type Key } from '../codec/key.ts';
import { CorruptionError, InvalidArgumentError } from '../errors.ts';
import { writeU64 } from '../std/bytes.ts';
import { chunkDigestBytes, manifestLength, manifestLengthBytes } from './blob-manifest.ts';
import { deleted, openCell, type Cell, type MapKey } from './cells.ts';
import { keyIn } from './keys.ts';
import { ChunkChange, type ChunkValue } from './operand-changes.ts';
import { scan } from './scan.ts';
import type { StateSpace } from './state-space.ts';
import { chunkCountBytes, chunkInImages, type FoundChunk } from './stored-chunk.ts';
import type { Table } from './table.ts';
import { putCell } from './value-state.ts';
import { noTimes } from './write-options.ts';

const NO_BYTES = new Uint8Array(0);

/** Byte arrays by key. */
export class BlobState {
  readonly #space: StateSpace;
  readonly #table: Table<Cell>;

  /** @internal Handles are made by an operator. */
  constructor(space: StateSpace, table: Table<Cell>) {
    this.#space = space;
    this.#table = table;
  }

  /** A copy of the bytes of a key, or undefined when there are none. */
  get(key: Key): Uint8Array | undefined {
    this.#space.assertOpen();
    const manifest = this.#manifest(keyIn(this.#table, key));
    if (!manifest) return undefined;
    const bytes = new Uint8Array(manifestLength(manifest, 0, manifest.length));
    let at = 0;
    for (const chunk of chunksOf(manifest)) {
      const content = this.#content(chunk);
      if (!content) throw badBlob('a chunk of the blob is missing', key, chunk);
      if (content.length > bytes.length - at) {
        throw badBlob('chunks of the blob are longer than it', key, chunk);
      }
      bytes.set(content, at);
      at += content.length;
    }
    if (at < bytes.length) throw badBlob('chunks of the blob are shorter than it', key);
    return bytes;
  }

  has(key: Key): boolean {
    this.#space.assertOpen();
    return this.#manifest(keyIn(this.#table, key)) !== undefined;
  }

  /** Sets the bytes of a key in the open transaction; they are copied. */
  set(key: Key, bytes: Uint8Array): void {
    this.#space.assertWritable();
    const mapKey = keyIn(this.#table, key);
    if (!(bytes instanceof Uint8Array)) {
      const { operator, state } = this.#table.definition;
      throw new InvalidArgumentError('INVALID_VALUE', 'a blob must be a Uint8Array', {
        operator,
        state,
        key,
      });
    }
    const ends = chunkEnds(bytes);
    const manifest = new Uint8Array(manifestLengthBytes + ends.length * chunkDigestBytes);
    writeU64(manifest, 0, bytes.length);
    let start = 0;
    ends.forEach((end, i) => {
      const chunk = bytes.subarray(start, end);
      const digest = createHash('sha256').update(chunk).digest();
      manifest.set(digest, manifestLengthBytes + i * chunkDigestBytes);
      this.#refer(mapKeyOf(digest), 1, chunk);
      start = end;
    });
    this.#drop(mapKey);
    this.#put(mapKey, manifest);
  }

  delete(key: Key): void {
    this.#space.assertWritable();
    const mapKey = keyIn(this.#table, key);
    this.#drop(mapKey);
    this.#put(mapKey, deleted);
  }

  /** Keys, in the order of their hash. */
  keys(): IterableIterator<Key> {
    return scan(this.#space, this.#table, undefined, (entry) => entry.key());
  }

  /** Gives up the references of the blob that stands at a key. */
  #drop(key: MapKey): void {
    const manifest = this.#manifest(key);
    if (manifest) for (const chunk of chunksOf(manifest)) this.#refer(chunk, -1, undefined);
  }

  #put(key: MapKey, value: Uint8Array | typeof deleted): void {
    putCell(this.#space, this.#table, { key, subKey: undefined }, value, noTimes);
  }

  #manifest(key: MapKey): Uint8Array | undefined {
    const cell = this.#table.find(key);
    if (cell) return cell.value === deleted ? undefined : (cell.value as Uint8Array);
    const space = this.#space;
    if (this.#table.hidesImages) return undefined;
    const entry = space.images.find(this.#table.id, key, undefined, space);
    return entry?.bytes.slice(entry.subKeyEnd, entry.valueEnd);
  }

  /** How often a chunk is referenced, and how long it is. */
  #find(chunk: MapKey): FoundChunk {
    const { chunks, images } = this.#space;
    const cell = chunks.find(chunk);
    return cell ? (cell.value as ChunkValue) : chunkInImages(images, chunk);
  }

  /** A chunk's bytes: of the newest layer that holds them, since they never change. */
  #content(chunk: MapKey): Uint8Array | undefined {
    if (this.#find(chunk).count <= 0) return undefined;
    const { chunks, images } = this.#space;
    for (const layer of chunks.layers()) {
      const value = layer.cells.get(chunk)?.value as ChunkValue | undefined;
      if (value && value.bytes.length > 0) return value.bytes;
    }
    const entry = images.find(chunks.id, chunk, undefined, 0);
    return entry?.bytes.slice(entry.subKeyEnd + chunkCountBytes, entry.valueEnd);
  }

  /**
   * Takes or gives up a reference. The memtable holds the bytes only of a chunk that is new: what an
   * older layer has is not copied.
   */
  #refer(chunk: MapKey, by: 1 | -1, content: Uint8Array | undefined): void {
    const { chunks, transaction } = this.#space;
    const found = this.#find(chunk);
    const before = found.count;
    const count = before + by;
    const contentBytes = content?.length ?? found.contentBytes;
    const previous = chunks.active.cells.get(chunk);
    if (previous && previous.lsn === 0) {
      previous.value = { count, bytes: (previous.value as ChunkValue).bytes, contentBytes };
      return;
    }
    const kept = (previous?.value as ChunkValue | undefined)?.bytes ?? NO_BYTES;
    // Not `slice`: that of a Buffer shares its memory with the caller.
    const bytes = before > 0 ? kept : new Uint8Array(content ?? []);
    const value: ChunkValue = { count, bytes, contentBytes };
    const place = { key: chunk, cell: openCell(value, noTimes), previous };
    transaction.add(new ChunkChange(this.#space, chunks, place, before));
  }
}

/** Digests of a manifest, as keys of the chunk table. */
function* chunksOf(manifest: Uint8Array): Generator<MapKey> {
  manifestLength(manifest, 0, manifest.length);
  for (let at = manifestLengthBytes; at < manifest.length; at += chunkDigestBytes) {
    yield mapKeyOf(manifest.subarray(at, at + chunkDigestBytes));
  }
}

function badBlob(message: string, key: Key, chunk?: MapKey): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', message, { key, chunk });
}
