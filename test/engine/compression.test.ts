/*
 * Compression of an engine: by store, by state, with a codec of the user's own, inline and in
 * threads.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openEngine, type CompressionOption, type Engine } from '../../src/engine/index.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { codeOf, errorOf, open, pathsIn, worldOn, type World } from './engine-fixture.ts';

const moduleOf = (name: string): URL => new URL(`../codec/modules/${name}.mjs`, import.meta.url);
const codecs = [{ name: 'reversing', module: moduleOf('reversing') }];
const text = (n: number): string => `value ${n} `.repeat(300);

async function fill(engine: Engine, state: string, compression?: CompressionOption): Promise<void> {
  const options = compression === undefined ? {} : { compression };
  const value = engine.operator('op').value<string>(state, options);
  for (let n = 0; n < 40; n++) value.set(n, text(n));
  await engine.commit();
}

/** Codecs of the first block of each user's table in the newest snapshot. */
async function codecsIn(world: World): Promise<Record<number, number>> {
  const paths = await pathsIn(world.fs, 'snapshots');
  const newest = paths.toSorted((a, b) => a.slice(-10).localeCompare(b.slice(-10))).at(-1)!;
  const handle = await world.fs.open(newest, 'read');
  const reader = await SnapshotReader.open(handle, newest);
  const found: Record<number, number> = {};
  for (const [i, { table }] of reader.footer.slices.entries()) {
    if (table >= 16) found[table] ??= (await reader.readBlockTable(i))[0]!.codec;
  }
  await handle.close();
  return found;
}

describe('compression of a store', () => {
  test('with its level: a higher one makes a smaller snapshot', async () => {
    const sizes: number[] = [];
    for (const level of [1, 9]) {
      const engine = await open(worldOn(), { compression: { codec: 'gzip', level } });
      await fill(engine, 'a');
      sizes.push((await engine.checkpoint()).chain[0]!.bytes);
      await engine.close();
    }
    expect(sizes[1]).toBeLessThan(sizes[0]!);
  });

  test('bytesMin: blocks below it stay as they are', async () => {
    const found: unknown[] = [];
    for (const bytesMin of [0, 65_537]) {
      const world = worldOn();
      const engine = await open(world, { compression: { codec: 'brotli', bytesMin } });
      await fill(engine, 'a');
      await engine.checkpoint();
      found.push(await codecsIn(world));
      await engine.close();
    }
    expect(found).toEqual([{ 16: 5 }, { 16: 0 }]);
  });

  test('bad ones: INVALID_OPTION with the path of what is wrong', async () => {
    const pathOf = async (compression: unknown): Promise<unknown> => {
      const error = await errorOf(open(worldOn(), { compression: compression as 'lz4' }));
      return [error.code, error.details['option']];
    };
    expect(await pathOf({ codec: 'own' })).toEqual(['INVALID_OPTION', 'compression.codec']);
    expect(await pathOf({ codec: 'zstd', level: 20 })).toEqual([
      'INVALID_OPTION',
      'compression.level',
    ]);
    expect(await pathOf({ codec: 'lz4', level: 1 })).toEqual([
      'INVALID_OPTION',
      'compression.level',
    ]);
  });
});

describe('compression of a state', () => {
  test('of every kind that takes it; the store has its own elsewhere', async () => {
    const world = worldOn();
    const engine = await open(world, { compression: 'snappy' });
    const operator = engine.operator('op');
    const many = Array.from({ length: 40 }, (_, n) => n);
    const value = operator.value('a', { compression: { codec: 'zstd', level: 7 } });
    const map = operator.map('b', { compression: 'gzip' });
    const list = operator.list('c', { compression: 'lz4', itemsMax: 100 });
    const counter = operator.counter('d', { compression: { codec: 'brotli', bytesMin: 0 } });
    const plain = operator.value('e');
    for (const n of many) {
      value.set(n, text(n));
      map.set('k', n, text(n));
      list.append('k', text(n));
      counter.add(n, 1);
      plain.set(n, text(n));
    }
    await engine.commit();
    await engine.checkpoint();
    expect(await codecsIn(world)).toEqual({ 16: 3, 17: 4, 18: 1, 19: 5, 20: 2 });
    await engine.close();
  });

  test('changed: the next snapshots have it, and older ones are read as before', async () => {
    const world = worldOn();
    let engine = await open(world);
    await fill(engine, 'a', 'zstd');
    await engine.checkpoint();
    expect(await codecsIn(world)).toEqual({ 16: 3 });
    await fill(engine, 'a', 'gzip');
    await engine.checkpoint();
    expect(await codecsIn(world)).toEqual({ 16: 4 });
    await engine.close();
    engine = await open(world);
    await fill(engine, 'b');
    await engine.checkpoint({ kind: 'base' });
    // What the state was given last holds until it is asked for without it.
    expect(await codecsIn(world)).toEqual({ 16: 4, 17: 1 });
    await fill(engine, 'a');
    await engine.checkpoint({ kind: 'base' });
    expect(await codecsIn(world)).toEqual({ 16: 1, 17: 1 });
    expect(engine.operator('op').value('a').get(7)).toBe(text(7));
    await engine.close();
  });

  test('bad ones, and any for a blob, whose chunks belong to all: INVALID_OPTION', async () => {
    const engine = await open(worldOn());
    const operator = engine.operator('op');
    const badLevel = { compression: { codec: 'zstd', level: 0 } };
    const error = await errorOf(() => operator.value('a', badLevel));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'compression.level']);
    const asBlob = { compression: 'lz4' } as unknown as Record<string, never>;
    expect(await codeOf(() => operator.blob('b', asBlob))).toBe('INVALID_OPTION');
    await engine.close();
  });
});

describe('a codec of the user', () => {
  test('inline: written, listed in the file, and read again', async () => {
    const world = worldOn();
    let engine = await open(world, { codecs, compression: 'reversing' });
    await fill(engine, 'a');
    const record = await engine.checkpoint();
    expect(record.compression).toEqual({ codec: 'reversing' });
    expect(await codecsIn(world)).toEqual({ 16: 128 });
    await engine.close();
    engine = await open(world, { codecs });
    expect(engine.operator('op').value('a').get(7)).toBe(text(7));
    await engine.close();
  });

  test('that lies: the checkpoint fails with CODEC_FAILED, and the old chain stays', async () => {
    const world = worldOn();
    const lying = { name: 'lying', module: moduleOf('lying') };
    const engine = await open(world, { codecs: [lying] });
    await fill(engine, 'a');
    await engine.checkpoint();
    await fill(engine, 'b', 'lying');
    expect(await codeOf(engine.checkpoint())).toBe('CODEC_FAILED');
    expect(await pathsIn(world.fs, 'snapshots')).toHaveLength(1);
    await fill(engine, 'b', 'lz4');
    expect((await engine.checkpoint()).chain).toHaveLength(2);
    await engine.close();
  });

  test('in threads: written, merged and loaded there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-codec-'));
    try {
      for (let opening = 0; opening < 3; opening++) {
        const engine = await openEngine({ dir, codecs, compression: 'reversing' });
        if (opening > 0) expect(engine.operator('op').value('a').get(7)).toBe(text(7));
        await fill(engine, 'a');
        await engine.checkpoint({ kind: opening === 1 ? 'base' : 'delta' });
        await engine.close();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
