/*
 * The bytes of values, fixed for as long as a store can be read, and that the common types are
 * plain MessagePack, by comparison with another implementation.
 */
import * as fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { createValueCodec } from '../../src/codec/value.ts';
import { fromHex, toHex } from '../../src/std/bytes.ts';
import { Point, pointType } from './value-kept-cases.ts';
import { difference } from './value-same.ts';

const codec = createValueCodec([{ ...pointType, version: 300 }]);
const other = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });

const golden: readonly (readonly [unknown, string])[] = [
  [null, 'c0'],
  [false, 'c2'],
  [true, 'c3'],
  [undefined, 'd40000'],
  [0, '00'],
  [127, '7f'],
  [128, 'cc80'],
  [65_535, 'cdffff'],
  [65_536, 'ce00010000'],
  [4_294_967_295, 'ceffffffff'],
  [4_294_967_296, 'cb41f0000000000000'],
  [-1, 'ff'],
  [-33, 'd0df'],
  [-129, 'd1ff7f'],
  [-32_769, 'd2ffff7fff'],
  [-0, 'cb8000000000000000'],
  [1.5, 'cb3ff8000000000000'],
  [Number.NaN, 'cb7ff8000000000000'],
  [-Infinity, 'cbfff0000000000000'],
  [1n, 'd30000000000000001'],
  [-1n, 'd3ffffffffffffffff'],
  [2n ** 63n, 'cf8000000000000000'],
  [2n ** 64n, 'c70a0100010000000000000000'],
  [-(2n ** 63n) - 1n, 'c70901018000000000000001'],
  ['tide', 'a474696465'],
  ['é中😀', 'a9c3a9e4b8adf09f9880'],
  ['x'.repeat(32), `d920${'78'.repeat(32)}`],
  [[1, [], 'a'], '930190a161'],
  [{ b: 1, 2: undefined, a: {} }, '83a132d40000a16201a16180'],
  [new Date(1_700_000_000_123), 'd7024278bcfe5687b000'],
  [new Date(Number.NaN), 'd7027ff8000000000000'],
  [new Map<unknown, unknown>([[1, 'a'], [{}, 2]]), 'c9000000050301a1618002'], // prettier-ignore
  [new Set([1, 2]), 'c900000002040102'],
  [Object.assign(/a\//gi, { lastIndex: 2 }), 'c90000000805a3615c2fa2676902'],
  [new Uint8Array([1, 2]), 'c4020102'],
  [Buffer.from([1, 2]), 'c703060c0102'],
  [new Int8Array([-1]), 'c7020600ff'],
  [new Uint8ClampedArray([1]), 'c702060101'],
  [new Int16Array([1]), 'c70306020100'],
  [new Uint16Array([258]), 'c70306030201'],
  [new Int32Array([1]), 'c705060401000000'],
  [new Uint32Array([1]), 'c705060501000000'],
  [new Float32Array([1.5]), 'c70506060000c03f'],
  [new Float64Array([1.5]), 'c7090607000000000000f83f'],
  [new BigInt64Array([1n]), 'c70906080100000000000000'],
  [new BigUint64Array([1n]), 'c70906090100000000000000'],
  [new DataView(new ArrayBuffer(1)), 'c702060a00'],
  [new ArrayBuffer(1), 'c702060b00'],
  [Object.assign(Object.create(null), { a: 1 }), 'c90000000308a16101'],
  [new Point(1, null), 'c90000001009a5506f696e74cd012c82a17801a179c0'],
  [quietError(), 'c90000001607a9547970654572726f72a76d657373616765c2a26e6f'],
];

describe('golden bytes', () => {
  for (const [value, hex] of golden) {
    test(`${hex}: encodes and decodes`, () => {
      expect(toHex(codec.encode(value))).toBe(hex);
      expect(difference(codec.decode(fromHex(hex)!, 0, hex.length / 2), value)).toBeUndefined();
    });
  }
});

describe('the common types', () => {
  const plain = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      fc.string({ unit: 'binary', maxLength: 70 }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double().filter((value) => !Object.is(value, -0)),
      fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
      fc.constantFrom(null, undefined, true, false),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('value'), { maxLength: 20 }),
      fc.dictionary(fc.string({ maxLength: 20 }), tie('value'), {
        maxKeys: 20,
        noNullPrototype: true,
      }),
    ),
  })).value;

  test('any value of them: has the bytes that msgpackr writes', () => {
    fc.assert(
      fc.property(plain, (value) => {
        expect(toHex(codec.encode(value))).toBe(toHex(other.pack(value)));
      }),
      { seed: 20_264, numRuns: 1000 },
    );
  });
});

function quietError(): Error {
  const error = new TypeError('no');
  Reflect.deleteProperty(error, 'stack');
  return error;
}
