/*
 * Versions of values where lineages meet: the state has the greatest, a value that is given in place
 * of candidates too, and whoever decides is told which version each candidate has.
 */
import { expect, test } from 'vitest';
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
