/*
 * Going back to a commit at which a checkpoint stands, behind a proof mark (T1): the fork names the
 * end of the group before the mark, the checkpoint's position is behind it, and both are the same place.
 */
import { expect, test } from 'vitest';
import { shown, Script } from './script.ts';

test('T1 a checkpoint behind a mark, and back to its very commit: opens there, again and again', async () => {
  const script = new Script();
  await script.open();
  await script.commits(3);
  script.clock.advance(1000);
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
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
