/*
 * A store whose checkpoints are damaged: the newest way that loses nothing is taken and told; where
 * there is none, the ways that are left are listed, and nothing is changed.
 */
import { describe, expect, test } from 'vitest';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { encodeSealedJson, decodeSealedJson } from '../../src/codec/sealed-json.ts';
import type { EngineWarning, LosingPath, RecoveryReport } from '../../src/engine/index.ts';
import {
  digests,
  errorOf,
  open,
  pathsIn,
  settle,
  worldOn,
  type World,
} from '../engine/engine-fixture.ts';
import { fill, opened as openedLazily, threeBases, write } from '../engine/retention-world.ts';

/** What is damaged is found by the opening, and not behind it. */
const opened: typeof openedLazily = (world, options) =>
  openedLazily(world, { prefetch: 'aggressive', ...options });

/** A closed store that has collected by default: bases, deltas, and commits behind them. */
async function collectedStore(): Promise<World> {
  const world = worldOn();
  const engine = await opened(world, {});
  await fill(engine, threeBases, 1);
  await engine.collect();
  await write(engine, 1);
  await engine.close();
  return world;
}

const commits = threeBases.length + 1;

const damages: readonly [string, (world: World, path: string) => Promise<void>][] = [
  [
    'flipped',
    async ({ fs }, path) => {
      const bytes = (await fs.read(path)).slice();
      bytes[Math.floor(bytes.length / 2)]! ^= 0x20;
      await fs.put(path, bytes);
    },
  ],
  [
    'cut',
    async ({ fs }, path) => {
      const bytes = await fs.read(path);
      await fs.put(path, bytes.slice(0, Math.floor(bytes.length / 2)));
    },
  ],
  ['deleted', ({ fs }, path) => fs.remove(path)],
];

/** Opens a store, looks for all that was committed, goes on, and opens it once more. */
async function expectWhole(world: World): Promise<RecoveryReport> {
  const reader = await openReaderWith({ dir: '/store' }, world);
  expect(reader.get('op', 'v', 'last')?.value).toBe(commits);
  await reader.close();
  const engine = await opened(world);
  expect(engine.recovery.lsn).toBe(commits);
  const state = engine.operator('op').value('v');
  expect(state.get('last')).toBe(commits);
  await write(engine, 1);
  const { id } = await engine.checkpoint();
  await engine.collect();
  await engine.close();
  const again = await opened(world);
  expect(again.recovery).toMatchObject({ path: 'newest', checkpoint: id, lsn: commits + 1 });
  expect(again.operator('op').value('v').get('last')).toBe(commits + 1);
  await again.close();
  return engine.recovery;
}

describe('default retention, and any one file damaged', () => {
  test.each(damages)(
    '%s: every snapshot and record in turn, nothing is lost',
    async (_, damage) => {
      const store = await collectedStore();
      const files = [
        ...(await pathsIn(store.fs, 'snapshots')),
        ...(await pathsIn(store.fs, 'checkpoints')),
      ];
      expect(files.length).toBeGreaterThan(6);
      let passedOver = 0;
      for (const path of files) {
        const world = worldOn(await store.fs.crash('kept'), store.clock, 5);
        await damage(world, path);
        const { skipped } = await expectWhole(world);
        if (skipped.length > 0) {
          passedOver++;
          expect(skipped[0]!.faults[0]!.path).toContain(path.slice('/store/'.length));
        }
      }
      // The newest record, and each snapshot of its chain; a record that is gone is not known of.
      expect(passedOver).toBeGreaterThanOrEqual(damage === damages[2]![1] ? 1 : 2);
    },
  );

  test('what was passed over, why, and the way that was taken: in the report and as a warning', async () => {
    const world = await collectedStore();
    const records = await pathsIn(world.fs, 'checkpoints');
    const newest = records.at(-1)!;
    await damages[0]![1](world, newest);
    const engine = await opened(world);
    const { recovery } = engine;
    expect(recovery.path).toBe('older');
    expect(recovery.skipped).toMatchObject([
      {
        checkpoint: Number(/(\d+)\.json/.exec(newest)![1]),
        lsn: undefined,
        faults: [{ code: 'CORRUPT_RECORD' }],
      },
    ]);
    const warnings: EngineWarning[] = [];
    engine.on('warning', (warning) => warnings.push(warning));
    await settle();
    expect(warnings).toMatchObject([
      { code: 'CHECKPOINT_SKIPPED', details: { path: 'older', checkpoint: recovery.checkpoint } },
    ]);
    await engine.close();
  });
});

describe('after a checkpoint was passed over', () => {
  test('the newest snapshot is damaged: nothing goes before a new checkpoint, which never has its id', async () => {
    const world = await collectedStore();
    const newest = (await pathsIn(world.fs, 'snapshots')).toSorted((a, b) =>
      a.slice(-10) < b.slice(-10) ? 1 : -1,
    )[0]!;
    await damages[0]![1](world, newest);
    const engine = await opened(world);
    expect(engine.recovery.path).toBe('older');
    const { plan } = await engine.collect({ dryRun: true });
    expect(plan.hold).toContain('cannot be used');
    expect(plan.lines.filter(({ action }) => action === 'delete')).toEqual([]);
    const ids = (await engine.checkpoints()).map(({ id }) => id);
    const made = await engine.checkpoint();
    expect(made.id).toBeGreaterThan(Math.max(...ids));
    // The damaged one is no second path, and goes.
    const after = await engine.collect();
    const kept = await engine.checkpoints();
    expect(after.plan.hold).toBeUndefined();
    expect(kept.some(({ chain }) => chain.some(({ name }) => newest.endsWith(name)))).toBe(false);
    await engine.close();
    const { faults } = await verifyStoreWith({ dir: '/store' }, world);
    expect(faults).toEqual([]);
  });

  test('a damaged savepoint stays as evidence', async () => {
    const world = worldOn();
    const engine = await opened(world);
    await fill(engine, ['delta', 'base', 'delta'], 1);
    await write(engine, 1);
    const { chain } = await engine.checkpoint({ savepoint: 'mine' });
    await engine.close();
    await damages[0]![1](world, `/store/${chain.at(-1)!.name}`);
    const again = await opened(world);
    await again.checkpoint();
    const { plan } = await again.collect();
    const line = plan.lines.find(({ why }) => why.includes('"mine"'));
    expect(line).toMatchObject({ action: 'keep', rules: ['damaged'] });
    await again.close();
  });

  test('nothing was committed behind the checkpoint that stands in: asked for, one replaces it', async () => {
    const world = worldOn();
    const engine = await opened(world);
    await fill(engine, ['delta', 'delta'], 1);
    await engine.checkpoint({ kind: 'base' });
    await engine.close();
    const newest = (await pathsIn(world.fs, 'checkpoints')).at(-1)!;
    await damages[0]![1](world, newest);
    const again = await opened(world);
    expect(again.recovery).toMatchObject({ path: 'older', replayedCommits: 0 });
    const made = await again.checkpoint();
    await again.close();
    const last = await opened(world);
    expect(last.recovery).toMatchObject({ path: 'newest', checkpoint: made.id });
    await last.close();
  });
});

describe('every way would lose commits', () => {
  /** Two checkpoints, of which the second is damaged, and damage of the log between them. */
  async function lost(): Promise<World> {
    const world = worldOn();
    const engine = await open(world, { checkpointing: false });
    const state = engine.operator('op').value('v');
    for (const value of ['first', 'second', 'third', 'fourth']) {
      state.set('k', value);
      await engine.commit();
      if (value === 'first' || value === 'third') await engine.checkpoint();
    }
    await engine.close();
    return world;
  }

  async function flipInLog(world: World, text: string): Promise<void> {
    for (const path of await pathsIn(world.fs, 'wal')) {
      const bytes = (await world.fs.read(path)).slice();
      const at = Buffer.from(bytes).indexOf(text);
      if (at < 0) continue;
      bytes[at]! ^= 1;
      await world.fs.put(path, bytes);
      return;
    }
    throw new Error('the log does not hold it');
  }

  async function refusedPaths(world: World): Promise<{ code: string; paths: LosingPath[] }> {
    const before = await digests(world.fs);
    const { code, details } = await errorOf(open(world));
    expect(await digests(world.fs)).toEqual(before);
    return { code, paths: details['paths'] as LosingPath[] };
  }

  test('the newest record and the log behind the older one: the ways and what each loses', async () => {
    const world = await lost();
    const records = await pathsIn(world.fs, 'checkpoints');
    await damages[0]![1](world, records.at(-1)!);
    await flipInLog(world, 'third');
    const { code, paths } = await refusedPaths(world);
    expect(code).toBe('CORRUPT_RECORD');
    expect(paths).toMatchObject([
      { checkpoint: 1, lsn: 2, lost: { fromLsn: 3, throughLsn: 4 } },
      { checkpoint: undefined, lsn: 2, lost: { fromLsn: 3, throughLsn: 4 } },
    ]);
    await expect(openReaderWith({ dir: '/store' }, world)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
    });
  });

  test('the log behind a sound checkpoint: that checkpoint is the best way', async () => {
    const world = await lost();
    await flipInLog(world, 'fourth');
    const { code, paths } = await refusedPaths(world);
    expect(code).toBe('CORRUPT_FRAME');
    expect(paths[0]).toMatchObject({
      checkpoint: 2,
      lsn: 3,
      lost: { fromLsn: 4, throughLsn: 4, mayBeMore: false },
    });
  });

  test('a damaged chain, and the log ends below its LSN: not taken for a torn end', async () => {
    const world = await lost();
    const records = await pathsIn(world.fs, 'checkpoints');
    const newest = decodeSealedJson(await world.fs.read(records.at(-1)!)) as {
      chain: { name: string }[];
    };
    await world.fs.remove(`/store/${newest.chain.at(-1)!.name}`);
    for (const path of await pathsIn(world.fs, 'wal')) {
      const bytes = await world.fs.read(path);
      const at = Buffer.from(bytes).indexOf('second');
      // Nothing of the log is left behind the first commits, no mark either.
      if (at >= 0)
        await world.fs.put(
          path,
          Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]),
        );
    }
    const { code, paths } = await refusedPaths(world);
    expect(code).toBe('BROKEN_CHAIN');
    expect(paths[0]).toMatchObject({ checkpoint: 1, lsn: 1, lost: { fromLsn: 2, throughLsn: 3 } });
  });

  test('the newest record cannot be read and the log is gone: what it held may be nowhere else', async () => {
    const world = await lost();
    const records = await pathsIn(world.fs, 'checkpoints');
    await damages[0]![1](world, records.at(-1)!);
    for (const path of await pathsIn(world.fs, 'wal')) await world.fs.remove(path);
    const { code, paths } = await refusedPaths(world);
    expect(code).toBe('CORRUPT_RECORD');
    expect(paths).toMatchObject([{ checkpoint: 1, lsn: 1, lost: { mayBeMore: true } }]);
  });

  test('a record of a newer format is no damage: refused, no other way is taken', async () => {
    const world = await lost();
    const newest = (await pathsIn(world.fs, 'checkpoints')).at(-1)!;
    const body = decodeSealedJson(await world.fs.read(newest)) as Record<string, unknown>;
    await world.fs.put(newest, encodeSealedJson({ ...body, format: 99 }));
    expect((await errorOf(open(world))).code).toBe('UNSUPPORTED_FORMAT');
  });
});
