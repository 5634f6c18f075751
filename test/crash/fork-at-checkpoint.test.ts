/*
 * Going back to a commit at which a checkpoint stands, behind a proof mark (T1): the fork names the
 * end of the group before the mark, the checkpoint's position is behind it, and both are the same place.
 */
import { expect, test } from 'vitest';
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
  await script.close();
});
