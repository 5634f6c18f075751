/*
 * The ways by which a chain can be made anew: the newest checkpoint that does without what is known to
 * be damaged, and the log behind it, up to the LSN of the newest record. What is taken from files is
 * compared with the record first, the digest too: a base is made of it, which nothing contradicts later.
 *
 * Files of a way are pinned in a turn of collections, until it is released. Only reads.
 */
import type { CheckpointRecord, ChainLink } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import type { Residency } from '../checkpoint/residency/residency.ts';
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import type { LocalCopy, SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { CorruptionError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { checkHeader, checkRecord } from '../recovery/chain-loader.ts';
import { findLogThrough } from '../recovery/kept-log.ts';
import { usableRecordsOf } from '../recovery/moment-at.ts';
import { isDamage } from '../recovery/recovery-path.ts';
import { planRestore, type RestorePlan } from '../recovery/restore-plan.ts';
import { checkTarget } from '../recovery/target.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import { must } from '../std/assert.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { buildTailInParts } from '../threads/tail-build.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import type { LogPosition } from '../wal/log-position.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { Retention } from './retention.ts';

/** What ways are looked for with. */
export interface WaysInput {
  readonly fs: FileSystem;
  readonly identity: StoreIdentity;
  readonly logDirectory: string;
  readonly space: StateSpace;
  readonly residency: Residency;
  readonly checkpoints: CheckpointStore;
  readonly checkpointer: Checkpointer;
  readonly timelines: Timelines;
  readonly retention: Retention;
  readonly transfer: SnapshotTransfer;
  readonly writer: LogWriter;
  readonly pins: PinSet;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  /** Names of snapshots that are known to be damaged. */
  readonly damaged: ReadonlySet<string>;
}

/** A way to the state at the newest record's LSN. */
export interface Way {
  readonly lsn: number;
  /** Undefined: the log alone. */
  readonly record: CheckpointRecord | undefined;
  /** The snapshots of the record, then the log. */
  readonly sources: readonly MergeSource[];
  release(): Promise<void>;
}

/** What of a way is to be given back. */
interface Held {
  readonly plan: RestorePlan;
  readonly copies: LocalCopy[];
}

export class RebuildWays {
  readonly #in: WaysInput;
  /** Checkpoints of which something was damaged too. */
  readonly #without = new Map<number, TidemarkError>();
  /** Snapshots that a rebuild found damaged on its way: the next one tries them again. */
  readonly #met = new Set<string>();
  #again: ReadonlySet<string> = new Set();

  constructor(input: WaysInput) {
    this.#in = input;
  }

  /** A rebuild begins: a disk that could not read may read, or a file have been put back. */
  begin(): void {
    this.#without.clear();
    this.#again = new Set(this.#met);
  }

  /** A snapshot was found damaged while a rebuild was under way. */
  met(name: string): void {
    this.#met.add(name);
  }

  /** A way that was given turned out to be damaged; false: nothing is left when it does. */
  goesOnWithout(record: CheckpointRecord | undefined, error: unknown): boolean {
    if (!record || !isDamage(error, this.#in.transfer.isLocal)) return false;
    this.#without.set(record.id, error);
    return true;
  }

  /** The newest way that does without what is known to be damaged; undefined: none is needed. */
  async find(isNeeded: () => boolean): Promise<Way | undefined> {
    const { checkpointer, writer } = this.#in;
    for (;;) {
      // A publication that had begun before the damage was found is waited for.
      const newest = await checkpointer.inTurn(async () => checkpointer.newest);
      const { lsn } = must(newest, 'a chain has a record');
      const position = await writer.cut();
      if (!isNeeded()) return undefined;
      const { plan, unpin } = await this.#pinned(lsn, position);
      const { record } = plan;
      const copies: LocalCopy[] = [];
      const release = async (): Promise<void> => {
        unpin();
        // One that cannot be removed now keeps no other: the next opening removes staged files.
        await Promise.allSettled(copies.map((copy) => copy.discard()));
      };
      try {
        return { lsn, record, sources: await this.#sources({ plan, copies }), release };
      } catch (error) {
        await release();
        if (!this.goesOnWithout(record, error)) throw error;
      }
    }
  }

  async #pinned(
    lsn: number,
    position: LogPosition,
  ): Promise<{ readonly plan: RestorePlan; readonly unpin: () => void }> {
    const { retention, pins } = this.#in;
    return retention.between(async () => {
      const plan = await this.#plan(lsn, position);
      const reason = `a chain that is made anew up to LSN ${lsn}`;
      const { record } = plan;
      const unpins = [pins.add({ lsn: record?.lsn ?? 0, reason })];
      if (record) unpins.push(pins.add({ recordId: record.id, reason }));
      return {
        plan,
        unpin: () => {
          for (const unpin of unpins) unpin();
        },
      };
    });
  }

  async #plan(lsn: number, position: LogPosition): Promise<RestorePlan> {
    const { fs, logDirectory, checkpoints, timelines, damaged } = this.#in;
    const source = {
      list: (prefix: string) => checkpoints.objects(prefix),
      read: (id: number) => checkpoints.read(id),
    };
    const usable = await usableRecordsOf(source, timelines.ancestry());
    const log = await findLogThrough(fs, logDirectory, position, timelines.ancestry());
    const isOut = ({ name }: ChainLink): boolean => damaged.has(name) && !this.#again.has(name);
    const records = usable.records.filter(
      ({ id, lsn: of, chain }) => of <= lsn && !this.#without.has(id) && !chain.some(isOut),
    );
    const target = checkTarget({ lsn }, 'target');
    return planRestore({ ...usable, fs, target, records, log, lastLsn: position.lsn, now: 0 });
  }

  async #sources({ plan, copies }: Held): Promise<MergeSource[]> {
    const { record, ranges } = plan;
    const sources: MergeSource[] = [];
    if (record) checkRecord(record, this.#in.identity);
    for (const link of record?.chain ?? []) sources.push(await this.#source(link, copies));
    if (ranges.length > 0) sources.push(await this.#tail({ plan, copies }));
    return sources;
  }

  /** The file of a snapshot, once it is known to be the one that the record means. */
  async #source(link: ChainLink, copies: LocalCopy[]): Promise<MergeSource> {
    const { space, checkpoints } = this.#in;
    const { bytes, sha256 } = link;
    const { path, header } = await this.#opened(link, copies);
    const { seed, groupBits } = space.images;
    // A file that is the one of its name, and not what is said of it: the record is wrong.
    checkHeader({ seed, groupBits, storeId: checkpoints.storeId }, link, header);
    return { path, bytes, sha256 };
  }

  async #opened(
    { name, bytes, sha256 }: ChainLink,
    copies: LocalCopy[],
  ): Promise<{ readonly path: string; readonly header: SnapshotHeader }> {
    const { transfer, pool, residency } = this.#in;
    let path: string | undefined;
    try {
      const copy = await transfer.makeLocal(name);
      copies.push(copy);
      path = copy.path;
      const input = { path, bytes, sha256, verification: 'full', sliceIndexes: [] } as const;
      const { header } = await pool.run('loadSnapshot', input);
      return { path, header };
    } catch (error) {
      if (isDamage(error, transfer.isLocal)) {
        const ofContents = path !== undefined && (await this.#isInOrder(path));
        residency.report(name, error, ofContents);
      }
      throw error;
    }
  }

  /** Nothing of a file that is damaged fails its checksum: it is what they cover. */
  async #isInOrder(path: string): Promise<boolean> {
    const { faults } = await this.#in.pool.run('verifySnapshot', { path, level: 'standard' });
    return faults.length === 0;
  }

  /** The log behind the record, in memory. */
  async #tail({ plan, copies }: Held): Promise<MergeSource> {
    const { space, pool, slabs } = this.#in;
    const { record, ranges, lsn } = plan;
    const { seed, groupBits } = space.images;
    const { slices, lastLsn } = await buildTailInParts(
      {
        ranges,
        fromLsn: record?.lsn ?? 0,
        fromTimestamp: record?.timestamp ?? 0,
        lastLsn: lsn,
        seed,
        groupBits,
        // The merge knows how much of a list is kept.
        rules: [],
      },
      { pool, slabs },
    );
    const discard = async (): Promise<void> => {
      for (const { buffer } of slices) slabs.release(buffer);
    };
    copies.push({ path: '', discard });
    if (lastLsn === lsn) return { slices };
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${lastLsn} where ${lsn} was found`,
      { lsn: lastLsn + 1, expected: lsn, actual: lastLsn },
    );
  }
}
