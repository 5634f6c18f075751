import { expect, test } from 'vitest';
import type { EngineOptions } from '../../src/engine/index.ts';
import { flipByte } from '../tools/flip-byte.ts';
import { noise, onlyPath, open, worldOn } from './engine-fixture.ts';

const count = 3000;
const options: Partial<EngineOptions> = {
  prefetch: 'none',
  // The least: sixteen blocks.
  cacheBytesMax: 1024 * 1024,
  compression: 'none',
  checkpointing: false,
};

test('a listener reads other states when damage is told: what they hold is served, then and later', async () => {
  const world = worldOn();
  const first = await open(world, options);
  for (let i = 0; i < count; i++) {
    first.operator('o').value('bad', { resident: false }).set(i, noise(900, i));
    first
      .operator('o')
      .value('good', { resident: false })
      .set(i, noise(900, count + i));
  }
  await first.commit();
  await first.checkpoint();
  await first.close();
  const snapshot = await onlyPath(world.fs, 'snapshots');
  const bytes = Buffer.from(await world.fs.read(snapshot));
  await flipByte(world.fs, snapshot, bytes.indexOf(Buffer.from(noise(900, 500))) + 10);

  const engine = await open(world, options);
  const good = engine.operator('o').value('good');
  const bad = engine.operator('o').value('bad');
  const isGood = (i: number): boolean =>
    Buffer.compare(good.get(i) as Uint8Array, noise(900, count + i)) === 0;
  let told = 0;
  engine.on('damage', ({ outcome }) => {
    if (outcome !== 'found') return;
    told++;
    for (let i = 0; i < count; i++) expect(isGood(i)).toBe(true);
  });
  expect(() => bad.get(500)).toThrow('checksum');
  expect(told).toBe(1);
  for (let i = 0; i < count; i++) expect(isGood(i)).toBe(true);
  expect(engine.stats().failedListeners).toBe(0);
  await engine.close();
});
