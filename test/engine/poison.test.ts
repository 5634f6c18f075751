/*
 * An error behind sealing: the engine stops taking commits, writes nothing more, and reopening finds
 * everything that was acknowledged (L11).
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { changes, injected } from '../tools/faulty-file-system.ts';
import { HeldStore } from './held-store.ts';
import {
  codeOf,
  digests,
  errorOf,
  gate,
  open,
  settle,
  worldOn,
  type World,
} from './engine-fixture.ts';

const put = (engine: Engine, value: number): Promise<unknown> => {
  engine.operator('op').value('v').set('k', value);
  return engine.commit();
};

function failWrites(world: World, call: 'write' | 'sync'): void {
  world.fs.before = (noted) => {
    if (noted.call === call && noted.path.endsWith('.wal')) throw injected('EIO');
  };
}

describe('an error after sealing', () => {
  test.each(['write', 'sync'] as const)(
    'a %s of the log fails: OUTCOME_UNKNOWN, then reads only, and a restart holds what was acknowledged',
    async (call) => {
      const world = worldOn();
      const engine = await open(world);
      const failures: unknown[] = [];
      engine.on('failure', (error) => failures.push(error));
      await put(engine, 1);
      await settle();
      failWrites(world, call);
      const pending = await Promise.all([errorOf(put(engine, 2)), errorOf(put(engine, 3))]);
      expect(pending.map(({ code, kind }) => [code, kind])).toEqual([
        ['OUTCOME_UNKNOWN', 'unknown'],
        ['OUTCOME_UNKNOWN', 'unknown'],
      ]);
      expect(pending.map(({ details }) => details['lsn'])).toEqual([2, 3]);
      expect(pending[0].cause).toMatchObject({ code: 'IO' });
      world.fs.before = () => {};
      const before = await digests(world.fs);
      const calls = world.fs.calls.length;
      // Reads may include what has an unknown outcome, and stats say so.
      expect(engine.operator('op').value('v').get('k')).toBe(3);
      expect(engine.stats().poisoned).toMatchObject({ code: 'IO' });
      expect(failures).toEqual([engine.stats().poisoned]);
      expect(await codeOf(engine.commit())).toBe('POISONED');
      expect(await codeOf(engine.transact(() => {}))).toBe('POISONED');
      expect(await codeOf(engine.checkpoint())).toBe('POISONED');
      expect(await codeOf(engine.dropSavepoint('s'))).toBe('POISONED');
      expect(await codeOf(() => engine.operator('op').value('v').set('k', 4))).toBe('POISONED');
      expect(await codeOf(() => engine.operator('op').list('l').append('k', 4))).toBe('POISONED');
      expect(await codeOf(() => engine.operator('op').map('m').clear('k'))).toBe('POISONED');
      expect(await codeOf(() => engine.operator('op').value('v').clearAll())).toBe('POISONED');
      world.clock.advance(5000);
      await settle();
      await engine.close();
      expect(world.fs.calls.slice(calls).filter(changes)).toEqual([]);
      expect(await digests(world.fs)).toEqual(before);
      const again = await open(worldOn(await world.fs.crash('dropped'), world.clock, 9));
      expect(again.operator('op').value('v').get('k')).toBe(1);
      expect((await again.commit()).lsn).toBe(2);
      await again.close();
      // The directory is free again, and holds what was acknowledged at the least.
      const here = await open(worldOn(world.fs, world.clock, 10));
      expect(here.operator('op').value<number>('v').get('k')).toBeGreaterThanOrEqual(1);
      await here.close();
    },
  );

  test('a checkpoint is being published meanwhile: it ends with POISONED, no record is put', async () => {
    const store = new HeldStore();
    const world = worldOn();
    const engine = await open(world, { store });
    engine.on('failure', () => {});
    await put(engine, 1);
    const held = gate();
    store.before = (call) => (call === 'put' ? held.passed : undefined);
    const taken = codeOf(engine.checkpoint());
    await settle();
    failWrites(world, 'sync');
    expect(await codeOf(put(engine, 2))).toBe('OUTCOME_UNKNOWN');
    held.open();
    expect(await taken).toBe('POISONED');
    expect([...store.objects.keys()].filter((name) => name.startsWith('check'))).toEqual([]);
    await engine.close();
  });

  test('a checkpoint waits for its commits to be durable: it is rejected', async () => {
    const world = worldOn();
    const engine = await open(world);
    engine.on('failure', () => {});
    await put(engine, 1);
    await settle();
    failWrites(world, 'sync');
    const commit = codeOf(put(engine, 2));
    const taken = errorOf(engine.checkpoint());
    expect(await commit).toBe('OUTCOME_UNKNOWN');
    expect((await taken).code).toBe('IO');
    await engine.close();
  });

  test('the last sync of close fails: close says so, the directory is free again', async () => {
    const world = worldOn();
    const engine = await open(world);
    engine.operator('op').value('v').set('k', 1);
    await engine.commit({ durability: 'os' });
    await settle();
    failWrites(world, 'sync');
    const error = await errorOf(engine.close());
    expect([error.code, error.kind]).toEqual(['SYNC_FAILED', 'unavailable']);
    expect(await errorOf(engine.close())).toBe(error);
    world.fs.before = () => {};
    await (await open(worldOn(world.fs, world.clock, 9))).close();
  });

  test('nobody listens: the failure is in stats', async () => {
    const world = worldOn();
    const engine = await open(world);
    await settle();
    failWrites(world, 'write');
    expect(await codeOf(put(engine, 1))).toBe('OUTCOME_UNKNOWN');
    expect(engine.stats().failure).toBe(engine.stats().poisoned);
    await engine.close();
  });
});
