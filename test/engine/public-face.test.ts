/*
 * What a user of an engine can reach: its own members, and no way to make one but `openEngine`. A
 * member that is added is public for good, so it is added here on purpose.
 */
import { expect, test } from 'vitest';
import * as face from '../../src/engine/index.ts';

test('an engine: its members are those that the documentation has, and nothing of its inside', async () => {
  await using engine = await face.openEngine({ dir: ':memory:' });
  const members = Object.getOwnPropertyNames(Object.getPrototypeOf(engine));
  expect(Object.keys(engine)).toEqual([]);
  expect(members.toSorted()).toEqual(
    [
      'changes',
      'checkpoint',
      'checkpoints',
      'close',
      'collect',
      'commit',
      'constructor',
      'diff',
      'dropSavepoint',
      'durableLsn',
      'fork',
      'history',
      'merge',
      'missing',
      'on',
      'operator',
      'plan',
      'positions',
      'prefetch',
      'recovery',
      'register',
      'rollback',
      'scrub',
      'sealedLsn',
      'snapshot',
      'startAnew',
      'stats',
      'timelines',
      'transact',
      'verify',
      'viewAt',
    ].toSorted(),
  );
});

test('the package: gives no class to make an engine from', () => {
  expect(Object.keys(face)).not.toContain('Engine');
});
