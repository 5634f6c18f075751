/*
 * Looks at a copy of a store, made by a backup or a restore, on a disk that a crash has left.
 */
import { openReaderWith } from '../../src/recovery/reader.ts';
import { TidemarkError } from '../../src/errors.ts';
import { SeededRandom, type SimulatedFileSystem } from '../../src/testing/index.ts';
import { openOn, shown } from './script.ts';
import { SelfMovingClock } from './self-moving-clock.ts';
import type { Expected } from './subject.ts';

/** LSNs at which the copy may stand; below 1 it need not be there. */
export interface CopyBounds {
  readonly least: number;
  readonly most?: number;
}

/** Errors of a directory that is no store yet. */
const notYet = new Set(['NOT_A_STORE']);

/** Throws unless the copy is whole, or, where it need not be there, is refused; tells which. */
export async function inspectCopy(
  disk: SimulatedFileSystem,
  dir: string,
  expected: Expected,
  { least, most = expected.length - 1 }: CopyBounds,
): Promise<boolean> {
  const on = {
    fs: disk,
    clock: new SelfMovingClock(),
    random: new SeededRandom(3),
    threads: false,
  };
  try {
    const reader = await openReaderWith({ dir }, on);
    await reader.close();
  } catch (error) {
    if (least > 0 || !(error instanceof TidemarkError) || !notYet.has(error.code)) throw error;
    return false;
  }
  const engine = await openOn(disk, { dir }, 5);
  const { lsn, damagedHistory } = engine.recovery;
  if (lsn < least || lsn > most) throw new Error(`the copy is at ${lsn}, not ${least} to ${most}`);
  if (damagedHistory) throw new Error('the copy has lost history');
  const found = shown(engine);
  if (found !== expected[lsn]) throw new Error(`the copy is ${found}\n not ${expected[lsn]}`);
  await engine.close();
  return true;
}
