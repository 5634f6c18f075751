/*
 * Snapshot files: header, trailer, footer, block tables, slices as full verification checks them, and
 * lookups in a file whose checksums are all mended behind the mutation.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { hashBytes } from '../../src/codec/hash.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { BlockCache } from '../../src/snapshot/block-cache.ts';
import { decodeBlockPlaces, type BlockPlace } from '../../src/snapshot/block-places.ts';
import { ColdFile } from '../../src/snapshot/cold-file.ts';
import { Entry } from '../../src/snapshot/entry.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { Image, setProbe } from '../../src/snapshot/image.ts';
import { mergeRange } from '../../src/snapshot/merge-tasks.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { SliceBuilder } from '../../src/snapshot/slice-builder.ts';
import { findSliceFault } from '../../src/snapshot/slice-check.ts';
import { Slice, sliceLayout, type SliceDescriptor } from '../../src/snapshot/slice.ts';
import {
  decodeSnapshotFooter,
  encodeSnapshotFooter,
  sliceEnd,
  type SnapshotFooter,
} from '../../src/snapshot/snapshot-footer.ts';
import {
  blockTableEntryBytes,
  decodeSnapshotHeader,
  decodeSnapshotTrailer,
  encodeBlockTable,
  encodeSnapshotHeader,
  encodeSnapshotTrailer,
  snapshotHeaderBytes,
  snapshotTrailerBytes,
} from '../../src/snapshot/snapshot-format.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { Turns, type TaskContext } from '../../src/snapshot/task-context.ts';
import { buildDelta, loadSnapshot } from '../../src/snapshot/tasks.ts';
import { writeU32 } from '../../src/std/bytes.ts';
import {
  int64,
  put,
  readFile,
  toBytes,
  writeFile,
  writeLog,
  type Change,
} from '../snapshot/log-builder.ts';
import { fuzz, outcomeOf, outcomeOfTask, withinMemory } from './fuzz.ts';

const context: TaskContext = { yieldNow: async () => {}, cancelled: () => false };
const path = '/d/snapshot';
const seed = { low: 1, high: 2 };
const groupBits = 2;
const changes: Change[] = [
  ...Array.from({ length: 40 }, (_, i) => put(16, `key ${i}`, 'v'.repeat(i * 3))),
  put(16, 'times', 'value', { expiry: 5000, eventTime: 60 }),
  ...Array.from({ length: 10 }, (_, i) => put(18, 'map', `${i}`, { subKey: `sub ${i}` })),
  { table: 16, op: ops.delete, key: 'deleted' },
  { table: 17, op: ops.merge, operator: operatorIds.add, key: 'n', value: int64(-5) },
  { table: 18, op: ops.clearKey, key: 'map' },
  { table: 18, op: ops.clearTable, key: '' },
];

let fs: MemoryFileSystem;
/** Stored raw, so that its blocks can be changed. */
let file: Uint8Array;
let footer: SnapshotFooter;
let blocks: BlockPlace[][];
let slices: readonly SliceDescriptor[];

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
      epoch: 3,
      compression: { codec: 'none' },
      sliceBytesMax: 2000,
      parents: ['c0'.repeat(32)],
    },
    context,
  );
  file = await readFile(fs, path);
  const handle = await fs.open(path, 'read');
  const reader = await SnapshotReader.open(handle, path);
  footer = reader.footer;
  blocks = await Promise.all(footer.slices.map((_, i) => reader.readBlockTable(i)));
  await handle.close();
  ({ slices } = await loadSnapshot(fs, { path, verification: 'full' }, context));
});

/** Mends the checksum of a header at the front of some bytes. */
function sealHeader(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= snapshotHeaderBytes) writeU32(bytes, 124, checksum(bytes, 0, 124));
  return bytes;
}

describe('headers, trailers and tables', () => {
  test('a header, mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    const header = { ...footer.header, kind: 'base', fromLsn: 0 } as const;
    await fuzz({
      samples: [footer.header, header].map(encodeSnapshotHeader),
      runs: 1500,
      seal: sealHeader,
      decode: (bytes) => {
        const outcome = outcomeOf(() => decodeSnapshotHeader(bytes, { path, offset: 0 }));
        if (!outcome) return false;
        const again = encodeSnapshotHeader(outcome.value);
        expect(Buffer.compare(again, bytes.subarray(0, snapshotHeaderBytes))).toBe(0);
        return true;
      },
    });
  });

  test('a trailer, mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    const trailer = { footerBytes: 500, footerCrc: 7, fileBytes: 70_000 };
    await fuzz({
      samples: [encodeSnapshotTrailer(trailer)],
      runs: 1000,
      seal: (bytes) => {
        if (bytes.length >= 28) writeU32(bytes, 24, checksum(bytes, 0, 24));
        return bytes;
      },
      decode: (bytes) => {
        const outcome = outcomeOf(() => decodeSnapshotTrailer(bytes, 70_000, path));
        if (outcome) expect(Buffer.compare(encodeSnapshotTrailer(outcome.value), bytes)).toBe(0);
        return outcome !== undefined;
      },
    });
  });

  test('a footer, mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    const names = { ...footer, ownCodecs: ['own', 'other-1.2'], parents: [] };
    const offset = sliceEnd(footer.slices.at(-1)!);
    await fuzz({
      samples: [footer, names].map(encodeSnapshotFooter),
      runs: 2000,
      seal: sealHeader,
      decode: async (bytes) => {
        const outcome = await withinMemory(4000 + 10 * bytes.length, () =>
          outcomeOf(() => decodeSnapshotFooter(bytes, { path, offset })),
        );
        if (outcome) expect(Buffer.compare(encodeSnapshotFooter(outcome.value), bytes)).toBe(0);
        return outcome !== undefined;
      },
    });
  });

  test('a block table, mutated, checksum mended: encoded again to the same bytes, or damage', async () => {
    const slice = footer.slices[0]!;
    const records = blocks[0]!;
    const packed = records.map((block) => ({ ...block, codec: 1, storedBytes: 5 }));
    await fuzz({
      samples: [records, packed].map(encodeBlockTable),
      runs: 1500,
      decode: (bytes) => {
        const counts = [slice.storedBytes, 5 * records.length];
        const taken = counts.map((storedBytes) => {
          const sealed = { ...slice, storedBytes, tableCrc: checksum(bytes) };
          const outcome = outcomeOf(() => decodeBlockPlaces(bytes, sealed, path));
          if (outcome) expect(Buffer.compare(encodeBlockTable(outcome.value), bytes)).toBe(0);
          return outcome !== undefined;
        });
        return taken.includes(true);
      },
    });
  });
});

describe('slices', () => {
  test('mutated: what full verification takes is what is built of its entries', async () => {
    const samples = slices.map(bytesOf);
    const turns = new Turns(context);
    for (const [i, descriptor] of slices.entries()) {
      await fuzz({
        samples: [samples[i]!],
        runs: Math.ceil(1600 / slices.length),
        seal: (bytes) => sized(bytes, samples[i]!.length),
        decode: async (bytes) => {
          const buffer = new SharedArrayBuffer(bytes.length);
          new Uint8Array(buffer).set(bytes);
          const changed = { ...descriptor, buffer };
          const fault = await findSliceFault(changed, seed, turns);
          if (fault !== undefined) return false;
          expect(Buffer.compare(rebuilt(changed), bytesOf(changed))).toBe(0);
          return true;
        },
      });
    }
  });

  test('a file, mutated, checksums mended: loaded and checked, or damage', async () => {
    await fuzz({
      samples: [file],
      runs: 400,
      seal: (bytes) => sealFile(sized(bytes, file.length)),
      decode: async (bytes) => {
        await writeFile(fs, '/d/changed', bytes);
        const input = { path: '/d/changed', verification: 'full' } as const;
        const outcome = await outcomeOfTask(() =>
          withinMemory(1_500_000, () => loadSnapshot(fs, input, context)),
        );
        return outcome !== undefined;
      },
    });
  });

  test('in memory, mutated and not checked: merged, or damage', async () => {
    const samples = slices.map(bytesOf);
    const options = { lastTimestamp: 100, groupBits, rules: [] };
    const range = { from: { table: 0, hash: 0 }, to: { table: 1000, hash: 0 } };
    for (const [i, descriptor] of slices.entries()) {
      await fuzz({
        samples: [samples[i]!],
        runs: Math.ceil(900 / slices.length),
        seal: (bytes) => sized(bytes, samples[i]!.length),
        decode: async (bytes) => {
          const buffer = new SharedArrayBuffer(bytes.length);
          new Uint8Array(buffer).set(bytes);
          const inputs = [slices.with(i, { ...descriptor, buffer })];
          const compression = { codec: 'none' };
          const input = { ...options, inputs, range, compression, base: false, keepSlices: true };
          const outcome = await outcomeOfTask(() =>
            withinMemory(2_000_000, () => mergeRange(fs, input, context)),
          );
          return outcome !== undefined;
        },
      });
    }
  });

  test('a file, mutated, checksums mended: looked into where it is, or damage', async () => {
    await fuzz({
      samples: [file],
      runs: 300,
      seal: (bytes) => sealFile(sized(bytes, file.length)),
      decode: async (bytes) => {
        await writeFile(fs, '/d/changed', bytes);
        const handle = await fs.open('/d/changed', 'read');
        try {
          const opened = await outcomeOfTask(() => SnapshotReader.open(handle, '/d/changed'));
          if (!opened) return false;
          const image = coldImage(handle, opened.value.footer);
          const found = changes.map(
            (change) => outcomeOf(() => lookUp(image, change)) !== undefined,
          );
          const walked = outcomeOf(() => {
            const cursor = image.cursor();
            let count = 0;
            while (cursor.next()) count++;
            expect(count).toBe(image.entryCount);
          });
          return found.every(Boolean) && walked !== undefined;
        } finally {
          await handle.close();
        }
      },
    });
  });
});

/** Bytes that a slice takes, without what its slab has to spare; what pads entries counts as zeros. */
function bytesOf(descriptor: SliceDescriptor): Uint8Array {
  const { dataBytes, entryCount, bucketCount, buffer } = descriptor;
  const { hashesAt, totalBytes } = sliceLayout(dataBytes, entryCount, bucketCount);
  return new Uint8Array(buffer, 0, totalBytes).slice().fill(0, dataBytes, hashesAt);
}

function rebuilt(descriptor: SliceDescriptor): Uint8Array {
  const slice = new Slice(descriptor);
  const builder = new SliceBuilder(new SlabPool(0), 1_000_000, 0);
  const entry = new Entry();
  for (let i = 0; i < descriptor.entryCount; i++) {
    slice.read(i, entry);
    builder.append(entry);
  }
  return bytesOf(builder.finish()!);
}

/** As many bytes as asked for: cut, or filled with zeros. */
function sized(bytes: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  return result;
}

/** Mends every checksum of a file whose blocks stand where they stood. */
function sealFile(bytes: Uint8Array): Uint8Array {
  const footerAt = sliceEnd(footer.slices.at(-1)!);
  footer.slices.forEach((slice, i) => {
    const tableAt = slice.offset + slice.storedBytes;
    blocks[i]!.forEach(({ offset, storedBytes }, j) => {
      const crc = checksum(bytes, offset, offset + storedBytes);
      writeU32(bytes, tableAt + j * blockTableEntryBytes + 4, crc);
    });
    writeU32(bytes, footerAt + 152 + i * 56 + 48, checksum(bytes, tableAt, sliceEnd(slice)));
  });
  sealHeader(bytes);
  sealHeader(bytes.subarray(footerAt));
  const trailerAt = bytes.length - snapshotTrailerBytes;
  writeU32(bytes, trailerAt + 4, checksum(bytes, footerAt, trailerAt));
  writeU32(bytes, trailerAt + 24, checksum(bytes, trailerAt, trailerAt + 24));
  return bytes;
}

function coldImage(handle: Parameters<typeof SnapshotReader.open>[0], of: SnapshotFooter): Image {
  const watcher = { used: () => {}, failed: () => {}, closed: () => {} };
  const cache = new BlockCache(64 * 65_536);
  const cold = new ColdFile({ handle, path, footer: of, cache, checks: true, watcher });
  return new Image([], { slabs: new SlabPool(0), groupBits }, cold);
}

function lookUp(image: Image, { table, key, subKey }: Change): void {
  const bytes = Buffer.concat([toBytes(key), toBytes(subKey ?? '')]);
  const end = toBytes(key).length;
  const probe = new Entry();
  const subKeyEnd = subKey === undefined ? undefined : bytes.length;
  setProbe(probe, table, hashBytes(bytes, 0, end, seed), { bytes, start: 0, end, subKeyEnd });
  const fold = new PointFold();
  fold.reset();
  image.collect(probe, fold);
  image.find(probe, new Entry());
  image.clearLsn(probe);
  const cursor = image.keyCursor(probe);
  while (cursor.next());
}
