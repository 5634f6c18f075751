/*
 * The past of an open engine: what its keys held, and what differs between two moments. Read from its files as any
 * other reader does, so it costs the engine's own work nothing but the processor, and sees what has
 * been written: a commit that was awaited at level 'disk' or 'os' is there.
 * The engine delegates here; nothing here changes anything.
 */
import type { PinSet } from '../checkpoint/retention-pins.ts';
import type { Key } from '../codec/key.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { checkDiff, diffMoments, type StateChange, type StateNames } from '../recovery/diff.ts';
import { checkKeyOf, readHistory, type HistoryVersion } from '../recovery/history.ts';
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
}
