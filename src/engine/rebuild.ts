/*
 * Damage that is found after the opening: a slice of a snapshot of the chain cannot be read. Reads of
 * it throw; the whole chain is made anew as one base, from the newest checkpoint that does without
 * what is damaged, and the log behind that, up to the LSN of the newest record: the newest way that
 * loses nothing. Where there is none, and all that is damaged in files stands in memory as it was
 * written, it is made of that. When its record is durable its image takes the place of the chain.
 *
 * Until then nothing is published that names a damaged snapshot: checkpoints wait, and fail when
 * there is no way. Retention keeps other ways, as for damage that an opening finds. A rebuild that
 * fails is tried again by the next checkpoint; one that is cut off, as the engine closes, says nothing.
 */
import type { ChainImages, LoadedLink } from '../checkpoint/chain-images.ts';
import type { CheckpointRecord, ChainLink } from '../checkpoint/checkpoint-record.ts';
import { mergeSource } from '../checkpoint/merge-parents.ts';
import type { SliceDamage } from '../checkpoint/residency/residency.ts';
import { CorruptionError, TidemarkError, type ErrorKind } from '../errors.ts';
import { must } from '../std/assert.ts';
import type { BackgroundFailures } from './background-failures.ts';
import type { DamageEvent, EventHub } from './events.ts';
import { RebuildWays, type WaysInput } from './rebuild-ways.ts';

/** What a rebuild stands on. */
export interface RebuildInput extends WaysInput {
  readonly images: ChainImages;
  /** Names of snapshots that retention counts as damaged. */
  readonly damaged: Set<string>;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
}

/** What is told where no file or log leads to the state. */
const noWay: readonly ErrorKind[] = ['corrupt', 'missing'];
/** What a rebuild ends with that was cut off. */
const isCutOff: readonly ErrorKind[] = ['aborted', 'closed'];

export class Rebuild {
  readonly #in: RebuildInput;
  readonly #ways: RebuildWays;
  #running: Promise<void> | undefined;
  #closing = false;

  constructor(input: RebuildInput) {
    this.#in = input;
    this.#ways = new RebuildWays(input);
  }

  /** Something of a snapshot is damaged. */
  damaged(damage: SliceDamage): void {
    this.#in.damaged.add(damage.name);
    this.#tell('found', damage);
    // Files of older moments are no part of what comes.
    if (this.#inChain(damage.name)) this.#start(damage);
    else if (this.#running) this.#ways.met(damage.name);
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
    this.#ways.begin();
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
      // The engine closes, or has stopped: nothing is known of ways, and the next opening finds one.
      if (this.#closing || (error instanceof TidemarkError && isCutOff.includes(error.kind)))
        return;
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
    const { checkpointer } = this.#in;
    const isNeeded = (): boolean => this.#found() !== undefined;
    for (;;) {
      const way = await this.#ways.find(isNeeded);
      // A merge that had begun before the damage was found has healed the chain.
      if (!way) return must(checkpointer.newest, 'a chain has a record');
      try {
        const { record, sources, lsn } = way;
        const from = record ? `checkpoint ${record.id} and the log behind it` : 'the log';
        const why = `${damage.name} cannot be read: made anew from ${from}`;
        const inputs = record?.chain.map(({ name }) => name) ?? [];
        return await checkpointer.compactor.rebuild({ lsn, sources, inputs, why });
      } catch (error) {
        if (!this.#ways.goesOnWithout(way.record, error)) throw error;
      } finally {
        await way.release();
      }
    }
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
