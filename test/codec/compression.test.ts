import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { requireCodecPackage } from '../../src/codec/compression-native.ts';
import { zstdOfNode, zstdOfPackage } from '../../src/codec/compression-zstd.ts';
import { codecById, loadCodec, type BuiltInCodecName } from '../../src/codec/compression.ts';
import { fromHex } from '../../src/std/bytes.ts';

const NAMES: BuiltInCodecName[] = ['none', 'lz4', 'snappy', 'zstd', 'gzip', 'brotli'];
const COMPRESSING = NAMES.slice(1);
const CORRUPT: unknown = expect.objectContaining({ code: 'CORRUPT_SNAPSHOT' });

/** Rows as a table of state would have them: they compress, but not to nothing. */
function rows(bytes: number): Uint8Array {
  let text = '';
  for (let i = 0; text.length < bytes; i++) {
    text += JSON.stringify({ id: i * 7919, name: `user${i % 977}`, delay: (i * 31) % 211 });
  }
  return Uint8Array.from(Buffer.from(text.slice(0, bytes)));
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** The Zstandard writers and readers that this Node has. */
function zstds(
  level?: number,
): { name: string; compress: Compress; decompressInto: DecompressInto }[] {
  const ofNode = zstdOfNode(level);
  const all = [{ name: 'zstd-napi', ...zstdOfPackage(level) }];
  return ofNode ? [...all, { name: 'node:zlib', ...ofNode }] : all;
}
type Compress = (source: Uint8Array) => Uint8Array;
type DecompressInto = (source: Uint8Array, target: Uint8Array) => void;

describe('loadCodec and codecById', () => {
  test.each(NAMES.map((name, id) => ({ name, id })))('$name: has the id $id', ({ name, id }) => {
    expect(loadCodec(name)).toMatchObject({ name, id });
    expect(codecById(id)).toBe(loadCodec(name));
  });

  test.each([-1, 6, 255, 0.5])('the id %d, which no codec has: UNSUPPORTED_FORMAT', (id) => {
    expect(() => codecById(id)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }));
  });

  test('a name that no codec has: INVALID_OPTION', () => {
    expect(() => loadCodec('gzip2' as BuiltInCodecName)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });

  test('a package that cannot be loaded: CODEC_UNAVAILABLE, naming it', () => {
    expect(() => requireCodecPackage('zstd', './no-such-package')).toThrow(
      expect.objectContaining({
        code: 'CODEC_UNAVAILABLE',
        details: { codec: 'zstd', packageName: './no-such-package' },
        cause: expect.objectContaining({ code: 'MODULE_NOT_FOUND' }) as unknown,
      }),
    );
  });
});

describe.each(NAMES)('%s', (name) => {
  const codec = loadCodec(name);

  test.each([0, 1, 4096, 65_536, 300_000])('%i bytes: come back', (length) => {
    const source = rows(length);
    const target = new Uint8Array(length);
    codec.decompressInto(codec.compress(source), target);
    expect(Buffer.compare(target, source)).toBe(0);
  });

  test('shared memory on all sides, inside larger arrays: comes back, and nothing else changes', () => {
    const source = shared(rows(5000)).subarray(100, 4900);
    const compressed = shared(codec.compress(source));
    const target = shared(new Uint8Array(5000).fill(0xee));
    codec.decompressInto(compressed, target.subarray(100, 4900));
    expect(Buffer.compare(target.subarray(100, 4900), source)).toBe(0);
    expect(target.slice(0, 100)).toEqual(new Uint8Array(100).fill(0xee));
    expect(target.slice(4900)).toEqual(new Uint8Array(100).fill(0xee));
  });

  test('a target smaller or larger by a byte: CORRUPT_SNAPSHOT', () => {
    const compressed = codec.compress(rows(1000));
    expect(() => codec.decompressInto(compressed, new Uint8Array(999))).toThrow(CORRUPT);
    expect(() => codec.decompressInto(compressed, new Uint8Array(1001))).toThrow(CORRUPT);
  });

  test('any bytes: come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000, size: 'max' }), (source) => {
        const target = new Uint8Array(source.length);
        codec.decompressInto(codec.compress(source), target);
        expect(Buffer.compare(target, source)).toBe(0);
      }),
      { seed: 31, numRuns: 50 },
    );
  });
});

describe.each(COMPRESSING)('%s on damaged bytes', (name) => {
  const codec = loadCodec(name);
  const source = rows(8000);
  const compressed = codec.compress(source);

  test('rows: become smaller', () => {
    expect(compressed.length).toBeLessThan(source.length / 2);
  });

  test('cut at any length: CORRUPT_SNAPSHOT', () => {
    for (let length = 0; length < compressed.length; length += 1 + (length >> 4)) {
      const cut = compressed.subarray(0, length);
      expect(() => codec.decompressInto(cut, new Uint8Array(8000))).toThrow(CORRUPT);
    }
  });

  test('changed anywhere: CORRUPT_SNAPSHOT or other bytes, never a write outside the target', () => {
    const change = fc.tuple(fc.nat(compressed.length - 1), fc.nat(255));
    const nearStart = fc.tuple(fc.nat(16), fc.nat(255));
    let refused = 0;
    fc.assert(
      fc.property(fc.array(fc.oneof(change, nearStart), { minLength: 1 }), (changes) => {
        const damaged = Uint8Array.from(compressed);
        for (const [at, byte] of changes) damaged[at] = byte;
        const target = new Uint8Array(8016).fill(0xee);
        try {
          codec.decompressInto(damaged, target.subarray(8, 8008));
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT' });
          refused++;
        }
        expect(target.subarray(0, 8).every((byte) => byte === 0xee)).toBe(true);
        expect(target.subarray(8008).every((byte) => byte === 0xee)).toBe(true);
      }),
      { seed: 32, numRuns: 400 },
    );
    expect(refused).toBeGreaterThan(50);
  });

  test('random bytes: CORRUPT_SNAPSHOT', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        expect(() => codec.decompressInto(noise, new Uint8Array(8000))).toThrow(CORRUPT);
      }),
      { seed: 33, numRuns: 300 },
    );
  });
});

describe('what stands in files', () => {
  test('lz4: a raw block, a literal run without a size before it', () => {
    // LZ4 block format: a token with the count of literals in its high half, then the literals.
    const target = new Uint8Array(3);
    loadCodec('lz4').decompressInto(Uint8Array.of(0x30, 97, 98, 99), target);
    expect(Buffer.from(target).toString()).toBe('abc');
    expect([...loadCodec('lz4').compress(Buffer.from('abc'))]).toEqual([0x30, 97, 98, 99]);
  });

  test('snappy: a raw block, its size and a literal', () => {
    // Snappy format description: a varint size, then a tag with (length - 1) << 2, then literals.
    const target = new Uint8Array(3);
    loadCodec('snappy').decompressInto(Uint8Array.of(3, 8, 97, 98, 99), target);
    expect(Buffer.from(target).toString()).toBe('abc');
    expect([...loadCodec('snappy').compress(Buffer.from('abc'))]).toEqual([3, 8, 97, 98, 99]);
  });

  test.each([
    ['with an unended varint', [0xff]],
    ['with a varint of more than 32 bits', [0x83, 0x80, 0x80, 0x80, 0x80, 0x00, 8, 97, 98, 99]],
    ['that says it is 4 GiB long', [0xff, 0xff, 0xff, 0xff, 0x0f, 8, 97, 98, 99]],
  ])('a snappy block %s: CORRUPT_SNAPSHOT', (_, bytes) => {
    expect(() =>
      loadCodec('snappy').decompressInto(Uint8Array.from(bytes), new Uint8Array(3)),
    ).toThrow(CORRUPT);
  });
});

describe('levels', () => {
  test.each([
    ['zstd', 1, 19],
    ['gzip', 1, 9],
    ['brotli', 0, 11],
  ] as const)(
    '%s: level %d makes more bytes than level %d, read by the same codec',
    (name, low, high) => {
      const source = rows(60_000);
      const sizes = [low, high].map((level) => {
        const stored = loadCodec(name, level).compress(source);
        const target = new Uint8Array(source.length);
        loadCodec(name).decompressInto(stored, target);
        expect(Buffer.compare(target, source)).toBe(0);
        return stored.length;
      });
      expect(sizes[0]).toBeGreaterThan(sizes[1]!);
    },
  );

  test.each([
    ['zstd', 20],
    ['gzip', 0],
    ['brotli', 12],
    ['brotli', 1.5],
    ['lz4', 1],
    ['none', 0],
  ] as const)('%s has no level %d: INVALID_OPTION', (name, level) => {
    expect(() => loadCodec(name, level)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

describe('zstd frames', () => {
  // RFC 8878, 3.1.1: magic, descriptor, window, dictionary id, content size; then one raw block.
  const raw = '190000616263';
  const sound = [
    ['of one segment, size of 1 byte', `28b52ffd2003${raw}`],
    ['with a window, size of 4 bytes', `28b52ffd800003000000${raw}`],
    ['with a window, size of 8 bytes', `28b52ffdc0000300000000000000${raw}`],
  ] as const;
  const unsound = [
    ['with another magic', `28b52ffc2003${raw}`],
    ['that does not say its size', `28b52ffd0000${raw}`],
    ['that says another size', `28b52ffd2004${raw}`],
    ['that says it is 4 GiB long', `28b52ffda0ffffffff${raw}`],
    ['that says it is longer than any', `28b52ffde0ffffffffffffffff${raw}`],
    ['that is cut within its size', '28b52ffd800003'],
    ['with a window of 16 MiB', `28b52ffd807003000000${raw}`],
    ['that needs a dictionary', `28b52ffd210503${raw}`],
    ['whose block is another size', '28b52ffd200311000061'],
  ] as const;

  describe.each(zstds())('$name', ({ decompressInto }) => {
    test('what each Zstandard here wrote: read', () => {
      for (const writer of zstds()) {
        for (const length of [0, 1, 255, 256, 65_792, 3_000_000]) {
          const target = shared(new Uint8Array(length));
          decompressInto(writer.compress(rows(length)), target);
          expect(Buffer.compare(target, rows(length))).toBe(0);
        }
      }
    });

    test('what each wrote at any level: read', () => {
      for (const level of [1, 3, 9, 19]) {
        for (const writer of zstds(level)) {
          const target = new Uint8Array(300_000);
          decompressInto(writer.compress(rows(300_000)), target);
          expect(Buffer.compare(target, rows(300_000))).toBe(0);
        }
      }
    });

    test.each(sound)('a frame %s: read', (_, hex) => {
      const target = new Uint8Array(3);
      decompressInto(fromHex(hex)!, target);
      expect(Buffer.from(target).toString()).toBe('abc');
    });

    test.each(unsound)('a frame %s: CORRUPT_SNAPSHOT', (_, hex) => {
      expect(() => decompressInto(fromHex(hex)!, new Uint8Array(3))).toThrow(CORRUPT);
    });
  });
});
