/*
 * Versions of stored values. A state may say which version its values are written with
 * (docs/VALUES.md); that of a value stands in front of it, so it goes with the value wherever that is
 * merged, joined, restored or rescaled to, and needs no history of the state.
 *
 * | Offset | Size | Field   | Meaning                                                            |
 * |      0 |    1 | mark    | 0xc1, which is the head of no value                                |
 * |      1 |    2 | version | u16, big-endian as values are; 2 at least                          |
 *
 * A value without it is of version 1. The operand of a merge patch has it too, as the value that it
 * makes does. Only whole values of tables of users have one, never what is inside of a value.
 * See: docs/adr/0026-versions-of-values.md, test/codec/value-version.test.ts
 */
import { CorruptionError } from '../errors.ts';
import { MARK } from './value-skip.ts';

/** The greatest version. */
export const VERSION_MAX = 0xffff;

/** Bytes in front of a value of a version above 1. */
const VERSION_BYTES = 3;

/** What turns the bytes of a value without version into a value. */
interface PlainDecoder {
  decode(bytes: Uint8Array, start: number, end: number): unknown;
}

/** Whether a version stands in front of the value. */
export function hasVersion(bytes: Uint8Array, start: number, end: number): boolean {
  return start < end && bytes[start] === MARK;
}

/** Bytes of the version in front of a value: 0 for one of version 1. */
export function versionBytes(bytes: Uint8Array, start: number, end: number): number {
  return hasVersion(bytes, start, end) ? VERSION_BYTES : 0;
}

/**
 * The version that a stored value was written with.
 * @throws CorruptionError CORRUPT_SNAPSHOT for a version that nothing writes
 */
export function storedVersion(bytes: Uint8Array, start: number, end: number): number {
  if (!hasVersion(bytes, start, end)) return 1;
  if (start + VERSION_BYTES > end) throw badVersion('is cut short', start, end);
  const version = bytes[start + 1]! * 0x100 + bytes[start + 2]!;
  if (version < 2) throw badVersion(`is ${version}`, start, end);
  return version;
}

/** Decodes a value, whatever its version. */
export function decodeVersioned(
  decoder: PlainDecoder,
  bytes: Uint8Array,
  start: number,
  end: number,
): unknown {
  if (!hasVersion(bytes, start, end)) return decoder.decode(bytes, start, end);
  storedVersion(bytes, start, end);
  return decoder.decode(bytes, start + VERSION_BYTES, end);
}

function badVersion(why: string, start: number, end: number): CorruptionError {
  return new CorruptionError('CORRUPT_SNAPSHOT', `the version of a stored value ${why}`, {
    start,
    end,
  });
}
