/*
 * Retention of an open engine: when it runs, what each option changes, and what it never deletes.
 */
import { describe, expect, test } from 'vitest';
import type { CollectionReport, Engine, EngineOptions } from '../../src/engine/index.ts';
import { pinsOf } from '../../src/checkpoint/retention-pins.ts';
import { injected } from '../tools/faulty-file-system.ts';
import { codeOf, errorOf, gate, open, pathsIn, settle, worldOn } from './engine-fixture.ts';
import { HeldStore } from './held-store.ts';
import {
  collected,
  counts,
  expectSound,
  fill,
  idsOf,
  opened,
  threeBases,
  tiny,
  write,
} from './retention-world.ts';

describe('collections of an open engine', () => {
  test('checkpoints are taken: what the default keeps stays, the rest goes by itself', async () => {
    const world = worldOn();
    const engine = await opened(world);
    const reports: CollectionReport[] = [];
    engine.on('collect', (report) => reports.push(report));
    await fill(engine, threeBases);
    await collected(engine);
    // 9 and 12 are the bases that the rule is about; each base comes with a delta before it.
    const ids = await idsOf(engine);
    expect(ids.at(-1)).toBe(11);
    expect(ids[0]).toBeGreaterThan(1);
    const { deletedObjects, deletedBytes, collections, retained } = engine.stats().retention;
    expect(collections).toBe(reports.length);
    expect(reports.length).toBeGreaterThan(0);
    expect(deletedObjects).toBe(reports.reduce((sum, report) => sum + report.deletedObjects, 0));
    expect(deletedBytes).toBeGreaterThan(0);
    expect(retained).toEqual(reports.at(-1)!.plan.retained);
    expect(retained!.logFromLsn).toBeGreaterThan(1);
    await engine.close();
    await expectSound(world);
    const again = await opened(world);
    expect(again.operator('op').value('v').get('last')).toBe(36);
    await again.close();
  });

  test('the whole chain and log go round many times: what is on disk stays bounded', async () => {
    const world = worldOn();
    const engine = await opened(world, { maxChainLength: 4, retention: { checkpoints: 1 } });
    const sizes: number[] = [];
    for (let round = 0; round < 40; round++) {
      await fill(engine, ['delta']);
      await settle();
      await collected(engine);
      sizes.push([...(await world.fs.contents()).values()].reduce((sum, b) => sum + b.length, 0));
    }
    expect(Math.max(...sizes.slice(20))).toBeLessThan(Math.max(...sizes.slice(0, 20)) * 1.5);
    expect((await counts(world.fs)).records).toBeLessThan(16);
    await engine.close();
    await expectSound(world);
  });

  test('collect: the plan of a dry run is what the run deletes, and nothing is left to do', async () => {
    const world = worldOn();
    const all = await opened(world, { retention: false });
    await fill(all, threeBases);
    await write(all);
    expect((await idsOf(all)).length).toBe(11);
    const off = await all.collect();
    expect([off.plan.hold, off.deletedObjects]).toEqual(['retention is off', 0]);
    await all.close();
    const engine = await opened(world, { retention: { checkpoints: 2 } });
    const before = await counts(world.fs);
    const dry = await engine.collect({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, deletedObjects: 0, deletedBytes: 0 });
    expect(await counts(world.fs)).toEqual(before);
    const run = await engine.collect();
    expect(run.plan.lines).toEqual(dry.plan.lines);
    const going = dry.plan.lines.filter(({ action }) => action === 'delete');
    expect(run.deletedObjects).toBe(going.length);
    expect(run.deletedBytes).toBe(dry.plan.deletedBytes);
    const paths = [...(await world.fs.contents()).keys()];
    for (const { name } of going) expect(paths).not.toContain(`/store/${name}`);
    for (const { name, action } of dry.plan.lines) {
      if (action === 'keep') expect(paths).toContain(`/store/${name}`);
    }
    expect(new Set(going.map(({ kind }) => kind))).toEqual(
      new Set(['record', 'snapshot', 'segment']),
    );
    expect((await engine.collect()).deletedObjects).toBe(0);
    await engine.close();
    await expectSound(world);
  });

  test('O5: an opening keeps what the newest record might fail, until it has published its own', async () => {
    const world = worldOn();
    const first = await opened(world, { retention: false });
    await fill(first, ['delta', 'base', 'delta']);
    await first.checkpoint({ metadata: { same: 'chain' } });
    await first.close();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    const ids = await idsOf(engine);
    const newest = ids.at(-1)!;
    const before = await engine.collect();
    const line = before.plan.lines.find(({ name }) => name.includes(`${newest - 1}.json`))!;
    expect(line).toMatchObject({ action: 'keep' });
    expect(line.rules).toContain('opening');
    await write(engine);
    await engine.checkpoint();
    const { plan } = await engine.collect({ dryRun: true });
    expect(plan.lines.flatMap(({ rules }) => rules)).not.toContain('opening');
    await engine.close();
  });

  test('savepoints stay until they are dropped', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await write(engine);
    const { id } = await engine.checkpoint({ savepoint: 'kept' });
    await fill(engine, threeBases);
    await engine.collect();
    expect((await idsOf(engine))[0]).toBe(id);
    await engine.dropSavepoint('kept');
    await engine.collect();
    expect((await idsOf(engine))[0]).toBeGreaterThan(id);
    expect((await pathsIn(world.fs, 'checkpoints')).some((p) => p.endsWith('.dropped'))).toBe(
      false,
    );
    await engine.close();
    await expectSound(world);
  });

  test('a record is collected while records are listed: it is none of them', async () => {
    const world = worldOn();
    const engine = await opened(world);
    await fill(engine, ['delta', 'delta']);
    await collected(engine);
    world.fs.before = async ({ call, path }) => {
      if (call !== 'open' || !path.endsWith('0000000001.json')) return;
      world.fs.before = () => {};
      await world.fs.remove(path);
    };
    expect(await idsOf(engine)).toEqual([2]);
    await engine.close();
  });

  test('a pin of this process keeps a checkpoint and its files', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, ['delta']);
    const unpin = pinsOf(world.fs, '/store').add({ recordId: 1, reason: 'a test reads it' });
    await fill(engine, threeBases);
    const { plan } = await engine.collect();
    expect(plan.lines[0]).toMatchObject({ action: 'keep', rules: ['pin'], why: 'a test reads it' });
    expect(engine.stats().retention.pins).toBe(1);
    unpin();
    await engine.collect();
    expect(await idsOf(engine)).not.toContain(1);
    await engine.close();
  });

  test('a record cannot be read: it stays, with all that it may name', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await fill(engine, ['delta', 'delta']);
    await engine.close();
    const path = (await pathsIn(world.fs, 'checkpoints'))[0]!;
    const bytes = await world.fs.read(path);
    bytes[20]! ^= 1;
    await world.fs.put(path, bytes);
    const again = await opened(world, { retention: { checkpoints: 1 } });
    await fill(again, threeBases);
    const { plan } = await again.collect();
    const damaged = plan.lines.filter(({ rules }) => rules.includes('damaged'));
    expect(damaged.map(({ kind, action }) => `${kind} ${action}`)).toEqual([
      'record keep',
      'snapshot keep',
    ]);
    await again.close();
    expect(await pathsIn(world.fs, 'checkpoints')).toContain(path);
  });
});

describe('options of retention', () => {
  /** Ids that stay of the same history under other options. */
  async function kept(options: Partial<EngineOptions>, msBetween = 0): Promise<number[]> {
    const world = worldOn();
    world.clock.advance(Date.UTC(2026, 10, 18, 12));
    const engine = await opened(world, { ...options });
    for (const kind of threeBases) {
      await fill(engine, [kind]);
      world.clock.advance(msBetween);
    }
    await engine.collect();
    const ids = await idsOf(engine);
    await engine.close();
    await expectSound(world);
    return ids;
  }

  test('retention.checkpoints: more of them stay', async () => {
    expect(await kept({ retention: { checkpoints: 1 } })).toEqual([8, 9, 10, 11].slice(-4));
    expect((await kept({ retention: { checkpoints: 6 } })).length).toBeGreaterThan(5);
    expect(await kept({})).toEqual(await kept({ retention: { checkpoints: 5 } }));
  });

  test('retention: false keeps everything', async () => {
    expect(await kept({ retention: false })).toHaveLength(11);
  });

  test('retention.ageMs: younger ones stay', async () => {
    const few = await kept({ retention: { checkpoints: 1, ageMs: 1 } }, 1000);
    const more = await kept({ retention: { checkpoints: 1, ageMs: 7000 } }, 1000);
    expect(more.length).toBeGreaterThan(few.length);
    expect(more).toEqual(expect.arrayContaining(few));
  });

  test('retention.schedule: the newest of each hour stays', async () => {
    const half = 30 * 60_000;
    const few = await kept({ retention: { checkpoints: 1 } }, half);
    const more = await kept({ retention: { checkpoints: 1, schedule: { hourly: 4 } } }, half);
    expect(more.length).toBeGreaterThan(few.length);
  });

  test('retention.windowMs: the log from the start of the window stays', async () => {
    const logFrom = async (windowMs: number): Promise<number> => {
      const world = worldOn();
      const engine = await opened(world, { retention: { checkpoints: 1, windowMs } });
      for (const kind of ['delta', 'delta', 'delta', ...threeBases] as const) {
        await fill(engine, [kind]);
        world.clock.advance(1000);
      }
      const { plan } = await engine.collect();
      await engine.close();
      await expectSound(world);
      return plan.retained.logFromLsn;
    };
    const without = await logFrom(0);
    const some = await logFrom(7500);
    expect(some).toBeLessThan(without);
    expect(some).toBeGreaterThan(1);
    expect(await logFrom(60_000)).toBe(1);
  });

  test('cleanupMs: collects by time, and not when it is false', async () => {
    for (const cleanupMs of [5000, false] as const) {
      const world = worldOn();
      const engine = await opened(world, { cleanupMs });
      await fill(engine, threeBases);
      await collected(engine);
      const { collections } = engine.stats().retention;
      for (let i = 1; i <= 3; i++) {
        world.clock.advance(5000);
        await collected(engine);
        const more = cleanupMs === false ? 0 : i;
        expect(engine.stats().retention.collections).toBe(collections + more);
      }
      await engine.close();
      world.clock.advance(5000);
      await settle();
      expect(world.clock.timerCount).toBe(0);
    }
  });

  test('the settings in force are in the record', async () => {
    const world = worldOn();
    const retention = { checkpoints: 3, ageMs: 5, windowMs: 7, schedule: { daily: 2 } };
    const engine = await opened(world, { retention });
    await write(engine);
    const { retention: stored } = await engine.checkpoint();
    expect(stored).toEqual({
      ...retention,
      schedule: { hourly: 0, daily: 2, weekly: 0, monthly: 0 },
    });
    await engine.close();
    const off = await opened(world, { retention: false });
    await write(off);
    expect((await off.checkpoint()).retention).toBeUndefined();
    await off.close();
  });

  const bad: [string, Partial<EngineOptions>][] = [
    ['retention', { retention: true as unknown as false }],
    ['retention', { retention: null as unknown as false }],
    ['retention.keep', { retention: { keep: 1 } as object }],
    ['retention.checkpoints', { retention: { checkpoints: 0 } }],
    ['retention.checkpoints', { retention: { checkpoints: 1.5 } }],
    ['retention.ageMs', { retention: { ageMs: -1 } }],
    ['retention.windowMs', { retention: { windowMs: Number.POSITIVE_INFINITY } }],
    ['retention.schedule', { retention: { schedule: null as unknown as object } }],
    ['retention.schedule.yearly', { retention: { schedule: { yearly: 1 } as object } }],
    ['retention.schedule.daily', { retention: { schedule: { daily: -1 } } }],
    ['cleanupMs', { cleanupMs: 0 }],
    ['cleanupMs', { cleanupMs: 2 ** 31 }],
    ['cleanupMs', { cleanupMs: true as unknown as false }],
    ['cleanupMs', { cleanupMs: 1000, retention: false }],
  ];
  test.each(bad)('a bad %s: INVALID_OPTION names it', async (option, options) => {
    const error = await errorOf(open(worldOn(), options));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
  });

  test('collect with bad options: INVALID_OPTION', async () => {
    const engine = await opened(worldOn());
    expect(await codeOf(engine.collect({ dry: true } as object))).toBe('INVALID_OPTION');
    expect(await codeOf(engine.collect({ dryRun: 1 as unknown as boolean }))).toBe(
      'INVALID_OPTION',
    );
    await engine.close();
    expect(await codeOf(engine.collect())).toBe('CLOSED');
  });
});

describe('collections that fail or are cut off', () => {
  test('a deletion fails: a failure event, and the next collection goes on', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: false });
    await fill(engine, threeBases);
    await engine.close();
    const again = await opened(world, { retention: { checkpoints: 1 } });
    const failures: unknown[] = [];
    again.on('failure', (error) => failures.push(error));
    world.fs.before = ({ call, path }) => {
      if (call === 'unlink' && path.includes('/snapshots/')) throw injected('EIO');
    };
    await write(again);
    await again.checkpoint();
    await collected(again);
    expect(failures).toMatchObject([{ code: 'IO' }]);
    expect(await codeOf(again.collect())).toBe('IO');
    expect(failures).toHaveLength(1);
    world.fs.before = () => {};
    expect((await again.collect()).deletedObjects).toBeGreaterThan(0);
    expect((await again.collect()).deletedObjects).toBe(0);
    await again.close();
    await expectSound(world);
  });

  test('the engine is poisoned in the middle: nothing more is deleted', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: false });
    await fill(engine, threeBases);
    await engine.close();
    const again = await opened(world, { retention: { checkpoints: 1 } });
    let unlinks = 0;
    const poisoned = gate();
    world.fs.before = async ({ call, path }) => {
      if (call === 'write' && path.endsWith('.wal')) throw injected('EIO');
      if (call !== 'unlink') return;
      unlinks++;
      await poisoned.passed;
    };
    const collecting = errorOf(again.collect());
    await settle();
    expect(await codeOf(write(again, 1))).toBe('OUTCOME_UNKNOWN');
    poisoned.open();
    expect((await collecting).code).toBe('POISONED');
    expect(unlinks).toBe(1);
    expect(await codeOf(again.collect())).toBe('POISONED');
    world.fs.before = () => {};
    await again.close().catch(() => {});
    await expectSound(world);
  });

  test('another writer has published: nothing is deleted any more', async () => {
    const world = worldOn();
    const store = new HeldStore();
    const engine = await opened(world, { store, retention: false });
    await fill(engine, threeBases);
    await engine.close();
    const again = await opened(world, {
      store: new HeldStore(store.objects),
      retention: { checkpoints: 1 },
      cleanupMs: 1000,
    });
    const failures: unknown[] = [];
    again.on('failure', (error) => failures.push(error));
    const newest = [...store.objects.keys()]
      .filter((name) => name.endsWith('.json'))
      .sort()
      .at(-1)!;
    const next = newest.replace(/\d+/, (id) => String(Number(id) + 1).padStart(10, '0'));
    store.objects.set(next, store.objects.get(newest)!);
    await write(again);
    expect(await codeOf(again.checkpoint())).toBe('FENCED');
    const before = [...store.objects.keys()];
    expect(await codeOf(again.collect())).toBe('FENCED');
    world.clock.advance(1000);
    await settle();
    expect([...store.objects.keys()]).toEqual(before);
    expect(failures).toEqual([]);
    await again.close();
  });

  test('the engine is closed in the middle, or right after a checkpoint: the collection ends first', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: false });
    await fill(engine, threeBases);
    await engine.close();
    const again = await opened(world, { retention: { checkpoints: 1 } });
    const held = gate();
    world.fs.before = async ({ call, path }) => {
      if (call === 'unlink' && path.includes('/checkpoints/')) await held.passed;
    };
    const collecting = again.collect();
    await settle();
    let ended = false;
    const closed = again.close().then(() => {
      ended = true;
    });
    await settle();
    expect(ended).toBe(false);
    held.open();
    expect((await collecting).deletedObjects).toBeGreaterThan(0);
    await closed;
    await expectSound(world);
    for (let i = 0; i < 10; i++) {
      const brief = await opened(world, { retention: { checkpoints: 1 } });
      await fill(brief, ['base']);
      await brief.close();
    }
    expect((await counts(world.fs)).records).toBeLessThan(10);
    await expectSound(world);
  });

  test('another store: a put that may still arrive keeps its snapshot until the next opening', async () => {
    const world = worldOn();
    const store = new HeldStore();
    const engine = await opened(world, { store, retention: { checkpoints: 1 } });
    await fill(engine, ['delta', 'base']);
    store.before = (call, name) => {
      if (call === 'putIfAbsent' && name.endsWith('.json')) throw injected('EIO');
    };
    await write(engine);
    expect(await codeOf(engine.checkpoint())).toBe('IO');
    store.before = () => {};
    await fill(engine, ['base', 'base', 'base']);
    const { plan } = await engine.collect();
    const unfinished = plan.lines.filter(({ rules }) => rules.includes('unfinished'));
    expect(unfinished).toHaveLength(1);
    expect(store.objects.has(unfinished[0]!.name)).toBe(true);
    await engine.close();
    const again = await opened(world, { store: new HeldStore(store.objects) });
    await write(again);
    await again.checkpoint();
    expect(store.objects.has(unfinished[0]!.name)).toBe(false);
    await again.close();
  });

  test('checkpoints and commits go on beside a collection', async () => {
    const world = worldOn();
    const engine: Engine = await opened(world, { retention: false });
    await fill(engine, threeBases);
    await engine.close();
    const again = await opened(world, { retention: { checkpoints: 1 } });
    const held = gate();
    world.fs.before = async ({ call, path }) => {
      if (call === 'unlink' && path.includes('/snapshots/')) await held.passed;
    };
    const collecting = again.collect();
    await settle();
    await fill(again, ['delta', 'base']);
    held.open();
    expect((await collecting).deletedObjects).toBeGreaterThan(0);
    await again.close();
    await expectSound(world);
    const reopened = await open(world, tiny);
    expect(reopened.operator('op').value('v').get('last')).toBe(44);
    await reopened.close();
  });
});
