import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeKey } from '../../src/codec/key.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
} from '../../src/snapshot/commit-format.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';
import { CommitEncoder } from '../../src/state/commit-encoder.ts';

const golden = new URL('../golden/commit-v1.bin', import.meta.url);
const none = {
  operator: operatorIds.none,
  expiry: 0,
  eventTime: 0,
  subKey: undefined,
  value: undefined,
};

const codec = createValueCodec();
const patch = { b: { c: null, a: [1] }, a: null };

/** One entry of every op and operator, with and without sub-key, times and value. */
function encode(): Uint8Array {
  const encoder = new CommitEncoder(1_000_000);
  encoder.begin(1_700_000_000_000_001, new Uint8Array([0xc0]));
  encoder.add({ ...none, table: 16, op: ops.clearTable, key: undefined });
  encoder.add({ ...none, table: 17, op: ops.clearKey, key: 'a' });
  encoder.add({
    ...none,
    table: 17,
    op: ops.put,
    key: 'a',
    subKey: 7,
    expiry: 1_800_000_000_000_000,
    value: new Uint8Array([1, 2, 3]),
  });
  encoder.add({ ...none, table: 16, op: ops.delete, key: 5n });
  encoder.add({
    ...none,
    table: 18,
    op: ops.merge,
    operator: operatorIds.add,
    key: true,
    value: new Uint8Array(8),
  });
  const operand = { ...none, table: 19, op: ops.merge, eventTime: 1_600_000_000_000_000 };
  const low = codec.encode(-1.5).slice();
  encoder.add({ ...operand, operator: operatorIds.min, key: 'n', value: low });
  const high = codec.encode(2n ** 70n).slice();
  encoder.add({ ...operand, operator: operatorIds.max, key: 'n', expiry: 7, value: high });
  const value = patchOfObject(codec.encode(patch));
  encoder.add({ ...operand, operator: operatorIds.patch, key: 'p', value });
  return encoder.finish().slice();
}

describe('a commit', () => {
  test('encoded: header, metadata and entries come back in order', () => {
    const bytes = encode();
    const header = decodeCommitHeader(bytes, 0, bytes.length);
    expect(header).toMatchObject({ entryCount: 8, timestamp: 1_700_000_000_000_001 });
    const seen: unknown[] = [];
    let at = header.metadataEnd;
    for (let i = 0; i < header.entryCount; i++) {
      const entry = emptyCommitEntry();
      decodeCommitEntry(bytes, at, bytes.length, entry);
      const { keyStart, keyEnd, subKeyEnd, end } = entry;
      const key = keyEnd === keyStart ? undefined : decodeKey(bytes, keyStart, keyEnd);
      const subKey = subKeyEnd === keyEnd ? undefined : decodeKey(bytes, keyEnd, subKeyEnd);
      const { table, op, expiry, eventTime } = entry;
      seen.push([table, op, key, subKey, expiry, eventTime, end - subKeyEnd]);
      at = end;
    }
    expect(at).toBe(bytes.length);
    expect(seen).toEqual([
      [16, ops.clearTable, undefined, undefined, 0, 0, 0],
      [17, ops.clearKey, 'a', undefined, 0, 0, 0],
      [17, ops.put, 'a', 7, 1_800_000_000_000_000, 0, 3],
      [16, ops.delete, 5n, undefined, 0, 0, 0],
      [18, ops.merge, true, undefined, 0, 0, 8],
      [19, ops.merge, 'n', undefined, 0, 1_600_000_000_000_000, 9],
      [19, ops.merge, 'n', undefined, 7, 1_600_000_000_000_000, 13],
      [19, ops.merge, 'p', undefined, 0, 1_600_000_000_000_000, 14],
    ]);
  });

  test('of the first version: encoded to the same bytes', () => {
    if (process.env['TIDEMARK_WRITE_GOLDEN'] === '1') writeFileSync(golden, encode());
    expect(Buffer.compare(encode(), readFileSync(golden))).toBe(0);
  });

  test('above commitBytesMax: COMMIT_TOO_LARGE', () => {
    const encoder = new CommitEncoder(1000);
    encoder.begin(1, undefined);
    const value = new Uint8Array(2_000_000);
    expect(() => encoder.add({ ...none, table: 16, op: ops.put, key: 'a', value })).toThrow(
      expect.objectContaining({ code: 'COMMIT_TOO_LARGE' }),
    );
  });
});
