/*
 * How far the log of a store may be given out (F3). What is proved, always. What is above it only
 * where no writer holds the lock: then the next opening takes it over as it stands (O3), so it is
 * part of the state. A writer proves within a second of idleness, or with its next group, what it
 * has acknowledged; that is waited for, so that what was acknowledged before the call is included.
 *
 * The lock is only tried where the end of the log is not proved: a writer that is there keeps it and
 * notices nothing; after a crash it is held for an instant, in which an opening would be LOCKED.
 */
import { errnoOf, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { lockName, type StoreIdentity } from '../wal/identity.ts';
import type { CopyRun } from './copy-run.ts';
import { readInAgreement, readLogMoment, type ReaderSource } from './reader-moment.ts';

/** A healthy writer proves what it has acknowledged well within this. */
const proofWaitMs = 3000;
const lookAgainMs = 25;

/** How far a log may be given out. */
export interface SettledLog {
  readonly lsn: number;
  /** Commits behind it that were in the log at the call, and that a writer has not proved. */
  readonly unprovedCommits: number;
}

/** Where a log is looked at. */
export interface SettlingInput {
  readonly source: ReaderSource;
  /** The file system itself: that of the source takes no lock. */
  readonly fs: FileSystem;
  readonly identity: StoreIdentity;
  /** What is above it is not wanted, and not waited for. @defaultValue everything is */
  readonly wanted?: number;
  /** The caller holds the lock: nobody writes. @defaultValue false */
  readonly isHeld?: boolean;
}

/** The LSN up to which a log may be given out; waits for the proof of a writer. */
export async function settleLog(input: SettlingInput, run: CopyRun): Promise<SettledLog> {
  const { source, fs, identity } = input;
  const read = async (): Promise<{ lsn: number; provedLsn: number }> =>
    readInAgreement(source, () => readLogMoment(source, source.fs, identity));
  const first = await read();
  const wanted = Math.min(first.lsn, input.wanted ?? first.lsn);
  let { provedLsn } = first;
  if (provedLsn >= wanted || input.isHeld === true) return { lsn: wanted, unprovedCommits: 0 };
  const until = run.clock.monotonicMs() + proofWaitMs;
  while (provedLsn < wanted) {
    if (!(await writerHolds(fs, source.dir))) return { lsn: wanted, unprovedCommits: 0 };
    if (run.clock.monotonicMs() >= until) break;
    await run.wait(lookAgainMs);
    ({ provedLsn } = await read());
  }
  return { lsn: provedLsn, unprovedCommits: Math.max(0, wanted - provedLsn) };
}

/** Commits that a writer had not proved, and that a later reading up to an LSN has not got either. */
export function stillUnproved({ lsn, unprovedCommits }: SettledLog, takenLsn: number): number {
  return Math.max(0, lsn + unprovedCommits - takenLsn);
}

/** Whether somebody has the directory open for writing; where that cannot be told, yes. */
async function writerHolds(fs: FileSystem, dir: string): Promise<boolean> {
  const path = `${dir}/${lockName}`;
  try {
    if (!(await fs.stat(path))) return false;
    const lock = await fs.lock(path);
    await lock?.release();
    return lock === undefined;
  } catch (error) {
    const errno = errnoOf(error);
    // A copy on a medium that is read-only, or of another user, cannot be locked to find out.
    if (errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM') return true;
    throw toStorageError(error, 'look at', path);
  }
}
