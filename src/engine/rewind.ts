/*
 * Going back in place: `recoverTo` (T1). What came behind the target is not deleted; it stays as the
 * future of the timeline that was current, and is readable while retention keeps it.
 *
 * Order, each step durable before the next:
 * 1. The current timeline is opened as by any opening (O3): all of it is proved in a segment of its
 *    own, so nothing of the future that is left can be cut later.
 * 2. The record of the new timeline is put, if absent: from then on it is the current one, and stands
 *    where it left the other.
 * 3. The opening that follows finds it there and makes its first segment.
 *
 * A crash before 2 leaves the old timeline, opened once more; behind it the new one, wherever the
 * crash came: nothing was acknowledged on it yet. Were the segment first, a crash would leave one of a
 * timeline that no record knows, which is refused as damage. Were the record before 1, what was not
 * proved would be cut by nobody and owned by nobody.
 */
import { putTimeline, readTimelines, timelineSource } from '../checkpoint/timelines/timelines.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { planMoment } from '../recovery/moment-at.ts';
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
import type { StoreIdentity } from '../wal/identity.ts';
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
 * Starts a timeline at the target; undefined: the target is the end of the current one, and there is
 * nothing to go back from.
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND,
 *   TIMELINE_NOT_FOUND: nothing was changed
 */
export async function rewind(input: RewindInput): Promise<Rewound | undefined> {
  const { fs, clock, dir, identity, objects, target } = input;
  const source = sourceOf({ fs, clock }, input.isElsewhere ? { dir, store: objects } : { dir });
  if (await isPresent(source, input)) return undefined;
  const now = await readLogMoment(source, source.fs, identity);
  const epoch = await openCurrent(input, now);
  const { moment, plan } = await planMoment(source, source.fs, identity, { target });
  const { fork, timestamp } = await findFork(source, moment, plan);
  const timelines = await readTimelines(timelineSource(objects), toHex(identity.storeId));
  const from = { timeline: now.ancestry.timeline, lsn: now.lsn };
  await putTimeline(objects, {
    id: timelines.current + 1,
    storeId: toHex(identity.storeId),
    fork,
    forkTimestamp: timestamp,
    createdAt: clock.nowMicros(),
    epoch,
    from,
  });
  return { from, to: { timeline: fork.parent, lsn: fork.lsn } };
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
