/*
 * `--codec-module`: a store with a codec of its own, read on the command line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEngine, openReader } from '../../src/engine/index.ts';

const main = fileURLToPath(new URL('../../dist/bundle/main.js', import.meta.url));
const module = fileURLToPath(new URL('../codec/modules/reversing.mjs', import.meta.url));
const codecs = [{ name: 'reversing', module }];
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tidemark-codec-module-'));
  const engine = await openEngine({ dir, codecs, compression: 'reversing' });
  const state = engine.operator('op').value('a');
  for (let n = 0; n < 50; n++) state.set(n, `value ${n} `.repeat(100));
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
}

describe('a store with a codec of its own', () => {
  test.each(['get', 'dump', 'verify'])('%s with the module: reads it', (verb) => {
    const rest = verb === 'get' ? ['op', 'a', 'n:7'] : [];
    const option = ['--codec-module', `reversing=${module}`];
    const { status, stdout, stderr } = run(verb, dir, ...rest, ...option);
    expect([status, stderr]).toEqual([0, '']);
    if (verb !== 'verify') expect(stdout).toContain('value 7 value 7');
  });

  test('without it: CODEC_UNAVAILABLE says how to name it', () => {
    const got = run('get', dir, 'op', 'a', 'n:7');
    expect(got.status).toBe(2);
    expect(got.stderr).toMatch(/CODEC_UNAVAILABLE: .*--codec-module reversing=PATH/);
    const verified = run('verify', dir);
    expect(verified.status).toBe(1);
    expect(verified.stdout).toMatch(/--codec-module reversing=PATH/);
  });

  test.each(['reversing', '=x', `Name=${module}`])('%s: INVALID_OPTION', (text) => {
    const { status, stderr } = run('inspect', dir, '--codec-module', text);
    expect([status, stderr]).toEqual([2, expect.stringContaining('INVALID_OPTION')]);
  });

  test('a reader that is given the codec: reads it', async () => {
    const reader = await openReader({ dir, codecs });
    expect(reader.get('op', 'a', 7)?.value).toBe('value 7 '.repeat(100));
    await reader.close();
  });
});
