/*
 * Operators that an opening with `optimistic` left out, because their states are damaged. Nothing of
 * them is served and nothing is put in their place, also by later openings, until somebody says that
 * they start anew: an operator that comes up empty looks like one that never had anything.
 *
 * Durability: checkpoint records name them (`missing`), until a definition of theirs is in the state.
 */
import { CorruptionError, NotFoundError } from '../errors.ts';

export class MissingOperators {
  readonly #names: Set<string>;

  /** `named` by the newest record; `known` are the operators that have a state. */
  constructor(named: readonly string[], known: readonly string[]) {
    this.#names = new Set(named.filter((name) => !known.includes(name)));
  }

  get names(): string[] {
    return [...this.#names].toSorted();
  }

  /** @throws CorruptionError OPERATOR_MISSING */
  assertThere(name: string): void {
    if (!this.#names.has(name)) return;
    throw new CorruptionError(
      'OPERATOR_MISSING',
      `states of the operator were damaged and left out; startAnew begins it empty: ${name}`,
      { operator: name, missing: this.names },
    );
  }

  /** @throws NotFoundError STATE_NOT_FOUND when it is not missing */
  startAnew(name: string): void {
    if (this.#names.delete(name)) return;
    const missing = this.names;
    throw new NotFoundError('STATE_NOT_FOUND', `the operator is not missing: ${name}`, {
      operator: name,
      missing,
    });
  }
}
