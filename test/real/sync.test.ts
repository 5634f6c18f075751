/*
 * The order of system calls of a real run: nothing is acknowledged, and nothing named, before it is
 * durable; and what a real run does when syncs fail. A few lines of C are preloaded into the process
 * (Linux with a C compiler; elsewhere skipped, and the name says so).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { LedgerProcess, type LedgerEnd, type LedgerSettings } from './ledger.ts';
import { readTrace } from './sync-trace.ts';

const root = mkdtempSync(join(tmpdir(), 'tidemark-sync-'));
afterAll(() => rmSync(root, { recursive: true }));

const shim = compiled();
const why = shim ? '' : ' (skipped: needs Linux and a C compiler)';

function compiled(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const source = fileURLToPath(new URL('sync-shim.c', import.meta.url));
  const library = join(root, 'sync-shim.so');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  } catch (error) {
    // A compiler that is there and refuses the source is a failure, not a reason to skip.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return library;
}

interface ShimmedRun {
  readonly end: LedgerEnd;
  readonly child: LedgerProcess;
  readonly lines: readonly string[];
}

async function run(
  name: string,
  settings: LedgerSettings,
  env: NodeJS.ProcessEnv = {},
): Promise<ShimmedRun> {
  const log = join(root, `${name}.log`);
  const child = new LedgerProcess(join(root, name), settings, {
    ...env,
    LD_PRELOAD: shim,
    TIDEMARK_SHIM_DIR: join(root, name),
    TIDEMARK_SHIM_LOG: log,
    // So that every call goes through the C library, where it can be seen.
    UV_USE_IO_URING: '0',
  });
  const end = await child.ended;
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
  return { end, child, lines };
}

/** Nothing is collected, so that the files at the end say where everything was. */
const settings: LedgerSettings = {
  commits: 3000,
  inFlight: 16,
  engine: { retention: false, maxChainLength: 3 },
};

describe.skipIf(shim === undefined)(`system calls of a real run${why}`, () => {
  test('commits, rotations, checkpoints and merges: durable first, then acknowledged and named', async () => {
    const { end, lines } = await run('sound', settings);
    expect(end).toMatchObject({ code: 0, errors: '' });
    const dir = join(root, 'sound');
    const sound = readTrace(lines, dir);
    expect(sound.violations).toEqual([]);
    expect(sound.acknowledged).toBe(3000);
    expect(sound.records).toBeGreaterThanOrEqual(3);
    expect(lines.filter((line) => /^rename .*\.wal$/.test(line)).length).toBeGreaterThan(2);
  });

  test('the same with one commit in flight', async () => {
    const { lines } = await run('single', { ...settings, inFlight: 1, commits: 600 });
    const findings = readTrace(lines, join(root, 'single'));
    expect(findings).toMatchObject({ acknowledged: 600, violations: [] });
  });

  test('syncs that are dropped: the same look at the calls finds every acknowledgement wrong', async () => {
    const { end, lines } = await run('dropped', settings, { TIDEMARK_SHIM_DROP: '1' });
    expect(end.code).toBe(0);
    const { acknowledged, violations } = readTrace(lines, join(root, 'dropped'));
    expect(acknowledged).toBe(3000);
    expect(violations.filter((text) => text.startsWith('commit')).length).toBe(3000);
  });

  test.each([12, 25, 60, 90, 140])(
    'sync %i and all later ones fail: the process says so, writes no more log, and loses nothing acknowledged',
    async (number) => {
      const name = `failed-${number}`;
      const failing = { TIDEMARK_SHIM_FAIL: String(number) };
      const { end, child, lines } = await run(name, settings, failing);
      expect(end.signal).toBeNull();
      expect(end.code).not.toBe(0);
      expect(end.errors).toMatch(/OUTCOME_UNKNOWN|POISONED|SYNC_FAILED|'IO'/);
      const failedAt = lines.findIndex((line) => /^failed .*\.wal$/.test(line));
      if (failedAt >= 0) {
        const later = lines.slice(failedAt).filter((line) => /^write .*\.wal /.test(line));
        expect(later).toEqual([]);
      }
      const again = new LedgerProcess(join(root, name), { ...settings, commits: 1 });
      expect(await again.ended).toMatchObject({ code: 0, errors: '' });
      expect(again.opened).toBeGreaterThanOrEqual(child.acknowledged);
    },
  );
});
