import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import type { NotedCall } from '../tools/faulty-file-system.ts';
import { errorOf, gate, open, settle, worldOn, type World } from './engine-fixture.ts';

const operators = ['airports', 'flights', 'routes'] as const;

/** A store with one base of three operators, a few blocks each, and no log behind it. */
async function stored(): Promise<World> {
  const world = worldOn();
  const engine = await open(world);
  for (const operator of operators) {
    const state = engine.operator(operator).value<string>('text');
    for (let i = 0; i < 2000; i++) state.set(i, `${operator} ${i} `.padEnd(150, 'x'));
  }
  engine.operator('routes').map<string, number>('map').set('key', 'one', 1);
  await engine.commit({ positions: { source: 7 } });
  await engine.checkpoint();
  await engine.close();
  return world;
}

function get(engine: Engine, operator: string, key: number): string | undefined {
  return engine.operator(operator).value<string>('text').get(key)?.trim().slice(0, 13);
}

const isSnapshot = ({ path }: NotedCall): boolean => path.includes('/snapshots/');

/** Opens, and notes in which order the slices of the base are read by tasks. */
async function opened(
  world: World,
  options: Partial<EngineOptions>,
): Promise<{ engine: Engine; handles: () => number }> {
  const { calls } = world.fs;
  calls.length = 0;
  const engine = await open(world, options);
  const count = (name: string): number =>
    calls.filter((call) => isSnapshot(call) && call.call === name).length;
  return { engine, handles: () => count('open') - count('close') };
}

describe('prefetch', () => {
  test('aggressive: all is in memory when the engine opens, and no block is read for a lookup', async () => {
    const world = await stored();
    const { engine, handles } = await opened(world, { prefetch: 'aggressive' });
    expect(engine.stats().residency).toEqual({ coldBytes: 0, cacheBytes: 0, blocksRead: 0 });
    expect(get(engine, 'routes', 1)).toMatch('routes 1 ');
    expect(engine.stats().residency.blocksRead).toBe(0);
    expect(handles()).toBe(0);
    await engine.close();
  });

  test('none: what is read is served from the file at once, and only its slice is loaded', async () => {
    const world = await stored();
    const { engine, handles } = await opened(world, { prefetch: 'none' });
    await settle();
    const before = engine.stats().residency;
    expect(before.coldBytes).toBeGreaterThan(900_000);
    expect(handles()).toBe(1);
    expect(get(engine, 'routes', 1)).toMatch('routes 1 ');
    expect(get(engine, 'routes', 5000)).toBeUndefined();
    expect(engine.stats().residency.blocksRead).toBeGreaterThan(before.blocksRead);
    await settle();
    const after = engine.stats().residency;
    expect(after.coldBytes).toBeLessThan(before.coldBytes - 300_000);
    expect(after.coldBytes).toBeGreaterThan(600_000);
    const { blocksRead } = after;
    for (let i = 0; i < 2000; i++) expect(get(engine, 'routes', i)).toMatch(`routes ${i}`);
    expect(engine.stats().residency.blocksRead).toBe(blocksRead);
    await engine.close();
    expect(handles()).toBe(0);
  });

  test.each(['sequential', 'adaptive'] as const)(
    '%s: everything is loaded behind the opening',
    async (prefetch) => {
      const world = await stored();
      const { engine, handles } = await opened(world, { prefetch });
      expect(engine.stats().residency.coldBytes).toBeGreaterThan(0);
      expect(engine.positions).toEqual({ source: 7 });
      await settle();
      expect(engine.stats().residency.coldBytes).toBe(0);
      expect(engine.stats().imageBytes).toBeGreaterThan(900_000);
      for (const operator of operators) expect(get(engine, operator, 9)).toMatch(`${operator} 9`);
      await engine.close();
      expect(handles()).toBe(0);
    },
  );

  test('scans, counts, views and clears over slices that are not in memory: what is stored', async () => {
    const world = await stored();
    const { engine } = await opened(world, { prefetch: 'none' });
    const routes = engine.operator('routes');
    const seen = new Set<unknown>();
    for (const [key] of routes.value('text').entries()) seen.add(key);
    expect(seen.size).toBe(2000);
    expect(engine.operator('flights').value('text').count()).toBe(2000);
    expect([...routes.map<string, number>('map').entries('key')]).toEqual([['one', 1]]);
    routes.map('map').clear('key');
    routes.value('text').delete(1);
    engine.operator('flights').value('text').delete(3);
    await engine.commit();
    await engine.checkpoint();
    expect([routes.map('map').get('key', 'one'), get(engine, 'routes', 1)]).toEqual([
      undefined,
      undefined,
    ]);
    const view = await engine.viewAt({ checkpoint: 1 });
    expect(view.operator('routes').value<string>('text').get(1)).toMatch('routes 1');
    await view.close();
    await engine.checkpoint({ kind: 'base' });
    expect([get(engine, 'flights', 3), get(engine, 'flights', 4)]).toEqual([
      undefined,
      expect.stringMatching('flights 4'),
    ]);
    await engine.close();
    const again = await open(world, { prefetch: 'aggressive' });
    expect(get(again, 'airports', 1999)).toMatch('airports 1999');
    expect(get(again, 'routes', 1)).toBeUndefined();
    await again.close();
  });

  test('a damaged catalogue or another reserved table: the opening passes the checkpoint over', async () => {
    const world = await stored();
    const engine = await open(world);
    engine.operator('routes').value('text').set(1, 'new');
    await engine.commit();
    const { chain } = await engine.checkpoint({ kind: 'base' });
    await engine.close();
    const path = `/store/${chain[0]!.name}`;
    const bytes = (await world.fs.contents()).get(path)!;
    const handle = await world.fs.open(path, 'write');
    // Behind the header stands the first slice, which is the catalogue's.
    await handle.write(new Uint8Array([bytes[200]! ^ 1]), 200);
    await handle.sync();
    await handle.close();
    const again = await open(world, { prefetch: 'adaptive' });
    expect([again.recovery.path, get(again, 'routes', 1)]).toEqual(['older', 'new']);
    await again.close();
  });

  test('a slice that cannot be loaded, and not because of damage: it is told, and served from the file', async () => {
    const world = await stored();
    const { engine } = await opened(world, { prefetch: 'none' });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    world.fs.before = (call) => {
      if (call.call === 'open' && isSnapshot(call)) {
        throw Object.assign(new Error('EMFILE: injected'), { code: 'EMFILE' });
      }
    };
    expect(get(engine, 'routes', 1)).toMatch('routes 1 ');
    await settle();
    expect(failures).toMatchObject([{ code: 'IO' }]);
    expect(get(engine, 'routes', 2)).toMatch('routes 2 ');
    world.fs.before = () => {};
    await engine.close();
  });
});

test('operators with priorities and dependencies: their states are loaded in this order', async () => {
  const world = await stored();
  const order = async (declared: EngineOptions['operators']): Promise<string[]> => {
    const { calls } = world.fs;
    const engine = await open(world, { prefetch: 'sequential', operators: declared ?? {} });
    calls.length = 0;
    await settle();
    const at = calls.filter((call) => isSnapshot(call) && call.call === 'read');
    const sizes = at.filter(({ bytes }) => bytes! > 20_000).map(({ position }) => position!);
    await engine.close();
    const first = [...new Set(sizes)].toSorted((a, b) => a - b);
    const groups = new Map(first.map((position, i) => [position, operators[Math.min(i, 2)]!]));
    return sizes.map((position) => groups.get(position)!);
  };
  expect(await order(undefined)).toEqual(['airports', 'flights', 'routes']);
  expect(await order({ routes: { priority: 1 } })).toEqual(['routes', 'airports', 'flights']);
  expect(await order({ airports: { after: ['flights'] }, flights: { after: ['routes'] } })).toEqual(
    ['routes', 'flights', 'airports'],
  );
});

describe('options', () => {
  test('values that cannot be: INVALID_OPTION with the path of the option', async () => {
    const refused = async (options: object): Promise<unknown> =>
      (await errorOf(open(worldOn(), options))).details['option'];
    expect(await refused({ prefetch: 'lazy' })).toBe('prefetch');
    expect(await refused({ prefetch: 'none', verification: 'full' })).toBe('prefetch');
    expect(await refused({ cacheBytesMax: 1000 })).toBe('cacheBytesMax');
    expect(await refused({ operators: 1 })).toBe('operators');
    expect(await refused({ operators: { a: 1 } })).toBe('operators');
    expect(await refused({ operators: { a: { before: [] } } })).toBe('operators.a.before');
    expect(await refused({ operators: { a: { priority: 0.5 } } })).toBe('operators.a.priority');
    expect(await refused({ operators: { a: { after: 'b' } } })).toBe('operators.a.after');
    const circle = { operators: { a: { after: ['b'] }, b: { after: ['a'] } } };
    expect(await refused(circle)).toBe('operators');
    expect((await errorOf(open(worldOn(), circle))).message).toContain('a after b after a');
  });

  test('cacheBytesMax: so much of what is not in memory is kept', async () => {
    const world = await stored();
    const read = async (cacheBytesMax: number): Promise<number> => {
      const fs = await world.fs.crash('kept');
      // Nothing is ever loaded whole, so that everything is read through the cache.
      fs.before = (call) => {
        if (call.call === 'open' && isSnapshot(call) && fs.calls.length > opens) {
          throw Object.assign(new Error('EMFILE: injected'), { code: 'EMFILE' });
        }
      };
      let opens = Number.MAX_SAFE_INTEGER;
      const engine = await open(worldOn(fs), { prefetch: 'none', cacheBytesMax });
      opens = 0;
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 2000; i += 7) {
          for (const operator of operators) get(engine, operator, i);
        }
      }
      const { cacheBytes, blocksRead } = engine.stats().residency;
      expect(cacheBytes).toBeLessThanOrEqual(cacheBytesMax);
      fs.before = () => {};
      await engine.close();
      return blocksRead;
    };
    expect(await read(1024 * 1024)).toBeGreaterThan(3 * (await read(64 * 1024 * 1024)));
  });
});

describe('engine.prefetch', () => {
  test('keys: their slices are in memory when it resolves, and no others', async () => {
    const world = await stored();
    const { engine } = await opened(world, { prefetch: 'none' });
    await settle();
    const before = engine.stats().residency.coldBytes;
    await engine.prefetch({ operator: 'routes', state: 'text', keys: [1, 2, 99_999] });
    const { coldBytes, blocksRead } = engine.stats().residency;
    expect(coldBytes).toBeLessThan(before - 300_000);
    expect(coldBytes).toBeGreaterThan(600_000);
    expect(get(engine, 'routes', 1)).toMatch('routes 1 ');
    expect(engine.stats().residency.blocksRead).toBe(blocksRead);
    await engine.close();
  });

  test('an operator, then everything; what is not there is no error', async () => {
    const world = await stored();
    const { engine } = await opened(world, { prefetch: 'none' });
    const before = engine.stats().residency.coldBytes;
    await engine.prefetch({ operator: 'none', state: 'text', keys: [1] });
    const wrong = { operator: 'flights', state: 'text', keys: [{} as never] };
    expect(await errorOf(engine.prefetch(wrong))).toMatchObject({
      code: 'INVALID_KEY',
      details: { operator: 'flights', state: 'text', what: 'key' },
    });
    await engine.prefetch({ operator: 'flights' });
    const { coldBytes } = engine.stats().residency;
    expect(coldBytes).toBeLessThan(before - 300_000);
    await Promise.all([engine.prefetch(), engine.prefetch()]);
    expect(engine.stats().residency.coldBytes).toBeLessThan(10_000);
    await engine.close();
    expect((await errorOf(engine.prefetch())).code).toBe('CLOSED');
  });

  test('a state that stays in its files: the blocks of the keys are in the cache', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('o').value<string>('v', { resident: false });
    for (let i = 0; i < 2000; i++) state.set(i, 'x'.repeat(200));
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    const again = await open(world);
    await settle();
    const keys = [3, 77, 1999, ...Array.from({ length: 40 }, (_, i) => i + 500)];
    await again.prefetch({ operator: 'o', state: 'v', keys });
    await again.prefetch({ operator: 'o', state: 'v' });
    const { blocksRead, coldBytes } = again.stats().residency;
    expect(coldBytes).toBeGreaterThan(400_000);
    const read = again.operator('o').value<string>('v', { resident: false });
    for (const key of keys) expect(read.get(key)).toHaveLength(200);
    expect(again.stats().residency.blocksRead).toBe(blocksRead);
    await again.close();
  });

  test.each([
    ['all', {}],
    ['keys', { operator: 'routes', state: 'text', keys: [1] }],
  ])('%s, and a state comes to stay in its files meanwhile: it resolves', async (_, request) => {
    const world = await stored();
    const { engine } = await opened(world, { prefetch: 'none', checkpointing: false });
    await settle();
    const held = gate();
    const reached = gate();
    world.fs.before = async (call) => {
      if (call.call !== 'open' || !isSnapshot(call)) return;
      reached.open();
      await held.passed;
    };
    const first = engine.prefetch({ operator: 'airports' });
    const second = engine.prefetch(request);
    await reached.passed;
    engine.operator('routes').value<string>('text', { resident: false }).set(1, 'new');
    await engine.commit();
    held.open();
    await Promise.all([first, second]);
    // Its slice is still where it was.
    expect(engine.stats().residency.coldBytes).toBeGreaterThan(300_000);
    expect(get(engine, 'routes', 1)).toBe('new');
    expect(get(engine, 'routes', 2)).toMatch('routes 2 ');
    await engine.close();
  });

  test('damage: it is thrown', async () => {
    const world = await stored();
    const path = [...(await world.fs.contents()).keys()].find((one) =>
      one.includes('/snapshots/'),
    )!;
    const bytes = await world.fs.read(path);
    bytes[Math.floor(bytes.length * 0.9)]! ^= 1;
    await world.fs.put(path, bytes);
    const { engine } = await opened(world, { prefetch: 'none' });
    expect((await errorOf(engine.prefetch())).code).toBe('CORRUPT_SNAPSHOT');
    await engine.close();
  });

  test('requests that cannot be: INVALID_OPTION, INVALID_KEY', async () => {
    const engine = await open(worldOn());
    const refused = async (request: object): Promise<unknown[]> => {
      const { code, details } = await errorOf(engine.prefetch(request));
      return [code, details['option']];
    };
    expect(await refused({ table: 1 })).toEqual(['INVALID_OPTION', 'table']);
    expect(await refused({ operator: '' })).toEqual(['INVALID_OPTION', 'operator']);
    expect(await refused({ state: 'v' })).toEqual(['INVALID_OPTION', 'state']);
    expect(await refused({ operator: 'o', keys: [1] })).toEqual(['INVALID_OPTION', 'keys']);
    const named = { operator: 'o', state: 'v' };
    expect(await refused({ ...named, keys: 'abc' })).toEqual(['INVALID_OPTION', 'keys']);
    expect(await refused({ ...named, keys: [null] })).toEqual(['INVALID_KEY', undefined]);
    await engine.close();
  });
});
