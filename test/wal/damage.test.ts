import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';
import { groupHeaderBytes } from '../../src/wal/group-format.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { scanSegment } from '../../src/wal/segment-scan.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import {
  appendMany,
  bytesOf,
  crashed,
  errorOf,
  nameOf,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

/** A closed log of small records, in one segment. */
async function closedLog(records: number): Promise<World> {
  const world = worldOn();
  const log = await open(world);
  for (let n = 1; n <= records; n++) await log.append(bytesOf(`r${n}`));
  await log.close();
  return world;
}

async function newestPath(fs: FaultyFileSystem): Promise<string> {
  return (await segmentPaths(fs)).at(-1)!;
}

/** Where each group of a segment starts, and where the last one ends. */
async function bordersOf(fs: FaultyFileSystem, path: string): Promise<number[]> {
  const bytes = await fs.read(path);
  const { salt, firstLsn, chain } = decodeSegmentHeader(bytes, path);
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  const content = bytes.subarray(segmentHeaderBytes);
  const starts: number[] = [];
  for (let at = segmentHeaderBytes; ;) {
    starts.push(at);
    const until = content.subarray(0, at - segmentHeaderBytes + groupHeaderBytes);
    const length = Buffer.from(until.buffer, until.byteOffset + at - segmentHeaderBytes, 64);
    if (length.readUInt32LE(0) === 0) break;
    at += Math.ceil((groupHeaderBytes + length.readUInt32LE(8)) / 8) * 8;
  }
  const scan = scanSegment(content, segmentHeaderBytes, salt, from, 0);
  expect(scan.end.offset).toBe(starts.at(-1));
  return starts;
}

async function flip(fs: FaultyFileSystem, path: string, offset: number): Promise<void> {
  const bytes = await fs.read(path);
  bytes[offset]! ^= 0x10;
  await fs.put(path, bytes);
}

/** Every file, as `path sha256`. */
async function digests(fs: FaultyFileSystem): Promise<string[]> {
  const contents = [...(await fs.contents())];
  return contents.map(
    ([path, bytes]) => `${path} ${createHash('sha256').update(bytes).digest('hex')}`,
  );
}

/** Opening is refused, and not a byte in the directory is another afterwards. */
async function refused(world: World): Promise<{ code: string; details: Record<string, unknown> }> {
  const before = await digests(world.fs);
  const { code, details } = await errorOf(open(world));
  expect(await digests(world.fs)).toEqual(before);
  return { code, details };
}

describe('damage', () => {
  test('L2 L6 L7 any byte of the proved part is flipped: refused, nothing changed', async () => {
    const closed = await closedLog(4);
    const path = await newestPath(closed.fs);
    const starts = await bordersOf(closed.fs, path);
    // Behind the groups stands the mark that proves them.
    const provedEnd = starts.at(-2)!;
    for (let offset = 0; offset < provedEnd; offset++) {
      const world = await crashed(closed, 'kept');
      await flip(world.fs, path, offset);
      const { code, details } = await refused(world);
      if (offset < segmentHeaderBytes) expect(code).toBe('CORRUPT_SEGMENT');
      else {
        expect(code).toBe('CORRUPT_FRAME');
        const group = starts.findLast((start) => start <= offset)!;
        expect(details).toMatchObject({ path, offset: group, proved: 4 });
      }
    }
  });

  test('L6 L7 any byte of a proved segment below one that proves nothing is flipped: refused', async () => {
    const closed = await closedLog(3);
    const older = await newestPath(closed.fs);
    // The proof mark that it ends with is not part of what its successor names.
    const provedEnd = (await bordersOf(closed.fs, older)).at(-2)!;
    // Opened and closed without an append: the newest segment proves nothing of its own.
    await (await open(closed)).close();
    expect(await newestPath(closed.fs)).not.toBe(older);
    for (let offset = 0; offset < provedEnd; offset++) {
      const world = await crashed(closed, 'kept');
      await flip(world.fs, older, offset);
      const { code } = await refused(world);
      expect(code).toBe(offset < segmentHeaderBytes ? 'CORRUPT_SEGMENT' : 'CORRUPT_FRAME');
    }
  });

  test('the mark of such a segment is flipped: nothing is named behind it, every record is there', async () => {
    const closed = await closedLog(3);
    const older = await newestPath(closed.fs);
    const [mark, end] = (await bordersOf(closed.fs, older)).slice(-2) as [number, number];
    await (await open(closed)).close();
    for (let offset = mark; offset < end; offset++) {
      const world = await crashed(closed, 'kept');
      await flip(world.fs, older, offset);
      const log = await open(world);
      expect(await readAll(log)).toEqual(recordsOf(1, 3));
      await log.close();
    }
  });

  test('L7 the proof mark itself is flipped, at any byte: a torn tail, and every record is there', async () => {
    const closed = await closedLog(4);
    const path = await newestPath(closed.fs);
    const starts = await bordersOf(closed.fs, path);
    const mark = starts.at(-2)!;
    for (let offset = mark; offset < starts.at(-1)!; offset++) {
      const world = await crashed(closed, 'kept');
      await flip(world.fs, path, offset);
      const log = await open(world);
      expect(log.tornTail).toMatchObject({ path, offset: mark, lsn: 5 });
      expect(await readAll(log)).toEqual(recordsOf(1, 4));
      await log.close();
    }
  });

  test('L6 anything but zeros behind the end: a torn tail, cut and reported once', async () => {
    for (const distance of [0, 1, 63, 64, 1000]) {
      const world = await closedLog(2);
      const path = await newestPath(world.fs);
      const end = (await bordersOf(world.fs, path)).at(-1)!;
      await flip(world.fs, path, end + distance);
      const log = await open(world);
      expect(log.tornTail).toMatchObject({ path, offset: end, lsn: 3 });
      expect(await readAll(log)).toEqual(recordsOf(1, 2));
      expect(await log.append(record(3))).toBe(3);
      await log.close();
      const again = await open(world);
      expect(again.tornTail).toBeUndefined();
      expect(await readAll(again)).toEqual(recordsOf(1, 3));
      await again.close();
    }
  });

  test('L7 a group above the proof is damaged: it and those behind it go, even ones that verify', async () => {
    const world = worldOn();
    const log = await open(world, { durability: 'os' });
    const path = await newestPath(world.fs);
    for (let n = 1; n <= 4; n++) await log.append(bytesOf(`r${n}`));
    const torn = await crashed(world, 'kept');
    const starts = await bordersOf(torn.fs, path);
    // The opening's mark, then four groups that name nothing durable.
    await flip(torn.fs, path, starts[3]! + groupHeaderBytes);
    const opened = await open(torn);
    expect(opened.tornTail).toMatchObject({ path, offset: starts[3], lsn: 3 });
    expect(await readAll(opened)).toEqual(recordsOf(1, 2));
    expect(await opened.append(bytesOf('r3'))).toBe(3);
    await opened.close();
    const again = await open(torn);
    expect(await readAll(again)).toEqual(recordsOf(1, 3));
    await again.close();
  });

  test('L7 the last group of a crashed log is damaged: nothing proves it, so it is cut', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 3);
    const path = await newestPath(world.fs);
    const torn = await crashed(world, 'dropped');
    const last = (await bordersOf(torn.fs, path)).at(-2)!;
    await flip(torn.fs, path, last);
    const opened = await open(torn);
    expect(opened.tornTail).toMatchObject({ offset: last, lsn: 3 });
    expect(await readAll(opened)).toEqual(recordsOf(1, 2));
    await opened.close();
  });

  test('L7 damage behind which a header names a higher durable LSN: corruption', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 3);
    const path = await newestPath(world.fs);
    const after = await crashed(world, 'dropped');
    const starts = await bordersOf(after.fs, path);
    // Group 2 is damaged; the header of group 3 says that 2 was durable.
    await flip(after.fs, path, starts[2]! + groupHeaderBytes);
    const { code, details } = await refused(after);
    expect(code).toBe('CORRUPT_FRAME');
    expect(details).toMatchObject({ path, offset: starts[2], lsn: 2, proved: 2 });
  });

  test('O3 power is lost after an opening that copied frames: what it served is proved', async () => {
    const world = worldOn();
    const log = await open(world, { durability: 'os' });
    for (let n = 1; n <= 3; n++) await log.append(bytesOf(`r${n}`));
    const unproved = await crashed(world, 'kept');
    const opened = await open(unproved);
    expect(await readAll(opened)).toEqual(recordsOf(1, 3));
    const after = await crashed(unproved, 'dropped');
    const path = await newestPath(after.fs);
    await flip(after.fs, path, segmentHeaderBytes + groupHeaderBytes);
    expect(await refused(after)).toMatchObject({ code: 'CORRUPT_FRAME', details: { proved: 3 } });
  });

  test('L4 stale bytes of another place or file: they never verify', async () => {
    const closed = await closedLog(1);
    const path = await newestPath(closed.fs);
    const starts = await bordersOf(closed.fs, path);
    const [, group, , end] = starts;
    const world = await crashed(closed, 'kept');
    const bytes = await world.fs.read(path);
    bytes.copyWithin(end!, group!, starts[2]);
    await world.fs.put(path, bytes);
    const log = await open(world);
    expect(log.tornTail?.why).toMatch(/fails its checksum/);
    expect(log.tail).toBe(1);
    await log.close();

    const other = worldOn(undefined, 2);
    const foreign = await open(other);
    await foreign.append(bytesOf('r1'));
    await foreign.close();
    const theirs = await other.fs.read(await newestPath(other.fs));
    const mixed = await crashed(closed, 'kept');
    const ours = await mixed.fs.read(path);
    ours.set(theirs.subarray(group, starts[2]), group);
    await mixed.fs.put(path, ours);
    expect((await refused(mixed)).code).toBe('CORRUPT_FRAME');
  });

  test('L2 the newest segment is shorter than its header says: CORRUPT_SEGMENT', async () => {
    const closed = await closedLog(2);
    const path = await newestPath(closed.fs);
    const bytes = await closed.fs.read(path);
    for (const length of [0, 1, segmentHeaderBytes - 1, segmentHeaderBytes, bytes.length - 1]) {
      const world = await crashed(closed, 'kept');
      await world.fs.put(path, bytes.subarray(0, length));
      const { code, details } = await refused(world);
      expect(code).toBe('CORRUPT_SEGMENT');
      expect(details).toMatchObject({ path });
    }
  });

  test('L2 an older segment is shorter than its successor says: CORRUPT_SEGMENT', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 10);
    await log.close();
    const [first] = await segmentPaths(world.fs);
    const bytes = await world.fs.read(first!);
    await world.fs.put(first!, bytes.subarray(0, 1000));
    const { code, details } = await refused(world);
    expect(code).toBe('CORRUPT_SEGMENT');
    expect(details).toMatchObject({ path: first, actual: 1000 });
  });

  test('L2 a segment stands under the name of another: CORRUPT_SEGMENT', async () => {
    const world = await closedLog(2);
    const path = await newestPath(world.fs);
    const other = `${walDirectory}/0000000009-00000001.wal`;
    await world.fs.put(other, await world.fs.read(path));
    const { code, details } = await refused(world);
    expect(code).toBe('CORRUPT_SEGMENT');
    expect(details).toMatchObject({ path: other, actual: nameOf(path) });
  });

  test('a segment of another store: CORRUPT_SEGMENT', async () => {
    const world = await closedLog(2);
    const other = worldOn(undefined, 5);
    const log = await open(other);
    await log.append(bytesOf('x'));
    await log.close();
    const path = await newestPath(other.fs);
    await world.fs.put(path, await other.fs.read(path));
    expect(await refused(world)).toMatchObject({ code: 'CORRUPT_SEGMENT', details: { path } });
  });

  test('L7 an older segment is damaged: the log opens, and reading it is CORRUPT_FRAME', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 20);
    await log.close();
    const [first] = await segmentPaths(world.fs);
    const starts = await bordersOf(world.fs, first!);
    await flip(world.fs, first!, starts[2]! + 70);
    const again = await open(world);
    const error = await errorOf(readAll(again));
    expect(error.code).toBe('CORRUPT_FRAME');
    expect(error.details).toMatchObject({ path: first, offset: starts[2], lsn: 2 });
    // What is behind it is read all the same.
    expect(await readAll(again, { from: 15 })).toEqual(recordsOf(15, 20));
    await again.close();
  });
});

describe('holes', () => {
  async function rotated(): Promise<World> {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 25);
    await log.close();
    return world;
  }

  test('L7 any one segment but the newest is missing: LOG_HOLE, nothing changed', async () => {
    const whole = await rotated();
    const paths = await segmentPaths(whole.fs);
    expect(paths.length).toBeGreaterThan(3);
    for (const path of paths.slice(0, -1)) {
      const world = await crashed(whole, 'kept');
      await world.fs.remove(path);
      const { code, details } = await refused(world);
      expect(code).toBe('LOG_HOLE');
      expect(details).toMatchObject({ missing: nameOf(path) });
    }
  });

  test('L5 the newest segment is missing, its predecessor is sealed: LOG_HOLE', async () => {
    const world = await rotated();
    await world.fs.remove(await newestPath(world.fs));
    expect((await refused(world)).code).toBe('LOG_HOLE');
  });

  test('L5 O4 the same where the predecessor was cut behind its seal mark: LOG_HOLE', async () => {
    const world = await closedLog(3);
    await (await open(world)).close();
    await world.fs.remove(await newestPath(world.fs));
    expect((await refused(world)).code).toBe('LOG_HOLE');
  });

  test('L5 power is lost after the first acknowledgement out of a segment, which is lost then: LOG_HOLE', async () => {
    const world = worldOn();
    const log = await open(world);
    let n = 0;
    while (log.stats().rotations === 0) await log.append(record(++n));
    const after = await crashed(world, 'dropped');
    await after.fs.remove(await newestPath(after.fs));
    expect(await refused(after)).toMatchObject({ code: 'LOG_HOLE', details: { lsn: n } });
  });

  test('L5 a seal mark is missing: the next opening writes it', async () => {
    const world = worldOn();
    const log = await open(world);
    const [first] = await segmentPaths(world.fs);
    let sealless: World | undefined;
    world.fs.before = async ({ call, path }) => {
      // The first write into the sealed segment after the directory sync is the seal mark.
      if (call === 'write' && path === first && log.stats().rotations === 0) {
        const paths = await segmentPaths(world.fs);
        if (paths.length > 1) sealless ??= await crashed(world, 'dropped');
      }
    };
    let n = 0;
    while (log.stats().rotations === 0) await log.append(record(++n));
    const unsealed = await sealless!.fs.read(first!);
    const starts = await bordersOf(sealless!.fs, first!);
    expect(unsealed.subarray(starts.at(-1)).every((byte) => byte === 0)).toBe(true);
    const again = await open(sealless!);
    expect(await readAll(again)).toEqual(recordsOf(1, n - 1));
    await again.close();
    const sealed = await sealless!.fs.read(first!);
    expect(sealed.length).toBe(starts.at(-1)! + groupHeaderBytes);
    expect(sealed[starts.at(-1)! + 4]).toBe(3);
  });

  test('L7 the predecessor ends at another LSN than its successor says: LOG_HOLE', async () => {
    // Two histories of one store: the older segment is of one, the newest of the other.
    const start = worldOn();
    await (await open(start)).close();
    const history = async (values: readonly string[]): Promise<World> => {
      const world = worldOn(await start.fs.crash('kept'), 7);
      const log = await open(world);
      for (const value of values) await log.append(bytesOf(value));
      await log.close();
      await (await open(world)).close();
      return world;
    };
    const ours = await history(['r1', 'r2']);
    const theirs = await history(['s1', 's2']);
    const [older, newest] = await segmentPaths(ours.fs);
    expect(await segmentPaths(theirs.fs)).toEqual([older, newest]);
    await ours.fs.put(newest!, await theirs.fs.read(newest!));
    expect(await refused(ours)).toMatchObject({ code: 'LOG_HOLE', details: { path: older } });
  });

  test('O2 segments off the walk: they are no part of the log, and the next opening removes them', async () => {
    const world = await closedLog(3);
    const path = await newestPath(world.fs);
    await world.fs.put(`${walDirectory}/0000000005.new`, new Uint8Array(8));
    const log = await open(world);
    const stray = `${walDirectory}/0000000003-00000001.wal`;
    expect(nameOf(await newestPath(world.fs))).toBe('0000000006-00000001.wal');
    await world.fs.put(stray, bytesOf('anything at all'));
    await log.append(bytesOf('r4'));
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, 4));
    await again.close();
    expect(await segmentPaths(world.fs)).not.toContain(stray);
    expect(await segmentPaths(world.fs)).toContain(path);
  });
});
