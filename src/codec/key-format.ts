/*
 * Keys as bytes that sort as the keys do, and back, exactly. Part of the format, version 1.
 *
 * | Tag  | Key      | After the tag                                                                |
 * |------|----------|------------------------------------------------------------------------------|
 * | 0x10 | false    | nothing                                                                      |
 * | 0x11 | true     | nothing                                                                      |
 * | 0x20 | number   | the 8 bytes of the double, big-endian: sign bit set if positive, all         |
 * |      |          | complemented if negative                                                     |
 * | 0x30 | bigint   | length byte 0x80 + n (0xff and a big-endian u16 from n = 127 on), then the n  |
 * |      |          | bytes of the magnitude, big-endian; all complemented if negative             |
 * | 0x40 | string   | UTF-8                                                                        |
 * | 0x50 | bytes    | the bytes                                                                    |
 * | 0x60 | tuple    | its elements                                                                 |
 *
 * Keys of different kinds sort by tag. Inside a tuple a string, bytes and a tuple end with 0x00, so
 * that a prefix sorts first; a 0x00 within a string or bytes is there written as 0x00 0xff, which
 * no tag can be taken for. At the top level the end of the key ends it.
 *
 * Invariants: K1 equal keys have equal bytes and each key has one encoding (decoding refuses every
 * other). K2 comparing bytes compares keys. K3 no encoding is empty or longer than keyBytesMax.
 */
/** A key: a primitive, bytes, or a tuple of keys. */
export type Key = string | number | bigint | boolean | Uint8Array | readonly Key[];

/** Longest encoding of a key, in bytes. */
export const keyBytesMax = 65_535;

/** How deep tuples may nest: a tuple of primitives is 1 deep. */
export const keyDepthMax = 8;

export const TAG_FALSE: number = 0x10;
export const TAG_TRUE: number = 0x11;
export const TAG_NUMBER: number = 0x20;
export const TAG_BIGINT: number = 0x30;
export const TAG_STRING: number = 0x40;
export const TAG_BYTES: number = 0x50;
export const TAG_TUPLE: number = 0x60;

export const END: number = 0x00;
export const ESCAPED: number = 0xff;

export const NUMBER_BYTES: number = 9;
export const BIGINT_ZERO: number = 0x80;
export const BIGINT_LONG: number = 0xff;
export const BIGINT_SHORT_BYTES_MAX: number = 126;
/** No magnitude of this size or above fits: tag, length byte and u16 come before it. */
export const BIGINT_LIMIT: bigint = 1n << BigInt(8 * (keyBytesMax - 4));
export const TWO_64: bigint = 1n << 64n;
