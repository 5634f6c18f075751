/*
 * `mergeLineages`: joins the deltas of several writers on one base into a new base. Each lineage is
 * folded to one run by the kernel, the runs are joined key by key over the base (conflicts-join.ts),
 * and the kernel makes a base of what is left. Files are walked side by side, so memory is bounded by
 * a slice of each.
 *
 * Runs in the thread of the caller, whose function may decide, and yields. The result is a store of
 * its own: its id is new, its LSN and time are above those of all that went in, so that it can be
 * continued, and its parents are the SHA-256 of the base and the deltas.
 * Durability: the file appears under its name complete and synced, or not at all.
 */
import { createHash } from 'node:crypto';
import { createReaderDecoder } from '../../codec/value-reader.ts';
import { createValueCodec, type TypeDefinition, type ValueCodec } from '../../codec/value.ts';
import type { ValueDecoder } from '../../codec/value-decoder.ts';
import { registerCodecs, type CodecModule } from '../../codec/compression-modules.ts';
import {
  checkCompression,
  type CompressionOption,
  type CompressionSetting,
} from '../../codec/compression-setting.ts';
import { InvalidArgumentError, toStorageError } from '../../errors.ts';
import { LineageJoin, type JoinedKey } from '../../snapshot/conflicts-join.ts';
import { operatorIds, ops, reservedTables } from '../../snapshot/entry-format.ts';
import { MergeIterator } from '../../snapshot/merge-iterator.ts';
import type { RunCursor, TableRules } from '../../snapshot/run-cursor.ts';
import { SlabPool } from '../../snapshot/slab-pool.ts';
import { encodeSnapshotFooter } from '../../snapshot/snapshot-footer.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import { hashFile } from '../../snapshot/snapshot-verify.ts';
import { sliceBytesDefault } from '../../snapshot/task-memory.ts';
import type { Turns } from '../../snapshot/task-context.ts';
import { must } from '../../std/assert.ts';
import { fromHex, toHex } from '../../std/bytes.ts';
import { badOption, knownOnly } from '../../std/option-checks.ts';
import { encodeInt64 } from '../../state/operand-changes.ts';
import { definitionToPlain } from '../../state/table-definition.ts';
import { EntryArena } from './snapshot-arena.ts';
import { checkChain, checkLink } from './snapshot-chain.ts';
import {
  checkPolicy,
  ConflictJudge,
  type ConflictPolicy,
  type ConflictReport,
} from './snapshot-conflicts.ts';
import { checkRef, checkRefs, type SnapshotRef } from './snapshot-create.ts';
import { withDeadline, type DeadlineOptions } from './snapshot-deadline.ts';
import {
  checkPath,
  closeSnapshotFiles,
  openSnapshotFiles,
  PartFiles,
  type SnapshotFile,
} from './snapshot-file.ts';
import { ChunkCorrections, ShiftedItems } from './snapshot-lineage-runs.ts';
import { joinTables, type JoinedTables } from './snapshot-lineage-tables.ts';
import { describeSnapshot, type SnapshotMetadata } from './snapshot-metadata.ts';
import { checkTypes, hexOr, type LibraryComponents } from './snapshot-options.ts';
import { writeOutput, type EntrySink } from './snapshot-output.ts';
import { readDefinitions } from './snapshot-tables.ts';
import { walkRanges, type WalkInput, type WalkRange } from './snapshot-walk.ts';
import { compressionOf, rulesOf } from '../checkpointer-input.ts';

/** Options of `mergeLineages`. */
export interface MergeLineagesOptions extends DeadlineOptions {
  /** Path of the new file. */
  readonly output: string;
  /** Decides conflicts. */
  readonly conflicts: ConflictPolicy;
  /** Compression of the file; states that have a setting of their own keep it. @defaultValue 'lz4' */
  readonly compression?: CompressionOption;
  /** Codecs of your own, for reading and for `compression`. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
  /** Store id of the result, 32 hexadecimal digits. @defaultValue random */
  readonly storeId?: string;
  /** Classes whose instances are values that a function decides about. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
}

/** What `mergeLineages` made. */
export interface JoinedSnapshot extends SnapshotMetadata {
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  readonly conflicts: ConflictReport;
}

const joinOptionNames = [
  'output',
  'conflicts',
  'compression',
  'codecs',
  'storeId',
  'types',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof MergeLineagesOptions)[];

const IDLE_SLAB_BYTES_MAX = 64 * 1024 * 1024;

/** A lineage's files, and what it is called. */
interface Lineage {
  readonly files: readonly SnapshotFile[];
  /** Among those that were given. */
  readonly index: number;
  /** Orders lineages whatever the order in which they were given. */
  readonly rank: string;
}

/** As `mergeLineages`, over given components. */
export async function mergeLineagesWith(
  base: SnapshotRef,
  lineages: readonly (readonly SnapshotRef[])[],
  given: MergeLineagesOptions | undefined,
  components: LibraryComponents,
): Promise<JoinedSnapshot> {
  // Without any it is said what is needed of them.
  const options = given ?? ({} as MergeLineagesOptions);
  knownOnly(options, joinOptionNames);
  const output = checkPath('output', options.output);
  const policy = checkPolicy(options.conflicts);
  await registerCodecs(options.codecs ?? []);
  const compression = checkCompression(options.compression ?? 'lz4', 'compression');
  const types = checkTypes(options.types);
  const tools = { codec: createValueCodec(types), decoder: createReaderDecoder(types) };
  const storeId = hexOr('storeId', options.storeId, 16, components.random);
  if (!Array.isArray(lineages) || lineages.length === 0) {
    throw badOption('lineages', 'must name at least one lineage', undefined);
  }
  const basePath = checkRef('base', base);
  const paths = lineages.map((refs, i) => checkRefs(`lineages[${i}]`, refs));
  const parts = new PartFiles(components.fs, output, components.random);
  await parts.checkFree();
  const files = await openSnapshotFiles(components.fs, [basePath, ...paths.flat()]);
  try {
    const sorted = sortLineages(files, paths);
    return await withDeadline(options, components.clock, async ({ turns }) => {
      const input = { ...components, ...tools, parts, turns, policy, compression, storeId };
      return new Joining(files[0]!, sorted, input).run();
    });
  } catch (error) {
    await Promise.allSettled([parts.removeAll()]);
    throw toStorageError(error, 'merge lineages into', output);
  } finally {
    await closeSnapshotFiles(files);
  }
}

/** Checks that each lineage continues the base, and puts them in an order of their own. */
function sortLineages(
  files: readonly SnapshotFile[],
  paths: readonly (readonly string[])[],
): Lineage[] {
  const base = files[0]!;
  const endOf = ({ path, reader }: SnapshotFile): Parameters<typeof checkLink>[0] => ({
    path,
    header: reader.header,
  });
  if (base.reader.header.kind !== 'base') {
    throw badOption('base', `must be a base, this is a delta: ${base.path}`, undefined);
  }
  let at = 1;
  const lineages = paths.map((own, index): Lineage => {
    const mine = files.slice(at, at + own.length);
    at += own.length;
    checkLink(endOf(base), endOf(mine[0]!), 'any');
    checkChain(mine.map(endOf));
    mine.forEach(refuseBound);
    const digest = createHash('sha256');
    for (const { reader } of mine) digest.update(encodeSnapshotFooter(reader.footer));
    const rank = `${toHex(mine[0]!.reader.header.storeId)} ${digest.digest('hex')}`;
    return { files: mine, index, rank };
  });
  lineages.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  lineages.forEach(({ rank, index }, i) => {
    if (i > 0 && rank === lineages[i - 1]!.rank) {
      throw badOption(`lineages[${index}]`, 'is given twice', undefined);
    }
  });
  return lineages;
}

/** A delta that is bound to its parents lacks writes that changed nothing on them: no candidates. */
function refuseBound({ path, reader }: SnapshotFile): void {
  if (reader.footer.parents.length === 0) return;
  throw new InvalidArgumentError(
    'INVALID_CALL',
    `writes that changed nothing were left out, so conflicts cannot be judged: ${path}`,
    { path },
  );
}

interface JoiningInput extends LibraryComponents {
  readonly parts: PartFiles;
  readonly turns: Turns;
  readonly policy: ConflictPolicy;
  readonly compression: CompressionSetting;
  readonly storeId: Uint8Array;
  readonly codec: ValueCodec;
  readonly decoder: ValueDecoder;
}

/** One merge of lineages. */
class Joining {
  readonly #base: SnapshotFile;
  readonly #lineages: readonly Lineage[];
  readonly #input: JoiningInput;
  readonly #slabs = new SlabPool(IDLE_SLAB_BYTES_MAX);
  readonly #header: SnapshotHeader;

  constructor(base: SnapshotFile, lineages: readonly Lineage[], input: JoiningInput) {
    this.#base = base;
    this.#lineages = lineages;
    this.#input = input;
    const headers = lineages.map(({ files }) => files.at(-1)!.reader.header);
    this.#header = {
      ...base.reader.header,
      storeId: input.storeId,
      timeline: 1,
      epoch: 1,
      lastLsn: Math.max(...headers.map(({ lastLsn }) => lastLsn)) + 1,
      lastTimestamp: Math.max(...headers.map(({ lastTimestamp }) => lastTimestamp)) + 1,
    };
  }

  async run(): Promise<JoinedSnapshot> {
    const { parts, compression, policy, codec, decoder } = this.#input;
    const tables = await this.#joinTables();
    const lineages = this.#lineages.map(({ index, files }) => ({
      index,
      storeId: toHex(files[0]!.reader.header.storeId),
    }));
    const { definitions } = tables;
    const judge = new ConflictJudge({ policy, lineages, definitions, decoder, codec });
    const corrections = await this.#judgeBlobs(tables, judge);
    const parents = await this.#digests();
    const part = parts.next();
    const settings = compressionOf(compression, [...definitions.values()]);
    const options = { path: part, header: this.#header, compression: settings, parents };
    try {
      const written = await this.#write(options, async (sink) => {
        await this.#drainCatalogue(sink, tables);
        const extra = corrections ? [{ reader: corrections.reader }] : [];
        for await (const range of this.#walk(tables, undefined, extra)) {
          const join = this.#join(range, tables, judge);
          await sink.drain(this.#settled(join, tables));
        }
      });
      await parts.publish(part);
      const { sha256, bytes: fileBytes, tables: totals } = written;
      const facts = { path: parts.path, header: this.#header, totals, parents, fileBytes };
      return { ...describeSnapshot({ ...facts, definitions }), sha256, conflicts: judge.report };
    } finally {
      if (corrections) await this.#discard(corrections);
    }
  }

  async #joinTables(): Promise<JoinedTables> {
    const { turns, decoder } = this.#input;
    const tools = { slabs: this.#slabs, turns, decoder };
    const base = await readDefinitions([this.#base], tools);
    const lineages = [];
    for (const { files } of this.#lineages) {
      const newest = must(files.at(-1), 'a lineage has a file');
      const definitions = await readDefinitions([this.#base, ...files], tools);
      const { lastTimestamp } = newest.reader.header;
      lineages.push({ definitions, path: newest.path, lastTimestamp });
    }
    return joinTables(base, lineages);
  }

  /** Walks the base, the files of all lineages, and what comes beside them. */
  #walk(
    tables: JoinedTables,
    only?: readonly number[],
    extra: readonly WalkInput[] = [],
  ): AsyncGenerator<WalkRange> {
    const inputs: WalkInput[] = [{ reader: this.#base.reader, tables: tables.base }];
    this.#lineages.forEach(({ files }, i) => {
      for (const { reader } of files) inputs.push({ reader, tables: tables.lineages[i]! });
    });
    const { turns } = this.#input;
    const which = only === undefined ? {} : { tables: only };
    return walkRanges([...inputs, ...extra], { slabs: this.#slabs, turns, ...which });
  }

  /** The lineages of one range, each folded to one run, over the base. */
  #join(
    { table, cursors }: WalkRange,
    tables: JoinedTables,
    judge: ConflictJudge,
    observe?: (joined: JoinedKey) => void,
  ): LineageJoin {
    const { groupBits } = this.#header;
    const rules = rulesOf([...tables.definitions.values()]);
    const isList = tables.definitions.get(table)?.kind === 'list';
    const count = this.#lineages.length;
    let at = 1;
    const runs = this.#lineages.map(({ files }, lineage): RunCursor => {
      const own = cursors.slice(at, at + files.length);
      at += files.length;
      const { lastTimestamp } = files.at(-1)!.reader.header;
      const run = new MergeIterator(own, { base: false, lastTimestamp, rules, groupBits });
      return isList ? new ShiftedItems(run, lineage, count) : run;
    });
    // Corrections of counts are operands like those of the lineages.
    runs.push(...cursors.slice(at));
    return new LineageJoin({
      base: cursors[0]!,
      lineages: runs,
      groupBits,
      resolve: (conflict) => judge.resolve(conflict),
      ...(observe && { observe }),
    });
  }

  #settled(run: RunCursor, tables: JoinedTables): MergeIterator {
    const { lastTimestamp, groupBits } = this.#header;
    const rules: TableRules = rulesOf([...tables.definitions.values()]);
    return new MergeIterator([run], { base: true, lastTimestamp, rules, groupBits });
  }

  /** Decides about blobs, and writes what the counts of their chunks have to be corrected by. */
  async #judgeBlobs(tables: JoinedTables, judge: ConflictJudge): Promise<SnapshotFile | undefined> {
    const blobs = [...tables.definitions.values()].filter(({ kind }) => kind === 'blob');
    if (blobs.length === 0) return undefined;
    const corrections = new ChunkCorrections();
    judge.preview(true);
    const { turns, fs, parts } = this.#input;
    const ids = blobs.map(({ id }) => id);
    for await (const range of this.#walk(tables, ids)) {
      const join = this.#join(range, tables, judge, (joined) => corrections.add(joined));
      while (join.next()) if (turns.spend(join.valueEnd - join.keyStart)) await turns.pause();
    }
    judge.preview(false);
    const arena = this.#arena();
    for (const [digest, by] of corrections) {
      arena.add({
        table: reservedTables.chunks,
        op: ops.merge,
        operator: operatorIds.chunk,
        key: must(fromHex(digest), 'a digest is hexadecimal'),
        subKey: undefined,
        value: encodeInt64(BigInt(by)),
        expiry: 0,
        eventTime: 0,
      });
    }
    if (arena.count === 0) return undefined;
    const path = parts.next();
    const { lastLsn, lastTimestamp, groupBits } = this.#header;
    const header: SnapshotHeader = { ...this.#header, kind: 'delta', fromLsn: lastLsn - 1 };
    const run = await arena.sort(turns);
    await this.#write({ path, header, compression: { codec: 'none' }, parents: [] }, (sink) =>
      sink.drain(new MergeIterator([run], { base: false, lastTimestamp, rules: [], groupBits })),
    );
    const [file] = await openSnapshotFiles(fs, [path]);
    return file;
  }

  async #discard(file: SnapshotFile): Promise<void> {
    await closeSnapshotFiles([file]);
    await this.#input.parts.remove(file.path);
  }

  /** The catalogue of the new file, in place of those that went in. */
  async #drainCatalogue(sink: EntrySink, tables: JoinedTables): Promise<void> {
    const { codec, turns } = this.#input;
    const arena = this.#arena();
    for (const definition of tables.definitions.values()) {
      arena.add({
        table: reservedTables.catalog,
        op: ops.put,
        operator: operatorIds.none,
        key: definition.id,
        subKey: undefined,
        value: codec.encode(definitionToPlain(definition)),
        expiry: 0,
        eventTime: 0,
      });
    }
    await sink.drain(this.#settled(await arena.sort(turns), tables));
  }

  #arena(): EntryArena {
    const { lastLsn: lsn, lastTimestamp: timestamp, seed } = this.#header;
    return new EntryArena({ lsn, timestamp, seed });
  }

  #write(
    options: Parameters<typeof writeOutput>[1],
    fill: (sink: EntrySink) => Promise<void>,
  ): ReturnType<typeof writeOutput> {
    const { fs, turns } = this.#input;
    const tools = { slabs: this.#slabs, turns, sliceBytesMax: sliceBytesDefault };
    return writeOutput(fs, options, tools, fill);
  }

  async #digests(): Promise<string[]> {
    const files = [this.#base, ...this.#lineages.flatMap(({ files }) => files)];
    const digests: string[] = [];
    for (const { handle, path } of files) {
      digests.push(await hashFile(handle, path, this.#input.turns));
    }
    return digests;
  }
}
