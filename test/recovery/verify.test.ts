/*
 * Every kind of damage gives one fault, in the file and at the place where it is; what loses nothing
 * that was proved gives a note; a sound store gives neither.
 */
import { describe, expect, test } from 'vitest';

import { recordName, snapshotPrefix } from '../../src/checkpoint/checkpoint-record.ts';
import { encodeSealedJson, decodeSealedJson } from '../../src/codec/sealed-json.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith, type StoreVerification } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { groupHeaderBytes } from '../../src/wal/group-format.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { logMarkName, writeLogMark } from '../../src/wal/log-mark.ts';
import { openLogWith } from '../../src/wal/log.ts';
import { decodeSegmentHeader } from '../../src/wal/segment-format.ts';
import { dir, fill, smallSegments, TestStore } from './reader-store.ts';

const verify = (store: TestStore): Promise<StoreVerification> =>
  verifyStoreWith({ dir }, store.components);

/** Three openings: segments that were cut by an opening, and some that were rotated. */
async function filled(commits = 40): Promise<TestStore> {
  const store = new TestStore();
  for (let opening = 0; opening < 3; opening++) {
    const engine = await store.open(smallSegments);
    await fill(engine, commits);
    await engine.close();
  }
  return store;
}

async function segmentsOf(store: TestStore): Promise<string[]> {
  const files = await store.files(`${dir}/wal`);
  return files.map(({ path }) => path).filter((path) => path.endsWith('.wal'));
}

/** The one fault of a store, which is in the given file. */
async function onlyFault(store: TestStore): Promise<StoreVerification['faults'][number]> {
  const { faults } = await verify(store);
  expect(faults).toHaveLength(1);
  return faults[0]!;
}

/** Of a record, what the tests change. */
interface RecordBody {
  [name: string]: unknown;
  chain: { fromLsn: number; lastLsn: number; kind: string; sha256: string }[];
  position: { lsn: number; offset: number };
}

/** Rewrites the body of a record, with a checksum that fits. */
async function rewriteRecord(
  store: TestStore,
  id: number,
  change: (body: RecordBody) => void,
): Promise<string> {
  const path = `${dir}/${recordName(id)}`;
  const body = decodeSealedJson(await store.read(path));
  if (typeof body === 'string') throw new Error(body);
  change(body as RecordBody);
  await store.fs.unlink(path);
  const handle = await store.fs.open(path, 'create');
  await handle.write(encodeSealedJson(body), 0);
  await handle.close();
  return path;
}

describe('a sound store', () => {
  test('after several openings and checkpoints: no fault, no note, everything counted', async () => {
    const store = await filled();
    const before = await store.files();
    const found = await verify(store);
    expect(found).toMatchObject({ faults: [], notes: [], lsn: 120, provedLsn: 120 });
    expect(found.recordCount).toBe(120);
    expect(found.checkpointCount).toBeGreaterThan(3);
    expect(found.segmentCount).toBe((await segmentsOf(store)).length);
    expect(await store.files()).toEqual(before);
  });

  test('an open engine: no fault', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 30);
    expect((await verify(store)).faults).toEqual([]);
    await engine.close();
  });

  test('an empty store, a log, a store whose objects are no files: no fault', async () => {
    const empty = new TestStore();
    await (await empty.open()).close();
    expect(await verify(empty)).toMatchObject({ faults: [], lsn: 0 });

    const logStore = new TestStore();
    const on = { fs: logStore.fs, clock: logStore.clock, random: systemRandom };
    const log = await openLogWith({ dir }, on);
    await log.append(new Uint8Array(10));
    await log.close();
    expect(await verify(logStore)).toMatchObject({ faults: [], lsn: 1, recordCount: 1 });

    const store = new TestStore();
    const objects = new MemoryObjectStore();
    const engine = await store.open({ store: objects });
    await fill(engine, 10);
    const found = await verifyStoreWith({ dir, store: objects }, store.components);
    expect(found).toMatchObject({ faults: [], snapshotCount: 1, checkpointCount: 1 });
    await engine.close();
  });
});

describe('a flipped byte', () => {
  test('anywhere in identity, records, snapshots and proved log: one fault, in that file', async () => {
    const store = await filled(20);
    const newest = (await segmentsOf(store)).at(-1)!;
    for (const { path, bytes } of await store.files()) {
      const content = await store.read(path);
      // The last segment is proved up to its last mark, which proves everything before itself.
      const used = path.endsWith('.wal') ? content.findLastIndex((byte) => byte !== 0) + 1 : bytes;
      const proved = path === newest ? used - groupHeaderBytes : used;
      const step = Math.max(1, Math.floor(proved / 60));
      for (let offset = 0; offset < proved; offset += step) {
        await store.flip(path, offset);
        const { faults } = await verify(store);
        expect(
          faults.map((fault) => fault.path),
          `${path} at ${offset}`,
        ).toEqual([path]);
        const at = faults[0]!.offset;
        if (path.endsWith('.wal')) expect(at, `${path} at ${offset}`).toBeLessThanOrEqual(offset);
        await store.flip(path, offset);
      }
    }
  }, 180_000);

  test('in a group of the log: its offset and first LSN', async () => {
    const store = await filled();
    const [first] = await segmentsOf(store);
    // The proof mark of the opening stands at 128, the first group behind it.
    await store.flip(first!, 192 + groupHeaderBytes + 5);
    expect(await onlyFault(store)).toEqual({
      path: first,
      offset: 192,
      lsn: 1,
      what: 'group has a body that fails its checksum',
    });
  });

  test('in the seal mark of a segment: the offset of the mark', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    const second = decodeSegmentHeader(await store.read(segments[1]!), segments[1]!);
    const { end } = second.predecessor!;
    await store.flip(segments[0]!, end + 60);
    expect(await onlyFault(store)).toMatchObject({ path: segments[0], offset: end + 60 });
  });

  test('in two files: two faults', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    await store.flip(segments[0]!, 200);
    await store.flip(segments[1]!, 40);
    const { faults } = await verify(store);
    expect(faults.map(({ path }) => path).toSorted()).toEqual([segments[0], segments[1]]);
  });

  test('in a snapshot that many records name: one fault', async () => {
    const store = await filled();
    const [snapshot] = await store.files(`${dir}/snapshots`);
    await store.flip(snapshot!.path, 140);
    expect(await onlyFault(store)).toMatchObject({ path: snapshot!.path, offset: 128 });
  });
});

describe('missing and short files', () => {
  test('a snapshot: missing, the record that names it', async () => {
    const store = await filled(6);
    const [snapshot] = await store.files(`${dir}/snapshots`);
    await store.fs.unlink(snapshot!.path);
    const { path, what } = await onlyFault(store);
    expect(path).toBe(snapshot!.path);
    expect(what).toMatch(/missing.*checkpoints\/\d+\.json names it/);
  });

  test('a snapshot that is cut: its end', async () => {
    const store = await filled(6);
    const [snapshot] = await store.files(`${dir}/snapshots`);
    await store.truncate(snapshot!.path, 1000);
    expect(await onlyFault(store)).toMatchObject({ path: snapshot!.path, offset: 1000 });
  });

  test('a segment between others: its name and last LSN', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    await store.fs.unlink(segments[1]!);
    const fault = await onlyFault(store);
    expect(fault.path).toBe(segments[1]);
    expect(fault.what).toMatch(/is missing/);
  });

  test('the first segment: the one that continues it says so', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    await store.fs.unlink(segments[0]!);
    expect(await onlyFault(store)).toMatchObject({ path: segments[0], lsn: 40 });
  });

  test('the newest segment: its predecessor is sealed', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    await store.fs.unlink(segments.at(-1)!);
    const fault = await onlyFault(store);
    expect(fault.path).toBe(segments.at(-2));
    expect(fault.what).toMatch(/sealed, and its successor is missing/);
  });

  test('all segments: the log ends before the newest record', async () => {
    const store = await filled(6);
    for (const path of await segmentsOf(store)) await store.fs.unlink(path);
    const fault = await onlyFault(store);
    expect(fault.what).toMatch(/log ends before the LSN of the checkpoint/);
  });

  test('a segment that is cut, in the middle and at the end of the log: its end', async () => {
    const store = await filled();
    const segments = await segmentsOf(store);
    await store.truncate(segments[0]!, 1000);
    expect(await onlyFault(store)).toMatchObject({ path: segments[0], offset: 1000 });
    const other = await filled();
    const newest = (await segmentsOf(other)).at(-1)!;
    await other.truncate(newest, 5000);
    expect(await onlyFault(other)).toMatchObject({ path: newest, offset: 5000 });
  });

  test('the identity beside other files: CORRUPT_STORE as a fault', async () => {
    const store = await filled(6);
    await store.fs.unlink(`${dir}/store.json`);
    expect(await onlyFault(store)).toMatchObject({ path: `${dir}/store.json` });
  });
});

describe('records that do not fit', () => {
  test.each<[string, RegExp, (body: RecordBody) => void]>([
    ['a chain with a gap', /starts behind LSN 1 where 0 is due/, (r) => (r.chain[0]!.fromLsn = 1)],
    ['a chain without base', /is a delta where a base/, (r) => (r.chain[0]!.kind = 'delta')],
    ['a link that ends early', /before it starts/, (r) => (r.chain.at(-1)!.lastLsn = -0)],
    ['a link past the record', /past that of the record/, (r) => (r['lsn'] = r.position.lsn = 5)],
    ['a link of another digest', /names no snapshot/, (r) => (r.chain[0]!.sha256 = 'ab')],
    ['other key groups', /64 key groups, the store 128/, (r) => (r['keyGroups'] = 64)],
    ['a position elsewhere', /position is at LSN 3/, (r) => (r.position.lsn = 3)],
    ['a parent behind it', /parent 99 is not before/, (r) => (r['parent'] = 99)],
    ['a position off the log', /position is not in the log/, (r) => (r.position.offset += 8)],
    ['another store', /of another store/, (r) => (r['storeId'] = '00'.repeat(16))],
    ['another id', /of another id/, (r) => (r['id'] = 7)],
    ['a newer format', /format version 9/, (r) => (r['format'] = 9)],
  ])('%s: one fault in the record', async (_situation, what, change) => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 20);
    await engine.close();
    const path = await rewriteRecord(store, 2, change);
    const faults = (await verify(store)).faults.filter((fault) => fault.path === path);
    expect(faults).toHaveLength(1);
    expect(faults[0]!.what).toMatch(what);
  });

  test('a record before its predecessor in the log: a fault', async () => {
    const store = await filled(20);
    const path = await rewriteRecord(store, 1, (body) => {
      body['lsn'] = 50;
      body.position.lsn = 50;
    });
    const { faults } = await verify(store);
    expect(faults.some((fault) => fault.path !== path && /before it at 50/.test(fault.what))).toBe(
      true,
    );
  });

  test('a snapshot that is not what its record says: a fault in the snapshot', async () => {
    const store = await filled(6);
    await rewriteRecord(store, 1, (body) => {
      Object.assign(body.chain[0]!, { entryCount: 1 });
    });
    const { faults } = await verify(store);
    expect(faults[0]!.path).toMatch(/snapshots/);
    expect(faults[0]!.what).toMatch(/is not what .* says/);
  });
});

describe('notes', () => {
  test('damage above the proved LSN: a note, no fault', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 3);
    const [segment] = await segmentsOf(store);
    const content = await store.read(segment!);
    await store.flip(
      segment!,
      content.findLastIndex((byte) => byte !== 0),
    );
    const { faults, notes } = await verify(store);
    expect(faults).toEqual([]);
    expect(notes).toMatchObject([{ path: segment, lsn: 3 }]);
    expect(notes[0]!.what).toMatch(/torn tail: .* above the proved LSN 2/);
    await engine.close();
  });

  test('a snapshot that no record names, a file that is no record: notes', async () => {
    const store = await filled(6);
    const stray = `${dir}/${snapshotPrefix}${'0'.repeat(64)}-0000000099`;
    await (await store.fs.open(stray, 'create')).close();
    const other = `${dir}/checkpoints/notes.txt`;
    await (await store.fs.open(other, 'create')).close();
    const { faults, notes } = await verify(store);
    expect(faults).toEqual([]);
    expect(notes.map(({ path }) => path).toSorted()).toEqual([other, stray]);
  });
});

describe('refusals', () => {
  test('no directory: NOT_A_STORE', async () => {
    await expect(verify(new TestStore())).rejects.toMatchObject({ code: 'NOT_A_STORE' });
  });

  test('a store of a newer version: UNSUPPORTED_FORMAT', async () => {
    const store = await filled(1);
    const path = `${dir}/store.json`;
    const body = decodeSealedJson(await store.read(path)) as object;
    await store.fs.unlink(path);
    const handle = await store.fs.open(path, 'create');
    await handle.write(encodeSealedJson({ ...body, format: 9 }), 0);
    await handle.close();
    await expect(verify(store)).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
  });
});

describe('a log that was lost', () => {
  async function withoutLog(store: TestStore): Promise<TestStore> {
    for (const { path } of await store.files(`${dir}/wal`)) await store.fs.unlink(path);
    return store;
  }

  test('no checkpoint: a fault, by verify, reader, inspect and opening', async () => {
    const store = new TestStore();
    const engine = await store.open();
    await fill(engine, 3);
    await engine.close();
    await withoutLog(store);
    expect(await onlyFault(store)).toMatchObject({
      path: `${dir}/wal`,
      lsn: 1,
      what: 'log has had a segment and has none',
    });
    await expect(store.open()).rejects.toMatchObject({ code: 'LOG_HOLE' });
    const found = await inspectStoreWith({ dir }, store.components);
    expect(found.faults).toMatchObject([{ code: 'LOG_HOLE' }]);
    await expect(openReaderWith({ dir }, store.components)).rejects.toMatchObject({
      code: 'LOG_HOLE',
    });
  });

  test('no checkpoint, and no directory of the log either: the same', async () => {
    const store = new TestStore();
    const log = await openLogWith({ dir }, { ...store.components, random: systemRandom });
    await log.append(Uint8Array.of(1));
    await log.close();
    const bare = new TestStore();
    await bare.fs.makeDirectory(dir);
    for (const name of ['store.json', logMarkName]) {
      const handle = await bare.fs.open(`${dir}/${name}`, 'create');
      await handle.write(await store.read(`${dir}/${name}`), 0);
      await handle.close();
    }
    expect(await onlyFault(bare)).toMatchObject({ path: `${dir}/wal` });
    const { faults } = await inspectStoreWith({ dir }, bare.components);
    expect(faults).toMatchObject([{ code: 'LOG_HOLE' }]);
  });

  test('behind a checkpoint, and the store goes on: a fault for good, and inspect names the LSN', async () => {
    const store = await filled();
    await withoutLog(store);
    for (let opening = 0; opening < 3; opening++) {
      const engine = await store.open(smallSegments);
      expect(engine.recovery.damagedHistory).toBe(opening === 0);
      await fill(engine, 20);
      await engine.close();
      const fault = await onlyFault(store);
      expect(fault).toMatchObject({ path: `${dir}/${logMarkName}`, lsn: 111 });
      expect(fault.what).toContain('commits behind it may be lost');
      const found = await inspectStoreWith({ dir }, store.components);
      expect(found).toMatchObject({ lostBehind: [110], damagedHistory: false, faults: [] });
    }
  });

  test('a log starts where the mark does not say that one was lost: a fault', async () => {
    const store = await filled();
    await withoutLog(store);
    await (await store.open(smallSegments)).close();
    const { storeId } = (await readIdentity(store.fs, dir))!;
    await writeLogMark(store.fs, dir, storeId, { lostBehind: [], timeline: 1 });
    expect(await onlyFault(store)).toMatchObject({ what: 'log starts at LSN 111 where 1 is due' });
  });

  test('the log was put back: a note', async () => {
    const store = await filled();
    const { storeId } = (await readIdentity(store.fs, dir))!;
    await writeLogMark(store.fs, dir, storeId, { lostBehind: [100], timeline: 1 });
    const { faults, notes } = await verify(store);
    expect(faults).toEqual([]);
    expect(notes).toMatchObject([{ path: `${dir}/${logMarkName}`, lsn: 101 }]);
  });

  test('the mark is damaged: a fault there', async () => {
    const store = await filled();
    await store.flip(`${dir}/${logMarkName}`, 30);
    expect(await onlyFault(store)).toMatchObject({ path: `${dir}/${logMarkName}`, offset: 0 });
  });
});
