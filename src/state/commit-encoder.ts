/*
 * Encodes the changes of a commit into one record of the log (commit-format.ts), once, on the main
 * thread. The buffer is reused; the record is borrowed until the next `begin`.
 */
import { encodeKeyInto, keyBytesMax, keyOfMapKey } from '../codec/key.ts';
import { InvalidArgumentError } from '../errors.ts';
import {
  commitEntryHeaderBytes,
  commitHeaderBytes,
  commitKind,
  commitVersion,
} from '../snapshot/commit-format.ts';
import { entryFlags } from '../snapshot/entry-format.ts';
import { writeU16, writeU32, writeU64 } from '../std/bytes.ts';
import type { MapKey } from './key-hash.ts';

const START_BYTES = 64 * 1024;
/** A larger buffer is let go after its commit. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/** One change, before it is encoded. */
export interface EncodedChange {
  readonly table: number;
  readonly op: number;
  readonly operator: number;
  /** Microseconds; 0 for none. */
  readonly expiry: number;
  /** Microseconds; 0 for none. */
  readonly eventTime: number;
  /** Of the key; undefined for a clear of the table. */
  readonly key: MapKey | undefined;
  /** Bytes of the sub-key, or the sub-key itself. */
  readonly subKey: MapKey | Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
}

export class CommitEncoder {
  #buffer = new Uint8Array(START_BYTES);
  #at = 0;
  #entries = 0;
  #heldBytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Starts a record. */
  begin(timestamp: number, metadata: Uint8Array | undefined): void {
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = new Uint8Array(START_BYTES);
    const metadataBytes = metadata?.length ?? 0;
    this.#at = 0;
    this.#entries = 0;
    this.#heldBytes = 0;
    this.#reserve(commitHeaderBytes + metadataBytes);
    const buffer = this.#buffer;
    buffer[0] = commitKind;
    buffer[1] = commitVersion;
    writeU16(buffer, 2, 0);
    writeU64(buffer, 8, timestamp);
    writeU32(buffer, 16, metadataBytes);
    if (metadata) buffer.set(metadata, commitHeaderBytes);
    this.#at = commitHeaderBytes + metadataBytes;
  }

  get entryCount(): number {
    return this.#entries;
  }

  /** Bytes that memtables hold of the changes beside what the record has. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A change is small in the record, and its result is not in memory. */
  holds(bytes: number): void {
    this.#heldBytes += bytes;
  }

  add(change: EncodedChange): void {
    const { table, op, operator, expiry, eventTime, key, subKey, value } = change;
    const valueBytes = value?.length ?? 0;
    this.#reserve(commitEntryHeaderBytes + 16 + 2 * (keyBytesMax + 16) + valueBytes);
    const buffer = this.#buffer;
    const start = this.#at;
    let at = start + commitEntryHeaderBytes;
    if (expiry !== 0) {
      writeU64(buffer, at, expiry);
      at += 8;
    }
    if (eventTime !== 0) {
      writeU64(buffer, at, eventTime);
      at += 8;
    }
    const keyStart = at;
    if (key !== undefined) at = encodeMapKey(key, buffer, at);
    const keyEnd = at;
    if (subKey instanceof Uint8Array) {
      buffer.set(subKey, at);
      at += subKey.length;
    } else if (subKey !== undefined) {
      at = encodeMapKey(subKey, buffer, at);
    }
    const subKeyEnd = at;
    if (value) buffer.set(value, at);
    writeU32(buffer, start, table);
    writeU32(buffer, start + 4, valueBytes);
    writeU16(buffer, start + 8, keyEnd - keyStart);
    writeU16(buffer, start + 10, subKeyEnd - keyEnd);
    buffer[start + 12] = op;
    buffer[start + 13] = operator;
    buffer[start + 14] =
      (subKey === undefined ? 0 : entryFlags.subKey) |
      (expiry === 0 ? 0 : entryFlags.expiry) |
      (eventTime === 0 ? 0 : entryFlags.eventTime);
    buffer[start + 15] = 0;
    this.#at = at + valueBytes;
    this.#entries++;
  }

  /** The record. */
  finish(): Uint8Array {
    writeU32(this.#buffer, 4, this.#entries);
    return this.#buffer.subarray(0, this.#at);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > this.#bytesMax + START_BYTES + 4 * keyBytesMax) {
      throw new InvalidArgumentError(
        'COMMIT_TOO_LARGE',
        `commit is larger than commitBytesMax: ${this.#bytesMax} bytes`,
        { bytesMax: this.#bytesMax },
      );
    }
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#at), 0);
    this.#buffer = larger;
  }
}

function encodeMapKey(key: MapKey, target: Uint8Array, at: number): number {
  return encodeKeyInto(keyOfMapKey(key), target, at);
}
