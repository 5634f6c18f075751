/*
 * A group while frames are added to it: its place in the log is fixed from the start, so space is
 * reserved before anything is sealed. The header is encoded when the group is written.
 */
import { writeU32 } from '../std/bytes.ts';
import { align8, groupHeaderBytes } from './group-format.ts';
import type { LogPosition } from './log-position.ts';

/** Who waits for a sealed frame. */
export interface Waiter {
  resolve(): void;
  /** The frame was sealed and its outcome is not known. */
  reject(cause: unknown): void;
}

/** A segment that groups have been placed in, whether it is in the log already or not. */
export interface PlannedSegment {
  readonly source: 'current' | 'ready' | 'own';
  /** Groups end at or below this offset; marks have room behind it. */
  readonly limit: number;
}

/** Buffers of groups that were written, for the next ones. */
export class BufferPool {
  readonly #free: Uint8Array[] = [];
  readonly #keptMax = 4;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  take(bytesLeast: number): Uint8Array {
    const free = this.#free.pop();
    if (free && free.length >= bytesLeast) return free;
    return Buffer.allocUnsafeSlow(Math.max(bytesLeast, Math.min(65_536, this.#bytesMax)));
  }

  give(buffer: Uint8Array): void {
    if (buffer.length <= this.#bytesMax && this.#free.length < this.#keptMax) {
      this.#free.push(buffer);
    }
  }
}

export class PendingGroup {
  readonly segment: PlannedSegment;
  readonly offset: number;
  readonly firstLsn: number;
  buffer: Uint8Array;
  /** End of the body in the buffer. */
  at: number = groupHeaderBytes;
  frames = 0;
  records = 0;
  /** High half of the chain value after the group. */
  mix: number;
  needsSync = false;
  /** A freeze cut the log behind this group: `position` is wanted. */
  isCut = false;
  /** Behind the group, once it is encoded. */
  position: LogPosition | undefined;
  readonly osWaiters: Waiter[] = [];
  readonly diskWaiters: Waiter[] = [];

  constructor(
    segment: PlannedSegment,
    offset: number,
    firstLsn: number,
    mix: number,
    buffer: Uint8Array,
  ) {
    this.segment = segment;
    this.offset = offset;
    this.firstLsn = firstLsn;
    this.mix = mix;
    this.buffer = buffer;
  }

  get lastLsn(): number {
    return this.firstLsn + this.records - 1;
  }

  /** Offset behind the group with `more` bytes added. */
  endWith(more: number): number {
    return this.offset + align8(this.at + more);
  }

  /** Appends one frame; the caller has checked that it fits its segment. */
  add(records: readonly Uint8Array[], frameBytes: number): void {
    this.#grow(frameBytes);
    const { buffer } = this;
    let at = this.at;
    writeU32(buffer, at, records.length);
    at += 4;
    for (const record of records) {
      writeU32(buffer, at, record.length);
      buffer.set(record, at + 4);
      at += 4 + record.length;
    }
    this.at = at;
    this.frames++;
    this.records += records.length;
  }

  /** The group's bytes, padded with zeros to a multiple of 8. */
  padded(): Uint8Array {
    const end = align8(this.at);
    this.buffer.fill(0, this.at, end);
    return this.buffer.subarray(0, end);
  }

  #grow(frameBytes: number): void {
    // Room for the padding as well.
    const needed = align8(this.at + frameBytes);
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.at), 0);
    this.buffer = larger;
  }
}
