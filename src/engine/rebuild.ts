/*
 * Damage that is found after the opening: a slice of a snapshot of the chain cannot be read. Reads of
 * it throw; the whole chain is made anew as one base, from the newest checkpoint that does without
 * what is damaged, and the log behind that, up to the LSN of the newest record: the newest way that
 * loses nothing. Where there is none, and all that is damaged in files stands in memory as it was
 * written, it is made of that. When its record is durable its image takes the place of the chain.
 *
 * Until then nothing is published that names a damaged snapshot: checkpoints wait, and fail when
 * there is no way. Retention keeps other ways, as for damage that an opening finds. A rebuild that
 * fails is tried again by the next checkpoint. Files of a way are pinned in a turn of collections.
 */
import type { ChainImages, LoadedLink } from '../checkpoint/chain-images.ts';
import type { CheckpointRecord, ChainLink } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { mergeSource } from '../checkpoint/merge-parents.ts';
import type { Residency, SliceDamage } from '../checkpoint/residency/residency.ts';
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import type { LocalCopy, SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import { AbortedError, CorruptionError, TidemarkError, type ErrorKind } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { findLogThrough } from '../recovery/kept-log.ts';
import { usableRecordsOf } from '../recovery/moment-at.ts';
import { isDamage } from '../recovery/recovery-path.ts';
import { planRestore, type RestorePlan } from '../recovery/restore-plan.ts';
import { checkTarget } from '../recovery/target.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import { must } from '../std/assert.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { buildTailInParts } from '../threads/tail-build.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { BackgroundFailures } from './background-failures.ts';
import type { DamageEvent, EventHub } from './events.ts';
import type { Retention } from './retention.ts';

/** What a rebuild stands on. */
export interface RebuildInput {
  readonly fs: FileSystem;
  readonly logDirectory: string;
  readonly space: StateSpace;
  readonly images: ChainImages;
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
  /** Names of snapshots that retention counts as damaged. */
  readonly damaged: Set<string>;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
}

/** What is told where no file or log leads to the state. */
const noWay: readonly ErrorKind[] = ['corrupt', 'missing'];

/** A way to the state at the newest record's LSN. */
interface Way {
  readonly lsn: number;
  readonly record: CheckpointRecord | undefined;
  readonly sources: readonly MergeSource[];
  readonly release: () => Promise<void>;
}

export class Rebuild {
  readonly #in: RebuildInput;
  /** Checkpoints of which something was damaged too. */
  readonly #without = new Map<number, TidemarkError>();
  /** Snapshots of other ways that a rebuild found damaged: the next one tries them again. */
  readonly #met = new Set<string>();
  #again: ReadonlySet<string> = new Set();
  #running: Promise<void> | undefined;
  #closing = false;

  constructor(input: RebuildInput) {
    this.#in = input;
  }

  /** Something of a snapshot is damaged. */
  damaged(damage: SliceDamage): void {
    this.#in.damaged.add(damage.name);
    this.#tell('found', damage);
    // Files of older moments are no part of what comes.
    if (this.#inChain(damage.name)) this.#start(damage);
    else if (this.#running) this.#met.add(damage.name);
  }

  /** Resolves when the chain can be built on; tries to rebuild it when that failed before. */
  async ready(): Promise<void> {
    const damage = this.#found();
    if (damage) this.#start(damage);
    while (this.#running) await this.#running;
    this.assertSound(this.#in.images.chain);
  }

  /** Throws when a chain names a snapshot that is damaged, whoever has found that. */
  assertSound(chain: readonly ChainLink[]): void {
    const { residency, damaged } = this.#in;
    const damage = residency.damageAmong(chain.map(({ name }) => name));
    if (damage) throw damage.error;
    const link = chain.find(({ name }) => damaged.has(name));
    if (!link) return;
    const { name } = link;
    throw new CorruptionError('CORRUPT_SNAPSHOT', `snapshot is damaged: ${name}`, { path: name });
  }

  /** Nothing is begun any more. */
  close(): void {
    this.#closing = true;
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  #found(): SliceDamage | undefined {
    return this.#in.residency.damageAmong(this.#in.images.chain.map(({ name }) => name));
  }

  #inChain(snapshot: string): boolean {
    return this.#in.images.chain.some(({ name }) => name === snapshot);
  }

  #start(damage: SliceDamage): void {
    if (this.#closing || this.#running) return;
    this.#without.clear();
    this.#again = new Set(this.#met);
    this.#running = this.#run(damage).finally(() => {
      this.#running = undefined;
    });
  }

  /** Never rejects. */
  async #run(damage: SliceDamage): Promise<void> {
    try {
      const record = await this.#rebuild(damage);
      this.#tell('rebuilt', damage, { checkpoint: record.id });
    } catch (error) {
      // The engine is closing, and the next opening finds the damage again.
      if (this.#closing || error instanceof AbortedError) return;
      this.#tell('lost', damage, { cause: error });
    }
  }

  async #rebuild(damage: SliceDamage): Promise<CheckpointRecord> {
    try {
      return await this.#fromFiles(damage);
    } catch (error) {
      const isNoWay = error instanceof TidemarkError && noWay.includes(error.kind);
      const record = isNoWay ? await this.#fromMemory(damage) : undefined;
      if (record) return record;
      throw error;
    }
  }

  /** Of the chain as it is in memory, where all that is damaged of it is there, and sound. */
  async #fromMemory(damage: SliceDamage): Promise<CheckpointRecord | undefined> {
    const { images, residency, damaged, checkpointer } = this.#in;
    const { links } = images;
    const isSound = ({ link: { name }, image }: LoadedLink): boolean =>
      !damaged.has(name) || (image.isResident && residency.isSoundInMemory(name));
    if (!residency.checksBlocks || !links.every(isSound)) return undefined;
    for (const { image } of links) image.retain();
    try {
      const { lastLsn: lsn } = must(links.at(-1), 'a chain has links').link;
      const sources = links.map(({ image }) => mergeSource(image));
      const inputs = links.map(({ link }) => link.name);
      const why = `${damage.name} cannot be read: made anew from what is in memory`;
      return await checkpointer.compactor.rebuild({ lsn, sources, inputs, why });
    } finally {
      for (const { image } of links) image.release();
    }
  }

  /** Takes one way after another until one is whole. */
  async #fromFiles(damage: SliceDamage): Promise<CheckpointRecord> {
    const { checkpointer, transfer } = this.#in;
    for (;;) {
      const way = await this.#find();
      try {
        const { record, sources } = way;
        const from = record ? `checkpoint ${record.id} and the log behind it` : 'the log';
        const why = `${damage.name} cannot be read: made anew from ${from}`;
        const inputs = record?.chain.map(({ name }) => name) ?? [];
        return await checkpointer.compactor.rebuild({ lsn: way.lsn, sources, inputs, why });
      } catch (error) {
        if (!way.record || !isDamage(error, transfer.isLocal)) throw error;
        this.#without.set(way.record.id, error);
      } finally {
        await way.release();
      }
    }
  }

  /** The newest way that does without what is known to be damaged. */
  async #find(): Promise<Way> {
    const { checkpointer, retention, writer, pins } = this.#in;
    // A publication that had begun before the damage was found is waited for; no other follows.
    const newest = await checkpointer.inTurn(async () => checkpointer.newest);
    const { lsn } = must(newest, 'a chain has a record');
    const position = await writer.cut();
    const { plan, unpins } = await retention.between(async () => {
      const found = await this.#plan(lsn, position);
      const reason = `a chain that is made anew up to LSN ${lsn}`;
      const unpin = found.record
        ? pins.add({ recordId: found.record.id, reason })
        : pins.add({ lsn: 0, reason });
      return { plan: found, unpins: [unpin, pins.add({ lsn: found.record?.lsn ?? 0, reason })] };
    });
    const copies: LocalCopy[] = [];
    const release = async (): Promise<void> => {
      for (const unpin of unpins) unpin();
      for (const copy of copies) await copy.discard();
    };
    try {
      return { lsn, record: plan.record, sources: await this.#sources(plan, copies), release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  async #plan(lsn: number, position: Awaited<ReturnType<LogWriter['cut']>>): Promise<RestorePlan> {
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

  async #sources(
    { record, ranges, lsn }: RestorePlan,
    copies: LocalCopy[],
  ): Promise<MergeSource[]> {
    const { transfer, space, pool, slabs } = this.#in;
    const sources: MergeSource[] = [];
    for (const { name, bytes, sha256 } of record?.chain ?? []) {
      const copy = await transfer.makeLocal(name);
      copies.push(copy);
      sources.push({ path: copy.path, bytes, sha256 });
    }
    if (ranges.length === 0) return sources;
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
    if (lastLsn === lsn) return [...sources, { slices }];
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${lastLsn} where ${lsn} was found`,
      { lsn: lastLsn + 1, expected: lsn, actual: lastLsn },
    );
  }

  #tell(
    outcome: DamageEvent['outcome'],
    { name, table, error }: SliceDamage,
    more: Partial<Pick<DamageEvent, 'checkpoint' | 'cause'>> = {},
  ): void {
    const { space, hub, failures } = this.#in;
    const of = space.loggedDefinitions().find(({ id }) => id === table);
    const { checkpoint, cause } = more;
    const { operator, state } = of ?? {};
    hub.emit('damage', { outcome, snapshot: name, operator, state, error, checkpoint, cause });
    if (outcome === 'lost') failures.report(cause);
    if (outcome !== 'found') return;
    const becomes = this.#inChain(name) ? ', and is made anew' : '';
    const message = `a part of a snapshot cannot be read${becomes}: ${error.message}`;
    hub.warn({ code: 'SNAPSHOT_DAMAGED', message, details: { snapshot: name, operator, state } });
  }
}
