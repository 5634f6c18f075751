/*
 * Going back to a commit at which a checkpoint stands (T1), behind a proof mark or where the next
 * segment begins: the new timeline begins at the checkpoint's position, and not at the end of the
 * group that holds the commit, since the log is read on from there.
 */
import { expect, test } from 'vitest';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { SeededRandom } from '../../src/testing/index.ts';
import { shown, Script } from './script.ts';

test('T1 a checkpoint behind a mark, and back to its very commit: opens there, again and again', async () => {
  const first = new Script();
  await first.open();
  await first.commits(2);
  await first.commit(20, 'os');
  // What was not proved is copied, with a mark behind it.
  const script = new Script(first.fs.crash('kept'), first.expected, 5);
  await script.open();
  await script.checkpoint();
  await script.commits(2);
  await script.close();
  await backAndOn(script);
});

test('T1 a checkpoint where a segment begins, and back to its very commit: the same', async () => {
  const script = new Script();
  await script.open();
  await script.commits(3);
  await script.close();
  await script.open();
  await script.checkpoint();
  await script.commits(2);
  await script.close();
  await backAndOn(script);
});

/** Back to LSN 3, of five; the store opens there, and behind the next commit. */
async function backAndOn(script: Script): Promise<void> {
  await script.goBack(3);
  expect(shown(script.engine)).toBe(script.expected[3]);
  await script.close();
  await script.open();
  expect(script.engine.recovery.lsn).toBe(3);
  await script.commit();
  await script.close();
  await script.open();
  expect(script.engine.recovery.lsn).toBe(4);
  expect(shown(script.engine)).toBe(script.expected[4]);
  await script.engine.collect();
  await script.close();
  const on = { fs: script.fs, clock: script.clock, random: new SeededRandom(1), threads: false };
  expect((await verifyStoreWith({ dir: '/store' }, on)).faults).toEqual([]);
}
