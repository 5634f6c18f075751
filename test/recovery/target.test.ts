/*
 * Targets: their forms, in code and on the command line, and what a store says to each of them.
 */
import { describe, expect, test } from 'vitest';
import type { Target } from '../../src/engine/index.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { checkTarget, parseTarget } from '../../src/recovery/target.ts';
import { codeOf, errorOf } from '../engine/engine-fixture.ts';
import { dir, TestStore } from './reader-store.ts';

describe('the form', () => {
  test.each<[string, Target]>([
    ['latest', 'latest'],
    ['lsn:0', { lsn: 0 }],
    ['lsn:12', { lsn: 12 }],
    ['checkpoint:7', { checkpoint: 7 }],
    ['savepoint:before upgrade: 2', { savepoint: 'before upgrade: 2' }],
    ['2026-11-20', { timestamp: Date.UTC(2026, 10, 20) * 1000 }],
    ['2026-11-20T14:02Z', { timestamp: Date.UTC(2026, 10, 20, 14, 2) * 1000 }],
    ['2026-11-20T14:02:37Z', { timestamp: Date.UTC(2026, 10, 20, 14, 2, 37) * 1000 }],
    ['2026-11-20T14:02:37.5+01:00', { timestamp: Date.UTC(2026, 10, 20, 13, 2, 37, 500) * 1000 }],
    [
      '2026-11-20T14:02:37.123456Z',
      { timestamp: Date.UTC(2026, 10, 20, 14, 2, 37, 123) * 1000 + 456 },
    ],
  ])('%s', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  test.each([
    '',
    'lsn:',
    'lsn:-1',
    'lsn:1.5',
    'checkpoint:x',
    'yesterday',
    '2026-11-20T14:02:37',
    '2026-13-01',
    '1960-01-01',
  ])('%j: refused', async (text) => {
    expect(await codeOf(() => parseTarget(text))).toBe('INVALID_OPTION');
  });

  test.each<[unknown, string]>([
    [undefined, 'at'],
    ['newest', 'at'],
    [null, 'at'],
    [{}, 'at'],
    [{ lsn: 1, checkpoint: 2 }, 'at'],
    [{ lsn: -1 }, 'at.lsn'],
    [{ lsn: 1.5 }, 'at.lsn'],
    [{ checkpoint: 0 }, 'at.checkpoint'],
    [{ timestamp: new Date(Number.NaN) }, 'at.timestamp'],
    [{ timestamp: '2026-11-20' }, 'at.timestamp'],
    [{ lsn: 1, inclusive: 'yes' }, 'at.inclusive'],
    [{ lsn: 1, exact: true }, 'at.exact'],
  ])('%j: refused, naming the option', async (target, option) => {
    const error = await errorOf(() => checkTarget(target, 'at'));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
  });

  test('a text for a time: the refusal names both forms that are right', async () => {
    const error = await errorOf(() => checkTarget({ timestamp: '2026-11-20' }, 'at'));
    expect(error.message).toContain(
      'must be a Date, or whole microseconds since 1970: "2026-11-20"',
    );
  });

  test('a Date is the same as its microseconds', () => {
    const date = new Date(1_700_000_000_123);
    expect(checkTarget({ timestamp: date }, 'at')).toEqual(
      checkTarget({ timestamp: 1_700_000_000_123_000 }, 'at'),
    );
  });
});

/** Ten commits, a checkpoint after each third, the fourth a savepoint's. */
async function store(): Promise<TestStore> {
  const made = new TestStore();
  const engine = await made.open({ checkpointing: false, retention: false });
  for (let n = 1; n <= 10; n++) {
    made.clock.micros += 1_000_000;
    engine.operator('op').value('v').set('k', n);
    engine.operator('op').value('short').set('t', n, { ttlMs: 2500 });
    await engine.commit();
    if (n % 3 === 0) await engine.checkpoint(n === 6 ? { savepoint: 'six' } : {});
  }
  await engine.close();
  return made;
}

const start = 1_700_000_000_000_000;

describe('a store', () => {
  test.each<[string, Target, number]>([
    ['an LSN', { lsn: 5 }, 5],
    ['an LSN, exclusive', { lsn: 5, inclusive: false }, 4],
    ['a checkpoint', { checkpoint: 2 }, 6],
    ['a checkpoint, exclusive', { checkpoint: 2, inclusive: false }, 5],
    ['a savepoint', { savepoint: 'six' }, 6],
    ['the time of a commit', { timestamp: start + 4_000_000 }, 4],
    ['the time of a commit, exclusive', { timestamp: start + 4_000_000, inclusive: false }, 3],
    ['a time between commits', { timestamp: start + 4_700_000 }, 4],
    ['a time behind the last commit', { timestamp: start + 10_000_000 }, 10],
    ['the latest', 'latest', 10],
  ])('%s: that commit', async (_, at, lsn) => {
    const { components } = await store();
    const reader = await openReaderWith({ dir, at }, components);
    expect([reader.lsn, reader.get('op', 'v', 'k')?.value]).toEqual([lsn, lsn]);
    await reader.close();
    expect((await planStoreRestoreWith({ dir, at }, components)).lsn).toBe(lsn);
  });

  test('before the first commit: empty', async () => {
    const { components } = await store();
    const reader = await openReaderWith({ dir, at: { lsn: 0 } }, components);
    expect([reader.lsn, [...reader.entries()], reader.timestamp]).toEqual([0, [], 0]);
    await reader.close();
  });

  test('expiry is judged by the target: a value that has gone by now is there then', async () => {
    const { components } = await store();
    const valueAt = async (at: Target): Promise<unknown> => {
      const reader = await openReaderWith({ dir, at }, components);
      const found = reader.get('op', 'short', 't')?.value;
      await reader.close();
      return found;
    };
    expect(await valueAt({ lsn: 4 })).toBe(4);
    expect(await valueAt({ timestamp: start + 4_900_000 })).toBe(4);
    const last = start + 10_000_000;
    components.clock.nowMicros = () => last + 9_000_000;
    expect(await valueAt({ timestamp: last + 2_400_000 })).toBe(10);
    expect(await valueAt({ timestamp: last + 2_500_000 })).toBeUndefined();
    expect(await valueAt('latest')).toBeUndefined();
  });

  test('what is not there: an error that says what is', async () => {
    const { components } = await store();
    const failing = (at: Target): Promise<unknown> => planStoreRestoreWith({ dir, at }, components);
    const beyond = await errorOf(failing({ lsn: 11 }));
    expect([beyond.code, beyond.details]).toMatchObject([
      'OUT_OF_RETENTION',
      { fromLsn: 0, lastLsn: 10, oldestLsn: 3 },
    ]);
    expect(await codeOf(failing({ lsn: 0, inclusive: false }))).toBe('OUT_OF_RETENTION');
    expect(await codeOf(failing({ timestamp: start }))).toBe('OUT_OF_RETENTION');
    // Milliseconds where microseconds are meant: the date shows it.
    const milliseconds = await errorOf(failing({ timestamp: 1_795_261_808_437 }));
    expect(milliseconds.message).toContain('timestamp 1795261808437 (1970-01-21T18:41:01.808Z)');
    const future = { timestamp: start + 3_600_000_000 };
    expect(await codeOf(failing(future))).toBe('OUT_OF_RETENTION');
    const checkpoint = await errorOf(failing({ checkpoint: 9 }));
    expect([checkpoint.code, checkpoint.details['checkpoints']]).toEqual([
      'CHECKPOINT_NOT_FOUND',
      [1, 2, 3],
    ]);
    const savepoint = await errorOf(failing({ savepoint: 'seven' }));
    expect([savepoint.code, savepoint.details['savepoints']]).toEqual([
      'SAVEPOINT_NOT_FOUND',
      ['six'],
    ]);
  });

  test('a plan: checkpoint, chain, log and cost', async () => {
    const { components } = await store();
    const plan = await planStoreRestoreWith({ dir, at: { lsn: 8 } }, components);
    expect(plan).toMatchObject({
      lsn: 8,
      checkpoint: 2,
      checkpointLsn: 6,
      replayedCommits: 2,
      measured: false,
      retained: { fromLsn: 0, checkpointCount: 3 },
    });
    expect(plan.snapshotBytes).toBe(plan.chain.reduce((sum, link) => sum + link.bytes, 0));
    expect([plan.logBytes > 0, plan.seconds > 0]).toEqual([true, true]);
    const exact = await planStoreRestoreWith({ dir, at: { checkpoint: 2 } }, components);
    expect([exact.replayedCommits, exact.logBytes]).toEqual([0, 0]);
  });

  test('a checkpoint whose snapshot is missing: no way, an older one is', async () => {
    const made = await store();
    const plan = await planStoreRestoreWith({ dir, at: { lsn: 8 } }, made.components);
    await made.fs.unlink(`${dir}/${plan.chain.at(-1)!.name}`);
    const again = await planStoreRestoreWith({ dir, at: { lsn: 8 } }, made.components);
    expect([again.checkpoint, again.replayedCommits]).toEqual([1, 5]);
    const reader = await openReaderWith({ dir, at: { lsn: 8 } }, made.components);
    expect(reader.get('op', 'v', 'k')?.value).toBe(8);
    await reader.close();
  });
});
