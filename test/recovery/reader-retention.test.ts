/*
 * What readers see of a store from which much has been collected: what is open stays readable, what
 * is gone is said to be gone, and none of it is a fault.
 */
import { describe, expect, test } from 'vitest';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith, type ReaderComponents } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { errorOf, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { fill, opened, threeBases } from '../engine/retention-world.ts';

const dir = '/store';

describe('a reader beside a collecting engine', () => {
  test('what it has opened stays readable when it is collected, state and commits alike', async () => {
    const world = worldOn();
    // As in another process: nothing is pinned for it but by its open files.
    const elsewhere = anotherProcess(world);
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, ['delta', 'delta']);
    const reader = await openReaderWith({ dir }, elsewhere);
    const commits = reader.commits();
    expect((await commits.next()).value).toMatchObject({ lsn: 1 });
    await fill(engine, ['delta', 'delta', ...threeBases]);
    await engine.collect();
    const { retained } = engine.stats().retention;
    expect(retained!.logFromLsn).toBeGreaterThan(8);
    expect((await pathsIn(world.fs, 'wal'))[0]).not.toContain('0000000001');
    const rest: number[] = [];
    for await (const { lsn } of commits) rest.push(lsn);
    expect(rest).toEqual([2, 3, 4, 5, 6, 7, 8]);
    expect(reader.get('op', 'v', 'last')?.value).toBe(8);
    // What it has not opened yet is gone.
    const error = await errorOf(async () => {
      for await (const commit of reader.commits({ from: 2 })) expect(commit).toBeUndefined();
    });
    expect(error).toMatchObject({ code: 'OUT_OF_RETENTION' });
    expect(error.details).toMatchObject({ from: 2, firstLsn: retained!.logFromLsn });
    await reader.close();
    await engine.close();
  });

  test('of this process: its checkpoint and the log that it reads are kept until it is done', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, ['delta', 'delta']);
    const reader = await openReaderWith({ dir }, world);
    const commits = reader.commits({ from: 3 });
    await commits.next();
    await fill(engine, ['delta', 'delta', ...threeBases]);
    const held = await engine.collect();
    const whys = held.plan.lines.filter(({ rules }) => rules.includes('pin')).map(({ why }) => why);
    expect(whys.join()).toContain('a reader of this process');
    expect(held.plan.retained.logFromLsn).toBe(1);
    expect(engine.stats().retention.pins).toBe(2);
    await commits.return(undefined);
    await reader.close();
    await reader.close();
    expect(engine.stats().retention.pins).toBe(0);
    const released = await engine.collect();
    expect(released.plan.retained.logFromLsn).toBeGreaterThan(8);
    await engine.close();
  });
});

describe('a store that was collected from', () => {
  test('inspect shows what is retained; verify says what was given up, and finds no fault', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 2 } });
    await fill(engine, threeBases);
    await engine.collect();
    const { retained } = engine.stats().retention;
    await engine.close();
    const found = await inspectStoreWith({ dir }, world);
    expect(found.retained).toEqual(retained);
    expect(found.retention).toMatchObject({ checkpoints: 2, windowMs: 0 });
    expect(found.log.trimmedBelow).toBe(retained!.logFromLsn);
    const { faults, notes, trimmedBelow } = await verifyStoreWith({ dir }, world);
    expect({ faults, notes, trimmedBelow }).toEqual({
      faults: [],
      notes: [],
      trimmedBelow: retained!.logFromLsn,
    });
  });

  test('nothing was collected: verify says so, and everything is retained', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: false });
    await fill(engine, ['delta']);
    await engine.close();
    const found = await inspectStoreWith({ dir }, world);
    expect(found.retention).toBeUndefined();
    expect(found.retained).toMatchObject({ logFromLsn: 1, fromLsn: 0, checkpointCount: 1 });
    expect((await verifyStoreWith({ dir }, world)).trimmedBelow).toBeUndefined();
  });
});

/** The same files by another object. */
function anotherProcess(world: World): ReaderComponents {
  const { fs, clock } = world;
  const other = Object.create(fs) as FaultyFileSystem;
  for (const name of ['open', 'list', 'stat', 'freeBytes'] as const) {
    Object.defineProperty(other, name, { value: fs[name].bind(fs) });
  }
  return { fs: other, clock };
}
