/*
 * Options of states and of single writes, and the times of an entry that follow from them. An expiry
 * is absolute and stored with the entry, so a restore never extends it. An event time says when what
 * is written happened; the engine stores and shows it, and judges nothing by it but conflicts between
 * lineages that are merged.
 */
import {
  checkCompression,
  type CompressionOption,
  type CompressionSetting,
} from '../codec/compression-setting.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';

/** Options of one write. */
export interface WriteOptions {
  /** Milliseconds until the entry expires; null: never. @defaultValue the state's `ttlMs` */
  readonly ttlMs?: number | null;
  /**
   * When the event happened: microseconds since 1970, or a Date.
   * @defaultValue that of the commit, which may have none
   */
  readonly eventTime?: EventTime;
}

/** Microseconds since 1970, above 0; or a Date after 1970 began. */
export type EventTime = number | Date;

/** Times that an entry gets; microseconds, 0 for none. */
export interface WriteTimes {
  readonly expiry: number;
  readonly eventTime: number;
}

export const noTimes: WriteTimes = { expiry: 0, eventTime: 0 };

/** Options of a state. */
export interface StateOptions {
  /** Milliseconds after which what is written expires, unless the write says otherwise. */
  readonly ttlMs?: number;
  /**
   * Compression of the state in snapshots that are written from now on. It may be changed; left out
   * at a later opening, the store's holds again. @defaultValue the engine's `compression`
   */
  readonly compression?: CompressionOption;
  /**
   * False: snapshots of this state are never loaded whole; what is read of them is read from the
   * file, through a cache of `cacheBytesMax`, so that the state can be larger than memory. Stored with
   * the state, as of the next commit. @defaultValue true
   */
  readonly resident?: boolean;
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

/** Times of a write; the clock gives microseconds. */
export function timesOf(
  options: WriteOptions | undefined,
  stateTtlMs: number | undefined,
  clock: { now(): number },
): WriteTimes {
  if (options === undefined && stateTtlMs === undefined) return noTimes;
  if (options !== undefined) checkKnown(options, ['ttlMs', 'eventTime']);
  const ttlMs = options?.ttlMs === undefined ? stateTtlMs : options.ttlMs;
  const endless = ttlMs === undefined || ttlMs === null;
  const expiry = endless ? 0 : clock.now() + Math.round(checkTtl(ttlMs) * 1000);
  return { expiry, eventTime: checkEventTime(options?.eventTime) };
}

/** An event time in microseconds; 0 when there is none. */
export function checkEventTime(eventTime: unknown): number {
  if (eventTime === undefined) return 0;
  const micros = eventTime instanceof Date ? eventTime.getTime() * 1000 : eventTime;
  if (typeof micros === 'number' && Number.isSafeInteger(micros) && micros > 0) return micros;
  const why = 'must be a Date, or whole microseconds since 1970, above 0';
  throw badOption('eventTime', why, eventTime);
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
  throw badOption('ttlMs', `must be a number above 0 and at most ${ttlMsMax}`, ttlMs);
}

/** Refuses options that nothing reads. */
export function checkKnown(options: object, known: readonly string[]): void {
  knownOnly(options, known);
}

/** Checks `resident` of a state; true is not written down. */
export function stateResident({ resident }: StateOptions): false | undefined {
  if (resident !== undefined && typeof resident !== 'boolean') {
    throw badOption('resident', 'must be true or false', resident);
  }
  return resident === false ? false : undefined;
}

/** Checks `compression` of a state. */
export function stateCompression({ compression }: StateOptions): CompressionSetting | undefined {
  return compression === undefined ? undefined : checkCompression(compression, 'compression');
}

/** Checks `itemsMax` of a list. */
export function checkItemsMax(itemsMax: number | undefined): number | undefined {
  return itemsMax === undefined ? undefined : wholeNumber('itemsMax', itemsMax, 1, 1e9);
}
