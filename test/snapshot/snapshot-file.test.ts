import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { TidemarkError } from '../../src/errors.ts';
import type { FileHandle } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import type { SliceDescriptor } from '../../src/snapshot/slice.ts';
import { encodeSnapshotHeader } from '../../src/snapshot/snapshot-format.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { SnapshotWriter } from '../../src/snapshot/snapshot-writer.ts';
import {
  buildDelta,
  loadSnapshot,
  verifySnapshot,
  type BuildDeltaOutput,
  type TaskContext,
  type Verification,
} from '../../src/snapshot/tasks.ts';
import { Turns } from '../../src/snapshot/task-context.ts';
import { int64, put, readFile, writeFile, writeLog, type Change } from './log-builder.ts';
import { sliceTexts } from './runs.ts';

const context: TaskContext = { yieldNow: async () => {}, cancelled: () => false };
const path = '/d/snapshot';

/** One change of every kind, in four tables. */
const kinds: Change[] = [
  { table: 18, op: ops.clearTable, key: '' },
  { table: 18, op: ops.clearKey, key: 'map' },
  put(3, 'chunk', '', {
    op: ops.merge,
    operator: operatorIds.chunk,
    value: Buffer.concat([int64(2), Buffer.from('content')]),
  }),
  put(16, 'plain', 'value'),
  put(16, 'times', 'value', { expiry: 5000, eventTime: 60 }),
  put(16, 'gone soon', 'value', { expiry: 101 }),
  { table: 16, op: ops.delete, key: 'deleted' },
  { table: 17, op: ops.merge, operator: operatorIds.add, key: 'n', value: int64(-5) },
  put(18, 'map', 'value', { subKey: 'one' }),
  put(18, 'map', '', { subKey: '' }),
];

async function writeSnapshot(
  codec: 'none' | 'lz4' = 'none',
): Promise<{ fs: MemoryFileSystem; output: BuildDeltaOutput }> {
  const fs = new MemoryFileSystem();
  await fs.makeDirectory('/d');
  const again = { table: 17, op: ops.merge, operator: operatorIds.add, key: 'n', value: int64(7) };
  const ranges = await writeLog(fs, '/d', [
    [
      { timestamp: 100, changes: kinds },
      { timestamp: 102, changes: [again] },
    ],
  ]);
  const input = {
    ranges,
    stagedPath: path,
    compression: { codec },
    seed: { low: 1, high: 2 },
    groupBits: 2,
    rules: [],
    storeId: Uint8Array.from({ length: 16 }, (_, i) => i),
    timeline: 1,
    epoch: 3,
    sliceBytesMax: 100,
    parents: ['c0'.repeat(32)],
  };
  return { fs, output: await buildDelta(fs, input, context) };
}

async function errorOf(task: Promise<unknown>): Promise<TidemarkError> {
  const error: unknown = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TidemarkError);
  return error as TidemarkError;
}

describe('golden file', () => {
  const goldenFile = new URL('../golden/snapshot-v1.bin', import.meta.url);
  const golden = new Uint8Array(readFileSync(goldenFile));

  test('the same commits: the same bytes', async () => {
    const { fs } = await writeSnapshot();
    if (process.env['TIDEMARK_WRITE_GOLDEN'] === '1') {
      writeFileSync(goldenFile, await readFile(fs, path));
    }
    expect(Buffer.from(await readFile(fs, path)).equals(golden)).toBe(true);
  });

  test('decoded and encoded again: the same bytes', async () => {
    const fs = new MemoryFileSystem();
    await writeFile(fs, '/golden', golden);
    const loaded = await loadSnapshot(fs, { path: '/golden', verification: 'full' }, context);
    const handle = await fs.open('/again', 'create');
    const { header, parents } = loaded;
    const options = { path: '/again', header, parents, compression: { codec: 'none' } } as const;
    const writer = new SnapshotWriter(handle, options, new Turns(context));
    for (const slice of loaded.slices) await writer.writeSlice(slice);
    const summary = await writer.finish();
    expect(Buffer.from(await readFile(fs, '/again')).equals(golden)).toBe(true);
    expect(summary).toMatchObject({ bytes: golden.length, tables: loaded.tables });
  });
});

describe('damage', () => {
  test.each(['none', 'lz4'] as const)(
    'any flipped byte (%s): verification finds it',
    async (codec) => {
      const { fs, output } = await writeSnapshot(codec);
      const bytes = await readFile(fs, path);
      for (let at = 0; at < bytes.length; at++) {
        const damaged = bytes.slice();
        damaged[at]! ^= 1 << (at % 8);
        await writeFile(fs, path, damaged);
        const found = await verifySnapshot(fs, { path, level: 'standard' }, context);
        expect(found.faults.length, `byte ${at}`).toBeGreaterThan(0);
        expect(found.faults.every((fault) => fault.path === path)).toBe(true);
      }
      await writeFile(fs, path, bytes);
      const { sha256 } = output;
      const sound = await verifySnapshot(
        fs,
        { path, sha256, bytes: bytes.length, level: 'full' },
        context,
      );
      expect(sound.faults).toEqual([]);
    },
  );

  test('cut anywhere: CORRUPT_SNAPSHOT', async () => {
    const { fs } = await writeSnapshot();
    const bytes = await readFile(fs, path);
    for (let length = 0; length < bytes.length; length += 7) {
      await writeFile(fs, path, bytes.subarray(0, length));
      expect((await errorOf(loadSnapshot(fs, { path }, context))).code).toBe('CORRUPT_SNAPSHOT');
    }
  });

  test('a block: the error and the fault name its place and table', async () => {
    const { fs, output } = await writeSnapshot();
    const bytes = await readFile(fs, path);
    const place = await firstBlockOf(fs, 1);
    bytes[place.offset + 3]! ^= 4;
    await writeFile(fs, path, bytes);
    for (const verification of ['standard', 'full'] as const) {
      const error = await errorOf(loadSnapshot(fs, { path, verification }, context));
      const details = { path, offset: place.offset, expected: place.crc };
      expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details });
    }
    // Weaker levels do not look, and what does not name the slice is not stopped by it.
    await loadSnapshot(fs, { path, verification: 'basic' }, context);
    await loadSnapshot(fs, { path, sliceIndexes: [0, 2] }, context);
    const { sha256 } = output;
    const { faults } = await verifySnapshot(fs, { path, sha256, level: 'full' }, context);
    expect(faults).toEqual([
      { path, offset: 0, what: expect.stringContaining('digest'), ofContents: true },
      { path, offset: place.offset, table: place.table, what: expect.stringContaining('checksum') },
    ]);
  });

  test('several: verification reports each', async () => {
    const { fs } = await writeSnapshot();
    const bytes = await readFile(fs, path);
    const places = [await firstBlockOf(fs, 0), await firstBlockOf(fs, 3)];
    for (const { offset } of places) bytes[offset]! ^= 1;
    await writeFile(fs, path, bytes);
    const { faults } = await verifySnapshot(fs, { path, level: 'full' }, context);
    expect(faults.map((fault) => fault.offset)).toEqual(places.map((place) => place.offset));
  });

  test('a compressed block that its codec refuses: CORRUPT_SNAPSHOT with the cause', async () => {
    const fs = new MemoryFileSystem();
    await fs.makeDirectory('/d');
    const values = Array.from({ length: 50 }, (_, i) => put(16, `k${i}`, 'x'.repeat(200)));
    const ranges = await writeLog(fs, '/d', [[{ timestamp: 1, changes: values }]]);
    const target = { stagedPath: path, storeId: new Uint8Array(16), timeline: 1, epoch: 1 };
    const options = {
      seed: { low: 1, high: 2 },
      groupBits: 2,
      rules: [],
      compression: { codec: 'lz4' },
    } as const;
    await buildDelta(fs, { ...target, ...options, ranges }, context);
    const place = await firstBlockOf(fs, 0);
    expect(place.codec).toBe(1);
    const bytes = await readFile(fs, path);
    bytes.fill(0xff, place.offset, place.offset + 20);
    await writeFile(fs, path, bytes);
    const error = await errorOf(loadSnapshot(fs, { path, verification: 'none' }, context));
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { offset: place.offset } });
    expect(error.cause).toBeInstanceOf(TidemarkError);
  });

  test('entries that are not in order behind sound checksums: only full verification sees it', async () => {
    const { fs, output } = await writeSnapshot();
    const slice = output.slices.find((one) => one.table === 16)!;
    new Uint8Array(slice.buffer)[33]! ^= 1;
    const levels: [Verification, boolean][] = [
      ['standard', false],
      ['full', true],
    ];
    await rewrite(fs, output.slices);
    for (const [verification, seen] of levels) {
      const loading = loadSnapshot(fs, { path: '/again', verification }, context);
      if (seen) expect((await errorOf(loading)).message).toContain('has a hash');
      else await loading;
    }
    const { faults } = await verifySnapshot(fs, { path: '/again', level: 'full' }, context);
    expect(faults).toEqual([
      {
        path: '/again',
        offset: expect.any(Number),
        table: 16,
        what: expect.stringContaining('entry 0'),
        ofContents: true,
      },
    ]);
  });

  test('another header in front: verification sees it', async () => {
    const { fs } = await writeSnapshot();
    const bytes = await readFile(fs, path);
    const { header } = await loadSnapshot(fs, { path }, context);
    bytes.set(encodeSnapshotHeader({ ...header, epoch: 4 }));
    await writeFile(fs, path, bytes);
    const { faults } = await verifySnapshot(fs, { path, level: 'standard' }, context);
    expect(faults).toEqual([{ path, offset: 0, what: 'header and footer differ' }]);
  });

  test('another size or digest than the record says: CORRUPT_SNAPSHOT', async () => {
    const { fs, output } = await writeSnapshot();
    const size = await errorOf(loadSnapshot(fs, { path, bytes: 5 }, context));
    expect(size.details).toMatchObject({ expected: 5, actual: output.bytes });
    const sha256 = 'ab'.repeat(32);
    const digest = await errorOf(loadSnapshot(fs, { path, sha256, verification: 'full' }, context));
    expect(digest.details).toMatchObject({ expected: sha256, actual: output.sha256 });
    const { faults } = await verifySnapshot(fs, { path, sha256, bytes: 5, level: 'full' }, context);
    expect(faults).toHaveLength(2);
  });
});

describe('reading and writing', () => {
  test('some slices: those, in the order asked for', async () => {
    const { fs, output } = await writeSnapshot();
    const loaded = await loadSnapshot(fs, { path, sliceIndexes: [3, 1] }, context);
    const texts = sliceTexts(output.slices);
    expect(sliceTexts(loaded.slices)).toEqual([texts[3], texts[1]]);
    expect(loaded.sliceCount).toBe(texts.length);
  });

  test('opening: one read of the trailer and one of the footer', async () => {
    const { fs } = await writeSnapshot();
    const handle = await fs.open(path, 'read');
    const offsets: number[] = [];
    const watched: FileHandle = {
      ...methodsOf(handle),
      read: (target, position) => {
        offsets.push(position);
        return handle.read(target, position);
      },
    };
    const reader = await SnapshotReader.open(watched, path);
    expect(offsets).toHaveLength(2);
    expect(Math.min(...offsets)).toBeGreaterThan(reader.slice(reader.sliceCount - 1).offset);
  });

  test('a large snapshot: synced every 8 MiB and at the end, after everything is written', async () => {
    const fs = new MemoryFileSystem();
    await fs.makeDirectory('/d');
    const log: (number | 'sync')[] = [];
    const watching = Object.create(fs) as MemoryFileSystem;
    watching.open = async (name, mode) => {
      const handle = await fs.open(name, mode);
      if (mode !== 'create') return handle;
      return {
        ...methodsOf(handle),
        write: async (source, position) => {
          const bytes = ArrayBuffer.isView(source)
            ? source.length
            : source.reduce((sum, one) => sum + one.length, 0);
          log.push(bytes);
          await handle.write(source, position);
        },
        sync: async () => {
          log.push('sync');
          await handle.sync();
        },
      };
    };
    const changes = Array.from({ length: 30 }, (_, i) =>
      put(16, `k${i}`, '', { value: new Uint8Array(1 << 20) }),
    );
    const ranges = await writeLog(fs, '/d', [[{ timestamp: 1, changes }]]);
    const target = { stagedPath: path, storeId: new Uint8Array(16), timeline: 1, epoch: 1 };
    const options = {
      seed: { low: 1, high: 2 },
      groupBits: 2,
      rules: [],
      compression: { codec: 'none' },
    } as const;
    const output = await buildDelta(watching, { ...target, ...options, ranges }, context);
    let unsynced = 0;
    let most = 0;
    for (const step of log) {
      unsynced = step === 'sync' ? 0 : unsynced + step;
      most = Math.max(most, unsynced);
    }
    expect(log.at(-1)).toBe('sync');
    expect(most).toBeLessThan(10 << 20);
    expect(log.filter((step) => step === 'sync')).toHaveLength(4);
    const written = log.reduce<number>((sum, step) => sum + (step === 'sync' ? 0 : step), 0);
    expect(written).toBe(output.bytes);
  });
});

function methodsOf(handle: FileHandle): FileHandle {
  return {
    read: (target, position) => handle.read(target, position),
    readNow: (target, position) => handle.readNow(target, position),
    write: (source, position) => handle.write(source, position),
    writeThrough: (source, position) => handle.writeThrough(source, position),
    sync: () => handle.sync(),
    size: () => handle.size(),
    truncate: (bytes) => handle.truncate(bytes),
    close: () => handle.close(),
  };
}

async function firstBlockOf(
  fs: MemoryFileSystem,
  index: number,
): Promise<{ offset: number; table: number; crc: number; codec: number }> {
  const handle = await fs.open(path, 'read');
  const reader = await SnapshotReader.open(handle, path);
  const { offset, crc, codec } = (await reader.readBlockTable(index))[0]!;
  await handle.close();
  return { offset, crc, codec, table: reader.slice(index).table };
}

/** Writes slices into a second file, with checksums that fit whatever they hold. */
async function rewrite(fs: MemoryFileSystem, slices: readonly SliceDescriptor[]): Promise<void> {
  const { header, parents } = await loadSnapshot(fs, { path }, context);
  const handle = await fs.open('/again', 'create');
  const options = { path: '/again', header, parents, compression: { codec: 'none' } } as const;
  const writer = new SnapshotWriter(handle, options, new Turns(context));
  for (const slice of slices) await writer.writeSlice(slice);
  await writer.finish();
  await handle.close();
}
