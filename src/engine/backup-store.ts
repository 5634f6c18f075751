/*
 * Backups, as users ask for them: options and defaults. What is done: recovery/backup-run.ts.
 */
import { resolve } from 'node:path';
import { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
import { runBackup, type BackupReport } from '../recovery/backup-run.ts';
import type { CopyComponents } from '../recovery/copy-run.ts';
import { locationNames, type StoreLocation } from '../recovery/reader-moment.ts';
import { badOption, directoryPath, knownOnly } from '../std/option-checks.ts';
import { copyLimits, copyNames, machine, type CopyOptions } from './restore-store.ts';

/** Options of {@link backup}. */
export interface BackupOptions extends CopyOptions {
  /** The store to copy; another process may have it open. */
  readonly from: StoreLocation;
  /** Directory of the copy: it does not exist, is empty, or is what a backup of this store left. */
  readonly to: string;
  /** Checks every byte of the copy at the end. @defaultValue true */
  readonly verify?: boolean;
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/**
 * Copies a store, also one that another process has open, or brings a copy up to date: only what it
 * lacks is copied, and what the store has given up goes. When this resolves the copy is durable and
 * opens as the same store, with the same id, at or above every commit that was acknowledged before
 * the call. Stopped at any point, the copy is what the last backup made of it, or more; a
 * first one that has not ended does not open.
 *
 * Open the copy for writing only in place of the store: then it goes its own way, and is refused here.
 *
 * @example
 * const { lsn, copiedBytes } = await backup({ from: { dir: './state' }, to: '/mnt/copies/state' });
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws ConflictError STATE_EXISTS: `to` is no copy, or one that was opened for writing; LOCKED
 * @throws IncompatibleError STORE_MISMATCH: `to` is the copy of another store
 * @throws CorruptionError damage of the source that two readings agree on; CORRUPT_STORE: that of the copy
 * @throws StorageError IO, NO_SPACE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function backup(options: BackupOptions): Promise<BackupReport> {
  return backupWith(options, machine);
}

/** As {@link backup}, over given components. */
export async function backupWith(
  options: BackupOptions,
  on: CopyComponents,
): Promise<BackupReport> {
  knownOnly(options, [...copyNames, 'from', 'to', 'verify', 'codecs']);
  const { from, verify = true, codecs = [] } = options;
  knownOnly(from, locationNames, 'from');
  if (typeof verify !== 'boolean') throw badOption('verify', 'must be true or false', verify);
  const to = resolve(directoryPath('to', options.to));
  const limits = copyLimits(options, 1);
  await registerCodecs(codecs);
  return runBackup({ from, to, verify, limits }, on);
}
