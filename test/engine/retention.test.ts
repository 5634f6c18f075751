/*
 * Retention of an open engine: when it runs, what each option changes, and what it never deletes.
 */
import { describe, expect, test } from 'vitest';
import type { CollectionReport, Engine } from '../../src/engine/index.ts';
import { pinsOf } from '../../src/checkpoint/retention/retention-pins.ts';
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

  test('R3: whichever one snapshot or record is lost, what is kept still gives the last commit', async () => {
    const world = worldOn();
    const engine = await opened(world, { retention: { checkpoints: 1 }, maxChainLength: 4 });
    for (let i = 0; i < 12; i++) {
      await write(engine, 2);
      // Some are made while a merge runs: their deltas are behind both bases.
      await Promise.all([engine.checkpoint(), write(engine, 1).then(() => engine.checkpoint())]);
    }
    await settle();
    const { plan } = await engine.collect();
    expect(plan.hold).toBeUndefined();
    expect(plan.retained.logFromLsn).toBeGreaterThan(1);
    const records = await engine.checkpoints();
    await engine.close();
    const names = records.flatMap(({ chain }) => chain.map(({ name }) => name));
    let tried = 0;
    for (const lost of new Set([...names, ...records.map(({ id }) => id)])) {
      const fs = await world.fs.crash('kept');
      for (const { id, chain } of records) {
        if (id !== lost && chain.every(({ name }) => name !== lost)) continue;
        await fs.remove(`/store/checkpoints/${String(id).padStart(10, '0')}.json`);
      }
      const again = await opened(worldOn(fs, undefined, 2));
      expect(again.operator('op').value('v').get('last')).toBe(36);
      await again.close();
      tried++;
    }
    expect(tried).toBeGreaterThan(6);
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
      await write(brief);
      // Published while it closes.
      const taken = brief.checkpoint({ kind: 'base' });
      await brief.close();
      await taken;
    }
    // Each base comes with a delta: two bases, and what does without them.
    expect((await counts(world.fs)).records).toBeLessThanOrEqual(4);
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
