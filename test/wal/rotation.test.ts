import { describe, expect, test } from 'vitest';
import { decodeGroupHeader, groupHeaderBytes, groupKinds } from '../../src/wal/group-format.ts';
import {
  decodeSegmentHeader,
  parseSegmentName,
  parseTemporaryName,
  segmentHeaderBytes,
} from '../../src/wal/segment-format.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  changesOf,
  crashed,
  nameOf,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  settle,
  walDirectory,
  worldOn,
} from './log-fixture.ts';

/** Kinds and durable LSNs of the groups of a segment. */
function groupsOf(bytes: Uint8Array, path: string): [kind: number, durableLsn: number][] {
  const { salt } = decodeSegmentHeader(bytes, path);
  const found: [number, number][] = [];
  for (let at = segmentHeaderBytes; ;) {
    const header = decodeGroupHeader(bytes, at, salt, at);
    if (typeof header === 'string') return found;
    found.push([header.kind, header.durableLsn]);
    at += Math.ceil((groupHeaderBytes + header.bodyBytes) / 8) * 8;
  }
}

describe('rotation', () => {
  test('L1 a name is given: it is above every name there was, temporary ones included', async () => {
    const world = worldOn();
    await world.fs.makeDirectory(walDirectory);
    let log = await open(world);
    await log.close();
    await world.fs.put(`${walDirectory}/0000000070.new`, new Uint8Array(10));
    world.fs.calls.length = 0;
    log = await open(world);
    await appendMany(log, 1, 30);
    let highest = 70;
    const created = world.fs.calls.filter(
      ({ call, path }) => call === 'open' && path.endsWith('new'),
    );
    for (const path of new Set(created.map(({ path }) => path))) {
      expect(parseTemporaryName(nameOf(path))).toBeGreaterThan(highest);
      highest = parseTemporaryName(nameOf(path))!;
    }
    highest = 70;
    for (const { path } of world.fs.calls.filter(({ call }) => call === 'rename')) {
      const { number } = parseSegmentName(nameOf(path))!;
      expect(number).toBeGreaterThan(highest);
      highest = number;
    }
    expect(highest).toBeGreaterThan(74);
    await log.close();
  });

  test('L2 L5 a segment is full: old synced, header synced, renamed, directory synced, sealed, then written', async () => {
    const world = worldOn();
    const log = await open(world);
    const [first] = await segmentPaths(world.fs);
    await settle();
    const start = world.fs.calls.length;
    let acknowledged = 0;
    while (log.stats().rotations === 0) {
      acknowledged++;
      await log.append(record(acknowledged));
    }
    const calls = world.fs.calls.slice(start);
    const renameAt = calls.findIndex(({ call }) => call === 'rename');
    const { path, from } = calls[renameAt]!;
    // What is filled in the background is neither of the two segments.
    const of = calls
      .filter((c) => [first, path, from, walDirectory].includes(c.path))
      .filter(({ call }) => call !== 'open' && call !== 'close');
    const [old, next, fresh] = [nameOf(first!), nameOf(path), nameOf(from!)];
    expect(changesOf(of).slice(-10)).toEqual([
      `write ${old}`,
      `sync ${old}`,
      `write ${fresh}`,
      `sync ${fresh}`,
      `rename ${next}`,
      'syncDirectory wal',
      `write ${old}`,
      `sync ${old}`,
      `write ${next}`,
      `sync ${next}`,
    ]);
    expect(groupsOf(await world.fs.read(first!), first!).at(-1)![0]).toBe(groupKinds.seal);
    await log.close();
  });

  test('L2 L5 power is lost before any call of a rotation: the log opens with every acknowledged record', async () => {
    for (const choice of ['dropped', 'kept', 1, 2, 3] as const) {
      const world = worldOn();
      const log = await open(world);
      let acknowledged = 0;
      let call = 0;
      let checked = 0;
      world.fs.before = async () => {
        call++;
        const how = typeof choice === 'string' ? choice : new SeededRandom(choice * 1000 + call);
        const durable = acknowledged;
        const after = await crashed(world, how);
        const again = await open(after);
        const records = await readAll(again);
        expect(records.slice(0, durable)).toEqual(recordsOf(1, durable));
        // One record more may have reached the disk, and nothing else.
        expect(recordsOf(1, durable + 1)).toEqual(expect.arrayContaining(records));
        await again.close();
        checked++;
      };
      for (let n = 1; n <= 14; n++) {
        await log.append(record(n));
        acknowledged = n;
      }
      expect(log.stats().rotations).toBe(2);
      expect(checked).toBeGreaterThan(40);
      world.fs.before = () => {};
      await log.close();
    }
  });

  test('L2 a segment is in: its header names its predecessor, where that ends, and a new salt', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 20);
    const paths = await segmentPaths(world.fs);
    const headers = await Promise.all(
      paths.map(async (path) => decodeSegmentHeader(await world.fs.read(path), path)),
    );
    expect(headers.length).toBeGreaterThan(2);
    headers.slice(1).forEach((header, i) => {
      const before = headers[i]!;
      expect(header.predecessor).toMatchObject({ number: before.number, timeline: 1 });
      expect(header.firstLsn).toBe(header.predecessor!.lastLsn + 1);
      expect(header.epoch).toBe(before.epoch);
      expect(header.salt).not.toEqual(before.salt);
    });
    await log.close();
  });

  test.each(['os', 'memory'] as const)(
    'L9 level %s: rotation, idleness and close sync what was written',
    async (durability) => {
      const world = worldOn();
      // The bound on what is not durable is out of reach: only the rules sync.
      const log = await open(world, { durability, undurableBytesMax: 1024 * 1024 });
      await settle();
      await log.append(record(1));
      await settle();
      expect(log.tail).toBe(0);
      world.clock.advance(999);
      await settle();
      expect(log.tail).toBe(0);
      world.clock.advance(1);
      await settle();
      expect(log.tail).toBe(1);
      const idle = await crashed(world, 'dropped');
      const early = await open(idle);
      expect(await readAll(early)).toEqual(recordsOf(1, 1));

      let n = 1;
      while (log.stats().rotations === 0) await log.append(record(++n));
      await settle();
      const after = await crashed(world, 'dropped');
      const newest = (await segmentPaths(after.fs)).at(-1)!;
      const { firstLsn } = decodeSegmentHeader(await after.fs.read(newest), newest);
      expect(firstLsn).toBeGreaterThan(2);
      // What is in the new segment may not be durable yet.
      const rotated = await open(after);
      expect((await readAll(rotated)).slice(0, firstLsn - 1)).toEqual(recordsOf(1, firstLsn - 1));
      await log.append(record(n + 1));
      await log.close();
      const closed = await open(await crashed(world, 'dropped'));
      expect(await readAll(closed)).toEqual(recordsOf(1, n + 1));
    },
  );

  test('L5 close and opening: both leave a synced proof mark that names the durable LSN', async () => {
    const world = worldOn();
    const log = await open(world);
    const [first] = await segmentPaths(world.fs);
    expect(groupsOf(await world.fs.read(first!), first!)).toEqual([[groupKinds.proof, 0]]);
    await appendMany(log, 1, 2);
    await log.close();
    const after = await crashed(world, 'dropped');
    expect(groupsOf(await after.fs.read(first!), first!)).toEqual([
      [groupKinds.proof, 0],
      [groupKinds.frames, 0],
      [groupKinds.frames, 1],
      [groupKinds.proof, 2],
    ]);
  });

  test('L5 idle again and again: each mark has its place, appends go on behind it', async () => {
    const world = worldOn();
    let log = await open(world);
    await settle();
    for (let n = 1; n <= 12; n++) {
      expect(await log.append(record(n))).toBe(n);
      await settle();
      const { marks } = log.stats();
      world.clock.advance(1000);
      // Sealed in the same turn as the mark is asked for.
      if (n % 3 === 0) {
        n++;
        expect(await log.append(record(n))).toBe(n);
      }
      await settle();
      world.clock.advance(1000);
      await settle();
      expect(log.stats().marks).toBeGreaterThan(marks);
      const quiet = log.stats().marks;
      world.clock.advance(10_000);
      await settle();
      expect(log.stats().marks).toBe(quiet);
    }
    const { tail } = log;
    expect(log.stats().rotations).toBeGreaterThan(0);
    await log.close();
    log = await open(world);
    expect(log.tornTail).toBeUndefined();
    expect(await readAll(log)).toEqual(recordsOf(1, tail));
    await log.close();
  });

  test('L5 a record is sealed while the mark of an idle log is written: it goes behind the mark', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 1);
    await settle();
    const late: Promise<number>[] = [];
    world.fs.before = ({ call }) => {
      if (call === 'write' && late.length === 0) late.push(log.append(record(2)));
    };
    world.clock.advance(1000);
    await settle();
    expect(await Promise.all(late)).toEqual([2]);
    expect(log.stats().marks).toBe(1);
    await log.close();
    const again = await open(world);
    expect(await readAll(again)).toEqual(recordsOf(1, 2));
    await again.close();
  });
});
