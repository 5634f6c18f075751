/*
 * Puts of records that fail after the record is there: the disk then holds newer records than the
 * engine goes on from, and a collection must not take what it goes on from.
 */
import { expect, test } from 'vitest';
import { injected } from '../tools/faulty-file-system.ts';
import { noise, open, pathsIn, settle, worldOn } from './engine-fixture.ts';

test('records whose put failed at the last moment: what the engine goes on from stays', async () => {
  const world = worldOn();
  const engine = await open(world, { checkpointing: false, retention: { checkpoints: 1 } });
  engine.on('failure', () => {});
  const put = async (key: string): Promise<void> => {
    engine.operator('op').value('v').set(key, noise(100));
    await engine.commit();
    await engine.checkpoint();
    await settle();
  };
  await put('a');
  await put('b');
  for (let n = 0; n < 3; n++) {
    world.fs.before = ({ call, path }) => {
      if (call === 'syncDirectory' && path.endsWith('/checkpoints')) throw injected('EIO');
    };
    await engine.merge({ strategy: 'sequential' }).catch(() => {});
    world.fs.before = () => {};
    await engine.collect();
  }
  await put('c');
  await engine.collect();
  const files = await pathsIn(world.fs, 'snapshots');
  const newest = (await engine.checkpoints()).at(-1)!;
  for (const { name } of newest.chain) expect(files).toContain(`/store/${name}`);
  await engine.close();
  const again = await open(world, { checkpointing: false });
  expect(['a', 'b', 'c'].map((key) => again.operator('op').value('v').has(key))).toEqual([
    true,
    true,
    true,
  ]);
  await again.close();
});
