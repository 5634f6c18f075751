/*
 * The bound on commits in flight, with commits that the test acknowledges by hand.
 */
import { describe, expect, test } from 'vitest';

import { CommitWindow } from '../../src/demo/commit-window.ts';

interface Manual {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function manual(): Manual {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolved, onRejected) => {
    resolve = onResolved;
    reject = onRejected;
  });
  return { promise, resolve, reject };
}

/** Whether a promise has settled once every reaction that is due has run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  const note = (): void => {
    done = true;
  };
  promise.then(note, note);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return done;
}

describe('a window of commits', () => {
  test('room is left: the next commit can be made at once', async () => {
    const window = new CommitWindow(2);
    expect(await settled(window.add(manual().promise))).toBe(true);
    expect(window.acknowledged).toBe(0);
  });

  test('the window is full: the next commit waits for one acknowledgement', async () => {
    const window = new CommitWindow(2);
    const first = manual();
    await window.add(first.promise);
    const full = window.add(manual().promise);
    expect(await settled(full)).toBe(false);
    first.resolve();
    await full;
    expect(window.acknowledged).toBe(1);
  });

  test('draining: waits for every commit', async () => {
    const window = new CommitWindow(3);
    const commits = [manual(), manual()];
    for (const { promise } of commits) await window.add(promise);
    const drained = window.drain();
    commits[0]!.resolve();
    expect(await settled(drained)).toBe(false);
    commits[1]!.resolve();
    await drained;
    expect(window.acknowledged).toBe(2);
  });

  test('a commit fails while nobody waits: the next call throws its error', async () => {
    const window = new CommitWindow(4);
    const failing = manual();
    await window.add(failing.promise);
    failing.reject(new Error('the disk is gone'));
    await settled(failing.promise);
    await expect(window.add(Promise.resolve())).rejects.toThrow('the disk is gone');
    await expect(window.drain()).rejects.toThrow('the disk is gone');
  });

  test('a commit fails while the window is full: the waiting call throws its error', async () => {
    const window = new CommitWindow(1);
    const failing = manual();
    const full = window.add(failing.promise);
    failing.reject(new Error('the disk is gone'));
    await expect(full).rejects.toThrow('the disk is gone');
  });
});
