/*
 * Checkpoint records in an object store: finding the newest, listing all, publishing, and clearing
 * what a crashed attempt left. Order of publishing (C4): the snapshot is durable before the record
 * is put; the record is put only if its name is free.
 */
import { ConflictError, CorruptionError, IncompatibleError, NotFoundError } from '../errors.ts';
import type { ObjectInfo, ObjectStore } from '../store/object-store.ts';
import {
  checkpointPrefix,
  decodeRecord,
  droppedName,
  encodeRecord,
  parseRecordName,
  parseSnapshotName,
  recordName,
  snapshotPrefix,
  type CheckpointRecord,
} from './checkpoint-record.ts';
import { storeCall } from './store-call.ts';

/** A record, and whether it is a savepoint that was dropped. */
export interface ListedCheckpoint extends CheckpointRecord {
  readonly dropped: boolean;
}

export class CheckpointStore {
  readonly #store: ObjectStore;
  readonly #storeId: string;
  #idMax = 0;

  constructor(store: ObjectStore, storeId: string) {
    this.#store = store;
    this.#storeId = storeId;
  }

  /** Ids of all records, ascending. From then on no id is given that any object has (C3). */
  async ids(): Promise<number[]> {
    const objects = await this.#list(checkpointPrefix);
    const snapshots = await this.#list(snapshotPrefix);
    for (const { name } of [...objects, ...snapshots]) {
      const id = parseRecordName(name)?.id ?? parseSnapshotName(name)?.id ?? 0;
      this.#idMax = Math.max(this.#idMax, id);
    }
    return recordIds(objects);
  }

  /** An id that no attempt has used (C3). */
  nextId(): number {
    return ++this.#idMax;
  }

  /** Greatest id that was found or given. */
  get idMax(): number {
    return this.#idMax;
  }

  /** Objects whose names start with a prefix. */
  objects(prefix: string): Promise<ObjectInfo[]> {
    return this.#list(prefix);
  }

  /** Hexadecimal. */
  get storeId(): string {
    return this.#storeId;
  }

  /** The bytes of an object; undefined when there is none. */
  object(name: string): Promise<Uint8Array | undefined> {
    return storeCall('read', name, () => this.#store.get(name));
  }

  /** Deletes an object that a plan of retention gives up; durable when it resolves. */
  remove(name: string): Promise<void> {
    return storeCall('delete', name, () => this.#store.delete(name));
  }

  /** The record of an id. */
  async read(id: number): Promise<CheckpointRecord> {
    const name = recordName(id);
    const bytes = await storeCall('read', name, () => this.#store.get(name));
    if (!bytes) {
      throw new NotFoundError('CHECKPOINT_NOT_FOUND', `there is no checkpoint ${id}`, { id });
    }
    const record = decodeRecord(bytes, name);
    if (record.id !== id) {
      throw new CorruptionError('CORRUPT_RECORD', `checkpoint record is of another id: ${name}`, {
        path: name,
        offset: 0,
        expected: id,
        actual: record.id,
      });
    }
    if (record.storeId !== this.#storeId) {
      throw new IncompatibleError(
        'STORE_MISMATCH',
        `checkpoints are of another store: ${record.storeId}, directory is of ${this.#storeId}`,
        { expected: this.#storeId, actual: record.storeId },
      );
    }
    return record;
  }

  /** All records, oldest first. */
  async list(): Promise<ListedCheckpoint[]> {
    const objects = await this.#list(checkpointPrefix);
    const dropped = new Set<number>();
    for (const { name } of objects) {
      const parsed = parseRecordName(name);
      if (parsed?.dropped) dropped.add(parsed.id);
    }
    const records: ListedCheckpoint[] = [];
    for (const id of recordIds(objects)) {
      const record = await this.#readIfThere(id);
      if (record) records.push({ ...record, dropped: dropped.has(id) });
    }
    return records;
  }

  /** A record that was listed; undefined when it has been collected since. */
  async #readIfThere(id: number): Promise<CheckpointRecord | undefined> {
    try {
      return await this.read(id);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  /** Publishes a record; durable when it resolves. Another writer's record there: FENCED. */
  async publish(record: CheckpointRecord): Promise<void> {
    const name = recordName(record.id);
    const bytes = encodeRecord(record);
    if (await storeCall('put', name, () => this.#store.putIfAbsent(name, bytes))) return;
    throw new ConflictError('FENCED', `another writer has published checkpoint ${record.id}`, {
      id: record.id,
    });
  }

  /** Removes the snapshot of an id that has no record. */
  async removeUnnamed(id: number, snapshot: string): Promise<void> {
    const record = recordName(id);
    if (await storeCall('read', record, () => this.#store.get(record))) return;
    await storeCall('delete', snapshot, () => this.#store.delete(snapshot));
  }

  /** Marks a savepoint as dropped: nothing keeps it any longer but its age. */
  async drop(id: number): Promise<void> {
    const name = droppedName(id);
    await storeCall('put', name, () => this.#store.putIfAbsent(name, new Uint8Array(0)));
  }

  /** Removes files of attempts that ended before their record was put; how many. */
  async removeLeftovers(newest: CheckpointRecord | undefined): Promise<number> {
    let removed = (await this.#store.local?.removeStaged()) ?? 0;
    const recorded = new Set(await this.#recordIds());
    const snapshots = await this.#list(snapshotPrefix);
    // A snapshot is named by the record of its own attempt first. One without is a leftover, unless
    // that record was given up and a later one goes on naming the file.
    const names = snapshots
      .map(({ name }) => name)
      .filter(
        (name) => !recorded.has(parseSnapshotName(name)?.id ?? -1) && parseSnapshotName(name),
      );
    if (names.length === 0) return removed;
    const named = await this.#namedSnapshots(newest);
    for (const name of names) {
      if (named?.has(name) !== false) continue;
      await storeCall('delete', name, () => this.#store.delete(name));
      removed++;
    }
    return removed;
  }

  /** What any record names; undefined when a record cannot be read, and nothing is sure then. */
  async #namedSnapshots(newest: CheckpointRecord | undefined): Promise<Set<string> | undefined> {
    const named = new Set(newest?.chain.map((link) => link.name));
    try {
      for (const record of await this.list()) for (const { name } of record.chain) named.add(name);
    } catch (error) {
      // `verify` reports a damaged record; opening needs the newest only.
      if (error instanceof CorruptionError || error instanceof IncompatibleError) return undefined;
      throw error;
    }
    return named;
  }

  #list(prefix: string): Promise<ObjectInfo[]> {
    return storeCall('list', prefix, () => this.#store.list(prefix));
  }

  async #recordIds(): Promise<number[]> {
    return recordIds(await this.#list(checkpointPrefix));
  }
}

function recordIds(objects: readonly { name: string }[]): number[] {
  const ids: number[] = [];
  for (const { name } of objects) {
    const parsed = parseRecordName(name);
    if (parsed && !parsed.dropped) ids.push(parsed.id);
  }
  return ids.sort((a, b) => a - b);
}
