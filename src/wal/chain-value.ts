/*
 * The chain value: a 64-bit running checksum of (LSN, frame bytes), equal however frames are
 * grouped, compressed or copied. The low half is a CRC-32 that runs over the frames' bytes; the
 * high half mixes the LSN and length of each frame. Copies of a log are compared by it.
 */
import { checksum } from '../codec/checksum.ts';
import { readU32, writeU32 } from '../std/bytes.ts';

/** A running checksum of the log up to some LSN. */
export interface ChainValue {
  readonly crc: number;
  readonly mix: number;
}

/** The chain value before LSN 1. */
export const chainStart: ChainValue = { crc: 0, mix: 0 };

const MULTIPLIER = 0x9e3779b1;

/** Mixes one frame's first LSN and length into the high half. */
export function mixFrame(mix: number, firstLsn: number, frameBytes: number): number {
  const withLength = Math.imul(mix ^ frameBytes, MULTIPLIER);
  const withLsn = withLength + (firstLsn >>> 0) + Math.floor(firstLsn / 0x1_0000_0000);
  return (Math.imul(withLsn ^ (withLsn >>> 15), 0x85ebca6b) ^ (withLsn >>> 13)) >>> 0;
}

/** The low half after the bytes of some whole frames. */
export function chainCrc(crc: number, bytes: Uint8Array, start: number, end: number): number {
  return checksum(bytes, start, end, crc);
}

export function sameChain(a: ChainValue, b: ChainValue): boolean {
  return a.crc === b.crc && a.mix === b.mix;
}

export function readChain(bytes: Uint8Array, at: number): ChainValue {
  return { crc: readU32(bytes, at), mix: readU32(bytes, at + 4) };
}

export function writeChain(bytes: Uint8Array, at: number, chain: ChainValue): void {
  writeU32(bytes, at, chain.crc);
  writeU32(bytes, at + 4, chain.mix);
}

/** Text form for checkpoint records: 16 hexadecimal digits. */
export function formatChain(chain: ChainValue): string {
  return chain.crc.toString(16).padStart(8, '0') + chain.mix.toString(16).padStart(8, '0');
}

/** Chain value of its text form, or undefined when it is not one. */
export function parseChain(text: string): ChainValue | undefined {
  if (!/^[0-9a-f]{16}$/.test(text)) return undefined;
  return { crc: Number.parseInt(text.slice(0, 8), 16), mix: Number.parseInt(text.slice(8), 16) };
}
