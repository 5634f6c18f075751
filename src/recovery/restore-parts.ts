/*
 * Which parts of which states a restore takes, as inputs of one merge. Tables and key groups are
 * contiguous ranges of every input, so they are taken, left out and joined without being decoded: of
 * each range of a table one store is the source, and its inputs count there alone. What is not kept
 * by key group is put together apart: definitions and positions (restore-join.ts), chunks
 * (restore-chunks.ts), and state holders, which are taken whole from one store.
 *
 * The inputs of one store are of one ancestry (M1 of the kernel); those of different stores meet in
 * the table of chunks only, whose counts an input of the restore's own puts right.
 */
import { InvalidArgumentError } from '../errors.ts';
import { reservedTables } from '../snapshot/entry-format.ts';
import { groupsOf, isBefore, type MergeRange } from '../snapshot/merge-ranges.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { BlobTotals } from '../state/blob-totals.ts';
import { holderOperator } from '../state/operator.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { Amendments, type AmendedMoment } from './restore-amendments.ts';
import {
  amendChunks,
  blobTotals,
  countReferences,
  type ChunkReferences,
} from './restore-chunks.ts';
import {
  catalogEntries,
  chooseHolders,
  choosePositions,
  joinCatalogs,
  readCatalog,
  tableRange,
  type PositionChoice,
} from './restore-join.ts';
import type { RangeTools, StateSource } from './restore-source.ts';

/** Key groups, half-open. */
export interface KeyGroupRange {
  readonly from: number;
  readonly to: number;
}

/** What of the states is wanted; what is undefined is everything. */
export interface WantedParts {
  readonly operators: readonly string[] | undefined;
  readonly positions: PositionChoice;
  /** The store whose state holders are taken; undefined: they have to be equal. */
  readonly holders: number | undefined;
}

/** A store, and what is taken of it. */
export interface PartSource {
  readonly state: StateSource;
  /** Absolute; for errors. */
  readonly dir: string;
  readonly groups: KeyGroupRange;
}

/** Parts of states, and what is put right in them. */
export interface ChosenParts {
  /** Definitions of the states that come along. */
  readonly tables: readonly TableDefinition[];
  /** Oldest first, as far as they meet. */
  readonly inputs: readonly MergeSource[];
  /** Undefined: everything of the only store. */
  readonly parts: readonly MergeRange[] | undefined;
  readonly blobs: BlobTotals;
}

/** Works out what comes along. */
export async function chooseParts(
  sources: readonly PartSource[],
  wanted: WantedParts,
  run: RangeTools,
): Promise<ChosenParts> {
  if (isWhole(sources, wanted)) return chooseWhole(sources[0]!.state, run);
  const { operators, positions, holders } = wanted;
  const catalog = await joinCatalogs(sources, operators, run);
  const when = momentOf(sources);
  const made = new Amendments(run, when);
  made.addAll(catalogEntries(catalog.tables, sources[0]!.state, when));
  made.addAll(await choosePositions(sources, positions, when, run));
  const holder = await chooseHolders(sources, catalog, holders, run);
  const shares = sources.map((source, i) => shareOf(source, i === holder, catalog.own[i]!));
  const references: ChunkReferences = new Map();
  for (const [i, { state }] of sources.entries()) {
    const blobs = shares[i]!.filter(({ table }) => table.kind === 'blob');
    await countReferences(state, inOrder(blobs), references, run);
  }
  const inputs = sources.flatMap(({ state }, i) => {
    const tables = catalog.numbers[i]!;
    const renumbered = shares[i]!.map(({ table, range }) => ({
      from: { ...range.from, table: tables.get(table.id)! },
      to: { ...range.to, table: tables.get(table.id)! },
    }));
    const only = [chunks, ...renumbered.toSorted(byPlace)];
    return state.inputs.map((input) => ({ ...input, only, tables }));
  });
  const { groupBits } = sources[0]!.state;
  const together = { inputs, groupBits, lastTimestamp: when.timestamp };
  const blobs = await amendChunks(together, references, made, run);
  const amended: readonly SliceDescriptor[] = made.finish();
  const parts = [...new Set(inputs.flatMap(({ only }) => only.slice(1)))].toSorted(byPlace);
  return {
    tables: catalog.tables,
    inputs: [...inputs, { slices: amended }],
    parts: [
      tableRange(reservedTables.catalog),
      tableRange(reservedTables.positions),
      chunks,
      ...parts,
    ],
    blobs,
  };
}

const chunks = tableRange(reservedTables.chunks);

/** Everything of one store: nothing needs to be put right. */
export async function chooseWhole(state: StateSource, run: RangeTools): Promise<ChosenParts> {
  const tables = await readCatalog(state, run);
  const blobs = await blobTotals(state, run);
  return { tables, inputs: state.inputs, parts: undefined, blobs };
}

function isWhole(sources: readonly PartSource[], { operators, positions }: WantedParts): boolean {
  const { state, groups } = sources[0]!;
  if (sources.length > 1 || operators !== undefined || typeof positions === 'object') return false;
  return groups.from === 0 && groups.to === 2 ** state.groupBits;
}

/** The commit that the state of all of them is as of. */
export function momentOf(sources: readonly PartSource[]): AmendedMoment {
  return {
    lsn: Math.max(...sources.map(({ state }) => state.plan.lsn)),
    timestamp: Math.max(...sources.map(({ state }) => state.lastTimestamp)),
  };
}

interface SharedTable {
  readonly table: TableDefinition;
  /** By the store's own numbers. */
  readonly range: MergeRange;
}

/** The ranges of a store's tables that are taken of it. */
function shareOf(
  { state, groups }: PartSource,
  hasHolders: boolean,
  tables: readonly TableDefinition[],
): SharedTable[] {
  return tables.flatMap((table) => {
    if (table.operator !== holderOperator) {
      return [{ table, range: groupsOf(table.id, groups, state.groupBits) }];
    }
    return hasHolders ? [{ table, range: tableRange(table.id) }] : [];
  });
}

function inOrder(shares: readonly SharedTable[]): MergeRange[] {
  return shares.map(({ range }) => range).toSorted(byPlace);
}

function byPlace(a: MergeRange, b: MergeRange): number {
  return isBefore(a.from, b.from) ? -1 : 1;
}

/** How key groups are checked. */
export interface GroupCheck {
  /** Groups that nobody has are meant. */
  readonly gaps: boolean;
  /** The option that the groups of a number are given with. */
  readonly name: (index: number) => string;
}

/**
 * Key groups of stores that are joined, or that one is split into, have to be disjoint, and without gaps
 * unless these are meant.
 * @throws InvalidArgumentError INVALID_OPTION
 */
export function checkGroups(
  groups: readonly KeyGroupRange[],
  groupCount: number,
  { gaps, name }: GroupCheck,
): void {
  const ordered = groups.map((range, i) => ({ ...range, i })).toSorted((a, b) => a.from - b.from);
  let end = 0;
  for (const { from, to, i } of ordered) {
    const option = name(i);
    if (to > groupCount) {
      const why = `option ${option}.to must be at most the ${groupCount} key groups of the store`;
      const details = { option: `${option}.to`, keyGroups: groupCount };
      throw new InvalidArgumentError('INVALID_OPTION', `${why}: ${to}`, details);
    }
    if (from < end) {
      const why = `option ${option} overlaps that of another store: ${from}..${to}`;
      throw new InvalidArgumentError('INVALID_OPTION', why, { option, from, to });
    }
    if (from > end && !gaps) throw gap(end, from);
    end = to;
  }
  if (end < groupCount && !gaps) throw gap(end, groupCount);
}

/** What is in none of some ranges that are disjoint, in order. */
export function groupsLeftOut(
  groups: readonly KeyGroupRange[],
  groupCount: number,
): KeyGroupRange[] {
  const left: KeyGroupRange[] = [];
  let end = 0;
  for (const { from, to } of groups.toSorted((a, b) => a.from - b.from)) {
    if (from > end) left.push({ from: end, to: from });
    end = to;
  }
  if (end < groupCount) left.push({ from: end, to: groupCount });
  return left;
}

function gap(from: number, to: number): InvalidArgumentError {
  const why = `key groups ${from}..${to} are in no store: option gaps of a restore leaves them empty`;
  return new InvalidArgumentError('INVALID_OPTION', why, { option: 'gaps', from, to });
}
