/*
 * Damage of what is beside a store's own files: the manifest of a backup and the copy behind it, the
 * mark of a restore that is not finished, the mark of a store that was claimed.
 */
import { expect, test } from 'vitest';
import { backupWith } from '../../src/engine/backup-store.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { SeededRandom } from '../../src/testing/index.ts';
import { SelfMovingClock } from '../crash/self-moving-clock.ts';
import {
  cuts,
  flips,
  offsetsOf,
  oldCopies,
  overwritten,
  removals,
  zeroedSectors,
  type Damage,
  type Damages,
} from './damages.ts';
import { differenceOf, dir, diskOf, filesOf, type Files } from './disk.ts';
import { check, damageCodes, typed, type Outcome } from './judge.ts';
import { kindOf } from './kinds.ts';
import { stateOf } from './model.ts';
import { openOn, Run, type Sample } from './stores.ts';
import { expectMore, longStride, sweep, tell, timeout } from './sweep.ts';

const copyDir = '/copy';
const limits = new Map([[1, Number.MAX_SAFE_INTEGER]]);

function componentsOn(fs: MemoryFileSystem, seed: number): CopyComponents {
  return { fs, clock: new SelfMovingClock(), random: new SeededRandom(seed), threads: false };
}

/** The files below a directory, as if they stood in the store's. */
function movedFrom(files: Files, from: string): Files {
  const found = [...files].filter(([path]) => path.startsWith(`${from}/`));
  return new Map(found.map(([path, bytes]) => [`${dir}${path.slice(from.length)}`, bytes]));
}

/** A store that was backed up twice, and went on; the copy stands where the sweep looks. */
async function backedUp(): Promise<{ source: Files; copy: Sample; lsn: number }> {
  const run = new Run();
  await run.open();
  await run.commits(3, 400);
  await run.checkpoint({ kind: 'base' });
  await run.commits(2, 900);
  const order = { from: { dir }, to: copyDir };
  await backupWith(order, componentsOn(run.fs, 5));
  const first = movedFrom(await filesOf(run.fs), copyDir);
  await run.commits(4, 1500);
  await run.checkpoint({ kind: 'base' });
  await run.commits(3, 700);
  const { lsn } = await backupWith(order, componentsOn(run.fs, 6));
  const files = movedFrom(await filesOf(run.fs), copyDir);
  const older = new Map([...first].map(([path, bytes]) => [path, [bytes]]));
  const model = run.model.copyAt(lsn);
  await run.commits(3, 1200);
  await run.checkpoint({ kind: 'delta' });
  await run.engine.close();
  const all = await filesOf(run.fs);
  const source = new Map([...all].filter(([path]) => !path.startsWith(`${copyDir}/`)));
  return {
    source,
    copy: { ...run.sample('copy', files, limits), older, model },
    lsn: run.model.lsn,
  };
}

function* allOf(sample: Sample, isMeant: (path: string) => boolean, stride: number): Damages {
  for (const [path, { length }] of sample.files) {
    if (!isMeant(path)) continue;
    const choice = { stride: longStride ?? stride };
    yield* flips(sample, path, offsetsOf(length, choice));
    yield* cuts(sample, path, offsetsOf(length, { ...choice, end: 1 }));
    yield* zeroedSectors(sample, path);
  }
}

const isMark = (path: string): boolean =>
  ['manifest', 'restore mark', 'claim'].includes(kindOf(path));

test('a damaged copy of a backup opens as every store does', { timeout }, async () => {
  const { copy } = await backedUp();
  const all = function* (): Damages {
    yield* allOf(copy, isMark, 11);
    yield* allOf(copy, (path) => !isMark(path), 2003);
    yield* removals(copy);
    yield* oldCopies(copy);
  };
  const counts = await sweep(copy, all());
  tell('a copy of a backup, opened', counts);
  expectMore(counts, 'tried', 100);
  expectMore(counts, 'refused', 15);
  expectMore(counts, 'unneeded', 40);
});

const backupCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([...damageCodes, 'STATE_EXISTS']);

test('a backup into a damaged copy: refused, or the copy is whole', { timeout }, async () => {
  const { source, copy, lsn } = await backedUp();
  const model = copy.model;
  const tryBackup = async ({ files }: Damage): Promise<Outcome> => {
    const damaged = [...files].map(([path, bytes]): [string, Uint8Array] => [
      `${copyDir}${path.slice(dir.length)}`,
      bytes,
    ]);
    const fs = await diskOf(new Map([...source, ...damaged]));
    const made = await typed(
      backupWith({ from: { dir }, to: copyDir }, componentsOn(fs, 7)),
      backupCodes,
    );
    const after = await filesOf(fs);
    const kept = new Map([...after].filter(([path]) => !path.startsWith(`${copyDir}/`)));
    check(differenceOf(source, kept) === undefined, 'the backup has changed its source');
    if ('code' in made) return { refused: made.code, reports: [] };
    check(made.value.lsn === lsn, `backed up through LSN ${made.value.lsn}`);
    const engine = await openOn(fs, { dir: copyDir, record: '/recordings/copy' }, 8);
    check(stateOf(engine) === shownAt.get(lsn), 'the copy shows another state');
    await engine.close();
    return { lsn: model.lsn, reports: ['brought up to date'] };
  };
  const sound = await openOn(await diskOf(source), {}, 9);
  const shownAt = new Map([[lsn, stateOf(sound)]]);
  await sound.close();
  const all = function* (): Damages {
    yield* allOf(copy, isMark, 11);
    yield* allOf(copy, (path) => !isMark(path), 4001);
    yield* removals(copy);
    yield* oldCopies(copy);
    yield* overwritten(copy);
  };
  const counts = await sweep({ ...copy, anyRefusal: true }, all(), tryBackup);
  tell('a copy of a backup, backed up into', counts);
  expectMore(counts, 'tried', 120);
  expectMore(counts, 'refused', 50);
  expectMore(counts, 'reported', 10);
});

/** Remembers all files just before a mark is linked in, and just before it goes. */
class Watched extends MemoryFileSystem {
  readonly moments = new Map<string, Files>();

  override async link(existing: string, to: string): Promise<void> {
    if (to.endsWith('/store.json')) this.moments.set('before the identity', await filesOf(this));
    await super.link(existing, to);
    if (to.endsWith('/CLAIMED')) this.moments.set('claimed', await filesOf(this));
  }

  override async unlink(path: string): Promise<void> {
    if (path.endsWith('/RESTORING')) this.moments.set('before the end', await filesOf(this));
    await super.unlink(path);
  }
}

test(
  'a damaged mark of an unfinished restore, or of a claim: never a store with less in it',
  { timeout },
  async () => {
    const fs = new Watched();
    const run = new Run(fs);
    await run.open();
    await run.commits(3, 400);
    await run.checkpoint();
    await run.commits(2, 400);
    await run.engine.close();
    fs.moments.clear();
    const order = { from: { dir }, to: copyDir, ownership: 'claim' } as const;
    await restoreWith(order, componentsOn(fs, 5));
    const sampleOf = (name: string, files: Files): Sample => ({
      ...run.sample(name, files, limits),
      older: new Map(),
      anyRefusal: true,
    });
    const of = (name: string, from: string): Sample =>
      sampleOf(name, movedFrom(fs.moments.get(name)!, from));
    const samples = [
      of('before the identity', copyDir),
      of('before the end', copyDir),
      of('claimed', dir),
      sampleOf('given up', movedFrom(await filesOf(fs), dir)),
    ];
    for (const sample of samples) {
      const all = function* (): Damages {
        yield* allOf(sample, isMark, 4);
        // Without its mark, what was given up is an empty directory.
        if (sample.name !== 'given up') yield* removals(sample);
      };
      const counts = await sweep(sample, all());
      tell(`marks, ${sample.name}`, counts);
      expect(counts).toMatchObject({ cut: 0, unseen: 0 });
      const whole = counts.reported + counts.unneeded;
      if (sample.name === 'before the end') {
        // The identity is in, so the store is whole: the mark means nothing any more.
        expectMore({ whole }, 'whole', 30);
        continue;
      }
      // Before, and once claimed, a directory is no store; that a claim was made only its mark says.
      expectMore(counts, 'refused', 30);
      expect(whole).toBeLessThanOrEqual(sample.name === 'claimed' ? 1 : 0);
    }
  },
);
