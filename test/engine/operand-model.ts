/*
 * A plain model of what is written as operands, with expiry: a value, and what the open transaction
 * has done to it, which is judged again when it is sealed (E4).
 */
import { mergePatch } from '../snapshot/model.ts';

export type Key = string | number;

/** What a key holds. */
interface Tally {
  value: unknown;
  expiry: number;
  /** Operands of the open transaction, and what was there before it. */
  open: { before: { value: unknown; expiry: number } | undefined; operands: unknown[] } | undefined;
  /** The open transaction has set it: what follows changes what was set. */
  isSet: boolean;
}

/** Operators: what an operand makes of a value, or of nothing. */
const operators: Record<string, (value: unknown, operand: unknown) => unknown> = {
  add: (value, operand) => Number(value ?? 0) + Number(operand),
  min: (value, operand) =>
    value === undefined ? operand : Math.min(Number(value), Number(operand)),
  patch: mergePatch,
};

export const alive = (expiry: number, now: number): boolean => expiry === 0 || expiry > now;

/** Keys of one state. */
export class OperandModel {
  readonly #operator: (value: unknown, operand: unknown) => unknown;
  #tallies = new Map<Key, Tally>();

  constructor(operator: 'add' | 'min' | 'patch' | OperandModel) {
    this.#operator = typeof operator === 'string' ? operators[operator]! : operator.#operator;
  }

  copy(): OperandModel {
    const copied = new OperandModel(this);
    copied.#tallies = structuredClone(this.#tallies);
    return copied;
  }

  operand(key: Key, operand: unknown, now: number, expiry: number): void {
    const found = this.#tallies.get(key);
    // One operand for the transaction, whatever its expiry; a value that it set may have expired.
    const goesOn = found && (found.open !== undefined || alive(found.expiry, now));
    const value = this.#operator(goesOn ? found.value : undefined, operand);
    if (found?.isSet) {
      this.#tallies.set(key, { value, expiry, open: undefined, isSet: true });
      return;
    }
    const before = found && { value: found.value, expiry: found.expiry };
    const open = found?.open ?? { before, operands: [] };
    open.operands.push(operand);
    this.#tallies.set(key, { value, expiry, open, isSet: false });
  }

  set(key: Key, value: unknown, expiry: number): void {
    this.#tallies.set(key, { value, expiry, open: undefined, isSet: true });
  }

  delete(key: Key): void {
    this.#tallies.delete(key);
  }

  /** The open transaction was sealed. */
  commit(timestamp: number): void {
    for (const tally of this.#tallies.values()) {
      tally.isSet = false;
      if (!tally.open) continue;
      const { before, operands } = tally.open;
      const start = before && alive(before.expiry, timestamp) ? before.value : undefined;
      tally.value = operands.reduce((was, operand) => this.#operator(was, operand), start);
      tally.open = undefined;
    }
  }

  /** Keys and values at a time. */
  entries(now: number): [Key, unknown][] {
    return [...this.#tallies]
      .filter(([, { expiry }]) => alive(expiry, now))
      .map(([key, { value }]) => [key, value]);
  }
}
