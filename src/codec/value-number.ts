/*
 * A stored value that is a number, read alone: the operators `min` and `max` compare such values and
 * have no use for a codec with types.
 */
import { ValueDecoder } from './value-decoder.ts';

const EXT_8 = 0xc7;
const EXT_32 = 0xc9;
const EXT_BIGINT = 1;
const plain = new ValueDecoder(new Map());

/**
 * The finite number or the bigint whose stored form fills the range, or undefined when that holds
 * something else.
 * @throws CorruptionError CORRUPT_SNAPSHOT when the bytes are a number cut short, or in a form that
 * no encoder writes
 */
export function readNumber(
  bytes: Uint8Array,
  start: number,
  end: number,
): number | bigint | undefined {
  if (start >= end) return undefined;
  const head = bytes[start]!;
  if (head < 0x80 && end === start + 1) return head;
  if (!isNumberHead(head, bytes, start)) return undefined;
  const value = plain.decode(bytes, start, end);
  if (typeof value === 'bigint') return value;
  return Number.isFinite(value) ? (value as number) : undefined;
}

function isNumberHead(head: number, bytes: Uint8Array, start: number): boolean {
  if (head < 0x80 || head >= 0xe0) return true;
  if (head >= 0xcb && head <= 0xd3) return true;
  if (head < EXT_8 || head > EXT_32) return false;
  // The type of an ext stands behind its length, which has 1, 2 or 4 bytes.
  return bytes[start + 1 + (1 << (head - EXT_8))] === EXT_BIGINT;
}
