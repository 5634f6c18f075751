/*
 * The copy of a store that backups keep: the same files under the same names, and `backup.json`, which
 * says whose copy it is and which segments a backup has put there. A segment that it does not name
 * was made by somebody who opened the copy: then the two have gone their own ways, and it is refused.
 *
 * Durability, each step synced before the next, so that a crash at any point leaves the whole state of
 * the last backup, or more, and before the first identity nothing that opens:
 *   manifest → snapshots → mark of the log → segments, oldest first, the head last → records, oldest
 *   first → identity; then what the source has given up: records → snapshots → low-water → segments →
 *   timelines.
 * The record of a timeline comes before its first segment: a crash between leaves the copy at the moment
 * from which the source went on, with what came behind that as the future that was left. A record comes behind the log that holds its position: else the log would end before its newest
 * record. A segment that has grown is copied whole and renamed in; it is cut to its end
 * only when its successor is in. The end of the head has a proof mark of its own.
 */
import { systemError } from '../fs/system-error.ts';
import { createHash } from 'node:crypto';
import {
  checkpointPrefix,
  parseRecordName,
  parseSnapshotName,
  snapshotPrefix,
} from '../checkpoint/checkpoint-record.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import { timelinePrefix } from '../checkpoint/timelines/timeline-record.ts';
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import { ConflictError, CorruptionError, IncompatibleError, toStorageError } from '../errors.ts';
import type { FileHandle, FileLock, FileSystem } from '../fs/file-system.ts';
import { replaceFile } from '../fs/replace-file.ts';
import { toHex } from '../std/bytes.ts';
import { FileObjectStore } from '../store/file-store.ts';
import { directoryPlace } from '../store/store-place.ts';
import { firstTimeline } from '../wal/ancestry.ts';
import { groupHeaderBytes } from '../wal/group-format.ts';
import {
  directoryError,
  identityName,
  writeIdentity,
  type StoreIdentity,
} from '../wal/identity.ts';
import { lockDirectory } from '../wal/log.ts';
import { listLog } from '../wal/log-directory.ts';
import { writeLogMark, type LogMark } from '../wal/log-mark.ts';
import { readLowWater, writeLowWater } from '../wal/low-water.ts';
import { encodeMark } from '../wal/marks.ts';
import { segmentHeaderBytes, temporaryName } from '../wal/segment-format.ts';
import { readFileRange } from '../wal/segment-scan.ts';
import type { BackupInventory, BackupRecord, BackupSegment } from './backup-source.ts';
import type { CopyComponents } from './copy-run.ts';
import { findInTheWay } from './empty-directory.ts';

export const manifestName = 'backup.json';
const manifestVersion = 1;
const pieceBytes = 4 * 1024 * 1024;

/** What backups know of the copy that they keep. */
export interface Manifest {
  /** Names of segments that were put here, or may have been. */
  readonly segments: readonly string[];
  /** The segment that takes appends in the source, as of the last backup that ended. */
  readonly head: { readonly name: string; readonly end: number } | undefined;
}

/** Tells how many more bytes were copied; throws to end the copy. */
export type CopyTick = (bytes: number) => void;

export class BackupTarget {
  readonly #on: CopyComponents;
  readonly #dir: string;
  readonly #identity: StoreIdentity;
  readonly #lock: FileLock;
  readonly #objects: FileObjectStore;
  #manifest: Manifest = { segments: [], head: undefined };
  readonly #timelinesPut = new Set<number>();
  /** Checkpoint records that were put before the log was whole. */
  #recordsPut = 0;

  constructor(on: CopyComponents, dir: string, identity: StoreIdentity, lock: FileLock) {
    this.#on = on;
    this.#dir = dir;
    this.#identity = identity;
    this.#lock = lock;
    this.#objects = new FileObjectStore(on.fs, dir, on.random);
  }

  /**
   * Takes the directory of a copy.
   * @throws ConflictError STATE_EXISTS for what is no copy, or one that was opened; LOCKED
   * @throws IncompatibleError STORE_MISMATCH for the copy of another store
   */
  static async begin(
    on: CopyComponents,
    dir: string,
    identity: StoreIdentity,
  ): Promise<BackupTarget> {
    // Before the lock, whose taking would put a file beside those of somebody else.
    await readManifest(on.fs, dir, identity);
    const lock = await lockDirectory(on.fs, dir);
    try {
      const target = new BackupTarget(on, dir, identity, lock);
      const found = await readManifest(on.fs, dir, identity);
      if (found) target.#manifest = found;
      else await target.#writeManifest({ segments: [], head: undefined });
      await storeCall('open', 'file', () => target.#objects.open());
      await storeCall('clear', 'file', () => target.#objects.local.removeStaged());
      await on.fs.makeDirectory(target.#log);
      await target.#refuseOpened();
      return target;
    } catch (error) {
      await lock.release();
      throw toStorageError(error, 'begin a backup in', dir);
    }
  }

  async release(): Promise<void> {
    await this.#objects.close();
    await this.#lock.release();
  }

  /** Snapshots of an inventory that are not here yet. */
  async missingSnapshots({ snapshots }: BackupInventory): Promise<BackupInventory['snapshots']> {
    const here = new Map(
      (await this.#objects.list(snapshotPrefix)).map(({ name, bytes }) => [name, bytes]),
    );
    return snapshots.filter(({ name, bytes }) => here.get(name) !== bytes);
  }

  /** Copies a snapshot, and compares its digest with its name. */
  async copySnapshot(fs: FileSystem, path: string, name: string, tick: CopyTick): Promise<void> {
    const staged = this.#objects.local.stagingPath('copy');
    const hash = createHash('sha256');
    const target = await this.#on.fs.open(staged, 'create');
    try {
      await eachPiece(fs, path, { start: 0, end: Number.MAX_SAFE_INTEGER }, async (piece, at) => {
        hash.update(piece);
        await target.write(piece, at);
        tick(piece.length);
      });
      await target.sync();
    } catch (error) {
      await target.close();
      await this.#on.fs.unlink(staged);
      throw error;
    }
    await target.close();
    const actual = hash.digest('hex');
    const expected = parseSnapshotName(name)?.sha256;
    if (actual !== expected) {
      await this.#on.fs.unlink(staged);
      throw new CorruptionError('CORRUPT_SNAPSHOT', `snapshot is not that of its name: ${path}`, {
        path,
        offset: 0,
        expected,
        actual,
      });
    }
    await storeCall('publish', name, () => this.#objects.local.publish(staged, name));
  }

  /** Bytes of the segments that are not here yet, or have grown. */
  async missingLogBytes({ segments }: BackupInventory): Promise<number> {
    let sum = 0;
    for (const { file, end, role } of segments) {
      const isOldHead = this.#manifest.head?.name === file.name && role !== 'head';
      if (isOldHead || (await this.#copiedUpTo(file.name)) < end.offset) sum += end.offset;
    }
    return sum;
  }

  /** Brings the log up to an inventory; `fs` is that of the source. */
  async copyLog(fs: FileSystem, inventory: BackupInventory, tick: CopyTick): Promise<void> {
    const { segments, mark } = inventory;
    const names = segments.map(({ file }) => file.name);
    const all = new Set([...this.#manifest.segments, ...names]);
    if (all.size > this.#manifest.segments.length) {
      await this.#writeManifest({ ...this.#manifest, segments: [...all] });
    }
    await this.#writeMark(mark, await this.#newestTimeline());
    for (const [i, segment] of segments.entries()) {
      // A segment of a timeline that no record knows would be damage (T1).
      await this.#putTimelines(inventory, segment.file.header.timeline);
      await this.#copySegment(fs, segment, tick);
      const before = segments[i - 1];
      if (before?.role === 'sealed') await this.#cut(before);
    }
    await this.#putTimelines(inventory, Number.MAX_SAFE_INTEGER);
    await this.#writeMark(mark, Number.MAX_SAFE_INTEGER);
  }

  /** What is known of the log; of no timeline of which nothing is here yet. */
  async #writeMark(mark: LogMark | undefined, newest: number): Promise<void> {
    if (!mark) return;
    const timeline = Math.min(mark.timeline, newest);
    await writeLogMark(this.#on.fs, this.#dir, this.#identity.storeId, { ...mark, timeline });
  }

  async #newestTimeline(): Promise<number> {
    const { segments } = await listLog(this.#on.fs, this.#log);
    return Math.max(firstTimeline, ...segments.map(({ timeline }) => timeline));
  }

  /**
   * Puts records of timelines, behind the checkpoints of those before them: one can begin at a
   * checkpoint, without a log. A crash then leaves the copy at the moment from which the source went on.
   */
  async #putTimelines({ records, timelines }: BackupInventory, through: number): Promise<void> {
    for (const { id, name, bytes } of timelines) {
      if (id > through || this.#timelinesPut.has(id)) continue;
      this.#recordsPut += await this.#putRecords(records.filter((one) => one.timeline < id));
      await this.#putSame(name, bytes);
      this.#timelinesPut.add(id);
    }
  }

  /** Puts checkpoint records; how many were not here. */
  async #putRecords(records: readonly BackupRecord[]): Promise<number> {
    let put = 0;
    for (const { name, bytes } of records) if (await this.#putSame(name, bytes)) put++;
    return put;
  }

  /** Puts an object; true when it was not here. One of its name is the same, or somebody else's. */
  async #putSame(name: string, bytes: Uint8Array): Promise<boolean> {
    if (await storeCall('put', name, () => this.#objects.putIfAbsent(name, bytes))) return true;
    const there = await storeCall('read', name, () => this.#objects.get(name));
    if (!there || Buffer.compare(there, bytes) !== 0) throw diverged(this.#dir, name);
    return false;
  }

  /** Puts the records, then makes the copy a store where it is none yet. */
  async publish({ records, dropped, segments }: BackupInventory): Promise<number> {
    const put = this.#recordsPut + (await this.#putRecords(records));
    for (const name of dropped) {
      await storeCall('put', name, () => this.#objects.putIfAbsent(name, new Uint8Array(0)));
    }
    const { fs } = this.#on;
    if (!(await fs.stat(`${this.#dir}/${identityName}`))) {
      await writeIdentity(fs, this.#dir, { ...this.#identity, place: directoryPlace });
    }
    const head = segments.find(({ role }) => role === 'head');
    const { segments: names } = this.#manifest;
    await this.#writeManifest({
      segments: names,
      head: head && { name: head.file.name, end: head.end.offset },
    });
    return put;
  }

  /**
   * Deletes what the source has given up; how many objects and segments. Objects stay where a record of
   * the source could not be read: one that is here may be needed. The log goes as the source's does: what
   * is below it leads nowhere.
   */
  async drop(inventory: BackupInventory): Promise<number> {
    const { segments, lowWater, isSure } = inventory;
    let count = isSure ? await this.#dropObjects(inventory) : 0;
    const { fs } = this.#on;
    const before = await readLowWater(fs, this.#log);
    if (lowWater && lowWater.lsn !== before?.lsn) await writeLowWater(fs, this.#log, lowWater);
    const names = new Set(segments.map(({ file }) => file.name));
    const listing = await listLog(fs, this.#log);
    const gone = [
      ...listing.segments.map(({ name }) => name).filter((name) => !names.has(name)),
      ...listing.temporaryNames,
    ];
    for (const name of gone) await fs.unlink(`${this.#log}/${name}`);
    if (gone.length > 0) await fs.syncDirectory(this.#log);
    const timelines = new Set(inventory.timelines.map(({ name }) => name));
    if (isSure) count += await this.#remove(timelinePrefix, (name) => !timelines.has(name));
    await this.#writeManifest({ ...this.#manifest, segments: [...names] });
    return count + gone.length;
  }

  /** Records, then the marks of those that were dropped, then snapshots. */
  async #dropObjects({ records, dropped, snapshots }: BackupInventory): Promise<number> {
    const kept = new Set([...records, ...snapshots].map(({ name }) => name));
    for (const name of dropped) kept.add(name);
    const isGone = (name: string): boolean => !kept.has(name);
    const isMark = (name: string): boolean => parseRecordName(name)?.dropped === true;
    const isRecord = (name: string): boolean => parseRecordName(name)?.dropped === false;
    return (
      (await this.#remove(checkpointPrefix, (name) => isRecord(name) && isGone(name))) +
      (await this.#remove(checkpointPrefix, (name) => isMark(name) && isGone(name))) +
      (await this.#remove(snapshotPrefix, isGone))
    );
  }

  /** Deletes objects of a prefix; how many. */
  async #remove(prefix: string, isGone: (name: string) => boolean): Promise<number> {
    const gone = (await this.#objects.list(prefix)).map(({ name }) => name).filter(isGone);
    for (const name of gone) await storeCall('delete', name, () => this.#objects.delete(name));
    return gone.length;
  }

  get #log(): string {
    return `${this.#dir}/wal`;
  }

  /** A segment that no backup has put here is of somebody who opened the copy. */
  async #refuseOpened(): Promise<void> {
    const { segments } = await listLog(this.#on.fs, this.#log);
    const own = new Set(this.#manifest.segments);
    const foreign = segments.find(({ name }) => !own.has(name));
    if (foreign) throw diverged(this.#dir, `wal/${foreign.name}`);
  }

  /** Offset up to which a segment is here for certain. */
  async #copiedUpTo(name: string): Promise<number> {
    const { head } = this.#manifest;
    if (head?.name === name) return head.end;
    const path = `${this.#log}/${name}`;
    if (!(await this.#on.fs.stat(path))) return 0;
    // Put here by a backup that has not ended, or complete since an earlier one.
    return head && name < head.name ? Number.MAX_SAFE_INTEGER : 0;
  }

  /**
   * Copies a segment whole where it has grown, and puts it in place of the copy before. Not in place: a
   * group's header says that groups before it are durable, which here they are only when all is synced.
   */
  async #copySegment(
    from: FileSystem,
    { file, end, role }: BackupSegment,
    tick: CopyTick,
  ): Promise<void> {
    const { fs } = this.#on;
    const isHead = role === 'head';
    const path = `${this.#log}/${file.name}`;
    if (await fs.stat(path)) await this.#checkSame(from, file.path, path);
    const wasHead = this.#manifest.head?.name === file.name;
    // The mark behind the head's end stands where the segment now ends, or goes on: it has to go.
    if ((await this.#copiedUpTo(file.name)) >= end.offset && (isHead || !wasHead)) return;
    const temporary = `${this.#log}/${temporaryName(file.header.number)}`;
    if (await fs.stat(temporary)) await fs.unlink(temporary);
    const handle = await fs.open(temporary, 'create');
    try {
      await eachPiece(from, file.path, { start: 0, end: end.offset }, async (piece, at) => {
        await handle.write(piece, at);
        tick(piece.length);
      });
      await finishSegment(handle, file, end, isHead);
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, path);
    await fs.syncDirectory(this.#log);
  }

  /** The header tells segments of one name apart: its salt is random. */
  async #checkSame(from: FileSystem, source: string, copy: string): Promise<void> {
    const [a, b] = await Promise.all([
      readFileRange(from, source, 0, segmentHeaderBytes),
      readFileRange(this.#on.fs, copy, 0, segmentHeaderBytes),
    ]);
    if (Buffer.compare(a, b) !== 0) throw diverged(this.#dir, copy);
  }

  /** Cuts a segment whose successor is in, and says where it ends (L5: no seal mark is needed). */
  async #cut({ file, end }: BackupSegment): Promise<void> {
    const path = `${this.#log}/${file.name}`;
    const { fs } = this.#on;
    if ((await fs.stat(path))?.bytes === end.offset) return;
    const handle = await fs.open(path, 'write');
    try {
      await handle.truncate(end.offset);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #writeManifest(manifest: Manifest): Promise<void> {
    const storeId = toHex(this.#identity.storeId);
    const { segments, head } = manifest;
    const body = { format: manifestVersion, storeId, segments, head: head ?? null };
    await replaceFile(this.#on.fs, this.#dir, manifestName, encodeSealedJson(body));
    this.#manifest = manifest;
  }
}

/** Everything behind the end is zeros, up to the size that the header says (L2). */
export async function finishSegment(
  handle: FileHandle,
  { header }: BackupSegment['file'],
  end: BackupSegment['end'],
  isHead: boolean,
): Promise<void> {
  if (isHead) {
    // A mark says that what is before it is durable.
    await handle.sync();
    await handle.write(encodeMark('proof', header.salt, end, end.lsn), end.offset);
  }
  const size = Math.max(header.size, end.offset + groupHeaderBytes);
  if ((await handle.size()) < size) await handle.truncate(size);
  await handle.sync();
}

/** Reads a range of a file piece by piece. */
export async function eachPiece(
  fs: FileSystem,
  path: string,
  { start, end }: { readonly start: number; readonly end: number },
  use: (piece: Uint8Array, at: number) => Promise<void>,
): Promise<void> {
  try {
    const handle = await fs.open(path, 'read');
    try {
      const last = Math.min(end, await handle.size());
      for (let at = start; at < last; at += pieceBytes) {
        const piece = new Uint8Array(Math.min(pieceBytes, last - at));
        const read = await handle.read(piece, at);
        // Cut short meanwhile: what follows would stand behind a hole.
        if (read < piece.length) throw systemError('EIO', 'read', path);
        await use(piece, at);
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, 'copy', path);
  }
}

/** The manifest of a copy of this store; undefined where nothing is. */
async function readManifest(
  fs: FileSystem,
  dir: string,
  identity: StoreIdentity,
): Promise<Manifest | undefined> {
  let names: string[];
  try {
    if (!(await fs.stat(dir))) return undefined;
    names = await fs.list(dir);
  } catch (error) {
    throw directoryError(error, 'look at', dir);
  }
  if (!names.includes(manifestName)) {
    const foreign = await findInTheWay(fs, dir, names, manifestName);
    if (foreign === undefined) return undefined;
    const message = `directory is no copy of a store and not empty, it holds ${foreign}: ${dir}`;
    throw new ConflictError('STATE_EXISTS', message, { path: dir, name: foreign });
  }
  const path = `${dir}/${manifestName}`;
  return decodeManifest(await readFileRange(fs, path, 0), path, identity);
}

/** The manifest of a copy of the store with this identity. */
export function decodeManifest(
  bytes: Uint8Array,
  path: string,
  { storeId }: StoreIdentity,
): Manifest {
  const body = decodeSealedJson(bytes);
  const corrupt = (why: string): CorruptionError =>
    new CorruptionError('CORRUPT_RECORD', `manifest of a backup ${why}: ${path}`, {
      path,
      offset: 0,
    });
  if (typeof body === 'string') throw corrupt(body);
  const { format, segments } = body;
  if (format !== manifestVersion) {
    if (typeof format !== 'number') throw corrupt('has no format');
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `backup format version ${format} is not known to this release: ${path}`,
      { path, version: format, supported: manifestVersion },
    );
  }
  const expected = toHex(storeId);
  if (body['storeId'] !== expected) {
    throw new IncompatibleError('STORE_MISMATCH', `directory is a copy of another store: ${path}`, {
      path,
      expected,
      actual: body['storeId'],
    });
  }
  if (!Array.isArray(segments) || !segments.every((name) => typeof name === 'string')) {
    throw corrupt('names no segments');
  }
  const head = body['head'] as Manifest['head'] | null;
  if (head === null) return { segments, head: undefined };
  const sound = typeof head?.name === 'string' && Number.isSafeInteger(head.end) && head.end >= 0;
  if (!sound) throw corrupt('has no head');
  return { segments, head };
}

function diverged(dir: string, name: string): ConflictError {
  return new ConflictError(
    'STATE_EXISTS',
    `copy was opened for writing since the last backup, ${name} is its own: ${dir}`,
    { path: dir, name },
  );
}
