/*
 * The operators of an engine or a view by name: one object a name, made when it is first asked for.
 */
import { InvalidArgumentError } from '../errors.ts';
import { checkName, holderOperator, Operator } from '../state/operator.ts';
import type { StateSpace } from '../state/state-space.ts';

export class Operators {
  readonly #space: StateSpace;
  readonly #byName = new Map<string, Operator>();

  constructor(space: StateSpace) {
    this.#space = space;
  }

  /** The operator of a name; INVALID_NAME for one that cannot be, or is reserved. */
  get(name: string): Operator {
    let operator = this.#byName.get(checkName('operator', name));
    if (!operator) {
      if (name === holderOperator) {
        throw new InvalidArgumentError('INVALID_NAME', 'the operator name is reserved', { name });
      }
      operator = new Operator(this.#space, name);
      this.#byName.set(name, operator);
    }
    return operator;
  }
}
