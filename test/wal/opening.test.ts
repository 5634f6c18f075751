import { describe, expect, test } from 'vitest';
import { changes } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { decodeSegmentHeader } from '../../src/wal/segment-format.ts';
import {
  appendMany,
  bytesOf,
  changesOf,
  codeOf,
  crashed,
  errorOf,
  nameOf,
  open,
  readAll,
  record,
  recordsOf,
  segmentPaths,
  settle,
  small,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';
import { openLogWith } from '../../src/wal/log.ts';
import { injected } from '../tools/faulty-file-system.ts';

/** A log after a crash, whose last records nothing proves. */
async function unproved(proved: number, above: number): Promise<World> {
  const world = worldOn();
  let log = await open(world);
  await appendMany(log, 1, proved);
  await log.close();
  log = await open(world, { durability: 'os' });
  await appendMany(log, proved + 1, proved + above);
  return crashed(world, 'kept');
}

describe('opening', () => {
  test('O3 frames are not proved: copied, synced, renamed in, directory synced, proved, then the old is sealed', async () => {
    const world = await unproved(2, 3);
    const before = (await segmentPaths(world.fs)).map(nameOf);
    expect(before).toEqual(['0000000001-00000001.wal', '0000000002-00000001.wal']);
    const leftovers = [...(await world.fs.contents()).keys()].filter((path) =>
      path.endsWith('.new'),
    );
    const number = Math.max(2, ...leftovers.map((path) => Number.parseInt(nameOf(path), 10))) + 1;
    const fresh = `${String(number).padStart(10, '0')}-00000001.wal`;
    world.fs.calls.length = 0;
    const log = await open(world);
    const done = changesOf(world.fs.calls).filter((call) => !call.includes('makeDirectory'));
    expect(done.slice(0, leftovers.length + 13)).toEqual([
      // The name of the identity, which an opening that failed may have left without a sync.
      'syncDirectory log',
      ...leftovers.map((path) => `unlink ${nameOf(path)}`),
      `write ${fresh.slice(0, 10)}.new`,
      `sync ${fresh.slice(0, 10)}.new`,
      `rename ${fresh}`,
      'syncDirectory wal',
      `write ${fresh}`,
      `sync ${fresh}`,
      'write 0000000001-00000001.wal',
      'sync 0000000001-00000001.wal',
      'truncate 0000000001-00000001.wal',
      'sync 0000000001-00000001.wal',
      'unlink 0000000002-00000001.wal',
      'syncDirectory wal',
    ]);
    expect(await readAll(log)).toEqual(recordsOf(1, 5));
    await log.close();
  });

  test('O3 every opening: the epoch is above that of every segment on the walk', async () => {
    const world = worldOn();
    let epoch = 0;
    for (let round = 1; round <= 4; round++) {
      const log = await open(world);
      await appendMany(log, round, round);
      const newest = (await segmentPaths(world.fs)).at(-1)!;
      const header = decodeSegmentHeader(await world.fs.read(newest), newest);
      expect(header.epoch).toBeGreaterThan(epoch);
      ({ epoch } = header);
      await log.close();
    }
  });

  test('O3 the segment of an opening: its copies and room, no more than a segment beside them', async () => {
    const world = await unproved(0, 3);
    const log = await open(world);
    const newest = (await segmentPaths(world.fs)).at(-1)!;
    const { size } = decodeSegmentHeader(await world.fs.read(newest), newest);
    expect(size).toBe(128 + 3 * (64 + 508 + 4) + 4096);
    expect((await world.fs.read(newest)).length).toBe(size);
    await log.close();
    const roomy = worldOn();
    const other = await openLogWith({ dir: '/log', segmentBytesMax: 8 * 1024 * 1024 }, roomy);
    const first = (await segmentPaths(roomy.fs))[0]!;
    expect((await roomy.fs.read(first)).length).toBe(128 + 1024 * 1024);
    await other.close();
  });

  test('O3 power is lost before any call of an opening, again and again: no record is lost', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const start = await unproved(3, 4);
      let checked = 0;
      start.fs.before = async () => {
        const first = await crashed(start, new SeededRandom(seed * 1000 + checked));
        let inner = 0;
        first.fs.before = async () => {
          inner++;
          // Every third: the check of each is as long as an opening.
          if ((checked + inner) % 3 !== 0) return;
          const second = await crashed(first, new SeededRandom(seed * 2000 + checked * 50 + inner));
          const log = await open(second);
          expect(log.tornTail).toBeUndefined();
          expect(await readAll(log)).toEqual(recordsOf(1, 7));
          expect(await log.append(record(8))).toBe(8);
          await log.close();
        };
        const log = await open(first);
        first.fs.before = () => {};
        expect(await readAll(log)).toEqual(recordsOf(1, 7));
        await log.close();
        checked++;
      };
      const log = await open(start);
      start.fs.before = () => {};
      expect(checked).toBeGreaterThan(30);
      await log.close();
    }
  });

  test('O3 any changing call of an opening fails: a typed error, and the next opening has every record', async () => {
    const plain = await unproved(3, 4);
    plain.fs.calls.length = 0;
    const whole = await open(plain);
    const count = plain.fs.calls.length;
    await whole.close();
    let failed = 0;
    for (let at = 0; at < count; at++) {
      const world = await unproved(3, 4);
      world.fs.calls.length = 0;
      world.fs.before = () => {
        if (world.fs.calls.length === at + 1) throw injected(at % 2 === 0 ? 'EIO' : 'ENOSPC');
      };
      const opened = await open(world).catch((error: unknown) => error);
      world.fs.before = () => {};
      if (opened instanceof Error) {
        failed++;
        expect(opened).toMatchObject({
          kind: 'unavailable',
          code: at % 2 === 0 ? 'IO' : 'NO_SPACE',
        });
      } else await (opened as { close(): Promise<void> }).close();
      const log = await open(world);
      expect(await readAll(log)).toEqual(recordsOf(1, 7));
      await log.close();
    }
    // Calls behind the opening belong to the background: filling, closing.
    expect(failed).toBeGreaterThan(25);
  });

  test('O4 a hundred crashes right after opening: the directory stays as small as it was', async () => {
    let world = await unproved(3, 4);
    let namesMost = 0;
    for (let round = 0; round < 100; round++) {
      await open(world);
      await settle();
      world = await crashed(world, round % 2 === 0 ? 'kept' : new SeededRandom(round));
      const names = [...(await world.fs.contents()).keys()].filter((p) =>
        p.startsWith(walDirectory),
      );
      namesMost = Math.max(namesMost, names.length);
    }
    // Log before and after the crash, one leftover of each kind, and what is being filled.
    expect(namesMost).toBeLessThanOrEqual(9);
    const log = await open(world);
    expect(await readAll(log)).toEqual(recordsOf(1, 7));
    // Two of the records' own, the copies of what was not proved, and the newest.
    expect(await segmentPaths(world.fs)).toHaveLength(4);
    await log.close();
  });

  test('O4 crashes with an append between them: leftovers off the walk go as well', async () => {
    let world = worldOn();
    let n = 0;
    for (let round = 0; round < 30; round++) {
      const log = await open(world);
      expect(log.tail).toBe(n);
      await log.append(bytesOf(`r${++n}`));
      const paths = await segmentPaths(world.fs);
      const walked = new Set<number>();
      let at = paths.at(-1);
      while (at !== undefined) {
        const { number, predecessor } = decodeSegmentHeader(await world.fs.read(at), at);
        walked.add(number);
        at = paths.find((path) =>
          path.includes(`/${String(predecessor?.number).padStart(10, '0')}-`),
        );
      }
      expect(paths).toHaveLength(walked.size);
      world = await crashed(world, new SeededRandom(round));
    }
  });

  test('O5 what was filled and not used is in the way of a full disk: the opening removes it first', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 1);
    await log.close();
    world.fs.calls.length = 0;
    await world.fs.put(`${walDirectory}/0000000009.new`, new Uint8Array(4096));
    const again = await open(world);
    const done = changesOf(world.fs.calls);
    expect(done.indexOf('unlink 0000000009.new')).toBeLessThan(
      done.findIndex((call) => call.startsWith('write')),
    );
    await again.close();
  });

  test('an opening that is refused before it starts: not one call changes anything', async () => {
    const world = worldOn();
    const log = await open(world);
    expect(await codeOf(open(world))).toBe('LOCKED');
    await log.close();
    await world.fs.makeDirectory('/other');
    await world.fs.put('/other/notes.txt', bytesOf('mine'));
    world.fs.calls.length = 0;
    const { code, message } = await errorOf(open(world, { dir: '/other' }));
    expect([code, message]).toEqual(['NOT_A_STORE', expect.stringContaining('notes.txt')]);
    expect(world.fs.calls.filter(changes).map(({ call }) => call)).toEqual(['makeDirectory']);
  });

  test.each([
    ['dir', { dir: '' }],
    ['segmentBytesMax', { segmentBytesMax: 4095 }],
    ['groupBytesMax', { groupBytesMax: 1.5 }],
    ['groupRecordsMax', { groupRecordsMax: 0 }],
    ['undurableBytesMax', { undurableBytesMax: Number.NaN }],
    ['recordBytesMax', { recordBytesMax: 2000, commitBytesMax: 1024 }],
    ['commitBytesMax', { commitBytesMax: 2 ** 31 }],
    ['durability', { durability: 'tape' as 'disk' }],
    ['speed', { speed: 'high' }],
  ])('option %s is wrong: INVALID_OPTION names it, nothing is made', async (option, wrong) => {
    const world = worldOn();
    const error = await errorOf(openLogWith({ ...small, ...wrong }, world));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
    expect(world.fs.calls).toEqual([]);
  });
});
