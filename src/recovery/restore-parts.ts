/*
 * Which parts of a state a restore takes, and what has to be put right for them. Tables and key groups
 * are contiguous ranges of every input, so they are left out without being decoded. Two reserved
 * tables speak of others: the catalogue loses the definitions of tables that stay behind, and the
 * chunks of blobs count the references of the blobs that come along, so that those which nobody
 * refers to any more are dropped, as in any base. Both is done by one more input, newest of all:
 * tombstones, and operands that are the difference of the counts.
 *
 * Memory: the counts of the chunks that are referred to; else a range of slices at a time.
 */
import { decodeKey } from '../codec/key.ts';
import { createReaderDecoder } from '../codec/value-reader.ts';
import { CorruptionError, InvalidArgumentError, NotFoundError } from '../errors.ts';
import { Entry } from '../snapshot/entry.ts';
import { firstUserTable, operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import { groupsOf, planRangesIn, tableEnd, type MergeRange } from '../snapshot/merge-ranges.ts';
import { MergeIterator } from '../snapshot/merge-iterator.ts';
import type { RunCursor } from '../snapshot/run-cursor.ts';
import { SliceBuilder } from '../snapshot/slice-builder.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import { copyBytes } from '../std/bytes.ts';
import { noBlobs, type BlobTotals } from '../state/blob-totals.ts';
import { decodeInt64, encodeInt64 } from '../state/operand-changes.ts';
import { chunkCountBytes } from '../state/stored-chunk.ts';
import { definitionFromPlain, type TableDefinition } from '../state/table-definition.ts';
import { eachRange, type RangeTools, type StateSource } from './restore-source.ts';

/** Key groups, half-open. */
export interface KeyGroupRange {
  readonly from: number;
  readonly to: number;
}

/** What of a state is wanted; what is undefined is everything. */
export interface WantedParts {
  readonly operators: readonly string[] | undefined;
  readonly keyGroups: KeyGroupRange | undefined;
}

/** Parts of a state, and what is put right in them. */
export interface ChosenParts {
  /** Definitions of the states that come along. */
  readonly tables: readonly TableDefinition[];
  /** Undefined: everything. */
  readonly parts: readonly MergeRange[] | undefined;
  /** An input newer than all others; empty when there is nothing to put right. */
  readonly amendments: readonly SliceDescriptor[];
  readonly blobs: BlobTotals;
}

/** Bytes of input that a range of chunks has, about. */
const rangeBytes = 32 * 1024 * 1024;
const sliceBytesMax = 64 * 1024 * 1024;
const manifestLengthBytes = 8;
const digestBytes = 32;

/** Works out what comes along. */
export async function chooseParts(
  source: StateSource,
  { operators, keyGroups }: WantedParts,
  run: RangeTools,
): Promise<ChosenParts> {
  const { groupBits, plan } = source;
  const all = await readCatalog(source, run);
  const tables = all.filter(({ operator }) => operators?.includes(operator) ?? true);
  for (const name of operators ?? []) {
    if (!tables.some(({ operator }) => operator === name)) throw noOperator(name, all);
  }
  const groups = keyGroups ?? { from: 0, to: 2 ** groupBits };
  if (groups.to > 2 ** groupBits) {
    const why = `option keyGroups.to must be at most the ${2 ** groupBits} key groups of the store`;
    const details = { option: 'keyGroups.to', keyGroups: 2 ** groupBits };
    throw new InvalidArgumentError('INVALID_OPTION', `${why}: ${groups.to}`, details);
  }
  const isWhole = tables.length === all.length && groups.from === 0 && groups.to === 2 ** groupBits;
  if (isWhole)
    return { tables, parts: undefined, amendments: [], blobs: await totals(source, run) };
  const ranges = tables.map(({ id }) => groupsOf(id, groups, groupBits));
  const amendments = new Amendments(run, plan.lsn, source.lastTimestamp);
  await dropDefinitions(source, tables, amendments, run);
  const blobTables = ranges.filter((_, i) => tables[i]!.kind === 'blob');
  const references = await countReferences(source, blobTables, run);
  const blobs = await walkChunks(source, run, (chunk, found) => {
    const due = references.get(chunk) ?? 0;
    references.delete(chunk);
    const count = Number(decodeInt64(found.bytes, found.subKeyEnd));
    if (due !== count) amendments.addReferences(found, due - count);
    return due;
  });
  for (const chunk of references.keys()) {
    const hex = Buffer.from(chunk, 'latin1').toString('hex');
    throw new CorruptionError('CORRUPT_SNAPSHOT', `chunk of a blob is missing: ${hex}`, {
      chunk: hex,
    });
  }
  return { tables, parts: [reserved, ...ranges], amendments: amendments.finish(), blobs };
}

/** All reserved tables. */
const reserved: MergeRange = {
  from: { table: 0, hash: 0 },
  to: { table: firstUserTable, hash: 0 },
};

function tableRange(table: number): MergeRange {
  return { from: { table, hash: 0 }, to: tableEnd(table) };
}

function noOperator(name: string, all: readonly TableDefinition[]): NotFoundError {
  const known = [...new Set(all.map(({ operator }) => operator))];
  return new NotFoundError('STATE_NOT_FOUND', `there is no operator ${name} at that moment`, {
    operator: name,
    known,
  });
}

/** Definitions by table number. */
async function readCatalog(source: StateSource, run: RangeTools): Promise<TableDefinition[]> {
  const decoder = createReaderDecoder();
  const found: TableDefinition[] = [];
  await eachRange(source, [tableRange(reservedTables.catalog)], run, (cursors) => {
    for (const entry of merged(cursors, source)) {
      const { bytes, subKeyEnd, valueEnd, lsn } = entry;
      const definition = definitionFromPlain(decoder.decode(bytes, subKeyEnd, valueEnd));
      if (!definition) {
        throw new CorruptionError('CORRUPT_SNAPSHOT', 'catalogue holds a bad definition', { lsn });
      }
      found.push(definition);
    }
  });
  return found.sort((a, b) => a.id - b.id);
}

async function dropDefinitions(
  source: StateSource,
  tables: readonly TableDefinition[],
  amendments: Amendments,
  run: RangeTools,
): Promise<void> {
  const kept = new Set(tables.map(({ id }) => id));
  await eachRange(source, [tableRange(reservedTables.catalog)], run, (cursors) => {
    for (const entry of merged(cursors, source)) {
      const id = decodeKey(entry.bytes, entry.keyStart, entry.keyEnd);
      if (!kept.has(Number(id))) amendments.addTombstone(entry);
    }
  });
}

/** How often the blobs that come along refer to each chunk, by digest. */
async function countReferences(
  source: StateSource,
  ranges: readonly MergeRange[],
  run: RangeTools,
): Promise<Map<string, number>> {
  const references = new Map<string, number>();
  await eachRange(source, ranges, run, (cursors) => {
    for (const { bytes, subKeyEnd, valueEnd } of merged(cursors, source)) {
      for (let at = subKeyEnd + manifestLengthBytes; at < valueEnd; at += digestBytes) {
        const chunk = latin1(bytes.subarray(at, at + digestBytes));
        references.set(chunk, (references.get(chunk) ?? 0) + 1);
      }
    }
  });
  return references;
}

/** Totals of the blobs of the whole state; read out only where the log has changed them. */
async function totals(source: StateSource, run: RangeTools): Promise<BlobTotals> {
  const { record } = source.plan;
  if (!source.tail.some(({ table }) => table === reservedTables.chunks)) {
    return record?.blobs ?? noBlobs;
  }
  return walkChunks(source, run, (_, { bytes, subKeyEnd }) =>
    Number(decodeInt64(bytes, subKeyEnd)),
  );
}

/** Walks the chunks of the state; `countOf` says how many references each is left with. */
async function walkChunks(
  source: StateSource,
  run: RangeTools,
  countOf: (chunk: string, entry: Entry) => number,
): Promise<BlobTotals> {
  const sum = { bytes: 0, chunkCount: 0, chunkBytes: 0 };
  const parts = await chunkRanges(source, run);
  await eachRange(source, parts, run, (cursors) => {
    for (const entry of merged(cursors, source)) {
      const digest = decodeKey(entry.bytes, entry.keyStart, entry.keyEnd) as Uint8Array;
      const count = countOf(latin1(digest), entry);
      if (count <= 0) continue;
      const contentBytes = entry.valueEnd - entry.subKeyEnd - chunkCountBytes;
      sum.bytes += count * contentBytes;
      sum.chunkCount++;
      sum.chunkBytes += contentBytes;
    }
  });
  return sum;
}

async function chunkRanges(
  { inputs, groupBits }: StateSource,
  run: RangeTools,
): Promise<MergeRange[]> {
  const spans = [];
  for (const input of inputs) {
    if ('slices' in input) spans.push(...input.slices);
    else {
      const { path } = input;
      spans.push(...(await run.pool.run('loadSnapshot', { path, sliceIndexes: [] })).records);
    }
  }
  return planRangesIn([tableRange(reservedTables.chunks)], spans, groupBits, rangeBytes);
}

function* merged(
  cursors: RunCursor[],
  { lastTimestamp, groupBits }: StateSource,
): Generator<MergeIterator> {
  const iterator = new MergeIterator(cursors, { base: true, lastTimestamp, rules: [], groupBits });
  while (iterator.next()) yield iterator;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Entries that put reserved tables right, added in their order. */
class Amendments {
  readonly #builder: SliceBuilder;
  readonly #slices: SliceDescriptor[] = [];
  readonly #lsn: number;
  readonly #timestamp: number;

  constructor({ slabs }: RangeTools, lsn: number, timestamp: number) {
    this.#builder = new SliceBuilder(slabs, sliceBytesMax, 0);
    this.#lsn = lsn;
    this.#timestamp = timestamp;
  }

  addTombstone(of: Entry): void {
    this.#add(of, ops.delete, operatorIds.none, new Uint8Array(0));
  }

  addReferences(of: Entry, difference: number): void {
    this.#add(of, ops.merge, operatorIds.chunk, encodeInt64(BigInt(difference)));
  }

  finish(): readonly SliceDescriptor[] {
    const slice = this.#builder.finish();
    if (slice) this.#slices.push(slice);
    return this.#slices;
  }

  #add(of: Entry, op: number, operator: number, value: Uint8Array): void {
    const keyBytes = of.keyEnd - of.keyStart;
    const bytes = new Uint8Array(keyBytes + value.length);
    copyBytes(of.bytes, of.keyStart, of.keyEnd, bytes, 0);
    bytes.set(value, keyBytes);
    const entry = new Entry();
    const { table, hash } = of;
    const spans = { keyStart: 0, keyEnd: keyBytes, subKeyEnd: keyBytes, valueEnd: bytes.length };
    const when = { lsn: this.#lsn, timestamp: this.#timestamp };
    Object.assign(entry, { table, hash, op, operator, bytes, ...spans, ...when });
    if (!this.#builder.fits(entry)) {
      const slice = this.#builder.finish();
      if (slice) this.#slices.push(slice);
    }
    this.#builder.append(entry);
  }
}
