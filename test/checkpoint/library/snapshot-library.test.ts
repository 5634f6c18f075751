import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTableName } from '../../../src/checkpoint/library/snapshot-tables.ts';
import { Library, toMap } from './snapshot-fixture.ts';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const option = (name: string): unknown =>
  expect.objectContaining({
    code: 'INVALID_OPTION',
    details: expect.objectContaining({ option: name }),
  });

describe('a snapshot that is written and read', () => {
  test('values, sub-keys and times: come back as they were given', async () => {
    const library = new Library();
    const file = await library.create('/a');
    const later = library.clock.nowMicros() + 1000;
    await file.write('fruit', 'apple', { price: 3 });
    await file.write('shop.stock', ['x', 1], 7, { subKey: 'red', expiresAt: later, eventTime: 5 });
    const made = await file.finish();
    expect(made).toMatchObject({
      path: '/a',
      kind: 'base',
      fromLsn: 0,
      lastLsn: 1,
      lastTimestamp: library.clock.nowMicros(),
      keyGroups: 128,
      entryCount: 2,
      duplicateCount: 0,
    });
    expect(made.tables).toMatchObject([
      { id: 16, operator: 'default', state: 'fruit', kind: 'value', entryCount: 1 },
      { id: 17, operator: 'shop', state: 'stock', kind: 'map', entryCount: 1 },
    ]);
    const bytes = await library.bytes('/a');
    expect(made.fileBytes).toBe(bytes.length);
    expect(made.ratio).toBe(made.dataBytes / made.fileBytes);
    const snapshot = await library.open('/a');
    const { sha256, duplicateCount, ...metadata } = made;
    expect(duplicateCount).toBe(0);
    expect(snapshot.metadata).toEqual(metadata);
    expect(await snapshot.verify({ sha256 })).toEqual({ faults: [], sha256 });
    expect(await snapshot.get('fruit', 'apple')).toMatchObject({ value: { price: 3 }, op: 'put' });
    expect(await snapshot.get('fruit', 'pear')).toBeUndefined();
    expect(await snapshot.get('shop.stock', ['x', 1], 'red')).toMatchObject({
      table: 'shop.stock',
      key: ['x', 1],
      subKey: 'red',
      value: 7,
      expiresAt: later,
      eventTime: 5,
      lsn: 1,
    });
    await snapshot.close();
  });

  test('any calls in any memory: what is read is what a map holds', async () => {
    const call = fc.record({
      table: fc.constantFrom('a', 'b'),
      key: fc.oneof(fc.nat({ max: 30 }), fc.constantFrom('x', 'y')),
      value: fc.oneof(fc.constant(undefined), fc.string({ maxLength: 3000 }), fc.integer()),
    });
    const calls = fc.array(call, { maxLength: 300 });
    const property = fc.asyncProperty(calls, fc.boolean(), async (list, delta) => {
      const library = new Library();
      const model = new Map<string, unknown>();
      const base = delta ? await library.make('/base', { z: 1 }) : undefined;
      const file = await library.create('/file', {
        memoryBytesMax: 64 * 1024,
        ...(base === undefined ? {} : { base }),
      });
      for (const { table, key, value } of list) {
        if (value === undefined) await file.delete(table, key);
        else await file.write(table, key, value);
        const name = JSON.stringify([table, key]);
        model.delete(name);
        if (value !== undefined || delta) model.set(name, value);
      }
      const { duplicateCount, entryCount } = await file.finish();
      const found = await library.entries('/file');
      const read = found.map(({ state, key, value }) => [JSON.stringify([state, key]), value]);
      expect(new Map(read as [string, unknown][])).toEqual(model);
      const distinct = new Set(list.map(({ table, key }) => JSON.stringify([table, key])));
      expect(duplicateCount).toBe(list.length - distinct.size);
      expect(entryCount).toBe(model.size);
      expect(await library.fs.list('/')).toEqual(delta ? ['base', 'file'] : ['file']);
      const snapshot = await library.open('/file');
      expect((await snapshot.verify()).faults).toEqual([]);
      for (const { table, key } of list) {
        const entry = await snapshot.get(table, key);
        expect(entry?.value).toEqual(model.get(JSON.stringify([table, key])));
      }
      await snapshot.close();
    });
    await fc.assert(property, { seed: 3, numRuns: 60 });
  });

  test('much more than memory holds: runs are spilled and joined, nothing is lost', async () => {
    const library = new Library();
    const options = {
      seed: '00'.repeat(8),
      storeId: '00'.repeat(16),
      compression: 'none',
    } as const;
    const small = await library.create('/small', { ...options, memoryBytesMax: 64 * 1024 });
    const large = await library.create('/large', options);
    let most = 0;
    for (let i = 0; i < 24_000; i++) {
      const key = (i * 7919) % 20_000;
      await small.write('t', key, `value ${i}`);
      await large.write('t', key, `value ${i}`);
      if (i % 1000 === 0) {
        const parts = (await library.fs.list('/')).filter((name) => name.endsWith('.part'));
        most = Math.max(most, parts.length);
      }
    }
    const made = [await small.finish(), await large.finish()] as const;
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThan(34);
    expect(made[0]).toMatchObject({ entryCount: 20_000, duplicateCount: 4000 });
    const entries = [await library.entries('/small'), await library.entries('/large')] as const;
    expect(entries[0]).toEqual(entries[1]);
  });

  test('another order of calls: the same bytes', async () => {
    const library = new Library();
    const options = { seed: '01'.repeat(8), storeId: '02'.repeat(16) };
    await library.make('/a', { x: 1, y: 2, z: 3 }, options);
    await library.make('/b', { z: 3, x: 1, y: 2 }, options);
    expect(await library.bytes('/a')).toEqual(await library.bytes('/b'));
  });
});

describe('options of a new snapshot', () => {
  test('keyGroups, seed, storeId, timestamp: stand in the file', async () => {
    const library = new Library();
    const options = { keyGroups: 8, seed: '0123456789abcdef', storeId: 'ab'.repeat(16) };
    const file = await library.create('/a', { ...options, timestamp: new Date(5) });
    const made = await file.finish();
    expect(made).toMatchObject({ ...options, lastTimestamp: 5000 });
  });

  test('compression: fewer bytes than none', async () => {
    const library = new Library();
    const value = 'a'.repeat(5000);
    await library.make('/none', { value }, { compression: 'none' });
    await library.make('/lz4', { value }, { compression: 'lz4' });
    const bytes = [await library.bytes('/none'), await library.bytes('/lz4')] as const;
    expect(bytes[1].length).toBeLessThan(bytes[0].length / 2);
  });

  test('codecs: registered, named in the file, and read with it', async () => {
    const library = new Library();
    const module = new URL('../../codec/modules/reversing.mjs', import.meta.url);
    const options = { codecs: [{ name: 'library-own', module }], compression: 'library-own' };
    await library.make('/own', { value: 'a'.repeat(5000) }, options);
    expect(Buffer.from(await library.bytes('/own')).includes('library-own')).toBe(true);
    const snapshot = await library.open('/own', { codecs: options.codecs });
    expect((await snapshot.get('t', 'value'))?.value).toBe('a'.repeat(5000));
    await snapshot.close();
  });

  test('types: instances are written and read', async () => {
    class Money {
      readonly cents: number;
      constructor(cents: number) {
        this.cents = cents;
      }
    }
    const money = {
      name: 'Money',
      class: Money,
      encode: ({ cents }: Money) => cents,
      decode: (cents: unknown) => new Money(Number(cents)),
    };
    const library = new Library();
    await library.make('/a', { x: new Money(3) }, { types: [money] });
    const [known] = await library.entries('/a', {}, { types: [money] });
    expect(known?.value).toEqual(new Money(3));
    const [unknown] = await library.entries('/a');
    expect(unknown?.value).toMatchObject({ type: 'Money', data: 3 });
    await expect(library.make('/b', { x: new Money(3) })).rejects.toEqual(code('INVALID_VALUE'));
  });

  test.each([
    [{ keyGroups: 3 }, 'keyGroups'],
    [{ keyGroups: 131_072 }, 'keyGroups'],
    [{ seed: 'zz' }, 'seed'],
    [{ storeId: 'AB'.repeat(16) }, 'storeId'],
    [{ timestamp: -1 }, 'timestamp'],
    [{ memoryBytesMax: 10 }, 'memoryBytesMax'],
    [{ compression: 'rot13' }, 'compression'],
    [{ compression: { codec: 'zstd', level: 20 } }, 'compression.level'],
    [{ codecs: [{ name: 'own' }] }, 'codecs[0].module'],
    [{ types: 3 }, 'types'],
    [{ base: [] }, 'base'],
    [{ speed: 1 }, 'speed'],
  ])('%j: refused by name', async (options, name) => {
    const library = new Library();
    await expect(library.create('/a', options as never)).rejects.toEqual(option(name));
  });

  test('a path that is taken: refused, before and at the end', async () => {
    const library = new Library();
    await library.make('/a', { x: 1 });
    await expect(library.create('/a')).rejects.toEqual(code('INVALID_CALL'));
    const file = await library.create('/b');
    await file.write('t', 'x', 1);
    await library.make('/b', { x: 2 });
    await expect(file.finish()).rejects.toEqual(code('INVALID_CALL'));
    expect(toMap(await library.entries('/b'))).toEqual(new Map([['x', 2]]));
    expect(await library.fs.list('/')).toEqual(['a', 'b']);
  });

  test.each(['/none', '/base/none'])('%s, which is not there: FILE_NOT_FOUND', async (path) => {
    const library = new Library();
    await library.make('/base', { x: 1 });
    const missing = { code: 'FILE_NOT_FOUND', kind: 'missing', details: { path } };
    await expect(library.open(path)).rejects.toMatchObject(missing);
    await expect(library.open('/base', { older: [path] })).rejects.toMatchObject(missing);
    await expect(library.create('/next', { base: path })).rejects.toMatchObject(missing);
  });

  test('expiresAt in milliseconds: refused where the file is of our time, a Date is not', async () => {
    const library = new Library();
    const now = Date.UTC(2026, 10, 20);
    const file = await library.create('/a', { timestamp: new Date(now) });
    expect(() => file.write('t', 'a', 1, { expiresAt: now + 1000 })).toThrow(option('expiresAt'));
    for (const expiresAt of [1e11, 4.1e12]) {
      expect(() => file.write('t', 'a', 1, { expiresAt })).toThrow(/milliseconds/);
      await file.write('t', 'as a date', 1, { expiresAt: new Date(expiresAt / 1000) });
    }
    await file.write('t', 'micros', 1, { expiresAt: (now + 1000) * 1000 });
    for (const expiresAt of [1, 1e11 - 1, 4.1e12 + 1]) {
      await file.write('t', expiresAt, 1, { expiresAt, eventTime: now });
    }
    await file.finish();
    expect([...toMap(await library.entries('/a')).keys()]).toEqual(['micros']);
    const early = await library.create('/early', { timestamp: 5 });
    await early.write('t', 'a', 1, { expiresAt: now });
    await early.finish();
    expect([...toMap(await library.entries('/early')).keys()]).toEqual(['a']);
  });

  test('a path in a directory that is not there: refused before anything is written', async () => {
    const library = new Library();
    await expect(library.create('/no/such/a')).rejects.toMatchObject({
      code: 'INVALID_CALL',
      details: { path: '/no/such' },
    });
    expect(await library.fs.list('/')).toEqual([]);
  });
});

describe('calls of a builder', () => {
  test('a key, value, name or option that cannot be: refused, and nothing is added', async () => {
    const file = await new Library().create('/a');
    expect(() => file.write('t', Number.NaN, 1)).toThrow(code('INVALID_KEY'));
    expect(() => file.write('t', 'a', () => 1)).toThrow(code('INVALID_VALUE'));
    expect(() => file.write('', 'a', 1)).toThrow(code('INVALID_NAME'));
    expect(() => file.write('.x', 'a', 1)).toThrow(code('INVALID_NAME'));
    expect(() => file.write(3 as never, 'a', 1)).toThrow(code('INVALID_NAME'));
    expect(() => file.write('t', 'a', 1, { expiresAt: 0.5 })).toThrow(option('expiresAt'));
    expect(() => file.write('t', 'a', 1, { ttl: 5 } as never)).toThrow(option('ttl'));
    expect(() => file.delete('t', 'a', { expiresAt: 5 } as never)).toThrow(option('expiresAt'));
    expect(await file.finish()).toMatchObject({ entryCount: 0, tables: [] });
    expect(() => file.write('t', 'a', 1)).toThrow(code('CLOSED'));
    expect(() => file.finish()).toThrow(code('CLOSED'));
  });

  test('a table with and without sub-keys: the first call decides', async () => {
    const file = await new Library().create('/a');
    await file.write('map', 'a', 1, { subKey: 1 });
    expect(() => file.write('map', 'a', 1)).toThrow(code('INVALID_CALL'));
    await file.write('value', 'a', 1);
    expect(() => file.write('value', 'a', 1, { subKey: 1 })).toThrow(code('INVALID_CALL'));
    await file.abort();
  });

  test('nobody waits while memory is full: a promise, then OVERLOADED', async () => {
    const file = await new Library().create('/a', { memoryBytesMax: 64 * 1024 });
    let waits = 0;
    const flood = (): void => {
      for (let i = 0; i < 10_000; i++) if (file.write('t', i, 'x'.repeat(100))) waits++;
    };
    expect(flood).toThrow(code('OVERLOADED'));
    expect(waits).toBeGreaterThan(0);
    await file.abort();
  });

  test('abort, also of what was spilled: nothing stays on disk', async () => {
    const library = new Library();
    {
      await using file = await library.create('/a', { memoryBytesMax: 64 * 1024 });
      for (let i = 0; i < 2000; i++) await file.write('t', i, 'x'.repeat(100));
      expect(await library.fs.list('/')).not.toEqual([]);
    }
    expect(await library.fs.list('/')).toEqual([]);
  });

  test('an entry that has expired by the time of the file: not in a base', async () => {
    const library = new Library();
    const file = await library.create('/a', { timestamp: 100 });
    await file.write('t', 'old', 1, { expiresAt: 100 });
    await file.write('t', 'new', 1, { expiresAt: 101 });
    expect(await file.finish()).toMatchObject({ entryCount: 1, duplicateCount: 0 });
  });
});

describe('a delta', () => {
  test('continues its base: store, seed, timeline and tables, deletes as tombstones', async () => {
    const library = new Library();
    await library.make('/base', { x: 1, y: 2 });
    const base = (await library.open('/base')).metadata;
    const delta = await library.create('/delta', { base });
    await delta.write('t', 'x', 10);
    await delta.delete('t', 'y');
    await delta.write('other', 'k', 0);
    const made = await delta.finish();
    const { storeId, seed, timeline, lastLsn } = base;
    expect(made).toMatchObject({
      kind: 'delta',
      storeId,
      seed,
      timeline,
      fromLsn: lastLsn,
      lastLsn: lastLsn + 1,
    });
    expect(made.lastTimestamp).toBeGreaterThan(base.lastTimestamp);
    const alone = await library.entries('/delta');
    expect(alone.map(({ table, kind }) => [table, kind])).toEqual([
      ['table 16', undefined],
      ['table 16', undefined],
      ['default.other', 'value'],
    ]);
    const named = await library.entries('/delta', { table: 't' }, { older: base });
    expect(new Map(named.map(({ key, op, value }) => [key, [op, value]]))).toEqual(
      new Map([
        ['x', ['put', 10]],
        ['y', ['delete', undefined]],
      ]),
    );
  });

  test('of a delta: the whole chain is given, base first', async () => {
    const library = new Library();
    await library.make('/base', { x: 1 });
    await library.make('/one', { y: 1 }, { base: '/base' });
    await expect(library.create('/two', { base: '/one' })).rejects.toEqual(option('base'));
    await library.make('/two', { z: 1 }, { base: ['/base', { path: '/one' }] });
    expect((await library.open('/two')).metadata).toMatchObject({ fromLsn: 2, lastLsn: 3 });
    await expect(library.create('/three', { base: ['/base', '/two'] })).rejects.toEqual(
      expect.objectContaining({
        code: 'BROKEN_CHAIN',
        details: expect.objectContaining({
          why: 'there is a gap',
          older: expect.objectContaining({ path: '/base', lastLsn: 1 }),
          newer: expect.objectContaining({ path: '/two', fromLsn: 2 }),
        }),
      }),
    );
  });

  test('options of a base, or a time before it: refused', async () => {
    const library = new Library();
    await library.make('/base', { x: 1 });
    for (const more of [{ seed: '00'.repeat(8) }, { keyGroups: 128 }, { timestamp: 5 }]) {
      await expect(library.create('/delta', { base: '/base', ...more })).rejects.toEqual(
        option(Object.keys(more)[0]!),
      );
    }
    const storeId = '11'.repeat(16);
    await library.make('/delta', {}, { base: '/base', storeId });
    expect((await library.open('/delta')).metadata.storeId).toBe(storeId);
  });
});

describe('reading', () => {
  test('entries: by table, by key group, without what has expired', async () => {
    const library = new Library();
    const file = await library.create('/a', { keyGroups: 4 });
    const soon = library.clock.nowMicros() + 1000;
    for (let i = 0; i < 50; i++) await file.write('t', i, i, i === 7 ? { expiresAt: soon } : {});
    await file.write('u', 'k', 'v');
    await file.finish();
    expect(await library.entries('/a', { table: 'u' })).toHaveLength(1);
    const parts = [];
    for (let group = 0; group < 4; group++) {
      const part = await library.entries('/a', { keyGroups: [group, group + 1] });
      expect(part.length).toBeLessThan(40);
      parts.push(...part);
    }
    expect(parts).toHaveLength(51);
    expect(await library.entries('/a', { keyGroups: [0, 4] })).toHaveLength(51);
    expect(await library.entries('/a', { skipExpired: true })).toHaveLength(51);
    library.clock.advance(1);
    expect(await library.entries('/a', { skipExpired: true })).toHaveLength(50);
    expect(await library.entries('/a', { skipExpired: false })).toHaveLength(51);
    await expect(library.entries('/a', { table: 'v' })).rejects.toEqual(code('STATE_NOT_FOUND'));
    await expect(library.entries('/a', { keyGroups: [2, 1] })).rejects.toEqual(
      option('keyGroups[1]'),
    );
    await expect(library.entries('/a', { limit: 1 } as never)).rejects.toEqual(option('limit'));
  });

  test('after close: refused, also in the middle of entries', async () => {
    const library = new Library();
    await library.make('/a', { x: 1, y: 2 });
    const snapshot = await library.open('/a');
    const entries = snapshot.entries();
    await entries.next();
    await snapshot.close();
    await expect(entries.next()).rejects.toEqual(code('CLOSED'));
    await expect(snapshot.get('t', 'x')).rejects.toEqual(code('CLOSED'));
    await expect(snapshot.verify()).rejects.toEqual(code('CLOSED'));
  });

  test('get of one key: reads a small part of a large file', async () => {
    const library = new Library();
    const file = await library.create('/a', { compression: 'none' });
    for (let i = 0; i < 20_000; i++) await file.write('t', i, 'x'.repeat(200));
    const { fileBytes } = await file.finish();
    let bytes = 0;
    const { fs } = library;
    const counting = Object.create(fs) as typeof fs;
    counting.open = async (path, mode) => {
      const handle = await fs.open(path, mode);
      const read = handle.read.bind(handle);
      handle.read = async (target, position) => {
        const got = await read(target, position);
        bytes += got;
        return got;
      };
      return handle;
    };
    const reading = new Library(counting);
    const snapshot = await reading.open('/a');
    bytes = 0;
    expect(await snapshot.get('t', 12_345)).toMatchObject({ value: 'x'.repeat(200) });
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(fileBytes / 10);
    const once = bytes;
    await snapshot.get('t', 12_345);
    expect(bytes).toBe(once);
  });

  test('a byte that is wrong: verify says where, get of that block refuses', async () => {
    const library = new Library();
    await library.make('/a', { x: 'a long enough value' }, { compression: 'none' });
    const bytes = await library.bytes('/a');
    const at = bytes.indexOf('long enough');
    const handle = await library.fs.open('/a', 'write');
    await handle.write(Uint8Array.of(0), at);
    await handle.close();
    const snapshot = await library.open('/a');
    expect((await snapshot.verify()).faults).toMatchObject([
      { path: '/a', table: 16, what: expect.stringContaining('fails its checksum') },
    ]);
    await expect(snapshot.get('t', 'x')).rejects.toEqual(code('CORRUPT_SNAPSHOT'));
    const wrong = await snapshot.verify({ sha256: '0' });
    expect(wrong.faults[0]?.what).toMatch(/^digest is/);
  });
});

test('names of tables: the first dot divides, none is the default operator', () => {
  expect(parseTableName('a.b.c')).toEqual({ operator: 'a', state: 'b.c' });
  expect(parseTableName('a')).toEqual({ operator: 'default', state: 'a' });
  expect(parseTableName({ operator: 'a.b', state: 'c' })).toEqual({ operator: 'a.b', state: 'c' });
});
