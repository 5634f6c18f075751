/*
 * What every task that makes a snapshot of this engine is given, and how its failures are told.
 */
import { TidemarkError, errnoOf, toStorageError } from '../errors.ts';
import type { HashSeed } from '../codec/hash.ts';
import type { SnapshotCompression } from '../snapshot/block-packer.ts';
import type { TableRules } from '../snapshot/run-cursor.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { must } from '../std/assert.ts';
import { fromHex } from '../std/bytes.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { TaskInput, TaskName, TaskOutput } from '../threads/tasks.ts';
import { compressionOf, rulesOf, type CheckpointerInput } from './checkpointer-input.ts';

/** Fields that all tasks that write a snapshot share. */
export interface SnapshotTaskInput {
  readonly stagedPath: string;
  readonly base: boolean;
  readonly storeId: Uint8Array;
  readonly timeline: number;
  readonly epoch: number;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly compression: SnapshotCompression;
  readonly fromLsn: number;
  readonly lastLsn: number;
  readonly lastTimestamp: number;
  readonly rules: TableRules;
}

/** The snapshot that is to be made. */
export interface SnapshotOrder {
  readonly stagedPath: string;
  readonly base: boolean;
  readonly fromLsn: number;
  readonly last: {
    readonly lsn: number;
    readonly timestamp: number;
    readonly tables: readonly TableDefinition[];
  };
}

export function snapshotInput(input: CheckpointerInput, order: SnapshotOrder): SnapshotTaskInput {
  const { storeId, timeline, epoch, seed, groupBits, compression } = input;
  const { stagedPath, base, fromLsn, last } = order;
  return {
    stagedPath,
    base,
    storeId: must(fromHex(storeId), 'the store id is hexadecimal'),
    timeline,
    epoch,
    seed,
    groupBits,
    compression: compressionOf(compression, last.tables),
    fromLsn,
    lastLsn: last.lsn,
    lastTimestamp: last.timestamp,
    rules: rulesOf(last.tables),
  };
}

/** Header of the snapshot that is to be made. */
export function snapshotHeader(
  input: CheckpointerInput,
  order: Omit<SnapshotOrder, 'stagedPath'>,
): SnapshotHeader {
  const { timeline, epoch, seed, groupBits } = input;
  const { base, fromLsn, last } = order;
  return {
    kind: base ? 'base' : 'delta',
    storeId: must(fromHex(input.storeId), 'the store id is hexadecimal'),
    timeline,
    epoch,
    fromLsn,
    lastLsn: last.lsn,
    lastTimestamp: last.timestamp,
    seed,
    groupBits,
  };
}

/** Runs a task; what the file system said in it is an error of storage. */
export async function runSnapshotTask<N extends TaskName>(
  { pool }: CheckpointerInput,
  name: N,
  input: TaskInput<N> & { readonly stagedPath: string },
): Promise<TaskOutput<N>> {
  try {
    return await pool.run(name, input);
  } catch (error) {
    if (errnoOf(error) === undefined || error instanceof TidemarkError) throw error;
    throw toStorageError(error, 'build a snapshot', input.stagedPath);
  }
}
