/*
 * Collections without an engine: over the directory's own objects or a store that is given, as a dry
 * run beside a writer, and what is refused.
 */
import { describe, expect, test } from 'vitest';
import { collectStoreWith } from '../../src/engine/retention-store.ts';
import { openLogWith } from '../../src/wal/log.ts';
import { codeOf, digests, errorOf, worldOn, type World } from './engine-fixture.ts';
import { HeldStore } from './held-store.ts';
import { counts, expectSound, fill, opened, threeBases, write } from './retention-world.ts';

const dir = '/store';
const retention = { checkpoints: 1 };

async function filled(store?: HeldStore): Promise<World> {
  const world = worldOn();
  const engine = await opened(world, { retention: false, ...(store ? { store } : {}) });
  await fill(engine, threeBases);
  await engine.close();
  return world;
}

describe('collectStore', () => {
  test('it deletes what the options do not keep, and lets go of the lock', async () => {
    const world = await filled();
    const before = await counts(world.fs);
    const report = await collectStoreWith({ dir, retention }, world);
    const after = await counts(world.fs);
    expect(after.records).toBeLessThan(before.records);
    expect(after.segments).toBeLessThan(before.segments);
    expect(report.deletedObjects).toBe(
      before.records -
        after.records +
        before.snapshots -
        after.snapshots +
        before.segments -
        after.segments,
    );
    await expectSound(world);
    const engine = await opened(world);
    expect(engine.operator('op').value('v').get('last')).toBe(36);
    expect(await codeOf(collectStoreWith({ dir, retention }, world))).toBe('LOCKED');
    await engine.close();
  });

  test('no checkpoint of its own is published: the one before the newest stays (O5)', async () => {
    const world = await filled();
    const engine = await opened(world, { retention: false });
    const { id } = await engine.checkpoint({ metadata: 'the same chain' });
    await engine.close();
    const { plan } = await collectStoreWith({ dir, retention }, world);
    const line = plan.lines.find(({ name }) => name.endsWith(`${id - 1}.json`));
    expect(line).toMatchObject({ action: 'keep', rules: ['opening'] });
  });

  test('another store: its objects go, and it is neither opened nor closed', async () => {
    const objects = new HeldStore();
    const world = await filled(objects);
    const store = new HeldStore(objects.objects);
    const { deletedObjects, plan } = await collectStoreWith({ dir, store, retention }, world);
    expect(deletedObjects).toBeGreaterThan(0);
    const kinds = new Set(store.calls.map((call) => call.split(' ')[0]));
    expect(kinds).toEqual(new Set(['list', 'get', 'delete']));
    for (const { name, kind, action } of plan.lines) {
      if (kind !== 'segment') expect(store.objects.has(name)).toBe(action === 'keep');
    }
  });

  test('a dry run beside an engine: nothing is written, a snapshot without a record is let alone', async () => {
    const world = await filled();
    const engine = await opened(world, { retention: false });
    await write(engine);
    const before = await digests(world.fs);
    const report = await collectStoreWith({ dir, retention, dryRun: true }, world);
    expect([report.dryRun, report.deletedObjects]).toEqual([true, 0]);
    expect(report.plan.deletedBytes).toBeGreaterThan(0);
    expect(await digests(world.fs)).toEqual(before);
    const name = `snapshots/${'ab'.repeat(32)}-0000000099`;
    await world.fs.put(`${dir}/${name}`, new Uint8Array(5));
    const { plan } = await collectStoreWith({ dir, retention, dryRun: true }, world);
    expect(plan.lines.find((line) => line.name === name)).toMatchObject({ rules: ['unfinished'] });
    await engine.close();
  });

  test('a dry run: checkpoints that come meanwhile make it look again, at most a hundred times', async () => {
    const world = await filled();
    let id = 20;
    world.fs.before = async ({ call, path }) => {
      if (call !== 'list' || !path.endsWith('/snapshots') || id >= 23) return;
      await world.fs.put(`${dir}/checkpoints/00000000${id++}.dropped`, new Uint8Array(0));
    };
    const { plan } = await collectStoreWith({ dir, retention, dryRun: true }, world);
    expect(plan.lines.filter(({ kind }) => kind === 'dropped-mark')).toHaveLength(3);
    world.fs.before = async ({ call, path }) => {
      if (call !== 'list' || !path.endsWith('/snapshots')) return;
      await world.fs.put(`${dir}/checkpoints/0000000${100 + id++}.dropped`, new Uint8Array(0));
    };
    expect(await codeOf(collectStoreWith({ dir, retention, dryRun: true }, world))).toBe(
      'OVERLOADED',
    );
  });

  test('bad options: INVALID_OPTION names them; no store or a log: NOT_A_STORE, nothing is made', async () => {
    const world = await filled();
    const bad = [
      [{ dryRun: 1 }, 'dryRun'],
      [{ keep: 1 }, 'keep'],
      [{ retention: { checkpoints: 0 } }, 'retention.checkpoints'],
      [{ retention: 5 }, 'retention'],
      [{ store: {} }, 'store'],
    ] as const;
    for (const [options, name] of bad) {
      const error = await errorOf(collectStoreWith({ dir, ...options } as never, world));
      expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', name]);
    }
    expect(await codeOf(collectStoreWith({ dir: '/none' }, world))).toBe('NOT_A_STORE');
    expect(await world.fs.stat('/none')).toBeUndefined();
    const log = await openLogWith({ dir: '/log' }, world);
    await log.close();
    expect(await codeOf(collectStoreWith({ dir: '/log' }, world))).toBe('NOT_A_STORE');
  });
});
