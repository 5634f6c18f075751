/*
 * Checks that the calls of the snapshot library share. A bad option is INVALID_OPTION with its name;
 * those of every object of options are in std/option-checks.ts.
 */
import type { HashSeed } from '../../codec/hash.ts';
import type { TypeDefinition } from '../../codec/value.ts';
import type { FileSystem } from '../../fs/file-system.ts';
import { fromHex, readU32 } from '../../std/bytes.ts';
import type { Clock } from '../../std/clock.ts';
import { badOption, wholeNumber } from '../../std/option-checks.ts';
import type { Random } from '../../std/random.ts';

/** What the library stands on; tests give their own. */
export interface LibraryComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Merges run in worker threads, which read the real file system. @defaultValue false */
  readonly threads?: boolean;
}

/** A time: microseconds since 1970, or a Date. */
export type Time = number | Date;

const keyGroupsMost = 65_536;

export function checkKeyGroups(value: unknown): number {
  const keyGroups = wholeNumber('keyGroups', value, 1, keyGroupsMost);
  if (Number.isInteger(Math.log2(keyGroups))) return keyGroups;
  throw badOption('keyGroups', 'must be a power of two', value);
}

/** Microseconds of a time that was given; 0 for none. */
export function checkTime(option: string, time: unknown): number {
  if (time === undefined) return 0;
  const micros = time instanceof Date ? time.getTime() * 1000 : time;
  if (typeof micros === 'number' && Number.isSafeInteger(micros) && micros > 0) return micros;
  throw badOption(option, 'must be whole microseconds above 0, or a Date', undefined);
}

/** `Date.now()` from 1973 to 2100, which as microseconds is of January or February 1970. */
const likelyMilliseconds = { least: 1e11, most: 4.1e12 };
/** The year 2000, microseconds: what is written since then does not expire in 1970. */
const modernTimes = 946_684_800_000_000;

/**
 * A time of expiry; microseconds, 0 for none. A number that can only be milliseconds by mistake is
 * refused: the entry would have expired decades before it was written, and just not be there.
 */
export function checkExpiry(option: string, time: unknown, writtenAt: number): number {
  const micros = checkTime(option, time);
  const { least, most } = likelyMilliseconds;
  const isOf1970 = typeof time === 'number' && micros >= least && micros <= most;
  if (!isOf1970 || writtenAt < modernTimes) return micros;
  const why =
    'must be microseconds, or a Date: these look like milliseconds, and mean a time in 1970';
  throw badOption(option, why, time);
}

export function checkFlag(option: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw badOption(option, 'must be true or false', undefined);
}

export function checkTypes(types: unknown): readonly TypeDefinition[] {
  if (types === undefined) return [];
  if (Array.isArray(types)) return types as TypeDefinition[];
  throw badOption('types', 'must be a list of types', undefined);
}

/** Bytes of a hexadecimal text of a given length, or new random ones. */
export function hexOr(option: string, text: unknown, bytes: number, random: Random): Uint8Array {
  if (text === undefined) {
    const made = new Uint8Array(bytes);
    random.fill(made);
    return made;
  }
  const given = typeof text === 'string' ? fromHex(text) : undefined;
  if (given?.length === bytes) return given;
  throw badOption(option, `must be ${bytes * 2} lower-case hexadecimal digits`, undefined);
}

/** The seed of its 8 bytes, as `store.json` has them. */
export function seedOfBytes(bytes: Uint8Array): HashSeed {
  return { low: readU32(bytes, 0), high: readU32(bytes, 4) };
}
