/*
 * Whatever looks at a damaged store beside engines and readers, and the repair of it: a typed error, or
 * a store that opens at the commit that the report says, with a copy of everything as it was.
 */
import { test } from 'vitest';
import { repairStoreWith, type RepairReport } from '../../src/engine/repair-store.ts';
import { collectStoreWith } from '../../src/engine/retention-store.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { listCheckpointsWith } from '../../src/recovery/list-checkpoints.ts';
import { listTimelinesWith } from '../../src/recovery/list-timelines.ts';
import { planStoreMergeWith } from '../../src/recovery/merge-plan.ts';
import { planStoreRestoreWith } from '../../src/recovery/plan-store.ts';
import { SeededRandom } from '../../src/testing/index.ts';
import { SelfMovingClock } from '../crash/self-moving-clock.ts';
import { flips, removals, zeroedSectors, type Damage, type Damages } from './damages.ts';
import { differenceOf, dir, diskOf, filesOf, type Files } from './disk.ts';
import { check, damageCodes, typed, type Outcome } from './judge.ts';
import { stateOf } from './model.ts';
import { neededEnd } from './needed.ts';
import { survivingProof } from './proof.ts';
import { everyKind, openOn, type Sample } from './stores.ts';
import { expectMore, oneIn, sweep, tell, timeout } from './sweep.ts';

const codes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([...damageCodes, 'OUT_OF_RETENTION']);

/** Everything that only looks. */
async function look(fs: MemoryFileSystem): Promise<void> {
  const on = { fs, clock: new SelfMovingClock(), random: new SeededRandom(3), threads: false };
  const before = await filesOf(fs);
  await typed(listCheckpointsWith({ dir }, on), codes);
  await typed(listTimelinesWith({ dir }, on), codes);
  await typed(planStoreRestoreWith({ dir }, on), codes);
  await typed(planStoreMergeWith({ dir }, on), codes);
  await typed(collectStoreWith({ dir, dryRun: true }, on), codes);
  await typed(repairStoreWith({ dir, dryRun: true }, on), codes);
  const path = differenceOf(before, await filesOf(fs));
  check(path === undefined, `somebody who looks has changed ${path}`);
}

/** The copy that was kept has every file as it was. */
function checkKept(before: Files, after: Files, keptIn: string): void {
  for (const [path, bytes] of before) {
    if (!path.startsWith(`${dir}/`) || path.endsWith('.new')) continue;
    const kept = after.get(`${keptIn}${path.slice(dir.length)}`);
    check(kept !== undefined, `${path} is not in the copy that was kept`);
    check(Buffer.compare(kept, bytes) === 0, `${path} is another in the copy that was kept`);
  }
}

/** What was said to be lost is all that is lost. */
function checkLoss({ loss }: RepairReport, reached: number, proved: number): void {
  if (!loss?.lost) {
    check(
      reached >= proved,
      `LSN ${reached} is all there is, ${proved} is proved, none is said lost`,
    );
    return;
  }
  const { fromLsn, throughLsn, mayBeMore } = loss.lost;
  check(loss.reachedLsn === reached, `reaches ${reached}, not ${loss.reachedLsn} as was said`);
  check(fromLsn === reached + 1, `lost from LSN ${fromLsn}, behind ${reached}`);
  check(
    throughLsn >= proved || mayBeMore,
    `lost through ${throughLsn}, though ${proved} is proved`,
  );
}

async function judgeRepair(sample: Sample, { files }: Damage): Promise<Outcome> {
  const fs = await diskOf(files);
  await look(fs);
  const on = { fs, clock: new SelfMovingClock(), random: new SeededRandom(4), threads: false };
  const repaired = await typed(repairStoreWith({ dir }, on), codes);
  const after = await filesOf(fs);
  if ('code' in repaired) {
    const path = differenceOf(files, after);
    check(path === undefined, `the refused repair has changed ${path}`);
    return { refused: repaired.code, reports: [] };
  }
  const { value: report } = repaired;
  if (report.keptIn !== undefined) checkKept(files, after, report.keptIn);
  const engine = await openOn(fs, {}, 5);
  const { tornTail } = engine.recovery;
  const reached = sample.model.shown.indexOf(stateOf(engine));
  check(reached >= 0, 'a repaired store shows what no commit left');
  checkLoss(report, reached, survivingProof(files, sample.limits));
  engine.operator('op').value<string>('value').set('k0', 'behind a repair');
  await engine.commit();
  const shown = stateOf(engine);
  await engine.close();
  const again = await openOn(fs, {}, 6);
  check(stateOf(again) === shown, 'a repaired store shows another state when opened again');
  await again.close();
  const reports = report.faults.length > 0 ? ['repaired'] : [];
  // A torn tail is no damage to a repair: the next opening cuts it, and says so.
  if (report.loss?.lost || tornTail) reports.push('torn tail');
  return { lsn: reached, reports };
}

function* allOf(sample: Sample): Damages {
  for (const path of sample.files.keys()) {
    const end = neededEnd(sample.files, path);
    if (end === 0) continue;
    yield* flips(sample, path, [Math.floor(end / 2)]);
    if (path.includes('/wal/')) yield* oneIn(3, zeroedSectors(sample, path));
  }
  yield* removals(sample);
}

test(
  'a damaged store is looked at and repaired: typed, or as the report says',
  { timeout },
  async () => {
    const { closed } = await everyKind();
    const counts = await sweep({ ...closed, anyRefusal: true }, oneIn(2, allOf(closed)), (damage) =>
      judgeRepair(closed, damage),
    );
    tell('repairs', counts);
    expectMore(counts, 'tried', 40);
    expectMore(counts, 'reported', 10);
    expectMore(counts, 'cut', 3);
  },
);
