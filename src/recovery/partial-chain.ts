/*
 * A way on which no commit is lost, but operators are: the newest checkpoint whose log is whole, and
 * whose chain has damage in the tables of some operators only. Those operators are left out whole:
 * what is left of a table that has a hole is of no moment at all. Reads only.
 *
 * The reserved tables (definitions, positions, chunks of blobs) are of everybody: damage there, or of
 * a head, leaves no such way. Nor does damage of registered state holders.
 */
import { firstUserTable } from '../snapshot/entry-format.ts';
import { holderOperator } from '../state/operator.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { reachLog } from '../wal/log-reach.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { ExaminedPath } from './losing-paths.ts';
import type { RecoveryInput, Ways } from './recover.ts';

/** Checkpoints that are looked at. */
const recordsMax = 4;

/** A way that loses operators and no commit. */
export interface PartialPath {
  readonly path: ExaminedPath;
  /** Operators that are left out. */
  readonly missing: readonly string[];
  /** The snapshots of the chain. */
  readonly inputs: readonly MergeSource[];
}

/** The newest such way; undefined: there is none. */
export async function findPartial(
  input: RecoveryInput,
  ways: Ways,
  objects: Pick<ObjectStore, 'local'>,
): Promise<PartialPath | undefined> {
  const { fs, logDirectory, ancestry } = input;
  // Ranges are read from files of this machine, and nothing may be missing behind them.
  if (!objects.local || ways.isOpen) return undefined;
  for (const record of ways.records.slice(0, recordsMax)) {
    const reach = await reachLog(fs, logDirectory, record.position, ancestry);
    const lsn = Math.max(record.lsn, reach.end?.lsn ?? 0);
    if (lsn < ways.lastLsn) continue;
    const inputs = record.chain.map(({ name, sha256, bytes }) => {
      return { path: objects.local!.path(name), sha256, bytes };
    });
    const tables = await damagedTables(input, inputs);
    const missing = tables && operatorsOf(record, tables);
    if (!missing || missing.length === 0) continue;
    const { why } = reach;
    const path = { checkpoint: record.id, lsn, lost: undefined, why, record, reach };
    return { path, missing, inputs };
  }
  return undefined;
}

/** Tables that have damage in a chain; undefined: it is in more than tables. */
async function damagedTables(
  { fs, pool, run }: RecoveryInput,
  files: readonly { readonly path: string; readonly bytes: number }[],
): Promise<Set<number> | undefined> {
  const tables = new Set<number>();
  for (const { path, bytes } of files) {
    if (!(await fs.stat(path))) return undefined;
    const checks = { path, bytes, level: 'standard' } as const;
    const { faults } = await pool.run('verifySnapshot', checks, run.signal);
    for (const { table } of faults) {
      if (table === undefined || table < firstUserTable) return undefined;
      tables.add(table);
    }
  }
  return tables;
}

function operatorsOf(record: CheckpointRecord, tables: Set<number>): string[] | undefined {
  const names = new Set<string>();
  for (const table of tables) {
    const operator = record.tables.find(({ id }) => id === table)?.operator;
    if (operator === undefined || operator === holderOperator) return undefined;
    names.add(operator);
  }
  return [...names].toSorted();
}
