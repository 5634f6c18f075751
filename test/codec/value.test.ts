import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createValueCodec, type TypeDefinition } from '../../src/codec/value.ts';
import { swapForHost } from '../../src/codec/value-format.ts';
import { IncompatibleError, InvalidArgumentError, TidemarkError } from '../../src/errors.ts';
import { Point, pointType } from './value-kept-cases.ts';
import { nested } from './value-refused-cases.ts';
import { difference } from './value-same.ts';

const codec = createValueCodec();

function roundTrip(value: unknown, by = codec): unknown {
  const bytes = Uint8Array.from(by.encode(value));
  return by.decode(bytes, 0, bytes.length);
}

function errorOf(action: () => unknown): TidemarkError {
  try {
    action();
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('bytes', () => {
  test('a result of encode: is borrowed until the next call', () => {
    const first = codec.encode('first');
    const copy = Uint8Array.from(first);
    codec.encode('other');
    expect(first).not.toEqual(copy);
  });

  test('values in the middle of shared memory: decode, and nothing of them aliases it', () => {
    const value = { b: new Uint8Array([1, 2]), f: new Float64Array([1.5]), s: 'é'.repeat(99) };
    const encoded = codec.encode(value);
    const slab = new Uint8Array(new SharedArrayBuffer(encoded.length + 11));
    slab.set(encoded, 7);
    const decoded = codec.decode(slab, 7, 7 + encoded.length);
    slab.fill(0xff);
    expect(difference(decoded, value)).toBeUndefined();
  });

  test('a value larger than the kept buffer: comes back, and its bytes are its own', () => {
    const value = [Buffer.alloc(3_000_000, 7), 'é'.repeat(2_000_000), Array.from({ length: 99_999 }, (_, i) => i / 3)]; // prettier-ignore
    const large = codec.encode(value);
    const small = codec.encode('small');
    expect(small.buffer).not.toBe(large.buffer);
    expect(small.buffer.byteLength).toBeLessThanOrEqual(0x1_0000);
    expect(difference(codec.decode(large, 0, large.length), value)).toBeUndefined();
  });

  test('512 containers inside each other: come back, of every kind', () => {
    for (const wrap of [
      (inner: unknown) => [inner],
      (inner: unknown) => ({ a: inner }),
      (inner: unknown) => new Map([[inner, 0]]),
      (inner: unknown) => new Set([inner]),
      (inner: unknown) => Object.assign(Object.create(null), { a: inner }) as unknown,
    ]) {
      const value = nested(512, wrap);
      expect(difference(roundTrip(value), value)).toBeUndefined();
    }
  });

  test('equal values built in different ways: have equal bytes', () => {
    const object: Record<string, unknown> = { dropped: 0, a: 1 };
    delete object['dropped'];
    object['b'] = [1, 'x'];
    const literal = Uint8Array.from(codec.encode({ a: 1, b: [1, 'x'] }));
    expect(Uint8Array.from(codec.encode(object))).toEqual(literal);
    const nan = new Float64Array(new BigUint64Array([0x7ff8_dead_beef_0001n]).buffer)[0];
    expect(Uint8Array.from(codec.encode(nan))).toEqual(Uint8Array.from(codec.encode(Number.NaN)));
    expect(Uint8Array.from(codec.encode('x'.repeat(60)))).toEqual(
      Uint8Array.from(codec.encode(['x'.repeat(30), 'x'.repeat(30)].join(''))),
    );
  });

  test('elements on a big-endian host: are turned to little-endian', () => {
    const bytes = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    swapForHost(bytes, 4, true);
    expect([...bytes]).toEqual([4, 3, 2, 1, 8, 7, 6, 5]);
    swapForHost(bytes, 4, false);
    expect([...bytes]).toEqual([4, 3, 2, 1, 8, 7, 6, 5]);
    swapForHost(bytes, 1, true);
    expect([...bytes]).toEqual([4, 3, 2, 1, 8, 7, 6, 5]);
  });

  test('any value of the supported kinds: comes back exactly', () => {
    const leaf = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.double(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(1n << 140n), max: 1n << 140n }),
      fc.constantFrom(null, undefined, true, false, -0),
      fc.date({ noInvalidDate: false }),
      fc.uint8Array({ maxLength: 40 }),
      fc.float64Array({ maxLength: 5 }),
    );
    const values = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', maxDepth: 5 },
        leaf,
        fc.array(tie('value'), { maxLength: 6 }),
        fc.dictionary(fc.string({ unit: 'binary', maxLength: 40 }), tie('value'), { maxKeys: 6 }),
        fc.array(fc.tuple(tie('value'), tie('value'))).map((pairs) => new Map(pairs)),
        fc.array(tie('value')).map((items) => new Set(items)),
      ),
    })).value;
    fc.assert(
      fc.property(values, (value) => {
        expect(difference(roundTrip(value), value)).toBeUndefined();
      }),
      { seed: 20_261, numRuns: 500 },
    );
  });
});

describe('registered types', () => {
  test('a type of a later version of the program: reads what an earlier one stored', () => {
    const seen: unknown[] = [];
    const stored = Uint8Array.from(createValueCodec([pointType]).encode(new Point(1, 2)));
    const later = createValueCodec([
      {
        ...pointType,
        version: 3,
        decode(data, version) {
          seen.push(version);
          return pointType.decode(data, version);
        },
      },
    ]);
    expect(later.decode(stored, 0, stored.length)).toEqual(new Point(1, 2));
    later.decode(later.encode(new Point(1, 2)).slice(), 0, later.encode(new Point(1, 2)).length);
    expect(seen).toEqual([1, 3]);
  });

  test('a stored type that is not registered: CODEC_UNAVAILABLE names it', () => {
    const stored = Uint8Array.from(createValueCodec([pointType]).encode([new Point(1, 2)]));
    const error = errorOf(() => codec.decode(stored, 0, stored.length));
    expect(error).toBeInstanceOf(IncompatibleError);
    expect(error).toMatchObject({ code: 'CODEC_UNAVAILABLE', details: { type: 'Point' } });
  });

  test('a stored version above the registered one: SCHEMA_CHANGED', () => {
    const stored = createValueCodec([{ ...pointType, version: 2 }]).encode(new Point(1, 2));
    const error = errorOf(() => createValueCodec([pointType]).decode(stored, 0, stored.length));
    expect(error).toMatchObject({
      code: 'SCHEMA_CHANGED',
      details: { type: 'Point', stored: 2, asked: 1 },
    });
  });

  test('upgrade: is given what older versions stored, and decode its result', () => {
    const one = createValueCodec([pointType]);
    const stored = Uint8Array.from(one.encode([new Point(1, 2)]));
    const seen: unknown[] = [];
    const three = createValueCodec([
      {
        ...pointType,
        version: 3,
        encode: ({ x, y }: Point) => [x, y],
        upgrade({ x, y }: Point, from) {
          seen.push(['upgrade', from]);
          return [x, y];
        },
        decode([x, y]: [number, number], version) {
          seen.push(['decode', version]);
          return new Point(x, y);
        },
      },
    ]);
    expect(three.decode(stored, 0, stored.length)).toEqual([new Point(1, 2)]);
    expect(roundTrip(new Point(3, 4), three)).toEqual(new Point(3, 4));
    expect(seen).toEqual([
      ['upgrade', 1],
      ['decode', 3],
      ['decode', 3],
    ]);
  });

  test.each<[string, Partial<TypeDefinition>, RegExp]>([
    ['an upgrade that throws', { upgrade: () => JSON.parse('{') as unknown }, /^upgrade .* threw/],
    ['an upgrade that promises', { upgrade: () => Promise.reject(new Error('late')) }, /^upgrade .* a promise/], // prettier-ignore
    ['a decode that promises', { decode: () => Promise.resolve(1) }, /^decode .* a promise/],
  ])('%s: SCHEMA_CHANGED with both versions', (_, more, message) => {
    const stored = Uint8Array.from(createValueCodec([pointType]).encode(new Point(1, 2)));
    const later = createValueCodec([{ ...pointType, version: 2, ...more }]);
    const error = errorOf(() => later.decode(stored, 0, stored.length));
    expect(error).toMatchObject({
      code: 'SCHEMA_CHANGED',
      details: { type: 'Point', stored: 1, asked: 2 },
    });
    expect(error.message).toMatch(message);
  });

  test('a decode that throws: SCHEMA_CHANGED with the cause, and the codec goes on', () => {
    const cause = new TypeError('cannot');
    const own = createValueCodec([
      {
        ...pointType,
        decode() {
          throw cause;
        },
      },
    ]);
    const stored = Uint8Array.from(own.encode([[new Point(1, 2)]]));
    const error = errorOf(() => own.decode(stored, 0, stored.length));
    expect(error).toMatchObject({ code: 'SCHEMA_CHANGED', details: { type: 'Point' } });
    expect(error.cause).toBe(cause);
    expect(roundTrip(7, own)).toBe(7);
  });

  test('an encode that throws: INVALID_VALUE with the path and the cause', () => {
    const cause = new Error('no');
    const own = createValueCodec([
      {
        ...pointType,
        encode() {
          throw cause;
        },
      },
    ]);
    const error = errorOf(() => own.encode({ at: [new Point(1, 2)] }));
    expect(error).toMatchObject({
      code: 'INVALID_VALUE',
      details: { path: 'at[0]', type: 'Point' },
    });
    expect(error.cause).toBe(cause);
  });

  test('an encode that encodes another value: INVALID_CALL, and the codec goes on', () => {
    const own = createValueCodec([{ ...pointType, encode: () => own.encode(1) }]);
    const error = errorOf(() => own.encode(new Point(1, 2)));
    expect(error).toMatchObject({ code: 'INVALID_VALUE', cause: { code: 'INVALID_CALL' } });
    expect(roundTrip('next', own)).toBe('next');
  });

  test('a decode that reads another value: both come back', () => {
    const other = Uint8Array.from(codec.encode({ other: ['value'] }));
    const own = createValueCodec([
      {
        ...pointType,
        decode: (data) => new Point((data as Point).x, own.decode(other, 0, other.length)),
      },
    ]);
    expect(roundTrip([new Point(1, 0), 'after'], own)).toEqual([
      new Point(1, { other: ['value'] }),
      'after',
    ]);
  });

  test('an encode that changes the container being written: what is stored is sound', () => {
    const array: unknown[] = [];
    const map = new Map<unknown, unknown>();
    const object: Record<string, unknown> = {};
    const own = createValueCodec([
      {
        ...pointType,
        encode() {
          array.length = 1;
          delete object['later'];
          if (map.size < 9) map.set(map.size, 0);
          return 1;
        },
      },
    ]);
    array.push(new Point(0, 0), 1, 2);
    expect(errorOf(() => own.encode(array)).details['path']).toBe('');
    Object.assign(object, { point: new Point(0, 0), later: 1 });
    expect(errorOf(() => own.encode(object)).code).toBe('INVALID_VALUE');
    map.set('point', new Point(0, 0));
    const stored = own.encode(map);
    expect(errorOf(() => codec.decode(stored, 0, stored.length)).code).toBe('CODEC_UNAVAILABLE');
  });

  test('a subclass of an error: comes back when it is registered', () => {
    class Refusal extends Error {
      readonly order: number;
      constructor(message: string, order: number) {
        super(message);
        this.order = order;
      }
    }
    const type: TypeDefinition<Refusal> = {
      name: 'Refusal',
      class: Refusal,
      encode: (error) => [error.message, error.order],
      decode: (data) => new Refusal(...(data as [string, number])),
    };
    const decoded = roundTrip(new Refusal('late', 7), createValueCodec([type])) as Refusal;
    expect(decoded).toBeInstanceOf(Refusal);
    expect([decoded.message, decoded.order]).toEqual(['late', 7]);
  });

  test('a definition changed after the codec was made: has no effect', () => {
    const type = { ...pointType };
    const own = createValueCodec([type]);
    type.name = 'Other';
    expect(roundTrip(new Point(1, 2), own)).toEqual(new Point(1, 2));
  });
});

describe('type definitions that are refused', () => {
  const bad: Readonly<Record<string, [unknown[], RegExp]>> = {
    'no object': [[null], /not an object/],
    'no name': [[{ ...pointType, name: '' }], /no name/],
    'a name that is no string': [[{ ...pointType, name: 5 }], /no name/],
    'a name with a lone surrogate': [[{ ...pointType, name: '\uD800' }], /ill-formed name/],
    'a repeated name': [[pointType, { ...pointType, class: URL }], /repeats the name/],
    'a repeated class': [[pointType, { ...pointType, name: 'Other' }], /repeats the class/],
    'no class': [[{ ...pointType, class: undefined }], /no class/],
    'an arrow function as class': [[{ ...pointType, class: () => 1 }], /no class/],
    'a built-in class': [[{ ...pointType, class: Map }], /a value already/],
    'the class of plain objects': [[{ ...pointType, class: Object }], /a value already/],
    'the class of arrays': [[{ ...pointType, class: Array }], /a value already/],
    'no encode': [[{ ...pointType, encode: undefined }], /lacks encode or decode/],
    'no decode': [[{ ...pointType, decode: 1 }], /lacks encode or decode/],
    'a version of zero': [[{ ...pointType, version: 0 }], /version/],
    'a fractional version': [[{ ...pointType, version: 1.5 }], /version/],
    'an upgrade that is no function': [[{ ...pointType, version: 2, upgrade: 1 }], /no function/],
    'an upgrade to version 1': [[{ ...pointType, upgrade: () => 1 }], /no version above 1/],
  };
  for (const [name, [types, reason]] of Object.entries(bad)) {
    test(`${name}: INVALID_OPTION`, () => {
      const error = errorOf(() => createValueCodec(types as TypeDefinition[]));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error.code).toBe('INVALID_OPTION');
      expect(error.message).toMatch(reason);
      expect(error.details['option']).toBe(`types[${types.length - 1}]`);
    });
  }
});

describe('views that say something else than they are', () => {
  const lying = (view: Uint8Array, length: number): Uint8Array =>
    Object.defineProperty(view, 'length', { value: length });

  test.each([-30, 0, 1, 2.5, 1000])('an own length of %s: every byte comes back', (length) => {
    const codec = createValueCodec();
    const bytes = Uint8Array.of(97, 98, 99);
    for (const view of [lying(Buffer.from(bytes), length), lying(bytes.slice(), length)]) {
      const encoded = codec.encode([view, 'behind']).slice();
      const [stored, behind] = codec.decode(encoded, 0, encoded.length) as [Uint8Array, string];
      expect([...stored]).toEqual([...bytes]);
      expect(behind).toBe('behind');
    }
  });

  test('numbers with the prototype of Buffer: all their bytes come back', () => {
    const codec = createValueCodec();
    const numbers = new Float64Array([1.5, 2]);
    const expected = Buffer.from(numbers.buffer.slice(0));
    const encoded = codec.encode(Object.setPrototypeOf(numbers, Buffer.prototype)).slice();
    expect(codec.decode(encoded, 0, encoded.length)).toEqual(expected);
  });
});

test('a proxy: what stands behind it is stored, and not what it hands out', () => {
  const codec = createValueCodec();
  const masking = new Proxy({ a: 'raw', m: new Map([[1, 2]]) }, { get: () => 'masked' });
  const encoded = codec.encode(masking).slice();
  expect(codec.decode(encoded, 0, encoded.length)).toEqual({ a: 'raw', m: new Map([[1, 2]]) });
});

describe('encoding into a target', () => {
  test('any value behind any bytes: those of encode, and what stands before stays', () => {
    const codec = createValueCodec();
    for (const value of [1, 'text', { a: [1, 2, { b: Buffer.alloc(50, 7) }] }, 'x'.repeat(1000)]) {
      const expected = codec.encode(value).slice();
      for (const room of [0, 3, 40, 5000]) {
        const target = { bytes: Buffer.alloc(10 + room, 1), at: 10 };
        codec.encodeInto(target, value);
        expect(target.at).toBe(10 + expected.length);
        expect(target.bytes.subarray(0, 10)).toEqual(Buffer.alloc(10, 1));
        expect(Buffer.compare(target.bytes.subarray(10, target.at), expected)).toBe(0);
      }
    }
  });

  test('a value that is refused when it has grown the target: nothing is kept of it', () => {
    const codec = createValueCodec();
    const target = { bytes: Buffer.alloc(16, 1), at: 8 };
    const before = target.bytes;
    expect(() => codec.encodeInto(target, ['x'.repeat(1000), () => {}])).toThrow('function');
    expect(target).toEqual({ bytes: before, at: 8 });
    expect(before).toEqual(Buffer.alloc(16, 1).fill(before.subarray(8), 8));
    codec.encodeInto(target, 5);
    expect(target.at).toBe(9);
  });

  test('a registered type that encodes meanwhile: refused, and the outer value is whole', () => {
    class Own {
      readonly value: number;
      constructor(value: number) {
        this.value = value;
      }
    }
    const target = { bytes: Buffer.alloc(16, 1), at: 0 };
    const codec = createValueCodec([
      {
        name: 'own',
        class: Own,
        encode: (own: Own) => {
          expect(() => codec.encodeInto(target, 1)).toThrow('another is being encoded');
          expect(() => codec.encode(1)).toThrow('another is being encoded');
          return own.value;
        },
        decode: (value: unknown) => new Own(value as number),
      },
    ]);
    codec.encodeInto(target, [new Own(7), 'behind']);
    expect(codec.decode(target.bytes, 0, target.at)).toEqual([new Own(7), 'behind']);
  });
});
