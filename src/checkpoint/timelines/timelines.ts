/*
 * The timelines of a store, from their records: which is current, and the ancestry of each (T1, T2).
 * A record that cannot be read is damage for the timelines that come from it, and for nobody else.
 *
 * Read before checkpoint records and before the log: what is of a timeline above the newest record
 * then came meanwhile, and another reading cures it, or its record was lost.
 */
import {
  ConflictError,
  CorruptionError,
  IncompatibleError,
  NotFoundError,
  type TidemarkError,
} from '../../errors.ts';
import { fromHex } from '../../std/bytes.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import {
  firstTimeline,
  isOf,
  sharedLsn,
  type Ancestry,
  type AncestryPart,
} from '../../wal/ancestry.ts';
import { storeCall } from '../store-call.ts';
import {
  decodeTimeline,
  encodeTimeline,
  parseTimelineName,
  timelineName,
  timelinePrefix,
  type TimelineRecord,
} from './timeline-record.ts';

/** Where records are looked for. */
export interface TimelineSource {
  list(prefix: string): Promise<readonly { readonly name: string }[]>;
  get(name: string): Promise<Uint8Array | undefined>;
}

/** The records of a store that its owner has opened. */
export function timelineSource(store: ObjectStore): TimelineSource {
  return {
    list: (prefix) => storeCall('list', prefix, () => store.list(prefix)),
    get: (name) => storeCall('read', name, () => store.get(name)),
  };
}

export class Timelines {
  readonly #records: ReadonlyMap<number, TimelineRecord>;
  /** Why a record cannot be read. */
  readonly faults: ReadonlyMap<number, TidemarkError>;
  /** The highest one. */
  readonly current: number;

  constructor(
    records: readonly TimelineRecord[],
    faults: ReadonlyMap<number, TidemarkError> = new Map(),
  ) {
    this.#records = new Map(records.map((record) => [record.id, record]));
    this.faults = faults;
    this.current = Math.max(firstTimeline, ...this.#records.keys(), ...faults.keys());
  }

  /** Ascending, the first one included. */
  get ids(): number[] {
    const ids = [firstTimeline, ...this.#records.keys(), ...this.faults.keys()];
    return ids.sort((a, b) => a - b);
  }

  get records(): readonly TimelineRecord[] {
    return [...this.#records.values()].sort((a, b) => a.id - b.id);
  }

  has(id: number): boolean {
    return id === firstTimeline || this.#records.has(id) || this.faults.has(id);
  }

  record(id: number): TimelineRecord | undefined {
    return this.#records.get(id);
  }

  /**
   * What a timeline came from.
   * @throws CorruptionError CORRUPT_RECORD when a record on the way is missing or damaged
   */
  ancestry(id: number = this.current): Ancestry {
    const own = this.#records.get(id);
    const parts: AncestryPart[] = [];
    let throughLsn = Number.POSITIVE_INFINITY;
    let throughSegment = Number.POSITIVE_INFINITY;
    let epoch = 0;
    for (let timeline = id; ;) {
      const record = timeline === firstTimeline ? undefined : this.#recordOf(timeline);
      const storeId = this.#parentOf(timeline);
      const { fork } = record ?? {};
      parts.push({ timeline, throughLsn, throughSegment, fork, ...(storeId && { storeId }) });
      if (!record) break;
      const { lsn, position, parent } = record.fork;
      throughLsn = Math.min(throughLsn, lsn);
      throughSegment = Math.min(throughSegment, position.segment);
      epoch = Math.max(epoch, record.epoch);
      timeline = parent;
    }
    return { timeline: id, parts, fork: own?.fork, newest: this.current, epoch };
  }

  /**
   * The ancestry of a timeline that was asked for, or of the current one.
   * @throws NotFoundError TIMELINE_NOT_FOUND
   */
  chosen(id: number | undefined): Ancestry {
    if (id === undefined || this.has(id)) return this.ancestry(id);
    const known = this.ids.join(', ');
    const message = `there is no timeline ${id}; those that are kept are ${known}`;
    throw new NotFoundError('TIMELINE_NOT_FOUND', message, { timeline: id, timelines: this.ids });
  }

  /**
   * The last LSN that a timeline shares with the current one; undefined: it is the current one, or
   * nothing is known of it.
   */
  sharedWithCurrent(id: number): number | undefined {
    if (id === this.current || !this.has(id)) return undefined;
    return sharedLsn(this.ancestry(), this.ancestry(id));
  }

  /** Whether a position is in the past of the current timeline. */
  isCurrent(at: { readonly timeline: number; readonly lsn: number }): boolean {
    return isOf(this.ancestry(), at);
  }

  /** The store that a timeline is of, where this one is a fork of it: what is older than the fork is. */
  #parentOf(timeline: number): Uint8Array | undefined {
    let least: TimelineRecord | undefined;
    for (const record of this.#records.values()) {
      if (record.store === undefined || record.id <= timeline) continue;
      if (!least || record.id < least.id) least = record;
    }
    return least?.store === undefined ? undefined : fromHex(least.store);
  }

  #recordOf(id: number): TimelineRecord {
    const fault = this.faults.get(id);
    if (fault) throw fault;
    const record = this.#records.get(id);
    if (record) return record;
    const path = timelineName(id);
    throw new CorruptionError('CORRUPT_RECORD', `timeline record is missing: ${path}`, {
      path,
      offset: 0,
    });
  }
}

/** The timelines of a store that was never rewound. */
export const onlyFirst: Timelines = new Timelines([]);

/** Reads all records. */
export async function readTimelines(source: TimelineSource, storeId: string): Promise<Timelines> {
  const records: TimelineRecord[] = [];
  const faults = new Map<number, TidemarkError>();
  for (const { name } of await source.list(timelinePrefix)) {
    const id = parseTimelineName(name);
    if (id === undefined) continue;
    const bytes = await source.get(name);
    // It was collected since it was listed.
    if (!bytes) continue;
    try {
      records.push(checked(decodeTimeline(bytes, name), { id, name, storeId }));
    } catch (error) {
      if (!(error instanceof CorruptionError || error instanceof IncompatibleError)) throw error;
      faults.set(id, error);
    }
  }
  return new Timelines(records, faults);
}

/** Puts a record: from then on its timeline is the current one. Durable when it resolves. */
export async function putTimeline(store: ObjectStore, record: TimelineRecord): Promise<void> {
  const name = timelineName(record.id);
  const bytes = encodeTimeline(record);
  if (await storeCall('put', name, () => store.putIfAbsent(name, bytes))) return;
  throw new ConflictError('FENCED', `another writer has started timeline ${record.id}`, {
    id: record.id,
  });
}

function checked(
  record: TimelineRecord,
  { id, name, storeId }: { readonly id: number; readonly name: string; readonly storeId: string },
): TimelineRecord {
  if (record.id !== id) {
    throw new CorruptionError('CORRUPT_RECORD', `timeline record is of another id: ${name}`, {
      path: name,
      offset: 0,
      expected: id,
      actual: record.id,
    });
  }
  if (record.storeId === storeId) return record;
  throw new IncompatibleError(
    'STORE_MISMATCH',
    `timeline is of another store: ${name}: ${record.storeId}, directory is of ${storeId}`,
    { path: name, expected: storeId, actual: record.storeId },
  );
}
