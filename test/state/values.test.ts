/*
 * Values on their way into a commit: what is refused and how, sizes, values that are changed behind
 * the engine's back, classes as values, and code of the user that runs while a commit is encoded.
 */
import { describe, expect, test } from 'vitest';
import type { TypeDefinition } from '../../src/engine/index.ts';
import { codeOf, errorOf, noise, open, worldOn } from '../engine/engine-fixture.ts';

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

const point: TypeDefinition = {
  name: 'point',
  class: Point,
  encode: (value) => (value as Point).x,
  decode: (data) => new Point(data as number),
  version: 1,
};

test('update with what is no function: INVALID_CALL names the state, nothing changed', async () => {
  const engine = await open(worldOn());
  const state = engine.operator('op').value('v');
  const error = await errorOf(() => state.update('k', 5 as never));
  expect([error.code, error.details]).toEqual(['INVALID_CALL', { operator: 'op', state: 'v' }]);
  expect(error.message).toContain('op.v takes a function: this is a number');
  expect(engine.stats().openChanges).toBe(0);
  await engine.close();
});

describe('a value that cannot be stored', () => {
  test('in a value, a map and a list: INVALID_VALUE says where, the transaction is still open', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const value = op.value('v');
    const map = op.map<string>('m');
    const list = op.list('l');
    value.set('good', 1);
    const bad = { a: [{ b: () => {} }] };
    const places: [() => void, () => void, object][] = [
      [() => value.set('k', bad), () => value.set('k', 0), { state: 'v', key: 'k' }],
      [
        () => map.set('k', 's', bad),
        () => map.set('k', 's', 0),
        { state: 'm', key: 'k', subKey: 's' },
      ],
      [() => list.append('k', bad), () => list.clear('k'), { state: 'l', key: 'k' }],
    ];
    for (const [spoil, mend, where] of places) {
      spoil();
      const error = await errorOf(engine.commit());
      expect(error).toMatchObject({ code: 'INVALID_VALUE', kind: 'invalid' });
      expect(error.details).toMatchObject({ operator: 'op', ...where });
      expect(error.details['path']).toMatch(/a.*0.*b/);
      expect(engine.sealedLsn).toBe(0);
      expect(value.get('good')).toBe(1);
      mend();
    }
    expect((await engine.commit()).lsn).toBe(1);
    expect([value.get('good'), value.get('k'), list.get('k')]).toEqual([1, 0, []]);
    await engine.close();
  });

  test('metadata that cannot be stored: refused, not sealed', async () => {
    const engine = await open(worldOn());
    expect(await codeOf(engine.commit({ metadata: new Point(1) }))).toBe('INVALID_VALUE');
    expect(engine.sealedLsn).toBe(0);
    await engine.commit({ metadata: { at: new Date(0), big: 1n } });
    await engine.close();
  });
});

describe('sizes', () => {
  test('key and value above recordBytesMax: RECORD_TOO_LARGE, the transaction is still open', async () => {
    const engine = await open(worldOn(), { recordBytesMax: 2000 });
    const value = engine.operator('op').value('v');
    const map = engine.operator('op').map<string>('m');
    for (const spoil of [
      () => value.set('k', 'x'.repeat(2001)),
      () => value.set('k'.repeat(1500), 'x'.repeat(600)),
      () => map.set('k'.repeat(900), 's'.repeat(900), 'x'.repeat(300)),
    ]) {
      spoil();
      const error = await errorOf(engine.commit());
      expect([error.code, error.details['operator']]).toEqual(['RECORD_TOO_LARGE', 'op']);
      expect(engine.stats().openChanges).toBe(1);
      engine.rollback();
    }
    value.set('k'.repeat(900), 'x'.repeat(1000));
    expect((await engine.commit()).lsn).toBe(1);
    await engine.close();
  });

  test('a commit above commitBytesMax: COMMIT_TOO_LARGE, the transaction is still open', async () => {
    const options = { commitBytesMax: 10_000, recordBytesMax: 9000 };
    const engine = await open(worldOn(), options);
    const value = engine.operator('op').value('v');
    value.set('a', 'x'.repeat(6000));
    value.set('b', 'x'.repeat(6000));
    expect(await codeOf(engine.commit())).toBe('COMMIT_TOO_LARGE');
    const blob = engine.operator('op').blob('blob');
    expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([0, 2]);
    value.delete('b');
    expect((await engine.commit()).lsn).toBe(1);
    blob.set('k', noise(1_000_000));
    expect(await codeOf(engine.commit())).toBe('COMMIT_TOO_LARGE');
    engine.rollback();
    expect(value.get('a')).toHaveLength(6000);
    await engine.close();
  });

  test('a commit larger than a segment: it has one of its own, and is there after a restart', async () => {
    const world = worldOn();
    const engine = await open(world, { segmentBytesMax: 64 * 1024 });
    engine.operator('op').value('v').set('k', noise(300_000));
    await engine.commit();
    await engine.close();
    const again = await open(world, { segmentBytesMax: 64 * 1024 });
    expect(again.operator('op').value('v').get('k')).toEqual(noise(300_000));
    await again.close();
  });
});

describe('checks', () => {
  test('values handed out: frozen with checks, as they are without', async () => {
    for (const checks of [true, false]) {
      const engine = await open(worldOn(), { checks });
      const op = engine.operator('op');
      op.value<{ a: number[] }>('v').set('k', { a: [1] });
      op.map<string, object>('m').set('k', 's', {});
      op.list<object>('l').append('k', {});
      const frozen = (): boolean[] => [
        Object.isFrozen(op.value<{ a: number[] }>('v').get('k')!.a),
        Object.isFrozen(op.value('v').getEntry('k')!.value),
        ...[...op.value('v').entries()].map(([, value]) => Object.isFrozen(value)),
        Object.isFrozen(op.map('m').get('k', 's')),
        ...[...op.map('m').entries('k')].map(([, value]) => Object.isFrozen(value)),
        Object.isFrozen(op.list('l').get('k')[0]),
      ];
      expect(frozen()).toEqual(Array.from({ length: 6 }, () => checks));
      await engine.commit();
      await engine.checkpoint();
      await engine.commit();
      await engine.checkpoint();
      expect(frozen()).toEqual(Array.from({ length: 6 }, () => checks));
      await engine.close();
    }
  });

  test.each([
    ['value', (engine, value) => engine.operator('op').value('s').set('k', value)],
    ['map', (engine, value) => engine.operator('op').map('s').set('k', 1, value)],
    ['list', (engine, value) => engine.operator('op').list('s').append('k', value)],
  ] as [string, (engine: Awaited<ReturnType<typeof open>>, value: unknown) => void][])(
    'a committed value of a %s is changed: VALUE_MUTATED at the checkpoint, until it is set again',
    async (kind, put) => {
      const engine = await open(worldOn());
      const value = new Map([['a', 1]]);
      put(engine, value);
      await engine.commit();
      value.set('a', 2);
      const error = await errorOf(engine.checkpoint());
      expect(error.code).toBe('VALUE_MUTATED');
      expect(error.details).toMatchObject({ operator: 'op', state: 's', key: 'k', lsn: 1 });
      expect(engine.stats().frozenMemtables).toBe(0);
      if (kind === 'list') engine.operator('op').list('s').clear('k');
      put(engine, value);
      await engine.commit();
      expect((await engine.checkpoint()).lsn).toBe(2);
      await engine.close();
    },
  );

  test('a value becomes one that cannot be stored, or is behind an open change: VALUE_MUTATED too', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('op').value<Map<string, unknown>>('s');
    const value = new Map<string, unknown>();
    state.set('k', value);
    await engine.commit();
    value.set('f', () => {});
    state.set('k', new Map([['open', 1]]));
    expect(await codeOf(engine.checkpoint())).toBe('VALUE_MUTATED');
    expect(state.get('k')).toEqual(new Map([['open', 1]]));
    engine.rollback();
    expect(state.get('k')).toBe(value);
    state.set('k', new Map());
    await engine.commit();
    expect((await engine.checkpoint()).lsn).toBe(2);
    await engine.close();
  });

  test('without checks a changed value is not looked for', async () => {
    const engine = await open(worldOn(), { checks: false });
    const value = { a: 1 };
    engine.operator('op').value('s').set('k', value);
    await engine.commit();
    value.a = 2;
    expect((await engine.checkpoint()).lsn).toBe(1);
    await engine.close();
  });

  test('NODE_ENV decides the default: on in tests and development only', async () => {
    const before = process.env['NODE_ENV'];
    try {
      for (const [environment, frozen] of [
        ['test', true],
        ['development', true],
        ['production', false],
      ] as const) {
        process.env['NODE_ENV'] = environment;
        const engine = await open(worldOn());
        engine.operator('op').value('s').set('k', {});
        expect(Object.isFrozen(engine.operator('op').value('s').get('k'))).toBe(frozen);
        await engine.close();
      }
    } finally {
      process.env['NODE_ENV'] = before;
    }
  });
});

describe('binary values', () => {
  test('bytes out of an image are changed: the next read is not', async () => {
    const engine = await open(worldOn(), { checks: false });
    const state = engine.operator('op').value<Uint8Array>('s');
    state.set('k', new Uint8Array([1, 2, 3]));
    await engine.commit();
    await engine.checkpoint();
    await engine.commit();
    await engine.checkpoint();
    state.get('k')!.fill(9);
    for (const [, bytes] of state.entries()) bytes.fill(8);
    expect(state.get('k')).toEqual(new Uint8Array([1, 2, 3]));
    await engine.close();
  });
});

describe('classes as values', () => {
  test('a registered class: comes back as itself after a restart, from the log and from an image', async () => {
    const world = worldOn();
    let engine = await open(world, { types: [point] });
    for (const checkpoint of [false, true]) {
      engine.operator('op').value('s').set('k', new Point(7));
      await engine.commit({ positions: { s: new Point(8) } });
      if (checkpoint) await engine.checkpoint();
      await engine.close();
      engine = await open(world, { types: [point] });
      const found = engine.operator('op').value('s').get('k');
      expect(found).toBeInstanceOf(Point);
      expect(found).toEqual(new Point(7));
      expect(engine.positions['s']).toEqual(new Point(8));
    }
    await engine.close();
  });

  test('a class that is not registered any more: CODEC_UNAVAILABLE at the read, the rest is served', async () => {
    const world = worldOn();
    let engine = await open(world, { types: [point] });
    engine.operator('op').value('s').set('k', new Point(7));
    engine.operator('op').value('s').set('plain', 1);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const state = engine.operator('op').value('s');
    const error = await errorOf(() => state.get('k'));
    expect([error.code, error.details]).toEqual([
      'CODEC_UNAVAILABLE',
      { type: point.name, version: 1, operator: 'op', state: 's', key: 'k' },
    ]);
    expect(error.message).toContain('value of op.s cannot be read');
    expect(state.get('plain')).toBe(1);
    await engine.close();
  });

  test('a position of a class that is not registered any more: the opening is refused, nothing changed', async () => {
    const world = worldOn();
    const engine = await open(world, { types: [point] });
    await engine.commit({ positions: { s: new Point(8) } });
    await engine.close();
    const before = await world.fs.contents();
    expect(await codeOf(open(world))).toBe('CODEC_UNAVAILABLE');
    expect(await world.fs.contents()).toEqual(before);
    const again = await open(world, { types: [point] });
    expect(again.positions['s']).toEqual(new Point(8));
    await again.close();
  });

  test('an encode that changes state: the change is refused, the commit says so, nothing is half done', async () => {
    const inner: unknown[] = [];
    let meddle: (() => unknown) | undefined;
    const meddling: TypeDefinition = {
      ...point,
      encode: (value) => {
        try {
          const result = meddle?.();
          if (result instanceof Promise) inner.push(result.catch((error: unknown) => error));
        } catch (error) {
          inner.push(error);
        }
        return (value as Point).x;
      },
    };
    const engine = await open(worldOn(), { types: [meddling] });
    const state = engine.operator('op').value('s');
    const attempts: (() => unknown)[] = [
      () => state.set('k', 'meddled'),
      () => engine.operator('op').counter('c').add('k'),
      () => engine.operator('op').list('l').append('k', 1),
      () => engine.rollback(),
      () => engine.commit(),
      () => engine.transact(() => {}),
      () => engine.checkpoint(),
      () => engine.close(),
    ];
    let lsn = 0;
    for (const attempt of attempts) {
      meddle = attempt;
      state.set('k', new Point(++lsn));
      expect((await engine.commit()).lsn).toBe(lsn);
      meddle = undefined;
      expect(state.get('k')).toEqual(new Point(lsn));
    }
    const errors = (await Promise.all(inner)) as { code: string }[];
    expect(errors.map(({ code }) => code)).toEqual(attempts.map(() => 'INVALID_CALL'));
    await engine.close();
  });
});
