/*
 * Options of states and of single writes, and the expiry that follows from them. An expiry is
 * absolute and stored with the entry, so a restore never extends it.
 */
import { InvalidArgumentError } from '../errors.ts';

/** Options of one write. */
export interface WriteOptions {
  /** Milliseconds until the entry expires; null: never. @defaultValue the state's `ttlMs` */
  readonly ttlMs?: number | null;
}

/** Options of a state. */
export interface StateOptions {
  /** Milliseconds after which what is written expires, unless the write says otherwise. */
  readonly ttlMs?: number;
}

/** Options of a list. */
export interface ListOptions extends StateOptions {
  /**
   * The list keeps so many of its newest items. It may be changed: a smaller one hides what is
   * beyond it at once, and merges drop that sooner or later; a larger one holds for what is
   * appended from then on, and shows of the older items what is still there.
   * @defaultValue all of them
   */
  readonly itemsMax?: number;
}

/** Expiry of a write in microseconds; 0 for none. */
export function expiryOf(
  options: WriteOptions | undefined,
  stateTtlMs: number | undefined,
  now: () => number,
): number {
  if (options !== undefined) checkKnown(options, ['ttlMs']);
  const ttlMs = options?.ttlMs === undefined ? stateTtlMs : options.ttlMs;
  if (ttlMs === undefined || ttlMs === null) return 0;
  return now() + Math.round(checkTtl(ttlMs) * 1000);
}

/** Checks options of a state; returns its default TTL. */
export function stateTtl(options: StateOptions, known: readonly string[]): number | undefined {
  checkKnown(options, known);
  return options.ttlMs === undefined ? undefined : checkTtl(options.ttlMs);
}

/** Milliseconds that fit a timestamp for thousands of years. */
const ttlMsMax = 1e14 / 1000;

function checkTtl(ttlMs: unknown): number {
  if (typeof ttlMs === 'number' && ttlMs > 0 && ttlMs <= ttlMsMax) return ttlMs;
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `ttlMs must be a number above 0 and at most ${ttlMsMax}: ${String(ttlMs)}`,
    { option: 'ttlMs' },
  );
}

/** Refuses options that nothing reads. */
export function checkKnown(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('INVALID_OPTION', 'options must be an object');
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new InvalidArgumentError('INVALID_OPTION', `unknown option: ${name}`, { option: name });
  }
}

/** Checks `itemsMax` of a list. */
export function checkItemsMax(itemsMax: number | undefined): number | undefined {
  if (itemsMax === undefined) return undefined;
  if (Number.isSafeInteger(itemsMax) && itemsMax >= 1 && itemsMax <= 1e9) return itemsMax;
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `itemsMax must be a whole number from 1 to 1000000000: ${String(itemsMax)}`,
    { option: 'itemsMax' },
  );
}
