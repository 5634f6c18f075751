/*
 * Where no way leads to everything that was committed: the ways that there are, and how far each
 * goes. Reads only.
 *
 * The best is the first: of the checkpoints that are whole the newest, since whatever of the log
 * leads on from an older one leads on from it too.
 */
import type { LoadedLink } from '../checkpoint/chain-images.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { Ancestry } from '../wal/ancestry.ts';
import {
  extentOfLog,
  reachLog,
  type KnownOfLog,
  type LogExtent,
  type LogReach,
} from '../wal/log-reach.ts';
import type { ChainLoader } from './chain-loader.ts';
import type { LosingPath, LostCommits } from './recovery-path.ts';

/** Checkpoints that are looked at; older ones go no further. */
const pathsMax = 4;

/** What is known of a damaged store. */
export interface DamagedStore extends KnownOfLog {
  readonly fs: FileSystem;
  readonly logDirectory: string;
  readonly ancestry: Ancestry;
  /** Whether the whole chain of a record can be read. */
  readonly canLoad: (record: CheckpointRecord) => Promise<boolean>;
  /** Records that can be read and fit the store, newest first. */
  readonly records: readonly CheckpointRecord[];
  /** LSN of the newest record that can be read; 0: there is none. */
  readonly provedLsn: number;
  /** A record newer than those cannot be read: its LSN is not known. */
  readonly hasUnreadable: boolean;
}

/** A way with what it takes to go it. */
export interface ExaminedPath extends LosingPath {
  readonly record: CheckpointRecord | undefined;
  readonly reach: LogReach;
}

export interface ExaminedPaths {
  /** The best first. */
  readonly paths: readonly ExaminedPath[];
  readonly extent: LogExtent;
  /** The greatest LSN that is known to have been given. */
  readonly lastLsn: number;
  /** There may have been more. */
  readonly isOpen: boolean;
}

export async function examinePaths(store: DamagedStore): Promise<ExaminedPaths> {
  const { fs, logDirectory, ancestry, canLoad, records, provedLsn, hasUnreadable } = store;
  const extent = await extentOfLog(fs, logDirectory, store, ancestry);
  const lastLsn = Math.max(extent.lastLsn, provedLsn);
  const isOpen = extent.isOpen || hasUnreadable;
  const known = { lastLsn, isOpen };
  const paths: ExaminedPath[] = [];
  for (const record of records) {
    if (paths.length === pathsMax) break;
    if (await canLoad(record)) {
      const reach = await reachLog(fs, logDirectory, record.position, ancestry);
      paths.push(pathOf(record, reach, known));
    }
  }
  const reach = await reachLog(fs, logDirectory, undefined, ancestry);
  if (reach.end && reach.end.lsn > 0) paths.push(pathOf(undefined, reach, known));
  // A log that was started again behind a newer checkpoint than the newest whole one is no help.
  paths.sort((a, b) => b.lsn - a.lsn);
  return { paths, extent, lastLsn, isOpen };
}

export function isWhole(loaded: Awaited<ReturnType<ChainLoader['load']>>): loaded is LoadedLink[] {
  return loaded.every((part) => 'image' in part);
}

function pathOf(
  record: CheckpointRecord | undefined,
  reach: LogReach,
  known: { readonly lastLsn: number; readonly isOpen: boolean },
): ExaminedPath {
  const lsn = Math.max(record?.lsn ?? 0, reach.end?.lsn ?? 0);
  const lost: LostCommits = {
    fromLsn: lsn + 1,
    throughLsn: known.lastLsn,
    mayBeMore: known.isOpen,
  };
  const loses = known.isOpen || known.lastLsn > lsn;
  const { why } = reach;
  return { checkpoint: record?.id, lsn, lost: loses ? lost : undefined, why, record, reach };
}

/** The way without what only its own going needs. */
export function plainPath({ checkpoint, lsn, lost, why }: LosingPath): LosingPath {
  return { checkpoint, lsn, lost, why };
}
