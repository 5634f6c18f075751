/*
 * Compressed groups: the log holds the same records, the same chain value, in fewer bytes.
 */
import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/codec/checksum.ts';
import { builtInCodecs, loadCodec } from '../../src/codec/compression.ts';
import { registerCodecs } from '../../src/codec/compression-modules.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { writeU32 } from '../../src/std/bytes.ts';
import { chainStart, formatChain, mixFrame } from '../../src/wal/chain-value.ts';
import { readGroupBody } from '../../src/wal/group-body.ts';
import { GroupCompressor, resolveLogCompression } from '../../src/wal/group-compression.ts';
import {
  compressedFrameBytesMost,
  encodeGroupHeader,
  decodeGroupHeader,
  groupBytes,
  groupHeaderBytes,
  groupKinds,
  type GroupHeader,
} from '../../src/wal/group-format.ts';
import type { OpenLogOptions } from '../../src/wal/log.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { GroupScanner, scanSegment, type SegmentScan } from '../../src/wal/segment-scan.ts';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  codeOf,
  crashed,
  errorOf,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  settle,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

const codecs = builtInCodecs.filter((name) => name !== 'none');
const packed: Partial<OpenLogOptions> = { logCompression: { codec: 'lz4', bytesMin: 64 } };

async function scanned(world: World, path: string): Promise<SegmentScan & { codecs: number[] }> {
  const bytes = await world.fs.read(path);
  const { salt, firstLsn, chain } = decodeSegmentHeader(bytes, path);
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  const scan = scanSegment(bytes.subarray(segmentHeaderBytes), segmentHeaderBytes, salt, from, 0);
  const scanner = new GroupScanner(bytes, 0, salt, from);
  const found: number[] = [];
  for (let group = scanner.next(); group; group = scanner.next()) {
    if (group.kind === groupKinds.frames) found.push(group.codec);
  }
  return { ...scan, codecs: found };
}

describe('logCompression', () => {
  test.each(codecs)('%s: every record comes back, out of fewer bytes', async (codec) => {
    const plain = worldOn();
    const world = worldOn();
    const sizes: number[] = [];
    for (const [on, options] of [
      [plain, {}],
      [world, { logCompression: { codec, bytesMin: 64 } }],
    ] as const) {
      let log = await open(on, options);
      await appendMany(log, 1, 40);
      expect(await readAll(log)).toEqual(recordsOf(1, 40));
      const { savedBytes, bytes } = log.stats();
      expect(savedBytes > 10_000).toBe(on === world);
      sizes.push(bytes);
      await log.close();
      // The setting is the writer's: a reader needs none.
      log = await open(on);
      expect(await readAll(log)).toEqual(recordsOf(1, 40));
      await log.close();
    }
    expect(sizes[1]).toBeLessThan(sizes[0]! / 2);
    const paths = await segmentPaths(world.fs);
    const id = builtInCodecs.indexOf(codec);
    expect((await scanned(world, paths[0]!)).codecs).toContain(id);
  });

  test('a segment that is sealed: cut behind its mark, and its groups stand side by side', async () => {
    const world = worldOn();
    const log = await open(world, packed);
    await appendMany(log, 1, 40);
    const paths = await segmentPaths(world.fs);
    expect(paths.length).toBeGreaterThan(4);
    for (const path of paths.slice(0, -1)) {
      const bytes = await world.fs.read(path);
      const scan = await scanned(world, path);
      expect(scan).toMatchObject({ sealed: true, damage: undefined });
      expect(bytes.length).toBe(scan.end.offset);
      expect(bytes.length).toBeLessThan(2048);
    }
    await log.close();
  });

  test('the name alone: groups from 1 KiB on; bytesMin: from there on', async () => {
    for (const [logCompression, due] of [
      ['lz4', [0, 1]],
      [{ codec: 'lz4', bytesMin: 3000 }, [0, 0]],
      [{ codec: 'lz4', bytesMin: 0 }, [1, 1]],
      ['none', [0, 0]],
    ] as const) {
      const world = worldOn();
      const log = await open(world, { logCompression, segmentBytesMax: 65_536 });
      await log.append(record(1, 900));
      await log.append(record(2, 1100));
      const [path] = await segmentPaths(world.fs);
      expect((await scanned(world, path!)).codecs).toEqual(due);
      await log.close();
    }
  });

  test('many frames at once: groups of at most 64 KiB, written a turn at a time', async () => {
    const writesOf = async (options: Partial<OpenLogOptions>): Promise<number[]> => {
      const world = worldOn();
      const large = { segmentBytesMax: 4 * 1024 * 1024, ...options };
      const log = await open(world, large);
      await settle();
      const start = world.fs.calls.length;
      const appends = Array.from({ length: 1000 }, (_, i) => log.append(record(i + 1, 1000)));
      await Promise.all(appends);
      const writes = world.fs.calls
        .slice(start)
        .filter(({ call, path }) => call === 'write' && path.endsWith('.wal'));
      expect(await readAll(log)).toEqual(recordsOf(1, 1000));
      const { groups } = log.stats();
      await log.close();
      return [writes.length, groups];
    };
    expect(await writesOf({})).toEqual([1, 1]);
    const [writes, groups] = await writesOf(packed);
    expect(groups).toBe(Math.ceil(1000 / Math.floor(65_536 / 1008)));
    // Four groups are not a turn, five are.
    expect(writes).toBe(Math.ceil(groups! / 5));
  });

  test('the level: reaches the codec', () => {
    const text = Buffer.from(
      Array.from({ length: 20_000 }, (_, i) => `${i * i} `)
        .join('')
        .slice(0, 60_000),
    );
    const size = (level: number): number =>
      new GroupCompressor({ codec: 'gzip', level }).compress(text)!.length;
    expect(size(9)).toBeLessThan(size(1));
  });

  test('it does not pay, or the group is too large: raw', () => {
    const compressor = new GroupCompressor({ codec: 'lz4' });
    const noise = new Uint8Array(5000);
    new SeededRandom(1).fill(noise);
    expect(compressor.compress(noise)).toBeUndefined();
    // Seven eighths of noise: not an eighth is saved.
    expect(compressor.compress(Buffer.concat([noise, new Uint8Array(600)]))).toBeUndefined();
    expect(compressor.compress(Buffer.concat([noise, new Uint8Array(1200)]))).toBeDefined();
    expect(compressor.compress(new Uint8Array(compressedFrameBytesMost))).toBeDefined();
    expect(compressor.compress(new Uint8Array(compressedFrameBytesMost + 1))).toBeUndefined();
  });

  test.each([
    ['logCompression', 'zip'],
    ['logCompression', 5],
    ['logCompression.codec', { codec: 'zip' }],
    ['logCompression.level', { codec: 'lz4', level: 2 }],
    ['logCompression.level', { codec: 'gzip', level: 10 }],
    ['logCompression.bytesMin', { codec: 'lz4', bytesMin: -1 }],
    ['logCompression.size', { codec: 'lz4', size: 1 }],
  ])('%s is %j: INVALID_OPTION names it, nothing is made', async (option, logCompression) => {
    const world = worldOn();
    const error = await errorOf(open(world, { logCompression } as object));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
    expect(world.fs.calls).toEqual([]);
  });

  test('a codec of the user: INVALID_OPTION, since groups name codecs by number', async () => {
    const module = new URL('../codec/modules/reversing.mjs', import.meta.url);
    await registerCodecs([{ name: 'own-of-log', module }]);
    const error = await errorOf(open(worldOn(), { logCompression: 'own-of-log' }));
    expect(error).toMatchObject({
      code: 'INVALID_OPTION',
      details: { option: 'logCompression.codec' },
    });
  });

  test('none, or nothing: off', () => {
    expect(resolveLogCompression(undefined)).toBeUndefined();
    expect(resolveLogCompression('none')).toBeUndefined();
    expect(resolveLogCompression({ codec: 'none' })).toBeUndefined();
  });
});

describe('the same records, compressed and not', () => {
  async function chainOf(world: World): Promise<{ lsn: number; chain: string }> {
    const { end } = await scanned(world, (await segmentPaths(world.fs)).at(-1)!);
    return { lsn: end.lsn, chain: formatChain(end.chain) };
  }

  test('any batches, reopenings and crashes: the same records and the same chain value', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 1, maxLength: 5 }),
      },
      { weight: 1, arbitrary: fc.constant('reopen' as const) },
      { weight: 1, arbitrary: fc.constant('crash' as const) },
    );
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.constantFrom(...codecs),
      async (steps, codec) => {
        const results = [];
        for (const options of [{}, { logCompression: { codec, bytesMin: 100 } }]) {
          let world = worldOn();
          let log = await open(world, options);
          let n = 0;
          for (const action of steps) {
            if (typeof action === 'object') {
              await log.appendBatch(action.map((bytes) => record(++n, bytes)));
              continue;
            }
            if (action === 'reopen') await log.close();
            else world = await crashed(world, 'kept');
            log = await open(world, options);
          }
          const records = await readAll(log);
          await log.close();
          const { faults } = await verifyStoreWith({ dir: '/log' }, world);
          results.push({ records, faults, end: await chainOf(world) });
        }
        expect(results[1]).toEqual(results[0]);
        expect(results[0]!.faults).toEqual([]);
      },
    );
    await fc.assert(property, { seed: 20261121, numRuns: 40 });
  });

  test('power is lost before any call: every acknowledged record is there', async () => {
    for (const seed of [1, 2, 3]) {
      const world = worldOn();
      const log = await open(world, packed);
      let checked = 0;
      let acknowledged = 0;
      world.fs.before = async () => {
        if (checked++ % 4 !== 0) return;
        const durable = acknowledged;
        const after = await crashed(world, new SeededRandom(seed * 1000 + checked));
        const again = await open(after, packed);
        expect(again.tail).toBeGreaterThanOrEqual(durable);
        expect(await readAll(again)).toEqual(recordsOf(1, again.tail));
        await again.close();
      };
      for (let n = 1; n <= 30; n++) acknowledged = await log.append(record(n));
      world.fs.before = () => {};
      expect(checked).toBeGreaterThan(100);
      await log.close();
    }
  });

  test('L10 the disk is full: refused before sealing where uncompressed frames would be', async () => {
    const counts = [];
    for (const options of [{}, packed]) {
      const world = worldOn(new FaultyFileSystem({ capacityBytes: 40_000 }));
      await world.fs.makeDirectory('/ballast');
      const log = await open(world, options);
      await settle();
      await world.fs.put('/ballast/file', new Uint8Array(world.fs.freeBytes('/')));
      let n = 0;
      let error: unknown;
      while (error === undefined && n < 100) {
        error = await log.append(record(n + 1)).then(
          () => void n++,
          (reason: unknown) => reason,
        );
      }
      expect(error).toMatchObject({ code: 'NO_SPACE' });
      expect(log.stats().sealedLsn).toBe(n);
      counts.push(n);
      await log.close();
      const again = await open(await crashed(world, 'kept').then(({ fs }) => worldOn(fs)));
      expect(await readAll(again)).toEqual(recordsOf(1, n));
    }
    // What compression saves is not promised to anybody: it may make room, never take it.
    expect(counts[1]).toBeGreaterThanOrEqual(counts[0]!);
  });
});

describe('a compressed group', () => {
  const salt = new Uint8Array(8).fill(3);
  const place = 128;
  const frame = new Uint8Array(508).fill(7);
  writeU32(frame, 0, 1);
  writeU32(frame, 4, 500);
  const body = loadCodec('lz4').compress(frame);

  function bytesOf(change: Partial<GroupHeader> = {}, stored = body): Uint8Array {
    const bytes = new Uint8Array(groupBytes(stored.length));
    bytes.set(stored, groupHeaderBytes);
    const header: GroupHeader = {
      kind: groupKinds.frames,
      codec: 1,
      bodyBytes: stored.length,
      frameBytes: frame.length,
      frameCount: 1,
      recordCount: 1,
      firstLsn: 1,
      durableLsn: 0,
      chain: { crc: checksum(frame), mix: mixFrame(0, 1, frame.length) },
      bodyCrc: checksum(stored),
      ...change,
    };
    encodeGroupHeader(bytes, 0, header, salt, place);
    return bytes;
  }

  function read(bytes: Uint8Array): ReturnType<typeof readGroupBody> {
    const header = decodeGroupHeader(bytes, 0, salt, place);
    if (typeof header === 'string') throw new Error(header);
    return readGroupBody(bytes, groupHeaderBytes, header, chainStart);
  }

  test('its frames: as they were', () => {
    expect(read(bytesOf())).toEqual({ bytes: frame, start: 0, end: frame.length });
  });

  test.each([
    ['does not decompress', bytesOf({ frameBytes: frame.length + 1 })],
    [
      'does not decompress',
      bytesOf(
        {},
        body.map((byte) => byte ^ 0xff),
      ),
    ],
    ['does not decompress', bytesOf({ codec: 2 })],
    ['does not decompress', bytesOf({ codec: 3 })],
    ['fails its checksum', bytesOf({ bodyCrc: 1 })],
    ['wrong counts', bytesOf({ frameCount: 2 })],
    ['chain value', bytesOf({ chain: { crc: 1, mix: 0 } })],
  ])('it %s: refused', (why, bytes) => {
    expect(read(bytes)).toContain(why);
  });

  test('of a codec that is not known: UNSUPPORTED_FORMAT', () => {
    let error: unknown;
    try {
      read(bytesOf({ codec: 99 }));
    } catch (reason) {
      error = reason;
    }
    expect(error).toMatchObject({ code: 'UNSUPPORTED_FORMAT', details: { codec: 99, lsn: 1 } });
  });

  test('any byte of a proved one is flipped: CORRUPT_FRAME, and verify finds it', async () => {
    const world = worldOn();
    const log = await open(world, { ...packed, segmentBytesMax: 65_536 });
    await appendMany(log, 1, 4);
    await log.close();
    const [path] = await segmentPaths(world.fs);
    const whole = await world.fs.read(path!);
    const { end } = await scanned(world, path!);
    // The groups of frames; behind them is the mark that proves them.
    for (let at = 128 + 64; at < end.offset - 64; at += 7) {
      const bytes = whole.slice();
      bytes[at]! ^= 0x10;
      await world.fs.put(path!, bytes);
      expect(await codeOf(open(world))).toBe('CORRUPT_FRAME');
      const { faults } = await verifyStoreWith({ dir: '/log' }, world);
      expect(faults).toMatchObject([{ path }]);
    }
  });

  test('a segment has one of a codec that is not known: refused, shown by verify and inspect, nothing changed', async () => {
    const world = worldOn();
    const log = await open(world, { ...packed, segmentBytesMax: 65_536 });
    await appendMany(log, 1, 4);
    await log.close();
    const [path] = await segmentPaths(world.fs);
    const bytes = await world.fs.read(path!);
    const { salt: ownSalt } = decodeSegmentHeader(bytes, path!);
    const at = 128 + 64;
    const header = decodeGroupHeader(bytes, at, ownSalt, at);
    if (typeof header === 'string') throw new Error(header);
    encodeGroupHeader(bytes, at, { ...header, codec: 77 }, ownSalt, at);
    await world.fs.put(path!, bytes);
    const before = await world.fs.contents();
    expect(await codeOf(open(world))).toBe('UNSUPPORTED_FORMAT');
    const { faults } = await verifyStoreWith({ dir: '/log' }, world);
    expect(faults).toMatchObject([{ path, what: expect.stringContaining('codec 77') }]);
    const found = await inspectStoreWith({ dir: '/log' }, world);
    expect(found.faults).toMatchObject([{ code: 'UNSUPPORTED_FORMAT' }]);
    expect(await world.fs.contents()).toEqual(before);
  });

  test('a golden segment of them: read as ever', async () => {
    const golden = await readFile(new URL('../golden/segment-lz4-v1.bin', import.meta.url));
    const world = worldOn();
    await world.fs.makeDirectory(walDirectory);
    const path = `${walDirectory}/0000000001-00000001.wal`;
    await world.fs.put(path, golden);
    const scan = await scanned(world, path);
    expect(scan).toMatchObject({ sealed: true, proved: 6, recordCount: 6, damage: undefined });
    expect(scan.codecs).toEqual([1, 1, 1, 1, 1, 1]);
    expect(scan.end).toMatchObject({ offset: golden.length, lsn: 6 });
    expect(formatChain(scan.end.chain)).toBe('d6dc5223883c9a8b');
  });
});
