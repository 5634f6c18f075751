import { describe, expect, test } from 'vitest';
import { decodeSegmentHeader } from '../../src/wal/segment-format.ts';
import { FaultyFileSystem, injected } from '../tools/faulty-file-system.ts';
import {
  codeOf,
  crashed,
  errorOf,
  gate,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  settle,
  worldOn,
} from './log-fixture.ts';

describe('space', () => {
  test('L10 the disk is full: NO_SPACE before sealing, and with space again the log goes on', async () => {
    const capacityBytes = 40_000;
    const world = worldOn(new FaultyFileSystem({ capacityBytes }));
    await world.fs.makeDirectory('/ballast');
    const log = await open(world);
    await settle();
    const free = world.fs.freeBytes('/');
    await world.fs.put('/ballast/file', new Uint8Array(free));
    let n = 0;
    let error;
    for (; error === undefined && n < 100;) {
      error = await log.append(record(n + 1)).then(
        () => void n++,
        (reason: unknown) => reason,
      );
    }
    expect(error).toMatchObject({ kind: 'unavailable', code: 'NO_SPACE' });
    expect((error as Error).message).toMatch(/4096 bytes needed \(segmentBytesMax\), \d+ free/);
    // What was ready is used up before anything is refused.
    expect(n).toBeGreaterThan(10);
    expect(log.stats()).toMatchObject({ sealedLsn: n, durableLsn: n });
    expect(await codeOf(log.append(record(n + 1)))).toBe('NO_SPACE');
    await settle();
    await world.fs.remove('/ballast/file');
    // The first attempt starts the filling that failed; one after it finds the segment.
    await log.append(record(n + 1)).catch(() => {});
    await settle();
    while (log.tail < n + 3) expect(await log.append(record(log.tail + 1))).toBe(log.tail);
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, again.tail));
    expect(again.tail).toBe(n + 3);
    await again.close();
  });

  test('L10 filling fails for another reason: IO before sealing, then the log goes on', async () => {
    const world = worldOn();
    const log = await open(world);
    await settle();
    // Zeros, not the header of a rotation.
    world.fs.before = ({ call, path, bytes }) => {
      if (call === 'write' && path.endsWith('.new') && bytes === 4096) throw injected('EIO');
    };
    let code = '';
    while (code === '') {
      code = await log.append(record(log.tail + 1)).then(
        () => '',
        (error: { code: string }) => error.code,
      );
    }
    expect(code).toBe('IO');
    const { tail } = log;
    expect(log.stats().sealedLsn).toBe(tail);
    await settle();
    world.fs.before = () => {};
    await log.append(record(tail + 1)).catch(() => {});
    await settle();
    while (log.tail < tail + 2) await log.append(record(log.tail + 1));
    expect(await readAll(log)).toEqual(recordsOf(1, tail + 2));
    await log.close();
  });

  test('L10 past twice the bound: OVERLOADED without an LSN, and what was taken goes on', async () => {
    const world = worldOn();
    const log = await open(world, { undurableBytesMax: 1024 });
    await settle();
    const held = gate();
    world.fs.before = ({ call, path }) =>
      call === 'sync' && path.endsWith('.wal') ? held.passed : undefined;
    const taken = [log.append(record(1)), log.append(record(2)), log.append(record(3))];
    const { sealedLsn, undurableBytes } = log.stats();
    expect([sealedLsn, undurableBytes]).toEqual([3, 3 * 508]);
    const error = await errorOf(log.append(record(4, 1000)));
    expect(error).toMatchObject({ kind: 'unavailable', code: 'OVERLOADED' });
    expect(log.stats()).toMatchObject({ sealedLsn: 3, waitingFor: 'sync' });
    held.open();
    expect(await Promise.all(taken)).toEqual([1, 2, 3]);
    expect(await log.append(record(4))).toBe(4);
    await log.close();
  });

  test('L10 level memory, the bound is passed: OVERLOADED makes the sync that makes room', async () => {
    const world = worldOn();
    const log = await open(world, { durability: 'memory', undurableBytesMax: 4096 });
    await settle();
    expect(await log.append(record(1))).toBe(1);
    await settle();
    // Nothing is under way: no one would sync the first before the log is idle for a second.
    expect(log.tail).toBe(0);
    const large = record(2, 8000);
    expect(await codeOf(log.append(large))).toBe('OVERLOADED');
    await settle();
    expect(log.tail).toBe(1);
    expect(await log.append(large)).toBe(2);
    await log.close();
  });

  test('L10 a frame larger than a segment: a segment of its own that grows, there after opening again', async () => {
    const world = worldOn();
    const log = await open(world);
    await log.append(record(1));
    expect(await log.append(record(2, 20_000))).toBe(2);
    await settle();
    const large = (await segmentPaths(world.fs)).at(-1)!;
    const header = decodeSegmentHeader(await world.fs.read(large), large);
    expect([header.size, header.firstLsn]).toEqual([0, 2]);
    const crash = await open(await crashed(world, 'dropped'));
    expect(await readAll(crash)).toEqual(recordsOf(1, 2));
    await crash.close();
    // The first second was begun before the second record.
    for (let second = 0; second < 2; second++) {
      world.clock.advance(1000);
      await settle();
    }
    expect(log.stats().marks).toBe(1);
    expect(await log.append(record(3))).toBe(3);
    expect(await readAll(log)).toEqual(recordsOf(1, 3));
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, 3));
    await again.close();
  });

  test('L10 a frame larger than a segment is torn: cut, and the records before it are there', async () => {
    const world = worldOn();
    const log = await open(world);
    await log.append(record(1));
    world.fs.before = async ({ call, bytes = 0 }) => {
      if (call === 'write' && bytes > 20_000) throw injected('ENOSPC');
    };
    expect(await codeOf(log.append(record(2, 20_000)))).toBe('OUTCOME_UNKNOWN');
    await log.close();
    const again = await open(await crashed(world, 'kept'));
    expect(await readAll(again)).toEqual(recordsOf(1, 1));
    expect(await again.append(record(2))).toBe(2);
    await again.close();
  });

  test('L10 a frame larger than the free space: NO_SPACE before sealing, less what others reserved', async () => {
    const world = worldOn(new FaultyFileSystem({ capacityBytes: 230_000 }));
    const log = await open(world, { undurableBytesMax: 60_000 });
    await settle();
    const free = world.fs.freeBytes('/');
    expect(free).toBeGreaterThan(60_000);
    expect(free).toBeLessThan(100_000);
    expect(await codeOf(log.append(record(1, free)))).toBe('NO_SPACE');
    const held = gate();
    world.fs.before = ({ call }) => (call === 'write' ? held.passed : undefined);
    const first = log.append(record(1, 50_000));
    const error = await errorOf(log.append(record(2, 50_000)));
    expect(error.code).toBe('NO_SPACE');
    expect(error.details['free']).toBeLessThan(free - 50_000);
    expect(log.stats().sealedLsn).toBe(1);
    held.open();
    expect(await first).toBe(1);
    await log.close();
  });

  test('a record or batch too large, empty, or of another type: refused, no LSN is used', async () => {
    const world = worldOn();
    const log = await open(world, { recordBytesMax: 1000, commitBytesMax: 2000 });
    const tooLarge = await errorOf(log.append(record(1, 1001)));
    expect(tooLarge).toMatchObject({
      code: 'RECORD_TOO_LARGE',
      details: { bytes: 1001, bytesMax: 1000 },
    });
    const batch = [record(1, 1000), record(2, 1000)];
    const commit = await errorOf(log.appendBatch(batch));
    expect(commit).toMatchObject({
      code: 'COMMIT_TOO_LARGE',
      details: { bytes: 2012, bytesMax: 2000 },
    });
    expect(await codeOf(log.appendBatch([]))).toBe('INVALID_VALUE');
    expect(await codeOf(log.append('text' as unknown as Uint8Array))).toBe('INVALID_VALUE');
    expect(await codeOf(log.appendBatch('text' as unknown as Uint8Array[]))).toBe('INVALID_VALUE');
    const level = { durability: 'tape' as 'disk' };
    expect(await codeOf(log.append(record(1), level))).toBe('INVALID_OPTION');
    expect(log.stats().sealedLsn).toBe(0);
    expect(await log.append(record(1, 1000))).toBe(1);
    await log.close();
  });
});
