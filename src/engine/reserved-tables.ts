/*
 * What an opening reads out of the reserved tables before it serves anything: the catalogue of states
 * and the positions of the sources.
 */
import { decodeKey } from '../codec/key.ts';
import type { ValueCodec } from '../codec/value.ts';
import { CorruptionError } from '../errors.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import type { StateSpace } from '../state/state-space.ts';
import { definitionFromPlain } from '../state/table-definition.ts';
import type { PositionTable } from './positions.ts';

/** Reads the catalogue and the positions out of the images. */
export function loadReserved(space: StateSpace, codec: ValueCodec, positions: PositionTable): void {
  for (const entry of readTable(space, reservedTables.catalog)) {
    const { bytes, subKeyEnd, valueEnd } = entry;
    const definition = definitionFromPlain(codec.decode(bytes, subKeyEnd, valueEnd));
    if (!definition) {
      throw new CorruptionError('CORRUPT_SNAPSHOT', 'catalogue holds a bad definition', {
        lsn: entry.lsn,
      });
    }
    space.addStored(definition);
  }
  for (const entry of readTable(space, reservedTables.positions)) {
    const { bytes, keyStart, keyEnd, subKeyEnd, valueEnd } = entry;
    const source = String(decodeKey(bytes, keyStart, keyEnd));
    positions.load(source, bytes.slice(subKeyEnd, valueEnd));
  }
}

function* readTable(space: StateSpace, table: number): Generator<MergeIterator> {
  const inputs = space.images.newestFirst.map((image) => image.cursor({ table })).toReversed();
  const merged = new MergeIterator(inputs, {
    base: true,
    lastTimestamp: space.lastTimestamp,
    rules: [],
    groupBits: space.images.groupBits,
  });
  while (merged.next()) yield merged;
}
