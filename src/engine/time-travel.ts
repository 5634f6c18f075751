/*
 * The past of an open engine: what differs between two of its moments. Read from its files as any
 * other reader does, so it costs the engine's own work nothing but the processor, and sees what has
 * been written: a commit that was awaited at level 'disk' or 'os' is there.
 * The engine delegates here; nothing here changes anything.
 */
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { checkDiff, diffMoments, type StateChange, type StateNames } from '../recovery/diff.ts';
import type { ReaderSource } from '../recovery/reader-moment.ts';
import type { Target } from '../recovery/target.ts';
import { knownOnly } from '../std/option-checks.ts';

/** What the past is read from. */
export interface TimeTravelInput {
  readonly source: ReaderSource;
  readonly decoder: ValueDecoder;
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
}
