import { describe, expect, test } from 'vitest';
import { hashBytes } from '../../src/codec/hash.ts';
import { TidemarkError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { readLogRun, type LogRun, type RunLogRange } from '../../src/snapshot/log-run.ts';
import type { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { Turns } from '../../src/snapshot/task-context.ts';
import { segmentHeaderBytes } from '../../src/wal/segment-format.ts';
import {
  buildSegment,
  encodeCommit,
  put,
  writeFile,
  type Change,
  type Commit,
} from './log-builder.ts';
import { describeEntry, runOf, type HashOf } from './runs.ts';

const seed = { low: 3, high: 4 };
const hashOf: HashOf = (key) => hashBytes(key, 0, key.length, seed);
const options = { seed, groupBits: 3, afterLsn: 0, throughLsn: Number.MAX_SAFE_INTEGER };
const turns = new Turns({ yieldNow: async () => {}, cancelled: () => false });
const path = '/log';

async function run(
  records: readonly Uint8Array[],
  change: Partial<typeof options> & { marks?: boolean; range?: Partial<RunLogRange> } = {},
  damage: (bytes: Uint8Array) => Uint8Array | void = () => {},
): Promise<LogRun> {
  const fs = new MemoryFileSystem();
  const { marks = false, range: other, ...more } = change;
  const { bytes, range } = buildSegment(records, { path, marks });
  const copy = new Uint8Array(bytes);
  await writeFile(fs, path, damage(copy) ?? copy);
  return readLogRun(fs, { ...range, ...other }, { ...options, ...more }, turns);
}

function drain(cursor: RunCursor): string[] {
  const seen: string[] = [];
  while (cursor.next()) seen.push(`${cursor.hash} ${cursor.op} ${describeEntry(cursor)}`);
  return seen;
}

async function expectSorted(commits: readonly Commit[]): Promise<void> {
  const sorted = drain(runOf(commits, 1, { hashOf, groupBits: options.groupBits }));
  const found = await run(commits.map(encodeCommit));
  expect(drain(found.cursor)).toEqual(sorted);
  expect(found.entryCount).toBe(sorted.length);
}

describe('order', () => {
  test('tables, keys, sub-keys, clears and repeated keys: as the kernel wants them', async () => {
    const keys = ['a', 'b', 'aa', 'hot', 'z'];
    const commits = Array.from({ length: 200 }, (_, i): Commit => {
      const key = keys[i % keys.length]!;
      const changes: Change[] = [
        put(40 - (i % 3), key, `v${i}`, { expiry: i, eventTime: i % 2 }),
        put(17, key, `s${i}`, { subKey: String((i * 7) % 50) }),
      ];
      if (i % 20 === 0) changes.unshift({ table: 17, op: ops.clearKey, key });
      if (i === 140) changes.unshift({ table: 38, op: ops.clearTable, key: '' });
      return { timestamp: 100 + i, changes, metadata: 'm'.repeat(i % 4) };
    });
    await expectSorted(commits);
  });

  test('many sub-keys of one key, written in no order: sorted', async () => {
    const changes = Array.from({ length: 2000 }, (_, i) =>
      put(16, 'hot', '', { subKey: String((i * 1237) % 2000) }),
    );
    await expectSorted([{ timestamp: 1, changes }]);
  });

  test('more tables than one digit holds: sorted', async () => {
    const changes = Array.from({ length: 2500 }, (_, i) => put((i * 1237) % 2500, 'k', ''));
    await expectSorted([{ timestamp: 1, changes }]);
  });

  test('a clear of a table: an entry in each key group', async () => {
    const changes = [{ table: 16, op: ops.clearTable, key: '' }];
    const { cursor } = await run([encodeCommit({ timestamp: 1, changes })]);
    const hashes: number[] = [];
    while (cursor.next()) hashes.push(cursor.hash);
    expect(hashes).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((group) => group * 2 ** 29));
  });

  test('many clears of a table: the newest in each key group, whatever the length of the log', async () => {
    const commits = Array.from({ length: 50 }, (_, i) =>
      encodeCommit({
        timestamp: i + 1,
        changes: [{ table: 16, op: ops.clearTable, key: '' }, put(16, `k${i}`, '')],
      }),
    );
    const { cursor } = await run(commits);
    const lsns: number[] = [];
    while (cursor.next()) if (cursor.op === ops.clearTable) lsns.push(cursor.lsn);
    expect(lsns).toEqual(Array.from({ length: 8 }, () => 50));
  });

  test('a clear of a table in a store of one key group: one entry', async () => {
    const changes = [{ table: 16, op: ops.clearTable, key: '' }];
    const { cursor } = await run([encodeCommit({ timestamp: 1, changes })], { groupBits: 0 });
    expect(drain(cursor)).toHaveLength(1);
  });
});

describe('what counts', () => {
  const records = Array.from({ length: 10 }, (_, i) =>
    encodeCommit({ timestamp: 100 + i, changes: [put(16, `k${i}`, '')] }),
  );

  test('a whole range, with marks between its groups: all commits', async () => {
    const found = await run(records, { marks: true });
    expect(found).toMatchObject({ commitCount: 10, firstLsn: 1, lastLsn: 10, lastTimestamp: 109 });
  });

  test('commits at or below one LSN and above another: left out', async () => {
    const cut = await run(records, { afterLsn: 2, throughLsn: 8 });
    expect(cut).toMatchObject({ commitCount: 6, firstLsn: 3, lastLsn: 8, lastTimestamp: 107 });
    const forked = await run(records, { throughLsn: 8, range: { throughLsn: 5 } });
    expect(forked).toMatchObject({ commitCount: 5, lastLsn: 5, lastTimestamp: 104 });
  });

  test('no commit at all: an empty run', async () => {
    const found = await run([], { range: { end: segmentHeaderBytes } });
    expect(found).toMatchObject({ commitCount: 0, firstLsn: 0, lastLsn: 0, lastTimestamp: 0 });
    expect(found.cursor.next()).toBe(false);
  });
});

describe('damage', () => {
  const records = Array.from({ length: 6 }, (_, i) =>
    encodeCommit({ timestamp: i + 1, changes: [put(16, `k${i}`, 'value')] }),
  );
  const { bytes, range } = buildSegment(records, { path });
  const secondGroup = (range.start + range.end) / 2;

  async function errorOf(found: Promise<unknown>): Promise<TidemarkError> {
    const error: unknown = await found.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(TidemarkError);
    return error as TidemarkError;
  }

  test.each<[string, Partial<RunLogRange>, (bytes: Uint8Array) => Uint8Array | void, string]>([
    ['a header', {}, (copy) => void (copy[secondGroup]! ^= 1), 'has no magic'],
    ['a body', {}, (copy) => void (copy[secondGroup + 80]! ^= 1), 'fails its checksum'],
    ['the file cut short', {}, (copy) => copy.subarray(0, secondGroup + 90), 'is cut short'],
    ['zeros', {}, (copy) => void copy.fill(0, secondGroup), 'has no magic'],
    ['a range that ends inside a group', { end: range.end - 8 }, () => {}, 'cut short'],
  ])('%s: CORRUPT_FRAME with path, offset and LSN', async (_, other, damage, message) => {
    const error = await errorOf(run(records, { range: other }, damage));
    const details = { path, offset: secondGroup, lsn: 4 };
    expect(error).toMatchObject({ code: 'CORRUPT_FRAME', details });
    expect(error.message).toContain(message);
  });

  test.each<[string, Partial<RunLogRange>, string]>([
    ['another LSN before it', { firstLsn: 2 }, 'continues at LSN 1 where 2 is due'],
    ['another chain value before it', { chain: { crc: 1, mix: 0 } }, 'chain value'],
    ['the salt of another segment', { salt: new Uint8Array(8) }, 'fails its checksum'],
  ])('%s: CORRUPT_FRAME at the first group', async (_, other, message) => {
    const error = await errorOf(run(records, { range: other }));
    expect(error).toMatchObject({ code: 'CORRUPT_FRAME', details: { offset: range.start } });
    expect(error.message).toContain(message);
  });

  test('the padding of the last group outside the range: CORRUPT_FRAME', async () => {
    const odd = [encodeCommit({ timestamp: 1, changes: [put(16, 'k', 'x')] })];
    const built = buildSegment(odd, { path });
    const end = built.range.end - 1;
    const error = await errorOf(run(odd, { range: { end } }));
    expect(error.message).toMatch(/passes the end of its range|cut short/);
  });

  test.each<[string, (record: Uint8Array) => Uint8Array, string]>([
    ['a record that is no commit', (record) => record.fill(9, 0, 1), 'has kind 9'],
    ['more entries than it counts', (record) => record.fill(0, 4, 5), 'goes on behind its entries'],
    ['fewer entries than it counts', (record) => record.fill(2, 4, 5), 'cut short'],
  ])('%s in a sound group: CORRUPT_FRAME with its LSN', async (_, damage, message) => {
    const damaged = records.map((record, i) => (i === 4 ? damage(Buffer.from(record)) : record));
    const error = await errorOf(run(damaged));
    expect(error).toMatchObject({ code: 'CORRUPT_FRAME', details: { path, lsn: 5 } });
    expect(error.message).toContain(message);
  });

  test('a commit of a newer version: UNSUPPORTED_FORMAT, since nothing is damaged', async () => {
    const newer = Buffer.from(records[0]!).fill(2, 1, 2);
    expect((await errorOf(run([newer]))).code).toBe('UNSUPPORTED_FORMAT');
  });

  test('no file: IO', async () => {
    const missing = readLogRun(new MemoryFileSystem(), range, options, turns);
    expect(await errorOf(missing)).toMatchObject({ code: 'IO', details: { errno: 'ENOENT' } });
    expect(bytes.length).toBe(range.end);
  });
});
