/*
 * Checks that every object of options shares, so that a bad option reads the same wherever it is
 * given: INVALID_OPTION, `details.option` with its path, the value last.
 */
import { types as utilTypes } from 'node:util';
import { InvalidArgumentError } from '../errors.ts';

/** More names than these are in `details` only. */
const namesShownMax = 8;

/** Of many names so many are proposed for one that is unknown. */
const likelyShownMax = 2;

/** An option that the call, or the store, does not take. */
export function badOption(
  name: string,
  why: string,
  value: unknown,
  details: Readonly<Record<string, unknown>> = {},
): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_OPTION', `option ${name} ${why}${shown(value)}`, {
    ...details,
    option: name,
  });
}

/** Texts are quoted, so that '5' and 5 can be told apart, and an empty one be seen. */
function shown(value: unknown): string {
  if (value === null) return ': null';
  if (typeof value === 'string') return `: ${JSON.stringify(value)}`;
  const isPlain = value !== undefined && !utilTypes.isProxy(value) && typeof value !== 'object';
  return isPlain ? `: ${String(value)}` : '';
}

/** Options are an object; `path` says of what, when they are an option themselves. */
export function objectOnly(options: unknown, path?: string): asserts options is object {
  if (typeof options === 'object' && options !== null) return;
  if (path !== undefined) throw badOption(path, 'must be an object', options);
  throw new InvalidArgumentError('INVALID_OPTION', 'options must be an object');
}

/** Refuses what is no object, and names that it should not have; `path` is that of the object. */
export function knownOnly(options: unknown, names: readonly string[], path?: string): void {
  const few = names.length > 0 && names.length <= namesShownMax;
  if (few && path !== undefined && (typeof options !== 'object' || options === null)) {
    throw badOption(path, `must be an object with ${names.join(', ')}`, options);
  }
  objectOnly(options, path);
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const full = path === undefined ? name : `${path}.${name}`;
    const hint = few ? `, there are ${names.join(', ')}` : likelyMeant(name, names);
    throw badOption(full, `is unknown${hint}`, undefined, { known: names });
  }
}

/** Of many names those that share at least half of their pairs of letters with the one given. */
function likelyMeant(given: string, names: readonly string[]): string {
  const pairs = pairsOf(given);
  const near = names
    .map((name) => {
      const others = pairsOf(name);
      const common = [...others].filter((pair) => pairs.has(pair)).length;
      return { name, share: (2 * common) / Math.max(1, pairs.size + others.size) };
    })
    .filter(({ share }) => share >= 0.5)
    .sort((a, b) => b.share - a.share)
    .slice(0, likelyShownMax);
  return near.length === 0 ? '' : `; did you mean ${near.map(({ name }) => name).join(' or ')}`;
}

function pairsOf(name: string): Set<string> {
  const letters = name.slice(0, 64).toLowerCase();
  const count = Math.max(0, letters.length - 1);
  return new Set(Array.from({ length: count }, (_, i) => letters.slice(i, i + 2)));
}

export function wholeNumber(
  name: string,
  value: unknown,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    if (value >= least && value <= most) return value;
  }
  const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  throw badOption(name, `must be a whole number ${bounds}`, value);
}

/** A number above zero that need not be whole. */
export function amount(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw badOption(name, 'must be a number above 0', value);
}

/** One of a list of texts. */
export function oneOf<T extends string>(name: string, value: unknown, known: readonly T[]): T {
  const found = known.find((text) => text === value);
  if (found !== undefined) return found;
  throw badOption(name, `must be one of ${known.join(', ')}`, value);
}

/** The path of a directory. */
export function directoryPath(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw badOption(name, 'must be the path of a directory', value);
}

/** The path of a file, as it was given. */
export function filePath(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw badOption(name, 'must be the path of a file', value);
}
