/*
 * What is known of commits that a damaged store loses: which of them can still be read somewhere, and
 * which keys they changed. For people, who may do by hand what nothing here does by itself.
 */
import { decodeKey, type Key } from '../codec/key.ts';
import { TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { firstUserTable } from '../snapshot/entry-format.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { Ancestry } from '../wal/ancestry.ts';
import { readLooseRecords } from '../wal/loose-groups.ts';
import { commitEntries } from './commit-entries.ts';

/** Keys that are listed; `keyCount` counts all. */
export const lostKeysMax = 1000;

/** A key that a lost commit changed. */
export interface LostKey {
  /** Undefined: no definition of the table is left. */
  readonly operator: string | undefined;
  readonly state: string | undefined;
  /** Undefined: a whole table was cleared. */
  readonly key: Key | undefined;
  /** Of the last such commit that can be read. */
  readonly lsn: number;
}

/** What is known of lost commits. */
export interface LostDetails {
  /** LSNs of which nothing can be read, half-open. */
  readonly unreadable: readonly { readonly from: number; readonly to: number }[];
  /** Commits that can still be read. */
  readonly readable: number;
  /** Keys that these changed. */
  readonly keyCount: number;
  /** The first of them. */
  readonly keys: readonly LostKey[];
}

/** The LSNs that are lost, both included. */
export interface LostRange {
  readonly fromLsn: number;
  readonly throughLsn: number;
  /** Of the timeline that lost them. @defaultValue that of a store that was never rewound */
  readonly ancestry?: Ancestry;
}

export async function describeLost(
  fs: FileSystem,
  logDirectory: string,
  { fromLsn, throughLsn, ancestry }: LostRange,
  tables: readonly TableDefinition[],
): Promise<LostDetails> {
  const byId = new Map(tables.map((table) => [table.id, table]));
  const seen = new Set<number>();
  const keys = new Map<string, LostKey>();
  for await (const { lsn, bytes } of readLooseRecords(fs, logDirectory, fromLsn, ancestry)) {
    if (lsn > throughLsn || seen.has(lsn)) continue;
    const found = keysOf(lsn, bytes, byId);
    if (!found) continue;
    seen.add(lsn);
    for (const [name, key] of found) keys.set(name, key);
  }
  return {
    unreadable: gaps({ fromLsn, throughLsn }, seen),
    readable: seen.size,
    keyCount: keys.size,
    keys: [...keys.values()].slice(0, lostKeysMax),
  };
}

/** Keys of a commit, each once; undefined: the record is no commit. */
function keysOf(
  lsn: number,
  bytes: Uint8Array,
  tables: ReadonlyMap<number, TableDefinition>,
): Map<string, LostKey> | undefined {
  const found = new Map<string, LostKey>();
  try {
    for (const { table, keyStart, keyEnd } of commitEntries({ lsn, bytes })) {
      if (table < firstUserTable) continue;
      const { operator, state } = tables.get(table) ?? { operator: undefined, state: undefined };
      const key = keyStart === keyEnd ? undefined : decodeKey(bytes, keyStart, keyEnd);
      const name = `${table} ${Buffer.from(bytes.subarray(keyStart, keyEnd)).toString('hex')}`;
      found.set(name, { operator, state, key, lsn });
    }
    return found;
  } catch (error) {
    if (error instanceof TidemarkError) return undefined;
    throw error;
  }
}

function gaps(
  { fromLsn, throughLsn }: LostRange,
  seen: ReadonlySet<number>,
): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let next = fromLsn;
  for (const lsn of [...seen].toSorted((a, b) => a - b)) {
    if (lsn > next) found.push({ from: next, to: lsn });
    next = lsn + 1;
  }
  if (next <= throughLsn) found.push({ from: next, to: throughLsn + 1 });
  return found;
}
