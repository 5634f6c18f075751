/*
 * The identity of a store whose `store.json` is lost or damaged, from what else says it: checkpoint
 * records have the store's id and its key groups, the footers of their snapshots the seed. Reads only.
 *
 * It is certain where every record that can be read agrees, and a snapshot of theirs can be read.
 * Without one the seed is known to nobody; the log alone can still be read, as it needs none.
 */
import {
  decodeRecord,
  recordName,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import { CorruptionError, IncompatibleError, NotFoundError } from '../errors.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { SnapshotReader } from '../snapshot/snapshot-reader.ts';
import { fromHex, writeU32 } from '../std/bytes.ts';
import type { Random } from '../std/random.ts';
import { placeOf } from '../store/store-place.ts';
import { storeFormatVersion, type StoreIdentity } from '../wal/identity.ts';
import { listLog, openSegmentFile } from '../wal/log-directory.ts';
import { listRecordIds, logDirectoryOf, objectsOf, type ReaderSource } from './reader-moment.ts';
import type { ReaderObjects } from './reader-objects.ts';

/** Of the newest records, whose snapshots are looked at. */
const recordsMax = 4;

/** The identity, where it is certain; undefined where it is not. */
export async function rebuildIdentity(source: ReaderSource): Promise<StoreIdentity | undefined> {
  const objects = objectsOf(source, source.fs);
  const records = await readableRecords(objects);
  const storeId = onlyOne(records.map((record) => record.storeId));
  const keyGroups = onlyOne(records.map((record) => record.keyGroups));
  if (storeId === undefined || keyGroups === undefined) return undefined;
  const id = fromHex(storeId);
  const headers: SnapshotHeader[] = [];
  const names = new Set(records.slice(-recordsMax).flatMap(({ chain }) => chain.map(nameOf)));
  for (const name of names) {
    const header = await orNothing(() => headerOf(objects, name));
    if (header) headers.push(header);
  }
  const seed = onlyOne(headers.map(({ seed: { low, high } }) => `${low} ${high}`));
  const fits = headers.every(({ groupBits }) => 2 ** groupBits === keyGroups);
  const [first] = headers;
  if (id?.length !== 16 || seed === undefined || !fits || !first) return undefined;
  return identityOf(source, { storeId: id, seed: seedBytes(first), keyGroups });
}

/**
 * An identity to read the log of a store with that has no checkpoint: the id is that of its newest
 * segment, the seed any. For a salvage, whose new store has its own of both.
 */
export async function assumeIdentity(
  source: ReaderSource,
  random: Random,
  keyGroups: number,
): Promise<StoreIdentity | undefined> {
  if ((await readableRecords(objectsOf(source, source.fs))).length > 0) return undefined;
  const { segments } = await listLog(source.fs, logDirectoryOf(source));
  for (const { name } of segments.toReversed()) {
    const file = await orNothing(() => openSegmentFile(source.fs, logDirectoryOf(source), name));
    if (!file) continue;
    const seed = new Uint8Array(8);
    random.fill(seed);
    return identityOf(source, { storeId: file.header.storeId, seed, keyGroups });
  }
  return undefined;
}

function identityOf(
  { dir, store }: ReaderSource,
  known: Pick<StoreIdentity, 'storeId' | 'seed' | 'keyGroups'>,
): StoreIdentity {
  return { format: storeFormatVersion, kind: 'engine', ...known, place: placeOf(store, dir) };
}

/** Oldest first. */
async function readableRecords(objects: ReaderObjects): Promise<CheckpointRecord[]> {
  const records: CheckpointRecord[] = [];
  for (const id of await listRecordIds(objects)) {
    const name = recordName(id);
    const bytes = await objects.get(name);
    const record = bytes && (await orNothing(async () => decodeRecord(bytes, name)));
    if (record?.id === id) records.push(record);
  }
  return records;
}

async function headerOf(objects: ReaderObjects, name: string): Promise<SnapshotHeader | undefined> {
  const file = await objects.file(name);
  if (!file) return undefined;
  const handle = await file.fs.open(file.path, 'read');
  try {
    return (await SnapshotReader.open(handle, file.path)).footer.header;
  } finally {
    await handle.close();
  }
}

/** What is damaged, of another version, or gone says nothing. */
async function orNothing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const isNothing = [CorruptionError, IncompatibleError, NotFoundError].some(
      (type) => error instanceof type,
    );
    if (isNothing) return undefined;
    throw error;
  }
}

/** The one value that all have; undefined: none has, or they differ. */
function onlyOne<T>(values: readonly T[]): T | undefined {
  const [first] = values;
  return values.every((value) => value === first) ? first : undefined;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function seedBytes({ seed: { low, high } }: SnapshotHeader): Uint8Array {
  const bytes = new Uint8Array(8);
  writeU32(bytes, 0, low);
  writeU32(bytes, 4, high);
  return bytes;
}
