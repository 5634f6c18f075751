import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseKey, parseName } from '../../src/cli/key-argument.ts';
import { renderValue, toJson } from '../../src/cli/render.ts';
import type { Key } from '../../src/engine/index.ts';

describe('keys on the command line', () => {
  test.each<[string, Key]>([
    ['JFK', 'JFK'],
    ['', ''],
    ['12', '12'],
    ['a:b', 'a:b'],
    ['s:n:12', 'n:12'],
    ['s:', ''],
    ['n:12', 12],
    ['n:-1.5e3', -1500],
    ['n:.5', 0.5],
    ['n:Infinity', Number.POSITIVE_INFINITY],
    ['i:-12345678901234567890', -12_345_678_901_234_567_890n],
    ['b:true', true],
    ['b:false', false],
    ['x:00fF', new Uint8Array([0, 255])],
    ['x:', new Uint8Array(0)],
    ['j:"n:12"', 'n:12'],
    [
      'j:["JFK",{"$bigint":"7"},[true,{"$bytes":"Af8="}]]',
      ['JFK', 7n, [true, new Uint8Array([1, 255])]],
    ],
    ['j:{"$number":"-Infinity"}', Number.NEGATIVE_INFINITY],
  ])('%s: the key', (text, key) => {
    expect(parseKey(text)).toEqual(key);
  });

  test.each([
    ['n:', 'no number'],
    ['n:0x10', 'no number'],
    ['n:NaN', 'no number'],
    ['i:1.5', 'no whole number'],
    ['b:yes', 'true or false'],
    ['x:0', 'hexadecimal'],
    ['x:zz', 'hexadecimal'],
    ['j:[', 'no JSON'],
    ['j:null', 'JSON form of a key'],
    ['j:{"a":1}', 'JSON form of a key'],
    ['j:{"$bigint":"1","$number":"1"}', 'JSON form of a key'],
    ['j:{"$bytes":"?"}', 'JSON form of a key'],
    ['j:{"$bigint":7}', 'JSON form of a key'],
  ])('%s: INVALID_KEY', (text, why) => {
    expect(() => parseKey(text)).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }));
    expect(() => parseKey(text)).toThrow(why);
  });

  test('what dump prints: read back as the same key', () => {
    const primitive = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true }).map((value) => value + 0),
      fc.bigInt(),
      fc.boolean(),
      fc.uint8Array(),
    );
    const key = fc.oneof(primitive, fc.array(primitive), fc.array(fc.array(primitive)));
    fc.assert(
      fc.property(key, (value) => {
        expect(parseKey(`j:${toJson(renderValue(value))}`)).toEqual(value);
      }),
      { seed: 20_260_101, numRuns: 300 },
    );
  });
});

describe('names on the command line', () => {
  test('plain text and quoted: the name', () => {
    expect(parseName('n:12')).toBe('n:12');
    expect(parseName(String.raw`j:"\u0000holders"`)).toBe('\u0000holders');
  });

  test('quoted, and no string: INVALID_KEY', () => {
    expect(() => parseName('j:12')).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }));
  });
});
