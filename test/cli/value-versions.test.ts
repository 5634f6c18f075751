/*
 * What the command line shows of values that have a version.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEngine } from '../../src/engine/index.ts';
import { runHere } from './run-here.ts';

let directory: string;
let store: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-versions-'));
  store = join(directory, 'store');
  let engine = await openEngine({ dir: store });
  engine.operator('op').value('v').set('old', 1);
  await engine.commit();
  await engine.close();
  engine = await openEngine({ dir: store });
  const state = engine.operator('op').value('v', { version: 2, upgrade: (old) => old });
  state.set('new', { n: 2 });
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const json = (line: string): unknown => JSON.parse(line) as unknown;

test('get, dump, log and history as JSON: the version, where it is above 1', async () => {
  const one = await runHere('get', store, 'op', 'v', 'new', '--json');
  expect(json(one.stdout)).toMatchObject({ value: { n: 2 }, version: 2 });
  const old = await runHere('get', store, 'op', 'v', 'old', '--json');
  expect(json(old.stdout)).not.toHaveProperty('version');
  const history = await runHere('history', store, 'op', 'v', 'new', '--json');
  expect(json(history.stdout)).toMatchObject({ version: 2 });
  const dump = await runHere('dump', store);
  expect(dump.stdout.match(/"version":2/g)).toHaveLength(1);
  const log = await runHere('log', store, '--json');
  expect(log.stdout.match(/"version":2/g)).toHaveLength(1);
});

test('log, history and inspect as text: the version, where it is above 1', async () => {
  const log = await runHere('log', store);
  expect(log.stdout).toContain('put op.v "new" {"n":2} version 2\n');
  expect(log.stdout).toContain('put op.v "old" 1\n');
  const history = await runHere('history', store, 'op', 'v', 'new');
  expect(history.stdout).toMatch(/insert {2}\{"n":2\} {2}version 2\n$/);
  const inspect = await runHere('inspect', store);
  expect(inspect.stdout).toContain('value, version 2');
});
