/*
 * The log of a store that begins with a checkpoint: a first segment behind the checkpoint's LSN, and a
 * low-water record which says that what is below is in no log. The log's mark is put as by any
 * first opening. The store has no identity yet, so nobody else looks at it.
 */
import type { FileSystem } from '../fs/file-system.ts';
import type { OpeningComponents } from './opening-segment.ts';
import { applyOpening, openingRoomLeast } from './opening-segment.ts';
import type { LogPosition } from './log-position.ts';
import { toStorageError } from '../errors.ts';
import { firstTimeline } from './ancestry.ts';
import { chainStart } from './chain-value.ts';
import { writeLowWater } from './low-water.ts';
import { segmentHeaderBytes } from './segment-format.ts';

const epochBefore = 0;

/** Epoch of the first segment, and of the checkpoint that it stands behind. */
export const firstEpoch: number = epochBefore + 1;

/** Where the log of a new store goes on behind an LSN. */
export function firstPosition(lsn: number): LogPosition {
  return {
    lsn,
    segment: 1,
    timeline: firstTimeline,
    offset: segmentHeaderBytes,
    chain: chainStart,
  };
}

/** Makes the log; durable when it resolves. */
export async function startLog(
  fs: FileSystem,
  storeDirectory: string,
  storeId: Uint8Array,
  { lsn }: { readonly lsn: number },
  on: OpeningComponents,
): Promise<void> {
  const directory = `${storeDirectory}/wal`;
  try {
    await fs.makeDirectory(directory);
  } catch (error) {
    throw toStorageError(error, 'make the directory', directory);
  }
  const lowWater = { timeline: firstTimeline, lsn: lsn + 1, segment: 1 };
  if (lsn > 0) await writeLowWater(fs, directory, lowWater);
  const plan = {
    listing: { segments: [], temporaryNames: [], numberMax: 0 },
    mark: undefined,
    segments: [],
    ranges: [],
    proved: { offset: 0, lsn, chain: chainStart, segment: undefined },
    lastLsn: lsn,
    lastChain: chainStart,
    copies: undefined,
    tornTail: undefined,
    damagedHistory: false,
    epochMax: epochBefore,
  };
  const input = {
    storeDirectory,
    storeId,
    checkpoint: undefined,
    lowWater,
    roomBytes: openingRoomLeast,
  };
  const { handle } = await applyOpening(fs, directory, plan, input, on);
  await handle.close();
}
