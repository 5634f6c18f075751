/*
 * Events of an engine. A listener that throws stops nothing: its error is reported once as an
 * unhandled failure event of its own, and never reaches the engine's work.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { InvalidArgumentError } from '../errors.ts';

/** Something that a person should know and that stops nothing. */
export interface EngineWarning {
  readonly code: 'LISTENER_FAILED';
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Events and what their listeners are given. */
export interface EngineEvents {
  /** A checkpoint has been published. */
  checkpoint: CheckpointRecord;
  /** The chain has been merged into a new base. */
  merge: CheckpointRecord;
  warning: EngineWarning;
  /** Work in the background failed, or the engine stopped taking commits. */
  failure: unknown;
}

export type EngineEventName = keyof EngineEvents;
export type EngineListener<N extends EngineEventName> = (event: EngineEvents[N]) => void;

const eventNames: readonly string[] = ['checkpoint', 'merge', 'warning', 'failure'];

export class EventHub {
  readonly #listeners = new Map<EngineEventName, Set<(event: never) => void>>();

  /** Adds a listener; the function that is returned removes it. */
  on<N extends EngineEventName>(name: N, listener: EngineListener<N>): () => void {
    if (!eventNames.includes(name)) {
      throw new InvalidArgumentError('INVALID_NAME', `there is no such event: ${String(name)}`);
    }
    if (typeof listener !== 'function') {
      throw new InvalidArgumentError('INVALID_CALL', 'a listener must be a function');
    }
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  has(name: EngineEventName): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<N extends EngineEventName>(name: N, event: EngineEvents[N]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        (listener as EngineListener<N>)(event);
      } catch (error) {
        this.#listenerFailed(name, error);
      }
    }
  }

  /** Told to the listeners of warnings, unless the one that threw is one of them. */
  #listenerFailed(name: EngineEventName, error: unknown): void {
    this.failedListeners++;
    if (name === 'warning') return;
    const text = error instanceof Error ? error.message : String(error);
    const message = `a listener of '${name}' threw: ${text}`;
    this.emit('warning', { code: 'LISTENER_FAILED', message, details: { event: name, error } });
  }

  /** How often a listener threw; in `stats()`. */
  failedListeners = 0;
}
