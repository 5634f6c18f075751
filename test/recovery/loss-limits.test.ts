/*
 * An opening that may lose commits and is given up: told that it was, the loss was not accepted.
 */
import { expect, test } from 'vitest';
import { open, pathsIn } from '../engine/engine-fixture.ts';
import type { NotedCall } from '../tools/faulty-file-system.ts';
import { flipMiddle, flipInLog, fourCommits, shortLog } from './damaged-worlds.ts';

/** Gives up at the first such call; what the opening said. */
async function givenUpAt(
  isIt: (call: NotedCall) => boolean,
): Promise<{ code: string | undefined; behind: string | undefined }> {
  const world = await fourCommits();
  await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
  await flipInLog(world, 'third');
  const abort = new AbortController();
  let isMet = false;
  world.fs.before = (call) => {
    if (isMet || !isIt(call)) return;
    isMet = true;
    abort.abort();
  };
  const outcome = async (more: object): Promise<string | undefined> => {
    let code: string | undefined;
    const opening = open(world, { ...shortLog, ...more }).then((engine) => engine.close());
    await opening.catch((error: { code: string }) => {
      ({ code } = error);
    });
    return code;
  };
  const code = await outcome({ acceptLoss: true, signal: abort.signal });
  expect(isMet).toBe(true);
  world.fs.before = () => {};
  return { code, behind: await outcome({}) };
}

test('while the copy is made: it is given up, and the next opening refuses as before', async () => {
  const { code, behind } = await givenUpAt(({ call, path }) => {
    return call === 'link' && path.includes('/given-up/');
  });
  expect({ code, behind }).toEqual({ code: 'ABORTED', behind: 'CORRUPT_RECORD' });
});

test.each([
  ['the base is put', 'rename', '/snapshots/'],
  ['the record is put', 'link', '/store/checkpoints/'],
  ['what was written is read again', 'readNow', '/store/snapshots/'],
  ['the segment is made', 'rename', '/store/wal/'],
])('while %s: it is finished', async (_, name, part) => {
  let isCopied = false;
  const { code, behind } = await givenUpAt(({ call, path }) => {
    isCopied ||= path.endsWith('/given-up.json');
    const isRead = name === 'readNow' && (call === 'read' || call === 'readNow');
    return isCopied && (call === name || isRead) && path.includes(part);
  });
  expect({ code, behind }).toEqual({ code: undefined, behind: undefined });
});
