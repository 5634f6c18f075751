/*
 * Stored form of a value, version 1: one MessagePack value, big-endian as MessagePack is, and
 * nothing shared between values.
 *
 * | Value                          | Bytes                                                        |
 * |--------------------------------|--------------------------------------------------------------|
 * | null, false, true              | nil, false, true                                             |
 * | number                         | shortest int when it is an integer in -2^31 … 2^32-1 and not |
 * |                                | -0, else float64; NaN is always 7ff8000000000000             |
 * | bigint in the 64-bit range     | int64, or uint64 above 2^63-1                                |
 * | string, key                    | str, shortest header, well-formed UTF-8                      |
 * | array; plain object            | array; map with str keys in the order of the object          |
 * | Uint8Array                     | bin                                                          |
 * | undefined                      | fixext1 0, one byte 0                                        |
 * | bigint beyond                  | ext 1: sign (0 or 1), magnitude without leading zero bytes   |
 * | Date                           | fixext8 2: float64 milliseconds, NaN for an invalid one      |
 * | Map                            | ext 3: key, value, key, value … to the end of the ext        |
 * | Set                            | ext 4: items                                                 |
 * | RegExp                         | ext 5: str source, str flags, number lastIndex               |
 * | other views, ArrayBuffer       | ext 6: kind (VIEW_KINDS), bytes, little-endian elements      |
 * | Error                          | ext 7: str class, then for each own property str key,        |
 * |                                | boolean enumerable, value                                    |
 * | object without prototype       | ext 8: str key, value …                                      |
 * | registered type                | ext 9: str name, number version, value                       |
 *
 * Ext 3, 4, 5, 7, 8 and 9 have the 32-bit header always, because their length is known last; ext 1
 * and 6 have 8-, 16- or 32-bit headers, the shortest that fits.
 * Invariants: V1 values that are equal, key order included, have equal bytes. V2 a decoder refuses
 * what an encoder never writes: longer heads, ill-formed UTF-8, repeated keys, other ext types,
 * bytes left over; only the order of integer-like keys and the spelling of a RegExp are taken as
 * the runtime has them.
 * See: docs/VALUES.md, test/codec/value-golden.test.ts
 */

/** Containers inside containers, the outermost counted; bounds the stack that a value needs. */
export const VALUE_DEPTH_MAX = 512;

/** Bytes of one encoded value. A commit is bounded lower, so this only stops runaway growth. */
export const VALUE_BYTES_MAX = 0x2000_0000;

/** The only NaN that is written as a number or a date. */
export const CANONICAL_NAN = 0x7ff8_0000_0000_0000n;

export const EXT_UNDEFINED = 0;
export const EXT_BIGINT = 1;
export const EXT_DATE = 2;
export const EXT_MAP = 3;
export const EXT_SET = 4;
export const EXT_REGEXP = 5;
export const EXT_VIEW = 6;
export const EXT_ERROR = 7;
export const EXT_NULL_OBJECT = 8;
export const EXT_TYPE = 9;

/** A class of views over bytes, and the width of its elements. */
export interface ViewKind {
  readonly name: string;
  readonly width: number;
  readonly prototype: object;
  /** Makes the value over bytes that are its own. */
  readonly make: (buffer: ArrayBuffer) => unknown;
}

/** The kind byte of ext 6 is the index here; entries are only ever appended. */
export const VIEW_KINDS: readonly ViewKind[] = [
  kind(Int8Array, (buffer) => new Int8Array(buffer)),
  kind(Uint8ClampedArray, (buffer) => new Uint8ClampedArray(buffer)),
  kind(Int16Array, (buffer) => new Int16Array(buffer)),
  kind(Uint16Array, (buffer) => new Uint16Array(buffer)),
  kind(Int32Array, (buffer) => new Int32Array(buffer)),
  kind(Uint32Array, (buffer) => new Uint32Array(buffer)),
  kind(Float32Array, (buffer) => new Float32Array(buffer)),
  kind(Float64Array, (buffer) => new Float64Array(buffer)),
  kind(BigInt64Array, (buffer) => new BigInt64Array(buffer)),
  kind(BigUint64Array, (buffer) => new BigUint64Array(buffer)),
  kind(DataView, (buffer) => new DataView(buffer)),
  kind(ArrayBuffer, (buffer) => buffer),
  kind(Buffer, (buffer) => Buffer.from(buffer)),
];

/** The error classes of the language; an Error of any other class must be registered. */
export const ERROR_CLASSES: ReadonlyMap<string, new () => Error> = new Map<string, new () => Error>(
  [
    ['Error', Error],
    ['EvalError', EvalError],
    ['RangeError', RangeError],
    ['ReferenceError', ReferenceError],
    ['SyntaxError', SyntaxError],
    ['TypeError', TypeError],
    ['URIError', URIError],
    ['AggregateError', emptyAggregateError()],
  ],
);

/** Whether numbers in views of this machine have to be turned round. */
export const HOST_IS_BIG_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 0;

/** Turns elements from the byte order of the host to little-endian, or back, in place. */
export function swapForHost(
  bytes: Uint8Array,
  width: number,
  bigEndian: boolean = HOST_IS_BIG_ENDIAN,
): void {
  if (!bigEndian || width === 1) return;
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

function kind(
  type: { name: string; prototype: object; BYTES_PER_ELEMENT?: number },
  make: (buffer: ArrayBuffer) => unknown,
): ViewKind {
  return { name: type.name, width: type.BYTES_PER_ELEMENT ?? 1, prototype: type.prototype, make };
}

function emptyAggregateError(): new () => Error {
  // The class takes its errors first; as a value they are an own property like any other.
  const make = function make(): Error {
    return new AggregateError([]);
  };
  make.prototype = AggregateError.prototype;
  return make as unknown as new () => Error;
}
