/*
 * Merge patches as bytes, against RFC 7386 written down plainly (model.ts).
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VALUE_DEPTH_MAX } from '../../src/codec/value-format.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import { applyPatch, composePatches, patchOfObject } from '../../src/snapshot/patch.ts';
import { PatchWriter, type BytesRange } from '../../src/snapshot/patch-format.ts';
import { decodeValue, encodeValue, hex, inOrder, mergePatch } from './model.ts';

const whole = (bytes: Uint8Array): BytesRange => ({ bytes, start: 0, end: bytes.length });

function written(write: (out: PatchWriter) => void): Uint8Array {
  const out = new PatchWriter(1);
  write(out);
  return out.bytes.slice(0, out.length);
}

const compose = (older: Uint8Array, newer: Uint8Array): Uint8Array =>
  written((out) => composePatches(whole(older), whole(newer), out));
const apply = (patch: Uint8Array, value: Uint8Array | undefined): Uint8Array =>
  written((out) => applyPatch(whole(patch), value && whole(value), out));
const patchOf = (object: unknown): Uint8Array => patchOfObject(encodeValue(object));
const bytesOf = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('a patch over a value', () => {
  /** The table of RFC 7386, appendix A: those whose patch is an object. */
  test.each<[unknown, unknown, unknown]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    // Beside the table: what is no plain object is replaced, and so is nothing.
    [{ a: new Map([['b', 1]]) }, { a: { c: 1 } }, { a: { c: 1 } }],
    [{ a: Object.create(null) }, { a: { c: 1 } }, { a: { c: 1 } }],
    ['text', {}, {}],
    [undefined, { a: undefined, b: Number.NaN }, { a: undefined, b: Number.NaN }],
  ])('%j patched with %j: %j', (value, patch, result) => {
    expect(decodeValue(apply(patchOf(patch), encodeValue(value)))).toEqual(result);
  });

  test('over nothing: as over an empty object', () => {
    expect(decodeValue(apply(patchOf({ a: { b: null, c: 1 }, d: null }), undefined))).toEqual({
      a: { c: 1 },
    });
  });

  test('names: in one order in every object that was met, untouched in the others', () => {
    const value = { z: 1, 10: 1, a: { y: 1, x: 1 }, 9: 1, é: 1, other: { y: 1, x: 1 } };
    const result = decodeValue(apply(patchOf({ b: 0, a: { w: 0 } }), encodeValue(value)));
    expect(JSON.stringify(result)).toBe(
      '{"9":1,"10":1,"a":{"w":0,"x":1,"y":1},"b":0,"other":{"y":1,"x":1},"z":1,"é":1}',
    );
  });

  test('names that look like indices and are none: by their bytes, behind those that are', () => {
    const names = ['01', '4294967295', '4294967294', '00', '0', '5', '+1', '12345678901'];
    const object = Object.fromEntries(names.toReversed().map((name) => [name, 1]));
    const patched = decodeValue(apply(patchOf(object), encodeValue(object))) as object;
    const indices = ['0', '5', '4294967294'];
    const others = ['+1', '00', '01', '12345678901', '4294967295'];
    expect(Object.keys(patched)).toEqual([...indices, ...others]);
    const fields = decodeValue(patchOf(object)) as object;
    expect(Object.keys(fields)).toEqual([...indices, ...others]);
  });

  test('objects of 15, 16 and 70000 fields: heads of every width', () => {
    for (const count of [15, 16, 70_000]) {
      const fields = Array.from({ length: count }, (_, i): [string, number] => [`k${i}`, i]);
      const object = Object.fromEntries(fields);
      const added = decodeValue(apply(patchOf({ more: true }), encodeValue(object)));
      expect(added).toEqual({ ...object, more: true });
      const emptied = patchOf(Object.fromEntries(fields.map(([name]) => [name, null])));
      expect(decodeValue(apply(emptied, encodeValue({ ...object, rest: 1 })))).toEqual({ rest: 1 });
    }
  });

  test('as deep as a value may be: patched; deeper: refused', () => {
    const nest = (depth: number): Record<string, unknown> => {
      let made: Record<string, unknown> = { leaf: 1 };
      for (let i = 1; i < depth; i++) made = { a: made };
      return made;
    };
    const deepest = encodeValue(nest(VALUE_DEPTH_MAX));
    expect(hex(apply(patchOf(nest(VALUE_DEPTH_MAX)), deepest))).toBe(hex(deepest));
    const over = Buffer.concat([bytesOf('81 a1 61'), patchOf(nest(VALUE_DEPTH_MAX))]);
    expect(() => apply(over, undefined)).toThrow(/nested too deep/);
    expect(() => patchOfObject(over)).toThrow(/nested too deep/);
  });
});

describe('versions', () => {
  const codec = createValueCodec();
  const two = (object: unknown): Uint8Array => patchOfObject(codec.encode(object, 2).slice());
  const valueOfTwo = (value: unknown): Uint8Array => codec.encode(value, 2).slice();

  test('a patch of a version: has it, and gives a value that has it', () => {
    expect(hex(two({ b: 1, a: 2 }))).toBe(hex(bytesOf('c10002 82 a161 02 a162 01')));
    expect(hex(apply(two({ a: 2, c: null }), undefined))).toBe(hex(valueOfTwo({ a: 2 })));
    expect(hex(apply(two({ a: 2 }), valueOfTwo({ a: 1, b: 3 })))).toBe(
      hex(valueOfTwo({ a: 2, b: 3 })),
    );
    expect(hex(apply(two({ a: 2 }), valueOfTwo(7)))).toBe(hex(valueOfTwo({ a: 2 })));
    expect(hex(compose(two({ a: null }), two({ b: 1 })))).toBe(hex(two({ a: null, b: 1 })));
  });

  test.each<[string, () => unknown]>([
    ['a patch over a value of an older one', () => apply(two({ a: 1 }), encodeValue({ a: 0 }))],
    ['a patch over a value of a newer one', () => apply(patchOf({ a: 1 }), valueOfTwo({ a: 0 }))],
    ['a patch over another value of an older one', () => apply(two({ a: 1 }), encodeValue(7))],
    ['a patch behind one of an older one', () => compose(patchOf({ a: 1 }), two({ a: 0 }))],
    ['a patch behind one of a newer one', () => compose(two({ a: 1 }), patchOf({ a: 0 }))],
  ])('%s: is refused', (_, meet) => {
    expect(meet).toThrow(/meets a value of another version/);
    expect(meet).toThrow(expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }));
  });
});

describe('stored form', () => {
  test.each<[string, () => Uint8Array, string]>([
    ['fields in order', () => patchOf({ b: null, a: 1, 2: {} }), '83 a132 80 a161 01 a162 c0'],
    [
      'a patch under a patch',
      () => compose(patchOf({ a: { b: 1 } }), patchOf({ a: { c: null } })),
      '81 a161 82 a162 01 a163 c0',
    ],
    [
      'an object over what was deleted: marked',
      () => compose(patchOf({ a: null }), patchOf({ a: { b: 1, c: null } })),
      '81 a161 c1 81 a162 01',
    ],
    [
      'an object over a number: marked',
      () => compose(patchOf({ a: 7 }), patchOf({ a: {} })),
      '81 a161 c1 80',
    ],
    [
      'a patch over a marked object: marked',
      () => compose(compose(patchOf({ a: 7 }), patchOf({ a: { c: 1 } })), patchOf({ a: { b: 1 } })),
      '81 a161 c1 82 a162 01 a163 01',
    ],
    [
      'a number over a marked object: the number',
      () => compose(compose(patchOf({ a: 7 }), patchOf({ a: {} })), patchOf({ a: 8 })),
      '81 a161 08',
    ],
    [
      'a marked object applied: without its mark',
      () =>
        apply(compose(patchOf({ a: 7 }), patchOf({ a: { b: 1 } })), encodeValue({ a: { c: 1 } })),
      '81 a161 81 a162 01',
    ],
  ])('%s', (_, made, expected) => {
    expect(hex(made())).toBe(hex(bytesOf(expected)));
  });

  test.each([
    ['nothing', '', /no object/],
    ['a number', '01', /no object/],
    ['a head cut short', 'de 00', /cut short/],
    ['a field missing', '81', /field that is none/],
    ['a name that is no string', '81 01 01', /field that is none/],
    ['a name cut short', '81 a2 61', /field that is none/],
    ['a value cut short', '81 a161 cb 00', /field that is none/],
    ['a mark over nothing', '81 a161 c1', /field that is none/],
    ['a head that no value has', '81 a161 ca 00000000', /field that is none/],
    ['bytes left over', '80 00', /bytes left over/],
    ['fields out of order', '82 a162 01 a161 01', /out of order/],
    ['a repeated field', '82 a161 01 a161 01', /out of order/],
  ])('%s: refused as a patch', (_, text, reason) => {
    for (const act of [
      () => apply(bytesOf(text), undefined),
      () => compose(bytesOf(text), patchOf({})),
      () => compose(patchOf({}), bytesOf(text)),
    ]) {
      expect(act).toThrow(reason);
      expect(act).toThrow(expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' }));
    }
  });

  test('a value with a repeated or a marked field: refused when it is patched', () => {
    expect(() => apply(patchOf({}), bytesOf('82 a161 01 a161 01'))).toThrow(/repeats the name/);
    expect(() => apply(patchOf({}), bytesOf('81 a161 c1 80'))).toThrow(/field that is none/);
  });
});

const names = fc.constantFrom('a', 'b', '10', '9', 'ab', '__proto__');
const leaves = fc.constantFrom<unknown>(null, null, 0, 'text', [{ b: 1, a: null }], undefined);
const { object, field } = fc.letrec<{ object: Record<string, unknown>; field: unknown }>((tie) => ({
  object: fc.dictionary(names, tie('field'), { maxKeys: 4, noNullPrototype: true }),
  field: fc.oneof({ depthSize: 'small' }, leaves, tie('object')),
}));
const parameters = { seed: 20_261_121, numRuns: 2000 };

describe('laws', () => {
  test('a patch applied as bytes: what RFC 7386 says, in bytes that an encoder writes', () => {
    const property = fc.property(object, field, (patch, value) => {
      const applied = apply(patchOf(patch), encodeValue(value));
      expect(hex(applied)).toBe(hex(encodeValue(mergePatch(value, patch))));
      expect(hex(encodeValue(decodeValue(applied)))).toBe(hex(applied));
    });
    fc.assert(property, parameters);
  });

  test('patches composed in any grouping: the same bytes, and the effect of one after the other', () => {
    const property = fc.property(object, object, object, field, (p, q, r, value) => {
      const [a, b, c] = [patchOf(p), patchOf(q), patchOf(r)];
      const left = compose(compose(a, b), c);
      expect(hex(compose(a, compose(b, c)))).toBe(hex(left));
      const before = encodeValue(value);
      expect(hex(apply(left, before))).toBe(hex(apply(c, apply(b, apply(a, before)))));
      expect(hex(apply(left, undefined))).toBe(hex(apply(c, apply(b, apply(a, undefined)))));
    });
    fc.assert(property, parameters);
  });

  test('a value that was patched: its names stay as they are when it is patched again', () => {
    const property = fc.property(object, field, (patch, value) => {
      const once = apply(patchOf(patch), encodeValue(value));
      expect(hex(apply(patchOf({}), once))).toBe(hex(once));
      const top = decodeValue(once) as Record<string, unknown>;
      expect(Object.keys(top)).toEqual(Object.keys(inOrder(top)));
    });
    fc.assert(property, parameters);
  });
});
