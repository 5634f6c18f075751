import { expect, test } from 'vitest';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { errorOf, open, worldOn, type World } from './engine-fixture.ts';

/** A closed store on a disk that has so much left. */
async function nearlyFull(freeBytes: number): Promise<World> {
  const world = worldOn(new FaultyFileSystem({ capacityBytes: 2_000_000 }));
  await world.fs.makeDirectory('/ballast');
  const engine = await open(world);
  engine.operator('op').value('v').set('k', 'kept');
  await engine.commit();
  await engine.close();
  await world.fs.put('/ballast/file', new Uint8Array(world.fs.freeBytes('/') - freeBytes));
  return world;
}

test('a disk has less than an opening asks for: the store opens, and refuses only what has no room', async () => {
  const world = await nearlyFull(16_000);
  const engine = await open(world);
  const value = engine.operator('op').value('v');
  expect(value.get('k')).toBe('kept');
  value.set('k', 'small');
  await engine.commit();
  value.set('k', 'large'.repeat(200_000));
  const error = await errorOf(engine.commit());
  expect(error).toMatchObject({ code: 'NO_SPACE' });
  engine.rollback();
  expect(value.get('k')).toBe('small');
  await engine.close();
});

test('a disk has not even the least: NO_SPACE says how much is needed and free', async () => {
  const world = await nearlyFull(4000);
  const error = await errorOf(open(world));
  expect(error).toMatchObject({ code: 'NO_SPACE', details: { free: 4000, needed: 128 + 8192 } });
  await world.fs.remove('/ballast/file');
  const engine = await open(world);
  expect(engine.operator('op').value('v').get('k')).toBe('kept');
  await engine.close();
});
