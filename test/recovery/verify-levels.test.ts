/*
 * Levels of `verifyStore`: each finds a fault that the one below does not. And its other options: one
 * checkpoint, an end by signal and by time, progress.
 */
import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { TidemarkError } from '../../src/errors.ts';
import type { CopyProgress, Verification } from '../../src/engine/index.ts';
import { commitFault } from '../../src/recovery/verify-commit.ts';
import { verifyStoreWith, type VerifyOptions } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import { readIdentity, writeIdentity } from '../../src/wal/identity.ts';
import { openLogWith } from '../../src/wal/log.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { dir, fill, smallSegments, TestStore } from './reader-store.ts';

const levels: readonly Verification[] = ['none', 'basic', 'standard', 'full'];

/** A closed store: blocks that are stored as they are, several segments, several checkpoints. */
async function filled(): Promise<TestStore> {
  const store = new TestStore();
  for (let opening = 0; opening < 3; opening++) {
    const engine = await store.open({ ...smallSegments, compression: 'none' });
    await fill(engine, 15);
    await engine.close();
  }
  return store;
}

/** The base of the first checkpoint. */
async function firstSnapshot(store: TestStore): Promise<string> {
  const [record] = await pathsIn(store, 'checkpoints');
  const body = decodeSealedJson(await store.read(record!)) as { chain: { name: string }[] };
  return `${dir}/${body.chain[0]!.name}`;
}

/** How many faults each level finds, and that all of them are in the file that was damaged. */
async function faultsByLevel(store: TestStore, path: string): Promise<number[]> {
  const found: number[] = [];
  for (const level of levels) {
    const { faults } = await verifyStoreWith({ dir, level }, store.components);
    for (const fault of faults) expect(fault.path).toBe(path);
    found.push(faults.length);
  }
  return found;
}

async function pathsIn(store: TestStore, directory: string): Promise<string[]> {
  return (await store.files(`${dir}/${directory}`)).map(({ path }) => path);
}

async function segments(store: TestStore): Promise<string[]> {
  return (await pathsIn(store, 'wal')).filter((path) => path.endsWith('.wal'));
}

async function replace(store: TestStore, path: string, bytes: Uint8Array): Promise<void> {
  await store.fs.unlink(path);
  const handle = await store.fs.open(path, 'create');
  await handle.write(bytes, 0);
  await handle.close();
}

describe('a fault, by level', () => {
  test('none: a record, and a snapshot or a segment that is not there', async () => {
    const store = await filled();
    const [record] = await pathsIn(store, 'checkpoints');
    await store.flip(record!, 100);
    expect(await faultsByLevel(store, record!)).toEqual([1, 1, 1, 1]);
    await store.flip(record!, 100);
    const snapshot = await firstSnapshot(store);
    const bytes = await store.read(snapshot);
    await store.fs.unlink(snapshot);
    expect(await faultsByLevel(store, snapshot)).toEqual([1, 1, 1, 1]);
    const handle = await store.fs.open(snapshot, 'create');
    await handle.write(bytes, 0);
    await handle.close();
    const second = (await segments(store))[1]!;
    await store.fs.unlink(second);
    expect(await faultsByLevel(store, second)).toEqual([1, 1, 1, 1]);
  });

  test('basic: the header and the size of a snapshot', async () => {
    const store = await filled();
    const snapshot = await firstSnapshot(store);
    await store.flip(snapshot, 20);
    expect(await faultsByLevel(store, snapshot)).toEqual([0, 1, 1, 1]);
    await store.flip(snapshot, 20);
    await store.truncate(snapshot, (await store.read(snapshot)).length - 1);
    expect(await faultsByLevel(store, snapshot)).toEqual([0, 1, 1, 1]);
  });

  test('basic: the newest segment, as far as it is proved', async () => {
    const store = await filled();
    const newest = (await segments(store)).at(-1)!;
    await store.flip(newest, segmentHeaderBytes + 70);
    expect(await faultsByLevel(store, newest)).toEqual([0, 1, 1, 1]);
  });

  test('standard: a block of a snapshot', async () => {
    const store = await filled();
    const snapshot = await firstSnapshot(store);
    await store.flip(snapshot, Buffer.from(await store.read(snapshot)).indexOf('count'));
    expect(await faultsByLevel(store, snapshot)).toEqual([0, 0, 1, 1]);
  });

  test('standard: a group of an older segment', async () => {
    const store = await filled();
    const [first, ...others] = await segments(store);
    expect(others.length).toBeGreaterThan(0);
    await store.flip(first!, segmentHeaderBytes + 200);
    expect(await faultsByLevel(store, first!)).toEqual([0, 0, 1, 1]);
  });

  test('full: a digest that is not that of the file', async () => {
    const store = await filled();
    const snapshot = await firstSnapshot(store);
    const wrong = `${'0'.repeat(64)}-${snapshot.slice(-10)}`;
    await store.fs.rename(snapshot, `${dir}/snapshots/${wrong}`);
    for (const path of await pathsIn(store, 'checkpoints')) {
      const body = decodeSealedJson(await store.read(path)) as {
        chain: { name: string; sha256: string }[];
      };
      for (const link of body.chain) {
        if (!snapshot.endsWith(link.name)) continue;
        link.name = `snapshots/${wrong}`;
        link.sha256 = '0'.repeat(64);
      }
      await replace(store, path, encodeSealedJson({ ...body }));
    }
    expect(await faultsByLevel(store, `${dir}/snapshots/${wrong}`)).toEqual([0, 0, 0, 1]);
  });

  test('full: a sound group of the log that holds no commit', async () => {
    const store = new TestStore();
    const log = await openLogWith({ dir }, { ...store.components, random: systemRandom });
    await log.append(new Uint8Array(40));
    await log.close();
    const identity = await readIdentity(store.fs, dir);
    await store.fs.unlink(`${dir}/store.json`);
    await writeIdentity(store.fs, dir, { ...identity!, kind: 'engine' });
    const [path] = await segments(store);
    expect(await faultsByLevel(store, path!)).toEqual([0, 0, 0, 1]);
  });
});

describe('the record of a commit', () => {
  /** A commit without entries at a timestamp. */
  function commit(timestamp: number, more = 0): Uint8Array {
    const bytes = new Uint8Array(20 + more);
    bytes[0] = 1;
    bytes[1] = 1;
    new DataView(bytes.buffer).setBigUint64(8, BigInt(timestamp), true);
    return bytes;
  }

  test('well formed, behind the one before: its timestamp', () => {
    expect(commitFault(commit(7), 6)).toBe(7);
  });

  test('a header that is none, an entry that is cut short, bytes behind the last entry', () => {
    expect(commitFault(commit(7).subarray(0, 19), 6)).toContain('is cut short');
    const cut = commit(7, 3);
    cut[4] = 1;
    expect(commitFault(cut, 6)).toContain('has an entry that is cut short');
    expect(commitFault(commit(7, 3), 6)).toContain('bytes behind its last entry');
  });

  test('a timestamp that is not above the one before', () => {
    expect(commitFault(commit(7), 7)).toContain('has timestamp 7');
  });
});

describe('options of verifyStore', () => {
  const codeOf = async (store: TestStore, options: Partial<VerifyOptions>): Promise<unknown> => {
    const found = verifyStoreWith({ dir, ...options }, store.components);
    const error: unknown = await found.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(TidemarkError);
    const { code, details } = error as TidemarkError;
    return code === 'INVALID_OPTION' ? details['option'] : code;
  };

  test('checkpoint: only its record and its snapshots', async () => {
    const store = await filled();
    const records = await pathsIn(store, 'checkpoints');
    const snapshot = await firstSnapshot(store);
    const id = Number(/(\d+)\.json$/.exec(records[0]!)![1]);
    const sound = await verifyStoreWith({ dir, checkpoint: id }, store.components);
    expect(sound).toMatchObject({ faults: [], notes: [], checkpoint: id, checkpointCount: 1 });
    expect(sound).toMatchObject({ segmentCount: 0, lsn: undefined });
    // What it does not stand on may be damaged.
    await store.flip(records.at(-1)!, 100);
    await store.flip((await segments(store))[0]!, segmentHeaderBytes + 200);
    expect((await verifyStoreWith({ dir, checkpoint: id }, store.components)).faults).toEqual([]);
    await store.flip(snapshot, 20);
    const { faults } = await verifyStoreWith({ dir, checkpoint: id }, store.components);
    expect(faults.map(({ path }) => path)).toEqual([snapshot]);
  });

  test('a checkpoint that is not there: CHECKPOINT_NOT_FOUND; its record damaged: a fault', async () => {
    const store = await filled();
    expect(await codeOf(store, { checkpoint: 999 })).toBe('CHECKPOINT_NOT_FOUND');
    const [record] = await pathsIn(store, 'checkpoints');
    await store.flip(record!, 100);
    const id = Number(/(\d+)\.json$/.exec(record!)![1]);
    const { faults } = await verifyStoreWith({ dir, checkpoint: id }, store.components);
    expect(faults.map(({ path }) => path)).toEqual([record]);
  });

  test('values that are none: INVALID_OPTION with the name', async () => {
    const store = await filled();
    expect(await codeOf(store, { level: 'most' as Verification })).toBe('level');
    expect(await codeOf(store, { checkpoint: 0 })).toBe('checkpoint');
    expect(await codeOf(store, { signal: {} as AbortSignal })).toBe('signal');
    expect(await codeOf(store, { timeoutMs: 0 })).toBe('timeoutMs');
    expect(await codeOf(store, { onProgress: 1 as never })).toBe('onProgress');
    expect(await codeOf(store, { depth: 1 } as object)).toBe('depth');
  });

  test('progress: grows up to all bytes; a signal ends the check in the middle', async () => {
    const store = await filled();
    const told: CopyProgress[] = [];
    const controller = new AbortController();
    const onProgress = (progress: CopyProgress): void => void told.push(progress);
    await verifyStoreWith({ dir, onProgress, signal: controller.signal }, store.components);
    expect(told.length).toBeGreaterThan(4);
    expect(told[0]).toMatchObject({ phase: 'verify', bytes: 0 });
    expect(told.map(({ bytes }) => bytes)).toEqual(
      told.map(({ bytes }) => bytes).toSorted((a, b) => a - b),
    );
    expect(told.at(-1)!.bytes).toBeGreaterThan(0);
    const seen = told.length;
    const stopping = (progress: CopyProgress): void => {
      told.push(progress);
      if (told.length === seen + 2) controller.abort();
    };
    const options = { onProgress: stopping, signal: controller.signal };
    expect(await codeOf(store, options)).toBe('ABORTED');
    expect(told.length).toBe(seen + 2);
    expect(await codeOf(store, { signal: controller.signal })).toBe('ABORTED');
  });

  test('timeoutMs: TIMEOUT when it is over; not set: never', async () => {
    const store = await filled();
    const clock = new ManualClock();
    const on = { fs: store.fs, clock };
    const onProgress = (): void => clock.advance(10);
    const limited = verifyStoreWith({ dir, timeoutMs: 15, onProgress }, on);
    await expect(limited).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect((await verifyStoreWith({ dir, onProgress }, on)).faults).toEqual([]);
  });
});
