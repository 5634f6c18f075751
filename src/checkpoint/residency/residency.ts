/*
 * Which slices of snapshots are in memory. Opening a snapshot reads its footer and nothing that
 * grows with it; its file stays open, and lookups read blocks of it through a cache, until a worker
 * has loaded a slice whole and the image takes it over. What is loaded when is load-queue.ts.
 *
 * A slice of which a part cannot be read is damaged: every reading of it throws from then on, and it
 * is told once. What others find in a file, a merge or a verification, is told here (`report`), and
 * stays known by the name of the snapshot, which is never used again (C3). Only reads; main thread only. Whoever gets an image releases it, which closes the
 * file; `close` closes what is left.
 */
import { AbortedError, TidemarkError, toStorageError } from '../../errors.ts';
import type { FileHandle, FileSystem } from '../../fs/file-system.ts';
import { BlockCache } from '../../snapshot/block-cache.ts';
import { ColdFile, type ColdFileWatcher } from '../../snapshot/cold-file.ts';
import { Image } from '../../snapshot/image.ts';
import type { SlabPool } from '../../snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../../snapshot/slice.ts';
import type { SnapshotHeader } from '../../snapshot/snapshot-format.ts';
import { corruptSnapshot } from '../../snapshot/snapshot-format.ts';
import { SnapshotReader, type Verification } from '../../snapshot/snapshot-reader.ts';
import { sliceEnd, type SliceRecord } from '../../snapshot/snapshot-footer.ts';
import { assert, must } from '../../std/assert.ts';
import type { TableDefinition } from '../../state/table-definition.ts';
import {
  loadSlices,
  loadSome,
  type LoadTools,
  type PlacedSlice,
} from '../../threads/snapshot-load.ts';
import type { TaskPool } from '../../threads/task-pool.ts';
import type { ChainLink } from '../checkpoint-record.ts';
import type { LocalCopy, SnapshotTransfer } from '../snapshot-transfer.ts';
import { LoadQueue, type LoadPolicy, type SlicePlace } from './load-queue.ts';

/** What slices are loaded with. */
export interface ResidencyInput {
  readonly fs: FileSystem;
  readonly transfer: SnapshotTransfer;
  readonly pool: TaskPool;
  readonly slabs: SlabPool;
  readonly groupBits: number;
  /** How much of a block is checked when it is read, and of a file when it is opened. */
  readonly verification: Verification;
  /** Bytes of blocks that are kept for slices that are not in memory. */
  readonly cacheBytesMax: number;
}

/** What is heard of slices. */
export interface ResidencyEvents {
  /** A slice of a snapshot cannot be read; told once for each. */
  damaged(damage: SliceDamage): void;
  /** Slices of a snapshot could not be loaded for another reason; they go on being read as files. */
  failed(error: unknown): void;
}

/** A slice that cannot be read, or a snapshot of which something is damaged. */
export interface SliceDamage {
  /** Of the snapshot. */
  readonly name: string;
  /** Undefined: of no slice that is read from the file. */
  readonly table: number | undefined;
  /** Checksums hold, and what they cover is wrong: what is in memory of it is no better. */
  readonly ofContents: boolean;
  readonly error: TidemarkError;
}

/** A snapshot whose slices are not in memory. */
export interface ColdLink {
  readonly image: Image;
  readonly header: SnapshotHeader;
  /** SHA-256 of the snapshots that it is valid on. */
  readonly parents: readonly string[];
}

/** How a snapshot is opened. */
export interface ColdOptions {
  /** Its slices are loaded even if nobody looks into them. */
  readonly whole: boolean;
  /** Slices of it that are in memory, in order: all but those of the tables that were dropped. */
  readonly resident?: readonly SliceDescriptor[];
  readonly dropped?: readonly number[];
}

interface Held {
  readonly name: string;
  readonly copy: LocalCopy;
  readonly handle: FileHandle;
  readonly image: Image;
  readonly waiting: Map<number, Waiting>;
  /** Could not be loaded, and not because of damage. */
  failed: boolean;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Residency implements ColdFileWatcher {
  readonly cache: BlockCache;
  readonly #in: ResidencyInput;
  readonly #queue = new LoadQueue();
  readonly #held = new Map<ColdFile, Held>();
  readonly #closing = new Set<Promise<void>>();
  readonly #damaged: SliceDamage[] = [];
  #definitions: () => readonly TableDefinition[] = () => [];
  #events: ResidencyEvents | undefined;
  #loadsMax = 0;
  #loading = 0;
  #closed = false;

  constructor(input: ResidencyInput) {
    this.#in = input;
    this.cache = new BlockCache(input.cacheBytesMax);
  }

  /** Starts loading, so many parts at once; what was found damaged before is told now. */
  start(policy: LoadPolicy, loadsMax: number, events: ResidencyEvents): void {
    this.#events = events;
    this.#loadsMax = loadsMax;
    this.#queue.start(policy);
    for (const damage of this.#damaged) events.damaged(damage);
    this.#pump();
  }

  /** Opens the snapshot of a link; the caller holds one reference of its image. */
  async open(link: Pick<ChainLink, 'name' | 'bytes'>, options: ColdOptions): Promise<ColdLink> {
    const { fs, transfer, verification, slabs, groupBits } = this.#in;
    const copy = await transfer.makeLocal(link.name);
    const { path } = copy;
    let handle: FileHandle | undefined;
    try {
      handle = await openFile(fs, path);
      const reader = await SnapshotReader.open(handle, path);
      // What is served stands in the footer; a front that differs is damage all the same.
      if (verification !== 'none') await reader.checkFrontHeader();
      const { footer, bytes } = reader;
      if (bytes !== link.bytes) {
        const details = { expected: link.bytes, actual: bytes };
        throw corruptSnapshot({ path, offset: bytes }, 'has another size than is due', details);
      }
      if (this.#closed) throw new AbortedError('ABORTED', 'the engine is closing');
      const { cache, checksBlocks: checks } = this;
      const file = new ColdFile({ handle, path, footer, cache, checks, watcher: this });
      const resident = placed(footer.slices, options);
      const image = new Image(resident, { slabs, groupBits }, file);
      const { name } = link;
      const held = { name, copy, handle, image, waiting: new Map(), failed: false };
      this.#held.set(file, held);
      this.#queue.add(image, options.whole);
      this.#pump();
      return { image, header: footer.header, parents: footer.parents };
    } catch (error) {
      await handle?.close();
      await copy.discard();
      throw error;
    }
  }

  /** Blocks are compared with their checksums before anything of them is in memory. */
  get checksBlocks(): boolean {
    const { verification } = this.#in;
    return verification === 'standard' || verification === 'full';
  }

  /** From now on these say which tables belong in memory. */
  follow(definitions: () => readonly TableDefinition[]): void {
    this.#definitions = definitions;
  }

  /** Whether slices of a table belong in memory. */
  keeps(table: number): boolean {
    return !this.dropped.includes(table);
  }

  get keepsAll(): boolean {
    return this.dropped.length === 0;
  }

  /** Tables whose slices stay in files. */
  get dropped(): number[] {
    return this.#definitions().flatMap(({ id, resident }) => (resident === false ? [id] : []));
  }

  /**
   * Leaves the slices of a snapshot that was just published, and that do not belong in memory, to its
   * file. Where that cannot be opened they stay, and it is told. The image is taken over.
   */
  async settle(link: Pick<ChainLink, 'name' | 'bytes'>, image: Image): Promise<Image> {
    const { dropped } = this;
    const kept = image.descriptors.filter(({ table }) => !dropped.includes(table));
    if (kept.length === image.slices.length) return image;
    try {
      const cold = await this.open(link, { whole: true, resident: kept, dropped });
      image.releaseAllBut(kept);
      return cold.image;
    } catch (error) {
      this.#events?.failed(error);
      return image;
    }
  }

  /**
   * Loads all slices of an image that belong in memory, before anything is served. With `full` the
   * others are read and checked as well, and the digest compared. Ends at the signal.
   */
  async loadAll(image: Image, { sha256 }: Pick<ChainLink, 'sha256'>, on: LoadTools): Promise<void> {
    const held = must(image.file && this.#held.get(image.file), 'the image is read from a file');
    const { dropped } = this;
    const { verification } = this.#in;
    const slices = held.image.slices.map(({ cold }, index) => {
      return { index, record: must(cold, 'a slice is in its file').record };
    });
    const isKept = ({ record }: PlacedSlice): boolean => !dropped.includes(record.table);
    const kept = slices.filter(isKept);
    const checked = verification === 'full' ? slices.filter((slice) => !isKept(slice)) : [];
    const file = { path: held.copy.path, sha256, verification };
    const loaded = await loadSome(file, { kept, checked }, on);
    loaded.forEach((descriptor, i) => this.#install(held, kept[i]!.index, descriptor));
  }

  /** Loads slices before all others; resolves when they are in memory or nobody needs them. */
  async load(places: readonly SlicePlace[]): Promise<void> {
    const waiting: Promise<void>[] = [];
    for (const place of places) {
      const { image, index } = place;
      const { slice, cold } = image.slices[index]!;
      const held = image.file && this.#held.get(image.file);
      if (slice || !held) continue;
      if (cold?.fault) throw cold.fault;
      this.#queue.ask(place);
      waiting.push(waitFor(held, index));
    }
    this.#pump();
    await Promise.all(waiting);
  }

  /** Damage of one of these snapshots, if it was found. */
  damageAmong(names: readonly string[]): SliceDamage | undefined {
    return this.#damaged.find(({ name }) => names.includes(name));
  }

  /** The slices of a snapshot that are in memory are what they were when they were written. */
  isSoundInMemory(name: string): boolean {
    return !this.#damaged.some((one) => one.name === name && one.ofContents);
  }

  /**
   * Somebody else met this in the file of a snapshot; what is no damage is left alone. Where the place
   * is in a slice that is read from the file, the slice throws from then on.
   */
  report(name: string, error: TidemarkError, ofContents = false): void {
    if (!isDamaged(error)) return;
    const { offset } = error.details;
    for (const [file, held] of this.#held) {
      if (held.name !== name || typeof offset !== 'number') continue;
      const index = file.slices.findIndex(
        ({ record }) => offset >= record.offset && offset < sliceEnd(record),
      );
      if (index >= 0) this.#markDamaged(held, index, { error, ofContents });
    }
    const known = this.#damaged.filter((one) => one.name === name);
    if (known.some((one) => one.ofContents || !ofContents)) return;
    this.#tell({ name, table: undefined, ofContents, error });
  }

  /** Of the snapshots that images are read from, those of which something is not in memory. */
  namesOf(images: readonly Image[]): string[] {
    return images.flatMap((image) => {
      const held = image.file && this.#held.get(image.file);
      return held && !image.isResident ? [held.name] : [];
    });
  }

  /** Loads nothing any more, and closes every file. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const file of this.#held.keys()) file.close();
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  used(file: ColdFile, index: number): void {
    const held = this.#held.get(file);
    if (!held) return;
    this.#queue.use({ image: held.image, index });
    this.#pump();
  }

  failed(file: ColdFile, index: number, error: TidemarkError): void {
    const held = this.#held.get(file);
    if (held) this.#markDamaged(held, index, { error, ofContents: false });
  }

  closed(file: ColdFile): void {
    const held = this.#held.get(file);
    if (!held) return;
    this.#held.delete(file);
    this.#queue.remove(held.image);
    for (const { resolve } of held.waiting.values()) resolve();
    const closing = this.#end(held).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async #end({ handle, copy }: Held): Promise<void> {
    // A handle that cannot be closed is no reason to keep the copy.
    for (const end of [() => handle.close(), () => copy.discard()]) {
      try {
        await end();
      } catch (error) {
        this.#events?.failed(toStorageError(error, 'close', copy.path));
      }
    }
  }

  #markDamaged(
    held: Held,
    index: number,
    { error, ofContents }: Pick<SliceDamage, 'error' | 'ofContents'>,
  ): void {
    const cold = must(held.image.slices[index]?.cold, 'a file has the slice that failed');
    if (cold.fault || !isDamaged(error)) return;
    cold.markDamaged(error);
    this.#settle(held, index, error);
    this.#tell({ name: held.name, table: cold.record.table, ofContents, error });
  }

  #tell(damage: SliceDamage): void {
    this.#damaged.push(damage);
    this.#events?.damaged(damage);
  }

  #pump(): void {
    while (this.#loading < this.#loadsMax && !this.#closed) {
      const next = this.#queue.next();
      for (const place of this.#queue.refused()) this.#notNeeded(place);
      if (!next) return;
      const { image, indexes } = next;
      const held = image.file && this.#held.get(image.file);
      if (!held) continue;
      this.#loading++;
      void this.#load(held, indexes).finally(() => {
        this.#loading--;
        this.#pump();
      });
    }
  }

  /** Loads slices of a file in one task; each by itself when one of them cannot be loaded. */
  async #load(held: Held, indexes: readonly number[]): Promise<void> {
    const { image } = held;
    const slices = indexes.map((index) => ({
      index,
      record: must(image.slices[index]?.cold, 'a slice is in its file').record,
    }));
    const { path } = held.copy;
    const { verification, pool, slabs } = this.#in;
    try {
      const loaded = await loadSlices({ path, verification }, slices, { pool, slabs });
      loaded.forEach((descriptor, i) => this.#install(held, indexes[i]!, descriptor));
    } catch (error) {
      if (image.isReleased || this.#closed) return;
      if (indexes.length > 1) for (const index of indexes) await this.#load(held, [index]);
      else this.#notLoaded(held, indexes[0]!, error);
    }
  }

  #install(held: Held, index: number, descriptor: SliceDescriptor): void {
    const fault = held.image.slices[index]?.cold?.fault;
    // Damaged once is damaged: what a worker has read since is not trusted more.
    const isTaken = fault === undefined && held.image.install(index, descriptor);
    if (!isTaken) this.#in.slabs.release(descriptor.buffer);
    this.#settle(held, index, fault);
  }

  #notLoaded(held: Held, index: number, error: unknown): void {
    if (error instanceof TidemarkError && isDamaged(error)) {
      this.failed(must(held.image.file, 'the image has a file'), index, error);
      return;
    }
    for (const { reject } of held.waiting.values()) reject(error);
    held.waiting.clear();
    // The threads are ending with the engine: nothing has failed, and nothing is tried once more.
    if (error instanceof AbortedError) return;
    // Whatever it was, it goes on being served from the file; what is used next is tried once more.
    this.#queue.remove(held.image);
    this.#queue.add(held.image, false);
    if (held.failed) return;
    held.failed = true;
    this.#events?.failed(error);
  }

  /** Whoever waits for a slice that stays in its file has what there is. */
  #notNeeded({ image, index }: SlicePlace): void {
    const held = image.file && this.#held.get(image.file);
    if (held) this.#settle(held, index, undefined);
  }

  #settle(held: Held, index: number, error: unknown): void {
    const waiting = held.waiting.get(index);
    held.waiting.delete(index);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(error);
  }
}

/** Slices in memory by their place in the file. */
function placed(
  records: readonly SliceRecord[],
  { resident, dropped = [] }: ColdOptions,
): readonly (SliceDescriptor | undefined)[] {
  if (!resident) return [];
  let next = 0;
  const slices = records.map(({ table }) =>
    dropped.includes(table) ? undefined : resident[next++],
  );
  assert(next === resident.length, 'slices in memory are those of the file');
  return slices;
}

/** The bytes are bad, or the disk cannot read its own sectors. */
function isDamaged(error: TidemarkError): boolean {
  return error.kind === 'corrupt' || (error.code === 'IO' && error.details['errno'] === 'EIO');
}

function waitFor({ waiting }: Held, index: number): Promise<void> {
  const known = waiting.get(index);
  if (known) return known.promise;
  let settle: Pick<Waiting, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Whoever asked may be gone by then: told that another slice of its call is damaged.
  promise.catch(() => {});
  waiting.set(index, { promise, ...must(settle, 'a promise is made at the call') });
  return promise;
}

async function openFile(fs: FileSystem, path: string): Promise<FileHandle> {
  try {
    return await fs.open(path, 'read');
  } catch (error) {
    throw toStorageError(error, 'open', path);
  }
}
