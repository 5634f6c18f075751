/*
 * The compression option: what it takes, and the path of what it refuses.
 */
import { describe, expect, test } from 'vitest';
import {
  checkCompression,
  compressionFromPlain,
  sameCompression,
} from '../../src/codec/compression-setting.ts';
import { InvalidArgumentError } from '../../src/errors.ts';

function refusal(option: unknown): unknown {
  try {
    checkCompression(option, 'compression');
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return [
      (error as InvalidArgumentError).code,
      (error as InvalidArgumentError).details['option'],
    ];
  }
  return 'taken';
}

describe('the compression option', () => {
  test.each([
    ['lz4', { codec: 'lz4' }],
    [{ codec: 'zstd' }, { codec: 'zstd' }],
    [
      { codec: 'zstd', level: 19, bytesMin: 0 },
      { codec: 'zstd', level: 19, bytesMin: 0 },
    ],
    [
      { codec: 'brotli', level: 0, bytesMin: undefined },
      { codec: 'brotli', level: 0 },
    ],
  ])('%j: taken', (option, setting) => {
    expect(checkCompression(option, 'compression')).toEqual(setting);
  });

  test.each<[unknown, string]>([
    ['lzma', 'compression'],
    [7, 'compression'],
    [null, 'compression'],
    [{}, 'compression.codec'],
    [{ codec: 'lzma' }, 'compression.codec'],
    [{ codec: 'zstd', levels: 3 }, 'compression.levels'],
    [{ codec: 'zstd', level: 0 }, 'compression.level'],
    [{ codec: 'zstd', level: 20 }, 'compression.level'],
    [{ codec: 'zstd', level: 1.5 }, 'compression.level'],
    [{ codec: 'gzip', level: 10 }, 'compression.level'],
    [{ codec: 'brotli', level: 12 }, 'compression.level'],
    [{ codec: 'brotli', level: '4' }, 'compression.level'],
    [{ codec: 'lz4', level: 1 }, 'compression.level'],
    [{ codec: 'none', level: 1 }, 'compression.level'],
    [{ codec: 'lz4', bytesMin: -1 }, 'compression.bytesMin'],
    [{ codec: 'lz4', bytesMin: '1' }, 'compression.bytesMin'],
  ])('%j: INVALID_OPTION at %s', (option, path) => {
    expect(refusal(option)).toEqual(['INVALID_OPTION', path]);
  });

  test('a codec that is about to be registered: taken', () => {
    expect(checkCompression('own', 'compression', ['own'])).toEqual({ codec: 'own' });
    expect(() => checkCompression({ codec: 'own', level: 1 }, 'c', ['own'])).toThrow('has none');
  });

  test('its stored form: the same setting; what is none: undefined', () => {
    const setting = { codec: 'zstd', level: 9, bytesMin: 10 };
    expect(compressionFromPlain(JSON.parse(JSON.stringify(setting)))).toEqual(setting);
    for (const plain of [null, 'lz4', {}, { codec: 1 }, { codec: 'lz4', level: 'x' }]) {
      expect(compressionFromPlain(plain)).toBeUndefined();
    }
    expect(compressionFromPlain({ codec: 'lz4', bytesMin: -1 })).toBeUndefined();
  });

  test('two settings: the same when every field is', () => {
    expect(sameCompression(undefined, undefined)).toBe(true);
    expect(sameCompression({ codec: 'lz4' }, { codec: 'lz4' })).toBe(true);
    expect(sameCompression({ codec: 'lz4' }, undefined)).toBe(false);
    expect(sameCompression({ codec: 'zstd' }, { codec: 'zstd', level: 3 })).toBe(false);
    expect(sameCompression({ codec: 'lz4' }, { codec: 'lz4', bytesMin: 0 })).toBe(false);
  });
});
