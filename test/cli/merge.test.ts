/*
 * `tidemark merge`: what it would do, what it does, and what stops it.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inspectStore, type Engine } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { runHere as tidemark } from './run-here.ts';

const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };

let root: string;
let dir: string;

async function openStore(): Promise<Engine> {
  const bounds = { maxChainLength: 12, restoreSecondsMax: 5 };
  return openEngineWith({ dir, checkpointing: false, segmentBytesMax: 1 << 20, ...bounds }, on);
}

const chainOf = async (): Promise<string> => {
  const { checkpoints } = await inspectStore({ dir });
  return checkpoints
    .at(-1)!
    .chain.map((link) => (link.kind === 'base' ? 'B' : 'd'))
    .join('');
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-merge-'));
  dir = join(root, 'store');
  const engine = await openStore();
  for (let n = 0; n < 4; n++) {
    for (let key = 0; key < (n === 0 ? 500 : 20); key++)
      engine.operator('o').value('v').set(key, n);
    await engine.commit();
    await engine.checkpoint();
  }
  await engine.close();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test('a dry run, beside a process that has the store open: says what and why, changes nothing', async () => {
  const engine = await openStore();
  const { status, stdout } = await tidemark('merge', dir, '--dry-run');
  expect([status, stdout.split('\n')[0]]).toEqual([
    0,
    expect.stringMatching(/^would merge: one delta of 3, .*: it was asked for$/) as unknown,
  ]);
  expect(stdout.match(/ yes /g)).toHaveLength(3);
  const printed = JSON.parse(
    (await tidemark('merge', dir, '--dry-run', '--json')).stdout,
  ) as object;
  expect(printed).toMatchObject({
    plan: { start: 1, count: 3 },
    chain: [{ kind: 'base' }, {}, {}, {}],
  });
  expect(await chainOf()).toBe('Bddd');
  await engine.close();
});

test('merges as the strategy says, and says what it did; the state is the same', async () => {
  const first = await tidemark('merge', dir);
  expect(first.stdout).toMatch(/^merged 3 snapshots, .* into .* in [\d.]+ s\n/);
  expect(await chainOf()).toBe('Bd');
  const second = await tidemark('merge', dir, '--strategy', 'sequential', '--json');
  expect(JSON.parse(second.stdout)).toMatchObject({ merge: { strategy: 'sequential' } });
  expect(await chainOf()).toBe('B');
  expect((await inspectStore({ dir })).restore!.policy).toMatchObject({
    strategy: 'optimal',
    maxChainLength: 12,
    restoreSecondsMax: 5,
  });
  const third = await tidemark('merge', dir);
  expect([third.status, third.stdout]).toEqual([
    0,
    'nothing was merged: the chain is one snapshot\n',
  ]);
  const engine = await openStore();
  const state = engine.operator('o').value('v');
  expect([state.get(0), state.get(19), state.get(20), state.count()]).toEqual([3, 3, 0, 500]);
  await engine.close();
});

test('another process has the store open: LOCKED, and nothing changed', async () => {
  const engine = await openStore();
  const { status, stderr } = await tidemark('merge', dir);
  expect([status, stderr]).toEqual([2, expect.stringContaining('LOCKED') as unknown]);
  await engine.close();
  expect(await chainOf()).toBe('Bddd');
});

test('a strategy that there is not: refused with those that there are', async () => {
  const { status, stderr } = await tidemark('merge', dir, '--strategy', 'best');
  expect([status, stderr]).toEqual([2, expect.stringContaining('optimal') as unknown]);
});

test('plan and --at: what a moment would cost, and what was there', async () => {
  const planned = await tidemark('plan', dir, '--at', 'lsn:2', '--json');
  expect(JSON.parse(planned.stdout)).toMatchObject({
    lsn: 2,
    checkpointLsn: 2,
    replayedCommits: 0,
  });
  const text = await tidemark('plan', dir, '--at', 'checkpoint:1');
  expect(text.stdout).toContain('moment      LSN 1\nfrom        checkpoint 1 at LSN 1');
  expect((await tidemark('get', dir, 'o', 'v', 'n:3', '--at', 'lsn:2')).stdout).toBe('1\n');
  expect((await tidemark('get', dir, 'o', 'v', 'n:3')).stdout).toBe('3\n');
  const dumped = await tidemark('dump', dir, 'o', 'v', '--at', 'lsn:1');
  expect(dumped.stdout.split('\n').filter((line) => line.includes('"value":0'))).toHaveLength(500);
  const beyond = await tidemark('get', dir, 'o', 'v', 'n:3', '--at', 'lsn:9');
  expect([beyond.status, beyond.stderr]).toEqual([
    2,
    expect.stringContaining('OUT_OF_RETENTION') as unknown,
  ]);
  expect((await tidemark('plan', dir, '--at', 'soon')).stderr).toContain('INVALID_OPTION');
});

test('no store, and a store without a checkpoint: said, and none is made', async () => {
  const none = join(root, 'none');
  for (const flags of [['--dry-run'], []]) {
    expect((await tidemark('merge', none, ...flags)).stderr).toContain('NOT_A_STORE');
    expect(existsSync(none)).toBe(false);
  }
  dir = join(root, 'new');
  await (await openStore()).close();
  const { status, stdout } = await tidemark('merge', dir, '--dry-run');
  expect([status, stdout.split('\n')[0]]).toEqual([
    0,
    'nothing would be merged: there is no checkpoint',
  ]);
});
