/*
 * What the log writers of the benchmark share, and the writer of the thread: groups in a zero-filled
 * file, begun again at its start when it is full. A group is a header (magic, body bytes, frames,
 * first sequence number, CRC of the body) and its frames, each its length and its payload, padded to
 * a multiple of 8.
 */
import zlib from 'node:zlib';

export const fileBytes = 64 * 1024 * 1024;
export const groupBytesMax = 4 * 1024 * 1024;
export const headerBytes = 24;
const MAGIC = 0x424e_4d54;

export function frameBytes(payload) {
  return 4 + payload.length;
}

/** Writes a frame at an offset and returns its end. */
export function putFrame(target, at, payload) {
  target.writeUInt32LE(payload.length, at);
  target.set(payload, at + 4);
  return at + 4 + payload.length;
}

/** Completes the group whose frames end at `end`; returns the bytes to be written. */
export function sealGroup(group, end, frames, firstSequence) {
  const padded = (end + 7) & ~7;
  group.fill(0, end, padded);
  group.writeUInt32LE(MAGIC, 0);
  group.writeUInt32LE(end - headerBytes, 4);
  group.writeUInt32LE(frames, 8);
  group.writeDoubleLE(firstSequence, 12);
  group.writeUInt32LE(zlib.crc32(group.subarray(headerBytes, end)), 20);
  return padded;
}

/** Where the next group of that size goes. */
export function nextOffset(offset, bytes) {
  return offset + bytes > fileBytes ? 0 : offset;
}
