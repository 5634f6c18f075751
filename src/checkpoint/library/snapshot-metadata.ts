/*
 * What a snapshot file says of itself, as plain data: header and footer with the names of its
 * tables. Everything but the names costs the reading of the footer only.
 */
import { firstUserTable, reservedTables } from '../../snapshot/entry-format.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import type { TableTotals } from '../../snapshot/snapshot-footer.ts';
import { toHex, writeU32 } from '../../std/bytes.ts';
import type { StateKind, TableDefinition } from '../../state/table-definition.ts';

/** A table of a snapshot. */
export interface SnapshotTable {
  readonly id: number;
  /** Undefined where the definition is in an older snapshot of the chain. */
  readonly operator: string | undefined;
  readonly state: string | undefined;
  readonly kind: StateKind | undefined;
  /** Newest items that a list keeps; undefined: all. */
  readonly itemsMax: number | undefined;
  /** The greatest that its values were written with; left out: 1. */
  readonly version?: number;
  /** Entries, tombstones of a delta included. */
  readonly entryCount: number;
  /** Bytes of the entries before compression. */
  readonly dataBytes: number;
}

/** Entries and their bytes. */
export interface EntryTotals {
  readonly entryCount: number;
  /** Before compression. */
  readonly dataBytes: number;
}

/** What a snapshot says of itself. */
export interface SnapshotMetadata {
  readonly path: string;
  /** A base holds every live entry, a delta what changed behind `fromLsn`. */
  readonly kind: 'base' | 'delta';
  /** Hexadecimal. */
  readonly storeId: string;
  readonly timeline: number;
  /** Of the writer. */
  readonly epoch: number;
  /** Entries are above it; 0 for a base. */
  readonly fromLsn: number;
  /** Entries are at or below it. */
  readonly lastLsn: number;
  /** Of the commit of `lastLsn`, microseconds; what had expired by then is not in a base. */
  readonly lastTimestamp: number;
  /** Of the hash that orders keys, hexadecimal. */
  readonly seed: string;
  readonly keyGroups: number;
  /** Entries of `tables`. */
  readonly entryCount: number;
  /** Bytes of all entries before compression, those of reserved tables too. */
  readonly dataBytes: number;
  /** Of the file, its index included. */
  readonly fileBytes: number;
  /** `dataBytes` divided by `fileBytes`. */
  readonly ratio: number;
  readonly tables: readonly SnapshotTable[];
  /** What blobs are made of. */
  readonly chunks: EntryTotals;
  /** SHA-256 of the snapshots that this one was joined from, or that a delta is bound to. */
  readonly parents: readonly string[];
}

/** What is known of a file. */
export interface SnapshotFacts {
  readonly path: string;
  readonly header: SnapshotHeader;
  readonly totals: readonly TableTotals[];
  readonly parents: readonly string[];
  readonly fileBytes: number;
  readonly definitions: ReadonlyMap<number, TableDefinition>;
}

export function describeSnapshot(facts: SnapshotFacts): SnapshotMetadata {
  const { path, header, totals, parents, fileBytes, definitions } = facts;
  const { kind, timeline, epoch, fromLsn, lastLsn, lastTimestamp, groupBits } = header;
  const tables = totals
    .filter(({ table }) => table >= firstUserTable)
    .map(({ table, entryCount, dataBytes }): SnapshotTable => {
      const definition = definitions.get(table);
      const { operator, state, kind, itemsMax, version } = definition ?? NO_DEFINITION;
      const shown = { id: table, operator, state, kind, itemsMax, entryCount, dataBytes };
      return version === undefined ? shown : Object.assign(shown, { version });
    });
  const chunks = totals.find(({ table }) => table === reservedTables.chunks);
  const dataBytes = sum(totals.map((table) => table.dataBytes));
  return {
    path,
    kind,
    storeId: toHex(header.storeId),
    timeline,
    epoch,
    fromLsn,
    lastLsn,
    lastTimestamp,
    seed: seedToHex(header),
    keyGroups: 2 ** groupBits,
    entryCount: sum(tables.map((table) => table.entryCount)),
    dataBytes,
    fileBytes,
    ratio: dataBytes / fileBytes,
    tables,
    chunks: { entryCount: chunks?.entryCount ?? 0, dataBytes: chunks?.dataBytes ?? 0 },
    parents,
  };
}

const NO_DEFINITION = {
  operator: undefined,
  state: undefined,
  kind: undefined,
  itemsMax: undefined,
  version: undefined,
};

/** The seed as `store.json` and the library write it. */
export function seedToHex({ seed }: Pick<SnapshotHeader, 'seed'>): string {
  const bytes = new Uint8Array(8);
  writeU32(bytes, 0, seed.low);
  writeU32(bytes, 4, seed.high);
  return toHex(bytes);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
