/*
 * Agreement of readings (F1, F2), shown with a file system that lies once, or for ever.
 */
import { describe, expect, test } from 'vitest';

import type { FileHandle, FileSystem } from '../../src/fs/file-system.ts';
import { readingsMax } from '../../src/recovery/reader-agreement.ts';
import { decodeRecord } from '../../src/checkpoint/checkpoint-record.ts';
import { dir, fill, filled, smallSegments, TestStore, withReader } from './reader-store.ts';

/** A file system whose reads a test can change. */
function changing(
  fs: FileSystem,
  change: (path: string, bytes: Uint8Array, position: number) => Promise<void> | void,
): FileSystem {
  return new Proxy(fs, {
    get(target, name) {
      if (name !== 'open') {
        const found: unknown = Reflect.get(target, name, target);
        return typeof found === 'function' ? (found as () => unknown).bind(target) : found;
      }
      return async (path: string, mode: 'read'): Promise<FileHandle> => {
        const handle = await target.open(path, mode);
        const read = async (bytes: Uint8Array, position: number): Promise<number> => {
          const count = await handle.read(bytes, position);
          await change(path, bytes, position);
          return count;
        };
        return { read, size: () => handle.size(), close: () => handle.close() } as FileHandle;
      };
    },
  });
}

/** Damages the log below the checkpoints, which then are the only ways to the state. */
async function withoutLog(store: TestStore): Promise<void> {
  const first = (await store.files(`${dir}/wal`)).find(({ path }) => path.endsWith('.wal'));
  await store.flip(first!.path, 200);
}

/** The snapshot that every chain begins with. */
async function basePath(store: TestStore): Promise<string> {
  const [record] = await store.files(`${dir}/checkpoints`);
  const { chain } = decodeRecord(await store.read(record!.path), record!.path);
  return `${dir}/${chain[0]!.name}`;
}

describe('agreement of readings', () => {
  test('a group that is seen half written once: read again, nothing lost', async () => {
    const store = await filled(28);
    let reads = 0;
    const lying = changing(store.fs, (path, bytes, position) => {
      if (!path.endsWith('.wal') || bytes.length < 1000 || reads++ > 0) return;
      // The first half of what is there, then what another write has put behind it.
      bytes.fill(0, 64 - (position % 8), 400);
    });
    await withReader(store, (reader) => expect(reader.lsn).toBe(28), lying);
    expect(reads).toBeGreaterThan(1);
  });

  test('a record that goes away after it was listed: the newest that is there', async () => {
    const store = await filled();
    const records = (await store.files(`${dir}/checkpoints`)).map(({ path }) => path).toSorted();
    const newest = records.at(-1)!;
    let gone = false;
    const lying = changing(store.fs, async (path) => {
      if (path !== newest || gone) return;
      gone = true;
      await store.fs.unlink(newest);
    });
    await withReader(store, (reader) => expect(reader.lsn).toBe(30), lying);
    expect(gone).toBe(true);
  });

  test('F1 a snapshot that is unlinked while it is open: still read', async () => {
    const store = await filled();
    const snapshots = (await store.files(`${dir}/snapshots`)).map(({ path }) => path);
    let gone = false;
    const lying = changing(store.fs, async (path) => {
      if (gone || !snapshots.includes(path)) return;
      gone = true;
      for (const snapshot of snapshots) await store.fs.unlink(snapshot);
    });
    await withReader(
      store,
      (reader) => expect(reader.get('routes', 'stats', 'route 0')?.value).toEqual({ count: 0 }),
      lying,
    );
    expect(gone).toBe(true);
  });

  test('F2 damage that stays: two readings, then the error, and nothing changed', async () => {
    const store = await filled();
    const snapshot = await basePath(store);
    await store.flip(snapshot, 700);
    await withoutLog(store);
    const before = await store.files();
    await expect(withReader(store, () => {})).rejects.toMatchObject({
      code: 'CORRUPT_SNAPSHOT',
      details: { path: snapshot },
    });
    expect(await store.files()).toEqual(before);
  });

  test('a missing snapshot: BROKEN_CHAIN with its path', async () => {
    const store = await filled();
    const snapshot = await basePath(store);
    await store.fs.unlink(snapshot);
    await withoutLog(store);
    await expect(withReader(store, () => {})).rejects.toMatchObject({
      code: 'BROKEN_CHAIN',
      details: { path: snapshot },
    });
  });

  test('damage in the proved log: CORRUPT_FRAME with place and LSN', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 4);
    await engine.close();
    const segment = (await store.files(`${dir}/wal`)).find(({ path }) => path.endsWith('.wal'))!;
    await store.flip(segment.path, 200);
    await expect(withReader(store, () => {})).rejects.toMatchObject({
      code: 'CORRUPT_FRAME',
      details: { path: segment.path, offset: 192, lsn: 1 },
    });
  });

  test('a store that changes under every reading: OVERLOADED in the end', async () => {
    const store = await filled();
    const snapshot = await basePath(store);
    await store.flip(snapshot, 700);
    await withoutLog(store);
    let count = 0;
    const lying = changing(store.fs, async (path) => {
      if (path !== snapshot) return;
      await (
        await store.fs.open(`${dir}/wal/${String(++count).padStart(10, '0')}.new`, 'create')
      ).close();
    });
    await expect(withReader(store, () => {}, lying)).rejects.toMatchObject({
      code: 'OVERLOADED',
      details: { readings: readingsMax },
    });
  });

  test('a log that is cut by an opening while commits are read: goes on where it was', async () => {
    const store = await filled();
    await withReader(store, async (reader) => {
      const lsns: number[] = [];
      for await (const { lsn } of reader.commits()) {
        lsns.push(lsn);
        if (lsn !== 10) continue;
        // Its seal mark and truncation change the segment that is read last.
        await (await store.open(smallSegments)).close();
      }
      expect(lsns).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    });
  });
});
