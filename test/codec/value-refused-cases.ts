/*
 * Values that are refused, by the first cell of the row of docs/VALUES.md that says so, each with
 * the path that the refusal names.
 */
import { runInNewContext } from 'node:vm';
import { Point } from './value-kept-cases.ts';

export interface RefusedCase {
  readonly value: unknown;
  readonly path: string;
  readonly reason: RegExp;
}

class Plain {
  a = 1;
}
class SubMap extends Map {}
class SubArray extends Array<number> {}
class SubError extends Error {}
class SubPoint extends Point {}
class SubBytes extends Uint8Array {}

const hidden = Object.defineProperty({ a: 1 }, 'secret', { value: 2 });
const impostor = (prototype: object): unknown => Object.create(prototype) as unknown;
const boxed = [new Number(1), new String('s'), new Boolean(true), Object(1n), Object(Symbol('s'))];
const lone = /lone surrogate/;

export const refusedCases: Readonly<Record<string, () => readonly RefusedCase[]>> = {
  'functions and symbols': () => [
    refused(() => 1, '', /is a function/),
    refused({ f: URL }, 'f', /is a function/),
    refused([1, Symbol('s')], '[1]', /is a symbol/),
    refused({ a: { b: [0, 0, 0, Symbol.iterator] } }, 'a.b[3]', /is a symbol/),
    refused(new Map([[Symbol('s'), 1]]), '<map key 0>', /is a symbol/),
    refused({ 'odd name': { f: Math.max } }, '["odd name"].f', /is a function/),
  ],
  'symbols as keys': () => [
    refused({ a: { [Symbol('s')]: 1 } }, 'a', /key Symbol\(s\)/),
    refused([Object.assign([1], { [Symbol('s')]: 1 })], '[0]', /key Symbol\(s\)/),
    refused(
      Object.assign(Array.from({ length: 99 }, Number), { [Symbol('s')]: 1 }),
      '',
      /key Symb/,
    ),
    refused(Object.assign(Object.create(null), { [Symbol('s')]: 1 }), '', /key Symbol\(s\)/),
    refused(Object.assign(new Map(), { [Symbol('s')]: 1 }), '', /key Symbol\(s\)/),
    refused(Object.assign(new Error('e'), { [Symbol('s')]: 1 }), '', /key Symbol\(s\)/),
    refused({ module: Math }, 'module', /key Symbol\(Symbol.toStringTag\)/),
  ],
  'accessor properties': () => [
    refused({ get a() { return unreachable(); } }, 'a', /accessor/), // prettier-ignore
    refused({ b: { set a(_: number) { unreachable(); } } }, 'b.a', /accessor/), // prettier-ignore
    refused(
      Object.defineProperty(new Error('e'), 'x', { get: unreachable }),
      '',
      /accessor property "x"/,
    ),
    refused(
      Object.defineProperty(Object.create(null), 'n', { get: unreachable, enumerable: true }),
      'n',
      /accessor/,
    ),
  ],
  'properties that are not enumerable': () => [
    refused({ hidden }, 'hidden', /non-enumerable property "secret"/),
    refused(argumentsOf(1), '', /key Symbol|non-enumerable/),
  ],
  'instances of classes that are not registered': () => [
    refused(new Plain(), '', /instance of Plain/),
    refused({ a: new SubPoint(1, 2) }, 'a', /instance of SubPoint/),
    refused(new URL('tide:mark'), '', /instance of URL/),
    refused([runInNewContext('({ a: 1 })')], '[0]', /instance of Object/),
    refused(runInNewContext('new Map()'), '', /instance of Map/),
    refused(Object.create({ inherited: 1 }), '', /instance of Object/),
    refused(impostor(Object.create(null) as object), '', /prototype of its own/),
    refused({ a: new Point(1, new Plain()) }, 'a.<encoded>.y', /instance of Plain/),
    ...[Map, Set, Date, RegExp, Uint8Array, Int8Array, DataView, ArrayBuffer, Error, Array].map(
      (type) =>
        refused({ fake: impostor(type.prototype as object) }, 'fake', /only has the prototype/),
    ),
    refused(new Proxy(new Map(), {}), '', /only has the prototype of Map/),
  ],
  'subclasses of built-in classes': () => [
    refused({ m: new SubMap() }, 'm', /instance of SubMap/),
    refused({ m: new SubArray() }, 'm', /instance of SubArray/),
    refused({ m: new SubError() }, 'm', /instance of SubError/),
    refused({ m: new SubBytes(1) }, 'm', /instance of SubBytes/),
  ],
  '`Promise`, `WeakMap`, `WeakSet`, `WeakRef`': () => [
    refused({ p: Promise.resolve() }, 'p', /instance of Promise.*: await it/),
    refused(new Map([[1, new WeakMap()]]), '<map value 0>', /instance of WeakMap/),
    refused(new Set([0, new WeakSet()]), '<set item 1>', /instance of WeakSet/),
    refused([new WeakRef({})], '[0]', /instance of WeakRef/),
  ],
  'boxed primitives': () =>
    boxed.map((value) =>
      refused([value], '[0]', /instance of (Number|String|Boolean|BigInt|Symbol)/),
    ),
  'arrays with holes': () => [
    // oxlint-disable-next-line no-sparse-arrays -- the case
    refused({ a: [1, , 3] }, 'a', /sparse array/),
    refused(Array.from({ length: 3 }).concat(new Array(2)), '', /sparse array/),
    refused([new Array(100)], '[0]', /sparse array/),
    refused(withoutItem(Array.from({ length: 99 }, Number), 40), '', /sparse array/),
    // oxlint-disable-next-line no-sparse-arrays -- as many names as an array without either
    refused(Object.assign([1, , 3], { extra: 1 }), '', /sparse array|extra property/),
  ],
  'arrays with extra properties': () => [
    refused({ a: Object.assign([1], { extra: 1 }) }, 'a', /extra property "extra"/),
    refused(Object.assign(Array.from({ length: 99 }, Number), { x: 1 }), '', /extra property "x"/),
    refused(/(a)/.exec('a'), '', /extra property "index"/),
  ],
  'maps, sets, dates, regular expressions, array buffers with extra properties': () =>
    [new Map(), new Set(), new Date(0), /a/, new ArrayBuffer(1)].map((value) =>
      refused({ v: Object.assign(value, { extra: 1 }) }, 'v', /extra property "extra"/),
    ),
  '`Float16Array` and other classes not in the table': () => [
    ...('Float16Array' in globalThis
      ? [
          refused(
            new (globalThis as unknown as { Float16Array: new () => object }).Float16Array(),
            '',
            /Float16Array/,
          ),
        ]
      : []),
    refused(new Intl.NumberFormat(), '', /instance of NumberFormat/),
    refused(new DOMException('d'), '', /instance of DOMException/),
    refused(Object.assign(/a/, { lastIndex: -1 }), '', /lastIndex/),
    refused(Object.assign(/a/, { lastIndex: 'x' }), '', /lastIndex/),
  ],
  'strings and keys with a lone surrogate': () => [
    refused('\uD800', '', lone),
    refused({ s: 'a\uDC00' }, 's', lone),
    refused(['\uD800\uD800'], '[0]', lone),
    refused(`${'é'.repeat(60)}\uD83D`, '', lone),
    refused('\uDE00\uD83D', '', lone),
    refused({ a: { 'k\uD800': 1 } }, 'a', lone),
    refused(new Map([['ok', 1], ['\uDFFF', 1]]), '<map key 1>', lone), // prettier-ignore
    refused(new Set(['x\uD800y']), '<set item 0>', lone),
    refused(Object.assign(new Error('e'), { detail: '\uD800' }), 'detail', lone),
    refused(new RegExp('\uD800'), '', lone),
  ],
  'bytes in a `SharedArrayBuffer`, a resizable or a transferred buffer': () => [
    refused({ b: new Uint8Array(new SharedArrayBuffer(2)) }, 'b', /SharedArrayBuffer/),
    refused(new Float64Array(new SharedArrayBuffer(8)), '', /SharedArrayBuffer/),
    refused(Buffer.from(new SharedArrayBuffer(2)), '', /SharedArrayBuffer/),
    refused(new DataView(new SharedArrayBuffer(2)), '', /SharedArrayBuffer/),
    refused(new SharedArrayBuffer(2), '', /instance of SharedArrayBuffer/),
    refused(resizable(), '', /resizable/),
    refused(new Uint8Array(resizable()), '', /resizable/),
    refused(transferred(new Uint8Array(4)), '', /transferred/),
    refused(transferred(new Int32Array(4)), '', /transferred/),
    refused(transferred(new Uint8Array(4)).buffer, '', /transferred/),
  ],
  cycles: () => cycles(),
  'more than 512 containers inside each other': () => [
    refused(
      nested(513, (inner) => [inner]),
      '[0]'.repeat(512),
      /nested deeper than 512/,
    ),
    refused(
      nested(100_000, (inner) => [inner]),
      '[0]'.repeat(512),
      /nested deeper/,
    ),
    refused(
      nested(100_000, (inner) => ({ a: inner })),
      `a${'.a'.repeat(511)}`,
      /nested deeper/,
    ),
    refused(
      nested(100_000, (inner) => new Set([inner])),
      `<set item 0>${'.<set item 0>'.repeat(511)}`,
      /nested deeper/,
    ),
    refused(
      nested(9999, (inner) => new Point(0, inner)),
      deepPointPath(),
      /nested deeper/,
    ),
  ],
  'more than 512 MiB when encoded': () => [
    refused(new Uint8Array(0x2000_0000), '', /larger than 536870912 bytes/),
    refused([new Uint8Array(0x2000_0000)], '', /larger than 536870912 bytes/),
  ],
};

/** A chain of so many containers. */
export function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value = wrap(0);
  for (let i = 1; i < levels; i++) value = wrap(value);
  return value;
}

function refused(value: unknown, path: string, reason: RegExp): RefusedCase {
  return { value, path, reason };
}

function cycles(): RefusedCase[] {
  const object: Record<string, unknown> = { a: 1 };
  object['self'] = object;
  const array: unknown[] = [];
  array.push([array]);
  const map = new Map<unknown, unknown>();
  map.set('m', { map });
  const set = new Set<unknown>();
  set.add(set);
  const error = new Error('e');
  error.cause = error;
  const long: Record<string, unknown> = {};
  long['next'] = nested(100, (inner) => (inner === 0 ? long : { inner }));
  const inner: Record<string, unknown> = {};
  inner['again'] = inner;
  const paths: [unknown, string][] = [
    [object, 'self'],
    [array, '[0][0]'],
    [map, '<map value 0>.map'],
    [set, '<set item 0>'],
    [error, 'cause'],
    [long, `next${'.inner'.repeat(99)}`],
    [{ a: [inner] }, 'a[0].again'],
  ];
  return paths.map(([value, path]) => refused(value, path, /is part of a cycle/));
}

function deepPointPath(): string {
  return Array.from({ length: 512 }, (_, i) => (i % 2 === 0 ? '<encoded>' : 'y')).join('.');
}

function withoutItem(array: unknown[], index: number): unknown[] {
  Reflect.deleteProperty(array, index);
  return array;
}

function resizable(): ArrayBuffer {
  const type = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer;
  return new type(2, { maxByteLength: 4 });
}

function transferred<T extends ArrayBufferView>(view: T): T {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

function argumentsOf(..._items: unknown[]): unknown {
  return arguments;
}

function unreachable(): never {
  throw new Error('an accessor was run');
}
