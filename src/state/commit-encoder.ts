/*
 * Encodes the changes of a commit into one record of the log (commit-format.ts), once, on the main
 * thread. The buffer is reused; the record is borrowed until the next `begin`.
 */
import { encodeKeyInto, keyBytesMax, keyOfMapKey } from '../codec/key.ts';
import type { ByteTarget } from '../codec/value-writer.ts';
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

/** Values are written into it, behind the bytes of the record so far. */
export class CommitEncoder implements ByteTarget {
  /** Of the record, up to `at`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  at = 0;
  #entries = 0;
  #heldBytes = 0;
  /** Where the entry that is open starts, and its value. */
  #entryStart = 0;
  #valueStart = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Starts a record. */
  begin(timestamp: number, metadata: Uint8Array | undefined): void {
    this.abandon();
    const metadataBytes = metadata?.length ?? 0;
    this.at = 0;
    this.#entries = 0;
    this.#heldBytes = 0;
    this.#reserve(commitHeaderBytes + metadataBytes);
    const { bytes } = this;
    bytes[0] = commitKind;
    bytes[1] = commitVersion;
    writeU16(bytes, 2, 0);
    writeU64(bytes, 8, timestamp);
    writeU32(bytes, 16, metadataBytes);
    if (metadata) bytes.set(metadata, commitHeaderBytes);
    this.at = commitHeaderBytes + metadataBytes;
  }

  /** Nobody needs the record any more: a large buffer is let go. */
  abandon(): void {
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = Buffer.allocUnsafeSlow(START_BYTES);
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
    this.open(table, op, operator, expiry, eventTime, key, subKey);
    if (value) this.append(value);
    this.close();
  }

  /** Starts an entry; its value is written behind it. */
  open(
    table: number,
    op: number,
    operator: number,
    expiry: number,
    eventTime: number,
    key: MapKey | undefined,
    subKey: MapKey | Uint8Array | undefined,
  ): void {
    this.#reserve(commitEntryHeaderBytes + 16 + 2 * (keyBytesMax + 16));
    const { bytes } = this;
    const start = this.at;
    let at = start + commitEntryHeaderBytes;
    if (expiry !== 0) {
      writeU64(bytes, at, expiry);
      at += 8;
    }
    if (eventTime !== 0) {
      writeU64(bytes, at, eventTime);
      at += 8;
    }
    const keyStart = at;
    if (key !== undefined) at = encodeMapKey(key, bytes, at);
    const keyEnd = at;
    if (subKey instanceof Uint8Array) {
      bytes.set(subKey, at);
      at += subKey.length;
    } else if (subKey !== undefined) {
      at = encodeMapKey(subKey, bytes, at);
    }
    writeU32(bytes, start, table);
    writeU16(bytes, start + 8, keyEnd - keyStart);
    writeU16(bytes, start + 10, at - keyEnd);
    bytes[start + 12] = op;
    bytes[start + 13] = operator;
    bytes[start + 14] =
      (subKey === undefined ? 0 : entryFlags.subKey) |
      (expiry === 0 ? 0 : entryFlags.expiry) |
      (eventTime === 0 ? 0 : entryFlags.eventTime);
    bytes[start + 15] = 0;
    this.#entryStart = start;
    this.#valueStart = at;
    this.at = at;
  }

  /** Appends to the value of the entry that is open. */
  append(value: Uint8Array): void {
    this.#reserve(value.length);
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** Of the entry that is open, so far; borrowed. */
  get value(): Uint8Array {
    return this.bytes.subarray(this.#valueStart, this.at);
  }

  get valueBytes(): number {
    return this.at - this.#valueStart;
  }

  /** Ends the entry that is open. */
  close(): void {
    this.#refuseTooLarge(this.at);
    writeU32(this.bytes, this.#entryStart + 4, this.valueBytes);
    this.#entries++;
  }

  /** The record. */
  finish(): Uint8Array {
    writeU32(this.bytes, 4, this.#entries);
    return new Uint8Array(this.bytes.buffer, 0, this.at);
  }

  #reserve(bytes: number): void {
    const needed = this.at + bytes;
    if (needed <= this.bytes.length) return;
    this.#refuseTooLarge(needed);
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.at), 0);
    this.bytes = larger;
  }

  /** What is reserved may be more than is needed; the log refuses by the bytes that there are. */
  #refuseTooLarge(bytes: number): void {
    if (bytes <= this.#bytesMax + START_BYTES + 4 * keyBytesMax) return;
    throw new InvalidArgumentError(
      'COMMIT_TOO_LARGE',
      `commit is larger than commitBytesMax: ${this.#bytesMax} bytes`,
      { bytesMax: this.#bytesMax },
    );
  }
}

function encodeMapKey(key: MapKey, target: Uint8Array, at: number): number {
  return encodeKeyInto(keyOfMapKey(key), target, at);
}
