/*
 * What can become of a change that was not synced when the power went, and choices of it.
 *
 * Laws: what was synced is kept. Each page of a write is kept, dropped, torn at sector borders or
 * garbled, whatever becomes of the others; garbling changes only bytes in the range of that write
 * (L12). The size of a file is any that it has had since its last sync, whatever of its data is
 * there; what was never written below it reads as zeros. Each change of names in a directory is kept
 * or dropped; the removal of the old name of a rename between directories comes after the new name.
 */
import type { SeededRandom } from './seeded-random.ts';

/** Bytes of a page: the unit in which the operating system writes a file back. */
export const pageBytes = 4096;
/** Bytes of a sector: the unit that a disk writes whole or not at all. */
export const sectorBytes = 512;

/** A page of a write that was not synced. */
export interface UnsyncedPage {
  readonly kind: 'page';
  /** Tells the file from others that have had the same name. */
  readonly file: number;
  readonly path: string;
  /** Which of the writes of the file that are not synced, from 0. */
  readonly write: number;
  readonly position: number;
  readonly bytes: number;
}

/** Sizes that a file has had since its last sync. */
export interface UnsyncedSize {
  readonly kind: 'size';
  readonly file: number;
  readonly path: string;
  /** The first is that of the disk; one more for each change since. */
  readonly sizes: readonly number[];
}

/** A change of names that is not synced. */
export interface UnsyncedNames {
  readonly kind: 'names';
  readonly directory: string;
  /** Which of the changes of the directory that are not on the disk for sure, from 0. */
  readonly change: number;
  /** Names that it makes, or takes away. */
  readonly made: readonly string[];
  readonly removed: readonly string[];
}

export type Unsynced = UnsyncedPage | UnsyncedSize | UnsyncedNames;

/** What becomes of a page. */
export type PageFate = 'kept' | 'dropped' | 'torn' | 'garbled';

/** Decides what a crash leaves. */
export interface CrashChoice {
  page(page: UnsyncedPage): PageFate;
  /** An index into `sizes`. */
  size(size: UnsyncedSize): number;
  names(names: UnsyncedNames): boolean;
}

/** Everything was written back in time. */
export const allKept: CrashChoice = {
  page: () => 'kept',
  size: ({ sizes }) => sizes.length - 1,
  names: () => true,
};

/** Nothing was. */
export const allDropped: CrashChoice = {
  page: () => 'dropped',
  size: () => 0,
  names: () => false,
};

const fates: readonly PageFate[] = [
  'kept',
  'kept',
  'kept',
  'dropped',
  'dropped',
  'torn',
  'garbled',
];

/** Anything, as a seed has it. */
export function randomChoice(random: SeededRandom): CrashChoice {
  return {
    page: () => random.pick(fates),
    size: ({ sizes }) => random.below(sizes.length),
    names: () => random.below(2) === 0,
  };
}

/** As another choice, but for some of the changes. */
export function exceptFor(
  choice: CrashChoice,
  other: CrashChoice,
  concerns: (unsynced: Unsynced) => boolean,
): CrashChoice {
  return {
    page: (page) => (concerns(page) ? other : choice).page(page),
    size: (size) => (concerns(size) ? other : choice).size(size),
    names: (names) => (concerns(names) ? other : choice).names(names),
  };
}

/** The same fate for every page. */
export function everyPage(fate: PageFate): CrashChoice {
  return { ...allKept, page: () => fate };
}
