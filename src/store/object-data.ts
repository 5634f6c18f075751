/*
 * What stores check and do alike with the bytes of objects.
 */
import { InvalidArgumentError } from '../errors.ts';
import type { ByteRange } from './object-store.ts';

/** The part of the range that an object of the size has; empty when it lies behind the end. */
export function cutRange(range: ByteRange | undefined, bytes: number): ByteRange {
  if (!range) return { start: 0, end: bytes };
  return { start: Math.min(range.start, bytes), end: Math.min(range.end, bytes) };
}

/** Throws InvalidArgumentError INVALID_CALL unless 0 ≤ start ≤ end, both safe integers. */
export function checkRange(range: ByteRange | undefined): void {
  if (!range) return;
  const { start, end } = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) {
    return;
  }
  throw new InvalidArgumentError(
    'INVALID_CALL',
    `not a range of bytes: start ${String(start)}, end ${String(end)}`,
    { start, end },
  );
}

/** Throws InvalidArgumentError INVALID_CALL unless the value is a Uint8Array. */
export function checkBytes(value: unknown, what: string): asserts value is Uint8Array {
  if (isBytes(value)) return;
  throw new InvalidArgumentError('INVALID_CALL', `${what} must be a Uint8Array: ${typeof value}`);
}

/** True for a Uint8Array, one of another realm too. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === uint8ArrayTag;
}

const uint8ArrayTag = '[object Uint8Array]';
