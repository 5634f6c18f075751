/*
 * Everything that a store holds, as a plan of retention needs it. Reads only. Records and segment
 * headers never change, so what was read once is kept by name; a record that could not be read is
 * tried again each time.
 *
 * The log is taken in by the walk back from the newest segment (O2). Damage on the way ends the walk
 * and is told: what lies below is not known, and the plan lets it alone until the log is not needed
 * any more from there.
 */
import { CorruptionError, IncompatibleError, NotFoundError, toStorageError } from '../../errors.ts';
import type { FileSystem } from '../../fs/file-system.ts';
import type { ObjectInfo } from '../../store/object-store.ts';
import { mayContinue, type Ancestry } from '../../wal/ancestry.ts';
import { listingOf, listLog, openSegmentFile } from '../../wal/log-directory.ts';
import { readLowWater } from '../../wal/low-water.ts';
import { segmentName, type SegmentHeader } from '../../wal/segment-format.ts';
import {
  checkpointPrefix,
  parseRecordName,
  parseSnapshotName,
  snapshotPrefix,
  type CheckpointRecord,
} from '../checkpoint-record.ts';
import { parseTimelineName, timelinePrefix } from '../timelines/timeline-record.ts';
import { readTimelines } from '../timelines/timelines.ts';
import type {
  StoreInventory,
  StoredLog,
  StoredObject,
  StoredPart,
  StoredRecord,
  StoredSegment,
} from './retention-input.ts';

/** Where the inventory is taken. */
export interface InventorySource {
  readonly fs: FileSystem;
  /** Directory of the log. */
  readonly logDirectory: string;
  list(prefix: string): Promise<ObjectInfo[]>;
  /** The bytes of an object; undefined when it has gone. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Hexadecimal. */
  readonly storeId: string;
  /** Reads and checks a record; CHECKPOINT_NOT_FOUND when it has gone. */
  readRecord(id: number): Promise<CheckpointRecord>;
}

export class Inventory {
  readonly #in: InventorySource;
  #records = new Map<number, CheckpointRecord>();
  #headers = new Map<string, SegmentHeader>();

  constructor(source: InventorySource) {
    this.#in = source;
  }

  async take(): Promise<StoreInventory> {
    // Before checkpoints and log, as everywhere.
    const timelines = await readTimelines(this.#in, this.#in.storeId);
    const records: StoredRecord[] = [];
    const droppedMarks: StoredPart[] = [];
    const snapshots: StoredPart[] = [];
    const foreign: StoredObject[] = [];
    const known = new Map<number, CheckpointRecord>();
    for (const { name, bytes } of await this.#in.list(checkpointPrefix)) {
      const parsed = parseRecordName(name);
      if (!parsed) foreign.push({ name, bytes });
      else if (parsed.dropped) droppedMarks.push({ name, bytes, id: parsed.id });
      else {
        const { id } = parsed;
        const read = await this.#record(id);
        if (!read) continue;
        if (read.record) known.set(id, read.record);
        records.push({ name, bytes, id, ...read });
      }
    }
    this.#records = known;
    // After the records, so that what they name is found; one whose record is put meanwhile has an id
    // above all of theirs.
    for (const { name, bytes } of await this.#in.list(snapshotPrefix)) {
      const parsed = parseSnapshotName(name);
      if (parsed) snapshots.push({ name, bytes, id: parsed.id });
      else foreign.push({ name, bytes });
    }
    const timelineRecords: StoredPart[] = [];
    for (const { name, bytes } of await this.#in.list(timelinePrefix)) {
      const id = parseTimelineName(name);
      if (id === undefined) foreign.push({ name, bytes });
      else timelineRecords.push({ name, bytes, id });
    }
    records.sort((a, b) => a.id - b.id);
    const log = await this.#log(timelines.ancestry());
    return { records, droppedMarks, timelineRecords, timelines, snapshots, foreign, log };
  }

  /** A record, or why it cannot be read; undefined when it has gone. */
  async #record(id: number): Promise<Pick<StoredRecord, 'record' | 'fault'> | undefined> {
    const known = this.#records.get(id);
    if (known) return { record: known, fault: undefined };
    try {
      return { record: await this.#in.readRecord(id), fault: undefined };
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      if (!isDamage(error)) throw error;
      return { record: undefined, fault: error.message };
    }
  }

  async #log(ancestry: Ancestry): Promise<StoredLog> {
    const { fs, logDirectory } = this.#in;
    const lowWater = await readLowWater(fs, logDirectory);
    const listing = await listLog(fs, logDirectory);
    const names = new Set(listing.segments.map(({ name }) => name));
    const own = listingOf(listing, ancestry, logDirectory);
    const { walked, brokenBy } = await this.#walk(names, own.segments.at(-1)?.name, {
      through: lowWater?.segment ?? 0,
      ancestry,
    });
    const segments: StoredSegment[] = [];
    for (const { name, number, timeline } of listing.segments) {
      const bytes = await this.#size(name);
      if (bytes === undefined) continue;
      const firstLsn = walked.get(name)?.firstLsn;
      segments.push({ name: `wal/${name}`, bytes, number, timeline, firstLsn });
    }
    for (const name of this.#headers.keys()) if (!names.has(name)) this.#headers.delete(name);
    return { segments, brokenBy, lowWater };
  }

  /** Segments on the walk back, by name, and what ended it too early. */
  async #walk(
    names: ReadonlySet<string>,
    newest: string | undefined,
    { through, ancestry }: { readonly through: number; readonly ancestry: Ancestry },
  ): Promise<{ walked: Map<string, SegmentHeader>; brokenBy: string | undefined }> {
    const walked = new Map<string, SegmentHeader>();
    let newer: SegmentHeader | undefined;
    for (let name = newest; name !== undefined;) {
      if (!names.has(name)) return { walked, brokenBy: `segment is missing: ${name}` };
      let header: SegmentHeader;
      try {
        header = await this.#header(name);
      } catch (error) {
        if (!isDamage(error)) throw error;
        return { walked, brokenBy: error.message };
      }
      if (newer && !continues(header, newer, ancestry)) {
        return { walked, brokenBy: `segment does not continue its predecessor: ${name}` };
      }
      walked.set(name, header);
      newer = header;
      const { predecessor, number } = header;
      if (!predecessor || number <= through) break;
      name = segmentName(predecessor.number, predecessor.timeline);
    }
    return { walked, brokenBy: undefined };
  }

  async #header(name: string): Promise<SegmentHeader> {
    const known = this.#headers.get(name);
    if (known) return known;
    const { header } = await openSegmentFile(this.#in.fs, this.#in.logDirectory, name);
    this.#headers.set(name, header);
    return header;
  }

  async #size(name: string): Promise<number | undefined> {
    const path = `${this.#in.logDirectory}/${name}`;
    try {
      return (await this.#in.fs.stat(path))?.bytes;
    } catch (error) {
      throw toStorageError(error, 'read', path);
    }
  }
}

function continues(older: SegmentHeader, newer: SegmentHeader, ancestry: Ancestry): boolean {
  return (
    newer.firstLsn === (newer.predecessor?.lastLsn ?? 0) + 1 &&
    older.firstLsn <= newer.firstLsn &&
    older.number < newer.number &&
    mayContinue(ancestry, older, newer)
  );
}

function isDamage(error: unknown): error is Error {
  return error instanceof CorruptionError || error instanceof IncompatibleError;
}
