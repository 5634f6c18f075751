/*
 * Events of an engine. A listener that throws, or whose promise rejects, stops nothing: it is told
 * as a warning, counted in `stats()`, and never reaches the engine's work. What the opening has to
 * warn of is kept for the first listener of warnings, since nobody can listen before.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { InvalidArgumentError, type TidemarkError } from '../errors.ts';
import type { CollectionReport } from './retention.ts';
import type { ScrubReport } from './verifier.ts';

/** Something that a person should know and that stops nothing. */
export interface EngineWarning {
  readonly code:
    | 'TORN_TAIL'
    | 'DAMAGED_HISTORY'
    | 'CHECKPOINT_SKIPPED'
    | 'SNAPSHOT_DAMAGED'
    | 'COMMITS_LOST'
    | 'OPERATORS_MISSING'
    | 'DAMAGE_FOUND'
    | 'LISTENER_FAILED'
    | 'RECORDING_ENDED'
    | 'SNAPSHOT_LARGE'
    | 'DISK_LOW'
    | 'BUDGET_NEAR'
    | 'BUDGET_UNREACHABLE'
    | 'MERGE_HELD'
    | 'BUFFERS_FULL';
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Damage of a snapshot was found after the opening: by a read, a merge or a verification. */
export interface DamageEvent {
  /**
   * What becomes of it. `found`: reads of what is not in memory throw; `rebuilt`: they no longer do;
   * `lost`: there is no way. A snapshot that the state does not need is only found.
   */
  readonly outcome: 'found' | 'rebuilt' | 'lost';
  /** Name of the snapshot. */
  readonly snapshot: string;
  /** Of the state that it belongs to, if it is known; undefined for what the engine keeps for itself. */
  readonly operator: string | undefined;
  readonly state: string | undefined;
  /** What reads throw. */
  readonly error: TidemarkError;
  /** `rebuilt`: the id of the checkpoint that is sound again. */
  readonly checkpoint: number | undefined;
  /** `lost`: why there is no way to what was there; a checkpoint tries again. */
  readonly cause: unknown;
}

/** Events and what their listeners are given. */
export interface EngineEvents {
  /** A checkpoint has been published. */
  checkpoint: CheckpointRecord;
  /** A run of the chain has been merged into one snapshot. */
  merge: CheckpointRecord;
  /** A collection has ended; what it kept and deleted, and why. */
  collect: CollectionReport;
  /** A scrub has ended; what it found. */
  scrub: ScrubReport;
  /** A part of a snapshot cannot be read. */
  damage: DamageEvent;
  warning: EngineWarning;
  /** Work in the background failed, or the engine stopped taking commits. */
  failure: unknown;
}

export type EngineEventName = keyof EngineEvents;
export type EngineListener<N extends EngineEventName> = (event: EngineEvents[N]) => void;

/** Warnings that are kept while nobody listens. */
const keptMax = 100;

const eventNames: readonly string[] = [
  'checkpoint',
  'merge',
  'collect',
  'scrub',
  'damage',
  'warning',
  'failure',
];

interface Registered {
  readonly listener: (event: never) => unknown;
}

export class EventHub {
  readonly #listeners = new Map<EngineEventName, readonly Registered[]>();
  #kept: EngineWarning[] = [];
  #failedListeners = 0;

  /** How often a listener threw; in `stats()`. */
  get failedListeners(): number {
    return this.#failedListeners;
  }

  /** Adds a listener; the function that is returned removes it. */
  on<N extends EngineEventName>(name: N, listener: EngineListener<N>): () => void {
    const asked: unknown = name;
    if (!eventNames.includes(name)) {
      throw new InvalidArgumentError(
        'INVALID_NAME',
        `there is no such event, there are ${eventNames.join(', ')}: ${String(asked)}`,
        { event: asked, known: eventNames },
      );
    }
    if (typeof listener !== 'function') {
      throw new InvalidArgumentError('INVALID_CALL', 'a listener must be a function');
    }
    const registered = { listener };
    // A new list each time: an emission that is under way goes on over the old one.
    this.#listeners.set(name, [...this.#of(name), registered]);
    if (name === 'warning' && this.#kept.length > 0) queueMicrotask(() => this.#tellKept());
    return () => {
      this.#listeners.set(
        name,
        this.#of(name).filter((other) => other !== registered),
      );
    };
  }

  has(name: EngineEventName): boolean {
    return this.#of(name).length > 0;
  }

  emit<N extends EngineEventName>(name: N, event: EngineEvents[N]): void {
    for (const { listener } of this.#of(name)) {
      try {
        const result = (listener as (event: EngineEvents[N]) => unknown)(event);
        if (result instanceof Promise) {
          result.catch((error: unknown) => this.#listenerFailed(name, error));
        }
      } catch (error) {
        this.#listenerFailed(name, error);
      }
    }
  }

  /** Tells a warning, or keeps it for the first listener; of many the newest are kept. */
  warn(warning: EngineWarning): void {
    if (this.has('warning')) {
      this.emit('warning', warning);
      return;
    }
    this.#kept.push(warning);
    if (this.#kept.length > keptMax) this.#kept.shift();
  }

  #of(name: EngineEventName): readonly Registered[] {
    return this.#listeners.get(name) ?? [];
  }

  #tellKept(): void {
    if (!this.has('warning')) return;
    for (const warning of this.#kept.splice(0)) this.emit('warning', warning);
  }

  /** Told to the listeners of warnings, unless the one that threw is one of them. */
  #listenerFailed(name: EngineEventName, error: unknown): void {
    this.#failedListeners++;
    if (name === 'warning') return;
    const text = error instanceof Error ? error.message : String(error);
    const message = `a listener of '${name}' threw: ${text}`;
    this.emit('warning', { code: 'LISTENER_FAILED', message, details: { event: name, error } });
  }
}
