/*
 * Tables where lineages meet. Each lineage has numbered the tables that are new in it by itself, so
 * numbers may mean different states, and one state may have two numbers: tables are matched by name,
 * and new ones get numbers in the order of their names, whatever the order of the lineages.
 */
import { CorruptionError } from '../../errors.ts';
import { firstUserTable, reservedTables } from '../../snapshot/entry-format.ts';
import { checkSameSchema, type TableDefinition } from '../../state/table-definition.ts';
import { versionOf } from '../../state/value-versions.ts';

export type Definitions = ReadonlyMap<number, TableDefinition>;

/** A lineage's tables, and which of two lineages was written last. */
export interface LineageTables {
  /** Those of the base included. */
  readonly definitions: Definitions;
  readonly path: string;
  readonly lastTimestamp: number;
}

/** Tables of the joined file. */
export interface JoinedTables {
  readonly definitions: Definitions;
  /** Number in the base by number in the joined file; the catalogue is made anew. */
  readonly base: ReadonlyMap<number, number>;
  /** The same of each lineage. */
  readonly lineages: readonly ReadonlyMap<number, number>[];
}

/**
 * Matches tables by name. Settings that may change, such as `itemsMax`, are those of the lineage that
 * was written last of those that changed them; the version of values is the greatest.
 * @throws IncompatibleError SCHEMA_CHANGED when two lineages keep a state in different ways
 * @throws CorruptionError BROKEN_CHAIN when a lineage has renamed a table of the base
 */
export function joinTables(base: Definitions, lineages: readonly LineageTables[]): JoinedTables {
  const joined = new Map<string, TableDefinition>();
  for (const definition of base.values()) joined.set(nameOf(definition), definition);
  for (const { definitions, path } of lineages) {
    for (const [id, definition] of base) checkKept(definition, definitions.get(id), path);
  }
  const ascending = [...lineages].sort((a, b) => a.lastTimestamp - b.lastTimestamp);
  const added = new Set<string>();
  for (const { definitions } of ascending) {
    for (const definition of definitions.values()) {
      const name = nameOf(definition);
      const known = joined.get(name);
      if (known) checkSameSchema(known, definition);
      else added.add(name);
      const original = base.get(definition.id);
      const changed = original === undefined || !sameSettings(original, definition);
      if (!known || changed) joined.set(name, newer(known, definition));
    }
  }
  let next = Math.max(firstUserTable - 1, ...base.keys());
  for (const name of [...added].sort()) joined.set(name, { ...joined.get(name)!, id: ++next });
  const numbers = (own: Definitions): Map<number, number> => {
    const reserved = Object.values(reservedTables).filter((id) => id !== reservedTables.catalog);
    const map = new Map<number, number>(reserved.map((id) => [id, id]));
    for (const definition of own.values())
      map.set(joined.get(nameOf(definition))!.id, definition.id);
    return map;
  };
  const byId = [...joined.values()].sort((a, b) => a.id - b.id);
  return {
    definitions: new Map(byId.map((definition) => [definition.id, definition])),
    base: numbers(base),
    lineages: lineages.map(({ definitions }) => numbers(definitions)),
  };
}

function newer(known: TableDefinition | undefined, changed: TableDefinition): TableDefinition {
  const version = Math.max(versionOf(known ?? changed), versionOf(changed));
  return { ...changed, id: known?.id ?? 0, ...(version > 1 && { version }) };
}

function checkKept(
  original: TableDefinition,
  kept: TableDefinition | undefined,
  path: string,
): void {
  if (kept && nameOf(kept) === nameOf(original)) return;
  const { id, operator, state } = original;
  throw new CorruptionError(
    'BROKEN_CHAIN',
    `table ${id} is no longer ${operator}.${state}: ${path}`,
    { path, table: id, operator, state },
  );
}

function nameOf({ operator, state }: TableDefinition): string {
  return JSON.stringify([operator, state]);
}

function sameSettings(a: TableDefinition, b: TableDefinition): boolean {
  return JSON.stringify({ ...a, id: 0 }) === JSON.stringify({ ...b, id: 0 });
}
