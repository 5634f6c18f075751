/*
 * Bytes that are not those of a value: one case for each branch by which the decoder rejects, and
 * random damage to sound values.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createValueCodec } from '../../src/codec/value.ts';
import { CorruptionError, IncompatibleError } from '../../src/errors.ts';
import { fromHex } from '../../src/std/bytes.ts';
import { keptCases, pointType } from './value-kept-cases.ts';
import { difference } from './value-same.ts';

const codec = createValueCodec([pointType]);

const damaged: Readonly<Record<string, readonly [string, RegExp]>> = {
  'no bytes': ['', /holds no value/],
  'bytes after the value': ['c000', /bytes left over/],
  'the head that MessagePack never uses': ['c1', /unknown head 0xc1/],
  'a float32': ['ca3fc00000', /unknown head 0xca/],
  'a fixext2': ['d57240', /unknown head 0xd5/],
  'a fixext4 (a timestamp)': ['d6ff00000000', /unknown head 0xd6/],
  'a fixext16': [`d805${'00'.repeat(16)}`, /unknown head 0xd8/],
  'a fixext1 of another type': ['d47240', /unknown head 0xd4/],
  'undefined with another byte': ['d40001', /unknown head 0xd4/],
  'a fixext8 of another type': ['d7ff0000000000000000', /unknown extension type 255/],
  'an ext of another type': ['c70163ff', /unknown extension type 99/],
  'an empty ext': ['c70006', /unknown extension type 6/],
  'a date with an ext8 header': ['c708020000000000000000', /unknown extension type 2/],
  'a map with an ext8 header': ['c7020300c0', /unknown extension type 3/],
  'a bigint with an ext16 header': [`c8000a0100${'ff'.repeat(9)}`, /unknown extension type 1/],
  'a view with an ext32 header': ['c9000000020601ff', /unknown extension type 6/],
  'a number cut short': ['cd01', /cut short/],
  'a float64 cut short': ['cb3ff000', /cut short/],
  'a string cut short': ['a361', /cut short/],
  'a string of impossible length': ['dbffffffff61', /cut short/],
  'bytes of impossible length': ['c6ffffffff61', /cut short/],
  'an array of impossible length': ['ddffffffff00', /cut short/],
  'an array cut short': ['9200', /cut short/],
  'a map of impossible size': ['dfffffffff00', /cut short/],
  'an object cut short': ['81a161', /cut short/],
  'an ext of impossible length': ['c9ffffffff03', /cut short/],
  'a view of impossible length': ['c7ff0601', /cut short/],
  'a header cut short': ['c9ff', /cut short/],
  'a uint8 that a fixint holds': ['cc7f', /longer form/],
  'a uint16 that a uint8 holds': ['cd00ff', /longer form/],
  'a uint32 that a uint16 holds': ['ce0000ffff', /longer form/],
  'an int8 that a fixint holds': ['d0e0', /longer form/],
  'an int8 that is positive': ['d001', /longer form/],
  'an int16 that an int8 holds': ['d1ff80', /longer form/],
  'an int32 that an int16 holds': ['d2ffff8000', /longer form/],
  'an integer as a float64': ['cb3ff0000000000000', /longer form/],
  'a NaN with other bits': ['cb7ff8000000000001', /NaN/],
  'a uint64 that an int64 holds': ['cf0000000000000001', /longer form/],
  'a str8 that a fixstr holds': ['d90161', /longer form/],
  'a str16 that a str8 holds': [`da0020${'61'.repeat(32)}`, /longer form/],
  'a str32 that a str16 holds': [`db00000100${'61'.repeat(256)}`, /longer form/],
  'a bin16 that a bin8 holds': ['c50001ff', /longer form/],
  'a bin32 that a bin16 holds': ['c600000001ff', /longer form/],
  'an array16 that a fixarray holds': ['dc000100', /longer form/],
  'an array32 that an array16 holds': ['dd0000000100', /longer form/],
  'a map16 that a fixmap holds': ['de0001a16100', /longer form/],
  'a map32 that a map16 holds': ['df00000001a16100', /longer form/],
  'a byte that UTF-8 never has': ['a1ff', /ill-formed UTF-8/],
  'an overlong UTF-8 form': ['a2c0af', /ill-formed UTF-8/],
  'a surrogate in UTF-8': ['a3eda080', /ill-formed UTF-8/],
  'ill-formed UTF-8 in a key': ['81a2ffff00', /ill-formed UTF-8/],
  'ill-formed UTF-8 in a long string': [`d93c${'61'.repeat(59)}ff`, /ill-formed UTF-8/],
  'U+FFFD beside ill-formed UTF-8': ['a4efbfbdff', /ill-formed UTF-8/],
  'a key that is a number': ['810100', /no string/],
  'a repeated key': ['82a16100a16101', /repeated key/],
  'a repeated __proto__': ['82a95f5f70726f746f5f5f00a95f5f70726f746f5f5f00', /repeated key/],
  'a repeated key without a prototype': ['c90000000608a16100a16101', /repeated key/],
  'a bigint of a wrong sign': [`c70a0102${'ff'.repeat(9)}`, /ill-formed bigint/],
  'a bigint with a leading zero': [`c70a010000${'ff'.repeat(8)}`, /ill-formed bigint/],
  'a short bigint': ['c7020100ff', /ill-formed bigint/],
  'a bigint that an int64 holds': ['c70901017fffffffffffffff', /longer form/],
  'a bigint that a uint64 holds': ['c7090100ffffffffffffffff', /longer form/],
  'a view of an unknown kind': ['c70206ffff', /ill-formed view/],
  'a view with a part of an element': ['c7020602ff', /ill-formed view/],
  'a map without its last value': ['c90000000103a0', /cut short/],
  'a map with a repeated key': ['c90000000403010001ff', /repeated key/],
  'a map with -0 as a key': ['c90000000a03cb800000000000000000', /negative zero/],
  'a set with a repeated item': ['c900000002040101', /repeated item/],
  'a set with -0': ['c90000000904cb8000000000000000', /negative zero/],
  'a container that ends inside an item': ['c90000000204a261c0', /cut short/],
  'a regular expression without source': ['c90000000305c0a000', /no string/],
  'a regular expression with more': ['c90000000505a161a000c0', /left over/],
  'a negative lastIndex': ['c90000000405a161a0ff', /lastIndex/],
  'a lastIndex that is no number': ['c90000000405a161a0c0', /lastIndex/],
  'an error of an unknown class': ['c90000000407a3466f6f', /unknown class/],
  'an error property without flag': ['c90000000907a54572726f72a16100', /ill-formed property/],
  'an error with a repeated property': [
    'c90000000e07a54572726f72a161c200a161c200',
    /repeated property/,
  ],
  'a date out of range': ['d702434eb208c2dc0002', /out of range/],
  'a date between milliseconds': ['d7023ff8000000000000', /out of range/],
  'a registered type without name': ['c90000000309010100', /no string/],
  'a registered type of version 0': ['c90000000409a16100c0', /ill-formed version/],
  'a registered type with more': ['c90000000509a16101c0c0', /left over/],
  '513 arrays': [`${'91'.repeat(513)}00`, /nested deeper/],
  'a million arrays': ['91'.repeat(1_000_000), /nested deeper/],
  'a million objects': ['81a161'.repeat(1_000_000), /nested deeper/],
  '513 maps': [nestedMaps(513), /nested deeper/],
};

describe('damaged bytes', () => {
  for (const [name, [hex, reason]] of Object.entries(damaged)) {
    test(`${name}: CORRUPT_SNAPSHOT`, () => {
      const error = errorOf(fromHex(hex)!);
      expect(error).toBeInstanceOf(CorruptionError);
      expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT' });
      expect((error as CorruptionError).message).toMatch(reason);
    });
  }

  test('a range outside the bytes: CORRUPT_SNAPSHOT', () => {
    expect(() => codec.decode(new Uint8Array(4), 0, 5)).toThrow(CorruptionError);
    expect(() => codec.decode(new Uint8Array(4), 2, 2)).toThrow(CorruptionError);
    expect(() => codec.decode(new Uint8Array(4), 3, 2)).toThrow(CorruptionError);
  });

  test('damage in the middle of a slice: the details say where', () => {
    const bytes = new Uint8Array([0, 0, 0x92, 0x00, 0xc1, 0, 0]);
    expect(() => codec.decode(bytes, 2, 5)).toThrow(
      expect.objectContaining({
        details: { reason: 'has the unknown head 0xc1', offset: 3, start: 2, end: 5 },
      }),
    );
  });

  test('a regular expression that this runtime cannot build: CODEC_UNAVAILABLE', () => {
    const error = errorOf(fromHex('c90000000405a128a000')!);
    expect(error).toBeInstanceOf(IncompatibleError);
    expect(error).toMatchObject({ code: 'CODEC_UNAVAILABLE', details: { type: 'RegExp' } });
  });
});

describe('sound values', () => {
  const sound = Object.values(keptCases)
    .flat()
    .map((value) => Uint8Array.from(codec.encode(value)))
    .filter((bytes) => bytes.length < 1000);

  test('every prefix: CORRUPT_SNAPSHOT', () => {
    for (const bytes of sound) {
      for (let end = 0; end < bytes.length; end++) {
        expect(errorOf(bytes.subarray(0, end))).toBeInstanceOf(CorruptionError);
      }
    }
  });

  test('random damage: a typed error, or a value that could have been stored', () => {
    const edits = fc.array(fc.tuple(fc.nat(999), fc.nat(255), fc.nat(3)), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.constantFrom(...sound), edits, (bytes, list) => {
        checkOutcome(damage(bytes, list));
      }),
      { seed: 20_262, numRuns: 20_000 },
    );
  });

  test('random bytes: a typed error, or a value that could have been stored', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => checkOutcome(bytes)),
      { seed: 20_263, numRuns: 20_000 },
    );
  });
});

function checkOutcome(bytes: Uint8Array): void {
  let value: unknown;
  try {
    value = codec.decode(bytes, 0, bytes.length);
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof IncompatibleError) return;
    throw error;
  }
  const again = codec.encode(value);
  expect(difference(codec.decode(again, 0, again.length), value)).toBeUndefined();
}

/** Sets, flips a bit of, removes or inserts bytes. */
function damage(bytes: Uint8Array, edits: readonly (readonly number[])[]): Uint8Array {
  const list = [...bytes];
  for (const [place, byte, kind] of edits) {
    const at = place! % list.length;
    if (kind === 0) list[at] = byte!;
    else if (kind === 1) list[at] = list[at]! ^ (1 << (byte! & 7));
    else if (kind === 2 && list.length > 1) list.splice(at, 1);
    else list.splice(at, 0, byte!);
  }
  return Uint8Array.from(list);
}

function nestedMaps(levels: number): string {
  let hex = '00c0';
  for (let i = 0; i < levels; i++) {
    hex = `c9${(hex.length / 2).toString(16).padStart(8, '0')}03${hex}`;
    if (i < levels - 1) hex += 'c0';
  }
  return hex;
}

function errorOf(bytes: Uint8Array): unknown {
  try {
    codec.decode(bytes, 0, bytes.length);
  } catch (error) {
    return error;
  }
  return undefined;
}
