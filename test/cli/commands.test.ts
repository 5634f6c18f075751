/*
 * The command as users run it: the compiled file in a process of its own, over a store on disk.
 */
import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Output } from '../../src/cli/output.ts';
import { createStore } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { run as runProgram } from '../../src/cli/program.ts';
import { runHere, type Ran } from './run-here.ts';

const main = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url));
const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };

let directory: string;
let store: string;

function run(...args: string[]): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return { status, stdout, stderr };
}

/** Of what the command prints as JSON, the fields that tests look into. */
interface Printed {
  readonly state: string & { readonly positions: unknown };
  readonly timestamp: number;
  readonly expiresAt: number;
}

const json = (text: string): Printed => JSON.parse(text) as Printed;
const lines = (text: string): string[] => text.split('\n').slice(0, -1);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
  store = join(directory, 'store');
  const engine = await openEngineWith({ dir: store }, on);
  const operator = engine.operator('routes');
  const stats = operator.value('stats');
  stats.set('JFK-LAX', { count: 2, seen: new Date(0) });
  stats.set(12, 7n);
  stats.set(['JFK', 3], new Set([1]));
  operator.value('short').set('k', 1, { ttlMs: 1e9 });
  operator.map('days').set('JFK', 4, 8);
  const recent = operator.list('recent', { itemsMax: 2 });
  for (const item of ['a', 'b', 'c']) recent.append('JFK', item);
  operator.counter('flights').add('JFK', 5);
  operator.blob('model').set('m', new Uint8Array([1, 2, 3]));
  await engine.commit({ positions: { flights: 1000n }, metadata: { step: 1 } });
  await engine.checkpoint({ savepoint: 'first' });
  stats.delete(12);
  await engine.commit();
  await engine.close();
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function namesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
}

/** A copy of the store, to be damaged. */
function copied(name: string): string {
  const copy = join(directory, name);
  cpSync(store, copy, { recursive: true });
  return copy;
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset]! ^= 0x41;
  writeFileSync(path, bytes);
}

describe('get', () => {
  test.each<[string, string[], string]>([
    ['a value', ['stats', 'JFK-LAX'], '{"count":2,"seen":{"$date":"1970-01-01T00:00:00.000Z"}}'],
    ['a tuple as key', ['stats', 'j:["JFK",3]'], '{"$set":[1]}'],
    ['a sub-key', ['days', 'JFK', 'n:4'], '8'],
    ['a whole map', ['days', 'JFK'], '{"$map":[[4,8]]}'],
    ['a list', ['recent', 'JFK'], '["b","c"]'],
    ['a counter', ['flights', 'JFK'], '5'],
    ['a blob', ['model', 'm'], '{"$bytes":"AQID"}'],
  ])('%s: its JSON', async (_situation, args, stdout) => {
    expect(await runHere('get', store, 'routes', ...args)).toEqual({
      status: 0,
      stdout: `${stdout}\n`,
      stderr: '',
    });
  });

  test('--json: with LSN, time and expiry', () => {
    const { stdout } = run('get', store, 'routes', 'short', 'k', '--json');
    expect(json(stdout)).toEqual({
      operator: 'routes',
      state: 'short',
      key: 'k',
      value: 1,
      lsn: 1,
      timestamp: expect.any(Number),
      expiresAt: expect.any(Number),
    });
  });

  test('nothing there: status 1, said on stderr', () => {
    expect(run('get', store, 'routes', 'stats', 'n:12')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'tidemark: nothing there: routes stats n:12\n',
    });
  });

  test('nothing there for a text of digits: the number is shown as it is written', async () => {
    const { stderr } = await runHere('get', store, 'routes', 'stats', '12');
    expect(stderr).toBe(
      'tidemark: nothing there (12 is a string here, the number is n:12): routes stats 12\n',
    );
    const map = await runHere('get', store, 'routes', 'days', 'JFK', '3');
    expect(map.stderr).toContain('3 is a string here, the number is n:3');
  });

  test('no such state, a bad key: status 2 with the code', () => {
    const missing = run('get', store, 'routes', 'none', 'k');
    expect(missing).toMatchObject({ status: 2, stdout: '' });
    expect(missing.stderr).toMatch(
      /^tidemark: STATE_NOT_FOUND: store has no such state: routes\.none, there are .*routes\.stats/,
    );
    expect(run('get', store, 'routes', 'stats', 'n:x').stderr).toMatch(/^tidemark: INVALID_KEY: /);
  });
});

describe('dump', () => {
  test('everything: a line of JSON each', () => {
    const { status, stdout } = run('dump', store);
    expect(status).toBe(0);
    const entries = lines(stdout).map(json);
    expect(entries.map(({ state }) => state)).toEqual([
      'stats',
      'stats',
      'short',
      'days',
      'recent',
      'recent',
      'flights',
      'model',
    ]);
    expect(entries[2]!.expiresAt).toBeGreaterThan(entries[2]!.timestamp);
    expect(entries[3]).toMatchObject({ kind: 'map', key: 'JFK', subKey: 4, value: 8, lsn: 1 });
    expect(entries[5]).toMatchObject({ kind: 'list', index: 1, value: 'c' });
  });

  test('one operator, one state: those', () => {
    expect(lines(run('dump', store, 'routes').stdout)).toHaveLength(8);
    expect(lines(run('dump', store, 'routes', 'recent', '--json').stdout)).toHaveLength(2);
    expect(run('dump', store, 'none').stderr).toMatch(/STATE_NOT_FOUND/);
  });
});

describe('log', () => {
  test('commits: with metadata, positions and changes', () => {
    const { status, stdout } = run('log', store);
    expect(status).toBe(0);
    const text = lines(stdout);
    expect(text[0]).toMatch(/^LSN 1 {2}\d{4}-.*Z {2}changes 10$/);
    expect(text.slice(1, 4)).toEqual([
      '  metadata {"step":1}',
      '  positions {"flights":{"$bigint":"1000"}}',
      '  put routes.stats "JFK-LAX" {"count":2,"seen":{"$date":"1970-01-01T00:00:00.000Z"}}',
    ]);
    expect(text).toContain('  add routes.flights "JFK" 5');
    expect(text).toContain('  append routes.recent "JFK" "a"');
    expect(text.at(-1)).toBe('  delete routes.stats 12');
  });

  test('--from, --limit, --json: those commits', () => {
    const [line, ...more] = lines(
      run('log', store, '--from', '2', '--limit', '1', '--json').stdout,
    );
    expect(more).toEqual([]);
    expect(json(line!)).toEqual({
      lsn: 2,
      timestamp: expect.any(Number),
      entries: [{ operator: 'routes', state: 'stats', op: 'delete', key: 12 }],
    });
  });
});

describe('log --from at its bounds', () => {
  test('0: all commits, as from 1', async () => {
    const all = await runHere('log', store);
    expect(all.status).toBe(0);
    expect(await runHere('log', store, '--from', '0')).toEqual(all);
    expect(await runHere('log', store, '--from', '1')).toEqual(all);
  });

  test('past the last commit: status 1, the last one on stderr', async () => {
    expect(await runHere('log', store, '--from', '3')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'tidemark: nothing there: the last commit is LSN 2\n',
    });
  });

  test('a number that is no LSN: status 2 with the bound', async () => {
    const { status, stderr } = await runHere('log', store, '--from', '99999999999999999999');
    expect(status).toBe(2);
    expect(stderr).toContain('up to 9007199254740991');
  });
});

describe('operands and event times', () => {
  test('get, dump, log and inspect: what was given, what came of it, and when it happened', async () => {
    const dir = join(directory, 'operands');
    const engine = await openEngineWith({ dir }, on);
    const op = engine.operator('op');
    op.min('low').update('k', 0.5);
    op.max<bigint>('high').update('k', 7n, { eventTime: 2_000_000 });
    op.value('v').patch('k', { a: null, b: 1 });
    op.value('w').patch('k', { a: 1 });
    op.value('w').patch('k', { a: { b: 2 } });
    op.reducing('sum', { reduce: (a: number, b: number) => a + b }).add('k', 3);
    await engine.commit({ eventTime: new Date(1000) });
    await engine.close();
    const { stdout } = await runHere('log', dir);
    expect(lines(stdout).slice(1)).toEqual([
      '  min op.low "k" 0.5 happened 1970-01-01T00:00:01.000000Z',
      '  max op.high "k" {"$bigint":"7"} happened 1970-01-01T00:00:02.000000Z',
      '  patch op.v "k" {"a":null,"b":1} happened 1970-01-01T00:00:01.000000Z',
      '  patch op.w "k" {"a":{"$replace":{"b":2}}} happened 1970-01-01T00:00:01.000000Z',
      '  put op.sum "k" 3 happened 1970-01-01T00:00:01.000000Z',
    ]);
    const logged = await runHere('log', dir, '--json');
    expect(JSON.parse(logged.stdout)).toMatchObject({
      entries: [
        {},
        { op: 'max', eventTime: 2_000_000 },
        { op: 'patch', eventTime: 1_000_000 },
        {},
        {},
      ],
    });
    const got = await runHere('get', dir, 'op', 'w', 'k', '--json');
    expect(JSON.parse(got.stdout)).toMatchObject({ value: { a: { b: 2 } }, eventTime: 1_000_000 });
    const dumped = lines((await runHere('dump', dir)).stdout).map((line) => JSON.parse(line));
    expect(dumped).toMatchObject([
      { state: 'low', kind: 'min', value: 0.5, eventTime: 1_000_000 },
      { state: 'high', kind: 'max', value: { $bigint: '7' }, eventTime: 2_000_000 },
      { state: 'v', kind: 'value', value: { b: 1 } },
      { state: 'w', kind: 'value', value: { a: { b: 2 } } },
      { state: 'sum', kind: 'reducing', value: 3 },
    ]);
    expect((await runHere('inspect', dir)).stdout).toMatch(/high +│ max +│/);
  });
});

describe('inspect', () => {
  test('text: tables without colours, since it is no terminal', () => {
    const { status, stdout } = run('inspect', store);
    expect(status).toBe(0);
    expect(stdout).not.toContain('\u001b');
    for (const part of [
      /^LSN {9}2, proved 2$/m,
      /│ 1 +│ base +│ 1 /,
      /first/,
      /list, newest 2 +│ 2 /,
      /flights │ \{"\$bigint":"1000"\}/,
    ]) {
      expect(stdout).toMatch(part);
    }
  });

  test('--json: one object', () => {
    const found = json(run('inspect', store, '--json').stdout);
    expect(found).toMatchObject({ kind: 'engine', lsn: 2, provedLsn: 2, faults: [] });
    expect(found.state.positions).toEqual({ flights: { $bigint: '1000' } });
  });
});

describe('verify', () => {
  test('a sound store: one line, status 0', () => {
    const { status, stdout } = run('verify', store);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^sound: 1 checkpoint, 1 snapshot \(.*\), 1 segment \(.*\), 2 commits, through LSN 2, proved 2\n$/,
    );
    expect(json(run('verify', store, '--json').stdout)).toMatchObject({ sound: true, faults: [] });
  });

  test('damage: one line a fault with file, offset and LSN, status 1', () => {
    const damaged = copied('damaged');
    flip(join(damaged, 'wal', '0000000001-00000001.wal'), 260);
    const [snapshot] = readdirSync(join(damaged, 'snapshots'));
    flip(join(damaged, 'snapshots', snapshot!), 130);
    const { status, stdout, stderr } = run('verify', damaged);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    const [first, second, ...more] = lines(stdout);
    expect(more).toEqual([]);
    expect(first).toMatch(/^snapshots\/[0-9a-f]{64}-0000000001: offset 128: /);
    expect(second).toMatch(
      /^wal\/0000000001-00000001\.wal: offset 192, LSN 1: group .*at or below the proved LSN 2$/,
    );
    expect(json(run('verify', damaged, '--json').stdout)).toMatchObject({ sound: false });
    expect(run('get', damaged, 'routes', 'stats', 'k').stderr).toMatch(/^tidemark: CORRUPT_/);
    expect(run('inspect', damaged).status).toBe(1);
  });
});

describe('verify --level and --checkpoint', () => {
  test('a level that does not look, a checkpoint that is not concerned: sound; else status 1', async () => {
    const damaged = copied('damaged-block');
    const [snapshot] = readdirSync(join(damaged, 'snapshots'));
    flip(join(damaged, 'snapshots', snapshot!), 130);
    const basic = await runHere('verify', damaged, '--level', 'basic');
    expect(basic.status).toBe(0);
    expect(basic.stdout).toMatch(
      /^sound at level basic: 1 checkpoint, .* through LSN 2, proved 2\n$/,
    );
    const none = await runHere('verify', damaged, '--level', 'none');
    expect(none.stdout).toMatch(/^sound at level none: 1 checkpoint, .*, 1 segment\n$/);
    expect((await runHere('verify', damaged, '--level', 'standard')).status).toBe(1);
    expect((await runHere('verify', damaged, '--checkpoint', '1')).status).toBe(1);
    const sound = await runHere('verify', store, '--checkpoint', '1');
    expect(sound.stdout).toMatch(/^sound: checkpoint 1, 1 snapshot \(.*\)\n$/);
  });

  test('what is not there, or goes with no file: status 2 with the code', async () => {
    const none = await runHere('verify', store, '--checkpoint', '9');
    expect([none.status, none.stderr]).toEqual([
      2,
      expect.stringContaining('CHECKPOINT_NOT_FOUND'),
    ]);
    const level = await runHere('verify', store, '--level', 'most');
    expect([level.status, level.stderr]).toEqual([2, expect.stringContaining('INVALID_OPTION')]);
    const [snapshot] = readdirSync(join(store, 'snapshots'));
    const file = await runHere('verify', join(store, 'snapshots', snapshot!), '--level', 'full');
    expect([file.status, file.stderr]).toEqual([2, expect.stringContaining('--level')]);
  });
});

describe('wrong usage', () => {
  test.each([
    ['no verb', []],
    ['an unknown verb', ['frob']],
    ['a missing argument', ['get', 'dir']],
    ['an unknown option', ['verify', 'dir', '--fix']],
    ['a bad number', ['log', 'dir', '--from', '-1x']],
    ['too many arguments', ['verify', 'a', 'b']],
  ])('%s: status 2, help or reason on stderr', async (_situation, args) => {
    const { status, stdout, stderr } = await runHere(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).not.toBe('');
    expect(stderr).not.toContain('    at ');
  });

  test('help and version: status 0 on stdout', () => {
    const help = run('get', '--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/KEY and SUBKEY: plain text is a string/);
    expect(run('--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([['inspect'], ['verify'], ['dump'], ['log']])(
    '%s of a directory that is no store: NOT_A_STORE, status 2',
    async (verb) => {
      const { status, stderr } = await runHere(verb, join(directory, 'none'));
      expect(status).toBe(2);
      expect(stderr).toMatch(/^tidemark: NOT_A_STORE: [^\n]*\n$/);
    },
  );
});

describe('output', () => {
  test('a terminal: the same text as in a file, without control sequences', async () => {
    const texts: string[] = [];
    const terminal = Object.assign(new EventEmitter(), {
      isTTY: true,
      write: (text: string) => texts.push(text) > 0,
    });
    await runProgram(['inspect', store], terminal, terminal);
    expect(texts.join('')).toContain('checkpoint');
    expect(texts.join('')).not.toContain('\u001b');
  });

  test('a reader that is slow: waited for before more is written', async () => {
    const slow = Object.assign(new EventEmitter(), { write: () => false });
    const output = new Output(slow);
    let flushed = false;
    output.write('x');
    const flushing = output.flush().then(() => {
      flushed = true;
    });
    await Promise.resolve();
    expect(flushed).toBe(false);
    slow.emit('drain');
    await flushing;
    expect(flushed).toBe(true);
  });
});

describe('beside others', () => {
  test('a reader of the output that goes away: ends quietly', async () => {
    const large = join(directory, 'large');
    const engine = await openEngineWith({ dir: large }, on);
    const value = engine.operator('op').value('v');
    for (let i = 0; i < 20_000; i++) value.set(i, 'x'.repeat(50));
    await engine.commit();
    await engine.close();
    const child = spawn(process.execPath, [main, 'dump', large], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(stderr).toBe('');
  });

  test('an open engine: read, and nothing of it changed', async () => {
    const open = join(directory, 'open');
    const engine = await openEngineWith({ dir: open }, on);
    engine.operator('op').value('v').set('k', 1);
    await engine.commit();
    const before = namesIn(open);
    expect(json(run('get', open, 'op', 'v', 'k', '--json').stdout)).toMatchObject({ value: 1 });
    expect(run('verify', open).status).toBe(0);
    expect(namesIn(open)).toEqual(before);
    await engine.close();
  });

  test('--store: snapshots of another directory', async () => {
    const apart = join(directory, 'apart');
    const objects = join(directory, 'objects');
    const engine = await openEngineWith(
      { dir: apart, store: createStore({ kind: 'file', path: objects }) },
      on,
    );
    engine.operator('op').value('v').set('k', 1);
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    expect(run('verify', apart, '--store', objects).stdout).toMatch(/^sound: 1 checkpoint, /);
    expect(run('get', apart, 'op', 'v', 'k', '--store', objects).stdout).toBe('1\n');
  });
});
