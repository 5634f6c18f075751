/*
 * A view: a read-only engine at one moment, beside the live one. It is a StateSpace of its own over
 * images, and for a snapshot in memory over frozen memtables too; nothing of it changes, so reads
 * need no file, no lock and no thread. Views are made by views.ts, which also closes those that are
 * open when the engine closes.
 */
import { ClosedError, InvalidArgumentError } from '../errors.ts';
import type { Image } from '../snapshot/image.ts';
import type { Operator } from '../state/operator.ts';
import { StateSpace } from '../state/state-space.ts';
import type { MissingOperators } from './missing-operators.ts';
import { Operators } from './operators.ts';
import type { Positions, PositionTable } from './positions.ts';

/** What a view is made of. */
export interface ViewParts {
  readonly lsn: number;
  readonly life: ViewLife;
  readonly space: StateSpace;
  readonly positions: PositionTable;
  /** The view holds one reference of each. */
  readonly images: readonly Image[];
  /** Operators that the moment lacks because they were damaged. */
  readonly missing: MissingOperators;
  /** Called once, when the view ends. */
  readonly ended: (view: View) => void;
}

/** Whether a view and its handles take calls. */
export class ViewLife {
  readonly lsn: number;
  closed = false;

  constructor(lsn: number) {
    this.lsn = lsn;
  }

  assertOpen(): void {
    if (this.closed) throw new ClosedError('CLOSED', 'the view is closed');
  }

  assertWritable(): void {
    this.assertOpen();
    throw new InvalidArgumentError('READ_ONLY', 'this is a view: nothing can be changed in it', {
      lsn: this.lsn,
    });
  }
}

/** A space for a view, which judges expiry by one time (microseconds) for good. */
export function viewSpace(live: StateSpace, life: ViewLife, now: number): StateSpace {
  const { codec, checks } = live;
  const { seed, groupBits } = live.images;
  return new StateSpace({
    codec,
    clock: { nowMicros: () => now },
    seed,
    groupBits,
    checks,
    recordBytesMax: Number.MAX_SAFE_INTEGER,
    assertOpen: () => life.assertOpen(),
    assertWritable: () => life.assertWritable(),
    whileCalling: (call) => call(),
    isView: true,
    versioningOf: (operator, state) => live.versioningOf(operator, state),
  });
}

/**
 * The state at one moment, made by `engine.viewAt` and `engine.snapshot`. It has the handles of the
 * engine, for reading: those that change something throw READ_ONLY. A state that was not there yet
 * reads as empty; what the store knows of a state counts, and not the options that its handle is
 * made with. A view holds memory, and pins what it is made of, until it is closed; closing the engine
 * closes it.
 */
export class View {
  readonly #parts: ViewParts;
  readonly #operators: Operators;

  /** @internal Made by an engine. */
  constructor(parts: ViewParts) {
    this.#parts = parts;
    this.#operators = new Operators(parts.space);
  }

  /** Last LSN of the moment; 0 before the first commit. */
  get lsn(): number {
    return this.#parts.lsn;
  }

  /** Time of the last commit, microseconds; 0 before the first. */
  get timestamp(): number {
    return this.#parts.space.lastTimestamp;
  }

  /** Positions of the sources as of the moment. @throws ClosedError CLOSED */
  get positions(): Positions {
    this.#parts.life.assertOpen();
    return this.#parts.positions.current;
  }

  /**
   * The operator of a name, for reading.
   * @throws InvalidArgumentError INVALID_NAME
   * @throws CorruptionError OPERATOR_MISSING for one that an opening with `optimistic` left out
   * @throws ClosedError CLOSED
   */
  operator(name: string): Operator {
    this.#parts.life.assertOpen();
    this.#parts.missing.assertThere(name);
    return this.#operators.get(name);
  }

  /** Gives up memory and pins. Calls after it throw CLOSED; closing twice is fine. */
  close(): Promise<void> {
    const { life, space, images, ended } = this.#parts;
    if (life.closed) return Promise.resolve();
    life.closed = true;
    space.setImages([], 0);
    for (const image of images) image.release();
    ended(this);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
