/*
 * Options: unknown and bad ones are refused by name, and each one's value changes something.
 */
import { describe, expect, test } from 'vitest';
import type { EngineOptions } from '../../src/engine/index.ts';
import { codeOf, errorOf, noise, open, pathsIn, settle, worldOn } from './engine-fixture.ts';

describe('options of openEngine', () => {
  const bad: [keyof EngineOptions, unknown[]][] = [
    ['dir', ['', 1, undefined, 'a\0b']],
    ['store', [{}, 'file', null]],
    ['durability', ['never', 'replicated', 1, null]],
    ['recover', ['yes', 1, null]],
    ['checks', ['yes', 1, null]],
    ['types', [{}, 'x', null]],
    ['memtableBytesMax', [0, 1024, 1.5, Number.NaN, '65536', 2 ** 53]],
    ['compression', ['gzip2', 1, null]],
    ['codecs', [{}, [null], [{ name: 'Own', module: '/x' }], [{ name: 'own' }]]],
    ['keyGroups', [0, 3, 131_072, 1.5, '4', null]],
    ['segmentBytesMax', [0, 100, 2 ** 31, '4096']],
    ['groupBytesMax', [0, 2 ** 31]],
    ['groupRecordsMax', [0, -1]],
    ['undurableBytesMax', [0, -1]],
    ['recordBytesMax', [0, 2 ** 31]],
    ['commitBytesMax', [0, 2 ** 31]],
  ];

  test.each(bad)(
    '%s with bad values: INVALID_OPTION names it, nothing is made',
    async (name, values) => {
      for (const value of values) {
        const world = worldOn();
        const error = await errorOf(open(world, { [name]: value }));
        // Of a list the path says which of them.
        const option = String(error.details['option']).replace(/[[.].*$/, '');
        expect([value, error.code, option]).toEqual([value, 'INVALID_OPTION', name]);
        expect(await digestsEmpty(world)).toBe(true);
      }
    },
  );

  test('unknown ones: INVALID_OPTION names it', async () => {
    for (const name of ['memtableBytes', 'sync', 'constructor']) {
      const error = await errorOf(open(worldOn(), { [name]: 1 }));
      expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', name]);
    }
    const { openEngine } = await import('../../src/engine/index.ts');
    expect(await codeOf(openEngine(null as unknown as EngineOptions))).toBe('INVALID_OPTION');
    expect(await codeOf(openEngine('dir' as unknown as EngineOptions))).toBe('INVALID_OPTION');
  });

  test('a record above a commit: refused as the contradiction that it is', async () => {
    const error = await errorOf(open(worldOn(), { recordBytesMax: 5000, commitBytesMax: 4096 }));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'recordBytesMax']);
  });

  test('keyGroups: fixed when the store is made, another one is refused by name', async () => {
    const world = worldOn();
    await (await open(world, { keyGroups: 8 })).close();
    const error = await errorOf(open(world, { keyGroups: 16 }));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'keyGroups']);
    expect(error.message).toMatch(/8/);
    const engine = await open(world, { keyGroups: 8 });
    expect((await engine.checkpoint()).keyGroups).toBe(8);
    await engine.close();
  });

  test('written with one set of options: opens with another', async () => {
    const world = worldOn();
    const first = { compression: 'none', segmentBytesMax: 64 * 1024, groupBytesMax: 2048 } as const;
    let engine = await open(world, { ...first, memtableBytesMax: 64 * 1024, groupRecordsMax: 1 });
    for (let n = 0; n < 20; n++) {
      engine.operator('op').value('v').set(n, noise(3000, n));
      await engine.commit();
      if (n % 6 === 0) await engine.checkpoint();
    }
    await engine.close();
    engine = await open(world, {
      compression: 'lz4',
      segmentBytesMax: 1024 * 1024,
      durability: 'os',
    });
    for (let n = 0; n < 20; n++) {
      expect(engine.operator('op').value('v').get(n)).toEqual(noise(3000, n));
    }
    await engine.checkpoint({ kind: 'base' });
    await engine.close();
    engine = await open(world, first);
    expect(engine.operator('op').value('v').count()).toBe(20);
    await engine.close();
  });

  test('compression: snapshots are smaller with lz4 than with none', async () => {
    const sizes: number[] = [];
    for (const codec of ['none', 'lz4'] as const) {
      const engine = await open(worldOn(), { compression: codec });
      engine.operator('op').value('v').set('k', 'a'.repeat(50_000));
      await engine.commit();
      const record = await engine.checkpoint();
      sizes.push(record.chain[0]!.bytes);
      expect(record.compression).toEqual({ codec });
      await engine.close();
    }
    expect(sizes[1]).toBeLessThan(sizes[0]! / 5);
  });

  test('segmentBytesMax: smaller segments rotate sooner', async () => {
    const rotations: number[] = [];
    for (const segmentBytesMax of [64 * 1024, 1024 * 1024]) {
      const engine = await open(worldOn(), { segmentBytesMax });
      for (let n = 0; n < 40; n++) {
        engine.operator('op').value('v').set('k', noise(40_000));
        await engine.commit();
        await settle(2);
      }
      rotations.push(engine.stats().log.rotations);
      await engine.close();
    }
    expect(rotations[0]).toBeGreaterThan(rotations[1]! + 5);
  });

  test.each([
    ['groupRecordsMax', 1],
    ['groupBytesMax', 1024],
  ] as const)('%s: commits at once go out in more groups', async (name, value) => {
    const groups: number[] = [];
    for (const options of [{}, { [name]: value }]) {
      const engine = await open(worldOn(), options);
      const before = engine.stats().log.groups;
      const state = engine.operator('op').value('v');
      const commits = Array.from({ length: 20 }, (_, n) => {
        state.set('k', noise(600, n));
        return engine.commit();
      });
      await Promise.all(commits);
      groups.push(engine.stats().log.groups - before);
      await engine.close();
    }
    expect([groups[0], groups[1]]).toEqual([1, 20]);
  });

  test('undurableBytesMax: past twice it a commit is refused with OVERLOADED', async () => {
    const engine = await open(worldOn(), { undurableBytesMax: 4096 });
    const state = engine.operator('op').value('v');
    const commits = Array.from({ length: 10 }, (_, n) => {
      state.set('k', noise(3000, n));
      return engine.commit().then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
    });
    const outcomes = await Promise.all(commits);
    expect(outcomes.slice(0, 2)).toEqual(['done', 'done']);
    expect(outcomes.at(-1)).toBe('OVERLOADED');
    await engine.commit();
    await engine.close();
  });
});

test.each([
  ['retention', 5, 'must be false or an object of rules: 5'],
  ['checkpointing', true, "must be false, 'low', 'medium', 'high' or an object: true"],
  ['checkpointing', 'fast', "must be false, 'low', 'medium', 'high' or an object: \"fast\""],
  ['restoreTimeMax', 2, 'is unknown; did you mean restoreBytesMax or restoreSecondsMax'],
])('%s, %j: the refusal says what there is instead', async (name, value, why) => {
  const error = await errorOf(open(worldOn(), { [name]: value }));
  expect(error.message).toBe(`option ${name} ${why}`);
});

async function digestsEmpty(world: ReturnType<typeof worldOn>): Promise<boolean> {
  return (await world.fs.contents()).size === 0 && (await pathsIn(world.fs, '')).length === 0;
}
