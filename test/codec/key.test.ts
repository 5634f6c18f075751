import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeKey,
  encodeKey,
  encodeKeyInto,
  keyBytesMax,
  keyDepthMax,
  keyOfMapKey,
  mapKeyOf,
  type Key,
} from '../../src/codec/key.ts';
import { compareBytes, fromHex, toHex } from '../../src/std/bytes.ts';

const primitives = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('\0', 'a', 'é', '\uffff', '😀'), maxLength: 4 }),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.bigInt({ min: -(1n << 200n), max: 1n << 200n }),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.boolean(),
  fc.uint8Array({ maxLength: 8 }),
);
const keys: fc.Arbitrary<Key> = fc.letrec<{ key: Key }>((tie) => ({
  key: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    primitives,
    fc.array(tie('key'), { maxLength: 4 }),
  ),
})).key;

/** The documented order, written down independently of the bytes. */
function compareKeys(a: Key, b: Key): number {
  if (kindOf(a) !== kindOf(b)) return kindOf(a) - kindOf(b);
  if (typeof a === 'string') return compareText(a, b as string);
  if (a instanceof Uint8Array) return compareItems([...a], [...(b as Uint8Array)], compareScalars);
  if (Array.isArray(a)) return compareItems(a as Key[], b as Key[], compareKeys);
  return compareScalars(a as number, b as number);
}

function kindOf(key: Key): number {
  if (key instanceof Uint8Array) return 4;
  return ['boolean', 'number', 'bigint', 'string', '', 'object'].indexOf(typeof key);
}

function compareText(a: string, b: string): number {
  const points = (text: string): number[] => Array.from(text, (c) => c.codePointAt(0)!);
  return compareItems(points(a), points(b), compareScalars);
}

function compareScalars(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareItems<T>(a: T[], b: T[], compare: (x: T, y: T) => number): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** -0 is 0 as a key; everything else comes back as it went in. */
function plain(key: Key): Key {
  if (typeof key === 'number') return key + 0;
  return Array.isArray(key) ? key.map((item: Key) => plain(item)) : key;
}

function compareEncoded(a: Key, b: Key): number {
  const left = encodeKey(a);
  const right = encodeKey(b);
  return compareBytes(left, 0, left.length, right, 0, right.length);
}

function nested(depth: number): Key {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

describe('encodeKey', () => {
  test.each<[string, Key]>([
    ['10', false],
    ['11', true],
    ['20000fffffffffffff', -Infinity],
    ['20400fffffffffffff', -1],
    ['208000000000000000', 0],
    ['208000000000000000', -0],
    ['20bff0000000000000', 1],
    ['20fff0000000000000', Infinity],
    ['307dfefe', -257n],
    ['307efe', -1n],
    ['3080', 0n],
    ['308101', 1n],
    ['3089010000000000000000', 1n << 64n],
    ['40', ''],
    ['40616200', 'ab\0'],
    ['40efbbbfc3a9', '\ufeffé'],
    ['50', new Uint8Array(0)],
    ['5000ff', Buffer.from([0, 255])],
    ['60', []],
    ['60406100ff0040006000', ['a\0', '', []]],
    ['605000ff01001110', [Uint8Array.of(0, 1), true, false]],
  ])('golden bytes %s: this key, both ways', (hex, key) => {
    expect(toHex(encodeKey(key))).toBe(hex);
    const decoded = decodeKey(fromHex(hex)!, 0, hex.length / 2);
    expect(decoded).toEqual(key instanceof Uint8Array ? Uint8Array.from(key) : plain(key));
  });

  test('magnitudes of 126 and 127 bytes: the short and the long form, in order', () => {
    const short = (1n << 1008n) - 1n;
    expect(toHex(encodeKey(short)).slice(0, 6)).toBe('30feff');
    expect(toHex(encodeKey(short + 1n)).slice(0, 10)).toBe('30ff007f01');
    expect(toHex(encodeKey(-short - 1n)).slice(0, 10)).toBe('3000ff80fe');
    expect(compareEncoded(short, short + 1n)).toBeLessThan(0);
    expect(compareEncoded(-short, -short - 1n)).toBeGreaterThan(0);
    expect(keyOfMapKey(mapKeyOf([-short - 1n]))).toEqual([-short - 1n]);
  });

  test('any key: comes back from its bytes', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const bytes = encodeKey(key);
        expect(bytes.length).toBeGreaterThan(0);
        expect(decodeKey(bytes, 0, bytes.length)).toEqual(plain(key));
      }),
      { seed: 21, numRuns: 500 },
    );
  });

  test('any two keys: their bytes compare as the keys do', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        expect(Math.sign(compareEncoded(a, b))).toBe(Math.sign(compareKeys(a, b)));
      }),
      { seed: 22, numRuns: 2000 },
    );
  });

  test('two keys of one kind: their bytes compare as the keys do', () => {
    const text = fc.string({ unit: fc.constantFrom('\0', 'a', '\uffff', '😀'), maxLength: 3 });
    const bytes = fc.uint8Array({ max: 2, maxLength: 3 });
    const tuple = fc.array(fc.oneof(text, bytes, fc.array(text, { maxLength: 2 })), {
      maxLength: 3,
    });
    for (const kind of [text, bytes, tuple, fc.double({ noNaN: true })] as fc.Arbitrary<Key>[]) {
      fc.assert(
        fc.property(kind, kind, (a, b) => {
          expect(Math.sign(compareEncoded(a, b))).toBe(Math.sign(compareKeys(a, b)));
        }),
        { seed: 23, numRuns: 300 },
      );
    }
  });

  test('called twice: two copies, neither of which the other call changes', () => {
    const first = encodeKey('first');
    encodeKey('other');
    expect(decodeKey(first, 0, first.length)).toBe('first');
    expect(first.byteLength).toBe(first.buffer.byteLength);
  });
});

describe('invalid keys', () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const refused: [string, string, unknown][] = [
    ['NaN', 'nan', Number.NaN],
    ['NaN in a tuple', 'nan', [Number.NaN]],
    ['null', 'type', null],
    ['undefined', 'type', undefined],
    ['a symbol', 'type', Symbol('key')],
    ['a function', 'type', compareText],
    ['an object', 'type', { key: 1 }],
    ['a boxed string', 'type', Object('boxed')],
    ['another typed array', 'type', new Int8Array(1)],
    ['a tuple with a hole', 'type', new Array(1)],
    ['an object in a tuple', 'type', ['a', {}]],
    ['a lone high surrogate', 'lone-surrogate', 'a\ud800'],
    ['a lone low surrogate', 'lone-surrogate', '\udc00a'],
    ['a lone surrogate in a long string', 'lone-surrogate', `${'a'.repeat(100)}\ud800`],
    ['a lone surrogate in a tuple', 'lone-surrogate', ['\ud800']],
    ['a tuple nested too deep', 'too-deep', nested(keyDepthMax + 1)],
    ['a tuple that holds itself', 'too-deep', cyclic],
    ['a string of too many characters', 'too-long', 'x'.repeat(keyBytesMax)],
    ['a string of too many bytes', 'too-long', '€'.repeat(21_845)],
    ['too many bytes', 'too-long', new Uint8Array(keyBytesMax)],
    ['a bigint of too many bytes', 'too-long', 1n << BigInt(8 * (keyBytesMax - 4))],
    ['a negative bigint of too many bytes', 'too-long', -(1n << BigInt(8 * (keyBytesMax - 4)))],
    ['a tuple too long by a boolean', 'too-long', [new Uint8Array(keyBytesMax - 3), true]],
    ['a tuple too long by a number', 'too-long', [new Uint8Array(keyBytesMax - 11), 1]],
    ['a tuple too long by a bigint', 'too-long', [new Uint8Array(keyBytesMax - 5), 1n]],
    ['a tuple too long by a string', 'too-long', ['x'.repeat(keyBytesMax - 4), '']],
    ['a tuple too long by its own bytes', 'too-long', ['x'.repeat(keyBytesMax - 2)]],
    ['a tuple too long by an escape', 'too-long', ['\0x'.repeat(26_000)]],
    ['a tuple too long by a last escape', 'too-long', [`${'x'.repeat(keyBytesMax - 4)}\0`]],
    ['a tuple too long by an end', 'too-long', [`\0${'x'.repeat(keyBytesMax - 4)}`]],
    ['a tuple too long by a tuple', 'too-long', ['x'.repeat(keyBytesMax - 3), []]],
    ['a tuple too long by the end of a tuple', 'too-long', ['x'.repeat(keyBytesMax - 4), []]],
  ];

  test.each(refused)('%s: refused as %s, for bytes and for a Map', (_, reason, key) => {
    const refusal = expect.objectContaining({ code: 'INVALID_KEY', details: { reason } });
    expect(() => encodeKey(key as Key)).toThrow(refusal);
    expect(() => mapKeyOf(key as Key)).toThrow(refusal);
  });

  test.each<[string, Key]>([
    ['a string', 'x'.repeat(keyBytesMax - 1)],
    ['a string of three-byte characters', `${'€'.repeat(21_844)}xx`],
    ['bytes', new Uint8Array(keyBytesMax - 1)],
    ['a bigint', (1n << BigInt(8 * (keyBytesMax - 4))) - 1n],
    ['a tuple with a string', ['x'.repeat(keyBytesMax - 3)]],
    ['a tuple with an escape', [`\0${'x'.repeat(keyBytesMax - 5)}`]],
    ['a tuple with a boolean', [new Uint8Array(keyBytesMax - 4).fill(1), true]],
    ['a tuple with a number', [new Uint8Array(keyBytesMax - 12).fill(1), 1]],
    ['a tuple with a bigint', [new Uint8Array(keyBytesMax - 6).fill(1), 1n]],
    ['a tuple with a tuple', ['x'.repeat(keyBytesMax - 5), []]],
  ])('the longest key, %s: taken, and nothing is written behind it', (_, key) => {
    const target = new Uint8Array(keyBytesMax + 2);
    expect(encodeKeyInto(key, target, 1)).toBe(keyBytesMax + 1);
    expect([target[0], target[keyBytesMax + 1]]).toEqual([0, 0]);
    // Not toEqual: it walks long bytes and bigints one by one.
    expect(encodeKey(decodeKey(target, 1, keyBytesMax + 1))).toHaveLength(keyBytesMax);
  });

  test('a tuple nested as deep as allowed: taken', () => {
    const bytes = encodeKey(nested(keyDepthMax));
    expect(decodeKey(bytes, 0, bytes.length)).toEqual(nested(keyDepthMax));
  });
});

describe('encodeKeyInto', () => {
  test('any key at an offset of shared memory: the same bytes, and no others', () => {
    const target = new Uint8Array(new SharedArrayBuffer(keyBytesMax + 20));
    fc.assert(
      fc.property(keys, fc.nat(20), (key, at) => {
        target.fill(0xee, 0, 200);
        const end = encodeKeyInto(key, target, at);
        expect(toHex(target.slice(at, end))).toBe(toHex(encodeKey(key)));
        expect(target.slice(0, at)).toEqual(new Uint8Array(at).fill(0xee));
        expect(decodeKey(target, at, end)).toEqual(plain(key));
      }),
      { seed: 24, numRuns: 200 },
    );
  });

  test('a target without room for the longest key: refused as a bug', () => {
    const target = new Uint8Array(keyBytesMax);
    expect(() => encodeKeyInto('a', target, 1)).toThrow(
      expect.objectContaining({ code: 'INVARIANT' }),
    );
  });
});

describe('decodeKey', () => {
  test.each([
    ['nothing', ''],
    ['an unknown tag', '7f'],
    ['a zero for a tag', '00'],
    ['bytes after a boolean', '1100'],
    ['bytes after a number', '20bff000000000000000'],
    ['a number cut short', '20bff00000000000'],
    ['a quiet NaN', '20fff8000000000000'],
    ['a negative NaN', '200007ffffffffffff'],
    ['a negative zero', '207fffffffffffffff'],
    ['a bigint without a length', '30'],
    ['a bigint cut short', '308201'],
    ['a negative bigint cut short', '307dfe'],
    ['a long bigint without its length', '30ff00'],
    ['a long bigint cut short', '30ff007f01'],
    ['a short bigint in the long form', '30ff000101'],
    ['a bigint with a leading zero', '30820001'],
    ['a negative bigint with a leading zero', '307dfffe'],
    ['a negative bigint of zero', '307f'],
    ['a string that is not UTF-8', '40ff'],
    ['a string of an overlong form', '40c080'],
    ['a string with a surrogate', '40eda080'],
    ['a string cut within a character', '40e282'],
    ['an unended string in a tuple', '604061'],
    ['an unended string after an escape', '604000ff'],
    ['unended bytes in a tuple', '605061'],
    ['an unended tuple in a tuple', '606011'],
    ['an end at the top level', '601100'],
    ['an unknown tag in a tuple', '607f'],
    ['a bad string in a tuple', '6040ff00'],
    ['tuples nested too deep', '60'.repeat(keyDepthMax + 1)],
  ])('%s: CORRUPT_SNAPSHOT', (_, hex) => {
    expect(() => decodeKey(fromHex(hex)!, 0, hex.length / 2)).toThrow(
      expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }),
    );
  });

  test.each([
    [-1, 2],
    [0, 4],
    [2, 2],
    [3, 1],
  ])('a range from %i to %i of three bytes: CORRUPT_SNAPSHOT', (start, end) => {
    expect(() => decodeKey(encodeKey('ab'), start, end)).toThrow(
      expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }),
    );
  });

  test('a string longer than any key: CORRUPT_SNAPSHOT', () => {
    const bytes = new Uint8Array(keyBytesMax + 1).fill(0x40);
    expect(() => decodeKey(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }),
    );
  });

  test('any bytes: refused, or the one encoding of a key', () => {
    const byte = fc.constantFrom(
      0,
      0x10,
      0x20,
      0x30,
      0x40,
      0x50,
      0x60,
      0x61,
      0x7f,
      0x80,
      0x81,
      255,
    );
    let decoded = 0;
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 14 }), (list) => {
        const bytes = Uint8Array.from(list);
        let key: Key;
        try {
          key = decodeKey(bytes, 0, bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT' });
          return;
        }
        decoded++;
        expect(toHex(encodeKey(key))).toBe(toHex(bytes));
      }),
      { seed: 25, numRuns: 3000 },
    );
    expect(decoded).toBeGreaterThan(100);
  });

  test('bytes and strings decoded from shared memory: do not change with it', () => {
    const target = new Uint8Array(new SharedArrayBuffer(keyBytesMax));
    const key: Key = [Uint8Array.of(1, 2), 'ключ'];
    const end = encodeKeyInto(key, target, 0);
    const decoded = decodeKey(target, 0, end);
    target.fill(0);
    expect(decoded).toEqual(key);
    const raw = decodeKey(Uint8Array.of(0x50, 7), 0, 2) as Uint8Array;
    expect(raw.buffer.byteLength).toBe(1);
  });
});

describe('mapKeyOf', () => {
  test('primitives: stand for themselves, -0 as 0', () => {
    for (const key of ['', '\0\ud800\udc00', 1.5, 10n, true]) expect(mapKeyOf(key)).toBe(key);
    expect(Object.is(mapKeyOf(-0), 0)).toBe(true);
  });

  test('any two keys: equal exactly when their bytes are', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const map = new Map([[mapKeyOf(a), true]]);
        expect(map.has(mapKeyOf(b))).toBe(compareEncoded(a, b) === 0);
        expect(map.has(mapKeyOf(plain(a)))).toBe(true);
      }),
      { seed: 26, numRuns: 500 },
    );
  });

  test('any key: comes back from what stands for it', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(keyOfMapKey(mapKeyOf(key))).toEqual(plain(key));
      }),
      { seed: 27, numRuns: 500 },
    );
  });

  test('the text of a tuple as a key of its own: refused, so it cannot be taken for the tuple', () => {
    expect(() => mapKeyOf(mapKeyOf(['a']))).toThrow(
      expect.objectContaining({ code: 'INVALID_KEY' }),
    );
  });
});
