/*
 * `tidemark repair` and `tidemark salvage` on real files, with threads: what they print, and how they end.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLoss } from '../../src/cli/inspect.ts';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
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
  const lost = 'LSN 2 to 3, files kept in given-up/0001';
  expect((await runHere('inspect', store)).stdout).toContain(`given up    ${lost}; checkpoint `);
  const listed = (await runHere('list', store)).stdout;
  expect(listed.match(/ {2}given up: .*/g)).toEqual([`  given up: ${lost}`]);
  const again = await runHere('repair', saved);
  expect([again.status, again.stdout]).toEqual([0, 'sound: nothing to repair\n']);
});

test('operators that were lost: list and inspect name them', async () => {
  const dir = join(directory, 'saved');
  const name = readdirSync(join(dir, 'checkpoints')).toSorted().at(-1)!;
  const path = join(dir, 'checkpoints', name);
  const body = decodeSealedJson(readFileSync(path));
  writeFileSync(path, encodeSealedJson({ ...(body as object), missing: ['bad', 'worse'] }));
  const listed = (await runHere('list', dir)).stdout.trimEnd().split('\n').at(-1);
  expect(listed).toMatch(/ {2}missing: bad, worse$/);
  const shown = await runHere('inspect', dir);
  expect(shown.stdout).toMatch(/^missing {5}operators bad, worse$/m);
  const { checkpoints } = JSON.parse((await runHere('inspect', dir, '--json')).stdout) as {
    checkpoints: { missing: string[] }[];
  };
  expect(checkpoints.at(-1)!.missing).toEqual(['bad', 'worse']);
});

test.each([
  [{ fromLsn: 5, throughLsn: 9, mayBeMore: false }, 'LSN 5 to 9, files'],
  [{ fromLsn: 5, throughLsn: 9, mayBeMore: true }, 'LSN 5 to 9 and perhaps more, files'],
  [{ fromLsn: 5, throughLsn: 4, mayBeMore: true }, 'from LSN 5 on, files'],
])('a loss %j: said in words', (loss, text) => {
  const keptIn = 'given-up/0001';
  expect(describeLoss({ ...loss, keptIn })).toBe(`${text} kept in given-up/0001`);
});
