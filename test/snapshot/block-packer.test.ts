/*
 * The codec of a block: by table, by size, and by whether it pays.
 */
import { describe, expect, test } from 'vitest';
import { registerCodecs } from '../../src/codec/compression-modules.ts';
import { BlockPacker, blockCodec } from '../../src/snapshot/block-packer.ts';

const text = (bytes: number): Uint8Array =>
  Uint8Array.from(Buffer.from('{"delay":12,"carrier":"AA"}'.repeat(bytes)).subarray(0, bytes));

function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

const own = {
  name: 'reversing',
  module: new URL('../codec/modules/reversing.mjs', import.meta.url),
};

describe('packing a block', () => {
  test('by table: its own setting, and the one of the store elsewhere', () => {
    const packer = new BlockPacker({
      codec: 'lz4',
      tables: [
        { table: 16, codec: 'zstd', level: 9 },
        { table: 17, codec: 'none' },
      ],
    });
    expect([3, 16, 17, 18].map((table) => packer.pack(text(5000), table).codec)).toEqual([
      1, 3, 0, 1,
    ]);
  });

  test('the level: a higher one makes less of the same block', () => {
    const bytes = Uint8Array.from(noise(60_000), (byte) => 97 + (byte % 20));
    const size = (level: number): number =>
      new BlockPacker({ codec: 'gzip', level }).pack(bytes, 16).stored.length;
    expect(size(9)).toBeLessThan(size(1));
  });

  test('below the threshold: raw; a table without one has the threshold of the store', () => {
    const codecs = (bytesMin: number | undefined, size: number): number[] => {
      const tables = [
        { table: 16, codec: 'gzip' },
        { table: 17, codec: 'gzip', bytesMin: 100 },
      ];
      const store = bytesMin === undefined ? { codec: 'lz4' } : { codec: 'lz4', bytesMin };
      const packer = new BlockPacker({ ...store, tables });
      return [15, 16, 17].map((table) => packer.pack(text(size), table).codec);
    };
    expect(codecs(undefined, 1023)).toEqual([0, 0, 4]);
    expect(codecs(undefined, 1024)).toEqual([1, 4, 4]);
    expect(codecs(4000, 3999)).toEqual([0, 0, 4]);
    expect(codecs(0, 99)).toEqual([1, 4, 0]);
  });

  test('saves less than a sixteenth: raw, the block itself', () => {
    const bytes = noise(5000);
    expect(new BlockPacker({ codec: 'zstd' }).pack(bytes, 16)).toEqual({ stored: bytes, codec: 0 });
    bytes.fill(7, 0, 200);
    expect(new BlockPacker({ codec: 'zstd' }).pack(bytes, 16).codec).toBe(0);
    bytes.fill(7, 0, 500);
    expect(new BlockPacker({ codec: 'zstd' }).pack(bytes, 16).codec).toBe(3);
  });

  test('a codec of the user: an id of the file, listed once, and read back', async () => {
    await registerCodecs([own]);
    const tables = [{ table: 16, codec: 'reversing' }];
    const packer = new BlockPacker({ codec: 'reversing', tables });
    expect(packer.ownCodecs).toEqual(['reversing']);
    const { stored, codec } = packer.pack(text(5000), 16);
    expect(codec).toBe(128);
    const target = new Uint8Array(5000);
    blockCodec(codec, packer.ownCodecs).decompressInto(stored, target);
    expect(target).toEqual(text(5000));
  });

  test('a codec that nobody registered: CODEC_UNAVAILABLE before anything is written', () => {
    expect(() => new BlockPacker({ codec: 'nobodys' })).toThrow(
      expect.objectContaining({ code: 'CODEC_UNAVAILABLE' }),
    );
  });

  test('reading: ids that are unknown, unlisted, or not registered', () => {
    const codeOf = (id: number, names: string[]): unknown => {
      try {
        return blockCodec(id, names);
      } catch (error) {
        return (error as { code: unknown }).code;
      }
    };
    expect(codeOf(6, [])).toBe('UNSUPPORTED_FORMAT');
    expect(codeOf(127, ['a'])).toBe('UNSUPPORTED_FORMAT');
    expect(codeOf(129, ['a'])).toBe('CORRUPT_SNAPSHOT');
    expect(codeOf(128, ['nobodys'])).toBe('CODEC_UNAVAILABLE');
  });
});
