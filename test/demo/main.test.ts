/*
 * The demo as a user runs it, on few events: processes that are really killed, and what is left of the
 * directories. The built program is run, since the job is a process of its own.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-test-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the demo with the folder as the place of temporary directories. */
function demo(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder };
  const child = spawn(process.execPath, [program, ...args], { env });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}

describe('the demo', () => {
  test('three kills: identical results, and the temporary directory goes', async () => {
    const { status, output } = await demo('--events', '12345', '--kills', '3', '--seed', '2');
    expect(output).toContain('Identical: all');
    expect(output.match(/^killed while /gm)).toHaveLength(3);
    expect(status).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  test('--rewind: the store goes back to before that day, and is what a pass up to there gives', async () => {
    const args = ['--events', '30000', '--kills', '1', '--rewind', '2001-01-02'];
    const { status, output } = await demo(...args);
    expect(output).toMatch(/2001-01-02 begins at event [\d,]+: back to commit \d+/);
    expect(output).toContain('now on timeline 2');
    expect(output).toContain('Identical: the store is as it was before 2001-01-02.');
    expect(output).toContain('the future that was left still ends at event 30000');
    expect(status).toBe(0);
  });

  test('a given directory: the store is left there', async () => {
    const dir = join(folder, 'store');
    const { status, output } = await demo('--events', '2000', '--kills', '0', '--dir', dir);
    expect(output).toContain(`The store is left in ${dir}`);
    expect(status).toBe(0);
    expect(await readdir(dir)).toContain('wal');
  });

  test('a temporary directory that is to stay: it is left', async () => {
    const { status } = await demo('--events', '1000', '--kills', '0', '--keep');
    expect(status).toBe(0);
    expect(await readdir(folder)).toHaveLength(1);
  });

  test('a directory that holds something: refused, and nothing is changed', async () => {
    const dir = join(folder, 'full');
    await mkdir(dir);
    await writeFile(join(dir, 'mine'), 'mine');
    const { status, output } = await demo('--events', '1000', '--dir', dir);
    expect(output).toContain('the directory is not empty');
    expect(status).toBe(1);
    expect(await readdir(dir)).toEqual(['mine']);
  });
});
