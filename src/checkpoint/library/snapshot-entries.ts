/*
 * Entries of snapshot files as the library shows them: keys and values decoded, what a delta does by
 * name. A value whose table the file does not define stays bytes.
 */
import { decodeKey, type Key } from '../../codec/key.ts';
import type { ValueDecoder } from '../../codec/value-decoder.ts';
import { decodeVersioned } from '../../codec/value-version.ts';
import type { Entry } from '../../snapshot/entry.ts';
import { entryFlags, operatorIds, ops } from '../../snapshot/entry-format.ts';
import { decodePatch } from '../../snapshot/patch-decode.ts';
import { readManifest } from '../../state/blob-manifest.ts';
import { decodeInt64 } from '../../state/operand-changes.ts';
import type { StateKind, TableDefinition } from '../../state/table-definition.ts';
import { shownVersion } from '../../state/value-versions.ts';

/** What an entry does. A base has puts only. */
export type SnapshotOp = 'put' | 'delete' | 'merge' | 'clear' | 'clearAll';

/** An entry of a snapshot. */
export interface SnapshotEntry {
  /** `operator.state`; `table N` where an older snapshot has the definition. */
  readonly table: string;
  readonly operator: string | undefined;
  readonly state: string | undefined;
  readonly kind: StateKind | undefined;
  readonly op: SnapshotOp;
  /** Operator of a `merge`: add, min, max, patch. */
  readonly mergeOperator: string | undefined;
  /** Undefined for `clearAll`, which is there once for each key group. */
  readonly key: Key | undefined;
  /** Of a map. */
  readonly subKey: Key | undefined;
  /** Place of a list's item among those of its key that were read, from 0. */
  readonly index: number | undefined;
  /**
   * The value of a put, the operand of a merge. A counter is a number, or a bigint where it is no
   * safe integer. A blob is `{ bytes, chunks }`: its length and the digests of its chunks; `get` and
   * `entries` of a base give its bytes. Of a patch its fields: null for one that is deleted, a
   * `PatchReplacement` for an object that takes the place of a field. Bytes as stored where the
   * table is not defined.
   */
  readonly value: unknown;
  readonly lsn: number;
  /** Of the commit, microseconds. */
  readonly timestamp: number;
  /** Microseconds; undefined when it never expires. */
  readonly expiresAt: number | undefined;
  /** Microseconds; undefined when the commit gave none. */
  readonly eventTime: number | undefined;
  /** Version that the value was written with; left out: 1. */
  readonly version?: number;
}

/** A blob as it is stored. */
export interface StoredBlob {
  readonly bytes: number;
  /** SHA-256 of each, hexadecimal. */
  readonly chunks: readonly string[];
}

const opNames: Readonly<Record<number, SnapshotOp>> = {
  [ops.put]: 'put',
  [ops.delete]: 'delete',
  [ops.merge]: 'merge',
  [ops.clearKey]: 'clear',
  [ops.clearTable]: 'clearAll',
};

export function nameOfTable(id: number, definition: TableDefinition | undefined): string {
  return definition ? `${definition.operator}.${definition.state}` : `table ${id}`;
}

/** Name of the operator of an operand. */
export function nameOfOperator(operator: number): string {
  const found = Object.entries(operatorIds).find(([, id]) => id === operator);
  return found ? found[0] : String(operator);
}

/** The entry as plain data; nothing of it aliases the bytes it was read from. */
export function describeEntry(
  entry: Entry,
  definition: TableDefinition | undefined,
  decoder: ValueDecoder,
): SnapshotEntry {
  const { bytes, keyStart, keyEnd, subKeyEnd, op, expiry, eventTime } = entry;
  const isMap = definition?.kind === 'map' && (entry.flags & entryFlags.subKey) !== 0;
  return {
    table: nameOfTable(entry.table, definition),
    operator: definition?.operator,
    state: definition?.state,
    kind: definition?.kind,
    op: opNames[op]!,
    mergeOperator: op === ops.merge ? nameOfOperator(entry.operator) : undefined,
    key: keyEnd > keyStart ? decodeKey(bytes, keyStart, keyEnd) : undefined,
    subKey: isMap ? decodeKey(bytes, keyEnd, subKeyEnd) : undefined,
    index: undefined,
    value: decodeValue(entry, definition, decoder),
    lsn: entry.lsn,
    timestamp: entry.timestamp,
    expiresAt: expiry === 0 ? undefined : expiry,
    eventTime: eventTime === 0 ? undefined : eventTime,
    ...shownVersion(definition, entry),
  };
}

/** The value of a put or an operand; undefined of everything else. */
export function decodeValue(
  entry: Entry,
  definition: TableDefinition | undefined,
  decoder: ValueDecoder,
): unknown {
  const { bytes, subKeyEnd, valueEnd, op, operator } = entry;
  if (op !== ops.put && op !== ops.merge) return undefined;
  if (operator === operatorIds.add || definition?.kind === 'counter') {
    const count = decodeInt64(bytes, subKeyEnd, valueEnd);
    return Number.isSafeInteger(Number(count)) ? Number(count) : count;
  }
  if (op === ops.merge && operator === operatorIds.patch) {
    return decodePatch({ bytes, start: subKeyEnd, end: valueEnd }, decoder);
  }
  if (!definition) return bytes.slice(subKeyEnd, valueEnd);
  if (definition.kind === 'blob') return readManifest(bytes, subKeyEnd, valueEnd);
  return decodeVersioned(decoder, bytes, subKeyEnd, valueEnd);
}
