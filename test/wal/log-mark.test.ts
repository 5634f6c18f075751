/*
 * A log that was lost is never taken for one that never was: the mark beside `store.json`, when it is
 * put, and what it says.
 */
import { describe, expect, test } from 'vitest';
import { encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { toHex } from '../../src/std/bytes.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import {
  logMarkName,
  lostBehindMax,
  readLogMark,
  withLoss,
  writeLogMark,
} from '../../src/wal/log-mark.ts';
import { planOpening } from '../../src/wal/log-opening.ts';
import type { LogPosition } from '../../src/wal/log-position.ts';
import { applyOpening } from '../../src/wal/opening-segment.ts';
import { FaultyFileSystem, injected } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import {
  appendMany,
  bytesOf,
  changesOf,
  codeOf,
  crashed,
  errorOf,
  open,
  readAll,
  recordsOf,
  segmentPaths,
  walDirectory,
  worldOn,
  type World,
} from './log-fixture.ts';

const markPath = `/log/${logMarkName}`;
const storeId = new Uint8Array(16).fill(9);

async function emptied(world: World): Promise<World> {
  const names = [...(await world.fs.contents()).keys()];
  for (const path of names) if (path.startsWith(walDirectory)) await world.fs.remove(path);
  return world;
}

async function marked(world: World): Promise<readonly number[] | undefined> {
  if (!(await world.fs.stat('/log'))) return undefined;
  const identity = await readIdentity(world.fs, '/log');
  return identity && (await readLogMark(world.fs, '/log', identity.storeId))?.lostBehind;
}

describe('the mark of a log', () => {
  test('everything in wal/ is deleted: LOG_HOLE, by every opening, and nothing is changed', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 3);
    await log.close();
    await emptied(world);
    const before = await world.fs.contents();
    for (let round = 0; round < 2; round++) {
      const error = await errorOf(open(world));
      expect(error).toMatchObject({ code: 'LOG_HOLE', details: { path: walDirectory } });
    }
    expect(await world.fs.contents()).toEqual(before);
  });

  test('it is put once: after the first segment is in and proved, before the opening ends', async () => {
    const world = worldOn();
    const log = await open(world);
    const done = changesOf(world.fs.calls);
    const put = done.indexOf(`rename ${logMarkName}`);
    expect(done.slice(0, put + 2).slice(-9)).toEqual([
      'sync 0000000001.new',
      'rename 0000000001-00000001.wal',
      'syncDirectory wal',
      'write 0000000001-00000001.wal',
      'sync 0000000001-00000001.wal',
      `write ${logMarkName}.tmp`,
      `sync ${logMarkName}.tmp`,
      `rename ${logMarkName}`,
      'syncDirectory log',
    ]);
    // What is durable when the opening ends is found with nothing else on the disk.
    const lost = await emptied(await crashed(world, 'dropped'));
    expect(await codeOf(open(lost))).toBe('LOG_HOLE');
    await log.close();
    const start = world.fs.calls.length;
    await (await open(world)).close();
    expect(changesOf(world.fs.calls.slice(start)).join()).not.toContain(logMarkName);
  });

  test('power is lost before any call of a first opening: it opens, as a new log, and is marked', async () => {
    for (const choice of ['dropped', 'kept', new SeededRandom(3), new SeededRandom(4)] as const) {
      const world = worldOn();
      let checked = 0;
      let between = 0;
      world.fs.before = async () => {
        checked++;
        const after = await crashed(world, choice);
        const isMarked = (await marked(after)) !== undefined;
        if (!isMarked && (await segmentPaths(after.fs)).length > 0) between++;
        const log = await open(after);
        await appendMany(log, 1, 2);
        const lost = await emptied(await crashed(after, 'dropped'));
        expect(await codeOf(open(lost))).toBe('LOG_HOLE');
        await log.close();
      };
      const log = await open(world);
      world.fs.before = () => {};
      await log.close();
      expect(checked).toBeGreaterThan(15);
      if (choice === 'kept') expect(between).toBeGreaterThan(3);
    }
  });

  test('putting it fails: a typed error, and the next opening puts it', async () => {
    const world = worldOn();
    world.fs.before = ({ call, path }) => {
      if (call === 'rename' && path === markPath) throw injected('EIO');
    };
    expect(await codeOf(open(world))).toBe('IO');
    world.fs.before = () => {};
    const log = await open(world);
    expect(await marked(world)).toEqual([]);
    await log.close();
  });

  test.each<[string, Uint8Array, string]>([
    [
      'no document',
      bytesOf('hello, this is not the document that is looked for'),
      'CORRUPT_RECORD',
    ],
    ['no format', encodeSealedJson({ lostBehind: [] }), 'CORRUPT_RECORD'],
    ['a later format', encodeSealedJson({ format: 2, lostBehind: [] }), 'UNSUPPORTED_FORMAT'],
    [
      'another store',
      encodeSealedJson({ format: 1, storeId: toHex(new Uint8Array(16)), lostBehind: [] }),
      'CORRUPT_RECORD',
    ],
    ['no list', encodeSealedJson({ format: 1, storeId: toHex(storeId) }), 'CORRUPT_RECORD'],
    [
      'too long a list',
      encodeSealedJson({
        format: 1,
        storeId: toHex(storeId),
        lostBehind: Array.from({ length: lostBehindMax + 1 }, (_, i) => i + 1),
      }),
      'CORRUPT_RECORD',
    ],
    ...[[0], [2, 1], ['1'], [1.5], [1, null]].map((lostBehind): [string, Uint8Array, string] => [
      `the list ${JSON.stringify(lostBehind)}`,
      encodeSealedJson({ format: 1, storeId: toHex(storeId), lostBehind }),
      'CORRUPT_RECORD',
    ]),
  ])('it holds %s: refused', async (_, bytes, code) => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/log');
    await fs.put(markPath, bytes);
    const error = await errorOf(readLogMark(fs, '/log', storeId));
    expect(error).toMatchObject({ code, details: { path: markPath } });
  });

  test('it is damaged: the log is refused, and no call changes anything', async () => {
    const world = worldOn();
    const log = await open(world);
    await appendMany(log, 1, 2);
    await log.close();
    const bytes = await world.fs.read(markPath);
    bytes[20]! ^= 1;
    await world.fs.put(markPath, bytes);
    const before = await world.fs.contents();
    expect(await codeOf(open(world))).toBe('CORRUPT_RECORD');
    expect(await world.fs.contents()).toEqual(before);
  });

  test('it cannot be looked at: IO', async () => {
    const fs = new FaultyFileSystem();
    fs.before = () => {
      throw injected('EIO');
    };
    expect(await codeOf(readLogMark(fs, '/log', storeId))).toBe('IO');
  });

  test('a mark without an identity: CORRUPT_STORE, never a new log', async () => {
    const world = worldOn();
    await (await open(world)).close();
    await emptied(world);
    await world.fs.remove('/log/store.json');
    expect(await codeOf(open(world))).toBe('CORRUPT_STORE');
  });

  test('losses: ascending, each once, the newest kept', async () => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/log');
    let mark = withLoss(withLoss(withLoss(undefined, 7, 1), 3, 2), 7, 1);
    expect(mark).toEqual({ lostBehind: [3, 7], timeline: 2 });
    for (let lsn = 10; lsn < 10 + lostBehindMax; lsn++) mark = withLoss(mark, lsn, 2);
    expect(mark.lostBehind).toHaveLength(lostBehindMax);
    expect(mark.lostBehind[0]).toBe(10);
    await writeLogMark(fs, '/log', storeId, mark);
    expect(await readLogMark(await fs.crash('dropped'), '/log', storeId)).toEqual(mark);
  });
});

describe('L7 history that is damaged behind a checkpoint', () => {
  const checkpoint: LogPosition = {
    lsn: 30,
    segment: 4,
    timeline: 1,
    offset: 512,
    chain: { crc: 1, mix: 2 },
  };

  async function openAt(world: World): Promise<{ lost: readonly number[]; first: number }> {
    const { fs } = world;
    const at = { storeDirectory: '/log', storeId, checkpoint, lowWater: undefined };
    const plan = await planOpening(fs, walDirectory, at);
    const opened = await applyOpening(fs, walDirectory, plan, { ...at, roomBytes: 4096 }, world);
    await opened.handle.close();
    const mark = await readLogMark(fs, '/log', storeId);
    return { lost: mark!.lostBehind, first: opened.header.firstLsn };
  }

  test('power is lost before any call of the opening that goes on behind it: the loss stays known', async () => {
    for (const choice of ['dropped', 'kept', new SeededRandom(5), new SeededRandom(6)] as const) {
      const world = worldOn();
      await world.fs.makeDirectory(walDirectory);
      await writeLogMark(world.fs, '/log', storeId, { lostBehind: [], timeline: 1 });
      let checked = 0;
      world.fs.before = async () => {
        checked++;
        const after = await crashed(world, choice);
        expect(await openAt(after)).toEqual({ lost: [30], first: 31 });
      };
      expect(await openAt(world)).toEqual({ lost: [30], first: 31 });
      world.fs.before = () => {};
      expect(checked).toBeGreaterThan(12);
      // Once it goes on, later openings find nothing new.
      expect(await openAt(world)).toEqual({ lost: [30], first: 31 });
    }
  });
});

describe('the room of an opening', () => {
  test('the disk has less than it asks for: it takes what it needs, and the log opens and goes on', async () => {
    const capacityBytes = 120_000;
    const fs = new FaultyFileSystem({ capacityBytes });
    const world = worldOn(fs);
    const large = { segmentBytesMax: 32_768 };
    await fs.makeDirectory('/ballast');
    let log = await open(world, large);
    await appendMany(log, 1, 3);
    await log.close();
    await fs.put('/ballast/file', new Uint8Array(fs.freeBytes('/') - 9000));
    log = await open(world, large);
    expect(await readAll(log)).toEqual(recordsOf(1, 3));
    await appendMany(log, 4, 6);
    await fs.remove('/ballast/file');
    await log.close();
    log = await open(world, large);
    expect(await readAll(log)).toEqual(recordsOf(1, 6));
    await log.close();
  });

  test('the disk has not even that: NO_SPACE says how much, and the log is as it was', async () => {
    const fs = new FaultyFileSystem({ capacityBytes: 60_000 });
    const world = worldOn(fs);
    await fs.makeDirectory('/ballast');
    let log = await open(world);
    await appendMany(log, 1, 3);
    await log.close();
    await fs.put('/ballast/file', new Uint8Array(fs.freeBytes('/') - 100));
    const error = await errorOf(open(world));
    expect(error).toMatchObject({ code: 'NO_SPACE', details: { needed: 128 + 4096, free: 100 } });
    expect(error.message).toContain('4224 bytes needed, 100 free');
    await fs.remove('/ballast/file');
    log = await open(world);
    expect(await readAll(log)).toEqual(recordsOf(1, 3));
    await log.close();
  });
});
