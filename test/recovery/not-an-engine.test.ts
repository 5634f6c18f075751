/*
 * A directory of a log alone, given to what needs the store of an engine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  backup,
  collectStore,
  fork,
  listCheckpoints,
  listTimelines,
  openEngine,
  openReader,
  restore,
} from '../../src/engine/index.ts';
import { openLog } from '../../src/wal/log.ts';

let directory: string;
let dir: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-log-'));
  dir = join(directory, 'log');
  const log = await openLog({ dir });
  await log.append(Buffer.from('record'));
  await log.close();
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('a directory of a log', () => {
  const calls: Record<string, () => Promise<unknown>> = {
    openEngine: () => openEngine({ dir }),
    openReader: () => openReader({ dir }),
    listCheckpoints: () => listCheckpoints({ dir }),
    listTimelines: () => listTimelines({ dir }),
    collectStore: () => collectStore({ dir }),
    backup: () => backup({ from: { dir }, to: join(directory, 'copy') }),
    restore: () => restore({ from: { dir }, to: join(directory, 'copy') }),
    fork: () => fork({ from: { dir }, to: join(directory, 'copy') }),
  };
  test.each(Object.keys(calls))('%s: NOT_A_STORE, and says what it is', async (name) => {
    await expect(calls[name]!()).rejects.toMatchObject({
      code: 'NOT_A_STORE',
      message: `directory holds a log, no engine: ${dir}`,
      details: { path: dir },
    });
  });
});
