import { describe, expect, test } from 'vitest';
import {
  decodeCommitEntry,
  decodeCommitHeader,
  emptyCommitEntry,
} from '../../src/snapshot/commit-format.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { writeU16, writeU32 } from '../../src/std/bytes.ts';
import { encodeCommit, put } from './log-builder.ts';

const commit = {
  timestamp: 2 ** 51,
  metadata: 'meta',
  changes: [put(16, 'key', 'value', { subKey: 'sub', expiry: 9, eventTime: 8 })],
};
const entryAt = 24;

function decode(bytes: Uint8Array, start = 0): ReturnType<typeof emptyCommitEntry> {
  const header = decodeCommitHeader(bytes, start, bytes.length);
  const entry = emptyCommitEntry();
  decodeCommitEntry(bytes, header.metadataEnd, bytes.length, entry);
  return entry;
}

test('a commit: every field comes back', () => {
  const bytes = encodeCommit(commit);
  expect(decodeCommitHeader(bytes, 0, bytes.length)).toEqual({
    entryCount: 1,
    timestamp: 2 ** 51,
    metadataStart: 20,
    metadataEnd: 24,
  });
  const entry = decode(bytes);
  expect(entry).toMatchObject({ table: 16, op: ops.put, flags: 7, expiry: 9, eventTime: 8 });
  const text = (start: number, end: number): string =>
    Buffer.from(bytes.slice(start, end)).toString();
  expect(text(entry.keyStart, entry.keyEnd)).toBe('key');
  expect(text(entry.keyEnd, entry.subKeyEnd)).toBe('sub');
  expect(text(entry.subKeyEnd, entry.end)).toBe('value');
  expect(entry.end).toBe(bytes.length);
});

describe('a record that is none', () => {
  test.each<[string, (bytes: Uint8Array) => Uint8Array | void, string]>([
    ['a header cut short', (bytes) => bytes.subarray(0, 19), 'is cut short'],
    ['another kind', (bytes) => void (bytes[0] = 2), 'has kind 2'],
    ['reserved bytes', (bytes) => void (bytes[2] = 1), 'reserved bits'],
    ['metadata past its end', (bytes) => writeU32(bytes, 16, 1000), 'metadata past its end'],
    ['a timestamp above 2^53', (bytes) => void (bytes[15] = 1), 'timestamp out of range'],
    ['an entry cut short', (bytes) => bytes.subarray(0, entryAt + 15), 'entry that is cut short'],
    ['times cut short', (bytes) => bytes.subarray(0, entryAt + 31), 'entry that is cut short'],
    ['op 0', (bytes) => void (bytes[entryAt + 12] = 0), 'has op 0'],
    ['op 6', (bytes) => void (bytes[entryAt + 12] = 6), 'has op 6'],
    ['unknown flags', (bytes) => void (bytes[entryAt + 14] = 8), 'reserved bits'],
    ['a reserved byte', (bytes) => void (bytes[entryAt + 15] = 1), 'reserved bits'],
    ['a value past its end', (bytes) => writeU32(bytes, entryAt + 4, 6), 'entry past its end'],
    ['an expiry above 2^53', (bytes) => void (bytes[entryAt + 23] = 1), 'time out of range'],
    ['an event time above 2^53', (bytes) => void (bytes[entryAt + 31] = 1), 'time out of range'],
    [
      'an expiry of 0',
      (bytes) => void bytes.fill(0, entryAt + 16, entryAt + 24),
      'expiry that is none',
    ],
    [
      'an event time of 0',
      (bytes) => void bytes.fill(0, entryAt + 24, entryAt + 32),
      'event time that is none',
    ],
    ['no key', (bytes) => writeU16(bytes, entryAt + 8, 0), 'has a key where'],
    ['a clear of a table with a key', (bytes) => void (bytes[entryAt + 12] = 5), 'has a key where'],
    ['a clear of a sub-key', (bytes) => void (bytes[entryAt + 12] = 4), 'has a sub-key where'],
    ['a sub-key unannounced', (bytes) => void (bytes[entryAt + 14] = 6), 'has a sub-key where'],
  ])('%s: CORRUPT_FRAME', (_, damage, message) => {
    const bytes = new Uint8Array(encodeCommit(commit));
    const damaged = damage(bytes) ?? bytes;
    expect(() => decode(damaged)).toThrow(
      expect.objectContaining({
        code: 'CORRUPT_FRAME',
        message: expect.stringContaining(message),
      }),
    );
  });

  test('a newer version: UNSUPPORTED_FORMAT', () => {
    const bytes = new Uint8Array(encodeCommit(commit));
    bytes[1] = 2;
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }));
  });
});
