import { describe, expect, test } from 'vitest';

import { formatBytes, formatTime, renderValue, toJson } from '../../src/cli/render.ts';
import { UnknownTypeValue } from '../../src/engine/index.ts';

const nullObject = Object.assign(Object.create(null) as object, { a: 1n });

describe('values as JSON', () => {
  test.each<[string, unknown, string]>([
    ['a string', 'text', '"text"'],
    ['a number', 1.5, '1.5'],
    ['booleans and null', [true, false, null], '[true,false,null]'],
    ['NaN', Number.NaN, '{"$number":"NaN"}'],
    ['infinities', [1 / 0, -1 / 0], '[{"$number":"Infinity"},{"$number":"-Infinity"}]'],
    ['-0', -0, '{"$number":"-0"}'],
    ['a bigint', 12n, '{"$bigint":"12"}'],
    ['undefined', [undefined], '[{"$undefined":true}]'],
    ['an object', { a: { b: [1n] } }, '{"a":{"b":[{"$bigint":"1"}]}}'],
    ['an object with a key like ours', { $bigint: '1' }, '{"$object":[["$bigint","1"]]}'],
    ['a key that objects have', JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
    ['an object without prototype', nullObject, '{"$nullObject":[["a",{"$bigint":"1"}]]}'],
    ['a Map', new Map([[1n, new Set(['x'])]]), '{"$map":[[{"$bigint":"1"},{"$set":["x"]}]]}'],
    ['a Date', new Date(5), '{"$date":"1970-01-01T00:00:00.005Z"}'],
    ['an invalid Date', new Date(Number.NaN), '{"$date":null}'],
    ['a RegExp', /a"b/gi, '{"$regexp":{"source":"a\\"b","flags":"gi","lastIndex":0}}'],
    ['bytes', new Uint8Array([1, 255]), '{"$bytes":"Af8="}'],
    ['a Buffer', Buffer.from([1, 255]), '{"$Buffer":"Af8="}'],
    ['an ArrayBuffer', new Uint8Array([1, 255]).buffer, '{"$ArrayBuffer":"Af8="}'],
    ['a DataView', new DataView(new Uint8Array([1, 255]).buffer), '{"$DataView":"Af8="}'],
    ['floats', new Float64Array([0.5, Number.NaN]), '{"$Float64Array":[0.5,{"$number":"NaN"}]}'],
    ['large integers', new BigInt64Array([-5n]), '{"$BigInt64Array":["-5"]}'],
    [
      'a registered type',
      new UnknownTypeValue('Money', 2, { cents: 5n }),
      '{"$type":{"name":"Money","version":2,"data":{"cents":{"$bigint":"5"}}}}',
    ],
  ])('%s: as documented', (_situation, value, json) => {
    expect(toJson(renderValue(value))).toBe(json);
  });

  test('an Error: class and own properties', () => {
    const error = new TypeError('no');
    Object.defineProperty(error, 'stack', { value: 'here' });
    expect(toJson(renderValue(error))).toBe(
      '{"$error":{"class":"TypeError","properties":[["stack","here"],["message","no"]]}}',
    );
  });

  test('control characters that JSON lets through: escaped', () => {
    expect(toJson('\u001b[2J\u009b2J\u2028')).toBe(String.raw`"\u001b[2J\u009b2J\u2028"`);
  });

  test('what no store holds: refused', () => {
    expect(() => renderValue(Symbol('x'))).toThrow(/holds no symbol/);
  });
});

describe('figures', () => {
  test('times: to the microsecond', () => {
    expect(formatTime(1_700_000_000_000_001)).toBe('2023-11-14T22:13:20.000001Z');
  });

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1_048_576, '1.00 MiB'],
    [15_728_640, '15.0 MiB'],
    [1024 ** 5, '1024.0 TiB'],
  ])('%d bytes: %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
