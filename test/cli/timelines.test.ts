/*
 * Timelines on the command line, in this process, over a store on disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { runHere } from './run-here.ts';

let directory: string;
let store: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-timelines-'));
  store = join(directory, 'store');
  const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };
  for (const mark of ['a', 'b']) {
    const recoverTo = mark === 'a' ? {} : { recoverTo: { lsn: 2 } };
    const engine = await openEngineWith({ dir: store, ...recoverTo }, on);
    for (let i = 1; i <= 3; i++) {
      engine.operator('op').value('v').set('k', `${mark}${i}`);
      await engine.commit();
    }
    await engine.checkpoint({ kind: 'base' });
    await engine.close();
  }
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('tidemark timelines', () => {
  test('a store that was taken back: each timeline, where it left the one before, its end', async () => {
    const { status, stdout } = await runHere('timelines', store);
    expect(status).toBe(0);
    const rows = stdout.split('\n').filter((line) => /^│ \d/.test(line));
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatch(/^│ 1 +│ +│ +│ +│ 3 +│ LSN 0 +│ +│$/);
    expect(rows[1]).toMatch(/^│ 2 +│ 1 +│ 2 +│ 20.*Z +│ 5 +│ LSN 0 +│ current +│$/);
    const json = await runHere('timelines', store, '--json');
    expect(JSON.parse(json.stdout).timelines).toMatchObject([
      { id: 1, lsn: 3 },
      { id: 2, parent: 1, forkLsn: 2, lsn: 5, current: true },
    ]);
  });

  test('inspect and list: which timeline is current, and which each checkpoint is of', async () => {
    expect((await runHere('inspect', store)).stdout).toContain('timelines   1, 2 (current)');
    expect((await runHere('list', store)).stdout).toMatch(
      /1 {2}base {3}timeline 1 {2}LSN 3 .*\n +2 .* timeline 2 {2}LSN 5 /,
    );
  });

  test('no store: NOT_A_STORE', async () => {
    const { status, stderr } = await runHere('timelines', join(directory, 'none'));
    expect(status).toBe(2);
    expect(stderr).toContain('NOT_A_STORE');
  });
});

describe('--timeline', () => {
  const of = ['--timeline', '1'];

  test('get, dump, plan, log, history, changes: of the future that was left', async () => {
    const get = async (...rest: string[]): Promise<string> =>
      (await runHere('get', store, 'op', 'v', 'k', ...rest)).stdout;
    expect(await get()).toContain('"b3"');
    expect(await get(...of)).toContain('"a3"');
    expect(await get('--at', 'lsn:2', ...of)).toContain('"a2"');
    expect((await runHere('dump', store, ...of)).stdout).toContain('"a3"');
    expect((await runHere('plan', store, ...of)).stdout).toContain('LSN 3');
    expect((await runHere('log', store)).stdout).toContain('LSN 5');
    expect((await runHere('log', store, ...of)).stdout).not.toContain('LSN 5');
    expect((await runHere('history', store, 'op', 'v', 'k', ...of)).stdout).toContain('"a3"');
    expect((await runHere('history', store, 'op', 'v', 'k')).stdout).not.toContain('"a3"');
    expect((await runHere('changes', store, ...of)).stdout).toContain('"a3"');
    expect((await runHere('changes', store)).stdout).not.toContain('"a3"');
  });

  test('changes --after: goes on behind a commit, and is refused where the store was taken back to before it', async () => {
    const there = await runHere('changes', store, '--after', '1:2', '--json');
    const shown = there.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { timeline: number; lsn: number });
    expect(shown[0]).toMatchObject({ timeline: 2, lsn: 3 });
    const { lsn } = shown.at(-1)!;
    const end = await runHere('changes', store, '--after', `2:${lsn}`);
    expect([end.status, end.stdout]).toEqual([0, '']);
    const left = await runHere('changes', store, '--after', '1:3');
    expect([left.status, left.stderr]).toEqual([2, expect.stringContaining('TIMELINE_LEFT')]);
    const both = await runHere('changes', store, '--after', '1:2', '--from', '3');
    expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('INVALID_OPTION')]);
    for (const text of ['3', '1:', '1:x', '1:2:3', '1:99999999999999999']) {
      const { status, stderr } = await runHere('changes', store, '--after', text);
      expect([text, status, stderr.includes('--after')]).toEqual([text, 2, true]);
    }
  });

  test('diff: each moment of its own timeline', async () => {
    const both = ['lsn:3', 'lsn:3', '--from-timeline', '1'];
    expect((await runHere('diff', store, ...both)).stdout).toMatch(/"a3".*"b1"/s);
    const back = ['lsn:3', 'lsn:3', '--to-timeline', '1'];
    expect((await runHere('diff', store, ...back)).stdout).toMatch(/"b1".*"a3"/s);
  });

  test('restore: a new store with what was left', async () => {
    const to = join(directory, 'restored');
    expect((await runHere('restore', store, to, ...of)).status).toBe(0);
    expect((await runHere('get', to, 'op', 'v', 'k')).stdout).toContain('"a3"');
  });

  test('one that is not there: TIMELINE_NOT_FOUND, with those that are', async () => {
    const { status, stderr } = await runHere('get', store, 'op', 'v', 'k', '--timeline', '3');
    expect(status).toBe(2);
    expect(stderr).toMatch(/TIMELINE_NOT_FOUND.*1, 2/);
  });
});
