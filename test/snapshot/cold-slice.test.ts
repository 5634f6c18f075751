import { beforeAll, describe, expect, test } from 'vitest';
import { StorageError, type TidemarkError } from '../../src/errors.ts';
import type { FileHandle } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { BlockCache, cachedBlocksLeast } from '../../src/snapshot/block-cache.ts';
import { blockTableRange } from '../../src/snapshot/block-places.ts';
import { ColdFile } from '../../src/snapshot/cold-file.ts';
import { Entry } from '../../src/snapshot/entry.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { Image, setProbe } from '../../src/snapshot/image.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import type { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { blockBytes } from '../../src/snapshot/snapshot-format.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { buildDelta, loadSnapshot, type TaskContext } from '../../src/snapshot/tasks.ts';
import { hashBytes } from '../../src/codec/hash.ts';
import { put, toBytes, writeLog, type Change } from './log-builder.ts';

const context: TaskContext = { yieldNow: async () => {}, cancelled: () => false };
const path = '/d/snapshot';
const seed = { low: 1, high: 2 };
const groupBits = 2;
const keys = Array.from({ length: 400 }, (_, i) => `key ${i}`);
/** Some are larger than a block, so that entries stand across borders of blocks. */
const valueOf = (i: number): string => `${i}:`.padEnd(i % 50 === 0 ? 150_000 : 20 + i * 7, 'v');
const changes: Change[] = [
  ...keys.map((key, i) => put(16, key, valueOf(i))),
  ...keys.map((_, i) => put(17, 'hot', `sub ${i}`, { subKey: String(i).padStart(6, '0') })),
  { table: 18, op: ops.clearTable, key: '' },
  { table: 18, op: ops.clearKey, key: 'map' },
  put(18, 'map', 'value', { subKey: 'one' }),
];

let fs: MemoryFileSystem;

beforeAll(async () => {
  fs = new MemoryFileSystem();
  await fs.makeDirectory('/d');
  const ranges = await writeLog(fs, '/d', [[{ timestamp: 100, changes }]]);
  await buildDelta(
    fs,
    {
      ranges,
      seed,
      groupBits,
      rules: [],
      stagedPath: path,
      storeId: new Uint8Array(16),
      timeline: 1,
      epoch: 1,
      compression: { codec: 'lz4', tables: [{ table: 17, codec: 'none' }] },
      sliceBytesMax: 400_000,
    },
    context,
  );
});

interface Opened {
  readonly image: Image;
  readonly file: ColdFile;
  readonly handle: FileHandle;
  readonly told: string[];
}

async function openCold(
  on: MemoryFileSystem = fs,
  { blocks = 1000, checks = true } = {},
): Promise<Opened> {
  const handle = await on.open(path, 'read');
  const { footer } = await SnapshotReader.open(handle, path);
  const told: string[] = [];
  const watcher = {
    used: (_: ColdFile, index: number) => void told.push(`used ${index}`),
    failed: (_: ColdFile, index: number, error: TidemarkError) => {
      told.push(`failed ${index} ${error.code}`);
    },
    closed: () => void told.push('closed'),
  };
  const cache = new BlockCache(blocks * blockBytes);
  const file = new ColdFile({ handle, path, footer, cache, checks, watcher });
  const image = new Image([], { slabs: new SlabPool(0), groupBits }, file);
  return { image, file, handle, told };
}

async function openWarm(): Promise<Image> {
  const { slices } = await loadSnapshot(fs, { path }, context);
  return new Image(slices, { slabs: new SlabPool(0), groupBits });
}

function probeOf(table: number, key: string, subKey?: string): Entry {
  const bytes = toBytes(key + (subKey ?? ''));
  const end = toBytes(key).length;
  const probe = new Entry();
  const subKeyEnd = subKey === undefined ? undefined : bytes.length;
  setProbe(probe, table, hashBytes(bytes, 0, end, seed), { bytes, start: 0, end, subKeyEnd });
  return probe;
}

function textOf(entry: Entry): string {
  const { table, hash, op, lsn, keyStart, keyEnd, subKeyEnd, valueEnd, bytes } = entry;
  const parts = [bytes.slice(keyStart, keyEnd), bytes.slice(keyEnd, subKeyEnd)];
  const value = bytes.slice(subKeyEnd, valueEnd);
  return [table, hash, op, lsn, ...[...parts, value].map((one) => Buffer.from(one))].join('|');
}

function textsOf(cursor: RunCursor): string[] {
  const texts: string[] = [];
  while (cursor.next()) texts.push(textOf(cursor));
  return texts;
}

describe.each([{ blocks: 1000 }, { blocks: cachedBlocksLeast }])(
  'an image whose slices are in a file, with a cache of $blocks blocks',
  ({ blocks }) => {
    test('every entry that is there, and those that are not: as in memory', async () => {
      const { image } = await openCold(fs, { blocks });
      const warm = await openWarm();
      expect(image.isResident).toBe(false);
      const probes = [
        ...keys.map((key) => probeOf(16, key)),
        ...keys.map((_, i) => probeOf(17, 'hot', String(i).padStart(6, '0'))),
        ...['none', 'key 400', ''].map((key) => probeOf(16, key)),
        probeOf(17, 'hot'),
        probeOf(17, 'hot', '1'),
        probeOf(18, 'map', 'one'),
        probeOf(99, 'key 1'),
      ];
      let found = 0;
      for (const probe of probes) {
        const [cold, other] = [new Entry(), new Entry()];
        const isThere = image.find(probe, cold);
        expect(isThere).toBe(warm.find(probe, other));
        if (isThere) expect(textOf(cold)).toBe(textOf(other));
        if (isThere) found++;
        expect(image.clearLsn(probe)).toBe(warm.clearLsn(probe));
        const fold = new PointFold();
        fold.reset();
        expect(image.collect(probe, fold)).toBe(isThere || image.clearLsn(probe) > 0);
        if (probe.subKeyEnd > probe.keyEnd && found % 40 !== 0) continue;
        const keyed = textsOf(warm.keyCursor(probe));
        expect(textsOf(image.keyCursor(probe))).toEqual(keyed);
      }
      expect(found).toBe(801);
    });

    test('cursors over all, a table and ranges of hashes: as in memory', async () => {
      const { image } = await openCold(fs, { blocks });
      const warm = await openWarm();
      const ranges = [
        undefined,
        ...[16, 17, 18, 99].map((table) => ({ table })),
        { table: 16, firstHash: 0x3fff_0000, lastHash: 0xa000_0000 },
        { table: 18, firstHash: 0x4000_0001 },
        { table: 16, firstHash: 5, lastHash: 4 },
      ];
      for (const range of ranges) {
        expect(textsOf(image.cursor(range))).toEqual(textsOf(warm.cursor(range)));
      }
    });
  },
);

describe('reading', () => {
  test('a lookup: the slice is told once, and few blocks are read', async () => {
    const { image, file, told } = await openCold();
    expect(image.find(probeOf(17, 'hot', '000399'), new Entry())).toBe(true);
    expect(image.find(probeOf(17, 'hot', '000001'), new Entry())).toBe(true);
    expect(told).toEqual([`used ${file.slices.findIndex(({ record }) => record.table === 17)}`]);
    expect(file.cache.reads).toBeLessThanOrEqual(2);
    image.release();
    expect(told.at(-1)).toBe('closed');
  });

  test('a slice that is installed while a cursor reads: the cursor goes on, and blocks are given back', async () => {
    const { image, file } = await openCold();
    const { slices } = await loadSnapshot(fs, { path }, context);
    const cursor = image.cursor();
    cursor.next();
    const texts = [textOf(cursor)];
    slices.forEach((slice, index) => expect(image.install(index, slice)).toBe(true));
    expect(image.install(0, slices[0]!)).toBe(false);
    expect(image.isResident).toBe(true);
    expect(image.slabBytes).toBeGreaterThan(0);
    expect(image.descriptors).toEqual(slices);
    texts.push(...textsOf(cursor));
    expect(texts).toEqual(textsOf((await openWarm()).cursor()));
    const { reads } = file.cache;
    expect(image.find(probeOf(16, 'key 1'), new Entry())).toBe(true);
    expect(file.cache.reads).toBe(reads);
  });
});

describe('damage', () => {
  async function damaged(change: (bytes: Uint8Array) => void): Promise<MemoryFileSystem> {
    const handle = await fs.open(path, 'read');
    const bytes = new Uint8Array(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    change(bytes);
    const other = new MemoryFileSystem();
    await other.makeDirectory('/d');
    const copy = await other.open(path, 'create');
    await copy.write(bytes, 0);
    await copy.close();
    return other;
  }

  const errorOf = (call: () => unknown): TidemarkError => {
    try {
      call();
    } catch (error) {
      return error as TidemarkError;
    }
    throw new Error('the call has not failed');
  };

  const firstOf = async (table: number): Promise<number> => {
    const { file } = await openCold();
    return file.slices.find(({ record }) => record.table === table)!.record.offset;
  };

  test('a byte of a block: CORRUPT_SNAPSHOT with its place, told; once marked every reading throws', async () => {
    const offset = await firstOf(17);
    const on = await damaged((bytes) => {
      bytes[offset + 40]! ^= 1;
    });
    const { image, file, told } = await openCold(on);
    const error = errorOf(() => image.find(probeOf(17, 'hot', '000000'), new Entry()));
    expect([error.code, error.details['path'], error.details['offset']]).toEqual([
      'CORRUPT_SNAPSHOT',
      path,
      offset,
    ]);
    const index = file.slices.findIndex(({ record }) => record.table === 17);
    expect(told).toEqual([`used ${index}`, `failed ${index} CORRUPT_SNAPSHOT`]);
    file.slices[index]!.markDamaged(error);
    expect(errorOf(() => image.keyCursor(probeOf(17, 'hot')))).toBe(error);
    expect(errorOf(() => image.cursor({ table: 17 }).next())).toBe(error);
    expect(errorOf(() => image.find(probeOf(17, 'hot', '9'), new Entry()))).toBe(error);
    expect(image.find(probeOf(16, 'key 1'), new Entry())).toBe(true);
  });

  test('a byte of a block table: CORRUPT_SNAPSHOT, whatever is looked for', async () => {
    const { file } = await openCold();
    const { record } = file.slices.find((slice) => slice.record.table === 17)!;
    const on = await damaged((bytes) => {
      bytes[record.offset + record.storedBytes]! ^= 1;
    });
    const { image } = await openCold(on);
    const error = errorOf(() => image.find(probeOf(17, 'hot', '1'), new Entry()));
    expect(error.message).toContain('block table fails its checksum');
  });

  test('a block that is not compared, and does not decompress: CORRUPT_SNAPSHOT', async () => {
    const offset = await firstOf(16);
    const on = await damaged((bytes) => bytes.fill(0xff, offset, offset + 64));
    const { image } = await openCold(on, { checks: false });
    const error = errorOf(() => textsOf(image.cursor({ table: 16 })));
    expect(error.code).toBe('CORRUPT_SNAPSHOT');
  });

  test('blocks that are not compared: entries outside of the slice, or keys outside of an entry, are told', async () => {
    const offset = await firstOf(17);
    const sizes = await damaged((bytes) => bytes.fill(0xff, offset, offset + 4));
    const size = await openCold(sizes, { checks: false });
    const noEntry = errorOf(() => textsOf(size.image.cursor({ table: 17 })));
    expect(noEntry.message).toContain('has no entry at 0');
    expect(size.told.at(-1)).toContain('failed');
    const lengths = await damaged((bytes) => bytes.fill(0xff, offset + 28, offset + 32));
    const keyed = await openCold(lengths, { checks: false });
    const long = errorOf(() => textsOf(keyed.image.cursor({ table: 17 })));
    expect(long.message).toContain('keys past its end');
    const found = errorOf(() => keyed.image.find(probeOf(17, 'hot', '000000'), new Entry()));
    expect(found.message).toContain('keys past its end');
    const { record } = keyed.file.slices.find((slice) => slice.record.table === 17)!;
    const pointers = record.offset + record.dataBytes + record.entryCount * 4;
    const wild = await damaged((bytes) => bytes.fill(0x7f, pointers, pointers + 4));
    const { image } = await openCold(wild, { checks: false });
    const pointed = errorOf(() => textsOf(image.cursor({ table: 17 })));
    expect(pointed.message).toContain('has no entry at');
    const directory = pointers + record.entryCount * 4;
    const far = await damaged((bytes) => bytes.fill(0x7f, directory + 4, directory + 8));
    const outside = await openCold(far, { checks: false });
    const block = errorOf(() => outside.image.find(probeOf(17, 'hot', '000000'), new Entry()));
    expect(block.message).toContain('has no block');
  });

  test('a file that ends early: CORRUPT_SNAPSHOT; a disk that fails: IO with its errno', async () => {
    const { image, handle, file } = await openCold();
    const watched = handle as { readNow: (target: Uint8Array, at: number) => number };
    watched.readNow = () => 3;
    const short = errorOf(() => image.find(probeOf(16, 'key 1'), new Entry()));
    expect(short.message).toContain('is cut short');
    watched.readNow = () => {
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
    };
    const failed = errorOf(() => image.find(probeOf(16, 'key 1'), new Entry()));
    expect(failed).toBeInstanceOf(StorageError);
    expect(failed.details).toEqual({ path, errno: 'EIO' });
    expect(file.cache.bytes).toBe(0);
  });
});

test('more slices than tables are kept for: each is read again when it is needed, and the bound holds', async () => {
  const { image, file, handle } = await openCold(fs, { blocks: 0 });
  const tables = file.slices.map(({ record }) => blockTableRange(record).from);
  expect(tables.length).toBeGreaterThan(2);
  const reads: number[] = [];
  const readNow = handle.readNow.bind(handle);
  handle.readNow = (target, offset) => {
    if (tables.includes(offset)) reads.push(offset);
    return readNow(target, offset);
  };
  const warm = await openWarm();
  for (let round = 0; round < 3; round++) {
    for (const key of keys) {
      const [cold, entry] = [new Entry(), new Entry()];
      expect(image.find(probeOf(16, key), cold)).toBe(warm.find(probeOf(16, key), entry));
      expect(textOf(cold)).toBe(textOf(entry));
    }
    expect(textsOf(image.cursor({ table: 17 }))).toEqual(textsOf(warm.cursor({ table: 17 })));
    const bytes = file.cache.bytes - cachedBlocksLeast * blockBytes;
    // One table of a slice of 400 KB, and no more.
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(300);
  }
  expect(reads.length).toBeGreaterThan(3 * tables.length);
  image.release();
  expect(file.cache.bytes).toBeLessThanOrEqual(cachedBlocksLeast * blockBytes);
  warm.release();
});
