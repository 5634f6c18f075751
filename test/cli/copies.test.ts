/*
 * The verbs that copy a store, in a process of their own and in this one, over stores on disk.
 */
import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withProgress } from '../../src/cli/progress.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { openReader } from '../../src/engine/index.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { runHere as run } from './run-here.ts';

const main = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url));
const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };

let directory: string;
let store: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-copies-'));
  store = join(directory, 'store');
  const engine = await openEngineWith({ dir: store, keyGroups: 4 }, on);
  for (let i = 0; i < 50; i++) engine.operator('many').value('v').set(i, i);
  for (let i = 1; i <= 6; i++) {
    engine.operator('routes').value('last').set(i, { i });
    engine.operator('other').counter('n').add('all', 1);
    await engine.commit({ positions: { rows: i } });
    if (i === 3) await engine.checkpoint({ savepoint: 'third' });
  }
  await engine.checkpoint();
  await engine.close();
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('restore', () => {
  test('as a command of its own: a store of the latest moment, made in threads', async () => {
    const to = join(directory, 'latest');
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'restore', store, to], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^restored {4}LSN 6 \(.*Z\)\nfrom {8}checkpoint 2 and 0 commits\n/);
    const reader = await openReader({ dir: to });
    expect([...reader.entries()]).toHaveLength(57);
    expect(reader.positions()).toEqual({ rows: 6 });
    await reader.close();
  });

  test('--at, --operators, --key-groups, --threads, --timeout, --json: each counts', async () => {
    const to = join(directory, 'part');
    const parts = ['--operators', 'many', '--key-groups', '0..2', '--threads', '1'];
    const more = ['--at', 'lsn:4', '--timeout', '60', '--json'];
    const { status, stdout } = await run('restore', store, to, ...parts, ...more);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as object;
    expect(report).toMatchObject({ lsn: 4, partial: true });
    expect(report).toMatchObject({ sources: [{ checkpoint: 1, replayedCommits: 1 }] });
    const reader = await openReader({ dir: to });
    const whole = await openReader({ dir: store, at: { lsn: 4 } });
    const kept = [...reader.entries()].map(({ key }) => key);
    const all = new Set([...whole.entries('many')].map(({ key }) => String(key)));
    expect(kept.every((key) => all.has(String(key)))).toBe(true);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(50);
    expect(reader.definitions().map(({ operator }) => operator)).toEqual(['many']);
    await Promise.all([reader.close(), whole.close()]);
  });

  test('into a store: status 2 and STATE_EXISTS', async () => {
    const { status, stderr } = await run('restore', store, store);
    expect([status, stderr.split(':')[1]]).toEqual([2, ' STATE_EXISTS']);
  });

  const wrong: [string, string][] = [
    ['--key-groups', '2'],
    ['--key-groups', '2..2'],
    ['--operators', 'a,,b'],
    ['--threads', '0'],
    ['--timeout', '0'],
  ];
  test.each(wrong)('with %s %s: wrong usage', async (option, value) => {
    const to = join(directory, 'never');
    const { status } = await run('restore', store, to, option, value);
    expect(status).toBe(2);
    expect(existsSync(to)).toBe(false);
  });
});

describe('export-savepoint', () => {
  test('writes the savepoint, and nothing for one that is not there', async () => {
    const to = join(directory, 'third');
    const { status, stdout } = await run('export-savepoint', store, 'third', to, '--json');
    expect([status, JSON.parse(stdout)]).toMatchObject([
      0,
      { lsn: 3, sources: [{ checkpoint: 1 }] },
    ]);
    const missing = await run('export-savepoint', store, 'fourth', join(directory, 'never'));
    expect(missing.stderr).toMatch(
      /SAVEPOINT_NOT_FOUND: there is no savepoint fourth, there is third$/m,
    );
    expect(missing.status).toBe(2);
  });

  test('with --timeline: one of that timeline', async () => {
    const named = ['export-savepoint', store, 'third', join(directory, 'third-of')];
    const other = await run(...named, '--timeline', '7');
    expect([other.status, other.stderr.split(':')[1]]).toEqual([2, ' TIMELINE_NOT_FOUND']);
    expect((await run(...named, '--timeline', '1')).status).toBe(0);
  });
});

describe('split and join', () => {
  const at = (name: string): string => join(directory, name);

  async function entriesIn(where: string): Promise<unknown[]> {
    const reader = await openReader({ dir: where });
    const found = [...reader.entries()].map(({ operator, key, value }) => [operator, key, value]);
    await reader.close();
    return found;
  }

  test('evenly, and together again: the same entries', async () => {
    const split = await run('split', store, at('half-0'), at('half-1'));
    expect(split.status).toBe(0);
    expect(split.stdout.match(/^restored {4}LSN 6 \(.*\), a part$/gm)).toHaveLength(2);
    const joined = await run('join', at('whole'), at('half-0'), at('half-1'));
    expect(joined.status).toBe(0);
    const from = joined.stdout.split('\n').filter((line) => line.startsWith('from'));
    expect(from).toEqual([
      `from        ${at('half-0')}, key groups 0..2, LSN 6: checkpoint 1 and 0 commits`,
      `from        ${at('half-1')}, key groups 2..4, LSN 6: checkpoint 1 and 0 commits`,
    ]);
    expect(await entriesIn(at('whole'))).toEqual(await entriesIn(store));
  });

  test('of one part alone: says which key groups are missing, and refuses nothing', async () => {
    await run('split', store, at('lone-0'), at('lone-1'));
    const joined = await run('join', at('lone'), at('lone-1'));
    expect(joined.status).toBe(0);
    expect(joined.stdout).toMatch(/^from {8}.*, key groups 2\.\.4\n/m);
    expect(joined.stdout).toMatch(/^missing {5}key groups 0\.\.2\n/m);
    const whole = await run('join', at('both'), at('lone-0'), at('lone-1'));
    expect(whole.stdout).not.toContain('missing');
  });

  test('with key groups, --at, --gaps, --positions, --holders, --json: each counts', async () => {
    const parts = [`${at('one')}@0..1`, `${at('rest')}@1..4`];
    const split = await run('split', store, ...parts, '--at', 'savepoint:third', '--json');
    expect(split.stdout.split('\n')[1]).toContain('"lsn":3');
    const groups = [at('one'), `${at('rest')}@1..3`];
    const refused = await run('join', at('joined'), ...groups);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/INVALID_OPTION.*gaps/);
    const chosen = ['--gaps', '--positions', at('one'), '--holders', at('one')];
    const joined = await run('join', at('joined'), ...groups, ...chosen, '--operators', 'many');
    expect([joined.status, joined.stderr]).toEqual([0, '']);
    const found = (await entriesIn(at('joined'))).length;
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(50);
  });

  const wrong: [string, string[]][] = [
    ['no directory to join', ['join', 'to']],
    ['key groups of one directory only', ['split', 'from', 'a@0..2', 'b']],
    ['positions of another store', ['join', 'to', 'a', 'b', '--positions', 'c']],
    ['holders of another store', ['join', 'to', 'a', 'b', '--holders', 'c']],
    ['one store for all', ['join', 'to', 'a', 'b', '--store', 'c']],
  ];
  test.each(wrong)('%s: status 2', async (_, args) => {
    expect((await run(...args)).status).toBe(2);
  });
});

describe('fork', () => {
  test('makes a second store, says what is shared, and takes --timeout and --json', async () => {
    const { status, stdout } = await run('fork', store, join(directory, 'fork'));
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^forked {6}at LSN 6 \(.*Z\), 2 checkpoints\nto {10}.*, timeline 2\nshared {6}2 files, .*\ncopied {6}1 files, /,
    );
    const reader = await openReader({ dir: join(directory, 'fork') });
    expect(reader.positions()).toEqual({ rows: 6 });
    await reader.close();
    const timelines = (await run('timelines', join(directory, 'fork'))).stdout;
    expect(timelines).toMatch(/│ 2 +│ 1 of store [0-9a-f]{32} +│ 6 /);
    const again = ['fork', store, join(directory, 'fork-2'), '--json', '--timeout', '60'];
    const report = JSON.parse((await run(...again)).stdout) as object;
    expect(report).toMatchObject({ lsn: 6, timeline: 2, unprovedCommits: 0 });
  });
});

describe('--claim', () => {
  test('of fork, restore and join: the new store takes the place of the old', async () => {
    const at = (name: string): string => join(directory, `claim-${name}`);
    await run('restore', store, at('0'));
    const forked = await run('fork', at('0'), at('1'), '--claim');
    expect(forked.stdout).toContain(`claimed     ${at('0')}\n`);
    expect((await run('restore', at('1'), at('2'), '--claim')).status).toBe(0);
    await run('split', at('2'), at('low'), at('high'));
    expect((await run('join', at('3'), at('low'), at('high'), '--claim')).status).toBe(0);
    for (const gone of ['0', '1', 'low', 'high']) {
      const { status, stderr } = await run('inspect', at(gone));
      expect([status, stderr.split(':')[1]]).toEqual([2, ' CLAIMED']);
    }
    const reader = await openReader({ dir: at('3') });
    expect([...reader.entries()]).toHaveLength(57);
    await reader.close();
  });
});

describe('backup', () => {
  test('copies, says what, and copies nothing the second time', async () => {
    const to = join(directory, 'backup');
    const first = await run('backup', store, to);
    expect([first.status, first.stderr]).toEqual([0, '']);
    expect(first.stdout).toMatch(
      /^copied {6}LSN 6, to .*\nnew {9}.*: 2 snapshots, 2 records, log\n/,
    );
    const again = await run('backup', store, to, '--json', '--no-verify', '--timeout', '60');
    expect(JSON.parse(again.stdout)).toMatchObject({ lsn: 6, copiedBytes: 0, copiedRecords: 0 });
    expect(again.stdout).not.toContain('verifiedBytes');
    const { stdout } = await run('verify', to);
    expect(stdout).toContain('LSN 6');
  });

  test('--timeout that is none: wrong usage', async () => {
    const { status } = await run('backup', store, join(directory, 'never'), '--timeout', 'x');
    expect(status).toBe(2);
  });
});

describe('list', () => {
  test('prints a line for each checkpoint, oldest first', async () => {
    const { status, stdout } = await run('list', store);
    const lines = stdout.trimEnd().split('\n');
    expect([status, lines.length]).toEqual([0, 2]);
    expect(lines[0]).toMatch(/^ {5}1 {2}base {3}LSN 3 .*savepoint third$/);
    expect(lines[1]).toMatch(/^ {5}2 {2}delta {2}LSN 6 .* in 2$/);
  });

  test('--json: the same as JSON', async () => {
    const { stdout } = await run('list', store, '--json');
    const found = JSON.parse(stdout) as { checkpoints: unknown[]; faults: unknown[] };
    expect(found.checkpoints).toMatchObject([
      { id: 1, savepoint: 'third' },
      { id: 2, lsn: 6 },
    ]);
    expect(found.faults).toEqual([]);
  });
});

describe('progress', () => {
  function terminal(): { texts: string[]; stream: NodeJS.WriteStream } {
    const texts: string[] = [];
    const stream = Object.assign(new EventEmitter(), {
      isTTY: true,
      columns: 100,
      cursorTo: () => true,
      clearLine: () => true,
      write: (text: string) => texts.push(text) > 0,
    });
    return { texts, stream: stream as unknown as NodeJS.WriteStream };
  }

  test('on a terminal: a bar; with --json, and where there is none: nothing', async () => {
    const progress = { phase: 'write', bytes: 512, bytesTotal: 1024, entries: 1 } as const;
    const { texts, stream } = terminal();
    const shown = await withProgress(stream, false, async ({ onProgress }) => {
      onProgress?.({ ...progress, bytesPerSecond: 10 });
      onProgress?.({ ...progress, bytes: 1024, bytesPerSecond: 2048 });
      return onProgress !== undefined;
    });
    expect(shown).toBe(true);
    expect(texts.join('')).toContain('%');
    const small = terminal();
    const show = async (least: number): Promise<void> =>
      withProgress(
        small.stream,
        false,
        async ({ onProgress }) => onProgress?.({ ...progress, bytesPerSecond: 10 }),
        least,
      );
    await show(2048);
    expect(small.texts).toEqual([]);
    await show(1024);
    expect(small.texts.join('')).toContain('%');
    const silent = async (json: boolean, isTTY: boolean): Promise<boolean> =>
      withProgress(Object.assign(terminal().stream, { isTTY }), json, async (show) =>
        Promise.resolve(show.onProgress === undefined),
      );
    expect([await silent(true, true), await silent(false, false)]).toEqual([true, true]);
  });
});
