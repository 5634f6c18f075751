/*
 * What checkpoints stand on and what is asked of them (checkpointer.ts does the work).
 */
import type { HashSeed } from '../codec/hash.ts';
import type { CompressionSetting } from '../codec/compression-setting.ts';
import { StorageError, type TidemarkError } from '../errors.ts';
import type { SnapshotCompression } from '../snapshot/block-packer.ts';
import type { TableRules } from '../snapshot/run-cursor.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { Clock } from '../std/clock.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import type { ChainImages } from './chain-images.ts';
import type { BudgetState } from './chain-policy.ts';
import type {
  ChainLink,
  ChainPolicy,
  CheckpointRecord,
  CheckpointTrigger,
} from './checkpoint-record.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { RetentionSettings } from './retention/retention-settings.ts';
import type { Residency } from './residency/residency.ts';
import type { RestoreMeter } from './restore-estimate.ts';
import type { SnapshotTransfer } from './snapshot-transfer.ts';

/** What the log gives to checkpoints. */
export interface CheckpointLog {
  readonly sealedLsn: number;
  /** The error that stopped the log, if one did. */
  readonly failure: unknown;
  /** Ends the group in formation; its position once it is durable. */
  cut(): Promise<LogPosition>;
  ranges(from: LogPosition | undefined, to: LogPosition): LogRange[];
}

export interface CheckpointerInput {
  readonly storeId: string;
  readonly timeline: number;
  readonly epoch: number;
  readonly seed: HashSeed;
  readonly keyGroups: number;
  readonly groupBits: number;
  readonly compression: CompressionSetting;
  readonly clock: Clock;
  readonly space: StateSpace;
  readonly log: CheckpointLog;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly checkpoints: CheckpointStore;
  readonly transfer: SnapshotTransfer;
  readonly newest: CheckpointRecord | undefined;
  /** Newer records than `newest` are damaged: the next checkpoint takes their place. */
  readonly replaces: boolean;
  readonly images: ChainImages;
  readonly policy: ChainPolicy;
  /** Goes into the records; undefined: everything stays. */
  readonly retention: RetentionSettings | undefined;
  /** Bounds of one merge. */
  readonly mergeLimits: MergeLimits;
  readonly meter: RestoreMeter;
  /** Free bytes where snapshots are written. */
  readonly freeBytes: () => number;
  readonly soundness: Soundness;
  readonly residency: Residency;
  readonly events: CheckpointEvents;
}

/** Whether the chain can be built on. */
export interface Soundness {
  /** Resolves when nothing of the chain is damaged, or rejects with what is. */
  ready(): Promise<void>;
  /** Throws when a chain names a snapshot that is known to be damaged. */
  assertSound(chain: readonly ChainLink[]): void;
}

/** Bounds of one merge. */
export interface MergeLimits {
  /** Undefined: none. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly threadsMax: number;
  /** Smaller blocks stay as they are; undefined: as for checkpoints. */
  readonly compressionBytesMin: number | undefined;
  /** Leaves out of merged deltas what changes nothing in the chain below. */
  readonly deduplicate: boolean;
}

/** What is told of finished work. */
export interface CheckpointEvents {
  checkpoint(record: CheckpointRecord): void;
  merge(record: CheckpointRecord): void;
  /** Where a restore stands against its budget was judged again. */
  budget(budget: BudgetState): void;
  /** A merge that is due is held by the bound on rewriting, or is not. */
  held(isHeld: boolean): void;
  /** A merge in the background failed. */
  failure(error: unknown): void;
}

/** What a checkpoint is asked to be. */
export interface CheckpointRequest {
  readonly kind: 'auto' | 'delta' | 'base';
  readonly savepoint: string | undefined;
  readonly metadata: unknown;
  readonly trigger: CheckpointTrigger;
  /** Throws when the record may not be published. */
  readonly check?: () => Promise<void>;
}

/** What nobody asked anything of: the checkpoint before another one, and work in the background. */
export const plainRequest: CheckpointRequest = {
  kind: 'auto',
  savepoint: undefined,
  metadata: undefined,
  trigger: 'call',
};

/** How a merge treats tables of these definitions. */
export function rulesOf(tables: readonly TableDefinition[]): TableRules {
  return tables.flatMap(({ id, itemsMax }) =>
    itemsMax === undefined ? [] : [{ table: id, itemsMax }],
  );
}

/** How a snapshot of these tables is compressed; what has no setting of its own has the store's. */
export function compressionOf(
  store: CompressionSetting,
  tables: readonly TableDefinition[],
): SnapshotCompression {
  const own = tables.flatMap(({ id, compression }) =>
    compression === undefined ? [] : [{ table: id, ...compression }],
  );
  return { ...store, tables: own };
}

/** The error that a later call gives for work in the background that failed and nobody heard of. */
export function unheardFailure(cause: unknown): TidemarkError {
  return new StorageError(
    'CHECKPOINT_FAILED',
    `work in the background failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    {},
    cause,
  );
}
