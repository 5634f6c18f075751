/*
 * What a store holds on paper: segments of the log, records and snapshots, kept and dropped by the
 * plan that the engine's collector carries out (retention-plan.ts), after each record.
 */
import type { CheckpointRecord } from '../checkpoint-record.ts';
import type { StoredPart, StoredRecord, StoredSegment } from '../retention/retention-input.ts';
import { planRetention } from '../retention/retention-plan.ts';
import type { RetentionSettings } from '../retention/retention-settings.ts';

/** A record on paper. */
export interface PaperRecord {
  readonly lsn: number;
  readonly timestamp: number;
  readonly chain: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly kind: 'base' | 'delta';
    readonly lastLsn: number;
  }[];
}

interface PaperSegment extends StoredSegment {
  bytes: number;
}

const timeline = 1;

export class PaperStore {
  readonly #settings: RetentionSettings | undefined;
  readonly #segmentBytesMax: number;
  #segments: PaperSegment[] = [];
  #records: StoredRecord[] = [];
  #snapshots = new Map<string, StoredPart>();
  #logBytes = 0;
  #snapshotBytes = 0;
  #bytesWorst = 0;
  #id = 0;

  constructor(settings: RetentionSettings | undefined, segmentBytesMax: number) {
    this.#settings = settings;
    this.#segmentBytesMax = segmentBytesMax;
  }

  /** Snapshots and log that are kept. */
  get bytes(): number {
    return this.#logBytes + this.#snapshotBytes;
  }

  get bytesWorst(): number {
    return this.#bytesWorst;
  }

  /** A commit takes so many bytes of log. */
  append(bytes: number, lsn: number): void {
    let last = this.#segments.at(-1);
    if (!last || last.bytes + bytes > this.#segmentBytesMax) {
      const number = (last?.number ?? 0) + 1;
      last = { name: `wal/${number}`, number, timeline, firstLsn: lsn, bytes: 0 };
      this.#segments.push(last);
    }
    last.bytes += bytes;
    this.#logBytes += bytes;
    this.#bytesWorst = Math.max(this.#bytesWorst, this.bytes);
  }

  /** A record is published, and what no rule keeps goes. */
  put(record: PaperRecord): void {
    const id = ++this.#id;
    for (const { name, bytes } of record.chain) {
      if (this.#snapshots.has(name)) continue;
      this.#snapshots.set(name, { id, name, bytes });
      this.#snapshotBytes += bytes;
    }
    const segment = this.#segments.at(-1)?.number ?? 0;
    const position = { lsn: record.lsn, segment, timeline, offset: 0 };
    const made = { ...record, id, timeline, position, createdAt: record.timestamp };
    // Of a record the plan reads no more than these fields.
    const stored = { ...made, savepoint: undefined } as unknown as CheckpointRecord;
    this.#records.push({
      id,
      name: `checkpoints/${id}`,
      bytes: 0,
      record: stored,
      fault: undefined,
    });
    this.#bytesWorst = Math.max(this.#bytesWorst, this.bytes);
    this.#collect(record.timestamp);
  }

  #collect(now: number): void {
    const { lines } = planRetention({
      inventory: {
        records: this.#records,
        droppedMarks: [],
        snapshots: [...this.#snapshots.values()],
        foreign: [],
        log: { segments: this.#segments, brokenBy: undefined, lowWater: undefined },
      },
      now,
      settings: this.#settings,
      pins: [],
      newestFound: undefined,
      unfinished: () => false,
    });
    const going = new Set(lines.flatMap(({ action, name }) => (action === 'delete' ? [name] : [])));
    if (going.size === 0) return;
    this.#records = this.#records.filter(({ name }) => !going.has(name));
    for (const [name, { bytes }] of this.#snapshots) {
      if (!going.has(name)) continue;
      this.#snapshots.delete(name);
      this.#snapshotBytes -= bytes;
    }
    this.#segments = this.#segments.filter(({ name, bytes }) => {
      if (going.has(name)) this.#logBytes -= bytes;
      return !going.has(name);
    });
  }
}
