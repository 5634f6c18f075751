/*
 * The sync of a proof mark fails, as the engine closes: the mark is in the cache of the system and
 * on no disk. The next opening reads it, and believes it rightly; but its own segment must not name
 * an end of the log behind a mark that a power loss takes away (L5, L7, O3).
 */
import { expect, test } from 'vitest';
import { errorOf } from '../engine/engine-fixture.ts';
import { shown, Script } from './script.ts';

test('L5 O3 the sync of a proof mark fails, then the power goes behind the next opening: nothing is lost', async () => {
  const script = new Script();
  await script.open();
  await script.commits(3);
  const path = '/store/wal/0000000001-00000001.wal';
  // Everything is synced: the sync of the mark is the first.
  const fault = script.fs.inject({ call: 'sync', path, nth: 1, error: 'EIO' });
  expect((await errorOf(script.close())).code).toBe('SYNC_FAILED');
  expect(fault.struck).toBe(1);
  await script.open();
  expect(script.engine.recovery.lsn).toBe(3);
  await script.commit();
  const after = new Script(script.fs.crash('dropped'), script.expected, 9);
  await after.open();
  expect(after.engine.recovery.lsn).toBe(4);
  expect(shown(after.engine)).toBe(script.expected[4]);
  await after.close();
});
