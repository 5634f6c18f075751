/*
 * Events, state holders, and failures that nobody hears.
 */
import { describe, expect, expectTypeOf, test } from 'vitest';
import type {
  CheckpointRecord,
  Engine,
  EngineWarning,
  StateHolder,
} from '../../src/engine/index.ts';
import { injected } from '../tools/faulty-file-system.ts';
import { codeOf, errorOf, noise, open, settle, worldOn } from './engine-fixture.ts';

const put = (engine: Engine, value: unknown): Promise<unknown> => {
  engine.operator('op').value('v').set('k', value);
  return engine.commit();
};

describe('events', () => {
  test('a checkpoint and a merge: told with their records, until the listener is taken off', async () => {
    const engine = await open(worldOn());
    const told: string[] = [];
    const off = engine.on('checkpoint', (record) => {
      expectTypeOf(record).toEqualTypeOf<CheckpointRecord>();
      told.push(`checkpoint ${record.lsn}`);
    });
    engine.on('merge', (record) => told.push(`merge ${record.lsn} ${record.kind}`));
    await put(engine, 1);
    await engine.checkpoint();
    await put(engine, 2);
    await engine.checkpoint({ kind: 'base' });
    off();
    off();
    await put(engine, 3);
    await engine.checkpoint();
    expect(told).toEqual(['checkpoint 1', 'checkpoint 2', 'merge 2 base']);
    await engine.close();
  });

  test('listeners that throw or reject: nothing stops, the others hear it, warnings tell and stats count', async () => {
    const engine = await open(worldOn());
    const heard: number[] = [];
    const warnings: EngineWarning[] = [];
    const thrown = new Error('thrown');
    const rejected = new Error('rejected');
    engine.on('checkpoint', () => {
      throw thrown;
    });
    const rejecting: () => unknown = async () => {
      await Promise.resolve();
      throw rejected;
    };
    engine.on('checkpoint', rejecting);
    engine.on('checkpoint', ({ lsn }) => heard.push(lsn));
    engine.on('warning', (warning) => {
      warnings.push(warning);
      throw new Error('also in the listener of warnings');
    });
    await put(engine, 1);
    expect((await engine.checkpoint()).lsn).toBe(1);
    await settle();
    expect(heard).toEqual([1]);
    expect(warnings.map(({ code, details }) => [code, details['event'], details['error']])).toEqual(
      [
        ['LISTENER_FAILED', 'checkpoint', thrown],
        ['LISTENER_FAILED', 'checkpoint', rejected],
      ],
    );
    expect(engine.stats().failedListeners).toBe(4);
    await engine.close();
  });

  test('a listener that listens again each time: called once an event', async () => {
    const engine = await open(worldOn());
    let calls = 0;
    const listen = (): void => {
      const off = engine.on('checkpoint', () => {
        calls++;
        off();
        listen();
      });
    };
    listen();
    for (let n = 0; n < 3; n++) {
      await put(engine, n);
      await engine.checkpoint();
    }
    expect(calls).toBe(3);
    await engine.close();
  });

  test('an event that does not exist, or no function: refused', async () => {
    const engine = await open(worldOn());
    const error = await errorOf(() => engine.on('error' as 'merge', () => {}));
    expect(error.code).toBe('INVALID_NAME');
    expect(error.message).toMatch(
      /there are checkpoint, merge, collect, .*scrub, .*warning, failure.*: error$/,
    );
    expect(await codeOf(() => engine.on('merge', 1 as unknown as () => void))).toBe('INVALID_CALL');
    await engine.close();
  });

  test('a failure in the background that nobody hears: in stats, and the next checkpoint fails with it, once', async () => {
    const world = worldOn();
    const engine = await open(world, { memtableBytesMax: 64 * 1024 });
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('~staging')) throw injected('EIO');
    };
    await put(engine, noise(40_000));
    await settle();
    world.fs.before = () => {};
    expect(engine.stats().failure).toMatchObject({ code: 'IO' });
    const error = await errorOf(engine.checkpoint());
    expect([error.code, (error.cause as { code: string }).code]).toEqual([
      'CHECKPOINT_FAILED',
      'IO',
    ]);
    expect(engine.stats().failure).toBeUndefined();
    expect((await engine.checkpoint()).lsn).toBe(1);
    await engine.close();
  });

  test('a failure in the background that is heard: told, and the next checkpoint works', async () => {
    const world = worldOn();
    const engine = await open(world, { memtableBytesMax: 64 * 1024 });
    const failures: unknown[] = [];
    engine.on('failure', (error) => failures.push(error));
    world.fs.before = ({ call, path }) => {
      if (call === 'write' && path.includes('~staging')) throw injected('EIO');
    };
    await put(engine, noise(40_000));
    await settle();
    world.fs.before = () => {};
    expect(failures).toMatchObject([{ code: 'IO' }]);
    expect((await engine.checkpoint()).lsn).toBe(1);
    await engine.close();
  });

  test('a merge in the background fails: told, the chain stays, a later merge works', async () => {
    const world = worldOn();
    const engine = await open(world, { maxChainLength: 8, merge: { strategy: 'sequential' } });
    const failures: unknown[] = [];
    let merges = 0;
    engine.on('failure', (error) => failures.push(error));
    engine.on('merge', () => merges++);
    let failing = true;
    world.fs.before = ({ call, path }) => {
      if (failing && call === 'write' && path.includes('merge')) throw injected('ENOSPC');
    };
    for (let n = 0; n < 9; n++) {
      await put(engine, n);
      await engine.checkpoint();
      await settle();
    }
    expect(failures.length).toBeGreaterThan(0);
    expect(failures[0]).toMatchObject({ code: 'NO_SPACE' });
    expect([merges, engine.stats().chainLength]).toEqual([0, 9]);
    failing = false;
    await put(engine, 9);
    await engine.checkpoint();
    await settle();
    expect([merges, engine.stats().chainLength]).toEqual([1, 1]);
    expect(engine.operator('op').value('v').get('k')).toBe(9);
    await engine.close();
  });
});

/** A holder that keeps a text. */
class TextHolder implements StateHolder {
  readonly name = 'text';
  readonly schemaVersion: string;
  text = '';
  restored: string[] = [];

  constructor(schemaVersion = '1.2.3') {
    this.schemaVersion = schemaVersion;
  }

  serialize(): Uint8Array {
    return Buffer.from(this.text);
  }

  deserialize(bytes: Uint8Array): void {
    this.text = Buffer.from(bytes).toString();
    this.restored.push(this.text);
  }
}

describe('state holders', () => {
  test('registered, committed, restarted: given back what was committed, by log and checkpoint', async () => {
    const world = worldOn();
    let engine = await open(world);
    let holder = new TextHolder();
    engine.register(holder);
    expect(holder.restored).toEqual([]);
    for (const stage of ['log', 'checkpoint']) {
      holder.text = stage;
      await engine.commit();
      if (stage === 'checkpoint') await engine.checkpoint();
      holder.text = 'never committed';
      await engine.close();
      engine = await open(world);
      holder = new TextHolder();
      engine.register(holder);
      expect(holder.restored).toEqual([stage]);
    }
    await engine.close();
  });

  test('nothing changed in it: nothing of it is logged again, not even behind a restart', async () => {
    const world = worldOn();
    let engine = await open(world);
    let holder = new TextHolder();
    holder.text = 'x'.repeat(5000);
    engine.register(holder);
    await engine.commit();
    for (let round = 0; round < 2; round++) {
      const before = engine.stats().log.bytes;
      await engine.commit();
      expect(engine.stats().log.bytes - before).toBeLessThan(200);
      await engine.close();
      engine = await open(world);
      holder = new TextHolder();
      engine.register(holder);
    }
    await engine.close();
  });

  test.each([
    ['1.2.3', '1.2.3', 'read'],
    ['1.2.3', '1.3.0', 'read'],
    ['1.2.3', '1.2.4', 'read'],
    ['1.2.3', '1.2.2', 'refused'],
    ['1.2.3', '1.1.9', 'refused'],
    ['1.2.3', '2.0.0', 'refused'],
    ['2.0.0', '1.9.9', 'refused'],
  ])('stored as %s, code has %s: %s', async (stored, asked, outcome) => {
    const world = worldOn();
    let engine = await open(world);
    const first = new TextHolder(stored);
    first.text = 'text';
    engine.register(first);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const second = new TextHolder(asked);
    if (outcome === 'read') {
      engine.register(second);
      expect(second.restored).toEqual(['text']);
    } else {
      const error = await errorOf(() => engine.register(second));
      expect(error.code).toBe('SCHEMA_CHANGED');
      expect(error.details).toMatchObject({ stored, asked });
      expect(second.restored).toEqual([]);
      const migrating = Object.assign(new TextHolder(asked), {
        canMigrateFrom: (version: string) => version === stored,
        migrate: (bytes: Uint8Array, from: string) => Buffer.from(`${from} ${String(bytes)}`),
      });
      engine.register(migrating);
      expect(migrating.restored[0]).toMatch(new RegExp(`^${stored} `));
      await engine.commit();
      await engine.close();
      engine = await open(world);
      engine.register(new TextHolder(asked));
    }
    await engine.close();
  });

  test.each<[string, object, string, object]>([
    ['canMigrateFrom promises', { canMigrateFrom: () => Promise.resolve(true) }, 'INVALID_VALUE', { member: 'canMigrateFrom' }], // prettier-ignore
    ['canMigrateFrom refuses', { canMigrateFrom: () => false }, 'SCHEMA_CHANGED', { stored: '1.0.0', asked: '2.0.0' }], // prettier-ignore
    ['there is no canMigrateFrom', {}, 'SCHEMA_CHANGED', { stored: '1.0.0', asked: '2.0.0' }],
    ['migrate promises', { canMigrateFrom: () => true, migrate: () => Promise.resolve() }, 'INVALID_VALUE', { member: 'migrate' }], // prettier-ignore
    ['migrate throws', { canMigrateFrom: () => true, migrate: () => JSON.parse('{') as never }, 'SCHEMA_CHANGED', { stored: '1.0.0', asked: '2.0.0' }], // prettier-ignore
  ])('%s: refused, and nothing is given', async (_, members, code, details) => {
    const world = worldOn();
    let engine = await open(world);
    engine.register(new TextHolder('1.0.0'));
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const migrate = (bytes: Uint8Array): Uint8Array => bytes;
    const holder = Object.assign(new TextHolder('2.0.0'), { migrate, ...members });
    const error = await errorOf(() => engine.register(holder));
    expect([error.code, error.details]).toEqual([code, expect.objectContaining(details)]);
    expect(holder.restored).toEqual([]);
    await engine.close();
  });

  test('a schemaVersion that changes later: the one that was registered is stored', async () => {
    const world = worldOn();
    let engine = await open(world);
    const holder = Object.assign(new TextHolder('1.0.0'), { text: 'kept' });
    engine.register(holder);
    Object.assign(holder, { schemaVersion: 'nonsense' });
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const again = new TextHolder('1.0.0');
    engine.register(again);
    expect(again.restored).toEqual(['kept']);
    await engine.close();
  });

  test('code of a holder that throws: typed, nothing sealed, the commit works when it does not', async () => {
    const world = worldOn();
    let engine = await open(world);
    const holder = new TextHolder();
    const thrown = new Error('theirs');
    let failing = true;
    engine.register(
      Object.assign(holder, {
        serialize: () => {
          if (failing) throw thrown;
          return Buffer.from('sound');
        },
      }),
    );
    engine.operator('op').value('v').set('k', 1);
    const error = await errorOf(engine.commit());
    expect([error.code, error.cause, error.details['name']]).toEqual([
      'INVALID_VALUE',
      thrown,
      'text',
    ]);
    expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([0, 1]);
    failing = false;
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const reader = Object.assign(new TextHolder(), {
      deserialize: () => {
        throw thrown;
      },
    });
    const refused = await errorOf(() => engine.register(reader));
    expect([refused.code, refused.cause]).toEqual(['SCHEMA_CHANGED', thrown]);
    const sound = new TextHolder();
    engine.register(sound);
    expect(sound.restored).toEqual(['sound']);
    await engine.close();
  });

  test('a refused commit in between: the next one has what the holder is then', async () => {
    const world = worldOn();
    let engine = await open(world);
    const holder = new TextHolder();
    engine.register(holder);
    holder.text = 'first';
    await engine.commit();
    holder.text = 'second';
    engine
      .operator('op')
      .value('v')
      .set('k', () => {});
    expect(await codeOf(engine.commit())).toBe('INVALID_VALUE');
    engine.operator('op').value('v').delete('k');
    holder.text = 'first';
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const again = new TextHolder();
    engine.register(again);
    expect(again.restored).toEqual(['first']);
    await engine.close();
  });

  test('a holder that changes state or commits while it serializes: refused to it', async () => {
    const engine = await open(worldOn());
    const codes: unknown[] = [];
    const acts = [
      () => engine.operator('op').value('v').set('k', 1),
      () => void engine.commit(),
      () => engine.rollback(),
    ];
    engine.register(
      Object.assign(new TextHolder(), {
        serialize: () => {
          for (const act of acts) {
            try {
              act();
            } catch (error) {
              codes.push((error as { code: string }).code);
            }
          }
          return new Uint8Array(1);
        },
      }),
    );
    expect((await engine.commit()).lsn).toBe(1);
    expect(codes).toEqual(['INVALID_CALL', 'INVALID_CALL', 'INVALID_CALL']);
    expect(engine.operator('op').value('v').has('k')).toBe(false);
    await engine.close();
  });

  test('holders that are none, or taken names and versions that are none: refused', async () => {
    const engine = await open(worldOn());
    const register = (holder: unknown): Promise<string> =>
      codeOf(() => engine.register(holder as StateHolder));
    engine.register(new TextHolder());
    expect(await register(new TextHolder())).toBe('INVALID_NAME');
    expect(await register(null)).toBe('INVALID_VALUE');
    expect(await register(Object.assign(new TextHolder(), { name: '' }))).toBe('INVALID_NAME');
    expect(await register({ name: 'x', schemaVersion: '1.0.0' })).toBe('INVALID_VALUE');
    const version = Object.assign(new TextHolder('1.0'), { name: 'y' });
    const error = await errorOf(() => engine.register(version));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'schemaVersion']);
    await engine.close();
  });

  test.each(['serialize', 'deserialize', 'canMigrateFrom', 'migrate'])(
    '%s that is no function: the refusal names it',
    async (member) => {
      const engine = await open(worldOn());
      const holder = Object.assign(new TextHolder(), { [member]: 'x' });
      const error = await errorOf(() => engine.register(holder));
      expect([error.code, error.details]).toEqual(['INVALID_VALUE', { name: 'text', member }]);
      await engine.close();
    },
  );

  test('serialize that is asynchronous: the refusal says so, the transaction stays open', async () => {
    const engine = await open(worldOn());
    const holder = Object.assign(new TextHolder(), { serialize: async () => Buffer.from('x') });
    engine.register(holder);
    engine.operator('op').value('v').set('k', 1);
    const error = await errorOf(engine.commit());
    expect(error.message).toMatch(/must return a Uint8Array, at once: a promise$/);
    expect(engine.operator('op').value('v').get('k')).toBe(1);
    await engine.close();
  });

  test.each([
    ['no migrate', {}, /it has no migrate/],
    ['no canMigrateFrom', { migrate: (bytes: Uint8Array) => bytes }, /it has no canMigrateFrom/],
    [
      'a canMigrateFrom that refuses',
      { migrate: (bytes: Uint8Array) => bytes, canMigrateFrom: () => false },
      /its canMigrateFrom refuses that version/,
    ],
    [
      'a migrate without bytes',
      { migrate: () => 'text' as unknown as Uint8Array, canMigrateFrom: () => true },
      /must return a Uint8Array, at once: text$/,
    ],
  ])('stored by another version, %s: the refusal says why', async (_what, members, message) => {
    const world = worldOn();
    let engine = await open(world);
    engine.register(Object.assign(new TextHolder('1.0.0'), { text: 'old' }));
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const error = await errorOf(() =>
      engine.register(Object.assign(new TextHolder('2.0.0'), members)),
    );
    expect(error.message).toMatch(message);
    await engine.close();
  });
});
