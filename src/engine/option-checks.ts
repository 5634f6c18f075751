/*
 * Checks that the options of the engine share. A bad option is INVALID_OPTION with its path.
 */
import { types as utilTypes } from 'node:util';
import { InvalidArgumentError } from '../errors.ts';

/** An option that the call, or the store, does not take. */
export function badOption(name: string, why: string, value: unknown): InvalidArgumentError {
  const shown =
    value === undefined || utilTypes.isProxy(value) || typeof value === 'object'
      ? ''
      : `: ${String(value)}`;
  return new InvalidArgumentError('INVALID_OPTION', `option ${name} ${why}${shown}`, {
    option: name,
  });
}

/** Refuses what is no object, and names that it should not have. */
export function knownOnly(options: unknown, names: readonly string[], path: string): void {
  if (typeof options !== 'object' || options === null) {
    throw badOption(path, 'must be an object', options);
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw badOption(`${path}.${name}`, 'is unknown', undefined);
  }
}

export function wholeNumber(name: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw badOption(name, `must be a whole number from ${least}`, value);
}

/** A number above zero that need not be whole. */
export function amount(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw badOption(name, 'must be a number above 0', value);
}
