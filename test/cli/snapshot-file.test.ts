/*
 * inspect, verify and dump of single snapshot files: those of an engine, and those of the library.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSnapshot } from '../../src/checkpoint/library/snapshot-library.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { runHere as run } from './run-here.ts';

const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };

let directory: string;
let store: string;
let base: string;
let delta: string;

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const withoutTimes = (text: string): unknown[] =>
  jsonLines(text).map(({ timestamp: _timestamp, lsn: _lsn, ...rest }) => rest);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-cli-file-'));
  store = join(directory, 'store');
  const engine = await openEngineWith({ dir: store }, on);
  const operator = engine.operator('routes');
  operator.value('stats').set('JFK', { count: 2 });
  operator.value('stats').set('LAX', { count: 3 });
  operator.map('days').set('JFK', 4, 8);
  const recent = operator.list('recent', { itemsMax: 2 });
  for (const item of ['a', 'b', 'c']) recent.append('JFK', item);
  operator.counter('flights').add('JFK', 5);
  operator.blob('model').set('m', new Uint8Array([1, 2, 3]));
  await engine.commit({ positions: { flights: 1000n } });
  await engine.checkpoint();
  operator.value('stats').delete('LAX');
  operator.counter('flights').add('JFK', 2);
  operator.map('days').clear('JFK');
  operator.value('late').set('k', 1);
  await engine.commit({ positions: { flights: 1001n } });
  await engine.checkpoint();
  await engine.close();
  const files = readdirSync(join(store, 'snapshots')).sort((a, b) =>
    a.slice(-10) < b.slice(-10) ? -1 : 1,
  );
  [base, delta] = files.map((name) => join(store, 'snapshots', name)) as [string, string];
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('dump', () => {
  test('the base of an engine: the lines of its directory at that commit', async () => {
    const { status, stdout } = await run('dump', base);
    expect(status).toBe(0);
    expect(withoutTimes(stdout)).toEqual(
      expect.arrayContaining([
        { operator: 'routes', state: 'stats', kind: 'value', key: 'JFK', value: { count: 2 } },
        { operator: 'routes', state: 'days', kind: 'map', key: 'JFK', subKey: 4, value: 8 },
        { operator: 'routes', state: 'recent', kind: 'list', key: 'JFK', index: 0, value: 'b' },
        { operator: 'routes', state: 'recent', kind: 'list', key: 'JFK', index: 1, value: 'c' },
        { operator: 'routes', state: 'flights', kind: 'counter', key: 'JFK', value: 5 },
        {
          operator: 'routes',
          state: 'model',
          kind: 'blob',
          key: 'm',
          value: { $bytes: 'AQID' },
        },
      ]),
    );
    expect(jsonLines(stdout)).toHaveLength(7);
  });

  test('a delta beside its base: what it does, by name', async () => {
    const { stdout } = await run('dump', delta, 'routes');
    expect(withoutTimes(stdout)).toEqual([
      { operator: 'routes', state: 'stats', kind: 'value', op: 'delete', key: 'LAX' },
      { operator: 'routes', state: 'days', kind: 'map', op: 'clear', key: 'JFK' },
      {
        operator: 'routes',
        state: 'flights',
        kind: 'counter',
        op: 'merge',
        mergeOperator: 'add',
        key: 'JFK',
        value: 2,
      },
      { operator: 'routes', state: 'late', kind: 'value', op: 'put', key: 'k', value: 1 },
    ]);
  });

  test('a delta of the library, beside others of any name: by name', async () => {
    const folder = join(directory, 'library');
    mkdirSync(folder);
    const first = await createSnapshot(join(folder, 'base.snapshot'));
    await first.write('prices', 'apple', 1);
    const monday = await createSnapshot(join(folder, 'monday.snapshot'), {
      base: await first.finish(),
    });
    await monday.write('prices', 'apple', 2);
    await monday.finish();
    writeFileSync(join(folder, 'notes.txt'), 'no snapshot');
    writeFileSync(join(folder, 'left.part'), readFileSync(join(folder, 'base.snapshot')));
    mkdirSync(join(folder, 'more'));
    const { stdout } = await run('dump', join(folder, 'monday.snapshot'));
    expect(withoutTimes(stdout)).toEqual([
      { operator: 'default', state: 'prices', kind: 'value', op: 'put', key: 'apple', value: 2 },
    ]);
    rmSync(join(folder, 'base.snapshot'));
    const alone = await run('dump', join(folder, 'monday.snapshot'));
    expect(withoutTimes(alone.stdout)[0]).toMatchObject({ table: 'table 16' });
  });

  test('two that it may continue, with other tables under one number: no names', async () => {
    const folder = join(directory, 'forked');
    mkdirSync(folder);
    const at = (name: string): string => join(folder, name);
    const base = await (await createSnapshot(at('base'))).finish();
    const left = await createSnapshot(at('left'), { base });
    await left.write('left', 'k', 1);
    const older = [base, await left.finish()];
    const newest = await createSnapshot(at('newest'), { base: older });
    await newest.write('left', 'k', 2);
    await newest.finish();
    const named = await run('dump', at('newest'));
    expect(withoutTimes(named.stdout)[0]).toMatchObject({ state: 'left' });
    const right = await createSnapshot(at('right'), { base });
    await right.write('right', 'k', 1);
    await right.finish();
    const { stdout } = await run('dump', at('newest'));
    expect(withoutTimes(stdout)[0]).toMatchObject({ table: 'table 16' });
  });

  test('a delta alone: tables by number, values as bytes', async () => {
    const alone = join(directory, 'alone');
    copyFileSync(delta, alone);
    const { stdout } = await run('dump', alone);
    expect(withoutTimes(stdout)[0]).toEqual({ table: 'table 16', op: 'delete', key: 'LAX' });
  });

  test('one state; one that is not there', async () => {
    const { stdout } = await run('dump', base, 'routes', 'days');
    expect(jsonLines(stdout)).toHaveLength(1);
    const missing = await run('dump', base, 'routes', 'nights');
    expect(missing).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('STATE_NOT_FOUND: snapshot has no such table: routes.nights'),
    });
  });
});

describe('inspect', () => {
  test('a base: what it is and what is in it', async () => {
    const { status, stdout } = await run('inspect', base);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^snapshot {4}base, 128 key groups$/m);
    expect(stdout).toMatch(/^LSN {9}to 1$/m);
    expect(stdout).toMatch(/routes .*│ stats .*│ value .*│ 2 /);
    expect(stdout).toMatch(/chunks of blobs .*│ 1 /);
    expect(stdout).toMatch(/flights │ \{"\$bigint":"1000"\}/);
  });

  test('a delta, as JSON: its range and tables, named by what is beside it', async () => {
    const { stdout } = await run('inspect', delta, '--json');
    const [found] = jsonLines(stdout);
    expect(found).toMatchObject({ kind: 'delta', fromLsn: 1, lastLsn: 2, keyGroups: 128 });
    const tables = found!['tables'] as { state: string }[];
    expect(tables.map(({ state }) => state)).toContain('stats');
  });

  test('--store with a file: refused', async () => {
    expect(await run('inspect', base, '--store', store)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('INVALID_OPTION'),
    });
  });
});

describe('verify', () => {
  test('a file of an engine, one of the library: sound', async () => {
    expect((await run('verify', base)).stdout).toMatch(/^sound: base, \d+ entries \(/);
    const own = join(directory, 'own');
    const file = await createSnapshot(own);
    await file.write('t', 'k', 1);
    await file.finish();
    expect(await run('verify', own)).toMatchObject({ status: 0 });
    const { stdout } = await run('verify', own, '--json');
    expect(jsonLines(stdout)[0]).toMatchObject({ sound: true, faults: [] });
  });

  test('a byte that is wrong: where, and status 1; also where the file cannot be opened', async () => {
    const bytes = readFileSync(base);
    const damaged = join(directory, 'damaged');
    bytes[200]! ^= 1;
    writeFileSync(damaged, bytes);
    const found = await run('verify', damaged);
    expect(found.status).toBe(1);
    expect(found.stdout).toContain(`${damaged}: offset 128: snapshot block fails its checksum`);
    bytes[bytes.length - 40]! ^= 1;
    writeFileSync(damaged, bytes);
    const closed = await run('verify', damaged);
    expect(closed.status).toBe(1);
    expect(closed.stdout).toContain('snapshot footer fails its checksum');
  });

  test('the name of a file of a store says another digest: a fault', async () => {
    const renamed = join(directory, `${'0'.repeat(64)}-0000000001`);
    copyFileSync(base, renamed);
    const { status, stdout } = await run('verify', renamed);
    expect(status).toBe(1);
    expect(stdout).toContain('digest is');
  });
});
