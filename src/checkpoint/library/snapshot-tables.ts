/*
 * Names and definitions of the tables of snapshot files, as the library shows them. A definition is
 * an entry of the catalogue table, in the file in which the table was first used or changed: a base
 * has all of its store, a delta those that are new. Reads through the walk, so a chain of files is
 * read as the kernel folds it.
 */
import type { ValueDecoder } from '../../codec/value-decoder.ts';
import { CorruptionError, InvalidArgumentError, NotFoundError } from '../../errors.ts';
import { firstUserTable, reservedTables } from '../../snapshot/entry-format.ts';
import { MergeIterator } from '../../snapshot/merge-iterator.ts';
import type { SlabPool } from '../../snapshot/slab-pool.ts';
import type { Turns } from '../../snapshot/task-context.ts';
import { must } from '../../std/assert.ts';
import { checkName } from '../../state/operator.ts';
import { definitionFromPlain, type TableDefinition } from '../../state/table-definition.ts';
import type { SnapshotFile } from './snapshot-file.ts';
import { walkRanges } from './snapshot-walk.ts';

/**
 * A table: `'operator.state'`, with the first dot between the two; a name without a dot is a state
 * of the operator `default`. Names that have dots themselves are given as an object.
 */
export type TableName = string | { readonly operator: string; readonly state: string };

/** What reading a table of a file needs. */
export interface TableTools {
  readonly slabs: SlabPool;
  readonly turns: Turns;
  readonly decoder: ValueDecoder;
}

const DEFAULT_OPERATOR = 'default';

/** Operator and state of a name. */
export function parseTableName(name: TableName): { operator: string; state: string } {
  if (typeof name === 'object' && name !== null) {
    const operator = checkName('operator', name.operator);
    return { operator, state: checkName('state', name.state) };
  }
  if (typeof name !== 'string') {
    throw new InvalidArgumentError('INVALID_NAME', 'a table is a text or { operator, state }', {
      what: 'table',
    });
  }
  const dot = name.indexOf('.');
  const operator = dot < 0 ? DEFAULT_OPERATOR : name.slice(0, dot);
  return {
    operator: checkName('operator', operator),
    state: checkName('state', name.slice(dot + 1)),
  };
}

/** The definition that a name means, if there is one; a text may mean names with dots too. */
export function findTable(
  definitions: Iterable<TableDefinition>,
  name: TableName,
): TableDefinition | undefined {
  const asked = parseTableName(name);
  const same = (one: TableDefinition): boolean =>
    (one.operator === asked.operator && one.state === asked.state) ||
    `${one.operator}.${one.state}` === name;
  const found = [...definitions].filter(same);
  if (found.length < 2) return found[0];
  throw new InvalidArgumentError(
    'INVALID_NAME',
    `more than one table has that name, give { operator, state }: ${String(name)}`,
    { what: 'table' },
  );
}

/** As `findTable`; no such table is STATE_NOT_FOUND. */
export function mustFindTable(
  definitions: Iterable<TableDefinition>,
  name: TableName,
  path: string,
): TableDefinition {
  const found = findTable(definitions, name);
  if (found) return found;
  const { operator, state } = parseTableName(name);
  throw new NotFoundError('STATE_NOT_FOUND', `snapshot has no such table: ${operator}.${state}`, {
    operator,
    state,
    path,
  });
}

/** Calls for each entry of a reserved table of a chain, oldest file first, folded. Borrowed. */
export async function forEachReserved(
  files: readonly SnapshotFile[],
  table: number,
  tools: TableTools,
  each: (entry: MergeIterator) => void,
): Promise<void> {
  const { groupBits, lastTimestamp } = must(files.at(-1), 'a chain has a file').reader.header;
  const walk = walkRanges(files, { ...tools, tables: [table] });
  for await (const { cursors } of walk) {
    const merge = new MergeIterator(cursors, { base: false, lastTimestamp, rules: [], groupBits });
    while (merge.next()) each(merge);
  }
}

/** Definitions that a chain of files holds, by table. */
export async function readDefinitions(
  files: readonly SnapshotFile[],
  tools: TableTools,
): Promise<Map<number, TableDefinition>> {
  const found: TableDefinition[] = [];
  await forEachReserved(files, reservedTables.catalog, tools, (entry) => {
    const { bytes, subKeyEnd, valueEnd, lsn } = entry;
    const definition = definitionFromPlain(tools.decoder.decode(bytes, subKeyEnd, valueEnd));
    if (!definition || definition.id < firstUserTable) {
      const path = must(files.at(-1), 'a chain has a file').path;
      throw new CorruptionError('CORRUPT_SNAPSHOT', `catalogue holds a bad definition: ${path}`, {
        path,
        lsn,
      });
    }
    found.push(definition);
  });
  found.sort((a, b) => a.id - b.id);
  return new Map(found.map((definition) => [definition.id, definition]));
}
