/*
 * The writing half of the log: puts groups where the sealing half placed them, syncs, rotates and
 * writes marks. Not concurrent: one call at a time. Any error it throws is after sealing, so the
 * writer poisons itself (L11).
 *
 * Order at a rotation (L2, L5): old segment synced; header written into the ready file and synced;
 * rename; directory sync; seal mark into the old segment and sync; only then the first group.
 */
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { InternalError } from '../errors.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { chainCrc } from './chain-value.ts';
import { checksum } from '../codec/checksum.ts';
import { compressedTurnBytes, type GroupCompressor } from './group-compression.ts';
import { encodeGroupHeader, groupBytes, groupHeaderBytes, groupKinds } from './group-format.ts';
import type { OpenedSegment } from './opening-segment.ts';
import type { LogPosition } from './log-position.ts';
import { encodeMark } from './marks.ts';
import type { PendingGroup, PlannedSegment } from './pending-group.ts';
import {
  encodeSegmentHeader,
  segmentHeaderBytes,
  segmentName,
  temporaryName,
  type SegmentHeader,
} from './segment-format.ts';
import type { SegmentPipeline } from './segment-pipeline.ts';
import type { Border } from './segment-scan.ts';

/** One segment of the log in use: where its groups start, and where they end so far. */
export interface LogSegment {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly start: Border;
  end: Border;
}

export interface OutputInput {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly random: Random;
  readonly clock: Clock;
  readonly pipeline: SegmentPipeline;
  readonly nextNumber: () => number;
  readonly opened: OpenedSegment;
  readonly planned: PlannedSegment;
  /** Undefined: groups go out as they are. */
  readonly compressor: GroupCompressor | undefined;
}

/** Counts of what was written; bytes include headers, marks and padding. */
export interface OutputCounts {
  groups: number;
  syncs: number;
  bytes: number;
  rotations: number;
  marks: number;
  /** Bytes that compression kept out of the log. */
  savedBytes: number;
}

/** So many writes in a row that everybody waited for: this thread has nothing to do beside the next. */
const awaitedMin = 4;

/** A group as it is stored. */
interface StoredGroup {
  /** Header, body, zeros to a multiple of 8. */
  readonly padded: Uint8Array;
  readonly codec: number;
  readonly bodyBytes: number;
}

export class LogOutput {
  readonly #input: OutputInput;
  readonly counts: OutputCounts = {
    groups: 0,
    syncs: 0,
    bytes: 0,
    rotations: 0,
    marks: 0,
    savedBytes: 0,
  };
  /** Of `counts.savedBytes`, those of this segment: its groups stand so much before their places. */
  #savedHere = 0;
  #planned: PlannedSegment;
  #handle: FileHandle;
  #segment: LogSegment;
  #durable: Border;
  #unsynced = false;
  /** Writes in a row beside which nobody committed. */
  #awaited = 0;
  #provedLsn: number;
  #onRotate: (sealed: LogSegment, next: LogSegment) => void = () => {};

  constructor(input: OutputInput) {
    this.#input = input;
    this.#planned = input.planned;
    const { handle, header, path, start, end } = input.opened;
    this.#handle = handle;
    this.#segment = { path, header, start, end };
    this.#durable = end;
    this.#provedLsn = end.lsn;
  }

  get segment(): LogSegment {
    return this.#segment;
  }

  get appendedLsn(): number {
    return this.#segment.end.lsn;
  }

  get durableLsn(): number {
    return this.#durable.lsn;
  }

  /** No header or mark on disk says yet that everything written is durable. */
  get needsProof(): boolean {
    return this.#provedLsn < this.appendedLsn;
  }

  /** Behind everything written. */
  get position(): LogPosition {
    const { header, end } = this.#segment;
    const { lsn, offset, chain } = end;
    return { lsn, segment: header.number, timeline: header.timeline, offset, chain };
  }

  /** Called in the turn in which a successor takes over; the seal mark is written after it. */
  onRotate(listener: (sealed: LogSegment, next: LogSegment) => void): void {
    this.#onRotate = listener;
  }

  /**
   * Writes groups in order, rotating where they were placed in another segment. With `through` the
   * last call makes durable what it writes, if all before it is: `sync` has nothing left to do then.
   * `moreCame` says afterwards whether somebody committed meanwhile, and so did not wait for it.
   */
  async write(
    groups: readonly PendingGroup[],
    through: boolean,
    moreCame: () => boolean,
  ): Promise<void> {
    for (let i = 0; i < groups.length;) {
      const { segment } = groups[i]!;
      if (segment !== this.#planned) await this.#rotate(segment);
      let next = i;
      while (next < groups.length && groups[next]!.segment === segment) next++;
      await this.#writeTogether(groups.slice(i, next), through && next === groups.length);
      i = next;
    }
    this.#awaited = moreCame() ? 0 : this.#awaited + 1;
  }

  /** Makes everything written durable. */
  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    const { end } = this.#segment;
    await this.#handle.sync();
    this.counts.syncs++;
    this.#durable = end;
    this.#unsynced = false;
  }

  /**
   * Syncs, then writes and syncs a mark that proves it (L5). The caller has kept the mark's place:
   * nothing may be placed there meanwhile.
   */
  async prove(): Promise<void> {
    await this.sync();
    const { header, end } = this.#segment;
    await this.#handle.write(encodeMark('proof', header.salt, end, end.lsn), end.offset);
    this.#segment.end = { ...end, offset: end.offset + groupHeaderBytes };
    await this.#handle.sync();
    this.#durable = this.#segment.end;
    this.#provedLsn = end.lsn;
    this.counts.syncs++;
    this.counts.marks++;
    this.counts.bytes += groupHeaderBytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #writeTogether(groups: readonly PendingGroup[], through: boolean): Promise<void> {
    const { header } = this.#segment;
    let { end } = this.#segment;
    let first = end.offset;
    let buffers: Uint8Array[] = [];
    let turnBytes = 0;
    for (const group of groups) {
      const due = end.offset + this.#savedHere;
      if (group.offset !== due || group.firstLsn !== end.lsn + 1) {
        throw new InternalError('group is not where it was placed', { offset: group.offset, end });
      }
      const bytes = this.#stored(group);
      end = this.#encode(group, bytes, header, end);
      buffers.push(bytes.padded);
      this.counts.bytes += bytes.padded.length;
      this.counts.groups++;
      turnBytes += bytes.codec === 0 ? 0 : group.at;
      if (turnBytes < compressedTurnBytes) continue;
      await this.#writeBuffers(buffers, first, end, false);
      first = end.offset;
      buffers = [];
      turnBytes = 0;
    }
    if (buffers.length > 0) await this.#writeBuffers(buffers, first, end, through);
  }

  async #writeBuffers(
    buffers: readonly Uint8Array[],
    first: number,
    end: Border,
    through: boolean,
  ): Promise<void> {
    const source = buffers.length === 1 ? buffers[0]! : buffers;
    // What was written before and is not synced would stay so.
    const durable = through && !this.#unsynced;
    this.#unsynced = true;
    const mayHold = this.#awaited >= awaitedMin;
    if (durable) await this.#handle.writeThrough(source, first, mayHold);
    else await this.#handle.write(source, first);
    this.#segment.end = end;
    if (!durable) return;
    this.#durable = end;
    this.#unsynced = false;
    this.counts.syncs++;
  }

  /** What of a group goes into the file; its header is still to be encoded. */
  #stored(group: PendingGroup): StoredGroup {
    const { buffer, at } = group;
    const { compressor } = this.#input;
    const body = compressor?.compress(buffer.subarray(groupHeaderBytes, at));
    if (!compressor || !body) {
      return { padded: group.padded(), codec: 0, bodyBytes: at - groupHeaderBytes };
    }
    const padded = new Uint8Array(groupBytes(body.length));
    padded.set(body, groupHeaderBytes);
    const saved = group.endWith(0) - group.offset - padded.length;
    this.#savedHere += saved;
    this.counts.savedBytes += saved;
    return { padded, codec: compressor.codecId, bodyBytes: body.length };
  }

  #encode(group: PendingGroup, stored: StoredGroup, header: SegmentHeader, end: Border): Border {
    const { buffer, at } = group;
    const { padded, codec, bodyBytes } = stored;
    const chain = { crc: chainCrc(end.chain.crc, buffer, groupHeaderBytes, at), mix: group.mix };
    const groupHeader = {
      kind: groupKinds.frames,
      codec,
      bodyBytes,
      frameBytes: at - groupHeaderBytes,
      frameCount: group.frames,
      recordCount: group.records,
      firstLsn: group.firstLsn,
      durableLsn: this.durableLsn,
      chain,
      bodyCrc: checksum(padded, groupHeaderBytes, groupHeaderBytes + bodyBytes),
    };
    encodeGroupHeader(padded, 0, groupHeader, header.salt, end.offset);
    if (this.durableLsn > this.#provedLsn) this.#provedLsn = this.durableLsn;
    const { number: segment, timeline } = header;
    const behind = { offset: end.offset + padded.length, lsn: group.lastLsn, chain };
    if (group.isCut) group.position = { ...behind, segment, timeline };
    return behind;
  }

  async #rotate(planned: PlannedSegment): Promise<void> {
    const { fs, directory, random, pipeline, nextNumber } = this.#input;
    await this.sync();
    const old = this.#segment;
    const oldHandle = this.#handle;
    const own = planned.source === 'own';
    const ready = own ? undefined : pipeline.take();
    const number = nextNumber();
    const temporary = ready?.path ?? `${directory}/${temporaryName(number)}`;
    this.#handle = ready?.handle ?? (await fs.open(temporary, 'create'));
    try {
      const salt = new Uint8Array(8);
      random.fill(salt);
      const header = this.#nextHeader(number, ready?.size ?? 0, salt);
      const path = `${directory}/${segmentName(number, header.timeline)}`;
      await this.#handle.write(encodeSegmentHeader(header), 0);
      await this.#handle.sync();
      await fs.rename(temporary, path);
      await fs.syncDirectory(directory);
      const start = { offset: segmentHeaderBytes, lsn: old.end.lsn, chain: old.end.chain };
      this.#segment = { path, header, start, end: start };
      this.#durable = start;
      this.#planned = planned;
      // At once: whoever reads the log meanwhile has to find the old segment's end.
      this.#onRotate(old, this.#segment);
      const mark = encodeMark('seal', old.header.salt, old.end, old.end.lsn);
      await oldHandle.write(mark, old.end.offset);
      await oldHandle.sync();
      if (this.#savedHere > 0) await this.#cutSaved(oldHandle, old.end);
      this.#provedLsn = old.end.lsn;
      this.counts.syncs += 2;
      this.counts.rotations++;
      this.counts.bytes += segmentHeaderBytes + groupHeaderBytes;
    } finally {
      await oldHandle.close();
    }
    // Not before: its syncs would come between those of the rotation, which commits wait for.
    pipeline.start();
  }

  /**
   * Frees the zeros that compressed groups have left behind the seal mark. Places in a segment are
   * given before groups are compressed (L10), so one never holds more frames than it has bytes, and
   * whoever reads one needs no more memory than before. Not synced: a crash keeps zeros, no harm.
   */
  async #cutSaved(handle: FileHandle, end: Border): Promise<void> {
    await handle.truncate(end.offset + groupHeaderBytes);
    this.#savedHere = 0;
  }

  #nextHeader(number: number, size: number, salt: Uint8Array): SegmentHeader {
    const { header: old, end } = this.#segment;
    return {
      storeId: old.storeId,
      timeline: old.timeline,
      epoch: old.epoch,
      number,
      firstLsn: end.lsn + 1,
      size,
      salt,
      predecessor: {
        number: old.number,
        timeline: old.timeline,
        lastLsn: end.lsn,
        end: end.offset,
      },
      chain: end.chain,
      createdAt: Math.max(this.#input.clock.nowMicros(), old.createdAt),
    };
  }
}
