/*
 * Versions of values where lineages meet: the state has the greatest, a value that is given in place
 * of candidates too, and whoever decides is told which version each candidate has. What the library
 * writes has versions as well.
 */
import { describe, expect, test } from 'vitest';
import type { SnapshotEntry } from '../../../src/checkpoint/library/snapshot-entries.ts';
import { createReaderDecoder } from '../../../src/codec/value-reader.ts';
import { decodeVersioned, storedVersion } from '../../../src/codec/value-version.ts';
import { createValueCodec } from '../../../src/codec/value.ts';
import { encodeKey } from '../../../src/codec/key.ts';
import {
  ConflictJudge,
  type ConflictCandidate,
} from '../../../src/checkpoint/library/snapshot-conflicts.ts';
import { joinTables } from '../../../src/checkpoint/library/snapshot-lineage-tables.ts';
import { Entry } from '../../../src/snapshot/entry.ts';
import { ops } from '../../../src/snapshot/entry-format.ts';
import type { TableDefinition } from '../../../src/state/table-definition.ts';
import { Library } from './snapshot-fixture.ts';
import { Joiner } from './snapshot-joiner.ts';

const codec = createValueCodec();

const table = (version?: number): TableDefinition => ({
  id: 16,
  operator: 'op',
  state: 'v',
  kind: 'value',
  ttlType: 'none',
  itemsMax: undefined,
  ...(version !== undefined && { version }),
});

test.each<[(number | undefined)[], number | undefined]>([
  [[undefined, undefined], undefined],
  [[2, undefined], 2],
  [[undefined, 3], 3],
  [[3, 2], 3],
  [[2, 3], 3],
])('lineages whose states have the versions %j: the greatest', (versions, expected) => {
  const lineages = versions.map((version, i) => ({
    definitions: new Map([[16, table(version)]]),
    path: `/${i}`,
    lastTimestamp: i,
  }));
  for (const base of [new Map<number, TableDefinition>(), new Map([[16, table()]])]) {
    expect(joinTables(base, lineages).definitions.get(16)?.version).toBe(expected);
  }
});

function entryOf(value: unknown, version: number): Entry {
  const key = encodeKey('k');
  const encoded = codec.encode(value, version);
  const entry = new Entry();
  entry.table = 16;
  entry.op = ops.put;
  entry.bytes = Buffer.concat([key, encoded]);
  entry.keyEnd = entry.subKeyEnd = key.length;
  entry.valueEnd = entry.bytes.length;
  return entry;
}

test('a value in place of candidates: is of the version of the state', () => {
  const seen: ConflictCandidate[] = [];
  const judge = new ConflictJudge({
    policy: ({ candidates }) => {
      seen.push(...candidates);
      return { value: 'both' };
    },
    lineages: [
      { index: 0, storeId: 'a' },
      { index: 1, storeId: 'b' },
    ],
    definitions: new Map([[16, table(3)]]),
    decoder: createReaderDecoder(),
    codec,
  });
  const candidates = [entryOf('one', 1), entryOf('three', 3)].map((entry, lineage) => ({
    entry,
    lineage,
  }));
  const resolution = judge.resolve({ reason: 'write', candidates });
  expect(seen.map(({ value, version }) => [value, version])).toEqual([
    ['one', undefined],
    ['three', 3],
  ]);
  const value = 'value' in resolution ? resolution.value : new Uint8Array();
  expect(storedVersion(value, 0, value.length)).toBe(3);
  expect(decodeVersioned(codec, value, 0, value.length)).toBe('both');
});

describe('written with the library', () => {
  const versions = (entries: readonly SnapshotEntry[]): Map<unknown, unknown> =>
    new Map(entries.map(({ key, version }) => [key, version]));

  test('a version of entries: theirs, and the greatest that of the table', async () => {
    const library = new Library();
    const file = await library.create('/base');
    await file.write('t', 'one', 1);
    await file.write('t', 'three', 3, { version: 3 });
    await file.write({ operator: 'default', state: 't' }, 'two', 2, { version: 2 });
    await file.write('other', 'k', 1, { subKey: 1 });
    const made = await file.finish();
    expect(made.tables.map(({ state, version }) => [state, version])).toEqual([
      ['t', 3],
      ['other', undefined],
    ]);
    const entries = await library.entries('/base', { table: 't' });
    expect(versions(entries)).toEqual(
      new Map<unknown, unknown>([
        ['one', undefined],
        ['three', 3],
        ['two', 2],
      ]),
    );
  });

  test('a delta: goes on with the version of its base, and may raise it', async () => {
    const library = new Library();
    const base = await library.create('/base');
    await base.write('t', 'a', 1, { version: 2 });
    await base.finish();
    await library.make('/same', { b: 2 }, { base: '/base' });
    expect(versions(await library.entries('/same', { table: 't' }, { older: ['/base'] }))).toEqual(
      new Map([['b', 2]]),
    );
    const raising = await library.create('/raised', { base: ['/base', '/same'] });
    await raising.write('t', 'c', 3, { version: 5 });
    await raising.write('t', 'd', 4);
    const made = await raising.finish();
    expect(made.tables.map(({ version }) => version)).toEqual([5]);
    const raised = await library.entries('/raised', { table: 't' });
    expect(versions(raised)).toEqual(
      new Map([
        ['c', 5],
        ['d', 2],
      ]),
    );
    await library.make('/next', { e: 1 }, { base: ['/base', '/same', '/raised'] });
    const chain = ['/base', '/same', '/raised'];
    const next = await library.entries('/next', { table: 't' }, { older: chain });
    expect(versions(next)).toEqual(new Map([['e', 5]]));
  });

  test.each([0, 1.5, 65_536, '2'])(
    'a version of %j: INVALID_OPTION, and nothing is added',
    async (version) => {
      const file = await new Library().create('/a');
      expect(() => file.write('t', 'k', 1, { version: version as number })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
      expect(() => file.delete('t', 'k', { version: 2 } as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
      expect((await file.finish()).entryCount).toBe(0);
    },
  );

  test('lineages of two versions, joined: each value keeps its own, a given one has the greatest', async () => {
    const library = new Joiner();
    await library.make('/base', { x: 0, y: 0 });
    const write = async (path: string, storeId: string, version: number): Promise<string> => {
      const file = await library.create(path, { base: '/base', storeId });
      for (const key of ['x', path]) await file.write('t', key, path, { version });
      await file.finish();
      return path;
    };
    const a = await write('/a', 'aa'.repeat(16), 1);
    const b = await write('/b', 'bb'.repeat(16), 2);
    const joined = await library.join([[a], [b]], () => ({ value: 'both' }));
    expect(joined.tables.map(({ version }) => version)).toEqual([2]);
    expect(versions(await library.entries(joined.path, { table: 't' }))).toEqual(
      new Map<unknown, unknown>([
        ['x', 2],
        ['y', undefined],
        ['/a', undefined],
        ['/b', 2],
      ]),
    );
  });
});
