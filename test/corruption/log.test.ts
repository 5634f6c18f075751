/*
 * The log alone, as `openLog` makes it: trimmed, of several segments, compressed or not. Reading gives the
 * records that were appended or a typed error, an opening loses nothing that is proved, and goes on.
 */
import { expect, test } from 'vitest';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { SeededRandom, SimulatedClock } from '../../src/testing/index.ts';
import { openLogWith, type Log, type OpenLogOptions } from '../../src/wal/log.ts';
import {
  cuts,
  duplicates,
  flips,
  offsetsOf,
  oldCopies,
  removals,
  swaps,
  zeroedSectors,
  type Damage,
  type Damages,
} from './damages.ts';
import { differenceOf, dir, diskOf, filesOf, type Files } from './disk.ts';
import { check, typed, type Outcome } from './judge.ts';
import { Model } from './model.ts';
import { survivingProof } from './proof.ts';
import type { Sample } from './stores.ts';
import { expectMore, longStride, oneIn, sweep, tell, timeout } from './sweep.ts';

const limits = new Map([[1, Number.MAX_SAFE_INTEGER]]);

function openOn(
  fs: MemoryFileSystem,
  options: Partial<OpenLogOptions>,
  seed: number,
): Promise<Log> {
  const on = { fs, clock: new SimulatedClock(), random: new SeededRandom(seed) };
  return openLogWith({ dir, segmentBytesMax: 4096, undurableBytesMax: 2048, ...options }, on);
}

const recordOf = (lsn: number): string => `record ${lsn} `.repeat(1 + ((lsn * 7) % 5));

/** What a log is that ends behind so many records; a model that says no more than its last LSN. */
class LogModel extends Model {
  readonly #lsn: number;

  constructor(lsn: number) {
    super();
    this.#lsn = lsn;
  }

  override get lsn(): number {
    return this.#lsn;
  }
}

/** A log of several openings, trimmed twice: as it was closed, and as it runs. */
async function filledLog(options: Partial<OpenLogOptions>): Promise<Sample[]> {
  const fs = new MemoryFileSystem();
  const older = new Map<string, Uint8Array[]>();
  let lsn = 0;
  let files: Files = new Map();
  const remember = async (): Promise<void> => {
    files = await filesOf(fs);
    for (const [path, bytes] of files) {
      const known = older.get(path) ?? [];
      if (known.every((one) => Buffer.compare(one, bytes) !== 0))
        older.set(path, [...known, bytes]);
    }
  };
  const append = async (log: Log, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await log.append(Buffer.from(recordOf(++lsn)), { durability: n + 1 < count ? 'disk' : 'os' });
    }
    await remember();
  };
  let log = await openOn(fs, options, 1);
  for (let opening = 2; opening < 5; opening++) {
    await append(log, 45);
    await log.trim(lsn - 60 > 0 ? lsn - 60 : 0);
    await append(log, 3);
    if (opening === 4) break;
    await log.close();
    log = await openOn(fs, options, opening);
  }
  await append(log, 2);
  const sampleOf = (name: string): Sample => {
    const gone = [...older].map(([path, contents]): [string, Uint8Array[]] => {
      const now = files.get(path);
      return [path, contents.filter((bytes) => !now || Buffer.compare(bytes, now) !== 0)];
    });
    const model = new LogModel(lsn);
    return { name, files, older: new Map(gone), model, limits, moments: [] };
  };
  const running = sampleOf('running');
  await log.close();
  await remember();
  return [sampleOf('closed'), running];
}

/** Reads all that is kept; every record is one that was appended. */
async function readAll(log: Log): Promise<void> {
  for await (const { lsn, bytes } of log.read()) {
    check(Buffer.from(bytes).toString() === recordOf(lsn), `record ${lsn} is another`);
  }
}

async function judgeLog(damage: Damage, lsnMost: number): Promise<Outcome> {
  const proved = survivingProof(damage.files, limits);
  const fs = await diskOf(damage.files);
  const opening = await typed(openOn(fs, {}, 77));
  if ('code' in opening) {
    const path = differenceOf(damage.files, await filesOf(fs));
    check(path === undefined, `the refused opening has changed ${path}`);
    return { refused: opening.code, reports: [] };
  }
  const log = opening.value;
  const lsn = log.tail;
  check(lsn >= proved, `opened at LSN ${lsn}, though ${proved} is proved`);
  check(lsn <= lsnMost, `opened at LSN ${lsn}, which nobody has appended`);
  const reports = log.tornTail ? ['torn tail'] : [];
  const found = await typed(readAll(log));
  if ('code' in found) reports.push(`read: ${found.code}`);
  await log.append(Buffer.from(recordOf(lsn + 1)));
  await log.close();
  const again = await openOn(fs, {}, 78);
  check(again.tail === lsn + 1, `opens again at LSN ${again.tail}`);
  const after = await typed(readAll(again));
  check('code' in found || 'value' in after, 'what was read before is damaged when opened again');
  await again.close();
  if (lsn < lsnMost || reports.length > 0) return { lsn, reports };
  // Nobody has said a word: then this finds it, or nobody needs it.
  const on = { fs: await diskOf(damage.files), clock: new SimulatedClock() };
  const checked = await typed(verifyStoreWith({ dir }, on));
  return { lsn, reports, verified: 'code' in checked ? checked.code : checked.value };
}

function* allOf(sample: Sample): Damages {
  for (const [path, { length }] of sample.files) {
    const isNew = path.endsWith('.new');
    const stride = longStride ?? (isNew ? 1021 : 67);
    yield* flips(sample, path, offsetsOf(length, { stride, head: isNew ? 0 : 64 }));
    yield* cuts(sample, path, offsetsOf(length, { stride: stride * 3, end: 1 }));
    yield* zeroedSectors(sample, path);
  }
  yield* removals(sample);
  yield* duplicates(sample);
  yield* oneIn(2, swaps(sample));
  yield* oldCopies(sample);
}

for (const logCompression of ['none', 'lz4'] as const) {
  test(
    `a damaged log, compression ${logCompression}: nothing that is proved is lost`,
    { timeout },
    async () => {
      const options =
        logCompression === 'none' ? {} : { logCompression: { codec: logCompression, bytesMin: 0 } };
      for (const sample of await filledLog(options)) {
        const { lsn } = sample.model;
        const counts = await sweep(sample, allOf(sample), (damage) => judgeLog(damage, lsn));
        tell(`log, ${logCompression}, ${sample.name}`, counts);
        expectMore(counts, 'tried', 300);
        expectMore(counts, 'refused', 100);
        expectMore(counts, 'reported', 20);
        // Groups of a few bytes: a lost sector takes several of them, with the mark that proved them.
        expectMore(counts, 'unseen', 0);
        expect(counts.unseen).toBeLessThan(10);
      }
    },
  );
}
