/*
 * What several stores have to agree on before parts of them are one state, and what is taken where
 * they do not: definitions of states, positions of sources, state holders. Definitions have to be
 * equal; their numbers need not be, since tables are taken under other numbers without being read.
 * Positions and holders belong to no key group: where they differ, somebody has to choose.
 */
import { decodeKey } from '../codec/key.ts';
import { createValueCodec } from '../codec/value.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import { CorruptionError, IncompatibleError, InvalidArgumentError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { firstUserTable, reservedTables } from '../snapshot/entry-format.ts';
import { tableEnd, type MergeRange } from '../snapshot/merge-ranges.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import { holderOperator } from '../state/operator.ts';
import { versionOf } from '../state/value-versions.ts';
import {
  definitionFromPlain,
  definitionToPlain,
  type TableDefinition,
} from '../state/table-definition.ts';
import { operatorNotFound } from './not-found.ts';
import { copyOf, putOf, type AmendedMoment } from './restore-amendments.ts';
import type { PartSource } from './restore-parts.ts';
import { eachRange, type RangeTools, type StateSource } from './restore-source.ts';

/**
 * Positions of the new store: `equal`, those of every store; `union`, where stores read different
 * sources, the positions of all; a number, those of that store of the list; an object, these.
 */
export type PositionChoice = 'equal' | 'union' | number | Readonly<Record<string, unknown>>;

/** Definitions of several stores as those of one. */
export interface JoinedCatalog {
  /** By number. */
  readonly tables: readonly TableDefinition[];
  /** Of each store: its definitions, by their numbers there. */
  readonly own: readonly (readonly TableDefinition[])[];
  /** Of each store: which number a table has in the new store. */
  readonly numbers: readonly ReadonlyMap<number, number>[];
}

export function tableRange(table: number): MergeRange {
  return { from: { table, hash: 0 }, to: tableEnd(table) };
}

/** Joins the definitions of all stores, and leaves out operators that are not wanted. */
export async function joinCatalogs(
  sources: readonly PartSource[],
  operators: readonly string[] | undefined,
  run: RangeTools,
): Promise<JoinedCatalog> {
  const own: (readonly TableDefinition[])[] = [];
  const numbers: Map<number, number>[] = [];
  const joined = new Map<string, { table: TableDefinition; dir: string }>();
  const taken = new Set<number>();
  const known = new Set<string>();
  for (const { state, dir } of sources) {
    const all = await readCatalog(state, run);
    for (const { operator } of all) if (operator !== holderOperator) known.add(operator);
    const wanted = all.filter(({ operator }) => operators?.includes(operator) ?? true);
    const mapped = new Map<number, number>();
    for (const table of wanted) {
      const name = JSON.stringify([table.operator, table.state]);
      const found = joined.get(name);
      if (found) checkEqual(found, { table, dir });
      const id = found?.table.id ?? freeNumber(table.id, taken);
      taken.add(id);
      mapped.set(table.id, id);
      joined.set(name, { table: withVersions(found?.table, { ...table, id }), dir });
    }
    own.push(wanted);
    numbers.push(mapped);
  }
  const tables = [...joined.values()].map(({ table }) => table).toSorted((a, b) => a.id - b.id);
  for (const name of operators ?? []) {
    if (!tables.some(({ operator }) => operator === name)) throw operatorNotFound(name, [...known]);
  }
  return { tables, own, numbers };
}

/** The number itself where nobody has it. */
function freeNumber(id: number, taken: ReadonlySet<number>): number {
  return taken.has(id) ? Math.max(firstUserTable - 1, ...taken) + 1 : id;
}

/** Each value says which version wrote it; the definition has the greatest. */
function withVersions(known: TableDefinition | undefined, table: TableDefinition): TableDefinition {
  const version = Math.max(versionOf(known ?? table), versionOf(table));
  return { ...table, ...(version > 1 && { version }) };
}

interface DefinedIn {
  readonly table: TableDefinition;
  readonly dir: string;
}

function checkEqual(a: DefinedIn, b: DefinedIn): void {
  const [stored, asked] = [a, b].map(({ table }) => {
    const { id: _id, version: _version, ...rest } = definitionToPlain(table);
    return JSON.stringify(rest);
  });
  if (stored === asked) return;
  const { operator, state } = a.table;
  throw new IncompatibleError(
    'SCHEMA_CHANGED',
    `state ${operator}.${state} differs between stores: ${stored} in ${a.dir}, ${asked} in ${b.dir}; open one of them with the definition of the other, and commit`,
    { operator, state, stored, asked, stores: [a.dir, b.dir] },
  );
}

/** Definitions by table number. */
export async function readCatalog(
  source: StateSource,
  run: RangeTools,
): Promise<TableDefinition[]> {
  const decoder = createReaderDecoder();
  const found: TableDefinition[] = [];
  await eachEntry(source, [tableRange(reservedTables.catalog)], run, (entry) => {
    const { bytes, subKeyEnd, valueEnd, lsn } = entry;
    const definition = definitionFromPlain(decoder.decode(bytes, subKeyEnd, valueEnd));
    if (!definition) {
      throw new CorruptionError('CORRUPT_SNAPSHOT', 'catalogue holds a bad definition', { lsn });
    }
    found.push(definition);
  });
  return found.sort((a, b) => a.id - b.id);
}

/** Entries that define tables. */
export function catalogEntries(
  tables: readonly TableDefinition[],
  { seed }: StateSource,
  when: AmendedMoment,
): Entry[] {
  const codec = createValueCodec();
  const table = reservedTables.catalog;
  return tables.map((definition) =>
    putOf({ table, key: definition.id, seed }, codec.encode(definitionToPlain(definition)), when),
  );
}

/** Entries with the positions of the new store. */
export async function choosePositions(
  sources: readonly PartSource[],
  choice: PositionChoice,
  when: AmendedMoment,
  run: RangeTools,
): Promise<Entry[]> {
  if (typeof choice === 'object') return givenPositions(choice, sources[0]!.state.seed, when);
  if (typeof choice === 'number') {
    return [...(await readPositions(sources[choice]!.state, run)).values()];
  }
  const all: ReadonlyMap<string, Entry>[] = [];
  for (const { state } of sources) all.push(await readPositions(state, run));
  const names = new Set(all.flatMap((positions) => [...positions.keys()]));
  return [...names].map((name) => {
    const found = all.map((positions) => positions.get(name));
    const [first, ...others] = found.filter((entry) => entry !== undefined);
    const isMissing = choice === 'equal' && others.length + 1 < found.length;
    if (!isMissing && others.every((entry) => sameValue(entry, first!))) return first!;
    throw positionsDiffer(name, sources, found);
  });
}

async function readPositions(source: StateSource, run: RangeTools): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  await eachEntry(source, [tableRange(reservedTables.positions)], run, (entry) => {
    const { bytes, keyStart, keyEnd } = entry;
    found.set(String(decodeKey(bytes, keyStart, keyEnd)), copyOf(entry));
  });
  return found;
}

function givenPositions(
  given: Readonly<Record<string, unknown>>,
  seed: StateSource['seed'],
  when: AmendedMoment,
): Entry[] {
  const codec = createValueCodec();
  const table = reservedTables.positions;
  return Object.entries(given).map(([key, position]) =>
    putOf({ table, key, seed }, codec.encode(position), when),
  );
}

function sameValue(a: Entry, b: Entry): boolean {
  const valueOf = ({ bytes, subKeyEnd, valueEnd }: Entry): Uint8Array =>
    bytes.subarray(subKeyEnd, valueEnd);
  return Buffer.compare(valueOf(a), valueOf(b)) === 0;
}

function positionsDiffer(
  name: string,
  sources: readonly PartSource[],
  found: readonly (Entry | undefined)[],
): InvalidArgumentError {
  const decoder = createReaderDecoder();
  const positions = sources.map(({ dir }, i) => {
    const entry = found[i];
    const position = entry && decoder.decode(entry.bytes, entry.subKeyEnd, entry.valueEnd);
    return entry ? { dir, position } : { dir };
  });
  return new InvalidArgumentError(
    'POSITIONS_DIFFER',
    `stores differ in the position of ${name}: choose with option positions`,
    { source: name, positions },
  );
}

/**
 * The store whose state holders are taken; -1 when nobody has any. They have one state for a whole
 * process, whatever its key groups are.
 */
export async function chooseHolders(
  sources: readonly PartSource[],
  { own }: JoinedCatalog,
  choice: number | undefined,
  run: RangeTools,
): Promise<number> {
  if (choice !== undefined) return choice;
  let chosen = -1;
  let content: string | undefined;
  for (const [i, { state }] of sources.entries()) {
    const entries: string[] = [];
    for (const table of own[i]!.filter(({ operator }) => operator === holderOperator)) {
      await eachEntry(state, [tableRange(table.id)], run, (entry) => {
        const bytes = entry.bytes.slice(entry.keyStart, entry.valueEnd);
        entries.push(`${table.state} ${Buffer.from(bytes).toString('latin1')}`);
      });
    }
    if (entries.length === 0) continue;
    const found = entries.sort().join('\n');
    if (content !== undefined && content !== found) {
      const stores = [sources[chosen]!.dir, sources[i]!.dir];
      throw new InvalidArgumentError(
        'HOLDERS_DIFFER',
        `stores have state holders of different content: choose with option holders: ${stores.join(', ')}`,
        { stores },
      );
    }
    if (content === undefined) chosen = i;
    content = found;
  }
  return chosen;
}

/** Live entries of ranges of a source, in order; borrowed. */
async function eachEntry(
  source: StateSource,
  parts: readonly MergeRange[],
  run: RangeTools,
  use: (entry: Entry) => void,
): Promise<void> {
  await eachRange(source, parts, run, (cursors) => {
    for (const entry of mergedEntries(cursors, source, true)) use(entry);
  });
}

/** Entries of inputs folded; `base`: the live ones, all of them puts. */
export function* mergedEntries(
  cursors: ConstructorParameters<typeof MergeIterator>[0],
  { lastTimestamp, groupBits }: Pick<StateSource, 'lastTimestamp' | 'groupBits'>,
  base: boolean,
): Generator<MergeIterator> {
  const iterator = new MergeIterator(cursors, { base, lastTimestamp, rules: [], groupBits });
  while (iterator.next()) yield iterator;
}
