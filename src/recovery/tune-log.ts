/*
 * The workload in the log that is kept: every commit from the first one that a state is known for,
 * sampled as a recording would sample it. Where the log does not begin with the first commit, the
 * oldest checkpoint that it goes on from says what was there before.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { WorkloadBuilder, type PaperWorkload } from '../checkpoint/tuning/tuning-workload.ts';
import { BeforeLookup, tablesBefore } from '../checkpoint/tuning/workload-before.ts';
import { WorkloadSampler } from '../checkpoint/tuning/workload-sampler.ts';
import { NotFoundError } from '../errors.ts';
import { Image } from '../snapshot/image.ts';
import { SlabPool } from '../snapshot/slab-pool.ts';
import { loadSnapshot } from '../snapshot/tasks.ts';
import { readU32, toHex } from '../std/bytes.ts';
import { readLoggedRecords } from './reader-commits.ts';
import { objectsOf, readerContext, type LogMoment, type ReaderSource } from './reader-moment.ts';

/** Bytes of log that a record was seen to take, headers and padding included. */
interface KnownLog {
  readonly fromLsn: number;
  readonly lastLsn: number;
  readonly bytes: number;
}

export async function readLogWorkload(
  source: ReaderSource,
  moment: LogMoment,
  { records, notes }: { readonly records: readonly CheckpointRecord[]; readonly notes: string[] },
): Promise<PaperWorkload> {
  const { identity } = moment;
  const itemsMaxes = new Map(records.at(-1)!.tables.map(({ id, itemsMax }) => [id, itemsMax]));
  const itemsMax = (table: number): number | undefined => itemsMaxes.get(table);
  let known = knownLog(records);
  let builder: WorkloadBuilder | undefined;
  let sampler: WorkloadSampler | undefined;
  let images: Image[] = [];
  let seenBytes = 0;
  try {
    for await (const { lsn, bytes } of readLoggedRecords(source, moment, undefined)) {
      if (!builder || !sampler) {
        const from = lsn === 1 ? undefined : records.find((record) => record.lsn >= lsn - 1);
        if (lsn > 1 && !from) throw nothingKept(source.dir);
        if (from && from.lsn >= lsn) continue;
        images = from ? await loadImages(source, from, Math.log2(identity.keyGroups)) : [];
        known = known.filter(({ fromLsn }) => fromLsn >= lsn - 1);
        const { keyGroups } = identity;
        const tables = tablesBefore(images, itemsMax);
        const start = { storeId: toHex(identity.storeId), keyGroups, lsn: lsn - 1, tables };
        builder = new WorkloadBuilder(start);
        sampler = samplerOver(images, identity.seed, itemsMax);
        if (from)
          notes.push(`The log is kept from LSN ${lsn} on: what was before is not replayed.`);
      }
      builder.add(sampler.commit(lsn, bytes));
      if (known.some(({ fromLsn, lastLsn }) => lsn > fromLsn && lsn <= lastLsn)) {
        seenBytes += bytes.length;
      }
    }
  } finally {
    for (const image of images) image.release();
  }
  if (!builder) throw nothingKept(source.dir);
  const logBytes = known.reduce((sum, range) => sum + range.bytes, 0);
  if (logBytes > 0 && seenBytes > 0) builder.takesLog(logBytes / seenBytes);
  return builder.finish();
}

/** Checkpoints that took in all of the log since the one before. */
function knownLog(records: readonly CheckpointRecord[]): KnownLog[] {
  const lsns = new Map(records.map(({ id, lsn }) => [id, lsn]));
  return records.flatMap(({ parent, lsn, logBytes }) => {
    const fromLsn = parent === 0 ? 0 : lsns.get(parent);
    if (fromLsn === undefined || logBytes === 0) return [];
    return [{ fromLsn, lastLsn: lsn, bytes: logBytes }];
  });
}

async function loadImages(
  source: ReaderSource,
  record: CheckpointRecord,
  groupBits: number,
): Promise<Image[]> {
  const objects = objectsOf(source, source.fs);
  const images: Image[] = [];
  for (const { name, sha256, bytes } of record.chain) {
    const file = await objects.file(name);
    if (!file) throw nothingKept(source.dir);
    const input = { path: file.path, sha256, bytes };
    const { slices } = await loadSnapshot(file.fs, input, readerContext);
    images.push(new Image(slices, { slabs: new SlabPool(0), groupBits }));
  }
  return images;
}

function samplerOver(
  images: readonly Image[],
  seed: Uint8Array,
  itemsMax: (table: number) => number | undefined,
): WorkloadSampler {
  const lookup = new BeforeLookup();
  const newestFirst = images.toReversed();
  return new WorkloadSampler({
    seed: { low: readU32(seed, 0), high: readU32(seed, 4) },
    itemsMax,
    before: (key, most) => lookup.find(key, newestFirst, most),
  });
}

function nothingKept(dir: string): NotFoundError {
  const message = `no commit is kept that a checkpoint leads up to, and no recording was given: ${dir}`;
  return new NotFoundError('CHECKPOINT_NOT_FOUND', message, { path: dir });
}
