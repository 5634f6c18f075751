/*
 * A power loss at every change to the disk that going back in place makes, and the first commits
 * behind it: the store is at its old end or at the target, never elsewhere; what was acknowledged on
 * the new timeline is there; and the future that was left can be read whole. With the steps in another
 * order the same test finds faults.
 */
import { describe, expect, test } from 'vitest';
import { putTimeline } from '../../src/checkpoint/timelines/timelines.ts';
import { decodeTimeline } from '../../src/checkpoint/timelines/timeline-record.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { TidemarkError } from '../../src/errors.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { open, worldOn, type World } from './engine-fixture.ts';

const plain = { checkpointing: false, retention: false } as const;

async function commit(engine: Engine, mark: string, count: number): Promise<void> {
  const value = engine.operator('op').value<string>('v');
  const waiting: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    const lsn = engine.stats().log.sealedLsn + 1;
    value.set('last', `${mark}${lsn}`);
    waiting.push(engine.commit());
  }
  await Promise.all(waiting);
}

/** A closed store with ten commits, the last seven in few groups; the mark a, the end LSN 10. */
async function ten(): Promise<FaultyFileSystem> {
  const world = worldOn();
  const engine = await open(world, plain);
  await commit(engine, 'a', 3);
  await engine.checkpoint();
  await commit(engine, 'a', 7);
  await engine.close();
  return world.fs;
}

const choices: readonly CrashChoice[] = ['dropped', new SeededRandom(3)];

interface Cut {
  readonly fs: FaultyFileSystem;
  /** LSN acknowledged on the new timeline; 0: none. */
  readonly acknowledged: number;
}

/** What is left by a loss of power before each change while a world is used. */
async function cutEverywhere(
  fs: FaultyFileSystem,
  act: (world: World, acknowledge: (lsn: number) => void) => Promise<void>,
): Promise<Cut[]> {
  const cuts: Promise<Cut>[] = [];
  let acknowledged = 0;
  fs.before = (call) => {
    if (!changes(call)) return;
    const now = acknowledged;
    for (const choice of choices) {
      cuts.push(fs.crash(choice).then((cut) => ({ fs: cut, acknowledged: now })));
    }
  };
  await act(worldOn(fs, undefined, 5), (lsn) => (acknowledged = lsn));
  fs.before = () => {};
  return Promise.all(cuts);
}

async function lastAt(
  world: World,
  at: Parameters<typeof openReaderWith>[0]['at'],
): Promise<unknown> {
  const reader = await openReaderWith({ dir: '/store', ...(at && { at }) }, world);
  try {
    // Before the first commit there is no state.
    if (reader.definitions().length === 0) return undefined;
    return reader.get('op', 'v', 'last')?.value;
  } finally {
    await reader.close();
  }
}

/** What is wrong with what a loss of power left; empty when nothing is. */
async function faultsOf(
  { fs, acknowledged }: Cut,
  target: number,
  isSynced = true,
): Promise<string[]> {
  const world = worldOn(fs, undefined, 99);
  try {
    const found: string[] = [];
    const before = await verifyStoreWith({ dir: '/store', level: 'full' }, world);
    // A seal mark that was on its way can be torn; the next opening of that timeline writes it anew.
    const lasting = before.faults.filter(({ what }) => what !== 'seal mark is damaged');
    found.push(...lasting.map(({ path, what }) => `${path}: ${what}`));
    const seen = await lastAt(world, undefined);
    const engine = await open(world, plain);
    const last = engine.operator('op').value<string>('v').get('last');
    const { timeline, lsn } = engine.recovery;
    await commit(engine, 'c', 1);
    await engine.checkpoint();
    await engine.close();
    if (last !== seen) found.push(`reader sees ${String(seen)}, engine ${String(last)}`);
    // What no sync has taken may be lost, while nobody has gone on from it.
    if (timeline === 1 && !isSynced && acknowledged === 0) return found;
    if (timeline === 1 && (last !== 'a10' || acknowledged > 0)) found.push(`1 is at ${last}`);
    const due = target === 0 ? undefined : `a${target}`;
    if (timeline > 1 && lsn === target && last !== due) found.push(`2 is at ${last}`);
    if (timeline > 1 && lsn > target && last !== `b${lsn}`) found.push(`2 is at ${last}`);
    if (timeline > 1 && lsn < Math.max(target, acknowledged)) found.push(`2 ends at ${lsn}`);
    if ((await lastAt(world, { lsn: 10, timeline: 1 })) !== 'a10') found.push('the future is gone');
    const after = await verifyStoreWith({ dir: '/store', level: 'full' }, world);
    found.push(...after.faults.map(({ path, what }) => `${path}: ${what}`));
    return found;
  } catch (error) {
    if (error instanceof TidemarkError) return [`${error.code}: ${error.message}`];
    throw error;
  }
}

async function rewindAndGoOn(
  world: World,
  acknowledge: (lsn: number) => void,
  options: Partial<EngineOptions>,
): Promise<void> {
  const engine = await open(world, { ...plain, ...options });
  await commit(engine, 'b', 2);
  acknowledge(engine.stats().log.durableLsn);
  await commit(engine, 'b', 1);
  await engine.close();
}

describe('power is lost while a store goes back in place', () => {
  test.each([0, 3, 6])('to LSN %i: it is at its old end, or there', async (lsn) => {
    const cuts = await cutEverywhere(await ten(), (world, acknowledge) =>
      rewindAndGoOn(world, acknowledge, { recoverTo: { lsn } }),
    );
    expect(cuts.length).toBeGreaterThan(20 * choices.length);
    const ends = new Set<number>();
    for (const cut of cuts) {
      expect(await faultsOf(cut, lsn)).toEqual([]);
      const { timeline } = await open(worldOn(cut.fs), plain).then(async (engine) => {
        await engine.close();
        return engine.recovery;
      });
      ends.add(timeline);
    }
    expect([...ends]).toEqual([1, 2]);
  });

  test('and was not all proved before: what was written stays, on either timeline', async () => {
    const world = worldOn();
    const engine = await open(world, { ...plain, durability: 'os' });
    await commit(engine, 'a', 3);
    await engine.checkpoint();
    // The last groups are written, and no sync takes them: only the opening that goes back can.
    const { fs } = world;
    fs.before = ({ call, path }) => {
      if (call === 'sync' && path.endsWith('.wal')) throw new Error('no sync');
    };
    await commit(engine, 'a', 7).catch(() => {});
    expect(engine.stats().log.appendedLsn).toBe(10);
    await expect(engine.close()).rejects.toThrow('LSN 3 of 10');
    fs.before = () => {};
    const cuts = await cutEverywhere(fs, (after, acknowledge) =>
      rewindAndGoOn(after, acknowledge, { recoverTo: { lsn: 7 } }),
    );
    expect(cuts.length).toBeGreaterThan(20 * choices.length);
    for (const cut of cuts) expect(await faultsOf(cut, 7, false)).toEqual([]);
  });

  test('were the segment there before the record, the opening behind a loss would be refused', async () => {
    const fs = await ten();
    await rewindAndGoOn(worldOn(fs, undefined, 5), () => {}, { recoverTo: { lsn: 5 } });
    const name = '/store/timelines/0000000002.json';
    const record = decodeTimeline((await fs.contents()).get(name)!, name);
    // The record of a timeline is put when its segment is there: so a loss before leaves no record.
    await fs.unlink(name);
    const found = await faultsOf({ fs: await fs.crash('kept'), acknowledged: 0 }, 5);
    expect(found.join()).toMatch(/timeline 2 is missing/);
    const store = new FileObjectStore(fs, '/store');
    await store.open();
    await putTimeline(store, record);
    expect(await faultsOf({ fs: await fs.crash('dropped'), acknowledged: 7 }, 5)).toEqual([]);
  });
});
