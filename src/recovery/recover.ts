/*
 * Recovery to the latest commit: which records, snapshots and bytes of the log make the state, and
 * their images. Reads only; the caller opens the log for writing afterwards (O3), and serves nothing
 * before that.
 *
 * | newest record        | its chain      | log behind it                     | outcome                 |
 * |----------------------|----------------|-----------------------------------|-------------------------|
 * | none                 | –              | none, and never was               | an empty store          |
 * | none                 | –              | none, but the mark says it was    | LOG_HOLE                |
 * | none                 | –              | whole, from LSN 1 (O2)            | replay of the log       |
 * | sound                | sound          | whole                             | images, then replay     |
 * | sound                | sound          | torn above the proof (L7)         | the same, cut, reported |
 * | sound                | sound          | ends before the record (L7)       | images, damaged history |
 * | sound                | sound          | damaged below the record (L8)     | images, then replay     |
 * | sound                | sound          | damaged at or below the proof (L7)| CORRUPT_FRAME           |
 * | sound                | sound          | a segment is missing (L7)         | LOG_HOLE                |
 * | sound                | damaged, gone  | –                                 | CORRUPT_SNAPSHOT, BROKEN_CHAIN |
 * | damaged              | –              | –                                 | CORRUPT_RECORD          |
 */
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { ChainLink, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { LoadedLink } from '../checkpoint/chain-images.ts';
import { estimateRestore } from '../checkpoint/restore-estimate.ts';
import type { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import { checkBeginning } from './log-beginning.ts';
import { Image } from '../snapshot/image.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import { toHex } from '../std/bytes.ts';
import type { Clock } from '../std/clock.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import {
  planOpening,
  type OpeningInput,
  type OpeningPlan,
  type TornTail,
} from '../wal/log-opening.ts';
import type { LowWater } from '../wal/low-water.ts';

export interface RecoveryInput {
  readonly fs: FileSystem;
  readonly clock: Clock;
  /** Directory of the store. */
  readonly dir: string;
  /** Directory of the log. */
  readonly logDirectory: string;
  /** Room of the segment that the opening makes. */
  readonly roomBytes: number;
  readonly identity: StoreIdentity;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly lowWater: LowWater | undefined;
  readonly timeline: number;
  readonly checkpoints: CheckpointStore;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
}

/** What a recovery did, for people and for `engine.recovery`. */
export interface RecoveryReport {
  /** Id of the checkpoint that it started from; undefined: from the log alone, or empty. */
  readonly checkpoint: number | undefined;
  /** LSN of that checkpoint; 0 when there is none. */
  readonly checkpointLsn: number;
  /** Last LSN of the state. */
  readonly lsn: number;
  readonly chainLength: number;
  /** Entries in the snapshots of the chain. */
  readonly chainEntries: number;
  readonly chainBytes: number;
  readonly replayedCommits: number;
  readonly replayedBytes: number;
  /**
   * What the rates in that checkpoint's record would have this opening take, to be compared with
   * `phasesMs.total`; undefined when the record has none.
   */
  readonly estimatedMs: number | undefined;
  readonly tornTail: TornTail | undefined;
  /** The log ended before the newest checkpoint: commits behind that checkpoint may be lost. */
  readonly damagedHistory: boolean;
  /** Files of unfinished checkpoints that were removed. */
  readonly leftoversRemoved: number;
  /** Milliseconds of each phase. */
  readonly phasesMs: {
    readonly plan: number;
    readonly load: number;
    readonly replay: number;
    readonly openLog: number;
    readonly total: number;
  };
}

/** The state as it was found. */
export interface Recovered {
  readonly record: CheckpointRecord | undefined;
  readonly opening: OpeningInput;
  readonly plan: OpeningPlan;
  readonly links: readonly LoadedLink[];
  readonly tail: Image | undefined;
  readonly lastTimestamp: number;
  readonly report: Omit<RecoveryReport, 'leftoversRemoved'>;
}

export async function recover(input: RecoveryInput): Promise<Recovered> {
  const { clock, checkpoints } = input;
  const startedAt = clock.monotonicMs();
  const record = await checkpoints.newest();
  const opening: OpeningInput = {
    storeDirectory: input.dir,
    storeId: input.identity.storeId,
    timeline: input.timeline,
    checkpoint: record?.position,
    lowWater: input.lowWater,
    epochKnown: record?.epoch ?? 0,
    roomBytes: input.roomBytes,
  };
  checkBeginning(input.logDirectory, input.lowWater, record);
  const plan = await planOpening(input.fs, input.logDirectory, opening);
  const plannedAt = clock.monotonicMs();
  const links: LoadedLink[] = [];
  try {
    await loadChain(input, record, links);
    const loadedAt = clock.monotonicMs();
    const replayed = await replay(input, record, plan);
    const replayedAt = clock.monotonicMs();
    const phasesMs = {
      plan: plannedAt - startedAt,
      load: loadedAt - plannedAt,
      replay: replayedAt - loadedAt,
      openLog: 0,
      total: replayedAt - startedAt,
    };
    const { tail, commits, bytes } = replayed;
    const chainBytes = links.reduce((sum, { link }) => sum + link.bytes, 0);
    const report = {
      checkpoint: record?.id,
      checkpointLsn: record?.lsn ?? 0,
      lsn: plan.lastLsn,
      chainLength: links.length,
      chainEntries: links.reduce((sum, { link }) => sum + link.entryCount, 0),
      chainBytes,
      replayedCommits: commits,
      replayedBytes: bytes,
      estimatedMs: record?.rates && estimateRestore(chainBytes, bytes, record.rates).seconds * 1000,
      tornTail: plan.tornTail,
      damagedHistory: plan.damagedHistory,
      phasesMs,
    };
    const lastTimestamp = Math.max(replayed.lastTimestamp, record?.timestamp ?? 0);
    return { record, opening, plan, links, tail, lastTimestamp, report };
  } catch (error) {
    for (const { image } of links) image.release();
    throw error;
  }
}

/** Loads the snapshots of the chain, in parallel, and checks that each continues the one before. */
async function loadChain(
  input: RecoveryInput,
  record: CheckpointRecord | undefined,
  links: LoadedLink[],
): Promise<void> {
  if (!record) return;
  const { identity } = input;
  if (record.keyGroups !== identity.keyGroups) {
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `checkpoint ${record.id} is of ${record.keyGroups} key groups, the store of ` +
        `${identity.keyGroups}`,
      { expected: identity.keyGroups, actual: record.keyGroups },
    );
  }
  checkChain(record);
  const loading = record.chain.map((link) =>
    loadLink({ ...input, storeId: toHex(identity.storeId) }, link),
  );
  const settled = await Promise.allSettled(loading);
  for (const result of settled) if (result.status === 'fulfilled') links.push(result.value);
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
}

/** What the snapshot of a link is loaded with. */
export interface LoadInput {
  readonly storeId: string;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly signal?: AbortSignal;
}

/** Loads the snapshot of a link in a worker, and checks that it is the one that is meant. */
export async function loadLink(input: LoadInput, link: ChainLink): Promise<LoadedLink> {
  const { transfer, pool, slabs, groupBits, signal } = input;
  const { sha256, bytes, name } = link;
  const output = await transfer.withLocal(name, (path) =>
    pool.run('loadSnapshot', { path, sha256, bytes, verification: 'standard' }, signal),
  );
  const image = new Image(output.slices, { slabs, groupBits });
  try {
    checkHeader(input, link, output.header);
  } catch (error) {
    image.release();
    throw error;
  }
  return { link, image, parents: output.parents };
}

/** The file has to be the one that the record means: of this store, seed and place in the chain. */
function checkHeader(input: LoadInput, link: ChainLink, header: SnapshotHeader): void {
  const { seed, groupBits, storeId } = input;
  const expected = {
    kind: link.kind,
    fromLsn: link.fromLsn,
    lastLsn: link.lastLsn,
    lastTimestamp: link.lastTimestamp,
    groupBits,
    seed: `${seed.low} ${seed.high}`,
    storeId,
  };
  const { kind, fromLsn, lastLsn, lastTimestamp } = header;
  const actual = {
    kind,
    fromLsn,
    lastLsn,
    lastTimestamp,
    groupBits: header.groupBits,
    seed: `${header.seed.low} ${header.seed.high}`,
    storeId: toHex(header.storeId),
  };
  for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
    if (expected[name] === actual[name]) continue;
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `snapshot is not the one that its record means, ${name} differs: ${link.name}`,
      { path: link.name, field: name, expected: expected[name], actual: actual[name] },
    );
  }
}

/** Each link continues the one before, and the last ends at the record's LSN. */
export function checkChain(record: CheckpointRecord): void {
  let lastLsn = 0;
  record.chain.forEach((link, i) => {
    const fits = i === 0 ? link.kind === 'base' : link.kind === 'delta' && link.fromLsn === lastLsn;
    if (!fits) {
      throw new CorruptionError(
        'BROKEN_CHAIN',
        `snapshot does not continue the chain of checkpoint ${record.id}: ${link.name}`,
        { path: link.name, expected: lastLsn, actual: link.fromLsn },
      );
    }
    ({ lastLsn } = link);
  });
  if (record.chain.length === 0 || lastLsn !== record.lsn || record.position.lsn !== record.lsn) {
    throw new CorruptionError(
      'BROKEN_CHAIN',
      `chain of checkpoint ${record.id} does not end at its LSN ${record.lsn}: ${lastLsn}`,
      { expected: record.lsn, actual: lastLsn },
    );
  }
}

/** Turns the log behind the checkpoint into an image; the memtable starts empty. */
async function replay(
  input: RecoveryInput,
  record: CheckpointRecord | undefined,
  plan: OpeningPlan,
): Promise<{ tail: Image | undefined; commits: number; bytes: number; lastTimestamp: number }> {
  const { ranges } = plan;
  if (ranges.length === 0) return { tail: undefined, commits: 0, bytes: 0, lastTimestamp: 0 };
  const { pool, slabs, groupBits, seed } = input;
  const output = await pool.run('buildTail', {
    ranges,
    seed,
    groupBits,
    // The log may say that a list keeps more than the record knows: nothing is trimmed here.
    rules: [],
    fromLsn: record?.lsn ?? 0,
    fromTimestamp: record?.timestamp ?? 0,
  });
  if (output.lastLsn !== 0 && output.lastLsn !== plan.lastLsn) {
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${output.lastLsn} where ${plan.lastLsn} was found`,
      { lsn: output.lastLsn, expected: plan.lastLsn },
    );
  }
  const bytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  const tail = new Image(output.slices, { slabs, groupBits });
  return { tail, commits: output.commitCount, bytes, lastTimestamp: output.lastTimestamp };
}
