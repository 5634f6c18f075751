/*
 * The copy that is kept before anything of a store is given up: it stays what it was, whatever becomes
 * of the store, and is a store itself.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { repairStoreWith } from '../../src/engine/repair-store.ts';
import { settledSegments } from '../../src/wal/sealed-segments.ts';
import { noise, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { cutEverywhere, flipIn, flipInLog, fourCommits, shortLog } from './damaged-worlds.ts';

const dir = '/store';
const kept = '/store/given-up/0001';

/** Files of a store, by the path inside it; its copies, and the lock, aside. */
async function filesOf({ fs }: World, directory = dir): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [path, bytes] of await fs.contents()) {
    const name = path.slice(directory.length + 1);
    if (!path.startsWith(`${directory}/`) || name === 'LOCK') continue;
    if (name.startsWith('given-up')) continue;
    found.set(name, Buffer.from(bytes).toString('base64'));
  }
  return found;
}

function put(engine: Engine, value: unknown): Promise<unknown> {
  engine.operator('op').value('v').set('k', value);
  return engine.commit();
}

/** What an application does to a store that was mended: openings, commits, rotations, collections. */
async function goOn(world: World): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const engine = await open(world, { ...shortLog, retention: { checkpoints: 1 } });
    for (let n = 0; n < 20; n++) await put(engine, noise(1500, n));
    await engine.checkpoint({ kind: 'base' });
    await engine.collect();
    await engine.close();
  }
}

async function valueOf(world: World, options: Partial<EngineOptions> = {}): Promise<unknown> {
  const engine = await open(world, { ...shortLog, ...options });
  const value = engine.operator('op').value('v').get('k');
  await engine.close();
  return value;
}

describe('the copy of a store', () => {
  test('behind a repair that loses nothing: what it was to the byte, after all that follows', async () => {
    const world = await fourCommits();
    await flipIn(world, 'snapshots', 'third');
    const before = await filesOf(world);
    expect((await repairStoreWith({ dir }, world)).keptIn).toBe(kept);
    await goOn(world);
    const after = await filesOf(world, kept);
    for (const [name, bytes] of before) expect([name, after.get(name)]).toEqual([name, bytes]);
    expect(await valueOf(world, { dir: kept })).toBe('fourth');
    expect(await valueOf(world)).toEqual(noise(1500, 19));
  });

  test('behind a loss: the same, and it is damaged as the store was', async () => {
    const world = await fourCommits();
    await flipInLog(world, 'fourth');
    const before = await filesOf(world);
    const { loss } = await repairStoreWith({ dir }, world);
    await goOn(world);
    const after = await filesOf(world, kept);
    for (const [name, bytes] of before) expect([name, after.get(name)]).toEqual([name, bytes]);
    const copy = await open(world, { ...shortLog, dir: kept, acceptLoss: true });
    expect(copy.recovery.loss).toMatchObject({ lost: loss?.lost });
    await copy.close();
    expect(await valueOf(world)).toEqual(noise(1500, 19));
  });

  test('the copy is written in: the store stays what it was', async () => {
    const world = await fourCommits();
    await flipIn(world, 'snapshots', 'third');
    await repairStoreWith({ dir }, world);
    const before = await filesOf(world);
    const copy = await open(world, { ...shortLog, dir: kept });
    await put(copy, 'elsewhere');
    await copy.close();
    const after = await filesOf(world);
    for (const [name, bytes] of before) expect([name, after.get(name)]).toEqual([name, bytes]);
  });
});

describe('segments that are never written again', () => {
  test('wherever the power goes: what is called settled is as it was after the next openings', async () => {
    const world = worldOn();
    const first = await open(world, shortLog);
    await put(first, 'first');
    await first.close();
    const cuts = await cutEverywhere(world, ['dropped', 'kept'], async () => {
      const engine = await open(world, shortLog);
      for (let n = 0; n < 15; n++) await put(engine, noise(1500, n));
      await engine.close();
      const second = await open(world, shortLog);
      await put(second, 'second');
      await second.close();
    });
    let settledMost = 0;
    let changing = 0;
    for (const fs of cuts.filter((_, i) => i % 3 === 0)) {
      const cut = worldOn(fs, undefined, 9);
      const settled = await settledSegments(fs, '/store/wal');
      const before = await filesOf(cut);
      const again = await open(cut, shortLog);
      await put(again, 'again');
      await again.close();
      await valueOf(cut);
      const after = await filesOf(cut);
      for (const [name, bytes] of before) {
        const segment = name.startsWith('wal/') ? name.slice(4) : undefined;
        if (segment === undefined || !after.has(name)) continue;
        if (settled.has(segment)) expect(after.get(name)).toBe(bytes);
        else if (after.get(name) !== bytes) changing++;
      }
      settledMost = Math.max(settledMost, settled.size);
    }
    expect(settledMost).toBeGreaterThan(1);
    expect(changing).toBeGreaterThan(cuts.length / 6);
    expect((await pathsIn(world.fs, 'wal')).length).toBeGreaterThan(settledMost);
  });
});
