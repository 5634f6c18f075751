/*
 * Blobs: cut into chunks that are shared, counted and logged once.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { codeOf, noise, open, worldOn } from '../engine/engine-fixture.ts';

/** Bytes that a commit of the change put into the log. */
async function loggedBy(engine: Engine, change: () => void): Promise<number> {
  const before = engine.stats().log.bytes;
  change();
  await engine.commit();
  return engine.stats().log.bytes - before;
}

/** Entries of the newest base, the catalogue's aside. */
async function entriesOfBase(engine: Engine, definitions: number): Promise<number> {
  const { chain } = await engine.checkpoint({ kind: 'base' });
  expect(chain).toHaveLength(1);
  return chain[0]!.entryCount - definitions;
}

const large = { segmentBytesMax: 4 * 1024 * 1024 };

describe('blobs', () => {
  test.each([0, 1, 1000, 300_000, 3_000_000])(
    '%i bytes: come back exactly from memory, image and replay, as a copy',
    async (bytes) => {
      const world = worldOn();
      let engine = await open(world, large);
      const content = noise(bytes);
      for (const stage of ['open', 'committed', 'checkpointed', 'replayed']) {
        const blob = engine.operator('op').blob('b');
        if (stage === 'open') blob.set('k', content);
        if (stage === 'committed') await engine.commit();
        if (stage === 'checkpointed') await engine.checkpoint();
        if (stage === 'replayed') {
          blob.set('other', noise(10, 2));
          await engine.commit();
          await engine.close();
          engine = await open(world, large);
        }
        const found = engine.operator('op').blob('b').get('k')!;
        expect(Buffer.compare(found, content)).toBe(0);
        found.fill(1);
        expect(Buffer.compare(engine.operator('op').blob('b').get('k')!, content)).toBe(0);
      }
      await engine.close();
    },
  );

  test('a Buffer that is changed after set: the blob is what it was, in memory and in the log', async () => {
    const world = worldOn();
    let engine = await open(world);
    const content = Buffer.from(noise(50_000));
    engine.operator('op').blob('b').set('k', content);
    content.fill(0);
    expect(engine.operator('op').blob('b').get('k')).toEqual(noise(50_000));
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').blob('b').get('k')).toEqual(noise(50_000));
    await engine.close();
  });

  test('a byte is changed in a large blob: a few chunks are logged, not the blob', async () => {
    const engine = await open(worldOn(), large);
    const blob = engine.operator('op').blob('b');
    const content = noise(1_000_000);
    expect(await loggedBy(engine, () => blob.set('k', content))).toBeGreaterThan(1_000_000);
    content[500_000]! ^= 1;
    expect(await loggedBy(engine, () => blob.set('k', content))).toBeLessThan(200_000);
    await engine.checkpoint();
    await engine.commit();
    await engine.checkpoint();
    content[100]! ^= 1;
    expect(await loggedBy(engine, () => blob.set('k', content))).toBeLessThan(200_000);
    expect(Buffer.compare(blob.get('k')!, content)).toBe(0);
    await engine.close();
  });

  test('the same bytes under other keys, states and operators: their chunks are logged once', async () => {
    const engine = await open(worldOn(), large);
    const content = noise(500_000);
    engine.operator('op').blob('b').set('k', content);
    await engine.commit();
    for (const set of [
      () => engine.operator('op').blob('b').set('other', content),
      () => engine.operator('op').blob('c').set('k', content),
      () => engine.operator('another').blob('b').set('k', content),
      () => engine.operator('op').blob('b').set('k', content),
    ]) {
      expect(await loggedBy(engine, set)).toBeLessThan(20_000);
    }
    await engine.close();
  });

  test('references: chunks stay while one blob has them, and are in no base when none has', async () => {
    const world = worldOn();
    let engine = await open(world, large);
    const content = noise(200_000);
    const blob = () => engine.operator('op').blob('b');
    blob().set('one', content);
    blob().set('two', content);
    await engine.commit();
    const shared = await entriesOfBase(engine, 1);
    expect(shared).toBeGreaterThan(3);
    blob().delete('one');
    await engine.commit();
    expect(await entriesOfBase(engine, 1)).toBe(shared - 1);
    expect(Buffer.compare(blob().get('two')!, content)).toBe(0);
    blob().set('two', new Uint8Array(0));
    await engine.commit();
    // The manifest of the empty blob is all that is left.
    expect(await entriesOfBase(engine, 1)).toBe(1);
    await engine.close();
    engine = await open(world, large);
    expect(blob().get('two')).toEqual(new Uint8Array(0));
    blob().set('three', content);
    await engine.commit();
    await engine.close();
    engine = await open(world, large);
    expect(Buffer.compare(blob().get('three')!, content)).toBe(0);
    await engine.close();
  });

  test('a blob of one chunk again and again, set and deleted in one commit: counted right', async () => {
    const engine = await open(worldOn(), large);
    const blob = engine.operator('op').blob('b');
    const content = new Uint8Array(2_000_000);
    blob.set('k', content);
    blob.set('k', noise(10));
    blob.set('k', content);
    blob.set('k2', content);
    blob.delete('k');
    await engine.commit();
    await engine.checkpoint();
    expect(Buffer.compare(blob.get('k2')!, content)).toBe(0);
    blob.delete('k2');
    await engine.commit();
    expect(await entriesOfBase(engine, 1)).toBe(0);
    expect([blob.has('k'), blob.has('k2'), [...blob.keys()]]).toEqual([false, false, []]);
    await engine.close();
  });

  test('no bytes: INVALID_VALUE, nothing changed', async () => {
    const engine = await open(worldOn());
    const blob = engine.operator('op').blob('b');
    for (const bad of ['text', [1], new ArrayBuffer(1), new Uint16Array(1), undefined, null]) {
      expect(await codeOf(() => blob.set('k', bad as unknown as Uint8Array))).toBe('INVALID_VALUE');
    }
    expect(engine.stats().openChanges).toBe(0);
    await engine.close();
  });
});
