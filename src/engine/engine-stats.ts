/*
 * Figures of an engine, put together from its parts.
 */
import { budgetMargin, type BudgetState } from '../checkpoint/chain-policy.ts';
import type { RestoreRates } from '../checkpoint/record-notes.ts';
import { estimateRestore } from '../checkpoint/restore-estimate.ts';
import { noBlobs, type BlobTotals } from '../state/blob-totals.ts';
import type { LogWriterStats } from '../wal/log-writer.ts';
import type { EngineParts } from './engine-parts.ts';
import type { RetentionStats } from './retention.ts';
import type { ScrubStats } from './verifier.ts';

/** Figures of an engine, now. */
export interface EngineStats {
  readonly log: LogWriterStats;
  /** Bytes of changes that only memtables hold, and of those in the active one. */
  readonly memtableBytes: number;
  readonly activeMemtableBytes: number;
  readonly frozenMemtables: number;
  readonly chainLength: number;
  /** Bytes of memory of the images. */
  readonly imageBytes: number;
  readonly residency: ResidencyStats;
  readonly openChanges: number;
  readonly compacting: boolean;
  /** Threads that a merge uses at most. */
  readonly mergeThreadsMax: number;
  readonly restore: RestoreStats;
  readonly storage: StorageStats;
  readonly checkpointing: CheckpointingStats;
  /** What commits wait for now. */
  readonly waitingFor: 'sync' | 'segment' | 'memtable' | undefined;
  /** Set after an error in writing: reads go on, and may include commits of unknown outcome. */
  readonly poisoned: unknown;
  /** A failure in the background that no listener heard; the next `checkpoint` rejects with it. */
  readonly failure: unknown;
  readonly failedListeners: number;
  readonly retention: RetentionStats;
  readonly scrub: ScrubStats;
}

/** What is in memory, and what is read from files. */
export interface ResidencyStats {
  /** Bytes of entries in slices of the chain that are not in memory. */
  readonly coldBytes: number;
  /** Bytes of memory of blocks that were read from files. */
  readonly cacheBytes: number;
  /** Blocks that were read for reads since the opening. */
  readonly blocksRead: number;
}

/** What opening the store would cost now, and what it may cost. */
export interface RestoreStats {
  /** Estimated from `rates`. */
  readonly seconds: number;
  /** Of snapshots and log that would be read. */
  readonly bytes: number;
  readonly secondsMax: number | undefined;
  readonly bytesMax: number | undefined;
  /** 'near' is past nine tenths of the budget; 'unreachable': one base costs more. */
  readonly state: BudgetState['state'];
  /** The cost of one base and no log, as of the last checkpoint; undefined before one. */
  readonly floor: { readonly seconds: number; readonly bytes: number } | undefined;
  readonly rates: RestoreRates;
  /** False: nothing was measured yet, and `rates` are careful assumptions. */
  readonly measured: boolean;
}

/**
 * What the chain of the newest checkpoint holds, exactly; all zeros before the first one.
 * `logicalBytes - uniqueBytes` is what equal chunks save; `uniqueBytes` against `storedBytes` is what
 * compression saves, less the index and checksums of the files, and what a merge would drop.
 */
export interface StorageStats {
  /** Bytes of all blobs, each in full, and `entryBytes`. */
  readonly logicalBytes: number;
  /** Bytes of the different chunks of blobs, each once, and `entryBytes`. */
  readonly uniqueBytes: number;
  /** Bytes of the chain's files. */
  readonly storedBytes: number;
  /**
   * Bytes of the entries of the chain that are not chunks, with keys and headers, before
   * compression; a key that several snapshots of the chain hold counts in each.
   */
  readonly entryBytes: number;
  readonly blobs: BlobTotals;
}

/** What asks for the next checkpoint. */
export interface CheckpointingStats {
  /** Since the last one was begun. */
  readonly entries: number;
  readonly commits: number;
  readonly logBytes: number;
  readonly milliseconds: number;
  readonly running: boolean;
  /** Milliseconds until one that failed is tried again by itself; 0: none waits. */
  readonly backOffMs: number;
  /** A merge is due and held by `mergeBytesPerLogByteMax`. */
  readonly mergeHeld: boolean;
}

/** What only the engine itself knows. */
export interface EngineNow {
  readonly waitingForMemtable: boolean;
  readonly poisoned: unknown;
  readonly failure: unknown;
  readonly backOffMs: number;
}

export function engineStats(parts: EngineParts, now: EngineNow): EngineStats {
  const { writer, checkpointer, images, space, hub } = parts;
  const log = writer.stats();
  return {
    log,
    memtableBytes: checkpointer.memtableBytes,
    activeMemtableBytes: checkpointer.activeBytes,
    frozenMemtables: checkpointer.frozenCount,
    chainLength: images.links.length,
    imageBytes: images.slabBytes,
    residency: {
      coldBytes: images.coldBytes,
      cacheBytes: parts.residency.cache.bytes,
      blocksRead: parts.residency.cache.reads,
    },
    openChanges: space.transaction.size,
    compacting: checkpointer.compactor.running,
    mergeThreadsMax: checkpointer.compactor.threadsMax,
    restore: restoreStats(parts),
    storage: storageStats(parts),
    checkpointing: {
      ...checkpointer.since,
      running: checkpointer.busy,
      backOffMs: now.backOffMs,
      mergeHeld: checkpointer.compactor.held,
    },
    waitingFor: log.waitingFor ?? (now.waitingForMemtable ? 'memtable' : undefined),
    poisoned: now.poisoned,
    failure: now.failure,
    failedListeners: hub.failedListeners,
    retention: parts.retention.stats(),
    scrub: parts.verifier.stats(),
  };
}

function storageStats({ checkpointer, images }: EngineParts): StorageStats {
  const blobs = checkpointer.newest?.blobs ?? noBlobs;
  const { entryBytes } = images;
  return {
    logicalBytes: blobs.bytes + entryBytes,
    uniqueBytes: blobs.chunkBytes + entryBytes,
    storedBytes: images.bytes,
    entryBytes,
    blobs,
  };
}

function restoreStats({ checkpointer, images, meter, options }: EngineParts): RestoreStats {
  const { restoreSecondsMax, restoreBytesMax } = options.chain.policy;
  const { rates } = meter;
  const { seconds, bytes } = estimateRestore(images.bytes, checkpointer.logBytes, rates);
  const { budget } = checkpointer.compactor;
  const share = Math.max(
    seconds / (restoreSecondsMax ?? Infinity),
    bytes / (restoreBytesMax ?? Infinity),
  );
  const state = (): BudgetState['state'] => {
    if (restoreSecondsMax === undefined && restoreBytesMax === undefined) return 'none';
    if (budget?.state === 'unreachable') return 'unreachable';
    if (share > 1) return 'over';
    return share > budgetMargin ? 'near' : 'within';
  };
  return {
    seconds,
    bytes,
    secondsMax: restoreSecondsMax,
    bytesMax: restoreBytesMax,
    state: state(),
    floor: budget?.floor,
    rates,
    measured: meter.measured !== undefined,
  };
}
