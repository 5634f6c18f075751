/*
 * Commits as a reader gives them: in order over segments, openings and checkpoints, each change by
 * its kind.
 */
import { describe, expect, test } from 'vitest';

import { PatchReplacement } from '../../src/snapshot/patch-decode.ts';
import { decodeCommit, type LoggedCommit } from '../../src/recovery/reader-commits.ts';
import { createReaderDecoder } from '../../src/codec/value-reader.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { CommitEncoder } from '../../src/state/commit-encoder.ts';
import { encodeInt64 } from '../../src/state/operand-changes.ts';
import { dir, fill, filled, smallSegments, TestStore, withReader } from './reader-store.ts';

describe('commits', () => {
  test('all of the log, below checkpoints and over segments and openings: in order, complete', async () => {
    const store = await filled();
    const engine = await store.open(smallSegments);
    await fill(engine, 10);
    await engine.close();
    await withReader(store, async (reader) => {
      const commits = [];
      for await (const commit of reader.commits()) commits.push(commit);
      expect(commits.map(({ lsn }) => lsn)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      expect(commits[3]).toMatchObject({
        lsn: 4,
        metadata: { step: 3 },
        positions: { flights: 3 },
        unproved: false,
      });
      expect(
        commits[3]!.entries.map(({ state, op, key, subKey, value }) => [
          state,
          op,
          key,
          subKey,
          value,
        ]),
      ).toEqual([
        ['stats', 'put', 'route 3', undefined, { count: 3 }],
        ['days', 'put', 'JFK', 3, 6],
        ['recent', 'append', 'JFK', undefined, 3],
        ['flights', 'add', 'JFK', undefined, 2],
        ['model', 'put', 'm', undefined, { bytes: 500, chunks: [expect.any(String)] }],
      ]);
    });
  });

  test('deletes, clears, removed positions and expiry: told apart', async () => {
    const store = new TestStore();
    const engine = await store.open();
    const op = engine.operator('op');
    op.value('v').set('k', 1, { ttlMs: 1 });
    await engine.commit({ positions: { a: 1 } });
    op.counter('c').add('k', -7);
    op.value('v').delete('k');
    op.map('m').clear('k');
    op.list('l').clearAll();
    await engine.commit({ positions: { a: null } });
    await engine.close();
    await withReader(store, async (reader) => {
      const commits = [];
      for await (const commit of reader.commits()) commits.push(commit);
      expect(commits[0]!.entries[0]!.expiresAt).toBe(store.clock.micros + 1000);
      expect(commits[0]!.metadata).toBeUndefined();
      expect(commits[1]!.positions).toEqual({ a: null });
      expect(
        commits[1]!.entries.map(({ state, op: what, key, value }) => [state, what, key, value]),
      ).toEqual([
        ['c', 'add', 'k', -7],
        ['v', 'delete', 'k', undefined],
        ['m', 'clear', 'k', undefined],
        ['l', 'clearAll', undefined, undefined],
      ]);
    });
  });

  test('an operand that is no safe integer, an unknown table: exact, and its bytes', () => {
    const encoder = new CommitEncoder(1024);
    encoder.begin(9, undefined);
    const change = { op: ops.merge, expiry: 0, eventTime: 0, key: 'k', subKey: undefined } as const;
    const value = encodeInt64(2n ** 60n);
    encoder.add({ ...change, table: 16, operator: operatorIds.add, value });
    encoder.add({ ...change, table: 17, op: ops.put, operator: operatorIds.none, value });
    const decoding = { tables: new Map(), decoder: createReaderDecoder(), provedLsn: 4 };
    const commit = decodeCommit(5, encoder.finish(), decoding);
    expect(commit.unproved).toBe(true);
    expect(commit.entries).toMatchObject([
      { state: 'table 16', op: 'add', value: 2n ** 60n },
      { state: 'table 17', op: 'put', value },
    ]);
  });

  test('operands: the number given, the patch with its deletions and replacements', async () => {
    const store = new TestStore();
    const engine = await store.open();
    const op = engine.operator('op');
    op.min<bigint>('low').update('k', 5n);
    op.max('high').update('k', 0.5);
    op.value('v').patch('k', { a: null, b: { c: 1 } });
    op.value('w').patch('k', { a: 1 });
    op.value('w').patch('k', { a: { b: null, c: [null] } });
    await engine.commit();
    await engine.close();
    await withReader(store, async (reader) => {
      const { value } = await reader.commits().next();
      const { entries } = value as LoggedCommit;
      expect(entries.map((entry) => [entry.state, entry.op, entry.value])).toEqual([
        ['low', 'min', 5n],
        ['high', 'max', 0.5],
        ['v', 'patch', { a: null, b: { c: 1 } }],
        ['w', 'patch', { a: new PatchReplacement({ c: [null] }) }],
      ]);
      expect(reader.get('op', 'low', 'k')?.value).toBe(5n);
      expect(reader.get('op', 'w', 'k')?.value).toEqual({ a: { c: [null] } });
      expect([...reader.entries('op', 'high')]).toMatchObject([{ kind: 'max', value: 0.5 }]);
    });
  });

  test('from and limit: those commits; past the end: none', async () => {
    const store = await filled();
    const lsnsOf = (from: number, limit: number): Promise<number[]> =>
      withReader(store, async (reader) => {
        const lsns = [];
        for await (const { lsn } of reader.commits({ from, limit })) lsns.push(lsn);
        return lsns;
      });
    expect(await lsnsOf(17, 3)).toEqual([17, 18, 19]);
    expect(await lsnsOf(29, 10)).toEqual([29, 30]);
    expect(await lsnsOf(31, 10)).toEqual([]);
    expect(await lsnsOf(1, 0)).toEqual([]);
    await expect(lsnsOf(-1, 1)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('from below what is kept: OUT_OF_RETENTION with the range', async () => {
    const store = await filled(6);
    const engine = await store.open(smallSegments);
    await fill(engine, 6);
    await engine.close();
    const [oldest] = (await store.files(`${dir}/wal`)).toSorted((a, b) =>
      a.path < b.path ? -1 : 1,
    );
    await store.fs.unlink(oldest!.path);
    await withReader(store, async (reader) => {
      await expect(reader.commits({ from: 1 }).next()).rejects.toMatchObject({
        code: 'OUT_OF_RETENTION',
        details: { from: 1, firstLsn: 7, lastLsn: 12 },
      });
      const first = await reader.commits().next();
      expect(first.value).toMatchObject({ lsn: 7 });
    });
  });
});
