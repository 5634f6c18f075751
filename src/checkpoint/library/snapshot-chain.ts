/*
 * Whether snapshot files continue each other. A chain is a base, or a first delta, and deltas that
 * each start where the one before ends: of one store, timeline, seed and number of key groups.
 * What does not fit is BROKEN_CHAIN, with both ends named.
 */
import { CorruptionError } from '../../errors.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import { toHex } from '../../std/bytes.ts';
import { seedToHex } from './snapshot-metadata.ts';

/** A file, as far as its place in a chain goes. */
export interface ChainEnd {
  readonly path: string;
  readonly header: SnapshotHeader;
}

/** Whether the writer of a delta has to be that of what it follows. */
export type ChainLineage = 'same' | 'any';

/** Throws BROKEN_CHAIN unless each file continues the one before. */
export function checkChain(ends: readonly ChainEnd[]): void {
  for (let i = 1; i < ends.length; i++) checkLink(ends[i - 1]!, ends[i]!, 'same');
}

/** As `checkChain`, but the deltas may be of another writer than the base that they start from. */
export function checkLineage(ends: readonly ChainEnd[]): void {
  if (ends.length > 1) checkLink(ends[0]!, ends[1]!, 'any');
  checkChain(ends.slice(1));
}

/**
 * Throws BROKEN_CHAIN unless `newer` continues `older`; with 'any', store and timeline may differ, as
 * those of several writers on one base do.
 */
export function checkLink(older: ChainEnd, newer: ChainEnd, lineage: ChainLineage): void {
  const why = misfit(older.header, newer.header, lineage);
  if (why === undefined) return;
  throw new CorruptionError(
    'BROKEN_CHAIN',
    `${newer.path} (${rangeOf(newer)}) does not continue ${older.path} (${rangeOf(older)}): ${why}`,
    { path: newer.path, older: describe(older), newer: describe(newer), why },
  );
}

function misfit(
  older: SnapshotHeader,
  newer: SnapshotHeader,
  lineage: ChainLineage,
): string | undefined {
  if (older.groupBits !== newer.groupBits) return 'it has another number of key groups';
  if (seedToHex(older) !== seedToHex(newer)) return 'it has another seed';
  if (lineage === 'same' && toHex(older.storeId) !== toHex(newer.storeId)) {
    return 'it is of another store';
  }
  if (lineage === 'same' && older.timeline !== newer.timeline) return 'it is of another timeline';
  if (newer.kind === 'base') return 'it is a base';
  if (newer.fromLsn > older.lastLsn) return 'there is a gap';
  if (newer.fromLsn < older.lastLsn) {
    return newer.lastLsn <= older.fromLsn ? 'it is older' : 'they overlap';
  }
  if (newer.lastTimestamp < older.lastTimestamp) return 'its time is before';
  return undefined;
}

function rangeOf({ header }: ChainEnd): string {
  return `${header.kind}, LSN above ${header.fromLsn} to ${header.lastLsn}`;
}

function describe({ path, header }: ChainEnd): Readonly<Record<string, unknown>> {
  const { kind, timeline, fromLsn, lastLsn, lastTimestamp, groupBits } = header;
  return {
    path,
    kind,
    storeId: toHex(header.storeId),
    timeline,
    fromLsn,
    lastLsn,
    lastTimestamp,
    seed: seedToHex(header),
    keyGroups: 2 ** groupBits,
  };
}
