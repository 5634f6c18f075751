/*
 * `mergeSnapshots`: merges a chain of files into one, over the coordinator that the engine's
 * compaction uses (threads/merge-run.ts). The strategy decides about cost alone: which files are
 * merged in which step, and by how many threads; what comes of it is the same.
 *
 * Durability: the file appears under its name complete and synced, or not at all.
 */
import { availableParallelism } from 'node:os';
import { registerCodecs, type CodecModule } from '../../codec/compression-modules.ts';
import {
  checkCompression,
  type CompressionOption,
  type CompressionSetting,
} from '../../codec/compression-setting.ts';
import { createReaderDecoder } from '../../codec/value-reader.ts';
import { toStorageError } from '../../errors.ts';
import { SlabPool } from '../../snapshot/slab-pool.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import { must } from '../../std/assert.ts';
import { badOption, knownOnly, oneOf, wholeNumber } from '../../std/option-checks.ts';
import type { TableDefinition } from '../../state/table-definition.ts';
import { runMerge, type MergedSnapshot } from '../../threads/merge-run.ts';
import { InlinePool, ThreadPool, type TaskPool } from '../../threads/task-pool.ts';
import { compressionOf, rulesOf } from '../checkpointer-input.ts';
import { mergeStrategies, type MergeStrategy } from '../record-notes.ts';
import { checkChain } from './snapshot-chain.ts';
import { checkRef, checkRefs, type SnapshotRef } from './snapshot-create.ts';
import { withDeadline, type Deadline, type DeadlineOptions } from './snapshot-deadline.ts';
import {
  checkPath,
  closeSnapshotFiles,
  openSnapshotFiles,
  PartFiles,
  type SnapshotFile,
} from './snapshot-file.ts';
import { planSteps, type MergeStep } from './snapshot-merge-plan.ts';
import { describeSnapshot, type SnapshotMetadata } from './snapshot-metadata.ts';
import type { LibraryComponents } from './snapshot-options.ts';
import { readDefinitions } from './snapshot-tables.ts';

/** Options of `mergeSnapshots`. */
export interface MergeSnapshotsOptions extends DeadlineOptions {
  /** Path of the new file. */
  readonly output: string;
  /**
   * `sequential` merges everything in one pass on one thread, `parallel` in one pass on all of
   * `threadsMax`; `optimal` takes as many threads as the bytes are worth, and merges small deltas with
   * each other first where a pass would have more than 64 inputs. @defaultValue 'optimal'
   */
  readonly strategy?: MergeStrategy;
  /** Threads that merge at once. @defaultValue all cores */
  readonly threadsMax?: number;
  /** Compression of the file; states that have a setting of their own keep it. @defaultValue 'lz4' */
  readonly compression?: CompressionOption;
  /** As `compression.bytesMin`: smaller blocks are stored raw. @defaultValue 1024 */
  readonly compressionBytesMin?: number;
  /** Codecs of your own, for reading and for `compression`. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** What `mergeSnapshots` made. */
export interface MergedSnapshotFile extends SnapshotMetadata {
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  /** Merges that were made, in order, and why. */
  readonly steps: readonly MergeStep[];
  /** Threads that were used at once. */
  readonly threads: number;
}

const mergeOptionNames = [
  'output',
  'strategy',
  'threadsMax',
  'compression',
  'compressionBytesMin',
  'codecs',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof MergeSnapshotsOptions)[];

const threadsMost = 1024;
const IDLE_SLAB_BYTES_MAX = 256 * 1024 * 1024;

/** As `mergeSnapshots`, over given components. */
export async function mergeSnapshotsWith(
  base: SnapshotRef,
  deltas: readonly SnapshotRef[],
  given: MergeSnapshotsOptions | undefined,
  components: LibraryComponents,
): Promise<MergedSnapshotFile> {
  // Without any it is said what is needed of them.
  const options = given ?? ({} as MergeSnapshotsOptions);
  knownOnly(options, mergeOptionNames);
  const output = checkPath('output', options.output);
  const strategy = oneOf('strategy', options.strategy ?? 'optimal', mergeStrategies);
  const threadsMax = checkThreads(options.threadsMax, strategy);
  await registerCodecs(options.codecs ?? []);
  const compression = compressionFrom(options);
  const paths = [checkRef('base', base), ...checkRefs('deltas', deltas)];
  const parts = new PartFiles(components.fs, output, components.random);
  await parts.checkFree();
  const files = await openSnapshotFiles(components.fs, paths);
  try {
    checkChain(files.map(({ path, reader }) => ({ path, header: reader.header })));
    return await withDeadline(options, components.clock, async (deadline) => {
      const plan = planSteps(
        files.map(({ reader }) => ({ kind: reader.header.kind, bytes: reader.bytes })),
        { strategy, threadsMax },
      );
      const { threads, steps } = plan;
      const pool = components.threads ? new ThreadPool(threads) : new InlinePool(components.fs);
      try {
        const { fs, clock, random } = components;
        const input = { fs, clock, random, parts, files, compression, pool, deadline, threads };
        return { ...(await mergeFiles(input, steps)), steps, threads };
      } finally {
        await pool.close();
      }
    });
  } catch (error) {
    throw toStorageError(error, 'merge snapshots into', output);
  } finally {
    await closeSnapshotFiles(files);
    // The error of the merge, if there is one, is the one to report.
    await Promise.allSettled([parts.removeAll()]);
  }
}

function checkThreads(value: unknown, strategy: MergeStrategy): number {
  if (value === undefined) return strategy === 'sequential' ? 1 : availableParallelism();
  const threadsMax = wholeNumber('threadsMax', value, 1, threadsMost);
  if (strategy !== 'sequential' || threadsMax === 1) return threadsMax;
  throw badOption('threadsMax', 'is 1 where strategy is sequential', value);
}

function compressionFrom(options: MergeSnapshotsOptions): CompressionSetting {
  const { compressionBytesMin: bytesMin } = options;
  const compression = checkCompression(options.compression ?? 'lz4', 'compression');
  if (bytesMin === undefined) return compression;
  if (compression.bytesMin !== undefined) {
    throw badOption('compressionBytesMin', 'is given as compression.bytesMin too', bytesMin);
  }
  wholeNumber('compressionBytesMin', bytesMin, 0);
  return checkCompression({ ...compression, bytesMin }, 'compression');
}

interface FilesInput extends Omit<LibraryComponents, 'threads'> {
  readonly parts: PartFiles;
  readonly files: readonly SnapshotFile[];
  readonly compression: CompressionSetting;
  readonly pool: TaskPool;
  readonly deadline: Deadline;
  readonly threads: number;
}

/** A file of the chain, or one that a step made of several. */
interface Link {
  readonly path: string;
  readonly header: SnapshotHeader;
  /** What a delta is bound to. */
  readonly parents: readonly string[];
}

async function mergeFiles(
  input: FilesInput,
  steps: readonly MergeStep[],
): Promise<SnapshotMetadata & { readonly sha256: string }> {
  const { files, parts, deadline } = input;
  const slabs = new SlabPool(IDLE_SLAB_BYTES_MAX);
  const decoder = createReaderDecoder();
  const definitions = await readDefinitions(files, { slabs, turns: deadline.turns, decoder });
  const tables = [...definitions.values()];
  let links: Link[] = files.map(({ path, reader }) => ({
    path,
    header: reader.header,
    parents: reader.footer.parents,
  }));
  let merged: MergedSnapshot | undefined;
  for (const { start, count } of steps) {
    const taken = links.slice(start, start + count);
    const path = parts.next();
    const header = headerOf(taken);
    const parents = header.kind === 'base' ? [] : unionOf(taken);
    merged = await mergeLinks(input, { taken, path, header, parents, slabs, tables });
    links = [...links.slice(0, start), { path, header, parents }, ...links.slice(start + count)];
    for (const link of taken) {
      if (!files.some((file) => file.path === link.path)) await parts.remove(link.path);
    }
  }
  const { path, header, parents } = must(links[0], 'a merge leaves one file');
  const { sha256, bytes, tables: totals } = must(merged, 'a merge has a step');
  await parts.publish(path);
  const facts = { path: parts.path, header, totals, parents, fileBytes: bytes, definitions };
  return { ...describeSnapshot(facts), sha256 };
}

interface StepInput extends Link {
  readonly taken: readonly Link[];
  readonly slabs: SlabPool;
  readonly tables: readonly TableDefinition[];
}

function mergeLinks(input: FilesInput, step: StepInput): Promise<MergedSnapshot> {
  const { pool, threads, deadline, compression } = input;
  const { taken, path, header, parents, slabs, tables } = step;
  return runMerge(pool, {
    sources: taken.map((link) => ({ path: link.path })),
    stagedPath: path,
    header,
    parents,
    rules: rulesOf(tables),
    compression: compressionOf(compression, tables),
    threadsMax: threads,
    keepSlices: false,
    signal: deadline.ended,
    slabs,
  });
}

function unionOf(links: readonly Link[]): string[] {
  return [...new Set(links.flatMap(({ parents }) => parents))];
}

/** Of what a run of links becomes. */
function headerOf(links: readonly Link[]): SnapshotHeader {
  const oldest = must(links[0], 'a step merges files').header;
  const newest = must(links.at(-1), 'a step merges files').header;
  return { ...newest, kind: oldest.kind, fromLsn: oldest.fromLsn };
}
