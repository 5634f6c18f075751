/*
 * The tables of a moment in memory: which there are, their live entries in order, and values in the
 * form in which history, differences and changes give them. Everything is the merge kernel over the
 * images of the moment; nothing is decoded before it is asked for. Readers and time travel stand on it.
 */
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { decodeVersioned } from '../codec/value-version.ts';
import { mapKeyOf, decodeKey, type Key } from '../codec/key.ts';
import { CorruptionError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import { readU32BigEndian } from '../std/bytes.ts';
import { readManifest } from '../state/blob-manifest.ts';
import { decodeInt64 } from '../state/operand-changes.ts';
import { definitionFromPlain, type TableDefinition } from '../state/table-definition.ts';
import { UpgradingDecoder } from '../state/upgrading-decoder.ts';
import { stateNotFound } from './not-found.ts';
import type { StateMoment } from './state-moment.ts';

/** Bytes of the sub-key of an item of a list: the LSN of its commit, and its place in it. */
const itemPlaceBytes = 12;

/** A table as a merge needs to know it. */
export type MergedTable = Pick<TableDefinition, 'id' | 'itemsMax'>;

/** The live entries of a table, or of one key of it, in order, as of the moment. */
export function mergeTable(
  { layers, images, now }: Pick<StateMoment, 'layers' | 'images' | 'now'>,
  { id, itemsMax }: MergedTable,
  onlyKey?: Key,
): MergeIterator {
  const probe = onlyKey === undefined ? undefined : layers.probe(id, mapKeyOf(onlyKey), undefined);
  const inputs = images.map((image) =>
    probe ? image.keyCursor(probe) : image.cursor({ table: id }),
  );
  return new MergeIterator(inputs, {
    base: true,
    view: true,
    lastTimestamp: now,
    rules: itemsMax === undefined ? [] : [{ table: id, itemsMax }],
    groupBits: layers.groupBits,
  });
}

/** Entries of a reserved table. */
function* readReserved(
  { images, layers, lastTimestamp }: StateMoment,
  table: number,
): Generator<MergeIterator> {
  const merged = new MergeIterator(
    images.map((image) => image.cursor({ table })),
    { base: true, lastTimestamp, rules: [], groupBits: layers.groupBits },
  );
  while (merged.next()) yield merged;
}

/** States of the store, in the order in which they were first used. */
export function readDefinitions(moment: StateMoment, decoder: ValueDecoder): TableDefinition[] {
  const definitions: TableDefinition[] = [];
  for (const { bytes, subKeyEnd, valueEnd, lsn } of readReserved(moment, reservedTables.catalog)) {
    definitions.push(decodeDefinition({ bytes, start: subKeyEnd, end: valueEnd, lsn }, decoder));
  }
  return definitions.sort((a, b) => a.id - b.id);
}

/** The definition of an entry of the catalogue. */
export function decodeDefinition(
  value: {
    readonly bytes: Uint8Array;
    readonly start: number;
    readonly end: number;
    readonly lsn: number;
  },
  decoder: ValueDecoder,
): TableDefinition {
  const { bytes, start, end, lsn } = value;
  const definition = definitionFromPlain(decoder.decode(bytes, start, end));
  if (definition) return definition;
  throw new CorruptionError('CORRUPT_SNAPSHOT', 'catalogue holds a bad definition', { lsn });
}

/** Positions of the sources, by name. */
export function readPositions(
  moment: StateMoment,
  decoder: ValueDecoder,
): Readonly<Record<string, unknown>> {
  const positions: [string, unknown][] = [];
  for (const entry of readReserved(moment, reservedTables.positions)) {
    const { bytes, keyStart, keyEnd, subKeyEnd, valueEnd } = entry;
    const source = String(decodeKey(bytes, keyStart, keyEnd));
    positions.push([source, decoder.decode(bytes, subKeyEnd, valueEnd)]);
  }
  positions.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.freeze(Object.fromEntries(positions));
}

/** States of the given names; none is STATE_NOT_FOUND. */
export function selectTables(
  definitions: readonly TableDefinition[],
  operator: string | undefined,
  state: string | undefined,
): TableDefinition[] {
  const selected = definitions.filter(
    (definition) =>
      (operator === undefined || definition.operator === operator) &&
      (state === undefined || definition.state === state),
  );
  if (selected.length > 0 || (operator === undefined && state === undefined)) return selected;
  throw stateNotFound(operator, state, definitions);
}

/**
 * The value of an entry without its surroundings: of a counter a number, of a blob its length and
 * the digests of its chunks, of other kinds what is stored, up to date where an engine reads it.
 */
export function decodeStored(
  definition: TableDefinition,
  entry: Entry,
  decoder: ValueDecoder,
): unknown {
  const { kind } = definition;
  const { bytes, subKeyEnd, valueEnd } = entry;
  if (kind === 'counter') return Number(decodeInt64(bytes, subKeyEnd, valueEnd));
  if (kind === 'blob') return readManifest(bytes, subKeyEnd, valueEnd);
  const value = decodeVersioned(decoder, bytes, subKeyEnd, valueEnd);
  return decoder instanceof UpgradingDecoder ? decoder.upToDate(value, definition, entry) : value;
}

/** The sub-key of a map's entry; of an item of a list, the LSN of its commit and its place in it. */
export function decodeSubKey(
  { kind }: Pick<TableDefinition, 'kind'>,
  { bytes, keyEnd, subKeyEnd }: Entry,
): Key | undefined {
  if (kind === 'map') return decodeKey(bytes, keyEnd, subKeyEnd);
  if (kind !== 'list') return undefined;
  if (subKeyEnd - keyEnd !== itemPlaceBytes) {
    const details = { expected: itemPlaceBytes, actual: subKeyEnd - keyEnd };
    throw new CorruptionError('CORRUPT_SNAPSHOT', 'an item of a list has no place', details);
  }
  const lsn = readU32BigEndian(bytes, keyEnd) * 0x1_0000_0000 + readU32BigEndian(bytes, keyEnd + 4);
  return [lsn, readU32BigEndian(bytes, keyEnd + 8)];
}
