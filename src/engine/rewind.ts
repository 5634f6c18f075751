/*
 * Going back in place: `recoverTo` (T1). What came behind the target is not deleted; it stays as the
 * future of the timeline that was current, and is readable while retention keeps it.
 *
 * Order, each step durable before the next:
 * 1. The current timeline is opened as by any opening (O3): all of it is proved in a segment of its
 *    own, so nothing of the future that is left can be cut later.
 * 2. The target is recovered as it will be on the new timeline, every byte of it read and checked.
 *    What cannot be read is refused here, and the old timeline goes on.
 * 3. The record of the new timeline is put, if absent: from then on it is the current one, and stands
 *    where it left the other.
 * 4. The opening makes its first segment.
 *
 * A crash before 3 leaves the old timeline, opened once more; behind it the new one, wherever the
 * crash came: nothing was acknowledged on it yet. Were the segment first, a crash would leave one of a
 * timeline that no record knows, which is refused as damage. Were the record before 1, what was not
 * proved would be cut by nobody and owned by nobody; before 2, a damaged target would be the present
 * of every later opening.
 */
import type { ChainLink } from '../checkpoint/checkpoint-record.ts';
import {
  putTimeline,
  readTimelines,
  timelineSource,
  Timelines,
} from '../checkpoint/timelines/timelines.ts';
import { CorruptionError, InvalidArgumentError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { planMoment } from '../recovery/moment-at.ts';
import { recover, type Recovered, type RecoveryInput } from '../recovery/recover.ts';
import { isDamage } from '../recovery/recovery-path.ts';
import {
  readInAgreement,
  readLogMoment,
  sourceOf,
  type LogMoment,
  type ReaderSource,
} from '../recovery/reader-moment.ts';
import type { CheckedTarget } from '../recovery/target.ts';
import { findFork, type Rewound } from '../recovery/timeline-fork.ts';
import { toHex } from '../std/bytes.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { directoryError, readIdentity, type StoreIdentity } from '../wal/identity.ts';
import { applyOpening } from '../wal/opening-segment.ts';

/** What is gone back in; the directory is locked, the store open. */
export interface RewindInput {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly dir: string;
  readonly identity: StoreIdentity;
  readonly objects: ObjectStore;
  /** Whether the objects are elsewhere than in the directory. */
  readonly isElsewhere: boolean;
  /** Of the segment that the opening of the current timeline makes. */
  readonly roomBytes: number;
  readonly target: CheckedTarget;
}

/**
 * Refuses a directory that is no store, before a lock is taken in it.
 * @throws InvalidArgumentError NOT_A_STORE: nothing was made
 */
export async function refuseNothing(fs: FileSystem, dir: string): Promise<void> {
  let isThere: boolean;
  try {
    isThere = (await fs.stat(dir)) !== undefined;
  } catch (error) {
    throw directoryError(error, 'look at', dir);
  }
  if (isThere && (await readIdentity(fs, dir))) return;
  throw nothingToGoBackIn(dir);
}

export function nothingToGoBackIn(dir: string): InvalidArgumentError {
  const message = `directory is no store, there is nothing to go back in: ${dir}`;
  return new InvalidArgumentError('NOT_A_STORE', message, { path: dir });
}

/** A timeline that can begin. */
export interface PreparedRewind {
  readonly rewound: Rewound;
  /** With the new one as the current one. */
  readonly timelines: Timelines;
  /** Makes it so, for good; a second call does nothing. */
  readonly begin: () => Promise<void>;
}

/**
 * Prepares a timeline at the target; undefined: the target is the end of the current one, and there is
 * nothing to go back from.
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND,
 *   TIMELINE_NOT_FOUND: nothing was changed
 */
export async function prepareRewind(input: RewindInput): Promise<PreparedRewind | undefined> {
  const { fs, clock, dir, identity, objects, target } = input;
  const source = sourceOf({ fs, clock }, input.isElsewhere ? { dir, store: objects } : { dir });
  if (await isPresent(source, input)) return undefined;
  const now = await readLogMoment(source, source.fs, identity);
  const epoch = await openCurrent(input, now);
  const { moment, plan } = await planMoment(source, source.fs, identity, { target });
  const { fork, timestamp } = await findFork(source, moment, plan);
  const storeId = toHex(identity.storeId);
  const known = await readTimelines(timelineSource(objects), storeId);
  const from = { timeline: now.ancestry.timeline, lsn: now.lsn };
  const record = {
    id: known.current + 1,
    storeId,
    fork,
    forkTimestamp: timestamp,
    createdAt: clock.nowMicros(),
    epoch,
    from,
  };
  let begun = false;
  return {
    rewound: { from, to: { timeline: fork.parent, lsn: fork.lsn } },
    timelines: new Timelines([...known.records, record], known.faults),
    begin: async () => {
      if (begun) return;
      await putTimeline(objects, record);
      begun = true;
    },
  };
}

/**
 * As `recover`, and reads also what that leaves in files, as closely as the opening is asked to check.
 * Where that is damaged, it goes another way with everything in memory.
 */
export async function recoverWhole(input: RecoveryInput): Promise<Recovered> {
  const recovered = await recover(input);
  const { links, tail } = recovered;
  try {
    for (const { image, link } of links) {
      if (!image.isResident) await checkFile(input, link);
    }
    return recovered;
  } catch (error) {
    for (const { image } of links) image.release();
    tail?.release();
    if (!isDamage(error, input.transfer.isLocal)) throw error;
  }
  return recover({ ...input, cold: undefined });
}

async function checkFile(
  { transfer, pool, run, verification: level }: RecoveryInput,
  { name, sha256, bytes }: ChainLink,
): Promise<void> {
  const { faults } = await transfer.withLocal(name, (path) =>
    pool.run('verifySnapshot', { path, sha256, bytes, level }, run.signal),
  );
  const [first] = faults;
  if (!first) return;
  const { what, offset } = first;
  throw new CorruptionError('CORRUPT_SNAPSHOT', `${what}: ${name}`, { path: name, offset });
}

/** Whether the target is the last commit of the current timeline. A target that is not there throws. */
function isPresent(source: ReaderSource, { identity, target }: RewindInput): Promise<boolean> {
  return readInAgreement(source, async () => {
    const { moment, plan } = await planMoment(source, source.fs, identity, { target });
    const { ancestry, timelines } = moment;
    return ancestry.timeline === timelines.current && plan.lsn === moment.lsn;
  });
}

/** Proves all of the current timeline in a new segment; the epoch of that segment. */
async function openCurrent(input: RewindInput, moment: LogMoment): Promise<number> {
  const { fs, dir, identity, roomBytes } = input;
  const { plan, ancestry, record, lowWater } = moment;
  const opening = {
    storeDirectory: dir,
    storeId: identity.storeId,
    ancestry,
    checkpoint: record?.position,
    lowWater,
    epochKnown: record?.epoch ?? 0,
    roomBytes,
  };
  const opened = await applyOpening(fs, `${dir}/wal`, plan, opening, input);
  await opened.handle.close();
  return opened.header.epoch;
}
