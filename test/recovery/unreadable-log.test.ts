/*
 * A disk that cannot read a sector of the log: what stands before and behind it is not lost with it, and
 * no LSN that may have stood in it is given again.
 */
import { expect, test } from 'vitest';
import { repairStoreWith } from '../../src/engine/repair-store.ts';
import { systemError } from '../../src/fs/system-error.ts';
import { lsnsPassedOver } from '../../src/recovery/accept-loss.ts';
import { errorOf, noise, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { fourCommits, shortLog } from './damaged-worlds.ts';

const page = 4096;
const commits = 8;

/** Commits of 1,500 bytes, in one segment without a checkpoint. */
async function stored(): Promise<{ world: World; segment: string }> {
  const world = worldOn();
  const engine = await open(world, { ...shortLog, segmentBytesMax: 65_536 });
  for (let i = 1; i <= commits; i++) {
    engine.operator('op').value('v').set(i, noise(1500, i));
    await engine.commit();
  }
  await engine.close();
  const found = await pathsIn(world.fs, 'wal');
  return { world, segment: found.find((path) => path.endsWith('.wal'))! };
}

/** From now on the disk cannot read this page of a file, whatever its name. */
function cannotRead({ fs }: World, segment: string, at: number): void {
  const name = segment.slice(segment.lastIndexOf('/'));
  fs.before = ({ call, path, position = 0, bytes = 0 }) => {
    const isRead = (call === 'read' || call === 'readNow') && path.endsWith(name);
    if (!isRead || position >= at + page || position + bytes <= at) return;
    throw systemError('EIO', 'read', path);
  };
}

test('a page in the middle: what stands before it is saved, and what may have been lost is passed over', async () => {
  const { world, segment } = await stored();
  cannotRead(world, segment, page);
  const refused = await errorOf(open(world, shortLog));
  expect(refused.code).toBe('IO');
  const [path] = refused.details['paths'] as { lsn: number; lost: object; why: string }[];
  expect(path).toMatchObject({ lost: { throughLsn: commits, mayBeMore: true } });
  expect(path!.why).toContain('cannot be read');
  const reached = path!.lsn;
  expect(reached).toBeGreaterThan(0);
  expect(reached).toBeLessThan(commits);

  const engine = await open(world, { ...shortLog, acceptLoss: true });
  expect(engine.recovery.loss).toMatchObject({ reachedLsn: reached });
  const state = engine.operator('op').value('v');
  for (let i = 1; i <= commits; i++) {
    expect(state.get(i)).toEqual(i <= reached ? noise(1500, i) : undefined);
  }
  state.set('new', 1);
  const { lsn } = await engine.commit();
  expect(lsn).toBe(commits + lsnsPassedOver + 1);
  await engine.close();

  const again = await open(world, shortLog);
  expect(again.operator('op').value('v').get('new')).toBe(1);
  await again.close();
  // The copy has the segment with all that can be read of it, by a second name.
  world.fs.before = () => {};
  const copy = `/store/given-up/0001/${segment.slice('/store/'.length)}`;
  expect(await world.fs.read(copy)).toEqual(await world.fs.read(segment));
});

test('the page of the header: what the checkpoint holds is saved, and there may have been more', async () => {
  const world = await fourCommits();
  const [segment] = await pathsIn(world.fs, 'wal');
  cannotRead(world, segment!, 0);
  const { loss } = await repairStoreWith({ dir: '/store', dryRun: true }, world);
  expect(loss).toMatchObject({ reachedLsn: 3, lost: { fromLsn: 4, mayBeMore: true } });
  const { keptIn } = await repairStoreWith({ dir: '/store' }, world);
  expect(keptIn).toBe('/store/given-up/0001');
  const engine = await open(world, shortLog);
  expect(engine.operator('op').value('v').get('k')).toBe('third');
  await engine.close();
});
