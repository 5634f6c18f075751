/*
 * The views of an open engine: planning the way to a moment, making its state beside the live one,
 * and closing what is open when the engine closes.
 *
 * A moment is looked for while nothing is collected, and pinned in the same turn of collections: so
 * every file that its plan names is there until the view is closed, whatever retention does
 * meanwhile. Nothing above the durable LSN is shown by `viewAt` (C2): the log is cut at the call, and
 * what was sealed then is waited for. Snapshots of the chain that are in memory are shared, by
 * reference count; the others are loaded by workers. Files that a snapshot in memory is read from are
 * pinned by their names, since no record that names them need be kept. Nothing is written.
 */
import { setMaxListeners } from 'node:events';
import type { ChainImages, LoadedLink } from '../checkpoint/chain-images.ts';
import type { ChainLink, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import type { SnapshotTransfer } from '../checkpoint/snapshot-transfer.ts';
import { ClosedError, CorruptionError, systemFailure, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { aroundDamage, readingChain } from '../recovery/around-damage.ts';
import { findLogThrough } from '../recovery/kept-log.ts';
import { planMoment, usableRecordsOf } from '../recovery/moment-at.ts';
import { describePlan, type StoreRestorePlan } from '../recovery/plan-store.ts';
import { checkChain, loadLink, type ColdLinks } from '../recovery/chain-loader.ts';
import { ReadOnlyFiles } from '../recovery/reader-files.ts';
import type { ReaderSource } from '../recovery/reader-moment.ts';
import { planRestore, type RestorePlan } from '../recovery/restore-plan.ts';
import { checkTarget, type CheckedTarget } from '../recovery/target.ts';
import { Image } from '../snapshot/image.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { StateSpace } from '../state/state-space.ts';
import { buildTailInParts } from '../threads/tail-build.ts';
import type { TaskPool } from '../threads/task-pool.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import type { LogPosition } from '../wal/log-position.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { EngineLife } from './engine-life.ts';
import { MissingOperators } from './missing-operators.ts';
import { PositionTable } from './positions.ts';
import { loadReserved } from './reserved-tables.ts';
import type { Retention } from './retention.ts';
import { View, ViewLife, viewSpace, type ViewParts } from './view.ts';

/** What views stand on. */
export interface ViewsInput {
  readonly fs: FileSystem;
  readonly storeId: string;
  /** Of other timelines than the current one. */
  readonly source: ReaderSource;
  readonly identity: StoreIdentity;
  readonly logDirectory: string;
  readonly timelines: Timelines;
  readonly life: EngineLife;
  readonly space: StateSpace;
  readonly missing: MissingOperators;
  readonly positions: PositionTable;
  readonly images: ChainImages;
  readonly writer: LogWriter;
  readonly checkpoints: CheckpointStore;
  readonly retention: Retention;
  readonly pins: PinSet;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  /** How snapshots are opened that are not there. */
  readonly cold: ColdLinks;
  /** Names of snapshots that are known to be damaged: no way leads over them. */
  readonly damaged: ReadonlySet<string>;
}

/** Freezes what was committed, then takes what is frozen, in one turn. */
export type Capture = (take: () => View) => Promise<View>;

/** The moment at which something was asked for. */
interface Asked {
  readonly target: CheckedTarget;
  /** Microseconds. */
  readonly now: number;
  /** Behind what was sealed, once that is durable. */
  readonly position: LogPosition;
}

export class Views {
  readonly #in: ViewsInput;
  /** Views that are open, with the snapshots that others can share. */
  readonly #open = new Map<View, readonly LoadedLink[]>();
  readonly #opening = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();

  constructor(input: ViewsInput) {
    this.#in = input;
    // Each snapshot that is being loaded listens.
    setMaxListeners(0, this.#abort.signal);
  }

  /** What a restore to a target would do. */
  async plan(target: unknown): Promise<StoreRestorePlan> {
    const asking = this.#ask(checkTarget(target, 'target'));
    return this.#during(async () => {
      const asked = await asking;
      return describePlan(await this.#in.retention.between(() => this.#plan(asked)));
    });
  }

  /** The state at a target. */
  async viewAt(target: unknown): Promise<View> {
    const asking = this.#ask(checkTarget(target, 'target'));
    return this.#during(async () => this.#viewAt(await asking));
  }

  /** The state as of the last commit, durable or not. */
  snapshot(capture: Capture): Promise<View> {
    return this.#during(() => capture(() => this.#take()));
  }

  /** Ends what is open, and what is being opened. */
  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#opening);
    for (const view of this.#open.keys()) await view.close();
  }

  async #ask(target: CheckedTarget): Promise<Asked> {
    const now = this.#in.space.now();
    return { target, now, position: await this.#in.writer.cut() };
  }

  /** Runs what opens something; one that the end of the engine stops is CLOSED. */
  async #during<T>(open: () => Promise<T>): Promise<T> {
    const opening = open();
    const settled = opening.then(
      () => {},
      () => {},
    );
    this.#opening.add(settled);
    try {
      return await opening;
    } catch (error) {
      if (!this.#abort.signal.aborted) throw systemFailure(error, 'opening a view');
      throw new ClosedError('CLOSED', 'the engine was closed meanwhile', error);
    } finally {
      this.#opening.delete(settled);
    }
  }

  async #plan(
    { target, now, position }: Asked,
    without: ReadonlyMap<number, TidemarkError> = new Map(),
  ): Promise<RestorePlan> {
    this.#in.life.assertOpen();
    const { fs, logDirectory, checkpoints, timelines, source, identity, damaged } = this.#in;
    if ((target.timeline ?? timelines.current) !== timelines.current) {
      // What is there of a future that was given up is all durable (T1).
      const files = new ReadOnlyFiles(source.fs, false);
      return (await planMoment(source, files, identity, { target, without })).plan;
    }
    const usable = await usableRecordsOf(
      {
        list: (prefix) => checkpoints.objects(prefix),
        read: (id) => checkpoints.read(id),
      },
      timelines.ancestry(),
    );
    const log = await findLogThrough(fs, logDirectory, position, timelines.ancestry());
    // A checkpoint that was published since the call is not of its past.
    const past = usable.records.filter((record) => record.lsn <= position.lsn);
    const isSound = ({ chain }: CheckpointRecord): boolean =>
      !chain.some(({ name }) => damaged.has(name));
    const records = past.filter((record) => isSound(record));
    const broken = [...usable.broken, ...past.filter((record) => !isSound(record))].filter(
      (record) => record.lsn <= position.lsn,
    );
    const input = { fs, target, log, lastLsn: position.lsn, now };
    return planRestore({ ...usable, ...input, records, broken, without });
  }

  /** A checkpoint that turns out to be damaged is done without, as by an opening. */
  #viewAt(asked: Asked): Promise<View> {
    return aroundDamage(async (without) => {
      const { plan, unpin } = await this.#in.retention.between(async () => {
        const found = await this.#plan(asked, without.of(this.#in.logDirectory));
        return { plan: found, unpin: this.#pin(found, asked.target.timeline) };
      });
      try {
        return await this.#build(asked, plan, unpin);
      } catch (error) {
        unpin();
        throw error;
      }
    });
  }

  /** Keeps what a plan reads; the function that is returned gives it up. */
  #pin({ lsn, record, ranges }: RestorePlan, timeline: number | undefined): () => void {
    const { pins } = this.#in;
    const reason = `a view of LSN ${lsn}`;
    const unpins = [
      ...(record ? [pins.add({ recordId: record.id, reason })] : []),
      ...(ranges.length > 0 ? [pins.add({ lsn, timeline, reason })] : []),
    ];
    return () => {
      for (const unpin of unpins) unpin();
    };
  }

  async #build(asked: Asked, plan: RestorePlan, unpin: () => void): Promise<View> {
    const { space: live, life: engine } = this.#in;
    const { record } = plan;
    const { logDirectory, transfer } = this.#in;
    const chain = { store: logDirectory, isLocal: transfer.isLocal };
    const chains = record ? [{ ...chain, id: record.id }] : [];
    const links = await readingChain(chains, () => this.#links(plan));
    const images = links.map(({ image }) => image);
    try {
      let lastTimestamp = plan.record?.timestamp ?? 0;
      if (plan.lsn > (plan.record?.lsn ?? 0)) {
        const tail = await this.#tail(plan);
        images.push(tail.image);
        ({ lastTimestamp } = tail);
      }
      engine.assertOpen();
      const now = asked.target.kind === 'latest' ? asked.now : (plan.time ?? lastTimestamp);
      const life = new ViewLife(plan.lsn);
      const space = viewSpace(live, life, now);
      space.lastTimestamp = lastTimestamp;
      space.setImages(images.toReversed(), plan.lsn);
      const positions = new PositionTable(live.codec);
      loadReserved(space, live.codec, positions);
      const known = space.loggedDefinitions().map(({ operator }) => operator);
      const missing = new MissingOperators(plan.record?.missing ?? [], known);
      const parts = { lsn: plan.lsn, life, space, positions, images, missing };
      return this.#add({ ...parts, ended: unpin }, links);
    } catch (error) {
      for (const image of images) image.release();
      throw error;
    }
  }

  /** The snapshots of a plan, oldest first, each with one reference for the caller. */
  async #links({ record }: RestorePlan): Promise<LoadedLink[]> {
    if (!record) return [];
    checkChain(record);
    const settled = await Promise.allSettled(record.chain.map((link) => this.#link(link)));
    const links = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const failed = settled.find((one) => one.status === 'rejected');
    if (!failed) return links;
    for (const { image } of links) image.release();
    throw failed.reason;
  }

  /** A snapshot that is in memory is retained in this turn; another one is loaded. */
  async #link(link: ChainLink): Promise<LoadedLink> {
    const { images, storeId, space, transfer, pool, slabs, cold } = this.#in;
    const held = [images.links, ...this.#open.values()].flat();
    const found = held.find((one) => one.link.name === link.name);
    if (found) {
      found.image.retain();
      return found;
    }
    const { seed, groupBits } = space.images;
    const { signal } = this.#abort;
    // Only what is looked into is loaded.
    const few = { ...cold, whole: false };
    return loadLink({ storeId, seed, groupBits, transfer, pool, slabs, signal, cold: few }, link);
  }

  /** The log behind the checkpoint as an image. */
  async #tail(plan: RestorePlan): Promise<{ image: Image; lastTimestamp: number }> {
    const { space, pool, slabs } = this.#in;
    const { seed, groupBits } = space.images;
    const { record, ranges, lsn } = plan;
    const output = await buildTailInParts(
      {
        ranges,
        fromLsn: record?.lsn ?? 0,
        fromTimestamp: record?.timestamp ?? 0,
        lastLsn: lsn,
        seed,
        groupBits,
        // Nothing is trimmed before the catalogue says how much of a list is kept.
        rules: [],
      },
      { pool, slabs, signal: this.#abort.signal },
    );
    const image = new Image(output.slices, { slabs, groupBits });
    if (output.lastLsn === lsn) return { image, lastTimestamp: output.lastTimestamp };
    image.release();
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${output.lastLsn} where ${lsn} was found`,
      { lsn: output.lastLsn + 1, expected: lsn, actual: output.lastLsn },
    );
  }

  /** What is frozen now, as a view. */
  #take(): View {
    const { life: engine, space: live, writer, cold } = this.#in;
    engine.assertOpen();
    const images = [...live.images.newestFirst];
    for (const image of images) image.retain();
    const lsn = writer.sealedLsn;
    const ended = this.#pinFiles(cold.residency.namesOf(images), lsn);
    const life = new ViewLife(lsn);
    const space = viewSpace(live, life, live.now());
    space.lastTimestamp = live.lastTimestamp;
    space.setImages(images, live.imagesLsn);
    live.shareFrozen(space);
    const positions = this.#in.positions.copy();
    const missing = new MissingOperators(this.#in.missing.names, []);
    return this.#add({ lsn, life, space, positions, images, missing, ended }, []);
  }

  /** Keeps files that are still to be loaded, behind the live state too. */
  #pinFiles(snapshots: readonly string[], lsn: number): () => void {
    if (snapshots.length === 0) return () => {};
    return this.#in.pins.add({ snapshots, reason: `a snapshot in memory of LSN ${lsn}` });
  }

  #add(parts: ViewParts, links: readonly LoadedLink[]): View {
    const view = new View({
      ...parts,
      ended: (ending) => {
        this.#open.delete(ending);
        parts.ended(ending);
      },
    });
    this.#open.set(view, links);
    return view;
  }
}
