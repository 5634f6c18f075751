/*
 * The workload of a recording: its longest part without a gap. A process that is killed leaves one,
 * since what it had not written of the recording is lost.
 */
import { readRecording } from './workload-reader.ts';
import { WorkloadBuilder, type PaperWorkload } from './tuning-workload.ts';

/** A workload, and what of it is not there. */
export interface FoundWorkload {
  readonly workload: PaperWorkload;
  readonly storeId: string;
  /** Commits of other parts, which do not count. */
  readonly leftOut: number;
}

/** The workload in the bytes of a recording; undefined when no commit is in it. */
export function workloadOf(bytes: Uint8Array, path: string): FoundWorkload | undefined {
  let best: WorkloadBuilder | undefined;
  let open: WorkloadBuilder | undefined;
  let storeId = '';
  let commits = 0;
  for (const part of readRecording(bytes, path)) {
    if (part.kind === 'start') {
      ({ storeId } = part.start);
      if (open?.nextLsn === part.start.lsn + 1) open.restart();
      else open = new WorkloadBuilder(part.start);
    } else if (part.kind === 'commit') {
      open?.add(part.commit);
      commits++;
    } else {
      open?.logged(part.logBytes);
    }
    if (open && open.commitCount > (best?.commitCount ?? 0)) best = open;
  }
  if (!best || best.commitCount === 0) return undefined;
  return { workload: best.finish(), storeId, leftOut: commits - best.commitCount };
}
