/*
 * `tidemark tune`: every option changes what comes out, and what is recommended is taken by the
 * engine.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { createStore, openEngine, type EngineOptions } from '../../src/engine/index.ts';

interface Shown {
  readonly source: { readonly kind: string; readonly commits: number };
  readonly reachable: boolean;
  readonly options: Omit<EngineOptions, 'dir'>;
  readonly notes: readonly string[];
  readonly recommended: {
    readonly outcome: {
      readonly restoreSeconds: { readonly worst: number };
      readonly storedBytes: { readonly worst: number };
      readonly writeAmplification: number;
    };
  };
  readonly tried: readonly {
    readonly checkpointing: unknown;
    readonly policy: unknown;
    readonly retention: unknown;
    readonly compression: unknown;
    readonly outcome: { readonly writeAmplification: number };
  }[];
}

/** Write amplification by the settings that were tried. */
function writesBySettings({ tried }: Shown): Map<string, number> {
  return new Map(
    tried.map(({ checkpointing, policy, retention, compression, outcome }) => [
      JSON.stringify({ checkpointing, policy, retention, compression }),
      outcome.writeAmplification,
    ]),
  );
}

const root = mkdtempSync(join(tmpdir(), 'tidemark-tune-'));
const dir = join(root, 'store');
const recording = join(root, 'workload.tmr');

async function tune(...args: string[]): Promise<{ status: number; text: string; error: string }> {
  let text = '';
  let error = '';
  const stream = (take: (part: string) => void): never =>
    ({
      write(part: string): boolean {
        take(part);
        return true;
      },
    }) as never;
  const status = await run(
    ['tune', ...args],
    stream((part) => (text += part)),
    stream((part) => (error += part)),
  );
  return { status, text, error };
}

const report = async (...args: string[]): Promise<Shown> =>
  JSON.parse((await tune(dir, '--json', ...args)).text) as Shown;

beforeAll(async () => {
  const engine = await openEngine({ dir, record: recording, checkpointing: { commits: 20 } });
  const state = engine.operator('op').value<object>('values');
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 30; j++)
      state.set((i * j) % 700, { count: i + j, text: 'some text '.repeat(4) });
    await engine.commit();
  }
  await engine.checkpoint();
  await engine.close();
}, 30_000);

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('tune', () => {
  test('without options: the log that is kept is replayed, a table and options are printed', async () => {
    const { status, text } = await tune(dir);
    expect(status).toBe(0);
    expect(text).toContain('the log that is kept: 100 commits');
    expect(text).toContain('checkpoint each');
    expect(
      text.split('\n').findIndex((line) => line.startsWith('{"checkpointing"')),
    ).toBeGreaterThan(0);
  });

  test('--recording: the workload is the one in the file, and comes to the same', async () => {
    const recorded = await report('--recording', recording);
    const logged = await report();
    expect(recorded.source.kind).toBe('recording');
    expect(logged.source).toMatchObject({ kind: 'log', commits: recorded.source.commits });
    // Which of them is recommended follows from rates that each call measures: all are compared.
    const writes = writesBySettings(logged);
    const ratios = [...writesBySettings(recorded)].map(
      ([name, found]) => found / writes.get(name)!,
    );
    expect(ratios.length).toBeGreaterThan(10);
    expect(ratios.filter(Number.isFinite)).toHaveLength(ratios.length);
    for (const ratio of ratios) expect(Math.abs(ratio - 1)).toBeLessThan(0.05);
  });

  test('what is recommended: openEngine takes it', async () => {
    const { options } = await report('--window', '1h', '--restore-seconds', '60');
    const engine = await openEngine({ dir: ':memory:', ...options });
    await engine.close();
    expect(options.retention).toMatchObject({ windowMs: 3_600_000 });
  });

  test('--restore-seconds: kept where it can be, else the nearest, and exit status 1', async () => {
    const kept = await report('--restore-seconds', '30');
    expect(kept.reachable).toBe(true);
    expect(kept.recommended.outcome.restoreSeconds.worst).toBeLessThanOrEqual(30);
    const { status, text } = await tune(dir, '--restore-seconds', '0.000001');
    expect(status).toBe(1);
    expect(text).toContain('No setting that was tried meets all wishes');
    expect(text).toContain('nearest to what was wished for:');
  });

  test('--storage: kept where it can be, else the nearest', async () => {
    const free = await report('--restore-seconds', '30');
    const most = Math.ceil(free.recommended.outcome.storedBytes.worst * 1.01);
    const kept = await report('--storage', String(most));
    expect(kept.reachable).toBe(true);
    expect(kept.recommended.outcome.storedBytes.worst).toBeLessThanOrEqual(most);
    expect((await report('--storage', '1KB')).reachable).toBe(false);
  });

  test('--window: is in the options, keeps more, and says when the workload is shorter', async () => {
    const without = await report('--storage', '1TB');
    const with1h = await report('--storage', '1TB', '--window', '1h');
    expect(with1h.options.retention).toMatchObject({ windowMs: 3_600_000 });
    expect(with1h.recommended.outcome.storedBytes.worst).toBeGreaterThan(
      without.recommended.outcome.storedBytes.worst,
    );
    expect(with1h.notes.join(' ')).toContain('The window is longer than the workload');
  });

  test('--html: one file with script and figures that names no other', async () => {
    const file = join(root, 'tune.html');
    const { text } = await tune(dir, '--html', file);
    expect(text).toContain(`charts      ${file}`);
    const page = readFileSync(file, 'utf8');
    expect(page).toContain('checkpoint each');
    expect(page).toContain('new Chart(');
    expect(page).toContain('Chart.js v4');
    expect(page).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)=/);
  });

  test('--top: so many settings are shown', async () => {
    const rows = async (...args: string[]): Promise<number> =>
      (await tune(dir, ...args)).text.split('\n').filter((line) => / x\s+│$/.test(line)).length;
    expect(await rows('--top', '2')).toBe(2);
    expect(await rows()).toBe(12);
  });

  test('--store: records and snapshots are read there', async () => {
    const store = join(root, 'objects');
    const other = join(root, 'other');
    const engine = await openEngine({
      dir: other,
      store: createStore({ kind: 'file', path: store }),
    });
    engine.operator('op').value('v').set('a', 1);
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    expect((await tune(other, '--store', store)).status).toBe(0);
    const { status, error } = await tune(other);
    expect(status).toBe(2);
    expect(error).toContain('STORE_MISMATCH');
  });

  test('no checkpoint yet: nothing to learn from', async () => {
    const young = join(root, 'young');
    const engine = await openEngine({ dir: young });
    await engine.close();
    const { status, error } = await tune(young);
    expect(status).toBe(2);
    expect(error).toContain('CHECKPOINT_NOT_FOUND');
  });

  test.each([
    [['--storage', 'much'], 'It must be bytes'],
    [['--restore-seconds', '0'], 'It must be a number of seconds'],
    [['--window', '3'], 'It must be a number with a unit'],
    [['--recording', join(root, 'nowhere')], 'IO'],
  ])('%j: refused', async (args, message) => {
    const { status, error } = await tune(dir, ...args);
    expect(status).toBe(2);
    expect(error).toContain(message);
  });

  test('a recording of another store: refused by name', async () => {
    const other = join(root, 'third');
    const file = join(root, 'third.tmr');
    const engine = await openEngine({ dir: other, record: file });
    engine.operator('op').value('v').set('a', 1);
    await engine.commit();
    await engine.close();
    const { error } = await tune(dir, '--recording', file);
    expect(error).toContain('INVALID_OPTION: the recording is of another store');
  });
});
