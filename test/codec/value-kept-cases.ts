/*
 * Values that are stored, by the first cell of the row of docs/VALUES.md that promises them.
 */
import type { TypeDefinition } from '../../src/codec/value.ts';

export class Point {
  readonly x: number;
  readonly y: unknown;
  constructor(x: number, y: unknown) {
    this.x = x;
    this.y = y;
  }
}

export const pointType: TypeDefinition<Point> = {
  name: 'Point',
  class: Point,
  encode: (point) => ({ x: point.x, y: point.y }),
  decode: (data) => new Point((data as Point).x, (data as Point).y),
};

const anyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
const shared = { n: 1 };

export const keptCases: Readonly<Record<string, readonly unknown[]>> = {
  '`null`, `true`, `false`': [null, true, false],
  '`undefined`': [
    undefined,
    { a: undefined },
    [undefined, 1, undefined],
    new Map([[undefined, undefined]]),
    Array.from({ length: 100 }),
  ],
  '`number`': [
    [0, -0, 1, -1, 0x1f, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000],
    [-0x20, -0x21, -0x80, -0x81, -0x8000, -0x8001, -0x8000_0000, -0x8000_0001],
    [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, 2 ** 63, 2 ** 64, 1e308],
    [0.1, -0.5, Number.EPSILON, Number.MIN_VALUE, Number.MAX_VALUE, Number.NaN],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    -0,
    { zero: -0 },
  ],
  '`bigint`': [
    [0n, 1n, -1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n],
    [2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), 2n ** 127n, -(2n ** 128n) + 1n],
    [2n ** 2040n, 2n ** 100_000n - 1n, -(2n ** 600_000n)],
  ],
  '`string`': [
    ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(48), 'x'.repeat(49), 'x'.repeat(255)],
    ['x'.repeat(256), 'x'.repeat(65_535), 'x'.repeat(65_536), 'x'.repeat(200_000)],
    ['é', 'é'.repeat(15), 'é'.repeat(16), 'é'.repeat(48), 'é'.repeat(49), 'é'.repeat(127)],
    ['中文', '中'.repeat(11), '中'.repeat(48), '😀', '😀'.repeat(24), '😀'.repeat(500)],
    ['\0', 'a\0b', '\u{10FFFF}', '\uD7FF\uE000', '\uFFFD', 'a\uFFFD', '\uFFFD'.repeat(100)],
    ['\uFEFFshort', `\uFEFF${'long'.repeat(50)}`, `\uFEFF${'é'.repeat(100)}`],
  ],
  'plain object': [
    {},
    { b: 1, a: 2, c: { d: { e: {} } } },
    { 10: 'ten', 2: 'two', b: 1, '-1': 0, '01': 0, a: 2 },
    JSON.parse('{"__proto__":1,"a":{"__proto__":{"b":2}}}'),
    { constructor: 1, hasOwnProperty: 2, toJSON: 3, length: 4, toString: 5 },
    { '': 0, ['k'.repeat(300)]: 1, 'é中😀': 2, '\uFFFD': 3 },
    Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`key ${i}`, i])),
    Object.freeze({ frozen: true }),
  ],
  'object without prototype': [
    Object.create(null),
    Object.assign(Object.create(null) as object, { b: 1, a: { c: undefined } }),
    { in: Object.assign(Object.create(null) as object, { ['__proto__']: 1 }) },
  ],
  '`Array`': [
    [],
    [1, 'a', [2, [3, []]]],
    Array.from({ length: 15 }, (_, i) => i),
    Array.from({ length: 16 }, (_, i) => i),
    Array.from({ length: 65 }, (_, i) => ({ i })),
    Array.from({ length: 70_000 }, (_, i) => -i),
    Object.freeze([1, 2]),
  ],
  '`Map`': [
    new Map(),
    new Map<unknown, unknown>([
      [2, 'b'],
      ['2', 'a'],
      [Number.NaN, 1],
      [{ object: 'key' }, { object: 'value' }],
      [[1], new Map([['deep', new Map()]])],
      [null, undefined],
      [1n, new Date(0)],
    ]),
    new Map(Array.from({ length: 20_000 }, (_, i) => [i, `value ${i}`])),
  ],
  '`Set`': [
    new Set(),
    new Set<unknown>(['b', 'a', 1, '1', 1n, undefined, { a: 1 }, { a: 1 }, new Set([0])]),
  ],
  '`Date`': [
    new Date(0),
    new Date(-1),
    new Date(1_700_000_000_123),
    new Date(8.64e15),
    new Date(-8.64e15),
    new Date(Number.NaN),
    { at: [new Date(5)] },
  ],
  '`RegExp`': [
    /a\/b[\]/]+/,
    /é(?<name>x)\k<name>/dgimsuy,
    new RegExp(''),
    Object.assign(/a/g, { lastIndex: 3 }),
    Object.assign(/a/y, { lastIndex: 2 ** 40 }),
  ],
  '`Uint8Array`': [
    new Uint8Array(0),
    anyByte,
    anyByte.subarray(3, 9),
    new Uint8Array(70_000).fill(7),
    { a: new Uint8Array([1]) },
  ],
  '`Buffer`': [Buffer.alloc(0), Buffer.from('text'), Buffer.from(anyByte).subarray(250)],
  'other typed arrays': [
    new Int8Array([-128, 127]),
    new Uint8ClampedArray([0, 255]),
    new Int16Array([-32_768, 1]),
    new Uint16Array([65_535, 1]),
    new Int32Array([-1, 1, 2 ** 31 - 1]),
    new Uint32Array([2 ** 32 - 1]),
    new Float32Array([-0, Number.NaN, 1.5, Number.POSITIVE_INFINITY]),
    new Float64Array([-0, Number.NaN, 1.1]),
    new Float64Array(new BigUint64Array([0x7ff8_0000_dead_beefn]).buffer),
    new BigInt64Array([-1n, 2n ** 63n - 1n]),
    new BigUint64Array([2n ** 64n - 1n]),
    new Float64Array(anyByte.buffer, 8, 3),
    new Int16Array(40_000),
    new Float32Array(0),
  ],
  '`DataView`, `ArrayBuffer`': [
    new DataView(anyByte.buffer, 5, 3),
    new DataView(new ArrayBuffer(0)),
    anyByte.buffer.slice(0, 7),
    new ArrayBuffer(0),
  ],
  '`Error`': [
    new Error('plain'),
    new Error(),
    new EvalError('e'),
    new RangeError('r', { cause: new TypeError('t', { cause: { code: 5 } }) }),
    new ReferenceError('r'),
    new SyntaxError('s'),
    new URIError('u', { cause: undefined }),
    new AggregateError([new Error('one'), 'two'], 'both'),
    Object.assign(new Error('named'), { name: 'Special', code: 'E', detail: { at: new Date(1) } }),
    withoutStack(new Error('quiet')),
  ],
  'registered class': [
    new Point(1, 2),
    [new Point(1, new Point(2, new Map([[new Point(3, null), 0]])))],
  ],
  'one object in two places': [[shared, shared], { a: shared, b: [shared, new Set([shared])] }],
};

function withoutStack(error: Error): Error {
  Reflect.deleteProperty(error, 'stack');
  return error;
}
