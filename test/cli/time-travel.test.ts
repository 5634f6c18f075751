/*
 * The verbs that look into the past of a store, in this process, over a store on disk.
 */
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { TextStream } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function runHere(...args: string[]): Promise<Ran> {
  const texts = { stdout: '', stderr: '' };
  const streamOf = (name: 'stdout' | 'stderr'): TextStream =>
    Object.assign(new EventEmitter(), {
      write(text: string) {
        texts[name] += text;
        return true;
      },
    });
  const status = await run(args, streamOf('stdout'), streamOf('stderr'));
  return { status, ...texts };
}

let directory: string;
let store: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-travel-'));
  store = join(directory, 'store');
  const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };
  const engine = await openEngineWith({ dir: store }, on);
  const op = engine.operator('op');
  op.value('v').set('k', { n: 1 });
  op.map('m').set('k', 4, 'four');
  op.value('v').set(2, 1n);
  await engine.commit({ positions: { source: 10 } });
  op.value('v').set('k', { n: 2 });
  op.map('m').delete('k', 4);
  op.counter('c').add('k', 1);
  await engine.commit({ positions: { source: 20 } });
  await engine.close();
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const sorted = (text: string): string[] => text.split('\n').slice(0, -1).sort();

describe('diff', () => {
  test('text: a sign, the state, the key, and the values; status 1', async () => {
    const { status, stdout, stderr } = await runHere('diff', store, 'lsn:1', 'latest');
    expect([status, stderr]).toEqual([1, '']);
    expect(sorted(stdout)).toEqual([
      '+ op.c "k" 1',
      '- op.m "k" 4 "four"',
      '~ op.v "k" {"n":1} -> {"n":2}',
    ]);
  });

  test('--json, one state: a change a line', async () => {
    const { stdout } = await runHere('diff', store, 'lsn:0', 'lsn:1', 'op', 'm', '--json');
    expect(JSON.parse(stdout)).toEqual({
      operator: 'op',
      state: 'm',
      key: 'k',
      subKey: 4,
      kind: 'insert',
      newValue: 'four',
    });
    const update = await runHere('diff', store, 'lsn:1', 'lsn:2', 'op', 'v', '--json');
    expect(JSON.parse(update.stdout)).toMatchObject({ oldValue: { n: 1 }, newValue: { n: 2 } });
  });

  test('nothing differs: status 0, no line', async () => {
    expect(await runHere('diff', store, 'lsn:2', 'latest')).toMatchObject({
      status: 0,
      stdout: '',
    });
  });

  test.each<[string, string[], string]>([
    ['no moment', ['yesterday', 'latest'], 'INVALID_OPTION'],
    ['a moment that is not kept', ['lsn:1', 'lsn:9'], 'OUT_OF_RETENTION'],
    ['a state that is not there', ['lsn:1', 'latest', 'op', 'x'], 'STATE_NOT_FOUND'],
    ['no second moment', ['lsn:1'], 'missing required argument'],
  ])('%s: status 2, said on stderr', async (_situation, args, text) => {
    const { status, stderr } = await runHere('diff', store, ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(text);
  });
});

describe('history', () => {
  test('text: LSN, time, kind, value, positions', async () => {
    const { status, stdout } = await runHere('history', store, 'op', 'v', 'k');
    expect(status).toBe(0);
    const lines = stdout.split('\n').map((line) => line.replace(/\d{4}-\S+Z/, 'TIME'));
    expect(lines).toEqual([
      'LSN 1  TIME  insert  {"n":1}  positions {"source":10}',
      'LSN 2  TIME  update  {"n":2}  positions {"source":20}',
      '',
    ]);
  });

  test('--json, a sub-key: a version a line, without a value where there is none', async () => {
    const { stdout } = await runHere('history', store, 'op', 'm', 'k', 'n:4', '--json');
    const shown = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as object);
    expect(shown).toEqual([
      {
        lsn: 1,
        timestamp: expect.any(Number),
        kind: 'insert',
        value: 'four',
        positions: { source: 10 },
        source: 'log',
      },
      {
        lsn: 2,
        timestamp: expect.any(Number),
        kind: 'delete',
        positions: { source: 20 },
        source: 'log',
      },
    ]);
  });

  test('nothing there: status 1, said on stderr, with a hint for a number', async () => {
    expect(await runHere('history', store, 'op', 'v', '2')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'tidemark: nothing there (2 is a string here, the number is n:2): op v 2\n',
    });
    expect((await runHere('history', store, 'op', 'v', 'n:2')).status).toBe(0);
  });

  test('a state that is not there: status 2', async () => {
    const { status, stderr } = await runHere('history', store, 'op', 'x', 'k');
    expect([status, stderr]).toEqual([2, expect.stringContaining('STATE_NOT_FOUND')]);
  });
});
