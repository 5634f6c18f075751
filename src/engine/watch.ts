/*
 * Warnings of what is about to become a problem. Each is told once when it begins, and again only
 * after it has been over.
 */
import type { BudgetState } from '../checkpoint/chain-policy.ts';
import type { CheckpointEvents } from '../checkpoint/checkpointer-input.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { EventHub, EngineWarning } from './events.ts';

/** A snapshot above it is told. */
export const snapshotBytesLarge: number = 1024 * 1024 * 1024;
/** Less free space than that is told. */
export const freeBytesLow: number = 1024 * 1024 * 1024;
/** Buffers that are full to this part are told. */
export const buffersShare = 0.8;

type Code = EngineWarning['code'];

export class Watch {
  readonly #hub: EventHub;
  readonly #freeBytes: () => number | undefined;
  readonly #on = new Set<Code>();

  constructor(hub: EventHub, freeBytes: () => number | undefined) {
    this.#hub = hub;
    this.#freeBytes = freeBytes;
  }

  /** A checkpoint or a merge has been published. */
  published(record: CheckpointRecord): void {
    const largest = record.chain.reduce((most, link) => (link.bytes > most.bytes ? link : most));
    this.#tell('SNAPSHOT_LARGE', largest.bytes > snapshotBytesLarge, () => ({
      message: `a snapshot has ${largest.bytes} bytes`,
      details: { name: largest.name, bytes: largest.bytes },
    }));
    const freeBytes = this.#freeBytes();
    // It cannot be told now: the next checkpoint asks again.
    if (freeBytes === undefined) return;
    this.#tell('DISK_LOW', freeBytes < freeBytesLow, () => ({
      message: `a volume of the store has ${freeBytes} bytes free`,
      details: { freeBytes },
    }));
  }

  /** Where a restore stands against its budget was judged. */
  budget({ state, estimate, floor }: BudgetState): void {
    const details = { seconds: estimate.seconds, bytes: estimate.bytes };
    const shown = `${estimate.seconds.toFixed(3)} s and ${estimate.bytes} bytes`;
    this.#tell('BUDGET_NEAR', state === 'near' || state === 'over', () => ({
      message: `a restore is estimated at ${shown}, near its budget or over it`,
      details: { ...details, state },
    }));
    this.#tell('BUDGET_UNREACHABLE', state === 'unreachable', () => ({
      message: `the budget of a restore is below the cost of one base, ${floor.seconds.toFixed(3)} s and ${floor.bytes} bytes`,
      details: { floorSeconds: floor.seconds, floorBytes: floor.bytes },
    }));
  }

  /** A merge that is due is held by the bound on rewriting, or no longer. */
  held(isHeld: boolean): void {
    this.#tell('MERGE_HELD', isHeld, () => ({
      message: 'a merge is due and held by mergeBytesPerLogByteMax',
      details: {},
    }));
  }

  /** How full the buffers are, as parts of their bounds. */
  buffers(memtables: number, log: number): void {
    const isOn = memtables >= buffersShare || log >= buffersShare;
    if (!isOn && this.#on.size === 0) return;
    this.#tell('BUFFERS_FULL', isOn, () => ({
      message: `buffers fill up: memtables ${percent(memtables)}, log ${percent(log)} of their bounds`,
      details: { memtables, log },
    }));
  }

  #tell(code: Code, isOn: boolean, make: () => Omit<EngineWarning, 'code'>): void {
    if (!isOn) {
      this.#on.delete(code);
      return;
    }
    if (this.#on.has(code)) return;
    this.#on.add(code);
    this.#hub.warn({ code, ...make() });
  }
}

/** Tells listeners, watches, and has collected, what checkpoints and merges report. */
export function checkpointEvents(
  hub: EventHub,
  watch: Watch,
  on: { collect(): void; fail(error: unknown): void },
): CheckpointEvents {
  return {
    checkpoint(record) {
      hub.emit('checkpoint', record);
      watch.published(record);
      on.collect();
    },
    merge(record) {
      hub.emit('merge', record);
      watch.published(record);
      on.collect();
    },
    budget: (budget) => watch.budget(budget),
    held: (isHeld) => watch.held(isHeld),
    failure: (error) => on.fail(error),
  };
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
