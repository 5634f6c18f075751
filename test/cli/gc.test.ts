/*
 * `tidemark gc`: the plan, what it deletes, what its options change, and what stops it.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseDuration, parseSchedule } from '../../src/cli/gc.ts';
import type { CollectionReport, Engine, EngineOptions } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { runHere as tidemark } from './run-here.ts';

const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };
const kinds = ['delta', 'delta', 'base', 'delta', 'base', 'delta'] as const;

let root: string;
let dir: string;

const openStore = (options: Partial<EngineOptions> = {}): Promise<Engine> =>
  openEngineWith({ dir, checkpointing: false, segmentBytesMax: 1 << 16, ...options }, on);

const files = (): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(json|wal)$|snapshots./.test(name))
    .sort();

const reportOf = (stdout: string): CollectionReport => JSON.parse(stdout) as CollectionReport;

/** Nine checkpoints, each with a segment of its own. */
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-gc-'));
  dir = join(root, 'store');
  for (const [i, kind] of kinds.entries()) {
    const engine = await openStore({ retention: false });
    engine.operator('o').value('v').set('k', i);
    await engine.commit();
    await engine.checkpoint({ kind });
    await engine.close();
  }
  // The settings in force go into the newest record; the age keeps all but the oldest of the log.
  const engine = await openStore({ retention: { checkpoints: 1, ageMs: 3_600_000 } });
  engine.operator('o').value('v').set('k', 'last');
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('gc', () => {
  test('a dry run: every object with its reason, by the settings of the store; nothing changes', async () => {
    const before = files();
    const { status, stdout, stderr } = await tidemark('gc', dir, '--dry-run');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('retention   newest 1, age 1h');
    expect(stdout).toContain('was made in the last 1h');
    expect(stdout).toContain('checkpoints/0000000001.json');
    expect(stdout).toMatch(/would keep \d+ objects .*, delete \d+ /);
    expect(files()).toEqual(before);
    const { plan } = reportOf((await tidemark('gc', dir, '--dry-run', '--json')).stdout);
    const stored = before.filter((name) => !/^(store|log-mark)|low-water/.test(name));
    expect(plan.lines.map(({ name }) => name).sort()).toEqual(stored);
  });

  test('a run with options: what the plan said goes, and the store is sound', async () => {
    const options = ['--keep', '1', '--age', '0s'];
    const dry = reportOf((await tidemark('gc', dir, '--dry-run', '--json', ...options)).stdout);
    const going = dry.plan.lines.filter(({ action }) => action === 'delete');
    expect(new Set(going.map(({ kind }) => kind))).toEqual(new Set(['record', 'snapshot']));
    const { status, stdout } = await tidemark('gc', dir, ...options);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`kept \\d+ objects .*, deleted ${going.length} `));
    for (const { name } of going) expect(existsSync(join(dir, name))).toBe(false);
    const verified = await tidemark('verify', dir);
    expect(verified.status).toBe(0);
    expect(verified.stdout).toContain('given up by retention');
    const inspected = await tidemark('inspect', dir);
    expect(inspected.stdout).toMatch(
      /restorable {2}every commit from LSN \d+ \(.*\) on; \d+ check/,
    );
    expect(inspected.stdout).toContain('retention   newest 1, age 1h');
    const logged = await tidemark('log', dir, '--from', '1');
    expect([logged.status, logged.stderr]).toEqual([
      2,
      expect.stringContaining('OUT_OF_RETENTION'),
    ]);
    const engine = await openStore();
    expect(engine.operator('o').value('v').get('k')).toBe('last');
    await engine.close();
  });

  test('options: each keeps what it says', async () => {
    const deleted = async (...options: string[]): Promise<number> =>
      reportOf((await tidemark('gc', dir, '--dry-run', '--json', ...options)).stdout).plan
        .deletedBytes;
    const most = await deleted('--keep', '1', '--age', '0s');
    expect(most).toBeGreaterThan(0);
    expect(await deleted('--keep', '100', '--age', '0s')).toBeLessThan(most);
    expect(await deleted('--keep', '1', '--age', '1h')).toBeLessThan(most);
    expect(await deleted('--keep', '1', '--age', '0s', '--window', '1h')).toBeLessThan(most);
    // All of them were made in this hour: its newest stays anyway.
    expect(await deleted('--age', '0s', '--schedule', 'hourly=2')).toBe(most);
  });

  test('an engine has the store open: LOCKED; a dry run works', async () => {
    const engine = await openStore();
    const refused = await tidemark('gc', dir);
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('LOCKED')]);
    expect((await tidemark('gc', dir, '--dry-run')).status).toBe(0);
    await engine.close();
  });

  test('no store: NOT_A_STORE, and nothing is made', async () => {
    const { status, stderr } = await tidemark('gc', join(root, 'none'));
    expect([status, stderr]).toEqual([2, expect.stringContaining('NOT_A_STORE')]);
    expect(existsSync(join(root, 'none'))).toBe(false);
  });

  test('retention is off in the store: everything stays, unless options say otherwise', async () => {
    const engine = await openStore({ retention: false });
    engine.operator('o').value('v').set('k', 'off');
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    const { stdout } = await tidemark('gc', dir);
    expect(stdout).toContain('everything stays: retention is off');
    const kept = reportOf((await tidemark('gc', dir, '--dry-run', '--json', '--keep', '1')).stdout);
    expect(kept.plan.deletedBytes).toBeGreaterThan(0);
  });

  test('merge keeps the settings of the store, and what they keep', async () => {
    const before = files().filter((name) => name.startsWith('checkpoints'));
    expect((await tidemark('merge', dir)).status).toBe(0);
    const { retention, checkpoints } = JSON.parse(
      (await tidemark('inspect', dir, '--json')).stdout,
    ) as { retention: unknown; checkpoints: unknown[] };
    expect(retention).toMatchObject({ checkpoints: 1, ageMs: 3_600_000 });
    expect(checkpoints).toHaveLength(before.length + 1);
  });

  test.each([
    ['--age', '5'],
    ['--age', '1.5h'],
    ['--window', 'day'],
    ['--schedule', 'yearly=1'],
    ['--schedule', 'daily=1,daily=2'],
    ['--keep', '-1'],
  ])('%s %s: wrong usage', async (option, value) => {
    expect((await tidemark('gc', dir, '--dry-run', option, value)).status).toBe(2);
  });

  test('--keep 0: INVALID_OPTION', async () => {
    const { status, stderr } = await tidemark('gc', dir, '--keep', '0');
    expect([status, stderr]).toEqual([2, expect.stringContaining('INVALID_OPTION')]);
  });
});

describe('arguments', () => {
  test('durations and schedules', () => {
    expect(['500ms', '90s', '15m', '24h', '7d', '4w'].map(parseDuration)).toEqual([
      500, 90_000, 900_000, 86_400_000, 604_800_000, 2_419_200_000,
    ]);
    expect(parseSchedule('hourly=24,monthly=12')).toEqual({ hourly: 24, monthly: 12 });
  });
});
