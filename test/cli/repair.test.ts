/*
 * `tidemark repair` and `tidemark salvage` on real files, with threads: what they print, and how they end.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/index.ts';
import { runHere } from './run-here.ts';

let directory: string;
let store: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-repair-'));
  store = join(directory, 'store');
  const engine = await openEngine({ dir: store, segmentBytesMax: 262_144, compression: 'none' });
  const state = engine.operator('op').value('v');
  for (const value of ['first', 'second', 'third']) {
    state.set('k', value);
    await engine.commit();
    if (value === 'first') await engine.checkpoint();
  }
  await engine.close();
  const wal = join(store, 'wal');
  for (const name of readdirSync(wal)) {
    const bytes = readFileSync(join(wal, name));
    const at = bytes.indexOf('second');
    if (at < 0) continue;
    bytes[at]! ^= 1;
    writeFileSync(join(wal, name), bytes);
  }
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a dry run, a salvage, a repair: what is lost by LSN and key, status 1; then a sound store', async () => {
  const dry = await runHere('repair', store, '--dry-run');
  expect(dry.stderr).toBe('');
  expect(dry.status).toBe(1);
  expect(dry.stdout).toMatch(/would lose +LSN 2 to 3\n/);
  expect(dry.stdout).toMatch(/would lose +LSN 2 to 2 cannot be read at all\n/);
  expect(dry.stdout).toMatch(/would lose +a change of op v "k" at LSN 3\n/);
  expect(dry.stdout).toMatch(/way +checkpoint 1 reaches LSN 1/);

  const saved = join(directory, 'saved');
  const salvaged = await runHere('salvage', store, saved);
  expect([salvaged.status, salvaged.stderr]).toEqual([1, '']);
  expect(salvaged.stdout).toMatch(/^saved +LSN 1 in /);
  expect((await runHere('get', saved, 'op', 'v', 'k')).stdout).toContain('first');

  const repaired = await runHere('repair', store, '--json');
  expect(repaired.status).toBe(1);
  const report = JSON.parse(repaired.stdout) as { keptIn: string; loss: { reachedLsn: number } };
  expect(report.loss.reachedLsn).toBe(1);
  expect(readdirSync(report.keptIn)).toContain('given-up.json');
  expect((await runHere('get', store, 'op', 'v', 'k')).stdout).toContain('first');
  const again = await runHere('repair', saved);
  expect([again.status, again.stdout]).toEqual([0, 'sound: nothing to repair\n']);
});
