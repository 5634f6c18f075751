/*
 * Logs with commits of every kind, and the snapshots that are built from them.
 */
import type { FileSystem } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import {
  buildDelta,
  type BuildDeltaInput,
  type BuildDeltaOutput,
  type RunLogRange,
  type TaskContext,
} from '../../src/snapshot/tasks.ts';
import { int64, put, writeLog, type Change, type Commit } from './log-builder.ts';

export const context: TaskContext = { yieldNow: async () => {}, cancelled: () => false };
export const shared: Omit<BuildDeltaInput, 'ranges' | 'stagedPath'> = {
  seed: { low: 11, high: 12 },
  groupBits: 4,
  rules: [],
  storeId: new Uint8Array(16).fill(7),
  timeline: 1,
  epoch: 2,
  compression: { codec: 'lz4' },
  sliceBytesMax: 4096,
};
const add = { op: ops.merge, operator: operatorIds.add, value: int64(3) };

/** Commits of every kind, `count` of them from the given LSN on. */
export function commitsOf(count: number, firstLsn = 1): Commit[] {
  return Array.from({ length: count }, (_, n) => {
    const i = firstLsn + n;
    const changes: Change[] = [
      put(16, `key${i % 97}`, `value ${i} `.repeat(5), { expiry: i % 5 === 0 ? i * 10 + 300 : 0 }),
      { table: 17, key: `n${i % 13}`, ...add },
      put(18, `map${i % 3}`, `${i}`, { subKey: `s${i % 40}` }),
    ];
    if (i % 11 === 0) changes.push({ table: 16, op: ops.delete, key: `key${i % 31}d` });
    if (i % 50 === 0) changes.unshift({ table: 18, op: ops.clearKey, key: 'map1' });
    if (i % 90 === 0) changes.unshift({ table: 17, op: ops.clearTable, key: '' });
    return { timestamp: i * 10, changes };
  });
}

export async function logOf(segments: readonly (readonly Commit[])[]): Promise<{
  fs: MemoryFileSystem;
  ranges: RunLogRange[];
}> {
  const fs = new MemoryFileSystem();
  await fs.makeDirectory('/d');
  return { fs, ranges: await writeLog(fs, '/d', segments) };
}

export function build(
  fs: FileSystem,
  input: Partial<BuildDeltaInput> & { ranges: readonly RunLogRange[] },
): Promise<BuildDeltaOutput> {
  return buildDelta(fs, { ...shared, stagedPath: '/d/staged', ...input }, context);
}
