/*
 * Damage of a segment that several timelines have in common is one fault, whichever of them walks
 * over it, and whatever the walk knows of where it ends.
 */
import { expect, test } from 'vitest';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { dir, fill, TestStore } from './reader-store.ts';

/** Three timelines: the second leaves the first at LSN 5, the third goes back to its end. */
async function threeTimelines(): Promise<TestStore> {
  const store = new TestStore();
  const settings = { checkpointing: false, retention: false } as const;
  const engine = await store.open(settings);
  await fill(engine, 12);
  await engine.close();
  const second = await store.open({ ...settings, recoverTo: { lsn: 5 } });
  await fill(second, 3);
  await second.close();
  const third = await store.open({ ...settings, recoverTo: { lsn: 12, timeline: 1 } });
  await fill(third, 2);
  await third.close();
  return store;
}

test('a byte of a segment that three timelines share: no damage is told of twice', async () => {
  const store = await threeTimelines();
  const path = `${dir}/wal/0000000001-00000001.wal`;
  const content = await store.read(path);
  const used = content.findLastIndex((byte) => byte !== 0) + 1;
  const step = Math.max(1, Math.floor(used / 24));
  let found = 0;
  for (let offset = 0; offset < used; offset += step) {
    await store.flip(path, offset);
    const { faults } = await verifyStoreWith({ dir, level: 'standard' }, store.components);
    const places = faults.map((fault) => `${fault.path} ${fault.offset} ${fault.lsn}`);
    expect(new Set(places).size, `at ${offset}: ${places.join(', ')}`).toBe(places.length);
    if (faults.some((fault) => fault.path === path)) found++;
    await store.flip(path, offset);
  }
  expect(found).toBeGreaterThan(10);
  expect((await verifyStoreWith({ dir, level: 'standard' }, store.components)).faults).toEqual([]);
});
