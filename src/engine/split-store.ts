/*
 * One store as several, each with key groups of its own: a restore for each part, all of one moment.
 * The other way round is a restore from several stores.
 */
import { resolve } from 'node:path';
import type { CopyComponents } from '../recovery/copy-run.ts';
import { refuseFull } from '../recovery/new-store.ts';
import {
  locationNames,
  readStoreIdentity,
  sourceOf,
  type StoreLocation,
} from '../recovery/reader-moment.ts';
import { checkGroups, type KeyGroupRange } from '../recovery/restore-parts.ts';
import type { RestoreReport } from '../recovery/restore-run.ts';
import { badOption, directoryPath, knownOnly } from '../std/option-checks.ts';
import {
  checkKeyGroups,
  copyNames,
  machine,
  restoreWith,
  type CopyOptions,
  type RestoreOptions,
} from './restore-store.ts';

/** A part of a store that is split. */
export interface SplitPart {
  /** Directory of the new store: it does not exist, or is empty. */
  readonly dir: string;
  /** Key groups that it takes, half-open. */
  readonly keyGroups: KeyGroupRange;
}

/** Options of {@link split}; its limits are those of each part. */
export interface SplitOptions
  extends CopyOptions, Pick<RestoreOptions, 'target' | 'operators' | 'threadsMax' | 'codecs'> {
  /** The store to read; another process may have it open. */
  readonly from: StoreLocation;
  /**
   * Directories of the new stores, which take key groups in this order, as many each as far as that is
   * possible; or parts that say which.
   */
  readonly to: readonly (string | SplitPart)[];
}

const splitNames: readonly string[] = [
  ...copyNames,
  'from',
  'to',
  'target',
  'operators',
  'threadsMax',
  'codecs',
] satisfies readonly (keyof SplitOptions)[];

/**
 * Makes several stores out of one: each takes key groups of its own, and all are of one moment. They
 * have the positions and the state holders of the store. Each is whole and durable when it is made; when
 * this rejects in the middle, those before are there, and `restore` makes the others.
 *
 * @example
 * await split({ from: { dir: './state' }, to: ['./state-0', './state-1'] });
 *
 * @throws as {@link restore}; ConflictError STATE_EXISTS before anything is made
 */
export function split(options: SplitOptions): Promise<RestoreReport[]> {
  return splitWith(options, machine);
}

/** As {@link split}, over given components. */
export async function splitWith(
  options: SplitOptions,
  on: CopyComponents,
): Promise<RestoreReport[]> {
  knownOnly(options, splitNames);
  const { from, to, ...rest } = options;
  knownOnly(from, locationNames, 'from');
  if (!Array.isArray(to) || to.length === 0) {
    throw badOption('to', 'must be a list with at least one directory', to);
  }
  const { keyGroups } = await readStoreIdentity(sourceOf(on, from));
  const parts = checkParts(to, keyGroups);
  for (const { dir } of parts) await refuseFull(on.fs, dir);
  const reports: RestoreReport[] = [];
  for (const { dir, keyGroups: groups } of parts) {
    const [first] = reports;
    // What a writer commits meanwhile is in none of them.
    const timeline = first?.sources[0]!.timeline;
    const moment = timeline === undefined ? {} : { target: { lsn: first!.lsn, timeline } };
    reports.push(await restoreWith({ ...rest, from, to: dir, keyGroups: groups, ...moment }, on));
  }
  return reports;
}

function checkParts(to: readonly (string | SplitPart)[], groupCount: number): SplitPart[] {
  const isEven = to.every((part) => typeof part === 'string');
  if (isEven && to.length > groupCount) {
    const why = `must name at most as many directories as there are key groups (${groupCount})`;
    throw badOption('to', why, to.length);
  }
  const parts = to.map((part, i): SplitPart => {
    if (isEven) {
      const from = Math.floor((i * groupCount) / to.length);
      const end = Math.floor(((i + 1) * groupCount) / to.length);
      const dir = resolve(directoryPath(`to[${i}]`, part));
      return { dir, keyGroups: { from, to: end } };
    }
    const path = `to[${i}]`;
    const { dir, keyGroups } = part as SplitPart;
    knownOnly(part, ['dir', 'keyGroups'], path);
    if (keyGroups === undefined) throw badOption(`${path}.keyGroups`, 'is missing', undefined);
    const groups = checkKeyGroups(keyGroups, `${path}.keyGroups`)!;
    return { dir: resolve(directoryPath(`${path}.dir`, dir)), keyGroups: groups };
  });
  const groups = parts.map(({ keyGroups }) => keyGroups);
  checkGroups(groups, groupCount, { gaps: false, name: (i) => `to[${i}].keyGroups` });
  const again = parts.findIndex(({ dir }, i) => parts.findIndex((p) => p.dir === dir) < i);
  if (again >= 0) throw badOption(`to[${again}]`, 'names a directory again', parts[again]!.dir);
  return parts;
}
