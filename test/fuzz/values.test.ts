/*
 * Stored values, keys, merge patches, versions and compressed blocks: whatever stands there, it is the
 * encoding of what is read, or refused as damage.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeKey, encodeKey, type Key } from '../../src/codec/key.ts';
import { builtInCodecs, loadCodec } from '../../src/codec/compression.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import { ValueDecoder } from '../../src/codec/value-decoder.ts';
import { readNumber } from '../../src/codec/value-number.ts';
import { skipValue } from '../../src/codec/value-skip.ts';
import { decodeVersioned, storedVersion } from '../../src/codec/value-version.ts';
import { CorruptionError } from '../../src/errors.ts';
import { applyPatch, composePatches, patchOfObject } from '../../src/snapshot/patch.ts';
import { decodePatch } from '../../src/snapshot/patch-decode.ts';
import { PatchWriter, type BytesRange } from '../../src/snapshot/patch-format.ts';
import { keptCases, pointType } from '../codec/value-kept-cases.ts';
import { fuzz, fuzzParameters, outcomeOf, withinMemory } from './fuzz.ts';

const codec = createValueCodec([pointType]);
const decoder = new ValueDecoder(new Map());
const encoded = (value: unknown): Uint8Array => codec.encode(value).slice();

const kept = Object.values(keptCases)
  .flat()
  .map(encoded)
  .filter((bytes) => bytes.length < 400);
const mixed = [
  { a: [1, -1, 2n ** 70n], b: new Map([[{ c: 1 }, new Set(['x'])]]), d: /a+/g },
  [new Date(5), new Error('e'), new Float64Array(3), { __proto__: null, z: 1.5 }],
  Array.from({ length: 20 }, (_, i) => ({ [`key ${i}`]: i })),
].map(encoded);

describe('values', () => {
  test('mutated: encoded again to the same bytes, or damage', async () => {
    await fuzz({
      samples: [...mixed, ...kept],
      runs: 1500,
      decode: async (bytes) => {
        const outcome = await withinMemory(2000 + bytes.length * 20, () =>
          outcomeOf(() => codec.decode(bytes, 0, bytes.length)),
        );
        if (!outcome) return false;
        const again = encoded(outcome.value);
        if (Buffer.compare(again, bytes) === 0) return true;
        // The order of integer-like keys and the spelling of a RegExp are the runtime's (V2), and what
        // a registered type makes of its data is its own.
        expect(isRuntimes(outcome.value)).toBe(true);
        const twice = encoded(codec.decode(again, 0, again.length));
        expect(Buffer.compare(twice, again)).toBe(0);
        return true;
      },
    });
  });

  test('mutated: what is skipped without decoding ends where the decoded value does', async () => {
    await fuzz({
      samples: [...mixed, ...kept],
      runs: 1500,
      decode: (bytes) => {
        const end = skipValue(bytes, 0, bytes.length);
        expect(end === -1 || (end > 0 && end <= bytes.length)).toBe(true);
        const outcome = outcomeOf(() => codec.decode(bytes, 0, bytes.length));
        if (outcome) expect(end).toBe(bytes.length);
        return outcome !== undefined;
      },
    });
  });

  test('versions in front, mutated: read or damage', async () => {
    await fuzz({
      samples: mixed.map((_, i) => codec.encode(i, i + 2).slice()),
      runs: 300,
      decode: (bytes) =>
        outcomeOf(() => {
          const version = storedVersion(bytes, 0, bytes.length);
          const value = decodeVersioned(codec, bytes, 0, bytes.length);
          expect(Buffer.compare(codec.encode(value, version), bytes)).toBe(0);
        }) !== undefined,
    });
  });

  test('numbers of min and max, mutated: a number whose form this is, or none', async () => {
    await fuzz({
      samples: [0, 1.5, -7, 2 ** 40, 1n, -(2n ** 90n), 300, 'text'].map(encoded),
      runs: 800,
      decode: (bytes) => {
        const outcome = outcomeOf(() => readNumber(bytes, 0, bytes.length));
        if (outcome?.value === undefined) return outcome !== undefined && bytes[0] === 0xa4;
        expect(Buffer.compare(codec.encode(outcome.value), bytes)).toBe(0);
        return true;
      },
    });
  });
});

describe('keys', () => {
  const keys: Key[] = [
    '',
    'key',
    'é\u0000ü',
    -1.5,
    0,
    2n ** 100n,
    -(2n ** 1100n),
    0n,
    true,
    Uint8Array.of(0, 255, 0),
    ['a', ['b\u0000', 1, [false]], Uint8Array.of(0), -3n],
    [[[[[[[[]]]]]]]],
  ];
  test('mutated: encoded again to the same bytes, or damage', async () => {
    await fuzz({
      samples: keys.map((key) => encodeKey(key).slice()),
      runs: 1500,
      decode: async (bytes) => {
        const outcome = await withinMemory(1000 + bytes.length * 4, () =>
          outcomeOf(() => decodeKey(bytes, 0, bytes.length)),
        );
        if (outcome) expect(Buffer.compare(encodeKey(outcome.value), bytes)).toBe(0);
        return outcome !== undefined;
      },
    });
  });
});

describe('merge patches', () => {
  const objects = [
    {},
    { a: 1, b: null, c: { d: 'x', e: null } },
    { 10: 1, 9: 2, z: [1, { y: 2 }], __proto__x: { q: {} } },
    Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, i])),
  ];
  const patches = objects.map((object) => patchOfObject(encoded(object)).slice());
  const replacing = written((out) =>
    composePatches(range(encoded({ a: null })), range(patches[1]!), out),
  );
  const samples = [...patches, replacing, patchOfObject(codec.encode({ a: 2 }, 7)).slice()];

  test('mutated: decoded, composed and applied, or damage', async () => {
    await fuzz({
      samples,
      runs: 1500,
      decode: async (bytes) => {
        const patch = range(bytes);
        const outcome = outcomeOf(() => decodePatch(patch, decoder));
        // Whoever composes does not decode; what it takes is damage or makes a patch again.
        const made = await withinMemory(8000 + bytes.length * 20, () =>
          outcomeOf(() => written((out) => composePatches(range(patches[1]!), patch, out))),
        );
        const applied = outcomeOf(() => written((out) => applyPatch(patch, undefined, out)));
        const over = outcomeOf(() => written((out) => applyPatch(patch, range(mixed[0]!), out)));
        if (outcome && !isVersioned(bytes)) {
          expect(made).toBeDefined();
          expect(over).toBeDefined();
          decodePatch(range(made!.value), decoder);
          codec.decode(applied!.value, 0, applied!.value.length);
        }
        return outcome !== undefined;
      },
    });
  });
});

describe('compressed blocks', () => {
  const blocks = [
    Buffer.from('tide '.repeat(60)),
    Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 7919) % 251)),
    Buffer.alloc(2000),
  ];
  for (const name of builtInCodecs) {
    const own = loadCodec(name);
    test(`${name}, mutated: exactly the target, or damage, within its memory`, async () => {
      const plain = fc.oneof(fc.constantFrom(...blocks.map(({ length }) => length)), fc.nat(3000));
      const lengths = fc.sample(plain, fuzzParameters(200));
      let next = 0;
      await fuzz({
        samples: blocks.map((block) => Uint8Array.from(own.compress(block))),
        runs: 200,
        decode: async (bytes) => {
          // The sizes that the samples have are tried first.
          const sizes = [...blocks.map(({ length }) => length), lengths[next++ % lengths.length]!];
          let taken = false;
          for (const size of sizes) {
            const target = new Uint8Array(size);
            const outcome = await withinMemory(4096 + bytes.length + 2 * size, () =>
              outcomeOf(() => own.decompressInto(bytes, target)),
            );
            taken ||= outcome !== undefined;
          }
          return taken;
        },
      });
    });
  }
});

describe('what was found', () => {
  test('a bigint above what a runtime makes: damage, before it is copied', async () => {
    const length = 2 ** 27 + 1;
    const bytes = Buffer.alloc(6 + 1 + length);
    bytes[0] = 0xc9;
    bytes.writeUInt32BE(length + 1, 1);
    bytes[5] = 1;
    bytes[7] = 1;
    const decoding = withinMemory(10_000, () =>
      outcomeOf(() => codec.decode(bytes, 0, bytes.length)),
    );
    expect(await decoding).toBeUndefined();
  });

  const text = (word: string): string => encodedHex(word);
  test.each<[string, string | undefined, string]>([
    ['the name of a field', undefined, '81'],
    ['the name of a field without a prototype', '08', ''],
    ['the class of an error', '07', ''],
    ['the name of a property of an error', '07', text('Error')],
    ['the flag of a property', '07', text('Error') + text('stack')],
    ['the source of a regular expression', '05', ''],
    ['the flags of a regular expression', '05', text('a')],
    ['the lastIndex of a regular expression', '05', text('a') + text('g')],
    ['the name of a type', '09', ''],
    ['the version of a type', '09', text('point')],
  ])(
    'containers as %s, nested without end: damage, and not the end of the stack',
    (_, ext, hex) => {
      const bytes = nested(ext, Buffer.from(hex, 'hex'), 200_000);
      expect(() => codec.decode(bytes, 0, bytes.length)).toThrow(CorruptionError);
    },
  );
});

function encodedHex(word: string): string {
  return Buffer.from(encoded(word)).toString('hex');
}

/** Containers that each hold some bytes and the next container, which stands where none belongs. */
function nested(ext: string | undefined, inside: Uint8Array, depth: number): Uint8Array {
  if (ext === undefined) return Buffer.alloc(depth, inside);
  const levelBytes = 6 + inside.length;
  const bytes = Buffer.alloc(depth * levelBytes);
  for (let at = 0; at < bytes.length; at += levelBytes) {
    bytes[at] = 0xc9;
    bytes.writeUInt32BE(bytes.length - at - 6, at + 1);
    bytes[at + 5] = Number.parseInt(ext, 16);
    bytes.set(inside, at + 6);
  }
  return bytes;
}

function range(bytes: Uint8Array): BytesRange {
  return { bytes, start: 0, end: bytes.length };
}

/** Whether a value has parts that the runtime orders or spells, or a type decodes. */
function isRuntimes(value: unknown): boolean {
  if (value instanceof RegExp || value instanceof pointType.class) return true;
  if (value instanceof Map) return [...value].flat().some(isRuntimes);
  if (value instanceof Set) return [...value].some(isRuntimes);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  const names = Object.getOwnPropertyNames(value);
  if (!Array.isArray(value) && names.some((name) => /^\d+$/.test(name))) return true;
  return names.some((name) => isRuntimes((value as Record<string, unknown>)[name]));
}

function isVersioned(bytes: Uint8Array): boolean {
  return bytes[0] === 0xc1;
}

function written(write: (out: PatchWriter) => void): Uint8Array {
  const out = new PatchWriter(64);
  write(out);
  return out.bytes.slice(0, out.length);
}
