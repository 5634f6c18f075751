/*
 * The verbs that look into the past of a store, in this process, over a store on disk.
 */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { TextStream } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';

const main = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url));

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

describe('changes', () => {
  test('text: commits with their changes; --from leaves out what is before', async () => {
    const { status, stdout } = await runHere('changes', store, '--from', '2');
    expect(status).toBe(0);
    const [head, ...others] = stdout.split('\n').slice(0, -1);
    expect(head).toMatch(/^LSN 2 {2}\S+Z {2}changes 3$/);
    expect(others.sort()).toEqual([
      '  add op.c "k" 1',
      '  delete op.m "k" 4',
      '  positions {"source":20}',
      '  put op.v "k" {"n":2}',
    ]);
  });

  test('--before: what became of each entry, in text and JSON', async () => {
    const { stdout } = await runHere('changes', store, '--from', '2', '--before');
    expect(sorted(stdout).slice(0, -1)).toEqual([
      '  + op.c "k" 1',
      '  - op.m "k" 4 "four"',
      '  positions {"source":20}',
      '  ~ op.v "k" {"n":1} -> {"n":2}',
    ]);
    const json = await runHere('changes', store, '--from', '2', '--before', '--json');
    const commit = JSON.parse(json.stdout) as { effects: object[]; entries: object[] };
    expect(commit).toMatchObject({ lsn: 2, positions: { source: 20 } });
    expect(commit.entries).toHaveLength(3);
    expect(commit.effects).toContainEqual({
      operator: 'op',
      state: 'm',
      key: 'k',
      subKey: 4,
      kind: 'delete',
      oldValue: 'four',
    });
  });

  test('--json without --before: no effects; both commits', async () => {
    const { stdout } = await runHere('changes', store, '--json');
    const commits = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(commits.map(({ lsn, effects }) => [lsn, effects])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
  });

  test('--follow: a process that waits, and prints what is committed meanwhile', async () => {
    const other = join(directory, 'followed');
    const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };
    const engine = await openEngineWith({ dir: other }, on);
    const commit = async (): Promise<void> => {
      engine
        .operator('op')
        .value('v')
        .set('k', engine.sealedLsn + 1);
      await engine.commit();
    };
    for (let n = 0; n < 3; n++) await commit();
    const child = spawn(process.execPath, [main, 'changes', other, '--follow', '--json']);
    try {
      const seen: number[] = [];
      let text = '';
      const reached = async (lsn: number): Promise<void> => {
        while (!seen.includes(lsn)) {
          const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
          text += chunk.toString();
          const lines = text.split('\n');
          text = lines.pop()!;
          for (const line of lines) seen.push((JSON.parse(line) as { lsn: number }).lsn);
        }
      };
      await reached(2);
      for (let n = 0; n < 3; n++) await commit();
      await engine.close();
      await reached(6);
      expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  });

  test('what is no LSN: status 2', async () => {
    expect((await runHere('changes', store, '--from', 'x')).status).toBe(2);
  });
});
