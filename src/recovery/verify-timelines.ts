/*
 * The log of every timeline that has one: the current one's walk first, then what others have beside
 * it, down to a segment that was checked with a walk before. Each damage is found once.
 */
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { isOf } from '../wal/ancestry.ts';
import { listLog } from '../wal/log-directory.ts';
import {
  emptyLogReport,
  faultOf,
  verifyLog,
  type LogReport,
  type LogToVerify,
} from './verify-log.ts';
import { fault, type StoreFault } from './verify-report.ts';

/** The log of a store. */
export interface LogsToVerify extends Omit<LogToVerify, 'ancestry' | 'checked'> {
  readonly timelines: Timelines;
  /** How errors name the record of a timeline. */
  readonly timelinePath: (id: number) => string;
}

/** Finds all faults of the logs of all timelines. */
export async function verifyLogs(input: LogsToVerify): Promise<LogReport> {
  const { timelines, records, directory, fs, timelinePath } = input;
  const report = emptyLogReport();
  for (const [id, error] of timelines.faults) report.faults.push(faultOf(error, timelinePath(id)));
  const checked = new Map<string, number>();
  for (const id of timelines.ids.toReversed()) {
    const isCurrent = id === timelines.current;
    let ancestry;
    try {
      ancestry = timelines.ancestry(id);
    } catch (error) {
      // Damage of a record was told of; one that is missing, of the current timeline only.
      if (isCurrent && timelines.faults.size === 0) {
        report.faults.push(faultOf(error, timelinePath(id)));
      }
      continue;
    }
    const own = records.filter(({ record }) => isOf(ancestry, record));
    add(report, await verifyLog({ ...input, ancestry, checked, records: own }), isCurrent);
  }
  if (report.faults.length > 0) return report;
  for (const { name } of (await listLog(fs, directory)).segments) {
    if (checked.has(name)) continue;
    report.notes.push(fault(`${directory}/${name}`, 'segment is not part of the log'));
  }
  return report;
}

function add(report: LogReport, found: LogReport, isCurrent: boolean): void {
  // A segment that several timelines share is walked from each until the first one gets through it.
  for (const one of found.faults) if (!isTold(report.faults, one)) report.faults.push(one);
  for (const note of found.notes) if (!isTold(report.notes, note)) report.notes.push(note);
  report.segmentCount += found.segmentCount;
  report.groupCount += found.groupCount;
  report.recordCount += found.recordCount;
  report.logBytes += found.logBytes;
  if (!isCurrent) return;
  const { lsn, provedLsn, trimmedBelow } = found;
  Object.assign(report, { lsn, provedLsn, trimmedBelow });
}

/** Whether a fault of the same place is there: the words can be those of another walk. */
function isTold(told: readonly StoreFault[], { path, offset, lsn }: StoreFault): boolean {
  return told.some((one) => one.path === path && one.offset === offset && one.lsn === lsn);
}
