/*
 * The past of an open engine: what its keys held, what differs between two moments, and the
 * feed of its commits. Read from its files as any
 * other reader does, so it costs the engine's own work nothing but the processor, and sees what has
 * been written: a commit that was awaited at level 'disk' or 'os' is there.
 * The engine delegates here; nothing here changes anything.
 */
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import type { Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import {
  checkChangeOptions,
  readChanges,
  type ChangedCommit,
  type ChangeOptions,
} from '../recovery/change-feed.ts';
import { checkDiff, diffMoments, type StateChange, type StateNames } from '../recovery/diff.ts';
import { checkKeyOf, readHistory, type HistoryVersion } from '../recovery/history.ts';
import { listTimelinesOf, type TimelineList } from '../recovery/list-timelines.ts';
import { selectTables } from '../recovery/moment-tables.ts';
import type { ReaderSource } from '../recovery/reader-moment.ts';
import type { Target } from '../recovery/target.ts';
import { knownOnly } from '../std/option-checks.ts';
import type { TableDefinition } from '../state/table-definition.ts';

/** What the past is read from. */
export interface TimeTravelInput {
  readonly source: ReaderSource;
  readonly decoder: ValueDecoder;
  readonly pins: PinSet;
  readonly durableLsn: () => number;
  readonly definitions: () => readonly TableDefinition[];
  /** Throws when no commit will become durable any more. */
  readonly assertWritable: () => void;
}

/** A key of a state, or one sub-key of it. */
export interface NamedKey {
  readonly operator: string;
  readonly state: string;
  readonly key: Key;
  readonly subKey: Key | undefined;
}

export class TimeTravel {
  readonly #in: TimeTravelInput;
  /** Feeds that wait. */
  readonly #waiting = new Set<() => void>();

  constructor(input: TimeTravelInput) {
    this.#in = input;
  }

  diff(from: Target, to: Target, names: StateNames): AsyncGenerator<StateChange> {
    knownOnly(names, ['operator', 'state']);
    const { source, decoder } = this.#in;
    return diffMoments(source, decoder, checkDiff(from, to, names));
  }

  history({ operator, state, key, subKey }: NamedKey): AsyncGenerator<HistoryVersion> {
    const { source, decoder, pins, durableLsn, definitions } = this.#in;
    const [definition] = selectTables(definitions(), operator, state);
    checkKeyOf(definition!, key, subKey);
    return readHistory({
      source,
      decoder,
      pins,
      definition: definition!,
      key,
      subKey,
      throughLsn: Number.MAX_SAFE_INTEGER,
      now: source.clock.nowMicros(),
      durableLsn: durableLsn(),
    });
  }

  changes(options: ChangeOptions): AsyncGenerator<ChangedCommit> {
    const { source, decoder, pins, durableLsn } = this.#in;
    return readChanges({
      source,
      decoder,
      pins,
      options: checkChangeOptions(options),
      prepare: () => Promise.resolve(),
      durableLsn,
      wait: ({ throughLsn }, signal) => this.#moreThan(throughLsn, signal),
    });
  }

  timelines(): Promise<TimelineList> {
    return listTimelinesOf(this.#in.source);
  }

  /** Something became durable, or nothing will any more. */
  wake(): void {
    for (const resolve of this.#waiting) resolve();
  }

  async #moreThan(lsn: number, signal: AbortSignal): Promise<void> {
    const { durableLsn, assertWritable } = this.#in;
    while (!signal.aborted && durableLsn() <= lsn) {
      assertWritable();
      await new Promise<void>((resolve) => {
        const end = (): void => {
          this.#waiting.delete(end);
          signal.removeEventListener('abort', end);
          resolve();
        };
        this.#waiting.add(end);
        signal.addEventListener('abort', end);
      });
    }
  }
}
