/*
 * A power loss at every change that a collection makes to the disk: whatever was on its way, the
 * store is whole. Every record that is there can be restored, everything acknowledged is read, a
 * dropped savepoint stays dropped, and the next collection finishes. The same in an order other than
 * that of the rules shows faults: the test can fail.
 */
import { describe, expect, test } from 'vitest';
import { CheckpointStore } from '../../src/checkpoint/checkpoint-store.ts';
import { Inventory } from '../../src/checkpoint/retention/collector-inventory.ts';
import { carryOut } from '../../src/checkpoint/retention/collector.ts';
import {
  planRetention,
  type RetentionPlan,
} from '../../src/checkpoint/retention/retention-plan.ts';
import { retentionDefault } from '../../src/checkpoint/retention/retention-settings.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { toHex } from '../../src/std/bytes.ts';
import { FileObjectStore } from '../../src/store/file-store.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { worldOn } from './engine-fixture.ts';
import { opened, threeBases, write } from './retention-world.ts';

const one = { checkpoints: 1 };

/** A closed store with much to collect: three bases, a savepoint that was dropped, segments. */
async function filled(): Promise<FaultyFileSystem> {
  const world = worldOn();
  for (const kind of ['savepoint', ...threeBases] as const) {
    // Each opening has a segment of its own.
    const engine = await opened(world, { retention: false });
    await write(engine, 4, 500);
    if (kind === 'savepoint') await engine.checkpoint({ savepoint: 'dropped' });
    else await engine.checkpoint({ kind });
    await engine.close();
  }
  const engine = await opened(world, { retention: false });
  await engine.dropSavepoint('dropped');
  await engine.close();
  return world.fs;
}

/** What a loss leaves: nothing that was not synced, or some of it. */
const choices: readonly CrashChoice[] = ['dropped', new SeededRandom(7)];

/** Cuts the power before every change that an action makes; what is left, in every way. */
async function cutEverywhere(
  fs: FaultyFileSystem,
  act: () => Promise<unknown>,
): Promise<FaultyFileSystem[]> {
  const cuts: Promise<FaultyFileSystem>[] = [];
  fs.before = (call) => {
    if (changes(call)) for (const choice of choices) cuts.push(fs.crash(choice));
  };
  await act();
  fs.before = () => {};
  return Promise.all(cuts);
}

/** What is wrong with a store after a power loss; empty when nothing is. */
async function faultsOf(fs: FaultyFileSystem, value: number): Promise<string[]> {
  const world = worldOn(fs, undefined, 99);
  const before = await verifyStoreWith({ dir: '/store' }, world);
  const found = before.faults.map(({ path, what }) => `${path}: ${what}`);
  if (found.length > 0) return found;
  const engine = await opened(world, { retention: one });
  const last = engine.operator('op').value('v').get('last');
  if (last !== value) found.push(`value is ${String(last)}`);
  if ((await engine.checkpoints()).some(({ savepoint, dropped }) => savepoint && !dropped)) {
    found.push('a savepoint that was dropped is one again');
  }
  await engine.collect();
  const { plan } = await engine.collect({ dryRun: true });
  for (const { name, action, why } of plan.lines) {
    if (action === 'delete') found.push(`was not collected: ${name}: ${why}`);
  }
  await engine.close();
  const after = await verifyStoreWith({ dir: '/store' }, world);
  found.push(...after.faults.map(({ path, what }) => `after: ${path}: ${what}`));
  return found;
}

describe('a power loss in the middle of a collection', () => {
  test('at every change of the disk: nothing that was acknowledged or kept is lost', async () => {
    const world = worldOn(await (await filled()).crash('kept'), undefined, 2);
    const engine = await opened(world, { retention: one });
    let deleted = 0;
    const cuts = await cutEverywhere(world.fs, async () => {
      ({ deletedObjects: deleted } = await engine.collect());
    });
    await engine.close();
    expect(deleted).toBeGreaterThan(10);
    expect(cuts.length).toBeGreaterThan(deleted * choices.length);
    for (const cut of cuts) expect(await faultsOf(cut, 40)).toEqual([]);
  });

  /** Carries a changed plan out, under power losses; what the first that shows a fault shows. */
  async function swapped(change: (plan: RetentionPlan) => RetentionPlan): Promise<string[]> {
    const fs = await (await filled()).crash('kept');
    const store = new FileObjectStore(fs, '/store');
    const identity = (await readIdentity(fs, '/store'))!;
    const checkpoints = new CheckpointStore(store, toHex(identity.storeId));
    const source = {
      fs,
      logDirectory: '/store/wal',
      storeId: checkpoints.storeId,
      get: (name: string) => checkpoints.object(name),
      list: (prefix: string) => checkpoints.objects(prefix),
      readRecord: (id: number) => checkpoints.read(id),
    };
    const plan = planRetention({
      inventory: await new Inventory(source).take(),
      now: 0,
      settings: { ...retentionDefault, ...one },
      pins: [],
      newestFound: undefined,
      unfinished: () => false,
    });
    const cuts = await cutEverywhere(fs, () =>
      carryOut(change(plan), {
        ...source,
        deleteObject: (name) => checkpoints.remove(name),
        assertMayDelete: () => {},
        forgetBelow: () => {},
      }),
    );
    for (const cut of cuts) {
      const found = await faultsOf(cut, 40);
      if (found.length > 0) return found;
    }
    return [];
  }

  test('R1 snapshots before records: a record names what is gone', async () => {
    const found = await swapped((plan) => ({ ...plan, lines: plan.lines.toReversed() }));
    expect(found.join('\n')).toContain('snapshot is missing');
  });

  test('marks before records: a dropped savepoint is one again', async () => {
    const found = await swapped((plan) => ({
      ...plan,
      lines: plan.lines.toSorted(
        (a, b) => Number(b.kind === 'dropped-mark') - Number(a.kind === 'dropped-mark'),
      ),
    }));
    expect(found).toContain('a savepoint that was dropped is one again');
  });

  test('segments without a low-water record above them: a hole', async () => {
    const before = { timeline: 1, lsn: 1, segment: 1 };
    const found = await swapped((plan) => ({ ...plan, lowWater: before }));
    expect(found.join('\n')).toContain('segment is missing');
  });
});
