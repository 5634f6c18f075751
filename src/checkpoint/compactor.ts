/*
 * Merges of the chain of an open engine: a run of adjacent snapshots becomes one, a base when it
 * starts with the base, while deltas go on being made behind it (C5). The record of a merge names
 * what it made, what was older, and the deltas made meanwhile. A merge that fails, is aborted or
 * takes too long leaves the old chain. One merge at a time.
 */
import { AbortedError } from '../errors.ts';
import { Image, type ImageOptions } from '../snapshot/image.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { Residency } from './residency/residency.ts';
import { assert, must } from '../std/assert.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { runMerge, type MergedSnapshot, type MergeOrder } from '../threads/merge-run.ts';
import {
  judgeBudget,
  planMerge,
  type BudgetState,
  type ChainState,
  type MergePlan,
  type NoMerge,
} from './chain-policy.ts';
import type { LoadedLink } from './chain-images.ts';
import { sampleOverlap } from './chain-overlap.ts';
import {
  snapshotName,
  type ChainLink,
  type CheckpointKind,
  type CheckpointRecord,
  type MergeStrategy,
} from './checkpoint-record.ts';
import {
  compressionOf,
  plainRequest,
  rulesOf,
  type CheckpointRequest,
  type CheckpointerInput,
} from './checkpointer-input.ts';
import { assertRoom, mergeRoom } from './free-space.ts';
import { belowMerge, mergeSource, tellingDamage, type BelowMerge } from './merge-parents.ts';
import type { Publisher } from './publisher.ts';
import { snapshotHeader } from './snapshot-tasks.ts';

/** A merge that is to be done. */
interface Order {
  readonly plan: Pick<MergePlan, 'start' | 'count' | 'outputBytes' | 'why'>;
  readonly strategy: MergeStrategy;
  readonly kind: CheckpointKind;
  readonly request: CheckpointRequest;
  /** What is read in place of the chain. */
  readonly other?: OtherInputs;
}

/** Another way to the state at the end of the chain. */
export interface OtherInputs {
  /** Where it leads. */
  readonly lsn: number;
  readonly sources: readonly MergeSource[];
  /** Names of the snapshots among them, which come first. */
  readonly inputs: readonly string[];
  readonly why: string;
}

const noLimits = { timeoutMs: undefined, signal: undefined } as const;
const mergeRequest: CheckpointRequest = { ...plainRequest, trigger: 'merge' };

export class Compactor {
  readonly #in: CheckpointerInput;
  readonly #publisher: Publisher;
  #running: Promise<unknown> | undefined;
  #background: Promise<void> | undefined;
  #held = false;
  #budget: BudgetState | undefined;
  #closing = false;

  constructor(input: CheckpointerInput, publisher: Publisher) {
    this.#in = input;
    this.#publisher = publisher;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Ranges that are merged at once at most. */
  get threadsMax(): number {
    return this.#in.mergeLimits.threadsMax;
  }

  /** The bound on rewriting forbids a merge that is due. */
  get held(): boolean {
    return this.#held;
  }

  /** As it was when the chain last changed; undefined before that in this opening. */
  get budget(): BudgetState | undefined {
    return this.#budget;
  }

  /** The chain as the policy sees it, with so much log behind it. */
  state(logBytes: number): ChainState {
    const { images, meter } = this.#in;
    const { links } = images;
    const { totals } = this.#publisher;
    const distinctShare = sampleOverlap(links.map(({ image }) => image));
    return { links: images.chain, logBytes, rates: meter.rates, totals, distinctShare };
  }

  /** What would be merged now, if anything. */
  plan(asked: boolean, strategy?: MergeStrategy): MergePlan | NoMerge {
    const { policy, events } = this.#in;
    const chain = this.state(this.#publisher.newest?.logBytes ?? 0);
    this.#budget = judgeBudget(chain, policy);
    events.budget(this.#budget);
    return planMerge(chain, strategy === undefined ? policy : { ...policy, strategy }, asked);
  }

  /** Starts a merge in the background when one is due. */
  consider(): void {
    if (this.#closing || this.#running || this.#background) return;
    // Given up for good on request: that is no failure to report at every checkpoint.
    if (this.#in.mergeLimits.signal?.aborted === true) return;
    const plan = this.plan(false);
    this.#held = !('start' in plan) && plan.held;
    this.#in.events.held(this.#held);
    if (!('start' in plan)) return;
    const { strategy } = this.#in.policy;
    const order: Order = { plan, strategy, kind: 'merge', request: mergeRequest };
    let failed = false;
    this.#background = this.#run(order)
      .then(() => {})
      .catch((error: unknown) => {
        failed = true;
        const asked = this.#in.mergeLimits.signal?.aborted === true;
        if (!this.#closing && !asked) this.#in.events.failure(error);
      })
      .finally(() => {
        this.#background = undefined;
        // What came meanwhile may ask for another one; a failure waits for the next checkpoint.
        if (!failed) this.consider();
      });
  }

  /** Merges what the policy chooses, because somebody asked; or says why there is nothing to do. */
  async merge(strategy: MergeStrategy): Promise<CheckpointRecord | NoMerge> {
    // Asked again behind each wait: another may have begun in between.
    while (this.#running) await this.#idle();
    const plan = this.plan(true, strategy);
    if (!('start' in plan)) return plan;
    const record = await this.#run({ plan, strategy, kind: 'merge', request: mergeRequest });
    // What came meanwhile may make another one due, and no checkpoint may be near.
    this.consider();
    return record;
  }

  /** Merges the whole chain into a base that is the checkpoint asked for; undefined: it is one. */
  async mergeAll(request: CheckpointRequest): Promise<CheckpointRecord | undefined> {
    // Asked again behind each wait: another may have begun in between.
    while (this.#running) await this.#idle();
    const { length } = this.#in.images.links;
    if (length < 2) return undefined;
    const { distinctShare, links } = this.state(0);
    const inputBytes = links.reduce((sum, link) => sum + link.bytes, 0);
    const outputBytes = Math.ceil(inputBytes * distinctShare(0, length));
    const plan = { start: 0, count: length, outputBytes, why: 'a base was asked for' };
    return this.#run({ plan, strategy: this.#in.policy.strategy, kind: 'base', request });
  }

  /** Makes a base of other inputs that lead to the end of the chain, in place of all of it. */
  async rebuild(other: OtherInputs): Promise<CheckpointRecord> {
    // Asked again behind each wait: another may have begun in between.
    while (this.#running) await this.#idle();
    const { links, bytes: outputBytes } = this.#in.images;
    const end = must(links.at(-1), 'a chain has links').link.lastLsn;
    // Nothing is published on a chain that is damaged, so it still ends there.
    assert(end === other.lsn, 'a chain is made anew up to its end', { end, lsn: other.lsn });
    const plan = { start: 0, count: links.length, outputBytes, why: other.why };
    const { strategy } = this.#in.policy;
    return this.#run({ plan, strategy, kind: 'merge', request: mergeRequest, other });
  }

  /** Nothing is begun any more, and what runs is not published. */
  close(): void {
    this.#closing = true;
  }

  /** Resolves when a merge that was cut off has cleared up behind itself. */
  async settled(): Promise<void> {
    await this.#background;
    await this.#running?.catch(() => {});
  }

  async #idle(): Promise<void> {
    // The one that ran reports its own failure.
    await this.#running?.catch(() => {});
  }

  /** Merges images within the limits of time and threads. */
  async #runMerge(
    sources: readonly MergeSource[],
    order: Pick<MergeOrder, 'stagedPath' | 'header' | 'dropTables'> & {
      readonly strategy: MergeStrategy;
      /** Ends at its signal, or when it takes too long. */
      readonly isLimited: boolean;
      readonly tables: readonly TableDefinition[];
      readonly below: BelowMerge;
    },
  ): Promise<MergedSnapshot> {
    const { pool, slabs, clock, mergeLimits, compression } = this.#in;
    const { stagedPath, header, strategy, isLimited, tables, below, dropTables = [] } = order;
    const { threadsMax, compressionBytesMin } = mergeLimits;
    const { timeoutMs, signal } = isLimited ? mergeLimits : noLimits;
    const packed = compressionOf(compression, tables);
    const bytesMin = compressionBytesMin === undefined ? {} : { bytesMin: compressionBytesMin };
    const limit = new AbortController();
    const give = (): void => limit.abort(signal?.reason);
    const timer =
      timeoutMs === undefined
        ? undefined
        : clock.setTimer(timeoutMs, () => limit.abort(tookTooLong(timeoutMs)));
    if (signal?.aborted === true) give();
    signal?.addEventListener('abort', give);
    try {
      return await runMerge(pool, {
        sources,
        stagedPath,
        header,
        ...below,
        rules: rulesOf(tables),
        compression: { ...packed, ...bytesMin },
        threadsMax: strategy === 'sequential' ? 1 : threadsMax,
        keepSlices: true,
        dropTables,
        signal: limit.signal,
        slabs,
      });
    } finally {
      timer?.cancel();
      signal?.removeEventListener('abort', give);
    }
  }

  #run(order: Order): Promise<CheckpointRecord> {
    const running = this.#merge(order).finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  /** What is damaged is made anew by a rebuild, which knows what of it can be trusted. */
  #assertSound(run: readonly LoadedLink[]): void {
    this.#in.soundness.assertSound(run.map(({ link }) => link));
  }

  async #merge({ plan, strategy, kind, request, other }: Order): Promise<CheckpointRecord> {
    const { transfer, slabs, groupBits, images, clock, events, residency } = this.#in;
    this.#publisher.assertMayPublish();
    assertRoom(this.#in, mergeRoom(plan.outputBytes));
    const { start, count } = plan;
    const run = images.links.slice(start, start + count);
    if (!other) this.#assertSound(run);
    const { lastLsn, lastTimestamp } = must(run.at(-1), 'a merge has inputs').link;
    const fromLsn = must(run[0], 'a merge has inputs').link.fromLsn;
    // Of a record that is durable: what is only sealed may still be lost, and trims nothing (C2).
    const { tables } = must(this.#publisher.newest, 'a chain has a record');
    const stagedPath = this.#publisher.stagedPath('merge');
    const last = { lsn: lastLsn, timestamp: lastTimestamp, tables };
    const base = start === 0;
    const { deduplicate } = this.#in.mergeLimits;
    const below = belowMerge(images.links.slice(0, start), run, deduplicate);
    const startedAt = clock.monotonicMs();
    const sources = other?.sources ?? run.map(({ image }) => mergeSource(image));
    const inputs = other?.inputs ?? run.map((input) => input.link.name);
    const { dropped } = residency;
    const merging = this.#runMerge(sources, {
      dropTables: dropped,
      stagedPath,
      header: snapshotHeader(this.#in, { base, fromLsn, last }),
      strategy,
      // Until a rebuild has ended nothing is published: giving it up would help nobody.
      isLimited: other === undefined,
      tables,
      below,
    });
    const output = await tellingDamage(merging, { residency, sources, inputs });
    const milliseconds = clock.monotonicMs() - startedAt;
    const merged = new MergedImage(residency, output.slices, { slabs, groupBits });
    const built = { image: merged, stagedPath, sha256: output.sha256 };
    const published = await this.#publisher.publish(built, async (id) => {
      // Nothing is published once the engine gives its directory up.
      if (this.#closing && kind === 'merge') throw new AbortedError('ABORTED', 'closing');
      const { sha256, bytes, entryCount, dataBytes } = output;
      const name = snapshotName(sha256, id);
      await transfer.publish(stagedPath, name);
      const file = { name, sha256, bytes, entryCount, dataBytes };
      const kindOfLink = base ? 'base' : 'delta';
      const link: ChainLink = { ...file, kind: kindOfLink, fromLsn, lastLsn, lastTimestamp };
      const { lsn, timestamp, position, tables, blobs } = must(
        this.#publisher.newest,
        'a chain has a record',
      );
      const before = images.chain;
      if (!other) this.#assertSound(run);
      const isThere = run.every((input, i) => images.links[start + i] === input);
      assert(isThere, 'a merge takes the place of what it has read', { start, count });
      const chain = [...before.slice(0, start), link, ...before.slice(start + count)];
      const inputBytes = run.reduce((sum, input) => sum + input.link.bytes, 0);
      const { why } = plan;
      const merge = { strategy, why, inputs, inputBytes, outputBytes: bytes, milliseconds };
      const { trigger } = request;
      const state = { lsn, timestamp, position, tables, blobs };
      const made = { id, kind, chain, ...state, logBytes: 0 } as const;
      const record = this.#publisher.record(
        { ...made, trigger, checkpointBytes: 0, merge },
        request,
      );
      const image = await merged.image(link, dropped);
      await this.#publisher.put(record);
      images.replaceRun(start, count, { link, image, parents: below.parents });
      return record;
    });
    // Whoever hears of it cannot undo it any more.
    events.merge(published);
    return published;
  }
}

/** What a merge gave, until it has an image. */
class MergedImage {
  readonly #residency: Residency;
  readonly #slices: readonly SliceDescriptor[];
  readonly #options: ImageOptions;
  #image: Image | undefined;

  constructor(residency: Residency, slices: readonly SliceDescriptor[], options: ImageOptions) {
    this.#residency = residency;
    this.#slices = slices;
    this.#options = options;
  }

  /** Its image: in part read from the file, which is under its name, when tables were dropped. */
  async image(link: ChainLink, dropped: readonly number[]): Promise<Image> {
    const resident = this.#slices;
    const isPartial = dropped.length > 0;
    this.#image = isPartial
      ? (await this.#residency.open(link, { whole: true, resident, dropped })).image
      : new Image(resident, this.#options);
    return this.#image;
  }

  release(): void {
    if (this.#image) this.#image.release();
    else for (const { buffer } of this.#slices) this.#options.slabs.release(buffer);
  }
}

function tookTooLong(timeoutMs: number): AbortedError {
  return new AbortedError('TIMEOUT', `the merge took longer than ${timeoutMs} ms`, { timeoutMs });
}
